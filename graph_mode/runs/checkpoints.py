"""Checkpoints: everything a run needs to continue, bit for bit, as if it had never stopped.

A checkpoint holds the model's variables, the optimizer's, the step, the order and the position of
the batches, their random numbers, the best validation loss so far and the settings.
tf.train.Saver writes the data under another name and renames it, then the index; only then is an
older one removed: a kill at any instant leaves a checkpoint that can be used. What a folder holds
is read off the names in it, and each part of a checkpoint carries its checksum.
"""

import collections
import contextlib
import glob
import json
import os
import re
import shutil
import tempfile

import numpy as np

from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError

KEPT = 3
SAVED_MODEL = "saved_model.pb"
NAME = "model"
# TensorFlow takes the names of files that it reads for patterns.
PATTERN_CHARACTERS = set("[]*?\\")
# What tf.train.Checkpoint adds to the variables.
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
FILE_KINDS = {
    b"\x89HDF": "a file of Keras (HDF5)",
    b"PK\3\4": "a zip file, as Keras and NumPy write",
}
# What a checkpoint's files add to its name: tab completion offers them all.
FILE_SUFFIX = re.compile(r"\.(index|meta|data-[0-9]{5}-of-[0-9]{5})$")


class Checkpoints:
    """The checkpoints of one run, in the current graph: call this after the optimizer is built.

    settings: kept in each checkpoint; examples: the training DataSet, whose state is kept too.
    """

    def __init__(self, settings, examples):
        placeholders = {
            "batches/order": (tf.int32, [examples.num_examples]),
            "batches/position": (tf.int64, []),
            "batches/epochs_completed": (tf.int64, []),
            "batches/random_key": (tf.int64, [624]),
            "batches/random_position": (tf.int64, []),
            "best_validation_loss": (tf.float64, []),
            "settings": (tf.string, []),
        }
        self._settings = json.dumps(settings, sort_keys=True)
        self._examples = examples
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
            self._saver = tf.train.Saver(variables, max_to_keep=None, save_relative_paths=True)
        self.best_validation_loss = np.inf
        self._last_step = None

    def is_best(self, validation_loss):
        return validation_loss is not None and validation_loss < self.best_validation_loss

    def save(self, session, run, step, validation_loss=None):
        """Saves the session after `step`, as the best too if `validation_loss` is the lowest.

        run: the run's folder.
        """
        is_best = self.is_best(validation_loss)
        if is_best:
            self.best_validation_loss = validation_loss
        state = self._examples.state()
        values = {f"batches/{name}": value for name, value in state.items()}
        values.update(best_validation_loss=self.best_validation_loss, settings=self._settings)
        session.run(self._set_state, {self._fed[name]: values[name] for name in self._fed})
        if is_best:
            self._save(session, run, best_folder(run), step, kept=1)
        # To write over the checkpoint of this step would leave none for an instant.
        if step != self._last_step:
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
            _remove_unusable(place, step - 1)
            raise CommandError(
                f"{place}: a checkpoint cannot be written: {reason_of(error)}; those before it "
                "are intact: mend that, then continue with --resume"
            ) from None
        for old in _found(place)[:-kept]:
            _remove(old)

    def restore(self, session, run):
        """Sets the session and the data set to the run's last usable checkpoint.

        Raises CommandError if there is none.
        """
        paths = _found(folder(run))
        for path in reversed(paths):
            try:
                with _readable(path) as readable:
                    self._saver.restore(session, readable)
            except (tf.errors.OpError, ValueError) as error:
                reason = reason_of(error)
                continue
            self._last_step = _step(path)
            state = session.run(self._state)
            self.best_validation_loss = float(state.pop("best_validation_loss"))
            state.pop("settings")
            self._examples.restore({os.path.basename(name): state[name] for name in state})
            _remove_unusable(folder(run), self._last_step)
            _remove_unusable(best_folder(run))
            return
        if not paths and not os.path.exists(folder(run)):
            raise CommandError(
                f"{folder(run)}: expected a checkpoint to continue from, found none: the run was "
                "stopped before its first one; start a new run"
            )
        found = f"{len(paths)} that cannot be read ({reason:.100})" if paths else "none"
        raise CommandError(
            f"{folder(run)}: expected a checkpoint of this network to continue from, found "
            f"{found}; what is there is left as it is"
        )


