"""Checkpoints: everything a run needs to continue, bit for bit, as if it had never stopped.

A checkpoint holds the model's variables, the optimizer's, the step, the order and the position of
the batches, their random numbers and the best validation loss so far. tf.train.Saver writes the
data under another name and renames it, then the index; only then is an older one removed: a kill at
any instant leaves a checkpoint that can be used. What a folder holds is read off the names in it.
"""

import contextlib
import glob
import os
import re
import shutil
import tempfile

import numpy as np

from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError

KEPT = 3
NAME = "model"
# TensorFlow takes the names of files that it reads for patterns.
PATTERN_CHARACTERS = set("[]*?\\")
# What a checkpoint's files add to its name: tab completion offers them all.
FILE_SUFFIX = re.compile(r"\.(index|meta|data-[0-9]{5}-of-[0-9]{5})$")


class Checkpoints:
    """The checkpoints of one run, in the current graph: call this after the optimizer is built.
    examples: the training DataSet, whose state is kept too."""

    def __init__(self, examples):
        state = {
            "batches/order": (tf.int32, [examples.num_examples]),
            "batches/position": (tf.int64, []),
            "batches/epochs_completed": (tf.int64, []),
            "batches/random_key": (tf.int64, [624]),
            "batches/random_position": (tf.int64, []),
            "best_validation_loss": (tf.float64, []),
        }
        self._examples, self._state, self._fed = examples, {}, {}
        with tf.name_scope("checkpoint"):
            for name, (dtype, shape) in state.items():
                self._fed[name] = fed = tf.placeholder(dtype, shape)
                self._state[name] = tf.Variable(fed, trainable=False, collections=[], name=name)
            self._set_state = [variable.initializer for variable in self._state.values()]
            variables = tf.global_variables() + list(self._state.values())
            self._saver = tf.train.Saver(variables, max_to_keep=None, save_relative_paths=True)
        self.best_validation_loss = np.inf
        self._last_step = None

    def is_best(self, validation_loss):
        return validation_loss is not None and validation_loss < self.best_validation_loss

    def save(self, session, run, step, validation_loss=None, is_due=True):
        """Saves the session after `step` to the run's folder if it is due, and as the best if
        `validation_loss` is the lowest so far."""
        is_best = self.is_best(validation_loss)
        if is_best:
            self.best_validation_loss = validation_loss
        state = self._examples.state()
        values = {f"batches/{name}": value for name, value in state.items()}
        values["best_validation_loss"] = self.best_validation_loss
        session.run(self._set_state, {self._fed[name]: values[name] for name in self._fed})
        if is_best:
            self._save(session, run, best_folder(run), step, kept=1)
        # To write over the checkpoint of this step would leave none for an instant.
        if is_due and step != self._last_step:
            self._save(session, run, folder(run), step, KEPT)
            self._last_step = step

    def _save(self, session, run, place, step, kept):
        try:
            # Not with its parents: a run that was removed is not to come back.
            for each in (folder(run), place):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(each)
            self._saver.save(session, os.path.join(place, NAME), step, write_meta_graph=False)
        except (OSError, tf.errors.OpError, ValueError) as error:
            _keep_only(place, [path for path in _found(place) if _step(path) < step])
            raise CommandError(
                f"{place}: a checkpoint cannot be written: {reason_of(error)}; those before it "
                "are intact: mend that, then continue with --resume"
            ) from None
        _keep_only(place, _found(place)[-kept:])

    def restore(self, session, run):
        """Sets the session and the data set to the run's last usable checkpoint. Raises
        CommandError if there is none."""
        reason = "none is there"
        for path in reversed(_found(folder(run))):
            try:
                with _readable(path) as readable:
                    self._saver.restore(session, readable)
            except (tf.errors.OpError, ValueError) as error:
                reason = f"{os.path.basename(path)} cannot be read ({reason_of(error):.100})"
                continue
            self._last_step = _step(path)
            state = session.run(self._state)
            self.best_validation_loss = float(state.pop("best_validation_loss"))
            self._examples.restore({os.path.basename(name): state[name] for name in state})
            usable = [each for each in _found(folder(run)) if _step(each) <= self._last_step]
            _keep_only(folder(run), usable)
            _keep_only(best_folder(run), _found(best_folder(run)))
            return
        raise CommandError(
            f"{folder(run)}: expected a checkpoint of this network to continue from, but {reason}: "
            "start a new run; what is here is left as it is"
        )


def folder(run):
    """Where the run in this folder keeps its checkpoints."""
    return os.path.join(run, "checkpoints")


def best_folder(run):
    """Where the run keeps the checkpoint with the lowest validation loss."""
    return os.path.join(folder(run), "best")


def latest(run):
    """The path of the run's last checkpoint, or None."""
    return next(reversed(_found(folder(run))), None)


