"""Checkpoints: everything a run needs to go on, bit for bit, as if it had never stopped.

A checkpoint holds the model's variables, the optimizer's, the step, the order and the position of
the batches, their random numbers, the best validation loss so far and the settings.
tf.train.Saver writes the data under another name and renames it, then the index, and only then
forgets an older one: a kill at any instant leaves a checkpoint that can be used. What a folder
holds is read off the names in it, and each part of a checkpoint carries its checksum.
"""

import collections
import contextlib
import glob
import json
import os
import re
import shutil

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
        self._last_step = None

    def is_best(self, validation_loss):
        return validation_loss is not None and validation_loss < self.best_validation_loss

    def save(self, session, run, step, validation_loss=None):
        """Saves the session after `step`, as the best too if `validation_loss` is the lowest."""
        is_best = self.is_best(validation_loss)
        if is_best:
            self.best_validation_loss = validation_loss
        state = self._data_set.state()
        values = {f"batches/{name}": value for name, value in state.items()}
        values.update(best_validation_loss=self.best_validation_loss, settings=self._settings)
        session.run(self._set_state, {self._fed[name]: values[name] for name in self._fed})
        if is_best:
            _save(self._best, session, run, best_folder(run), step)
        # To write over the checkpoint of this step would leave none for an instant.
        if step != self._last_step:
            _save(self._last, session, run, folder(run), step)
            self._last_step = step

    def restore(self, session, run):
        """Sets the session and the data set to the run's last usable checkpoint.

        Raises CommandError if there is none.
        """
        paths = _found(folder(run))
        for path in reversed(paths):
            try:
                self._last.restore(session, path)
            except (tf.errors.OpError, ValueError):
                continue
            self._last_step = _step(path)
            self._last.recover_last_checkpoints(paths[: paths.index(path) + 1])
            self._best.recover_last_checkpoints(_found(best_folder(run)))
            state = session.run(self._state)
            self.best_validation_loss = float(state.pop("best_validation_loss"))
            state.pop("settings")
            self._data_set.restore({os.path.basename(name): state[name] for name in state})
            _remove_unusable(folder(run), self._last_step)
            _remove_unusable(best_folder(run))
            return
        found = f"{len(paths)} that cannot be read" if paths else "none"
        raise CommandError(
            f"{folder(run)}: expected a checkpoint to go on from, found {found}: start a new run"
        )


def folder(run):
    """Where the run keeps its checkpoints."""
    return os.path.join(run, "checkpoints")


def best_folder(run):
    """Where the run keeps the checkpoint with the lowest validation loss."""
    return os.path.join(folder(run), "best")


def latest(run):
    """The path of the run's last checkpoint, or None."""
    paths = _found(folder(run))
    return paths[-1] if paths else None


def find(path):
    """The checkpoint that `path` names: itself, or the last one of a run or a folder of them."""
    for place in (folder(path), path):
        paths = _found(place)
        if paths:
            return paths[-1]
    return path


def _found(path):
    """The checkpoints of a run in this folder, oldest first."""
    paths = glob.glob(os.path.join(glob.escape(path), f"{NAME}-*.index"))
    paths = [path[: -len(".index")] for path in paths]
    return sorted((path for path in paths if _step(path) is not None), key=_step)


def _step(path):
    match = re.match(f"{NAME}-([0-9]+)$", os.path.basename(path))
    return int(match.group(1)) if match else None


def _save(saver, session, run, path, step):
    try:
        # Not with its parents: a run that was removed is not to come back.
        for each in (folder(run), path):
            with contextlib.suppress(FileExistsError):
                os.mkdir(each)
        saver.save(session, os.path.join(path, NAME), step, write_meta_graph=False)
    except (OSError, tf.errors.OpError, ValueError) as error:
        _remove_unusable(path, step - 1)
        raise CommandError(
            f"{path}: a checkpoint cannot be written: {reason_of(error)}; those before it "
            "are intact: mend that, then go on with --resume"
        ) from None


def reason_of(error):
    """What the disk refused, in a few words, of an OSError or an error of TensorFlow."""
    reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    # TensorFlow's own text tells, before and behind the reason, of the operation and its origin.
    before_node, is_of_node, _ = reason.partition("[[")
    return before_node.strip().splitlines()[-1 if is_of_node else 0].strip()


def _remove_unusable(path, last_step=np.inf):
    """Removes from this folder what is no whole checkpoint, and those after `last_step`."""
    with contextlib.suppress(OSError):
        for name in os.listdir(path):
            leftover = os.path.join(path, name)
            stem = re.match(f"{NAME}-[0-9]+(?=[.]data-|[.]index)", name)
            if re.match(f"{NAME}-[0-9]+_temp", name) or name.startswith("checkpoint.tmp"):
                shutil.rmtree(leftover) if os.path.isdir(leftover) else os.remove(leftover)
            elif stem and (
                _step(stem.group()) > last_step
                or not os.path.exists(os.path.join(path, f"{stem.group()}.index"))
            ):
                os.remove(leftover)
