"""Plays Windows for this project's own code: a plugin of pytest, and what its processes load.

    PYTHONPATH=tests python -m pytest -p windows_like        or: make test-windows-like

For code of the project, in the tests' process and in every Python that it starts:

- os.name is "nt"; POSIX_MODULES cannot be imported, and POSIX_NAMES are not there;
- subprocess refuses what it refuses on Windows, and takes CREATE_NEW_PROCESS_GROUP;
- a file or folder that any process holds open can be neither removed nor renamed, os.rename never
  replaces a file, and names and lengths of paths that Windows refuses cannot be made;
- a text file that is opened without an encoding has that of Western Windows;
- the shell at hand is PowerShell.

The tests themselves, the standard library and packages keep the system they are on: they have code
of their own for Windows, which cannot run here. So filelock locks by fcntl; what the project counts
on, that the lock ends with its process, is the same. Not played: drives, backslashes, case-blind
names, TensorFlow's own file system.
"""

import builtins
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import types

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)
LIBRARY = os.path.dirname(os.__file__)

POSIX_MODULES = {
    *("fcntl", "grp", "posix", "pty", "pwd", "resource", "select", "selectors", "syslog"),
    *("termios", "tty"),
}
POSIX_NAMES = {
    "os": {
        *("WCOREDUMP", "WEXITSTATUS", "WIFEXITED", "WIFSIGNALED", "WIFSTOPPED", "WNOHANG"),
        *("WSTOPSIG", "WTERMSIG", "chown", "chroot", "confstr", "ctermid", "fchdir", "fchmod"),
        *("fchown", "fdatasync", "fork", "forkpty", "fstatvfs", "getegid", "geteuid", "getgid"),
        *("getgroups", "getloadavg", "getpgid", "getpgrp", "getpriority", "getsid", "getuid"),
        *("killpg", "lchown", "memfd_create", "mkfifo", "mknod", "nice", "openpty", "pathconf"),
        *("pidfd_open", "pipe2", "posix_fadvise", "posix_fallocate", "posix_spawn", "pread"),
        *("pwrite", "readv", "register_at_fork", "sched_getaffinity", "sched_setaffinity"),
        *("sched_yield", "sendfile", "setegid", "seteuid", "setgid", "setgroups", "setpgid"),
        *("setpgrp", "setpriority", "setsid", "setuid", "statvfs", "sync", "sysconf"),
        *("tcgetpgrp", "tcsetpgrp", "ttyname", "uname", "wait", "wait3", "wait4", "waitid"),
        *("writev", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC"),
    },
    "signal": {
        *("SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP"),
        *("SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2", "SIGWINCH", "alarm", "getitimer"),
        *("pause", "pthread_kill", "pthread_sigmask", "setitimer", "siginterrupt", "sigpending"),
        *("sigwait", "sigwaitinfo", "sigtimedwait"),
    },
    "socket": {"AF_UNIX"},
    "time": {"clock_gettime", "tzset"},
}
POSIX_KEYWORDS = {
    *("extra_groups", "pass_fds", "preexec_fn", "process_group", "start_new_session"),
}
CREATE_NEW_PROCESS_GROUP = 0x200

# What these tests ask of a system is not there on Windows.
NEEDS_POSIX = {
    "test_a_terminal_that_goes_away_loses_nothing": "pty, and no SIGHUP",
    "test_cores_are_those_that_the_process_is_pinned_to": "os.sched_setaffinity",
}


def is_own_code(filename):
    """Whether a file of code is of this project, but not of its tests."""
    return (
        filename.startswith(ROOT + os.sep)
        and not filename.startswith(TESTS + os.sep)
        and f"{os.sep}.venv" not in filename[len(ROOT) :]
    )


def _own_code_calls():
    """Whether this project's code called what runs now, be it through the standard library."""
    frame = sys._getframe(2)
    while frame is not None:
        filename = frame.f_code.co_filename
        of_library = filename.startswith((LIBRARY, "<frozen")) and "site-packages" not in filename
        if filename == tempfile.__file__ and frame.f_code.co_name == "TemporaryFile":
            return False  # It removes the file that it has just opened, but not on Windows.
        if not (of_library or filename == __file__):
            return is_own_code(filename)
        frame = frame.f_back
    return False


def install():
    """Plays Windows in this process, until it ends."""
    for name, missing in POSIX_NAMES.items():
        _hide(__import__(name), missing)
    _refuse_imports()
    _play_processes()
    _play_files()


def _hide(module, missing):
    class WithoutPosix(types.ModuleType):
        def __getattribute__(self, name):
            if name in missing and is_own_code(sys._getframe(1).f_code.co_filename):
                raise AttributeError(f"module {module.__name__!r} on Windows has no {name!r}")
            if name == "name" and module is os:
                return "nt" if is_own_code(sys._getframe(1).f_code.co_filename) else "posix"
            return super().__getattribute__(name)

    module.__class__ = WithoutPosix


def _refuse_imports():
    real = builtins.__import__

    def without_posix(name, *arguments, **keywords):
        if name in POSIX_MODULES and is_own_code(sys._getframe(1).f_code.co_filename):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **keywords)

    builtins.__import__ = without_posix


