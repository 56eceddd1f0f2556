"""What differs between systems: cores, memory, locks, signals, shells. No other file asks.

Everything here works on Linux, macOS and Windows; what a system does not have is looked for and
passed over.
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

# The signals that ask a process to end, and what to call them.
WORDS = {"SIGINT": "Ctrl-C", "SIGBREAK": "Ctrl-Break", "SIGHUP": "the end of its terminal"}
SIGNALS = {
    getattr(signal, name): WORDS.get(name, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
}

# What a name on Windows cannot hold, end with, or be: devices have names such as con and com1.
WINDOWS_REFUSES = '<>:"|?*\\/'
WINDOWS_REFUSED = re.compile(
    r'[<>:"|?*\\/\x00-\x1f]|[. ]$|^(con|prn|aux|nul|(com|lpt)[1-9])\s*(\.|$)', re.IGNORECASE
)
# Words that PowerShell takes as they are; a comma, for one, would make a list.
POWERSHELL_PLAIN = re.compile(r"[\w.:\\/=+-]+$")
# What PowerShell takes for a single quote: the typewriter's and those of typography.
POWERSHELL_QUOTES = re.compile("['\u2018-\u201b]")

# With one of these, TensorFlow 2.9 and later use oneDNN by themselves (names as in /proc/cpuinfo).
ONEDNN_FEATURES = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
# From the widest down, by the same names.
VECTOR_INSTRUCTIONS = {"avx512_vnni": "AVX-512 VNNI", "avx512f": "AVX-512", "avx2": "AVX2"}


class Locked(Exception):
    """Another process holds the lock."""


def lock(path):
    """Claims the lock file at `path` for this process; the result's release() gives it back.

    The system frees it when the process ends, however that happens. Raises Locked while another
    process has it, and OSError where the file cannot be made.
    """
    import filelock

    held = filelock.FileLock(path)
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        raise Locked(path) from None
    except NotImplementedError as error:  # of old filelock, on a file system without locks
        raise OSError(errno.ENOSYS, str(error), path) from None
    return held


def cores(root="/"):
    """How many cores this process may use: by its affinity, and by the quota of its container.

    root: where /proc and /sys are found.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min([count] + [math.ceil(quota) for quota in _quotas(root)]))


def _quotas(root):
    """Yields the cores that this process's control group and those around it may use.

    Linux only, control groups of version 2.
    """
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
    """Has glibc hand freed memory out again, instead of asking the system for new pages each step.

    On TensorFlow 1.15 a step of the convolutional network asks for up to 22,000 of them otherwise.
    """
    mallopt = None if WINDOWS else getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, in bytes: its largest
        mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
        mallopt(-2, 2**26)  # M_TOP_PAD


def switch_onednn_on(root="/"):
    """Has TensorFlow 2.9 and later use oneDNN where it would leave it off; to be called before its
    import. A user's own TF_ENABLE_ONEDNN_OPTS wins. root: where /proc is found.

    That is Linux on processors with AVX2 and none of ONEDNN_FEATURES: AMD Zen 1 to 3, Intel before
    Cascade Lake. docs/machines.md has the measurement.
    """
    features = _processor_fields(root).get("flags", "").split()
    if (
        "avx2" in features
        and not ONEDNN_FEATURES & set(features)
        and _tensorflow_version() >= (2, 9)
    ):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def processor(root="/"):
    """The kind of processor in a few words, on which the last digits of a run depend.

    On Linux, its name, family and model (virtual machines hide the model in the name), and its
    widest vector instructions. root: where /proc is found.
    """
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
        # ImportError: no such package; in Python 3.7, no module metadata and no TensorFlow 2.12.
        with contextlib.suppress(ImportError, ValueError):
            from importlib import metadata

            return tuple(map(int, metadata.version(name).split(".")[:2]))
    return (0, 0)


def ipython():
    """Which IPython runs this process: "kernel" (Jupyter, Colab), "terminal", or None for none.

    In both of them the process is the user's: a script does not end it, leaves its signals and
    environment as they were, raises its errors to be shown in one line each, and names %run to
    continue. Only a kernel shows figures below the cell.
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
    words = [str(word) for word in words]
    if not WINDOWS:
        return " ".join(map(shlex.quote, words))
    quoted = list(map(_quoted_for_powershell, words))
    # A line that begins with a quoted word is a string for PowerShell, unless & calls it.
    return " ".join((["&"] if quoted[0].startswith("'") else []) + quoted)


def magic(words):
    """The words as a line of IPython: %run and what follows, %tensorboard and what follows."""
    if not WINDOWS:
        return f"%{command(words)}"
    # IPython splits a line as Windows does, and TensorBoard as Unix: both know double quotes.
    return "%" + " ".join(w if re.match(r"[\w.:/=+-]+$", w) else f'"{w}"' for w in map(str, words))


def _quoted_for_powershell(word):
    if POWERSHELL_PLAIN.match(word):
        return word
    return "'{}'".format(POWERSHELL_QUOTES.sub(r"\g<0>\g<0>", word))


def python():
    """How to call this Python on a command line."""
    for name in ("python", "python3"):
        # Windows finds python.EXE, and the interpreter calls itself python.exe.
        if os.path.normcase(shutil.which(name) or "") == os.path.normcase(sys.executable):
            return name
    from_here = relative(sys.executable)
    return sys.executable if from_here.startswith(os.pardir) else from_here


def no_flag(path):
    """`path` so that no command takes it for a flag."""
    return os.path.join(os.curdir, path) if path.startswith("-") else path


def relative(path):
    """`path` from the current folder, or whole where there is no such way (another drive)."""
    try:
        return os.path.relpath(path)
    except ValueError:
        return os.path.abspath(path)


def refused_by_windows(name):
    """What of the name Windows refuses in the name of a file; None if nothing."""
    found = WINDOWS_REFUSED.search(name)
    return found.group() if found else None


def worker_process_options():
    """Keywords of subprocess.Popen for a process that Ctrl-C in the terminal leaves alone."""
    if WINDOWS:
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {}
