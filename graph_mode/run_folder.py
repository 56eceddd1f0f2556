"""A run's folder: who may write there, its settings and result, and its event files."""

import contextlib
import glob
import itertools
import json
import math
import os
import platform
import shutil

import numpy as np

from graph_mode import event_writer
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.output_file import output_file

PARTS = ("train", "validation", "test")
SETTINGS = "settings.json"
RESULT = "result.json"
LARGEST_SETTINGS = 1 << 16  # bytes; real ones have about 1500
# Flags that say what to do with a run, not what it is.
NOT_RECORDED = ("resume", "evaluate", "export")


def create(log_dir, network, run_name):
    """Makes and returns log_dir/network/run_name, or -2, -3, ... where that exists.

    Making the folder is what claims the name, so two runs that start together never share one.
    Raises CommandError where nothing can be written.
    """
    parent = os.path.join(log_dir, network)
    try:
        os.makedirs(parent, exist_ok=True)
        for number in itertools.count(1):
            path = os.path.join(parent, run_name if number == 1 else f"{run_name}-{number}")
            try:
                os.mkdir(path)
                return path
            except FileExistsError:
                continue
    except OSError as error:
        raise CommandError(
            f"cannot write runs to {log_dir}: {error.strerror}; name another folder with --log-dir"
        ) from None


def remove(run):
    """Takes back what create() made, for a run that came to nothing."""
    shutil.rmtree(run, ignore_errors=True)


@contextlib.contextmanager
def removed_on_error(run):
    """Takes back what create() made if the block fails."""
    try:
        yield
    except BaseException:
        remove(run)
        raise


def lock(run):
    """Claims the run for this process, until the returned file is closed or the process ends.

    Raises CommandError while another process has it.
    """
    import fcntl

    file = open(os.path.join(run, ".lock"), "a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise CommandError(
            f"{run}: another process is writing this run: wait until it ends, or stop it"
        ) from None
    return file


def settings_of(network, options, data_checksums):
    """What settings.json holds: all flags, the versions, the SHA-256 of each data file."""
    return {
        "network": network,
        "flags": {name: v for name, v in vars(options).items() if name not in NOT_RECORDED},
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.VERSION,
            "numpy": np.__version__,
        },
        "data": data_checksums,
    }


def read_settings(run):
    """The run's settings, whose flags are unchecked yet. Raises CommandError where there are none.

    The file is data from who knows where: its size is limited, and its parts are of the types that
    settings_of() gives.
    """
    path = os.path.join(run, SETTINGS)
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
        and isinstance(value.get("flags"), dict)
        and isinstance(value.get("data"), dict)
    )


def write_settings(run, settings):
    _write_json(os.path.join(run, SETTINGS), settings)


def write_result(run, result):
    """Writes result.json: final losses and accuracies, steps, seconds, steps_per_second."""
    numbers = {name: value if math.isfinite(value) else None for name, value in result.items()}
    _write_json(os.path.join(run, RESULT), numbers)


def has_result(run):
    """Whether the run came to its end."""
    return os.path.exists(os.path.join(run, RESULT))


def prepare_to_go_on(run, first_step, validate_every):
    """Takes the run back to its checkpoint before `first_step`: every step is there once.

    Goes: what was written after the checkpoint by a run that was killed; what an end that is none
    any more has left; half-written files. Raises CommandError where an event file is damaged.
    """
    last_evaluation = (first_step - 1) // validate_every * validate_every
    kept = {"": last_evaluation, "train": first_step - 1, "validation": last_evaluation, "test": -1}
    for part, last_step in kept.items():
        folder = glob.escape(os.path.join(run, part))
        for path in glob.glob(os.path.join(folder, "events.out.tfevents.*")):
            event_writer.drop_events_after(path, last_step)
    leftovers = glob.glob(os.path.join(glob.escape(run), ".*.part"))
    for path in leftovers + glob.glob(os.path.join(glob.escape(run), RESULT)):
        os.remove(path)


def _write_json(path, value):
    with output_file(path) as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")


class EventWriters:
    """The run's event files: `train`, `validation`, `test` hold scalars, `extra` all the rest."""

    def __init__(self, run):
        self.extra = event_writer.EventWriter(run)
        for part in PARTS:
            setattr(self, part, event_writer.EventWriter(os.path.join(run, part)))

    def add_training_losses(self, first_step, losses, started, ended):
        """Adds `loss` of consecutive steps that ran from `started` to `ended` (seconds, epoch)."""
        times = np.linspace(started, ended, len(losses) + 1)[1:]
        for step, (loss, wall_time) in enumerate(zip(losses.tolist(), times.tolist()), first_step):
            self.train.add_scalars(step, wall_time, loss=loss)

    def flush(self):
        for writer in self._all():
            writer.flush()

    def close(self):
        # The stack closes every file, whichever of them the disk refuses.
        with contextlib.ExitStack() as stack:
            for writer in self._all():
                stack.callback(writer.close)

    def _all(self):
        return [self.extra] + [getattr(self, part) for part in PARTS]
