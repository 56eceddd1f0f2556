"""What the real modules of TensorFlow 1 compute, recorded: graph_mode/tf1/ stands for them.

    .venv-tf1/bin/python tests/record_tf1_modules.py

writes tests/data/tf1_modules.npz. test_run_tf1.py compares, on every TensorFlow 2."""

import functools
import os

import numpy as np

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "tf1_modules.npz")
UPDATES = 3
COLLECTIONS = ["model_variables", "regularization_losses", "update_ops", "losses", "mine"]
COLLECTIONS += ["outputs", "biases only"]
VECTORS, IMAGES, SEQUENCES = [6, 5], [3, 6, 6, 4], [3, 4, 5]


def _layer(layer, *arguments, **keywords):
    return lambda tf, x, training: getattr(tf.contrib.layers, layer)(x, *arguments, **keywords)


def _regularized(tf, x, training):
    layers = tf.contrib.layers
    return layers.fully_connected(
        x, 4, None,
        weights_regularizer=layers.sum_regularizer([layers.l2_regularizer(0.1), None]),
        biases_regularizer=layers.l1_regularizer(0.2),
        biases_initializer=tf.constant_initializer(0.3),
        variables_collections={"weights": ["mine"], "biases": ["biases only"]},
        outputs_collections="outputs",
    )  # fmt: skip


def _shared(tf, x, training):
    layers = tf.contrib.layers
    first = layers.fully_connected(x, 4, scope="shared")
    second = layers.fully_connected(2.0 * x, 4, scope="shared", reuse=True)
    return first + second + layers.fully_connected(x, 4) + layers.fully_connected(x, 4)


def _batch_norm(**keywords):
    return lambda tf, x, training: tf.contrib.layers.batch_norm(
        x, **{"is_training": training, "decay": 0.9, **keywords}
    )


def _mixed(tf, x, training):
    slim = tf.contrib.slim

    @slim.add_arg_scope
    def scaled(inputs, scale=1.0):
        return inputs * scale

    weighted, told = [slim.conv2d, slim.fully_connected], [slim.batch_norm, slim.dropout]
    with slim.arg_scope(
        weighted, activation_fn=tf.nn.tanh, weights_regularizer=slim.l2_regularizer(0.01)
    ), slim.arg_scope(told, is_training=training), slim.arg_scope([scaled], scale=3.0):
        with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm, padding="VALID") as scope:
            x = slim.conv2d(x, 4, [3, 3], scope="first")
        x = slim.repeat(x, 2, slim.conv2d, 3, [2, 2], scope="again")
        with slim.arg_scope(scope):
            x = slim.conv2d(x, 2, 2)
        x = slim.flatten(slim.max_pool2d(x, [2, 2], scope="pool"))
        x = slim.dropout(scaled(x) + scaled(x, scale=2.0), 1.0)
        return slim.stack(x, slim.fully_connected, [5, 4], scope="top")


def _losses(tf, x, training):
    losses = tf.contrib.slim.losses
    labels = tf.one_hot([0, 1, 2, 3, 4, 0], 5)
    losses.softmax_cross_entropy(x, labels, weights=0.5, label_smoothing=0.1)
    losses.sparse_softmax_cross_entropy(x, [0, 1, 2, 3, 4, 0])
    losses.sigmoid_cross_entropy(x, labels)
    losses.mean_squared_error(x, labels)
    losses.absolute_difference(x, labels)
    losses.log_loss(tf.nn.sigmoid(x), labels)
    penalty = tf.contrib.layers.l1_regularizer(0.1)
    tf.contrib.layers.fully_connected(x, 2, weights_regularizer=penalty)
    return losses.get_total_loss() * tf.ones([1])


def _trained(tf, x, by_slim):
    x = tf.contrib.layers.fully_connected(x, 3, scope="layer")
    x = tf.contrib.layers.batch_norm(x, is_training=True)
    loss = tf.reduce_mean(tf.square(x - 1.0))
    if by_slim:
        optimizer = tf.train.GradientDescentOptimizer(0.5)
        step = tf.contrib.slim.learning.create_train_op(loss, optimizer, clip_gradient_norm=0.05)
    else:
        step = tf.train.get_or_create_global_step()
        step = tf.contrib.layers.optimize_loss(loss, step, 0.5, "Momentum", clip_gradients=0.1)
    tf.add_to_collection("steps", step)
    return x


