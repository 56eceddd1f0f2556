"""What the real modules of TensorFlow 1 compute, recorded: graph_mode/tf1/ stands for them.

Run with TensorFlow 1.15.5, from the project's root; it writes tests/data/tf1_modules.npz:

    .venv-tf1/bin/python tests/record_tf1_modules.py

test_run_tf1_modules.py compares the record with the stand-ins, on every TensorFlow 2.
"""

import os

import numpy as np

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "tf1_modules.npz")
UPDATES = 3
COLLECTIONS = (
    "model_variables", "regularization_losses", "update_ops", "losses", "mine", "outputs",
    "biases only",
)  # fmt: skip
VECTORS, IMAGES, SEQUENCES = [6, 5], [3, 6, 6, 4], [3, 4, 5]


def _dense(**keywords):
    return lambda tf, x, training: tf.contrib.layers.fully_connected(x, 4, **keywords)


def _regularized(tf, x, training):
    layers = tf.contrib.layers
    return layers.fully_connected(
        x,
        4,
        activation_fn=None,
        weights_regularizer=layers.l2_regularizer(0.1),
        biases_regularizer=layers.l1_regularizer(0.2),
        biases_initializer=tf.constant_initializer(0.3),
        variables_collections={"weights": ["mine"], "biases": ["biases only"]},
        outputs_collections="outputs",
    )


def _shared(tf, x, training):
    layers = tf.contrib.layers
    first = layers.fully_connected(x, 4, scope="shared")
    second = layers.fully_connected(2.0 * x, 4, scope="shared", reuse=True)
    return first + second + layers.fully_connected(x, 4) + layers.fully_connected(x, 4)


def _normalized(tf, x, training):
    layers = tf.contrib.layers
    parameters = {"is_training": training, "decay": 0.9, "scale": True}
    return layers.fully_connected(
        x, 4, normalizer_fn=layers.batch_norm, normalizer_params=parameters
    )


def _conv(*arguments, **keywords):
    return lambda tf, x, training: tf.contrib.layers.conv2d(x, *arguments, **keywords)


def _transposed(*arguments, **keywords):
    return lambda tf, x, training: tf.contrib.layers.conv2d_transpose(x, *arguments, **keywords)


def _batch_norm(by_tensor=True, **keywords):
    def build(tf, x, training):
        training = training if by_tensor else True
        return tf.contrib.layers.batch_norm(x, is_training=training, decay=0.9, **keywords)

    return build


def _layers(layer, *arguments, **keywords):
    return lambda tf, x, training: getattr(tf.contrib.layers, layer)(x, *arguments, **keywords)


def _mixed(tf, x, training):
    slim = tf.contrib.slim
    with slim.arg_scope(
        [slim.conv2d, slim.fully_connected],
        activation_fn=tf.nn.tanh,
        weights_regularizer=slim.l2_regularizer(0.01),
    ), slim.arg_scope([slim.batch_norm, slim.dropout], is_training=training):
        with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm, padding="VALID") as scope:
            x = slim.conv2d(x, 4, [3, 3], scope="first")
        x = slim.repeat(x, 2, slim.conv2d, 3, [2, 2], scope="again")
        with slim.arg_scope(scope):
            x = slim.conv2d(x, 2, 2)
        x = slim.flatten(slim.max_pool2d(x, [2, 2], scope="pool"))
        x = slim.dropout(x, 1.0)
        return slim.stack(x, slim.fully_connected, [5, 4], scope="top")


def _own_arg_scope(tf, x, training):
    slim = tf.contrib.slim

    @slim.add_arg_scope
    def scaled(inputs, scale=1.0):
        return inputs * scale

    with slim.arg_scope([scaled], scale=3.0):
        return scaled(x) + scaled(x, scale=2.0)