def folder(run):
    """Where the run in this folder keeps its checkpoints."""
    return os.path.join(run, "checkpoints")


def best_folder(run):
    """Where the run keeps the checkpoint with the lowest validation loss."""
    return os.path.join(folder(run), "best")


def latest(run):
    """The path of the run's last checkpoint, or None."""
    paths = _found(folder(run))
    return paths[-1] if paths else None


def find(path):
    """The checkpoint that `path` names: itself, one of its files, or the last one of a run, of a
    folder of checkpoints, of the state file `checkpoint` in it or of a SavedModel."""
    if os.path.basename(path) in ("checkpoint", SAVED_MODEL) and os.path.isfile(path):
        path = os.path.dirname(path) or "."
    for place in (folder(path), path):
        paths = _found(place)
        if paths:
            return paths[-1]
    if os.path.isdir(path):
        named = _named_by_state_file(path)
        if named:
            return named
        if os.path.exists(os.path.join(path, SAVED_MODEL)):
            return os.path.join(path, "variables", "variables")
    stem = FILE_SUFFIX.sub("", path)
    return stem if os.path.exists(f"{stem}.index") else path


def _named_by_state_file(place):
    """The checkpoint that a Saver's state file in this folder names as the last; None if none."""
    with contextlib.suppress(OSError, ValueError):
        with open(os.path.join(place, "checkpoint"), "rb") as file:
            found = re.search(rb'^model_checkpoint_path: "(.*)"', file.read(), re.MULTILINE)
        if found:
            # The text form of protocol buffers writes what is not ASCII as octal numbers.
            escaped = found.group(1).decode("unicode_escape")
            named = os.fsdecode(escaped.encode("latin-1"))
            # The folder may have been moved since: the name counts, and where the file lies.
            beside = (os.path.basename(name) for name in (named, named.replace("\\", "/")))
            for path in [os.path.join(place, name) for name in beside] + [named]:
                if os.path.exists(f"{path}.index"):
                    return path
    return None


def restore_network(session, checkpoint, variables, scope=None):
    """Restores the variables, and only those, from the checkpoint at this path.

    A checkpoint of a program with tf.layers has them under the same names, or under a `scope` in
    front of each. Raises CommandError for what is not a checkpoint of this network.
    """
    # A file without an index may be a checkpoint of the first format. To open a pipe would hang.
    if not os.path.exists(f"{checkpoint}.index") and not os.path.isfile(checkpoint):
        raise CommandError(_why_unreadable(checkpoint))
    try:
        with _readable(checkpoint) as readable:
            shapes, types = _shapes_and_types(readable)
            prefix = f"{scope.rstrip('/')}/" if scope else ""
            names = [variable.op.name for variable in variables]
            _check_scope(checkpoint, names, shapes, prefix)
            by_name = {prefix + name: variable for name, variable in zip(names, variables)}
            _check_variables(checkpoint, by_name, shapes, types)
            tf.train.Saver(by_name).restore(session, readable)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise CommandError(_why_unreadable(checkpoint, error)) from None


def _shapes_and_types(readable):
    """{name: shape} and {name: type} of the checkpoint's variables."""
    # It holds a file open until it goes, and a file that is open cannot be removed on Windows.
    reader = tf.train.NewCheckpointReader(readable)
    return reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()


def _check_scope(checkpoint, names, shapes, prefix):
    """Raises CommandError if all names are there, but in another scope than `prefix`."""
    if OBJECT_GRAPH in shapes:
        raise CommandError(
            f"{checkpoint}: written by tf.train.Checkpoint or Keras, which do not save variables "
            "by their names; expected a checkpoint of tf.compat.v1.train.Saver: save the network "
            "with that"
        )
    ends = (name[: -len(names[0])] for name in shapes if f"/{name}".endswith(f"/{names[0]}"))
    scopes = [end for end in sorted(ends) if all(end + name in shapes for name in names)]
    if scopes and prefix not in scopes:
        if scopes[0]:
            where = " and ".join(f"the scope {scope[:-1]}" for scope in scopes)
            what = f"add --checkpoint-scope {scopes[0][:-1]}"
        else:
            where, what = "no scope", "leave --checkpoint-scope out"
        raise CommandError(f"{checkpoint}: its variables are in {where}: {what}")


