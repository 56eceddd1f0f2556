"""The program of a run: one graph with the training loop, evaluation, and what is measured besides.

Each is built from the network anew, over the same variables, and apart from the others: what one
puts into the graph's collections (the updates of moving averages, penalties of regularizers) never
reaches another. So they can be built in any order.
"""

import collections
import contextlib
import re
import zlib

import numpy as np

from graph_mode import batch, layers, model
from graph_mode import flags as flag_table
from graph_mode import tensorflow1 as tf

STEPS_PER_CALL = 100
# What a network may add to that belongs to one use of it alone.
OWN_COLLECTIONS = ("UPDATE_OPS", "REGULARIZATION_LOSSES", "LOSSES", "ACTIVATIONS", "SUMMARIES")
# Operations that take a variable and leave it as it is.
READS = {"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape"}
ACTIVATION_TYPES = {
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign"),
}
FED_TOWER = "images labels logits losses tower changes in_order"


class NetworkError(ValueError):
    """A mistake in the script of a network."""

    one_line = True


class Tower(collections.namedtuple("Tower", "logits layers activations updates penalties")):
    """The network once.

    logits: [n, classes], a tensor or a Batch; layers: the layers.Layer list; activations: the
    operations (Relu, ...) in order; updates: operations that belong to a training step; penalties:
    scalars that training minimizes besides the loss.
    """


class FedTower(collections.namedtuple("FedTower", FED_TOWER)):
    """A Tower from two placeholders, images uint8 [n, h, w, c] and labels uint8 [n], to the losses
    [n].

    changes: the variables that the network itself may change when it computes them, as in spectral
    normalization; see evaluation.fetch. in_order: whether the numbers depend on the order of
    the calls, since it changes variables or draws random numbers.
    """


class Program:
    """The network's graph, in the default graph, with its variables.

    inference: the FedTower with moving averages.

    network(images, training, num_classes, flags) maps float32 images [n, h, w, c] in [0, 1] to
    logits [n, num_classes]. examples: what the images and the number of classes are known from, a
    mnist_data.DataSet.
    """

    def __init__(self, network, examples, flags):
        self._network, self._examples, self._flags = network, examples, flags
        tf.set_random_seed(flags.seed)
        self._is_built = False
        self.inference = self.fed_tower("evaluation", training=False, boxed=False)
        self._is_built = True

    def tower(self, images, training, variable=None):
        """The network on float32 images [n, h, w, c], a tensor or a Batch, as a Tower.

        variable(getter, name, ...), if given, is what variables are taken from: a custom getter of
        tf.variable_scope. Raises NetworkError for what are no logits, and for a network that makes
        variables anew instead of sharing those of its first use.
        """
        graph = tf.get_default_graph()
        known, shared = set(map(id, tf.global_variables())), _Getter(self._flags.weight_gain)
        with contextlib.ExitStack() as stack:
            collected = stack.enter_context(_own_collections(graph))
            recorded = stack.enter_context(layers.recorded())
            # In the first use, two layers of one name are an error, as without this program.
            reuse = tf.AUTO_REUSE if self._is_built else None
            for getter in filter(None, (shared, variable)):
                scope = tf.get_variable_scope()
                stack.enter_context(tf.variable_scope(scope, reuse=reuse, custom_getter=getter))
            before = len(graph.get_operations())
            logits = self._network(images, training, self._examples.num_classes, self._flags)
            made = graph.get_operations()[before:]
            activations = [op for op in made if op.type in ACTIVATION_TYPES]
            updates = list(collected("UPDATE_OPS"))
            penalties = list(collected("REGULARIZATION_LOSSES") + collected("LOSSES"))
        self._check(logits, recorded, known | shared.found, training)
        return Tower(logits, recorded, activations, updates, penalties)

    def _check(self, logits, recorded, known, training):
        shape, classes = logits.shape, self._examples.num_classes
        outside = tf.get_default_graph()
        if shape.ndims != 2 or shape.as_list()[1] != classes:
            advice = ": is layers.flatten missing before the last layer?" * (shape.ndims != 2)
            raise NetworkError(
                f"the network must return logits [n, {classes}], found {shape}{advice}"
            )
        last = _last_operation(batch.slices_of(logits)[0])
        if last in ("Softmax", "Sigmoid"):
            raise NetworkError(
                f"the network must return logits, found what {last} gives: leave it out, since "
                "the loss applies it"
            )
        new = [each.name for each in tf.global_variables() if id(each) not in known]
        if new:
            raise NetworkError(
                f"the network made the variable {new[0]} anew for each use, so that evaluation "
                "would not see it trained: make it by tf.get_variable, or by a layer of "
                "graph_mode.layers"
            )
        normalizations = [layer for layer in recorded if layer.moments]
        for layer in normalizations:
            if layer.normalized_by != layers.FROZEN and layer.moments[0].graph is not outside:
                raise NetworkError(
                    f"{layer.name} is in tf.cond or a loop, where its moving averages would never "
                    "be updated: put batch_normalization before or behind it"
                )
        stored = [each.name for each in normalizations if each.normalized_by == layers.AVERAGES]
        if stored and training:
            raise NetworkError(
                f"{stored[0]} normalizes by stored averages while training: give "
                "batch_normalization training=training, or trainable=False to freeze it"
            )

    def fed_tower(self, name, training, variable=None, boxed=True):
        """The network from placeholders to each image's loss, as a FedTower. boxed: as one box
        `name` in TensorBoard's graph, else a box for each layer."""
        with tf.name_scope(name):
            images = tf.placeholder(tf.uint8, [None] + list(self._examples.image_shape), "images")
            labels = tf.placeholder(tf.uint8, [None], "labels")
        with contextlib.ExitStack() as stack:
            if boxed:
                stack.enter_context(tf.name_scope(f"{name}/"))
            if training:  # What a measurement drops is that of the step, too.
                step = tf.train.get_or_create_global_step().read_value()
                stack.enter_context(layers.dropped_by(step))
            tower = self.tower(scale(images), training, variable)
            losses = model.example_losses(tower.logits, labels, self._flags.loss)
        return FedTower(images, labels, tower.logits, losses, tower, *_effects_of(losses))


