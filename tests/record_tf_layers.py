"""What the real tf.layers computes, recorded, because TensorFlow 2.16 and later no longer have it.

    .venv-tf1/bin/python tests/record_tf_layers.py

run from the project's root with TensorFlow 1.15.5, takes half a minute and writes tests/data/:

    tf_layers.npz        each of LAYER_CASES: variable names, outputs, gradients, moving averages
    fc.npz, conv.npz     the two published programs in small: losses, logits, variables
    fc.ckpt*, conv.ckpt* the checkpoints that those two saved halfway

test_layers.py and test_model.py compare the record with this project's layers, on every TensorFlow.
"""

import inspect
import os
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import mnist_data  # noqa: E402
from graph_mode import batch  # noqa: E402
from graph_mode import tensorflow1 as tf  # noqa: E402

DATA = os.path.join(ROOT, "tests", "data")
UPDATES = 3  # how often a layer's moving averages are updated
STEPS = 20  # training steps of a program before its checkpoint, and after it
BATCH_SIZE = 16
LEARNING_RATE = 0.002
SCALE = np.float32(1.0 / 255.0)
KINDS = ("dense", "flatten", "dropout", "batch_normalization", "conv2d", "conv2d_transpose")
KINDS += ("max_pooling2d", "average_pooling2d")
# Of the programs: filters and strides of each convolution, units of each hidden dense layer.
PROGRAMS = {"fc": ([], [16, 12, 8]), "conv": ([(4, 1), (8, 1), (12, 2)], [8])}


def _layer(kind, *arguments, **keywords):
    """Builds one layer, which is told whether it trains where it takes that."""

    def build(library, inputs, training):
        told = {"training": training} if kind in ("dropout", "batch_normalization") else {}
        return getattr(library, kind)(inputs, *arguments, **told, **keywords)

    return build


def _batch_norm(**keywords):
    return _layer("batch_normalization", **keywords)


def _network(library, layer, training, convolutions, hidden_units, classes=3):
    """A published network, narrower."""
    for filters, strides in convolutions:
        layer = library.conv2d(layer, filters, 3, strides, "same", use_bias=False)
        layer = tf.nn.relu(library.batch_normalization(layer, training=training))
    layer = library.flatten(layer) if convolutions else layer
    for units in hidden_units:
        layer = library.dense(layer, units, use_bias=False)
        layer = tf.nn.relu(library.batch_normalization(layer, training=training))
    return library.dense(layer, classes)


def _lenet(library, inputs, training):
    layer = library.conv2d(inputs, 4, 5, activation=tf.nn.relu)
    layer = library.max_pooling2d(layer, 2, 2)
    layer = library.conv2d(layer, 6, (2, 3), padding="SAME", activation=tf.nn.relu)
    layer = library.average_pooling2d(layer, (2, 1), 1, "same")
    layer = library.dense(library.flatten(layer), 8, tf.nn.tanh)
    return library.dense(library.dropout(layer, 0.4, seed=5, training=training), 3)


def _named_and_shared(library, inputs, training):
    """Names, reuse and scopes in every way that tf.layers has them."""
    layer = library.dense(inputs, 7, name="first")
    layer = library.dense(layer, 7, name="first", reuse=True)
    layer = library.dense(layer, 7)
    with tf.variable_scope("block"):
        layer = library.dense(layer, 7)
        layer = library.dense(layer, 7)
        layer = library.batch_normalization(layer, training=training, name="norm")
    with tf.variable_scope("block", reuse=True):
        layer = library.dense(layer, 7)
    with tf.variable_scope("other", initializer=tf.ones_initializer(), reuse=tf.AUTO_REUSE):
        layer = library.dense(layer, 7)
        layer = library.dense(layer, 7, name="dense")
    with tf.variable_scope("again", reuse=tf.AUTO_REUSE):
        layer = library.dense(library.dense(layer, 7, reuse=tf.AUTO_REUSE), 7, reuse=tf.AUTO_REUSE)
    return library.dense(layer, 2)


