"""What the real tf.layers computes, recorded, because TensorFlow 2.16 and later no longer have it.

Run with TensorFlow 1.15.5, from the project's root; it takes half a minute and writes tests/data/:

    .venv-tf1/bin/python tests/record_tf_layers.py

    tf_layers.npz        each of LAYER_CASES: variable names, outputs, gradients, moving averages
    fc.npz, conv.npz     the two published programs in small: losses, logits, variables
    fc.ckpt*, conv.ckpt* the checkpoints that those two saved halfway

test_layers.py and test_model.py compare the record with this project's layers, on every TensorFlow;
where tf.layers exists, test_layers.py also compares it with a fresh recording.
"""

import os
import sys
import types

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import mnist_data  # noqa: E402
from graph_mode import tensorflow1 as tf  # noqa: E402

DATA = os.path.join(ROOT, "tests", "data")
UPDATES = 3  # how often a layer's moving averages are updated
STEPS = 20  # training steps of a program before its checkpoint, and after it
BATCH_SIZE = 16
LEARNING_RATE = 0.002
HIDDEN_UNITS = (16, 12, 8)
CONVOLUTIONS = 3
FILTERS_STEP = 4
STRIDE_EVERY = 3
DENSE_UNITS = 8


def _dense(*arguments):
    return lambda library, inputs, training: library.dense(inputs, *arguments)


def _conv(*arguments):
    return lambda library, inputs, training: library.conv2d(inputs, *arguments)


def _batch_norm(library, inputs, training):
    return library.batch_normalization(inputs, training)


def _fully_connected(library, inputs, training):
    layer = inputs
    for units in (6, 4):
        layer = library.dense(layer, units, use_bias=False)
        layer = tf.nn.relu(library.batch_normalization(layer, training))
    return library.dense(layer, 3)


def _convolutional(library, inputs, training):
    layer = library.conv2d(inputs, 4, 3, use_bias=False)
    layer = tf.nn.relu(library.batch_normalization(layer, training))
    layer = library.conv2d(layer, 8, 3, 2, use_bias=False)
    layer = tf.nn.relu(library.batch_normalization(layer, training))
    return library.dense(library.flatten(layer), 3)


# Name: the shape of the inputs, and a function of (library, inputs, training).
LAYER_CASES = {
    "dense": ([5, 7], _dense(6)),
    "dense without bias": ([5, 7], _dense(6, False)),
    "conv": ([2, 6, 6, 3], _conv(5, 3)),
    "conv without bias": ([2, 6, 6, 3], _conv(5, 3, 1, False)),
    "conv of stride 2": ([2, 6, 4, 2], _conv(5, 3, 2)),
    "conv of stride 2, odd image": ([2, 7, 5, 2], _conv(5, 3, 2)),
    "conv, even kernel": ([2, 5, 7, 1], _conv(3, 2, 3)),
    "vectors": ([9, 6], _batch_norm),
    "one channel": ([9, 1], _batch_norm),
    "a batch of one vector": ([1, 6], _batch_norm),
    "4 channels": ([3, 4, 4, 4], _batch_norm),
    "8 channels": ([3, 4, 4, 8], _batch_norm),
    "12 channels": ([2, 3, 3, 12], _batch_norm),
    "16 channels": ([2, 3, 3, 16], _batch_norm),
    "20 channels": ([2, 3, 3, 20], _batch_norm),
    "4 channels, odd image": ([3, 5, 3, 4], _batch_norm),
    "8 channels, odd image": ([3, 5, 3, 8], _batch_norm),
    "a batch of one image, 4 channels": ([1, 5, 3, 4], _batch_norm),
    "a batch of one image, 8 channels": ([1, 5, 3, 8], _batch_norm),
    "a single pixel, 4 channels": ([1, 1, 1, 4], _batch_norm),
    "a single pixel, 8 channels": ([1, 1, 1, 8], _batch_norm),
    "constant vectors": ([9, 6], _batch_norm),
    "constant, 4 channels": ([3, 4, 4, 4], _batch_norm),
    "constant, 8 channels": ([3, 4, 4, 8], _batch_norm),
    "fully connected": ([9, 10], _fully_connected),
    "convolutional": ([3, 7, 5, 1], _convolutional),
}


def tf_layers():
    """The real tf.layers, with the arguments of graph_mode.layers."""
    return types.SimpleNamespace(
        dense=lambda inputs, units, use_bias=True: tf.layers.dense(
            inputs, units, use_bias=use_bias
        ),
        conv2d=lambda inputs, filters, kernel_size, strides=1, use_bias=True: tf.layers.conv2d(
            inputs, filters, kernel_size, strides, "same", use_bias=use_bias
        ),
        batch_normalization=lambda inputs, training: tf.layers.batch_normalization(
            inputs, training=training
        ),
        flatten=tf.layers.flatten,
    )


