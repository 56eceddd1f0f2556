"""Plays what Windows lacks, for this project's own code: install() in a sitecustomize.
os.name is "nt", names of Unix are missing, subprocess refuses what it refuses there, and a file
that is held open can be neither removed nor renamed. Packages keep the system they are on."""

import builtins
import errno
import os
import shutil
import subprocess
import sys
import types

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "select", "syslog", "termios", "tty"}
NAMES = {
    "os": "fork forkpty getpgid getpgrp getuid geteuid killpg mkfifo mknod nice openpty pipe2 "
    "sched_getaffinity sched_setaffinity setsid statvfs sync sysconf uname wait WNOHANG O_CLOEXEC",
    "signal": "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 "
    "SIGUSR2 SIGWINCH alarm pause pthread_kill pthread_sigmask setitimer sigwait",
}
NAMES = {module: set(names.split()) for module, names in NAMES.items()}
KEYWORDS = {"pass_fds", "preexec_fn", "process_group", "start_new_session"}
CREATE_NEW_PROCESS_GROUP = 0x200


def _own(depth):
    """Whether a file of this project, not of its tests or packages, called so many calls above."""
    path = os.path.relpath(sys._getframe(depth + 1).f_code.co_filename, ROOT)
    return not path.startswith((os.pardir, "tests", ".venv"))


def install():
    for name, missing in NAMES.items():
        _hide(sys.modules.get(name) or __import__(name), missing)
    real_import, real_start = builtins.__import__, subprocess.Popen.__init__

    def import_(name, *arguments, **keywords):
        if name in MODULES and _own(1):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real_import(name, *arguments, **keywords)

    def start(self, *arguments, **keywords):
        if _own(1):
            assert not KEYWORDS & set(keywords), "not supported on Windows platforms"
            flags = keywords.pop("creationflags", 0)
            keywords["start_new_session"] = bool(flags & CREATE_NEW_PROCESS_GROUP)
        real_start(self, *arguments, **keywords)

    builtins.__import__, subprocess.Popen.__init__ = import_, start
    subprocess.CREATE_NEW_PROCESS_GROUP = CREATE_NEW_PROCESS_GROUP
    shutil._use_fd_functions = False  # As on Windows: shutil.rmtree removes by path.
    for name in ("remove", "unlink", "rename", "replace"):
        setattr(os, name, _unless_open(getattr(os, name)))


def _hide(module, missing):
    class WithoutUnix(types.ModuleType):
        def __getattribute__(self, name):
            if name in missing and _own(1):
                raise AttributeError(f"module {module.__name__!r} on Windows has no {name!r}")
            return "nt" if (module, name) == (os, "name") and _own(1) else super_(name)

    super_ = lambda name: types.ModuleType.__getattribute__(module, name)  # noqa: E731
    module.__class__ = WithoutUnix


def _unless_open(real):
    def change(source, *others, **keywords):
        wanted = {os.path.realpath(os.fsdecode(path)) for path in (source,) + others[:1]}
        for number in os.listdir("/proc/self/fd"):
            try:
                held = os.readlink(f"/proc/self/fd/{number}")
            except OSError:
                continue
            if held in wanted:
                raise PermissionError(errno.EACCES, "another process uses the file", source)
        return real(source, *others, **keywords)

    return change
