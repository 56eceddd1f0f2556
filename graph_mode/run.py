"""A run: its folder, who may write there, its settings, events and result."""

import contextlib
import glob
import hashlib
import inspect
import itertools
import json
import math
import os
import platform
import shutil
import subprocess

from graph_mode import flags, machine
from graph_mode.command_line import CommandError
from graph_mode.output_file import output_file

SPLITS = ("train", "validation", "test")
SETTINGS = "settings.json"
RESULT = "result.json"
# The version of a run's numbers: one more with every change of the code that changes them by more
# than rounding, as tests/test_numbers.py sees. Runs of different versions are not compared.
NUMBERS = 1
# Of the versions in settings.json, those that decide the digits of a run, and what they are.
DIGITS = {
    "tensorflow": "TensorFlow",
    "numbers": "code with numbers",
    "processor": "the processor",
    "onednn": "oneDNN",
}
LARGEST_SETTINGS = 1 << 16  # bytes; real ones have about 2000
LARGEST_THREADS = 1 << 12
# A whole path has no more than 259 characters on Windows.
LONGEST_DEFAULT_NAME = 60 if machine.WINDOWS else 100
# The longest path below a run's folder: a checkpoint that TensorFlow 2 is writing.
LONGEST_BELOW = os.path.join(
    *("checkpoints", "best", "model-1000000_temp"),
    f"part-00000-of-00001.data-00000-of-00001.tempstate{2**64}",
)
PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def default_name(given, known, named):
    """<optimizer>_<batchnorm|no_batchnorm>, and the flags that were given other values than theirs.

    given: the flags; known: the script's table; named: the names that stand on the command line.
    The name is one that every system takes.
    """
    words = [given.optimizer, "batchnorm" if given.batch_norm else "no_batchnorm"]
    words += ["fast"] if getattr(given, "fast", False) else []
    for name, flag in known.items():
        is_new = name in named and getattr(given, name) != flag.default
        if is_new and flag.role == flags.NUMBERS and name not in ("optimizer", "batch_norm"):
            words.append(flags.as_word(name, getattr(given, name)).lstrip("-").replace("=", "-"))
    name = "_".join(words)
    name = "".join("-" if c in machine.WINDOWS_REFUSES else c for c in name)
    if len(name) > LONGEST_DEFAULT_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: LONGEST_DEFAULT_NAME - 9]}-{digest}"
    return name.rstrip(". ")