def _static_rnn(tf, x, training):
    rnn = tf.contrib.rnn
    cell = rnn.MultiRNNCell([rnn.LSTMBlockCell(3, 0.7), rnn.GRUBlockCellV2(2)])
    inputs = tf.unstack(x, axis=1)
    outputs, (lstm, gru) = rnn.static_rnn(cell, inputs, dtype=tf.float32, sequence_length=[4, 2, 1])
    return tf.concat([*outputs, lstm.c, lstm.h, gru], 1)


def _one_hot(tf, x, training):
    network = tf.contrib.layers.linear(x, 10)
    return tf.contrib.layers.one_hot_encoding(tf.argmax(network, 1), 10) + network


def _recurrent(tf, x, training):
    rnn = tf.contrib.rnn
    forward = [rnn.OutputProjectionWrapper(rnn.GRUCell(3), 4, tf.tanh), rnn.LSTMCell(2)]
    backward = [rnn.GRUCell(2), rnn.BasicRNNCell(2)]
    outputs, *_ = rnn.stack_bidirectional_dynamic_rnn(forward, backward, x, dtype=tf.float32)
    inputs, cell = tf.unstack(x, axis=1), rnn.GRUCell(5, name="decoder")
    decode, start = tf.contrib.legacy_seq2seq.rnn_decoder, cell.zero_state(3, tf.float32)
    decoded, state = decode(inputs, start, cell, lambda output, number: output * number)
    return tf.concat([tf.reshape(outputs, [3, -1]), *decoded, state], 1)