def _squares(variable):
    return 0.1 * tf.reduce_sum(tf.square(variable))


def _regularized(library, inputs, training):
    both = {"kernel_regularizer": _squares, "bias_regularizer": _squares}
    layer = library.conv2d(inputs, 4, 3, bias_initializer="ones", kernel_constraint=tf.abs, **both)
    both = {"gamma_regularizer": _squares, "beta_regularizer": _squares}
    layer = library.batch_normalization(layer, training=training, **both)
    layer = library.conv2d_transpose(layer, 2, 3, kernel_regularizer=_squares, trainable=False)
    with tf.variable_scope("scope", regularizer=_squares):
        layer = library.dense(library.flatten(layer), 3, activity_regularizer=_squares)
        return library.dense(layer, 3, bias_regularizer=_squares)


# Name: the shape of the inputs, and a function of (library, inputs, training).
LAYER_CASES = {
    "dense": ([5, 7], _layer("dense", 6)),
    "dense without bias": ([5, 7], _layer("dense", 6, use_bias=False)),
    "dense of sequences": ([3, 4, 5], _layer("dense", 6, activation="relu")),
    "conv": ([2, 6, 6, 3], _layer("conv2d", 5, 3)),
    "conv without bias": ([2, 6, 6, 3], _layer("conv2d", 5, 3, padding="same", use_bias=False)),
    "conv of strides 2, 1": ([2, 7, 5, 2], _layer("conv2d", 5, 3, (2, 1), "valid")),
    "conv of stride 2, odd image": ([2, 7, 5, 2], _layer("conv2d", 5, 3, 2, "same")),
    "conv, even kernel": ([2, 5, 7, 1], _layer("conv2d", 3, 2, 3, "same")),
    "conv, oblong kernel": ([2, 5, 7, 2], _layer("conv2d", 3, (1, 5), padding="same")),
    "conv, dilated": ([2, 9, 8, 2], _layer("conv2d", 3, 3, dilation_rate=2)),
    "conv, dilated, same": ([2, 9, 8, 2], _layer("conv2d", 3, 3, 1, "same", dilation_rate=(2, 3))),
    "transposed conv": ([2, 4, 3, 2], _layer("conv2d_transpose", 3, 3)),
    "transposed conv of stride 2": ([2, 4, 3, 2], _layer("conv2d_transpose", 3, 3, 2)),
    "transposed conv, same": ([2, 4, 3, 2], _layer("conv2d_transpose", 3, 3, (2, 3), "same")),
    "max pooling": ([2, 7, 6, 3], _layer("max_pooling2d", 2, 2)),
    "max pooling, same": ([2, 7, 6, 3], _layer("max_pooling2d", (3, 2), (2, 1), "same")),
    "average pooling": ([2, 7, 6, 3], _layer("average_pooling2d", 3, 2)),
    "average pooling, same": ([2, 7, 6, 3], _layer("average_pooling2d", 3, 2, "same")),
    "flatten": ([3, 2, 4, 5], _layer("flatten")),
    "flatten, channels first": ([3, 2, 4, 5], _layer("flatten", data_format="channels_first")),
    "dropout": ([4, 9], _layer("dropout", seed=1)),
    "dropout of whole columns": ([4, 9], _layer("dropout", 0.3, [1, None], seed=1)),
    "sequences, axis 1": ([4, 5, 6], _batch_norm(axis=1)),
    "without scale": ([9, 6], _batch_norm(scale=False)),
    "images without scale": ([3, 4, 4, 4], _batch_norm(scale=False)),
    "images without center": ([3, 4, 4, 4], _batch_norm(center=False)),
    "images not fused": ([3, 4, 4, 4], _batch_norm(fused=False)),
    "images, axis 1": ([3, 4, 5, 4], _batch_norm(axis=1, fused=False)),
    "images, axis 2": ([3, 4, 5, 4], _batch_norm(axis=[2])),
    "a small epsilon": ([9, 6], _batch_norm(epsilon=1e-7, momentum=0.5)),
    "images with a small epsilon": ([3, 4, 4, 4], _batch_norm(epsilon=1e-7, momentum=0.5)),
    "frozen": ([9, 6], _batch_norm(trainable=False, moving_mean_initializer="ones")),
    "fully connected": ([9, 10], lambda *given: _network(*given, [], [6, 4])),
    "convolutional": ([3, 7, 5, 1], lambda *given: _network(*given, [(4, 1), (8, 2)], [])),
    "LeNet": ([3, 9, 8, 1], _lenet),
    "named and shared": ([5, 7], _named_and_shared),
    "regularized": ([2, 6, 5, 2], _regularized),
}
# The shapes of inputs that a plain batch_normalization takes.
SHAPES = {
    "vectors": [9, 6], "one channel": [9, 1], "a batch of one vector": [1, 6],
    "sequences": [4, 5, 6], "4 channels": [3, 4, 4, 4], "8 channels": [3, 4, 4, 8],
    "12 channels": [2, 3, 3, 12], "16 channels": [2, 3, 3, 16], "20 channels": [2, 3, 3, 20],
    "a batch of one image, 4 channels": [1, 5, 3, 4],
    "a batch of one image, 8 channels": [1, 5, 3, 8],
    "a single pixel, 4 channels": [1, 1, 1, 4], "a single pixel, 8 channels": [1, 1, 1, 8],
    "constant vectors": [9, 6], "constant, 4 channels": [3, 4, 4, 4],
}  # fmt: skip
LAYER_CASES.update({name: (shape, _batch_norm()) for name, shape in SHAPES.items()})


