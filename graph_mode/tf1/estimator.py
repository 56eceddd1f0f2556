"""Stands for tf.estimator: models made by a function, trained, evaluated and asked for predictions.

Checkpoints and summaries go to the folder of the model. There is one process.
"""

import collections
import inspect
import os
import tempfile
import types

import numpy as np

from graph_mode import tensorflow1 as tf
from graph_mode.tf1 import seeds
from graph_mode.tf1.missing import refuse

_HOOKS = "training_chief_hooks training_hooks evaluation_hooks prediction_hooks"
EstimatorSpec = collections.namedtuple(
    "EstimatorSpec",
    f"mode predictions loss train_op eval_metric_ops export_outputs scaffold {_HOOKS}",
    defaults=(None,) * 10,
)
TrainSpec = collections.namedtuple(
    "TrainSpec", "input_fn max_steps hooks saving_listeners", defaults=(None,) * 3
)
EvalSpec = collections.namedtuple(
    "EvalSpec",
    "input_fn steps name hooks exporters start_delay_secs throttle_secs",
    defaults=(100, None, None, None, 120, 600),
)
_CONFIG = {
    "model_dir": None, "tf_random_seed": None, "save_summary_steps": 100,
    "save_checkpoints_steps": None, "save_checkpoints_secs": None, "session_config": None,
    "keep_checkpoint_max": 5, "keep_checkpoint_every_n_hours": 10000, "log_step_count_steps": 100,
    "train_distribute": None, "device_fn": None, "protocol": None, "eval_distribute": None,
}  # fmt: skip


class ModeKeys:
    """What a model function is called for."""

    TRAIN, EVAL, PREDICT = "train", "eval", "infer"


class RunConfig(collections.namedtuple("RunConfig", _CONFIG, defaults=_CONFIG.values())):
    """Where a model is kept, and how often it is saved there; what is about clusters is unused."""

    replace = property(lambda self: self._replace)


class Estimator:
    """A model that `model_fn` makes, and the folder `model_dir` that keeps it."""

    def __init__(self, model_fn, model_dir=None, config=None, params=None, warm_start_from=None):
        refuse("tf.estimator.Estimator", warm_start_from=warm_start_from)
        config = config or RunConfig()
        self.model_fn, self.params = model_fn, params or {}
        self.model_dir = model_dir or config.model_dir or tempfile.mkdtemp()
        self.config = config._replace(model_dir=self.model_dir)

    def train(self, input_fn, hooks=None, steps=None, max_steps=None, saving_listeners=None):
        """Trains for `steps` steps, or until the global step is `max_steps`; or as data lasts."""
        config = self.config
        trained = self.get_variable_value("global_step") if self.latest_checkpoint() else 0
        if max_steps is not None and trained >= max_steps:
            return self
        with tf.Graph().as_default():
            spec, step = self._build(input_fn, ModeKeys.TRAIN)
            tf.summary.scalar("loss", spec.loss)
            saver = tf.train.Saver(max_to_keep=config.keep_checkpoint_max)
            scaffold = spec.scaffold or tf.train.Scaffold(saver=saver)
            seconds, often = config.save_checkpoints_secs, config.save_checkpoints_steps
            seconds = 600 if seconds is None and often is None else seconds
            saving = tf.train.CheckpointSaverHook(
                self.model_dir, seconds, often, scaffold=scaffold, listeners=saving_listeners
            )
            shown = {"loss": spec.loss, "step": step}
            shown = tf.train.LoggingTensorHook(shown, config.log_step_count_steps or 10**9)
            own = [tf.train.NanTensorHook(spec.loss), shown, *(spec.training_chief_hooks or ())]
            if steps is not None or max_steps is not None:
                own.append(tf.train.StopAtStepHook(steps, max_steps))
            with tf.train.MonitoredTrainingSession(
                checkpoint_dir=self.model_dir, scaffold=scaffold, save_checkpoint_secs=0,
                hooks=own + [*(hooks or ()), *(spec.training_hooks or ())],
                chief_only_hooks=[saving], save_summaries_steps=config.save_summary_steps,
                config=config.session_config, log_step_count_steps=config.log_step_count_steps,
            ) as session:  # fmt: skip
                loss = None
                while not session.should_stop():
                    _, loss = session.run([spec.train_op, spec.loss])
        tf.logging.info("Loss for final step: %s.", loss)
        return self

    def evaluate(self, input_fn, steps=None, hooks=None, checkpoint_path=None, name=None):
        """{name: value} of the metrics, the mean loss and the global step, over `steps` batches."""
        with tf.Graph().as_default():
            spec, step = self._build(input_fn, ModeKeys.EVAL)
            metrics = dict(spec.eval_metric_ops or {})
            metrics.setdefault("loss", tf.metrics.mean(spec.loss))
            final = tf.train.FinalOpsHook(
                dict({key: value for key, (value, _) in metrics.items()}, global_step=step)
            )
            hooks, done = [*(hooks or ()), *(spec.evaluation_hooks or ()), final], 0
            with self._session(spec, checkpoint_path, hooks) as session:
                while not session.should_stop() and done != steps:
                    session.run([update for _, update in metrics.values()])
                    done += 1
        found, summary = final.final_ops_values, tf.Summary()
        folder = os.path.join(self.model_dir, f"eval_{name}" if name else "eval")
        for key, value in found.items():
            if getattr(value, "ndim", 1) == 0 and key != "global_step":
                summary.value.add(tag=key, simple_value=float(value))
        with tf.Graph().as_default(), tf.summary.FileWriter(folder) as writer:
            writer.add_summary(summary, found["global_step"])
        shown = ", ".join(f"{key} = {value}" for key, value in sorted(found.items()))
        tf.logging.info("Saving dict for global step %s: %s", found["global_step"], shown)
        return found

    def predict(
        self, input_fn, predict_keys=None, hooks=None, checkpoint_path=None,
        yield_single_examples=True,
    ):  # fmt: skip
        """Yields the predictions for each example, a dict if they are one; or for each batch."""
        with tf.Graph().as_default():
            spec, _ = self._build(input_fn, ModeKeys.PREDICT)
            wanted = spec.predictions
            if predict_keys:
                wanted = {key: wanted[key] for key in wanted if key in predict_keys}
            hooks = [*(hooks or ()), *(spec.prediction_hooks or ())]
            session = self._session(spec, checkpoint_path, hooks)
        with session:
            while not session.should_stop():
                found = session.run(wanted)
                if not yield_single_examples:
                    yield found
                elif not isinstance(found, dict):
                    yield from found
                else:
                    yield from (dict(zip(found, values)) for values in zip(*found.values()))

    def latest_checkpoint(self):
        return tf.train.latest_checkpoint(self.model_dir)

    def get_variable_value(self, name):
        return tf.train.load_variable(self.model_dir, name)

    def _session(self, spec, path, hooks):
        path = path or self.latest_checkpoint() or f"{self.model_dir}, which has no checkpoint"
        creator = tf.train.ChiefSessionCreator(
            spec.scaffold, "", self.config.session_config, checkpoint_filename_with_path=path
        )
        return tf.train.MonitoredSession(creator, hooks)

    def _build(self, input_fn, mode):
        """The EstimatorSpec, and the global step, of the model on what `input_fn` gives."""
        tf.set_random_seed(self.config.tf_random_seed)
        step = tf.train.create_global_step()
        seeds.add(11 if mode == ModeKeys.TRAIN else 0)  # which read the step there
        given = {"mode": mode, "params": self.params, "config": self.config}
        data = _tensors_of(_called(input_fn, given))
        features, labels = data if isinstance(data, (tuple, list)) else (data, None)
        given["labels"] = None if mode == ModeKeys.PREDICT else labels
        return _called(self.model_fn, given, features), step