class Run:
    """A run that this process writes, from create() or resume() to close(); `folder` is its path.

    `train`, `validation` and `test` write event files of scalars; graph, text, histograms and
    images go to `train` too.
    """

    def __init__(self, folder):
        self.folder = folder
        self._lock = None
        self._writers = []

    @classmethod
    def create(cls, log_dir, network, name, settings):
        """Makes log_dir/network/name, or -2, -3, ... where that exists.

        Making the folder is what claims the name, so two runs that start together never share one.
        Raises CommandError where nothing can be written; then nothing is left.
        """
        run = cls(_make_folder(log_dir, network, name))
        try:
            _check_length(run.folder)
            run._open()
            write_json(os.path.join(run.folder, SETTINGS), settings)
        except BaseException:
            run.remove()
            raise
        return run

    @classmethod
    def resume(cls, folder):
        """Claims a run to continue it. Raises CommandError while another process writes it."""
        run = cls(folder)
        run._claim()
        return run

    def go_on_from(self, first_step, settings):
        """Takes the run back to its checkpoint before `first_step`: every step is there once.

        Goes: what was written after the checkpoint by a run that was killed; what an end that is
        none any more has left; half-written files. Raises CommandError where an event file is
        damaged.
        """
        from graph_mode import event_writer

        for split in ("",) + SPLITS:
            # What was measured for the test set belongs to an end that is none any more.
            last_step = -1 if split == "test" else first_step - 1
            place = glob.escape(os.path.join(self.folder, split))
            for path in glob.glob(os.path.join(place, "events.out.tfevents.*")):
                with _in_use(path):
                    event_writer.drop_events_after(path, last_step)
        place = glob.escape(self.folder)
        for pattern in (".*.part", RESULT):
            for path in glob.glob(os.path.join(place, pattern)):
                with _in_use(path):
                    os.remove(path)
        write_json(os.path.join(self.folder, SETTINGS), settings)
        self._open()

    def _claim(self):
        try:
            self._lock = machine.lock(os.path.join(self.folder, ".lock"))
        except machine.Locked:
            raise CommandError(
                f"{self.folder}: another process is writing this run: wait until it ends, or stop "
                "it"
            ) from None

    def _open(self):
        from graph_mode import event_writer  # loads TensorBoard: not for --help

        if self._lock is None:
            self._claim()
        for split in SPLITS:
            writer = event_writer.EventWriter(os.path.join(self.folder, split))
            self._writers.append(writer)
            setattr(self, split, writer)

    def write_result(self, result):
        """Writes result.json: final losses and accuracies, steps, seconds, steps_per_second."""
        numbers = {name: value if _is_json(value) else None for name, value in result.items()}
        write_json(os.path.join(self.folder, RESULT), numbers)

    def flush(self):
        """Hands every event to the operating system, and checks that the files are still there."""
        for writer in self._writers:
            writer.flush()

    def close(self):
        # The stack closes every file, whichever of them the disk refuses.
        with contextlib.ExitStack() as stack:
            if self._lock is not None:
                stack.callback(self._lock.release)
            for writer in self._writers:
                stack.callback(writer.close)

    def remove(self):
        """Takes the run back, when it came to nothing."""
        with contextlib.suppress(CommandError):
            self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _make_folder(log_dir, network, name):
    why = machine.refused_by_windows(name) if machine.WINDOWS else None
    if why:
        raise CommandError(f"--run-name {name!r}: Windows refuses it, since {why}: take another")
    parent = os.path.join(log_dir, network)
    try:
        os.makedirs(parent, exist_ok=True)
        for number in itertools.count(1):
            folder = os.path.join(parent, name if number == 1 else f"{name}-{number}")
            try:
                os.mkdir(folder)
                return folder
            except FileExistsError:
                continue
    except OSError as error:
        raise CommandError(
            f"cannot write runs to {log_dir}: {error.strerror}; name another folder with --log-dir"
        ) from None


def _check_length(folder):
    """Raises CommandError if Windows takes no path as long as those that a run needs."""
    probe = os.path.join(folder, "x" * len(LONGEST_BELOW))
    if not machine.WINDOWS or len(os.path.abspath(probe)) <= machine.LONGEST_WINDOWS_PATH:
        return
    try:  # Where the user has switched on long paths, it does.
        open(probe, "xb").close()
        os.remove(probe)
    except OSError:
        raise CommandError(
            f"{folder}: too long a path for Windows, which takes {machine.LONGEST_WINDOWS_PATH} "
            "characters with what a run writes there: name a shorter one with --log-dir or "
            "--run-name, or set LongPathsEnabled in the registry"
        ) from None


@contextlib.contextmanager
def _in_use(path):
    """Says what to do where Windows refuses to change a file that another program holds open."""
    try:
        yield
    except PermissionError as error:
        raise CommandError(
            f"{path}: {error.strerror}; if TensorBoard shows this run, close it, then resume again"
        ) from None


def settings_of(network, given, known, checksums, resolved, versions):
    """What settings.json holds: flags, versions, the SHA-256 of each data file, and `resolved`.

    versions: {name: value} of what is not known here, as of TensorFlow.
    """
    return {
        "network": network,
        "flags": {name: getattr(given, name) for name in known if flags.is_recorded(name)},
        "versions": {
            "python": platform.python_version(),
            **versions,
            "code": code_version(),
            "numbers": NUMBERS,
            "processor": machine.processor(),
        },
        "data": checksums,
        "resolved": resolved,
    }