def observe_layers(library, case, flag=bool, slices=1):
    """Builds LAYER_CASES[case] for training and inference; returns {what: array} of all it does.
    flag: what `training` is made of, `bool` or a function that gives a tensor."""
    shape, build = LAYER_CASES[case]
    random = np.random.RandomState(7)

    def build_in_scope(training):
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
            return batch.joined(build(library, batch.split(inputs, slices), flag(training)))

    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, shape)
        outputs = build_in_scope(True)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        inference = build_in_scope(False)
        variables, trainable = tf.global_variables(), tf.trainable_variables()
        # Built before the first run: a tf.cond cannot be differentiated after it.
        weights = random.randn(*outputs.shape.as_list())
        gradients = tf.gradients(outputs * weights, [inputs] + trainable)
        session.run(tf.global_variables_initializer())
        starts = [session.run(v) for v in variables if not v.op.name.endswith("kernel")]
        assert all(value.min() == value.max() and value[0] in (0, 1) for value in starts)
        set_variables(session, variables, random)
        batches = random.randn(UPDATES, *shape) * 2 + 1
        if "constant" in case:
            batches[..., :2] = 5, 0
        batches = batches.astype(np.float32)
        found = session.run([outputs, losses] + gradients, {inputs: batches[0]})
        observed = {
            "scope": np.array(outputs.op.name.split("/")[0]),
            "variables": np.array([v.name for v in variables]),
            "trainable": np.array([v.name for v in trainable]),
            "constrained": np.array([v.name for v in variables if v.constraint is not None]),
            "initial ones": np.array([value[0] == 1 for value in starts], bool),
            "outputs": found[0],
            "sum of regularization losses": np.array(sum(found[1]), np.float32),
            "gradient of inputs": found[2],
        }
        for variable, gradient in zip(trainable, found[3:]):
            observed[f"gradient of {variable.op.name}"] = gradient
        averages, history = [v for v in variables if "moving" in v.op.name], []
        for values in batches:
            session.run(updates, {inputs: values})
            history.append(session.run(averages))
        for variable, values in zip(averages, zip(*history)):
            observed[f"{variable.op.name} after each update"] = np.array(values)
        observed["inference"] = session.run(inference, {inputs: batches[0]})
    return observed


