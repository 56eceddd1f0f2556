"""A run: its folder, who may write there, its event files."""

import contextlib
import glob
import math
import os
import shutil

from graph_mode import flags as flag_table
from graph_mode import machine, names
from graph_mode.command_line import CommandError
from graph_mode.runs import record

SPLITS = ("train", "validation", "test")


def default_name(flags, table, named):
    """<optimizer>_<batchnorm|no_batchnorm>, and the flags that were given other values than theirs;
    table: {name: flags.Flag} of the script; named: those that stand on the command line."""
    words = [flags.optimizer, "batchnorm" if flags.batch_norm else "no_batchnorm"]
    words += ["fast"] if getattr(flags, "fast", False) else []
    for name, flag in table.items():
        is_new = name in named and getattr(flags, name) != flag.default
        if is_new and flag.role == flag_table.NUMBERS and name not in ("optimizer", "batch_norm"):
            word = flag_table.as_word(name, getattr(flags, name))
            words.append(word.lstrip("-").replace("=", "-"))
    return names.safe("_".join(words))


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
            run._claim()
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
        """Takes the run back to its checkpoint before `first_step`: what it wrote after that or at
        its end goes, and half-written files. Raises CommandError where an event file is damaged."""
        from graph_mode.runs import event_writer

        try:
            for split in ("",) + SPLITS:
                # The test set is measured at a run's end alone.
                last_step = -math.inf if split == "test" else first_step - 1
                for path in self._files(split, "events.out.tfevents.*"):
                    event_writer.drop_events_after(path, last_step)
            for path in self._files("", ".*.part") + self._files("", record.RESULT):
                os.remove(path)
        except PermissionError as error:  # as on Windows, of a file that a program holds open
            raise CommandError(
                f"{path}: {error.strerror}; if TensorBoard shows this run, close it, then resume "
                "again"
            ) from None
        record.write_json(os.path.join(self.folder, record.SETTINGS), settings)
        self._open()

    def _files(self, subfolder, pattern):
        return glob.glob(os.path.join(glob.escape(os.path.join(self.folder, subfolder)), pattern))

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

        for split in SPLITS:
            writer = event_writer.EventWriter(os.path.join(self.folder, split))
            self._writers.append(writer)
            setattr(self, split, writer)

    def write_result(self, result):
        """Writes result.json: final losses and accuracies, steps, seconds, steps_per_second."""
        numbers = {name: value if math.isfinite(value) else None for name, value in result.items()}
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
    if machine.WINDOWS and machine.WINDOWS_REFUSED.search(name):
        raise CommandError(f"--run-name {name!r}: Windows refuses this name: take another")
    parent = os.path.join(log_dir, network)
    try:
        os.makedirs(parent, exist_ok=True)
        for each in names.numbered(name):
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.join(parent, each))
                return os.path.join(parent, each)
    except OSError as error:
        raise CommandError(
            f"cannot write runs to {log_dir}: {error.strerror}; name another folder with --log-dir"
        ) from None