def _losses(tf, x, training):
    losses = tf.contrib.slim.losses
    labels = tf.one_hot([0, 1, 2, 3, 4, 0], 5)
    losses.softmax_cross_entropy(x, labels, weights=0.5, label_smoothing=0.1)
    losses.sparse_softmax_cross_entropy(x, [0, 1, 2, 3, 4, 0])
    losses.sigmoid_cross_entropy(x, labels)
    losses.mean_squared_error(x, labels)
    losses.absolute_difference(x, labels)
    losses.log_loss(tf.nn.sigmoid(x), labels)
    tf.contrib.layers.fully_connected(
        x, 2, weights_regularizer=tf.contrib.layers.l1_regularizer(0.1)
    )
    return losses.get_total_loss() * tf.ones([1])


def _trained(make):
    """The loss of three training steps, one after another."""

    def build(tf, x, training):
        x = tf.contrib.layers.fully_connected(x, 3, scope="layer")
        x = tf.contrib.layers.batch_norm(x, is_training=True)
        step = make(tf, tf.reduce_mean(tf.square(x - 1.0)))
        tf.add_to_collection("steps", step)
        return x

    return build


def _optimize_loss(tf, loss):
    tf.train.get_or_create_global_step()
    return tf.contrib.layers.optimize_loss(
        loss, tf.train.get_global_step(), 0.5, "Momentum", clip_gradients=0.1
    )


def _create_train_op(tf, loss):
    optimizer = tf.train.GradientDescentOptimizer(0.5)
    return tf.contrib.slim.learning.create_train_op(loss, optimizer, clip_gradient_norm=0.05)


def _rnn(make):
    def build(tf, x, training):
        outputs, state = tf.nn.dynamic_rnn(make(tf), x, dtype=tf.float32)
        return tf.concat([tf.reshape(outputs, [3, -1]), *_flat(state)], 1)

    return build


def _flat(state):
    if isinstance(state, (list, tuple)):
        return [tensor for part in state for tensor in _flat(part)]
    return [state]


def _static(tf, x, training):
    rnn = tf.contrib.rnn
    cell = rnn.BasicLSTMCell(3, forget_bias=0.5)
    outputs, state = rnn.static_rnn(
        cell, tf.unstack(x, axis=1), dtype=tf.float32, sequence_length=[4, 2, 1]
    )
    return tf.concat([*outputs, *state], 1)


def _bidirectional(tf, x, training):
    rnn = tf.contrib.rnn
    outputs, forward, backward = rnn.static_bidirectional_rnn(
        rnn.BasicLSTMCell(3), rnn.GRUCell(2), tf.unstack(x, axis=1), dtype=tf.float32
    )
    return tf.concat([*outputs, *forward, backward], 1)


def _called_by_hand(tf, x, training):
    """A cell called twice shares its variables; a second cell has its own."""
    first, second = tf.nn.rnn_cell.GRUCell(3), tf.nn.rnn_cell.GRUCell(3)
    state = first.zero_state(3, tf.float32)
    for step in range(2):
        output, state = first(x[:, step], state)
    return output + second(x[:, 2], state)[0]


def _own_cell(tf, x, training):
    class Minimal(tf.nn.rnn_cell.RNNCell):
        @property
        def state_size(self):
            return 5

        @property
        def output_size(self):
            return 5

        def call(self, inputs, state):
            weights = tf.get_variable("weights", [5, 5])
            state = tf.tanh(tf.matmul(inputs + state, weights))
            return state, state

    outputs, _ = tf.nn.dynamic_rnn(Minimal(), x, dtype=tf.float32)
    return outputs


def _cells(cell, *arguments, **keywords):
    return _rnn(lambda tf: getattr(tf.nn.rnn_cell, cell)(*arguments, **keywords))


def _stacked(state_is_tuple):
    def make(tf):
        cells = [
            tf.nn.rnn_cell.DropoutWrapper(
                tf.nn.rnn_cell.BasicLSTMCell(3, state_is_tuple=state_is_tuple), output_keep_prob=1.0
            ),
            tf.nn.rnn_cell.LSTMCell(2, state_is_tuple=state_is_tuple),
        ]
        return tf.nn.rnn_cell.MultiRNNCell(cells, state_is_tuple=state_is_tuple)

    return _rnn(make)


