"""Where a run writes: its folder, its event files, settings.json and result.json."""

import itertools
import json
import os
import platform
import tempfile

import numpy as np

from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError

PARTS = ("train", "validation", "test")


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


class EventWriters:
    """The event files of one run: one writer each for train/, validation/ and test/."""

    def __init__(self, run):
        self._writers = {part: tf.summary.FileWriter(os.path.join(run, part)) for part in PARTS}

    def add_scalars(self, part, step, wall_time, **scalars):
        """Adds one event with the named scalars to `part` (one of PARTS)."""
        values = [tf.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        event = tf.Event(wall_time=wall_time, step=step, summary=tf.Summary(value=values))
        self._writers[part].add_event(event)

    def add_training_losses(self, first_step, losses, started, ended):
        """Adds `loss` of consecutive steps that ran from `started` to `ended` (seconds, epoch)."""
        times = np.linspace(started, ended, len(losses) + 1)[1:]
        for step, (loss, wall_time) in enumerate(zip(losses.tolist(), times.tolist()), first_step):
            self.add_scalars("train", step, wall_time, loss=loss)

    def flush(self):
        for writer in self._writers.values():
            writer.flush()

    def close(self):
        for writer in self._writers.values():
            writer.close()


def write_settings(run, network, options, data_checksums):
    """Writes settings.json: all flags, the versions, the SHA-256 of each data file."""
    settings = {
        "network": network,
        "flags": vars(options),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.VERSION,
            "numpy": np.__version__,
        },
        "data": data_checksums,
    }
    write_json(os.path.join(run, "settings.json"), settings)


def write_result(run, result):
    """Writes result.json: final losses and accuracies, steps, seconds, steps_per_second."""
    write_json(os.path.join(run, "result.json"), result)


def write_json(path, value):
    """Writes `value` as JSON under a temporary name and renames it: never half a file."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".writing-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2, sort_keys=True)
            file.write("\n")
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