def find(path):
    """The checkpoint that `path` names: itself, one of its files, or the last one of a run, of a
    folder of checkpoints or of the state file `checkpoint` in it."""
    if os.path.basename(path) == "checkpoint" and os.path.isfile(path):
        path = os.path.dirname(path) or "."
    for place in (folder(path), path):
        paths = _found(place)
        if paths:
            return paths[-1]
    state = tf.train.get_checkpoint_state(path) if os.path.isdir(path) else None
    if state:
        named = state.model_checkpoint_path
        # The folder may have been moved since: the name counts, and where the file lies.
        beside = os.path.join(path, re.split(r"[\\/]", named)[-1])
        return beside if os.path.exists(f"{beside}.index") else named
    stem = FILE_SUFFIX.sub("", path)
    return stem if os.path.exists(f"{stem}.index") else path


def restore_network(session, checkpoint, variables, scope=None):
    """Restores the variables, and only those, from the checkpoint at this path.

    A checkpoint of a program with tf.layers has them under the same names, or under a `scope` in
    front of each. Raises CommandError where there is no checkpoint, for one that cannot be read,
    and for one of another network.
    """
    # A file without an index may be a checkpoint of the first format. To open a pipe would hang.
    if not os.path.exists(f"{checkpoint}.index") and not os.path.isfile(checkpoint):
        raise CommandError(
            f"{checkpoint}: found no checkpoint, expected one of tf.compat.v1.train.Saver, named "
            "without .index, or the folder of a run"
        )
    try:
        with _readable(checkpoint) as readable:
            # It holds a file open until it goes, and Windows cannot remove a file that is open.
            reader = tf.train.NewCheckpointReader(readable)
            shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
            del reader
            prefix = f"{scope.rstrip('/')}/" if scope else ""
            by_name = {prefix + variable.op.name: variable for variable in variables}
            _check_variables(checkpoint, by_name, shapes, types)
            tf.train.Saver(by_name).restore(session, readable)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise CommandError(
            f"{checkpoint}: cannot be read as a checkpoint of tf.compat.v1.train.Saver "
            f"({reason_of(error):.100}): copy all of its files, .index and .data-*, once more"
        ) from None


def _check_variables(checkpoint, by_name, shapes, types):
    """Raises CommandError unless the checkpoint has every variable, of its shape and type."""
    for name, variable in by_name.items():
        expected = f"{variable.dtype.base_dtype.name} {variable.shape.as_list()}"
        found = f"{types[name].name} {list(shapes[name])}" if name in shapes else "no such variable"
        if found != expected:
            raise CommandError(
                f"{checkpoint}: a checkpoint of another network: expected {name} as {expected}, "
                f"found {found}, and {', '.join(sorted(shapes)):.100}: give the flags that it was "
                "trained with, and as --checkpoint-scope what stands before each name"
            )


@contextlib.contextmanager
def _readable(checkpoint):
    """A path by which TensorFlow can read the checkpoint: it takes some characters for patterns."""
    special = PATTERN_CHARACTERS - {os.sep}
    if not special & set(checkpoint):
        yield checkpoint
        return
    with tempfile.TemporaryDirectory(prefix="checkpoint-") as place:
        for path in glob.glob(f"{glob.escape(checkpoint)}.*"):
            suffix = path[len(checkpoint) :]
            if FILE_SUFFIX.match(suffix):
                shutil.copyfile(path, os.path.join(place, NAME + suffix))
        yield os.path.join(place, NAME)


def _found(place):
    """The checkpoints of a run in this folder, oldest first."""
    paths = glob.glob(os.path.join(glob.escape(place), f"{NAME}-*.index"))
    paths = [path[: -len(".index")] for path in paths]
    return sorted((path for path in paths if _step(path) is not None), key=_step)


def _step(path):
    match = re.match(f"{NAME}-([0-9]+)$", os.path.basename(path))
    return int(match.group(1)) if match else None


def reason_of(error):
    """What the disk refused, in a few words, of an OSError or an error of TensorFlow."""
    reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    # TensorFlow's own text tells, before and behind the reason, of the operation and its origin.
    before_node, is_of_node, _ = reason.partition("[[")
    lines = before_node.strip().splitlines() or [""]
    return lines[-1 if is_of_node else 0].strip()


def _keep_only(place, kept):
    """Removes from this folder all checkpoints but these, and what is left of half-written ones."""
    names = set(map(os.path.basename, kept))
    with contextlib.suppress(OSError):
        for name in os.listdir(place):
            other = os.path.join(place, name)
            is_ours = re.match(f"{NAME}-[0-9]+(_temp|[.]data-|[.]index)|checkpoint[.]tmp", name)
            if is_ours and FILE_SUFFIX.sub("", name) not in names:
                shutil.rmtree(other) if os.path.isdir(other) else os.remove(other)