def _mnist(tf, x, training):
    network = tf.contrib.layers.fully_connected(x, 10, activation_fn=None)
    return tf.contrib.layers.one_hot_encoding(tf.argmax(network, 1), 10) + network


# Name: the shape of the inputs, and a function of (tf, inputs, training) -> outputs.
CASES = {
    "fully_connected": (VECTORS, _dense()),
    "fully_connected, 3 axes": (SEQUENCES, _dense(activation_fn=None)),
    "fully_connected, no bias": (VECTORS, _dense(biases_initializer=None, trainable=False)),
    "fully_connected, regularized": (VECTORS, _regularized),
    "fully_connected, shared": (VECTORS, _shared),
    "fully_connected, normalized": (VECTORS, _normalized),
    "conv2d": (IMAGES, _conv(5, 3)),
    "conv2d, stride and valid": (IMAGES, _conv(5, [3, 2], [2, 1], "VALID")),
    "conv2d, dilated": (IMAGES, _conv(5, 2, rate=2)),
    "conv2d_transpose": (IMAGES, _transposed(5, 3, 2)),
    "conv2d_transpose, valid": (IMAGES, _transposed(5, [3, 4], 2, "VALID", scope="up")),
    "max_pool2d": (IMAGES, _layers("max_pool2d", 2)),
    "avg_pool2d": (IMAGES, _layers("avg_pool2d", [3, 2], 2, "SAME")),
    "batch_norm, vectors": (VECTORS, _batch_norm(scale=True)),
    "batch_norm, images": (IMAGES, _batch_norm(scale=True)),
    "batch_norm, without tensor": (IMAGES, _batch_norm(False)),
    "batch_norm, in place": (IMAGES, _batch_norm(updates_collections=None, scale=True)),
    "batch_norm, plain": (IMAGES, _batch_norm(fused=False, center=False, activation_fn=None)),
    "batch_norm, to mine": (IMAGES, _batch_norm(updates_collections="mine")),
    "layer_norm": (VECTORS, _layers("layer_norm")),
    "layer_norm, images": (IMAGES, _layers("layer_norm", begin_norm_axis=2, scale=False)),
    "flatten": (IMAGES, _layers("flatten")),
    "dropout, none": (VECTORS, _layers("dropout", is_training=False)),
    "slim, arg_scope": (IMAGES, _mixed),
    "slim, own function": (VECTORS, _own_arg_scope),
    "slim, losses": (VECTORS, _losses),
    "one_hot_encoding": (VECTORS, _mnist),
    "optimize_loss": (VECTORS, _trained(_optimize_loss)),
    "create_train_op": (VECTORS, _trained(_create_train_op)),
    "BasicRNNCell": (SEQUENCES, _cells("BasicRNNCell", 3, activation="relu")),
    "BasicLSTMCell": (SEQUENCES, _cells("BasicLSTMCell", 3, name="named")),
    "LSTMCell": (SEQUENCES, _cells("LSTMCell", 3)),
    "LSTMCell, all": (
        SEQUENCES,
        _cells("LSTMCell", 3, True, 0.2, num_proj=2, proj_clip=0.1, forget_bias=0.3),
    ),
    "LSTMCell, one state": (SEQUENCES, _cells("LSTMCell", 3, num_proj=2, state_is_tuple=False)),
    "GRUCell": (SEQUENCES, _cells("GRUCell", 3)),
    "LSTMBlockCell": (SEQUENCES, _rnn(lambda tf: tf.contrib.rnn.LSTMBlockCell(3, 0.7))),
    "GRUBlockCellV2": (SEQUENCES, _rnn(lambda tf: tf.contrib.rnn.GRUBlockCellV2(3))),
    "linear": (SEQUENCES, _layers("linear", 3)),
    "MultiRNNCell": (SEQUENCES, _stacked(True)),
    "MultiRNNCell, one state": (SEQUENCES, _stacked(False)),
    "static_rnn": (SEQUENCES, _static),
    "static_bidirectional_rnn": (SEQUENCES, _bidirectional),
    "cells by hand": (SEQUENCES, _called_by_hand),
    "own cell": (SEQUENCES, _own_cell),
}