def set_variables(session, variables, random):
    """Gives every variable a value of its own, in the order of their creation."""
    for variable in variables:
        value = 0.5 * random.randn(*variable.shape.as_list())
        if variable.op.name.endswith("moving_variance"):
            value = 0.5 + np.abs(value)
        variable.load(value, session)


def program_data():
    """A made-up image set of 10 classes: Datasets of uint8 [n, 12, 10, 1] images and [n] labels."""
    random = np.random.RandomState(3)
    prototypes, sets = random.randint(0, 200, (10, 12, 10, 1)), []
    form = {"dtype": np.uint8, "reshape": False, "seed": 5, "num_classes": 10}
    for size in (100, 20, 20):
        labels = random.randint(0, 10, size).astype(np.uint8)
        images = prototypes[labels] + random.randint(0, 56, (size, 12, 10, 1))
        sets.append(mnist_data.DataSet(images.astype(np.uint8), labels, **form))
    return mnist_data.Datasets(*sets)


def observe_program(network, checkpoint):
    """Trains as the published programs do, one session call a step; saves `checkpoint` halfway.
    Returns losses [2 * STEPS], and after STEPS and 2 * STEPS the validation logits [20, 10]."""
    data = program_data()
    observed = {"losses": []}
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, [None, 12, 10, 1])
        labels = tf.placeholder(tf.float32, [None, 10])
        is_training = tf.placeholder(tf.bool, [])
        layer = inputs if network == "conv" else tf.layers.flatten(inputs)
        logits = _network(tf.layers, layer, is_training, *PROGRAMS[network], 10)
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(logits=logits, labels=labels))
        model_variables = tf.global_variables()
        with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
            train = tf.train.AdamOptimizer(LEARNING_RATE).minimize(loss)
        session.run(tf.global_variables_initializer())
        set_variables(session, model_variables, np.random.RandomState(9))
        of_validation = {inputs: data.validation.images * SCALE, is_training: False}
        for step in range(1, 2 * STEPS + 1):
            batch = data.train.next_indices(BATCH_SIZE)
            feed = {inputs: data.train.images[batch] * SCALE, is_training: True}
            feed[labels] = np.eye(10)[data.train.labels[batch]]
            observed["losses"].append(session.run([loss, train], feed)[0])
            if step % STEPS == 0:
                observed[f"logits after {step}"] = session.run(logits, of_validation)
            if step == STEPS:
                saver = tf.train.Saver()
                saver.save(session, checkpoint, write_meta_graph=False, write_state=False)
        observed["model variables"] = np.array([v.op.name for v in model_variables])
    return {key: np.array(value) for key, value in observed.items()}


def signatures(library):
    """{function: [argument or argument=default, ...]}; an initializer reads as its name."""

    def text(argument):
        value = argument.default
        if hasattr(value, "dtype"):
            value = type(value).__name__.lower()
        return argument.name if value is argument.empty else f"{argument.name}={value}"

    found = {kind: inspect.signature(getattr(library, kind)).parameters for kind in KINDS}
    return {kind: [text(each) for each in found[kind].values()] for kind in KINDS}


def main():
    record = {f"signature: {kind}": found for kind, found in signatures(tf.layers).items()}
    for case in LAYER_CASES:
        observed = observe_layers(tf.layers, case)
        record.update({f"{case}: {what}": value for what, value in observed.items()})
    np.savez_compressed(os.path.join(DATA, "tf_layers.npz"), **record)
    for network in PROGRAMS:
        observed = observe_program(network, os.path.join(DATA, f"{network}.ckpt"))
        np.savez_compressed(os.path.join(DATA, f"{network}.npz"), **observed)


if __name__ == "__main__":
    main()