def checksum_of(path):
    """The first 12 digits of a file's SHA-256."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


def source_of(function):
    """The checksum of the file that defines the function; None if there is none, as for a cell of
    a notebook or a functools.partial."""
    try:
        return checksum_of(inspect.getfile(function))
    except (TypeError, OSError):
        return None


def code_version(project=PROJECT):
    """The version of this project's code: git's commit, "-changed" behind it if the sources are not
    as committed; where git does not know, "sources-" and a checksum of them."""
    git = ["git", "-C", project]
    paths = ["--", "*.py"]
    try:
        top = _output(git + ["rev-parse", "--show-toplevel"])
        if os.path.samefile(top, project):
            commit = _output(git + ["rev-parse", "--short=12", "HEAD"])
            changed = _output(git + ["status", "--porcelain"] + paths)
            return commit + ("-changed" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        pass
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(glob.escape(project), "*.py"))) + sorted(
        glob.glob(os.path.join(glob.escape(project), "graph_mode", "**", "*.py"), recursive=True)
    ):
        with open(path, "rb") as file:
            digest.update(file.read())
    return f"sources-{digest.hexdigest()[:12]}"


def _output(command):
    found = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        check=True,
    )  # fmt: skip
    return found.stdout.decode(errors="replace").strip()


def read_settings(folder):
    """A run's settings, whose flags are unchecked yet. Raises CommandError where there are none.

    The file is data from who knows where: its size is limited, and its parts are of the types that
    settings_of() gives.
    """
    path = os.path.join(folder, SETTINGS)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LARGEST_SETTINGS + 1)
        if len(text) > LARGEST_SETTINGS:
            found = f"more than {LARGEST_SETTINGS} characters"
        elif _are_settings(json.loads(text)):
            return json.loads(text)
        else:
            found = "something else"
    except OSError as error:
        found = error.strerror
    except (ValueError, RecursionError):
        found = "something else"
    raise CommandError(f"{path}: expected the settings of a run, found {found}")


def _are_settings(value):
    return (
        isinstance(value, dict)
        and isinstance(value.get("network"), str)
        and all(isinstance(value.get(key), dict) for key in ("flags", "data"))
        and _is_history(value.get("earlier", []))
        and ("resolved" not in value or _are_resolved(value["resolved"], value["flags"]))
    )


def _are_resolved(value, given):
    """Whether trainer.resolve() may have given this for a run of the flags `given`."""
    if not isinstance(value, dict) or value.get("device") not in ("cpu", "gpu"):
        return False
    most = {"slices": given.get("batch_size"), "operation_threads": LARGEST_THREADS}
    return all(
        type(value.get(name)) is type(largest) is int and 1 <= value[name] <= largest
        for name, largest in most.items()
    )


def history(settings, first_step, versions):
    """What else than `versions` trained the batches before first_step, from the settings so far:
    [{"batches": how many were done, "versions": {...}}], for settings.json, "earlier"."""
    last = {"batches": first_step, "versions": settings.get("versions")}
    kept, done = [], 0
    for span in settings.get("earlier", []) + [last]:
        batches = min(span["batches"], first_step)
        if batches > done:
            if kept and kept[-1]["versions"] == span["versions"]:
                kept.pop()
            kept.append({"batches": batches, "versions": span["versions"]})
            done = batches
    if kept and kept[-1]["versions"] == versions:
        kept.pop()
    return kept


def other_arithmetic(earlier, versions):
    """How what trained the batches so far, history(), gives other digits than `versions`, in words;
    "" if it does not."""
    found = {}
    for span in earlier:
        for name, words in DIGITS.items():
            before = _dictionary(span["versions"])
            if name in before and before[name] != versions[name]:
                found[name] = f"{words} {before[name]}, now {versions[name]}"
    return ", ".join(found.values())


def has_these_numbers(settings):
    """Whether this code would give the run of a settings.json the same numbers again."""
    earlier = settings.get("earlier", [])
    return _is_history(earlier) and all(
        _dictionary(span.get("versions")).get("numbers") == NUMBERS for span in [settings] + earlier
    )


def _is_history(value):
    return isinstance(value, list) and all(
        isinstance(span, dict) and type(span.get("batches")) is int and "versions" in span
        for span in value
    )


def _dictionary(value):
    return value if isinstance(value, dict) else {}


def has_result(folder):
    """Whether the run came to its end."""
    return os.path.exists(os.path.join(folder, RESULT))


def read_json(path):
    """The content of a JSON file, or None if there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def write_json(path, value):
    """Writes a JSON file, whole or not at all."""
    with output_file(path) as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")


def _is_json(value):
    return not isinstance(value, float) or math.isfinite(value)
