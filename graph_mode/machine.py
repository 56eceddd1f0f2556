"""What differs between systems: cores, memory, locks, signals, shells. No other file asks.

Everything here works on Linux, macOS and Windows; what a system does not have is looked for and
passed over.
"""

import ctypes
import errno
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading

WINDOWS = os.name == "nt"

# The signals that ask a process to end, and their names for people.
SIGNALS = {
    getattr(signal, name): words
    for name, words in (
        ("SIGINT", "Ctrl-C"),
        ("SIGTERM", "SIGTERM"),
        ("SIGHUP", "the end of its terminal"),
        ("SIGBREAK", "Ctrl-Break"),
    )
    if hasattr(signal, name)
}

# The parameters of glibc's mallopt(3), in bytes.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_MMAP_THRESHOLD = 2**25

# Names that Windows keeps for devices, and characters that its file names cannot hold.
WINDOWS_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in "123456789\u00b9\u00b2\u00b3"
}
LONGEST_WINDOWS_PATH = 259
WINDOWS_REFUSES = set('<>:"|?*\\/')
# Words that PowerShell takes as they are; a comma, for one, would make a list.
POWERSHELL_PLAIN = re.compile(r"[\w.:\\/=+-]+$")
# What PowerShell takes for a single quote: the typewriter's and those of typography.
POWERSHELL_QUOTES = re.compile("['\u2018-\u201b]")
# Characters of file names that cmd takes for its own outside double quotes.
CMD_SPECIAL = set("&|<>^()")