def _check_variables(checkpoint, by_name, shapes, types):
    for name, variable in by_name.items():
        shape, expected = variable.shape.as_list(), variable.dtype.base_dtype
        if name not in shapes:
            found = "missing"
        elif list(shapes[name]) != shape:
            found = f"of shape {list(shapes[name])}"
        elif types[name] != expected:
            raise CommandError(
                f"{checkpoint}: {name} is {types[name].name}, expected {expected.name}: save it "
                f"from a program whose variables are {expected.name}"
            )
        else:
            continue
        raise CommandError(
            f"{checkpoint}: expected {name} of shape {shape}, found it {found}: "
            "give the flags that it was trained with"
        )


def _why_unreadable(checkpoint, error=None):
    """What is at this path in place of a checkpoint that can be read, and what to do."""
    expected = "expected a checkpoint of tf.compat.v1.train.Saver"
    if os.path.isdir(checkpoint):
        for depth in ("*", os.path.join("*", "*")):
            pattern = folder(os.path.join(glob.escape(checkpoint), depth))
            if glob.glob(os.path.join(pattern, f"{NAME}-*.index")):
                return f"{checkpoint}: a folder of runs: name one of them"
        return f"{checkpoint}: a folder without checkpoints, {expected} or a run that has one"
    shards = glob.glob(f"{glob.escape(checkpoint)}.data-*")
    if os.path.exists(f"{checkpoint}.index"):
        if not shards:
            return (
                f"{checkpoint}: of this checkpoint, {os.path.basename(checkpoint)}.index is here, "
                "and the files .data-* are missing: copy them beside it"
            )
        for path in [f"{checkpoint}.index"] + shards:
            open(path, "rb").close()  # Where that is refused, nothing is damaged.
        return (
            f"{checkpoint}: the checkpoint is damaged ({reason_of(error):.100}); take an earlier "
            "one, if there is one"
        )
    stem = FILE_SUFFIX.sub("", checkpoint)
    if shards or stem != checkpoint:
        return f"{stem}: of this checkpoint, {os.path.basename(stem)}.index is missing: copy it too"
    if not os.path.exists(checkpoint):
        return f"{checkpoint}: no such file, {expected}: its path is that of its .index file"
    kind = "a file of another kind"
    if os.path.isfile(checkpoint):
        with open(checkpoint, "rb") as file:
            kind = FILE_KINDS.get(file.read(4), kind)
    return f"{checkpoint}: {kind}, {expected}"


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


def _remove(checkpoint):
    """Removes a checkpoint: its index first, so that no half of it is taken for a whole one."""
    with contextlib.suppress(OSError):
        os.remove(f"{checkpoint}.index")
        for path in glob.glob(f"{glob.escape(checkpoint)}.data-*"):
            os.remove(path)


def reason_of(error):
    """What the disk refused, in a few words, of an OSError or an error of TensorFlow."""
    reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    # TensorFlow's own text tells, before and behind the reason, of the operation and its origin.
    before_node, is_of_node, _ = reason.partition("[[")
    lines = before_node.strip().splitlines() or [""]
    return lines[-1 if is_of_node else 0].strip()


def _remove_unusable(place, last_step=np.inf):
    """Removes from this folder what is no whole checkpoint, and those after `last_step`."""
    with contextlib.suppress(OSError):
        for name in os.listdir(place):
            leftover = os.path.join(place, name)
            stem = re.match(f"{NAME}-[0-9]+(?=[.]data-|[.]index)", name)
            if re.match(f"{NAME}-[0-9]+_temp", name) or name.startswith("checkpoint.tmp"):
                shutil.rmtree(leftover) if os.path.isdir(leftover) else os.remove(leftover)
            elif stem and (
                _step(stem.group()) > last_step
                or not os.path.exists(os.path.join(place, f"{stem.group()}.index"))
            ):
                os.remove(leftover)