def _sequence_losses(tf, x, training):
    weights = tf.constant([[1.0, 1.0, 0.5, 0.0], [1.0, 2.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    targets = tf.constant([[0, 1, 2, 3], [4, 0, 1, 2], [3, 4, 0, 1]])
    loss, over_lists = tf.contrib.seq2seq.sequence_loss, tf.contrib.legacy_seq2seq
    ways = ((), (True, False), (False, False), (False, False, True, True))
    losses = [loss(x, targets, weights, *way) for way in ways]
    lists = [tf.unstack(each, axis=1) for each in (x, targets, weights)]
    losses += [over_lists.sequence_loss_by_example(*lists), over_lists.sequence_loss(*lists)]
    ids = tf.cast(training, tf.int32) + [[0, 1], [2, 2]]
    embedded = tf.contrib.layers.embed_sequence(ids, 5, 3)
    losses.append(tf.stop_gradient(embedded))  # whose gradient is of slices
    return tf.concat([tf.reshape(each, [-1]) for each in losses], 0)


# Name: the shape of the inputs, and a function of (tf, inputs, training) -> outputs.
CASES = {
    "fully_connected, 3 axes": (SEQUENCES, _layer("fully_connected", 4, activation_fn=None)),
    "fully_connected, no bias": (
        VECTORS, _layer("fully_connected", 4, biases_initializer=None, trainable=False)
    ),
    "fully_connected, regularized": (VECTORS, _regularized),
    "fully_connected, shared": (VECTORS, _shared),
    "conv2d, stride and valid": (IMAGES, _layer("conv2d", 5, [3, 2], [2, 1], "VALID")),
    "conv2d, dilated": (IMAGES, _layer("conv2d", 5, 2, rate=2)),
    "conv2d_transpose": (IMAGES, _layer("conv2d_transpose", 5, 3, 2)),
    "conv2d_transpose, valid": (
        IMAGES, _layer("conv2d_transpose", 5, [3, 4], 2, "VALID", scope="up")
    ),
    "max_pool2d": (IMAGES, _layer("max_pool2d", 2)),
    "avg_pool2d": (IMAGES, _layer("avg_pool2d", [3, 2], 2, "SAME")),
    "batch_norm, vectors": (VECTORS, _batch_norm(scale=True)),
    "batch_norm, frozen vectors": (VECTORS, _batch_norm(scale=True, trainable=False)),
    "batch_norm, images": (IMAGES, _batch_norm(scale=True)),
    "batch_norm, frozen images": (IMAGES, _batch_norm(trainable=False)),
    "batch_norm, without tensor": (IMAGES, _batch_norm(is_training=True)),
    "batch_norm, in place": (IMAGES, _batch_norm(updates_collections=None, scale=True)),
    "batch_norm, plain": (IMAGES, _batch_norm(fused=False, center=False)),
    "batch_norm, to mine": (
        IMAGES, _batch_norm(updates_collections="mine", variables_collections=["biases only"])
    ),
    "layer_norm": (VECTORS, _layer("layer_norm")),
    "layer_norm, images": (IMAGES, _layer("layer_norm", begin_norm_axis=2, scale=False)),
    "slim, arg_scope": (IMAGES, _mixed),
    "slim, losses": (VECTORS, _losses),
    "one_hot_encoding": (VECTORS, _one_hot),
    "optimize_loss": (VECTORS, lambda tf, x, training: _trained(tf, x, by_slim=False)),
    "create_train_op": (VECTORS, lambda tf, x, training: _trained(tf, x, by_slim=True)),
    "static_rnn, LSTMBlockCell, GRUBlockCellV2": (SEQUENCES, _static_rnn),
    "stacked recurrences, decoder": (SEQUENCES, _recurrent),
    "sequence losses, embedding": (SEQUENCES, _sequence_losses),
}  # fmt: skip

INITIALIZERS = {
    "xavier": lambda layers: layers.xavier_initializer(),
    "xavier normal": lambda layers: layers.xavier_initializer(uniform=False),
    "variance scaling": lambda layers: layers.variance_scaling_initializer(),
    "uniform": lambda layers: layers.variance_scaling_initializer(1.5, "FAN_OUT", True),
}


def observe(tf, case):
    """Builds CASES[case] and returns {what: array} of all that it does."""
    (shape, build), random = CASES[case], np.random.RandomState(7)
    with tf.Graph().as_default(), tf.Session() as session:
        inputs, training = tf.placeholder(tf.float32, shape), tf.placeholder(tf.bool, [])
        outputs = build(tf, inputs, training)
        variables, trainable = tf.global_variables(), tf.trainable_variables()
        observed = {
            "variables": np.array([f"{v.op.name} {v.shape.as_list()}" for v in variables]),
            "trainable": np.array([v.op.name for v in trainable]),
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
        batches = [np.random.RandomState(i).randn(*shape) * 2 + 1 for i in range(UPDATES)]
        feeds = [{inputs: batch, training: True} for batch in batches]
        weights = random.randn(*session.run(outputs, feeds[0]).shape)
        gradients = tf.gradients(outputs * weights, [inputs] + trainable)
        names = ["inputs"] + [v.op.name for v in trainable]
        wanted = {f"gradient of {n}": g for n, g in zip(names, gradients) if g is not None}
        observed.update(session.run({"outputs": outputs, **wanted}, feeds[0]))
        penalties = tf.get_collection("regularization_losses")
        observed["penalties"] = np.array(sorted(session.run(penalties)))
        averages = [v for v in variables if "moving" in v.op.name]
        steps = tf.get_collection("steps")
        steps = steps or tf.get_collection("update_ops") + tf.get_collection("mine")
        history = [np.zeros(0, np.float32)]
        for feed in feeds:
            session.run(steps, feed)
            history += [value.ravel() for value in session.run(averages)]
        observed["averages"] = np.concatenate(history)
        observed["inference"] = session.run(outputs, {inputs: batches[0], training: False})
    return observed


def initial_values(tf, make):
    """How an initializer distributes values in three shapes: [deviation, largest] of each."""
    shapes, initializer = ([300, 200], [5, 5, 40, 60], [20000]), make(tf.contrib.layers)
    with tf.Session() as session:
        found = session.run([initializer(shape) for shape in shapes])
    return [[values.std(), np.abs(values).max()] for values in found]


def seeds(tf):
    """The seeds of the random operations of a graph with a seed of its own."""
    tf.set_random_seed(7)
    x, training = tf.placeholder(tf.float32, [None, 8, 8, 2]), tf.placeholder(tf.bool, [])
    x = tf.nn.dropout(tf.layers.conv2d(x, 3, 3, activation=tf.nn.relu), 0.5)
    x = tf.layers.batch_normalization(tf.layers.conv2d_transpose(x, 4, 2, 2), training=True)
    x = tf.layers.dropout(tf.layers.flatten(tf.layers.max_pooling2d(x, 2, 2)), training=training)
    x = tf.contrib.layers.batch_norm(tf.contrib.layers.fully_connected(x, 6))
    x = tf.layers.dense(tf.reshape(x, [-1, 2, 3]), 5)
    cells = [tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.LSTMCell(4), 0.5) for _ in range(2)]
    cell = tf.nn.rnn_cell.MultiRNNCell(cells)
    x, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    tf.matmul(x[:, -1], tf.get_variable("w", [4, 2])) + tf.Variable(tf.random_normal([2]))
    operations = tf.get_default_graph().get_operations()
    return [each.get_attr("seed2") for each in operations if "Random" in each.type]


def batches(tf):
    """The labels of batches of two sets that the graph's seed shuffles."""
    make = tf.contrib.learn.datasets.mnist.DataSet
    images, labels = np.zeros([20, 2, 2, 1], np.uint8), np.arange(20)
    tf.set_random_seed(5)
    sets = [make(images, labels), make(images, labels, seed=3)]
    return [label for _ in range(4) for each in sets for label in each.next_batch(7)[1]]


def words(tf):
    """Texts as numbers, and the size of the vocabulary."""
    found, texts = [], ["the cat the Hat", "no cat, it's a dog the"]
    for frequency in (0, 1):
        processor = tf.contrib.learn.preprocessing.VocabularyProcessor(4, frequency)
        found += [each for row in processor.fit_transform(texts) for each in row]
        found += [*next(processor.transform(["the new dog"])), len(processor.vocabulary_)]
    return found


def estimator(tf):
    """What a model of an Estimator computes after training in two parts, and its predictions."""
    inputs = np.random.RandomState(0).randn(60, 4).astype(np.float32)
    labels = (inputs.sum(1) > 0).astype(np.int32)

    def model_fn(features, labels, mode, params):
        hidden = tf.layers.dense(features["x"], params["units"], tf.nn.relu)
        logits = tf.layers.dense(hidden, 2)
        if mode == tf.estimator.ModeKeys.PREDICT:
            return tf.estimator.EstimatorSpec(mode, predictions={"p": tf.nn.softmax(logits)})
        loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
        step = tf.train.AdamOptimizer(0.01).minimize(loss, tf.train.get_global_step())
        right = {"accuracy": tf.metrics.accuracy(labels, tf.argmax(logits, 1))}
        return tf.estimator.EstimatorSpec(mode, None, loss, step, right)

    config = tf.estimator.RunConfig(tf_random_seed=1, save_checkpoints_steps=7)
    model = tf.estimator.Estimator(model_fn, params={"units": 8}, config=config)
    feed = tf.estimator.inputs.numpy_input_fn
    model.train(feed({"x": inputs}, labels, 25, None, shuffle=False), steps=9)
    model.train(lambda: tf.data.Dataset.from_tensors(({"x": inputs}, labels)).repeat(3))
    model.train(feed({"x": inputs}, labels, shuffle=True), max_steps=12)
    found = model.evaluate(feed({"x": inputs}, labels, 25, shuffle=False))
    predicted = model.predict(feed({"x": inputs[:3]}, batch_size=2, shuffle=False))
    return [*(found[name] for name in sorted(found)), *(each["p"][0] for each in predicted)]


# Name: a function of tf that gives numbers, and how far they may be off, as a part of them.
PROGRAMS = {each.__name__: (each, 1e-4) for each in (seeds, batches, words, estimator)}
for name, make in INITIALIZERS.items():
    PROGRAMS[name] = (functools.partial(initial_values, make=make), 0.03)


def main():
    import tensorflow as tf

    record = {}
    for name, (program, _) in PROGRAMS.items():
        with tf.Graph().as_default():
            record[name] = program(tf)
    for case in CASES:
        for what, value in observe(tf, case).items():
            record[f"{case}: {what}"] = value
    np.savez_compressed(RECORD, **record)


if __name__ == "__main__":
    main()