INITIALIZERS = {
    "xavier": lambda layers: layers.xavier_initializer(),
    "xavier normal": lambda layers: layers.xavier_initializer(uniform=False),
    "xavier_conv2d": lambda layers: layers.xavier_initializer_conv2d(),
    "variance_scaling": lambda layers: layers.variance_scaling_initializer(),
    "variance_scaling out": lambda layers: layers.variance_scaling_initializer(
        1.5, "FAN_OUT", True
    ),
}


def observe(tf, case):
    """Builds CASES[case] and returns {what: array} of all that it does."""
    shape, build = CASES[case]
    random = np.random.RandomState(7)
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, shape)
        training = tf.placeholder(tf.bool, [])
        outputs = build(tf, inputs, training)
        variables = tf.global_variables()
        observed = {
            "variables": np.array([f"{v.op.name} {v.shape.as_list()}" for v in variables]),
            "trainable": np.array([v.op.name for v in tf.trainable_variables()]),
            "static shape": np.array(str(outputs.shape.as_list())),
        }
        for name in COLLECTIONS:
            members = tf.get_collection(name)
            are_variables = members and all(hasattr(m, "initializer") for m in members)
            names = sorted(m.op.name for m in members) if are_variables else len(members)
            observed[f"collection {name}"] = np.array(names)
        session.run(tf.global_variables_initializer())
        for variable in variables:
            value = 0.5 * random.randn(*variable.shape.as_list())
            value = 0.5 + np.abs(value) if "variance" in variable.op.name else value
            variable.load(0 if "step" in variable.op.name else value, session)
        weights = random.randn(*session.run(outputs, _feed(inputs, training, shape, 0)).shape)
        trained = [inputs] + tf.trainable_variables()
        names = ["inputs"] + [v.op.name for v in tf.trainable_variables()]
        gradients = [
            (name, gradient)
            for name, gradient in zip(names, tf.gradients(outputs * weights, trained))
            if gradient is not None
        ]
        feed = _feed(inputs, training, shape, 0)
        observed["outputs"], values = session.run([outputs, [g for _, g in gradients]], feed)
        observed.update({f"gradient of {n}": v for (n, _), v in zip(gradients, values)})
        penalties = tf.get_collection("regularization_losses")
        observed["penalties"] = np.array(sorted(session.run(penalties)))
        averages = [v for v in variables if "moving" in v.op.name]
        steps = tf.get_collection("update_ops") + tf.get_collection("mine")
        steps = tf.get_collection("steps") or steps
        history = []
        for update in range(UPDATES):
            session.run(steps, _feed(inputs, training, shape, update))
            history += [value.ravel() for value in session.run(averages)]
        observed["averages"] = np.concatenate(history) if history else np.zeros(0)
        feed[training] = False
        observed["inference"] = session.run(outputs, feed)
    return observed


def _feed(inputs, training, shape, number):
    values = np.random.RandomState(number).randn(*shape) * 2 + 1
    return {inputs: values, training: True}


def initial_values(tf, name):
    """How INITIALIZERS[name] distributes values in three shapes: [deviation, largest] of each."""
    with tf.Graph().as_default(), tf.Session() as session:
        observed = []
        for shape in ([300, 200], [5, 5, 40, 60], [20000]):
            values = session.run(INITIALIZERS[name](tf.contrib.layers)(shape))
            observed.append([values.std(), np.abs(values).max()])
    return np.array(observed)


def main():
    import tensorflow as tf

    record = {name: initial_values(tf, name) for name in INITIALIZERS}
    for case in CASES:
        for what, value in observe(tf, case).items():
            record[f"{case}: {what}"] = value
    np.savez_compressed(RECORD, **record)


if __name__ == "__main__":
    main()
