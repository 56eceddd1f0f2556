"""Checkpoints: everything a run needs to go on, bit for bit, as if it had never stopped.

A checkpoint holds the model's variables, the optimizer's, the step, the order and the position of
the batches, their random numbers, the best validation loss so far and the settings.
tf.train.Saver writes it under another name and renames it, and only then forgets an older one, so
a kill at any instant leaves a checkpoint that can be used.
"""

import collections
import json
import os

import numpy as np

from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError

KEPT = 3
NAME = "model"


class Checkpoints:
    """The checkpoints of one run, in the current graph: call this after the optimizer is built."""

    def __init__(self, settings, data_set):
        placeholders = {
            "batches/order": (tf.int32, [data_set.num_examples]),
            "batches/position": (tf.int64, []),
            "batches/epochs_completed": (tf.int64, []),
            "batches/random_key": (tf.int64, [624]),
            "batches/random_position": (tf.int64, []),
            "best_validation_loss": (tf.float64, []),
            "settings": (tf.string, []),
        }
        self._settings = json.dumps(settings, sort_keys=True)
        self._data_set = data_set
        self._state = collections.OrderedDict()
        self._fed = {}
        with tf.name_scope("checkpoint"):
            for name, (dtype, shape) in placeholders.items():
                self._fed[name] = tf.placeholder(dtype, shape)
                self._state[name] = tf.Variable(
                    self._fed[name], trainable=False, collections=[], name=name
                )
            self._set_state = [variable.initializer for variable in self._state.values()]
            variables = tf.global_variables() + list(self._state.values())
            self._last = tf.train.Saver(variables, max_to_keep=KEPT, save_relative_paths=True)
            self._best = tf.train.Saver(variables, max_to_keep=1, save_relative_paths=True)
        self.best_validation_loss = np.inf

    def save(self, session, run, step, validation_loss=None):
        """Saves the session after `step`, as the best too if `validation_loss` is the lowest."""
        is_best = validation_loss is not None and validation_loss < self.best_validation_loss
        if is_best:
            self.best_validation_loss = validation_loss
        state = self._data_set.state()
        values = {f"batches/{name}": value for name, value in state.items()}
        values.update(best_validation_loss=self.best_validation_loss, settings=self._settings)
        session.run(self._set_state, {self._fed[name]: values[name] for name in self._fed})
        if is_best:
            _save(self._best, session, os.path.join(folder(run), "best"), step)
        _save(self._last, session, folder(run), step)

    def restore(self, session, run):
        """Sets the session and the data set to the run's last usable checkpoint.

        Raises CommandError if there is none.
        """
        paths = _listed(folder(run))
        for path in reversed(paths):
            try:
                self._last.restore(session, path)
            except (tf.errors.OpError, ValueError):
                continue
            self._last.recover_last_checkpoints(paths[: paths.index(path) + 1])
            self._best.recover_last_checkpoints(_listed(os.path.join(folder(run), "best")))
            state = session.run(self._state)
            self.best_validation_loss = float(state.pop("best_validation_loss"))
            state.pop("settings")
            self._data_set.restore({os.path.basename(name): state[name] for name in state})
            return
        found = f"{len(paths)} that cannot be read" if paths else "none"
        raise CommandError(
            f"{folder(run)}: expected a checkpoint to go on from, found {found}: start a new run"
        )


def folder(run):
    """Where the run keeps its checkpoints; those in best/ had the lowest validation loss."""
    return os.path.join(run, "checkpoints")


def latest(run):
    """The path of the run's last checkpoint, or None."""
    paths = _listed(folder(run))
    return paths[-1] if paths else None


def _listed(path):
    """The checkpoints that the folder's own list names, oldest first."""
    state = tf.train.get_checkpoint_state(path)
    paths = list(state.all_model_checkpoint_paths) if state else []
    return [path for path in paths if os.path.exists(f"{path}.index")]


def _save(saver, session, path, step):
    try:
        os.makedirs(path, exist_ok=True)
        saver.save(session, os.path.join(path, NAME), step, write_meta_graph=False)
    except (OSError, tf.errors.OpError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
        raise CommandError(
            f"cannot write a checkpoint to {path}: {reason}; the checkpoints before it are intact"
        ) from None