# With one of these, TensorFlow 2.9 and later use oneDNN by themselves (names as in /proc/cpuinfo).
ONEDNN_FEATURES = {
    *("avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"),
}
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
    quotas = [quota for quota in map(_quota, _cgroup_folders(root)) if quota]
    return max(1, min([count] + [int(-(-quota // 1)) for quota in quotas]))


def free_memory(root="/"):
    """Bytes that new processes may take, on Linux; None where the system does not say.

    What a control group keeps of files that were read is free too: the system drops it on demand.
    """
    limits = []
    for entry in (_read(os.path.join(root, "proc/meminfo")) or "").splitlines():
        if entry.startswith("MemAvailable:"):
            limits.append(int(entry.split()[1]) * 1024)
    for folder in _cgroup_folders(root):
        for limit, usage, of_files in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            largest, used = (_number(os.path.join(folder, name)) for name in (limit, usage))
            if largest is not None and used is not None:
                statistics = (_read(os.path.join(folder, "memory.stat")) or "").splitlines()
                kept = dict(entry.split() for entry in statistics).get(of_files, 0)
                limits.append(max(0, largest - used + int(kept)))
    return min(limits) if limits else None


def _cgroup_folders(root):
    """The folders of this process's control groups and of the groups around them, Linux only."""
    folders = []
    for entry in (_read(os.path.join(root, "proc/self/cgroup")) or "").splitlines():
        _, controllers, path = entry.split(":", 2)
        wanted = [name for name in controllers.split(",") if name in ("cpu", "memory")]
        for controller in wanted or ([""] if not controllers else []):
            # Inside a container, the path can be the host's: then the mount's root is the group.
            base = os.path.join(root, "sys/fs/cgroup", controller)
            names = [name for name in path.split("/") if name]
            folders += [os.path.join(base, *names[:n]) for n in range(len(names), -1, -1)]
    return [folder for folder in folders if os.path.isdir(folder)]


def _quota(folder):
    """The cores that a control group may use, version 1 or 2; None without a limit."""
    words = (_read(os.path.join(folder, "cpu.max")) or "").split()
    if len(words) == 2 and words[0] != "max":
        return float(words[0]) / float(words[1])
    quota = _number(os.path.join(folder, "cpu.cfs_quota_us"))
    period = _number(os.path.join(folder, "cpu.cfs_period_us"))
    return quota / period if quota and quota > 0 and period else None


def _number(path):
    text = (_read(path) or "").strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return None


def keep_freed_memory():
    """Has glibc hand freed memory out again, instead of asking the system for new pages each step.

    On TensorFlow 1.15 a step of the convolutional network asks for up to 22,000 of them otherwise.
    """
    mallopt = None if WINDOWS else getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, 2**30)
        mallopt(M_TOP_PAD, 2**26)


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
    if not fields:
        return platform.processor() or platform.machine()
    of_arm = [
        f"{name} {fields[name]}" for name in ("CPU implementer", "CPU part") if name in fields
    ]
    name = fields.get("model name") or " ".join([platform.machine()] + of_arm)
    if "cpu family" in fields and "model" in fields:
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    features = fields.get("flags", "").split()
    widest = [title for flag, title in VECTOR_INSTRUCTIONS.items() if flag in features]
    return f"{name} with {widest[0]}" if widest else name


def _processor_fields(root):
    """{field: value} of the last processor in /proc/cpuinfo; empty where there is none."""
    entries = (_read(os.path.join(root, "proc/cpuinfo")) or "").splitlines()
    pairs = [entry.partition(":") for entry in entries if ":" in entry]
    return {name.strip(): value.strip() for name, _, value in pairs}


def _tensorflow_version():
    """TensorFlow's version as it is installed, (2, 21), without importing it; (0, 0) if unknown."""
    try:
        from importlib import metadata
    except ImportError:  # Python 3.7, which has no TensorFlow after 2.11
        return (0, 0)
    for name in ("tensorflow", "tensorflow-cpu", "tensorflow-intel"):
        try:
            major, minor = metadata.version(name).split(".")[:2]
            return (int(major), int(minor))
        except (metadata.PackageNotFoundError, ValueError):
            continue
    return (0, 0)


def in_notebook():
    """Whether IPython runs this process, whose state is the user's and must not end."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def in_main_thread():
    """Whether this thread may handle signals."""
    return threading.current_thread() is threading.main_thread()


def open_closed_streams():
    """Opens a standard stream that was closed (`>&-`) to nowhere.

    Else the next file to be opened would take its number, and be written what is printed.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            file = open(os.devnull, mode)
            if file.fileno() != number and not _is_open(number):
                os.dup2(file.fileno(), number)
            setattr(sys, name, file)


def reader_has_left(error):
    """Whether an OSError says that the other end of a pipe or the terminal is gone."""
    if WINDOWS and error.errno == errno.EINVAL:
        # Of a file, it says that its name is no name. "-" is standard output.
        return error.filename in (None, "-")
    return error.errno in (errno.EPIPE, errno.EIO)


def _is_open(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def command(words):
    """The words as one command line for the shell at hand.

    On Windows that is a shell of Unix (Git Bash) where SHELL is set, cmd where PROMPT is, else
    PowerShell.
    """
    words = [str(word) for word in words]
    if not WINDOWS or "SHELL" in os.environ:
        return " ".join(map(_quoted, words))
    if "PROMPT" in os.environ:
        return " ".join(map(_quoted_for_cmd, words))
    quoted = list(map(_quoted_for_powershell, words))
    # A line that begins with a quoted word is a string for PowerShell, unless & calls it.
    return " ".join((["&"] if quoted[0].startswith("'") else []) + quoted)


def run_magic(words):
    """The line for a notebook that runs a script: IPython splits it as its system would."""
    words = [str(word) for word in words]
    line = subprocess.list2cmdline(words) if WINDOWS else " ".join(map(_quoted, words))
    return f"%run {line}"


def tensorboard_magic(words):
    """The line for a notebook that shows TensorBoard, which splits it as a shell of Unix would."""
    return " ".join(["%tensorboard"] + [_quoted(str(word)) for word in words])


def _quoted(word):
    """The word for a POSIX shell; in one line of characters that can be shown."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, os.fsencode(word))) + "'"


def _quoted_for_cmd(word):
    quoted = subprocess.list2cmdline([word])
    if not CMD_SPECIAL & set(word) or quoted != word:
        return quoted
    # A backslash would escape the quote behind it.
    return '"{}{}"'.format(word, "\\" * (len(word) - len(word.rstrip("\\"))))


def _quoted_for_powershell(word):
    if POWERSHELL_PLAIN.match(word):
        return word
    return "'{}'".format(POWERSHELL_QUOTES.sub(r"\g<0>\g<0>", word))


def _escaped(byte):
    plain = 32 <= byte < 127 and byte not in b"'\\"
    return chr(byte) if plain else f"\\{byte:03o}"


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
    """Why Windows refuses a file of this name, in a few words; None if it does not."""
    bad = sorted(set(name) & WINDOWS_REFUSES) + [c for c in name if ord(c) < 32]
    if bad:
        return f"it holds {bad[0]!r}"
    if name.split(".")[0].rstrip(" ").lower() in WINDOWS_DEVICES:
        return "it is the name of a device"
    if name.endswith((".", " ")):
        return "it ends with a dot or a space"
    return None


def worker_process_options():
    """Keywords of subprocess.Popen for a process that Ctrl-C in the terminal leaves alone."""
    if WINDOWS:
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {}