class Loop:
    """Training steps inside the graph, each batch in this many slices. A call is fed the training
    set and the indices of its batches, and returns the scalars of every step.

    backward(layers, labels, flags), if given, takes the place of tf.gradients: from the
    layers.Layer list of the forward pass and labels [n] it makes the (gradient, variable) pairs of
    the mean loss.
    """

    def __init__(self, program, examples, flags, slices, backward=None):
        self._program, self._examples, self._flags = program, examples, flags
        self._slices, self._backward = slices, backward
        with tf.name_scope("training_input"):
            self._images = tf.placeholder(tf.uint8, examples.images.shape, "images")
            self._labels = tf.placeholder(tf.uint8, examples.labels.shape, "labels")
            self.indices = tf.placeholder(tf.int32, [STEPS_PER_CALL, flags.batch_size], "indices")
            self.steps = tf.placeholder(tf.int32, [], "steps")
            self._stop = tf.Variable(False, trainable=False, collections=[], name="stop")
            self.request_stop = self._stop.assign(True)
        # Here and not in the loop: what is made in a compiled function is not found afterwards.
        tf.train.get_or_create_global_step()
        build = tf.compiled(self._steps) if flags.xla else self._steps
        with tf.name_scope("training_loop"):
            self._results = build(self.indices, self.steps)

    def prepare(self, session):
        """To be called once, after the variables are set."""
        session.run(self._stop.initializer)
        # However many images there are, they are in memory once.
        self._examples_fed = {
            self._images: tf.aligned(self._examples.images),
            self._labels: tf.aligned(self._examples.labels),
        }

    def run(self, session, batches):
        """Trains on the batches, a list of indices [batch_size], of at most STEPS_PER_CALL.

        Returns how many were done, fewer if the loop was asked to stop, and {name: float32 [done]}
        of the StepScalars.
        """
        indices = np.zeros(self.indices.shape.as_list(), np.int32)
        indices[: len(batches)] = batches
        feed = {self.indices: indices, self.steps: len(batches), **self._examples_fed}
        done, scalars = session.run(self._results, feed)
        names = model.StepScalars._fields
        return done, {name: scalars[:done, i] for i, name in enumerate(names)}

    def _steps(self, indices, steps):
        def goes_on(step, _scalars):
            return tf.logical_and(step < steps, tf.logical_not(self._stop.read_value()))

        def one_step(step, scalars):
            with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
                results = tf.stack(self._step(tf.gather(indices, step)))
            # The counter waits for the step, so that the next one reads what this one wrote.
            with tf.control_dependencies([results]):
                return step + 1, scalars.write(step, results)

        width = len(model.StepScalars._fields)
        scalars = tf.TensorArray(tf.float32, STEPS_PER_CALL, element_shape=[width])
        done, scalars = tf.while_loop(goes_on, one_step, [0, scalars], parallel_iterations=1)
        return done, scalars.stack()

    def _step(self, indices):
        sliced = batch.split(indices, self._slices)
        images = batch.slice_by_slice(lambda i: scale(tf.gather(self._images, i)), sliced)
        labels = batch.slice_by_slice(lambda i: tf.gather(self._labels, i), sliced)
        with layers.dropped_by(tf.train.get_global_step().read_value()):
            tower = self._program.tower(images, training=True)
        loss = model.mean_loss(tower.logits, labels, self._flags.loss)
        backward = self._backward
        gradients = backward(tower.layers, labels, self._flags) if backward else None
        return model.train_step(loss, tower.penalties, tower.updates, self._flags, gradients)