def train_and_evaluate(estimator, train_spec, eval_spec):
    """Trains, then evaluates: (the metrics, None)."""
    estimator.train(
        train_spec.input_fn, train_spec.hooks, None, train_spec.max_steps,
        train_spec.saving_listeners,
    )  # fmt: skip
    _, steps, name, hooks, *_ = eval_spec
    return estimator.evaluate(eval_spec.input_fn, steps, hooks, name=name), None


def _called(function, given, *arguments):
    """The function's result, which gets those of the keywords that it takes."""
    taken = inspect.signature(function).parameters
    is_open = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())
    return function(*arguments, **{k: v for k, v in given.items() if is_open or k in taken})


def numpy_input_fn(
    x, y=None, batch_size=128, num_epochs=1, shuffle=None, queue_capacity=1000, num_threads=1
):
    """A function that gives batches of `x` and, if it is not None, `y`: arrays or dicts of them."""

    def input_fn():
        random = np.random.RandomState(tf.get_default_graph().seed)
        given = x if y is None else (x, y)
        arrays = [np.asarray(each) for each in tf.nest.flatten(given)]

        def batches():
            rest, epoch = np.zeros(0, np.int64), 0
            while num_epochs is None or epoch < num_epochs:
                size = len(arrays[0])
                order = random.permutation(size) if shuffle else np.arange(size)
                rest, epoch = np.concatenate([rest, order]), epoch + 1
                while len(rest) >= batch_size or (len(rest) and epoch == num_epochs):
                    batch, rest = rest[:batch_size], rest[batch_size:]
                    yield tuple(array[batch] for array in arrays)

        types = tuple(tf.as_dtype(array.dtype) for array in arrays)
        shapes = tuple([None, *array.shape[1:]] for array in arrays)
        tensors = _tensors_of(tf.data.Dataset.from_generator(batches, types, shapes))
        seeds.add(7 + len(arrays))  # its queue
        return tf.nest.pack_sequence_as(given, tensors)

    return input_fn


def pandas_input_fn(x, y=None, *more, target_column="target", **keywords):
    """As numpy_input_fn, of the columns of a DataFrame `x` and a Series `y`."""
    labels = None if y is None else y.values
    return numpy_input_fn({name: x[name].values for name in x}, labels, *more, **keywords)


inputs = types.ModuleType("inputs")
inputs.numpy_input_fn, inputs.pandas_input_fn = numpy_input_fn, pandas_input_fn


def _tensors_of(data):
    """The next element of a Dataset, which starts with the session; anything else as it is."""
    if not isinstance(data, tf.data.Dataset):
        return data
    seeds.add(3)
    iterator = tf.data.make_initializable_iterator(data)
    tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
    return iterator.get_next()
