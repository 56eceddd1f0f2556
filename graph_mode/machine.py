"""What differs between Linux, macOS and Windows: cores, memory, locks, signals, shells.

No other file asks. What a system does not have is passed over.
"""

import contextlib
import ctypes
import errno
import math
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys

WINDOWS = os.name == "nt"
PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# The signals that ask a process to end, and what to call them.
WORDS = {"SIGINT": "Ctrl-C", "SIGBREAK": "Ctrl-Break", "SIGHUP": "the end of its terminal"}
SIGNALS = {
    getattr(signal, name): WORDS.get(name, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
}

# What a name on Windows cannot hold, or end with.
WINDOWS_REFUSED = re.compile(r'[<>:"|?*\\/\x00-\x1f]|[. ]$')
# Words that PowerShell takes as they are; a comma, for one, would make a list.
POWERSHELL_PLAIN = re.compile(r"[\w.:\\/=+-]+$")
# Of subprocess.Popen, for a process that Ctrl-C in the terminal leaves alone.
WORKER_OPTIONS = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if WINDOWS else {}

# With one of these, TensorFlow 2.9 and later use oneDNN by themselves (names as in /proc/cpuinfo).
ONEDNN_FEATURES = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
# From the widest down, by the same names.
VECTOR_INSTRUCTIONS = {"avx512_vnni": "AVX-512 VNNI", "avx512f": "AVX-512", "avx2": "AVX2"}


class Locked(Exception):
    """Another process holds the lock."""


def lock(path):
    """Claims the lock file until the result's release() or the end of this process. Raises Locked
    while another process has it, and OSError where it cannot be made."""
    import filelock

    held = filelock.FileLock(path)
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        raise Locked(path) from None
    return held


def cores(root="/"):
    """How many cores this process may use: by its affinity, and by the quota of its container.
    root: where /proc and /sys are found."""
    affinity = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return max(1, min([len(affinity(0))] + [math.ceil(quota) for quota in _quotas(root)]))


def _quotas(root):
    """Yields the cores of this process's control group and those around it (version 2)."""
    found = re.search("^0::(.*)$", _read(root, "proc/self/cgroup"), re.MULTILINE)
    names = found.group(1).split("/") if found else []
    for count in range(len(names) + 1):
        # Inside a container, the path can be the host's: then the mount's root is the group.
        limit = re.match(r"(\d+) (\d+)$", _read(root, "sys/fs/cgroup", *names[:count], "cpu.max"))
        if limit:
            yield int(limit.group(1)) / int(limit.group(2))


def free_memory(root="/"):
    """Bytes that new processes may take, on Linux; None where the system does not say."""
    found = re.search(r"MemAvailable: +(\d+) kB", _read(root, "proc/meminfo"))
    return int(found.group(1)) * 1024 if found else None


def _read(*path):
    """The text of a file of the system; empty where there is none."""
    try:
        with open(os.path.join(*path), encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def keep_freed_memory():
    """Has glibc hand freed memory out again, instead of asking the system for new pages each step:
    up to 22,000 of them for the convolutional network on TensorFlow 1.15."""
    mallopt = None if WINDOWS else getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, in bytes: its largest
        mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
        mallopt(-2, 2**26)  # M_TOP_PAD


def switch_onednn_on(root="/"):
    """Has TensorFlow 2.9 and later, not imported yet, use oneDNN on processors with AVX2 where it
    would leave it off (docs/machines.md). A user's own TF_ENABLE_ONEDNN_OPTS wins."""
    features = set(_processor_fields(root).get("flags", "").split())
    is_left_off = "avx2" in features and not ONEDNN_FEATURES & features
    if is_left_off and _tensorflow_version() >= (2, 9):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def processor(root="/"):
    """The kind of processor, on which the last digits of a run depend: on Linux, its name, family
    and model (virtual machines hide the model in the name), and its widest vector instructions."""
    fields = _processor_fields(root)
    name = fields.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in fields and "model" in fields:
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    elif "CPU part" in fields:  # of ARM
        name += f" CPU part {fields['CPU part']}"
    features = fields.get("flags", "").split()
    widest = [title for flag, title in VECTOR_INSTRUCTIONS.items() if flag in features]
    return f"{name} with {widest[0]}" if widest else name


def _processor_fields(root):
    """{field: value} of the last processor in /proc/cpuinfo; empty where there is none."""
    return dict(re.findall(r"^(\w[\w ]*?)\s*: *(.*)$", _read(root, "proc/cpuinfo"), re.MULTILINE))


def _tensorflow_version():
    """TensorFlow's version as it is installed, (2, 21), without importing it; (0, 0) if unknown."""
    for name in ("tensorflow", "tensorflow-cpu"):
        # ImportError: no such package, or Python 3.7, which TensorFlow 2.12 does not know.
        with contextlib.suppress(ImportError):
            from importlib import metadata

            return tuple(map(int, metadata.version(name).split(".")[:2]))
    return (0, 0)


def ipython():
    """Which IPython runs this process: "kernel" (Jupyter, Colab), "terminal", or None for none.

    There the process is the user's: a script does not end it, leaves its signals and environment as
    they were, and raises its errors to be shown in one line each.
    """
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module else None
    if shell is None:
        return None
    return "kernel" if hasattr(shell, "kernel") else "terminal"


def reader_has_left(error):
    """Whether an OSError says that the other end of a pipe or the terminal is gone."""
    if WINDOWS and error.errno == errno.EINVAL:
        # Of a file, it says that its name is no name. "-" is standard output.
        return error.filename in (None, "-")
    return error.errno in (errno.EPIPE, errno.EIO)


def command(words):
    """The words as one command line for the shell at hand: PowerShell on Windows."""
    if not WINDOWS:
        return " ".join(shlex.quote(str(word)) for word in words)
    line = " ".join(
        word if POWERSHELL_PLAIN.match(word) else "'{}'".format(word.replace("'", "''"))
        for word in map(str, words)
    )
    # A line that begins with a quoted word is a string for PowerShell, unless & calls it.
    return f"& {line}" if line.startswith("'") else line


def magic(words):
    """The words as a line of IPython: %run and what follows, %tensorboard and what follows."""
    if not WINDOWS:
        return f"%{command(words)}"
    # IPython splits a line as Windows does, and TensorBoard as Unix: both know double quotes.
    return "%" + " ".join(w if re.match(r"[\w.:/=+-]+$", w) else f'"{w}"' for w in map(str, words))


def python():
    """How to call this Python on a command line."""
    if os.path.normcase(shutil.which("python") or "") == os.path.normcase(sys.executable):
        return "python"
    from_here = relative(sys.executable)
    return sys.executable if from_here.startswith(os.pardir) else from_here


def how_to_install(project=PROJECT):
    """What to do when a package is missing: activate the .venv that make has put into the project's
    folder, if it is there and not in use."""
    pip, made = "pip install -r requirements.txt", os.path.join(project, ".venv")
    if not os.path.isdir(made) or os.path.realpath(made) == os.path.realpath(sys.prefix):
        return f"run {pip}"
    words = [relative(os.path.join(made, "Scripts", "Activate.ps1"))]
    if not WINDOWS:
        words = [".", relative(os.path.join(made, "bin", "activate"))]
    return f"run {command(words)}, or {pip}"


def no_flag(path):
    """`path` so that no command takes it for a flag."""
    return os.path.join(os.curdir, path) if path.startswith("-") else path


def relative(path):
    """`path` from the current folder, or whole where there is no such way (another drive)."""
    try:
        return os.path.relpath(path)
    except ValueError:
        return os.path.abspath(path)