def _play_processes():
    real = subprocess.Popen.__init__

    def start(self, *arguments, **keywords):
        if _own_code_calls():
            for name in POSIX_KEYWORDS & set(keywords):
                raise ValueError(f"{name} is not supported on Windows platforms")
            if keywords.pop("creationflags", 0) & CREATE_NEW_PROCESS_GROUP:
                keywords["start_new_session"] = True
        real(self, *arguments, **keywords)

    subprocess.Popen.__init__ = start
    subprocess.CREATE_NEW_PROCESS_GROUP = CREATE_NEW_PROCESS_GROUP


def _play_files():
    shutil._use_fd_functions = False  # As on Windows: shutil.rmtree removes by path.
    for name in ("remove", "unlink", "rmdir", "rename", "replace"):
        setattr(os, name, _unless_open(name, getattr(os, name)))
    os.mkdir = _named_for_windows(os.mkdir)
    builtins.open = _opened_as_on_windows(open)


def _unless_open(name, real):
    def change(source, *others, **keywords):
        if _own_code_calls():
            for path in (source,) + others[:1]:
                if holder_of(path):
                    raise PermissionError(
                        errno.EACCES,
                        "The process cannot access the file because it is being used by another "
                        "process",
                        path,
                    )
            if name == "rename" and os.path.lexists(others[0]):
                raise FileExistsError(
                    errno.EEXIST, "Cannot create a file when that file already exists", source
                )
        return real(source, *others, **keywords)

    return change


def holder_of(path):
    """The number of a process that holds the file, or something below the folder, open."""
    wanted = os.path.realpath(os.fsdecode(path))
    for process in filter(str.isdigit, os.listdir("/proc")):
        links = [f"/proc/{process}/cwd"]
        try:
            links += [f"/proc/{process}/fd/{n}" for n in os.listdir(f"/proc/{process}/fd")]
        except OSError:
            continue  # It has ended, or is another user's.
        for link in links:
            try:
                held = os.readlink(link)
            except OSError:
                continue
            if held == wanted or held.startswith(wanted + os.sep):
                return int(process)
    return None


def _named_for_windows(real):
    def make(path, *others, **keywords):
        if _own_code_calls():
            _refuse_name(path)
        return real(path, *others, **keywords)

    return make


def _opened_as_on_windows(real):
    def opened(file, mode="r", buffering=-1, encoding=None, *others, **keywords):
        if _own_code_calls() and not isinstance(file, int):
            if set(mode) & set("wxa") and file != os.devnull:
                _refuse_name(file)
            if "b" not in mode:
                encoding = encoding or "cp1252"
        return real(file, mode, buffering, encoding, *others, **keywords)

    return opened


def _refuse_name(path):
    # A script that imports nothing of the project need not have it in its path.
    sys.path.append(ROOT)
    from graph_mode import machine

    sys.path.remove(ROOT)
    if len(os.path.abspath(os.fsdecode(path))) > machine.LONGEST_WINDOWS_PATH:
        raise FileNotFoundError(
            errno.ENOENT, "The system cannot find the path specified", os.fspath(path)
        )
    if machine.refused_by_windows(os.path.basename(os.fsdecode(path).rstrip(os.sep))):
        why = "The filename, directory name, or volume label syntax is incorrect"
        raise OSError(errno.EINVAL, why, path)


def pytest_load_initial_conftests(early_config):
    """Begins before conftest.py imports the project, whose machine.py asks which system it is on.

    Has every Python that the tests start load this too, by way of a sitecustomize.
    """
    folder = tempfile.mkdtemp(prefix="windows_like")
    early_config.add_cleanup(lambda: shutil.rmtree(folder))
    with open(os.path.join(folder, "sitecustomize.py"), "w", encoding="utf-8") as file:
        file.write(f"import sys\nsys.path.append({TESTS!r})\nimport windows_like\n")
        file.write("windows_like.install()\n")
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([folder] + ([others] if others else []))
    for name in ("SHELL", "PROMPT"):  # The shell at hand is PowerShell.
        os.environ.pop(name, None)
    install()


def pytest_collection_modifyitems(items):
    import pytest

    for item in items:
        name = item.nodeid.split("::")[-1].split("[")[0]
        if name in NEEDS_POSIX:
            item.add_marker(pytest.mark.skip(reason=f"Windows has no {NEEDS_POSIX[name]}"))