def all_variables_are_finite():
    """A boolean scalar: whether no variable of the graph so far holds nan or inf."""
    with tf.name_scope("variables_are_finite"):
        floating = [v for v in tf.global_variables() if v.dtype.is_floating]
        return tf.reduce_all([tf.reduce_all(tf.is_finite(v)) for v in floating])


def scale(images):
    """uint8 images as float32 in [0, 1], the values that input_data gave."""
    with tf.name_scope("scale"):
        return tf.cast(images, tf.float32) * (1.0 / 255.0)


def _last_operation(tensor):
    """The type of the operation that computes the tensor, whatever splits and joins it."""
    operation = tensor.op
    while operation.type in ("Identity", "Split", "SplitV", "ConcatV2"):
        operation = operation.inputs[1 if operation.type == "Split" else 0].op
    return operation.type


def _effects_of(tensor):
    """The variables that may be changed by the operations that the tensor waits for, and whether
    there are any, or one of these operations draws random numbers from a state of its own."""
    by_handle = {variable.handle.op.name: variable for variable in tf.global_variables()}
    waiting, seen, changed, draws = [tensor.op], {tensor.op.name}, set(), False
    while waiting:
        operation = waiting.pop()
        sources = [each.op for each in operation.inputs]
        draws = draws or re.match("Random|TruncatedNormal|Multinomial", operation.type) is not None
        if operation.type not in READS:
            changed.update({source.name for source in sources} & set(by_handle))
        for source in sources + list(operation.control_inputs):
            if source.name not in seen:
                seen.add(source.name)
                waiting.append(source)
    return [by_handle[name] for name in sorted(changed)], bool(changed) or draws


@contextlib.contextmanager
def _own_collections(graph):
    """Empties OWN_COLLECTIONS for the block, then gives them back as they were; yields a function
    from a name to what the block has added."""
    keys = {name: getattr(tf.GraphKeys, name) for name in OWN_COLLECTIONS}
    saved = {name: list(graph.get_collection_ref(key)) for name, key in keys.items()}
    for key in keys.values():
        graph.get_collection_ref(key)[:] = []
    try:
        yield lambda name: graph.get_collection(keys[name])
    finally:
        for name, key in keys.items():
            graph.get_collection_ref(key)[:] = saved[name]


class _Getter:
    """A custom getter for one use of the network: tf.variable_scope hands it every get_variable.

    Random initial values depend on the seed and the variable's name alone. TensorFlow would take
    the number of operations that were built before, so that the same seed gave a network with batch
    norm other weights than the one without. And a variable's regularizer is applied once in each
    use; TensorFlow applies it only where the variable is new.
    """

    def __init__(self, gain):
        self._gain, self._regularized = gain, set()
        self.found = set()  # the id of each variable that was asked for

    def __call__(self, getter, name, *args, **kwargs):
        initializer = kwargs.get("initializer")
        if isinstance(initializer, type):  # as tf.zeros_initializer without parentheses
            initializer = initializer()
        if initializer is None and tf.as_dtype(kwargs.get("dtype") or tf.float32).is_floating:
            # Glorot's, for a gain of 1.
            initializer = tf.variance_scaling_initializer(self._gain, "fan_avg", "uniform")
        get_config = getattr(initializer, "get_config", dict)
        if get_config().get("seed", 0) is None:
            seed = zlib.crc32(name.encode()) % 2**31
            initializer = type(initializer).from_config(dict(get_config(), seed=seed))
        kwargs["initializer"] = initializer
        count = tf.TensorShape(kwargs.get("shape")).num_elements()
        if count is not None and int(count) > flag_table.LARGEST:  # which TensorFlow ends on
            expected = f"{count} numbers, expected at most {flag_table.LARGEST}"
            raise NetworkError(f"the variable {name} would have {expected}: make the layer smaller")
        regularizer = kwargs.pop("regularizer", None)
        variable = getter(name, *args, **kwargs)
        self.found.add(id(variable))
        if regularizer is not None and name not in self._regularized:
            self._regularized.add(name)
            tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, regularizer(variable))
        return variable