def observe_layers(library, case):
    """Builds LAYER_CASES[case] for training and inference; returns {what: array} of all it does."""
    shape, build = LAYER_CASES[case]
    random = np.random.RandomState(7)
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, shape)
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
            outputs = build(library, inputs, True)
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
            inference = build(library, inputs, False)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        variables = tf.global_variables()
        observed = {
            "variables": np.array([variable.name for variable in variables]),
            "trainable": np.array([variable.name for variable in tf.trainable_variables()]),
            "initial ones": _initial_ones(session, variables),
        }
        set_variables(session, variables, random)
        weights = random.randn(*outputs.shape.as_list())
        batches = [_inputs(case, shape, random) for _ in range(UPDATES)]
        gradients = tf.gradients(outputs * weights, [inputs] + tf.trainable_variables())
        names = ["inputs"] + [variable.op.name for variable in tf.trainable_variables()]
        results = session.run([outputs] + gradients, {inputs: batches[0]})
        observed["outputs"] = results[0]
        observed.update({f"gradient of {name}": value for name, value in zip(names, results[1:])})
        averages = [variable for variable in variables if "moving" in variable.op.name]
        history = []
        for batch in batches:
            session.run(updates, {inputs: batch})
            history.append(session.run(averages))
        for variable, values in zip(averages, zip(*history)):
            observed[f"{variable.op.name} after each update"] = np.array(values)
        observed["inference"] = session.run(inference, {inputs: batches[0]})
    return observed


def _initial_ones(session, variables):
    """Which variables start as ones (True), which as zeros (False); kernels are left out."""
    session.run(tf.global_variables_initializer())
    values = [session.run(v) for v in variables if not v.op.name.endswith("kernel")]
    assert all(value.min() == value.max() and value[0] in (0, 1) for value in values)
    return np.array([value[0] == 1 for value in values], bool)


def _inputs(case, shape, random):
    values = random.randn(*shape) * 2 + 1
    if "constant" in case:
        values[..., 0] = 5
        values[..., 1] = 0
    return values.astype(np.float32)


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
    prototypes = random.randint(0, 200, (10, 12, 10, 1))

    def data_set(size):
        labels = random.randint(0, 10, size).astype(np.uint8)
        images = prototypes[labels] + random.randint(0, 56, (size, 12, 10, 1))
        return mnist_data.DataSet(
            images.astype(np.uint8), labels, dtype=np.uint8, reshape=False, seed=5, num_classes=10
        )

    return mnist_data.Datasets(data_set(100), data_set(20), data_set(20))


def fc_program(inputs, is_training):
    """The published fully connected network, narrower."""
    layer = tf.reshape(inputs, [-1, 12 * 10])
    for units in HIDDEN_UNITS:
        layer = tf.layers.dense(layer, units, use_bias=False)
        layer = tf.nn.relu(tf.layers.batch_normalization(layer, training=is_training))
    return tf.layers.dense(layer, 10)


def conv_program(inputs, is_training):
    """The published convolutional network, with fewer layers."""
    layer = inputs
    for i in range(1, CONVOLUTIONS + 1):
        strides = 2 if i % STRIDE_EVERY == 0 else 1
        layer = tf.layers.conv2d(layer, i * FILTERS_STEP, 3, strides, "same", use_bias=False)
        layer = tf.nn.relu(tf.layers.batch_normalization(layer, training=is_training))
    shape = layer.shape.as_list()
    layer = tf.reshape(layer, [-1, shape[1] * shape[2] * shape[3]])
    layer = tf.layers.dense(layer, DENSE_UNITS, use_bias=False)
    layer = tf.nn.relu(tf.layers.batch_normalization(layer, training=is_training))
    return tf.layers.dense(layer, 10)


PROGRAMS = {"fc": fc_program, "conv": conv_program}


def observe_program(network, checkpoint):
    """Trains as the published programs do, one session call a step; saves `checkpoint` halfway.

    Returns losses [2 * STEPS], and after STEPS and 2 * STEPS the validation logits [20, 10].
    """
    data = program_data()
    observed = {"losses": []}
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, [None, 12, 10, 1])
        labels = tf.placeholder(tf.float32, [None, 10])
        is_training = tf.placeholder(tf.bool, [])
        logits = PROGRAMS[network](inputs, is_training)
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(logits=logits, labels=labels))
        model_variables = tf.global_variables()
        with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
            train = tf.train.AdamOptimizer(LEARNING_RATE).minimize(loss)
        session.run(tf.global_variables_initializer())
        set_variables(session, model_variables, np.random.RandomState(9))
        for step in range(2 * STEPS):
            batch = data.train.next_indices(BATCH_SIZE)
            feed = {
                inputs: data.train.images[batch] * np.float32(1.0 / 255.0),
                labels: np.eye(10)[data.train.labels[batch]],
                is_training: True,
            }
            observed["losses"].append(session.run([loss, train], feed)[0])
            if step + 1 in (STEPS, 2 * STEPS):
                images = data.validation.images * np.float32(1.0 / 255.0)
                feed = {inputs: images, is_training: False}
                observed[f"logits after {step + 1}"] = session.run(logits, feed)
            if step + 1 == STEPS:
                saver = tf.train.Saver()
                saver.save(session, checkpoint, write_meta_graph=False, write_state=False)
        observed["model variables"] = np.array([v.op.name for v in model_variables])
    return {key: np.array(value) for key, value in observed.items()}


def main():
    library = tf_layers()
    record = {}
    for case in LAYER_CASES:
        for what, value in observe_layers(library, case).items():
            record[f"{case}: {what}"] = value
    np.savez_compressed(os.path.join(DATA, "tf_layers.npz"), **record)
    for network in PROGRAMS:
        observed = observe_program(network, os.path.join(DATA, f"{network}.ckpt"))
        np.savez_compressed(os.path.join(DATA, f"{network}.npz"), **observed)


if __name__ == "__main__":
    main()
