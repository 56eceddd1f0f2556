"""A run: its folder, who may write there, its event files."""

import contextlib
import glob
import hashlib
import itertools
import os
import shutil

from graph_mode import flags, machine
from graph_mode.command_line import CommandError
from graph_mode.runs import record

SPLITS = ("train", "validation", "test")
# On Windows, a whole path has no more than 259 characters.
LONGEST_DEFAULT_NAME = 60 if machine.WINDOWS else 100


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
            run._open()
            record.write_json(os.path.join(run.folder, record.SETTINGS), settings)
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
        from graph_mode.runs import event_writer

        for split in ("",) + SPLITS:
            # What was measured for the test set belongs to an end that is none any more.
            last_step = -1 if split == "test" else first_step - 1
            place = glob.escape(os.path.join(self.folder, split))
            for path in glob.glob(os.path.join(place, "events.out.tfevents.*")):
                with _in_use(path):
                    event_writer.drop_events_after(path, last_step)
        place = glob.escape(self.folder)
        for pattern in (".*.part", record.RESULT):
            for path in glob.glob(os.path.join(place, pattern)):
                with _in_use(path):
                    os.remove(path)
        record.write_json(os.path.join(self.folder, record.SETTINGS), settings)
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
        from graph_mode.runs import event_writer  # loads TensorBoard: not for --help

        if self._lock is None:
            self._claim()
        for split in SPLITS:
            writer = event_writer.EventWriter(os.path.join(self.folder, split))
            self._writers.append(writer)
            setattr(self, split, writer)

    def write_result(self, result):
        """Writes result.json: final losses and accuracies, steps, seconds, steps_per_second."""
        numbers = {name: value if record.is_json(value) else None for name, value in result.items()}
        record.write_json(os.path.join(self.folder, record.RESULT), numbers)

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
    if machine.WINDOWS and machine.refused_by_windows(name):
        raise CommandError(f"--run-name {name!r}: Windows refuses this name: take another")
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


@contextlib.contextmanager
def _in_use(path):
    """Says what to do where Windows refuses to change a file that another program holds open."""
    try:
        yield
    except PermissionError as error:
        raise CommandError(
            f"{path}: {error.strerror}; if TensorBoard shows this run, close it, then resume again"
        ) from None
