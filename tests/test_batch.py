"""A batch in slices gives what the whole batch gives, or refuses in one sentence."""

import operator
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT

from graph_mode import batch, layers
from graph_mode import tensorflow1 as tf


def network(images, flag):
    """What random_networks.py has not: layers in a branch, a flag, dropout, tf.nn of a Batch."""

    def branch():
        layer = layers.conv2d(images * 2, 4, 3, padding="same")
        return tf.nn.relu(layers.batch_normalization(layer, training=True)) + layer[..., :1]

    layer = layers.conv2d(images, 4, 3, padding="same", activation=tf.nn.relu)
    layer = layer + tf.cond(flag, branch, lambda: layer)
    layer = tf.nn.max_pool2d(layer, 2, 1, "VALID")
    layer = layers.batch_normalization(layers.conv2d(images, 4, 2) + layer, training=flag)
    layer = layers.max_pooling2d(batch.apply(tf.nn.relu, layer), 2, 1)
    layer = layers.dropout(layers.dense(layers.flatten(layer), 9), 0.3, seed=4, training=flag)
    return layers.dense(layer, 3)


def results(images, slices):
    """Loss, gradients and moving averages after an update, of fixed weights."""
    with tf.Graph().as_default(), tf.Session() as session:
        flag = tf.placeholder_with_default(True, [])
        logits = network(batch.split(tf.constant(images), slices), flag)
        loss = tf.reduce_mean(tf.square(batch.joined(logits) - 1.0))
        gradients = tf.gradients(loss, tf.trainable_variables())
        random = np.random.RandomState(0)
        for variable in tf.global_variables():
            session.run(variable.initializer)
            variable.load(0.3 * np.abs(random.randn(*variable.shape.as_list())), session)
        found = session.run([loss] + gradients)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        session.run([each for each in updates if each.graph is session.graph])
        return found + session.run(tf.global_variables(scope=".*moving"))


def test_slices_give_what_the_whole_batch_gives():
    """Training is in slices and evaluation is not."""
    images = np.random.RandomState(1).rand(11, 8, 7, 2)
    for found, expected in zip(results(images, 3), results(images, 1)):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


# Functions that look at the batch, and one that does not, of [n, c].
FUNCTIONS = {
    "centred": lambda x: x - tf.reduce_mean(x, axis=0),
    "by the largest": lambda x: x / tf.reduce_max(x),
    "softmax over the batch": lambda x: tf.nn.softmax(x, axis=0),
    "cumulative": lambda x: tf.cumsum(x),
    "reversed": lambda x: tf.reverse(x, [0]),
    "sorted": lambda x: tf.sort(x, axis=0),
    "normalized": lambda x: tf.nn.l2_normalize(x, 0),
    "swish": lambda x: x * tf.sigmoid(x),
}
for _name in batch.ELEMENTWISE + batch.ALONG_LAST_AXIS:
    _places = [place for place in (tf.nn, tf, tf.math) if hasattr(place, _name)]
    FUNCTIONS[_name] = getattr(_places[0], _name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_apply_gives_what_the_function_gives_of_the_whole_batch(name, session):
    """A vector of examples is softmax's last axis: then it is computed of the whole."""
    for values in (VALUES, VALUES[:, 0]):
        found = batch.apply(FUNCTIONS[name], batch.split(tf.constant(values), 3))
        assert isinstance(found, batch.Batch) or (name, values.ndim) == ("crelu", 1)
        expected = FUNCTIONS[name](tf.constant(values))
        np.testing.assert_allclose(*session.run([batch.joined(found), expected]), rtol=1e-12)


@pytest.fixture
def session():
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


VALUES = np.random.RandomState(0).rand(7, 3) + 0.5
OPERATORS = [
    getattr(operator, name)
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "le", "gt", "ge")
]


@pytest.mark.parametrize("operation", OPERATORS)
def test_arithmetic_is_slice_by_slice_where_nothing_meets_the_axis_of_examples(operation, session):
    x = batch.split(tf.constant(VALUES), 3)
    row, number = VALUES[:1], np.float64(1.5)
    for other, value in (
        (0.75, 0.75), (np.float64(2), 2), (VALUES[0], VALUES[0]), (tf.constant(row), row),
        (tf.constant(number), number), (batch.split(tf.constant(VALUES), 3), VALUES),
    ):  # fmt: skip
        built = operation(x, other), operation(other, x)
        assert isinstance(built[0], batch.Batch)
        # Where a tensor is on the left, its own operator comes first, and takes the whole batch.
        assert isinstance(built[1], tf.Tensor if tf.is_tensor(other) else batch.Batch)
        found = session.run([batch.joined(y) for y in built])
        np.testing.assert_allclose(found[0], operation(VALUES, value))
        np.testing.assert_allclose(found[1], operation(value, VALUES))


def test_what_meets_the_axis_of_examples_is_computed_of_the_whole(session):
    x = batch.split(tf.constant(VALUES), 3)
    column = VALUES[:, :1]
    cube = np.stack([VALUES, VALUES + 1])
    found = [x * column, x + batch.split(tf.constant(VALUES), 2), x - cube, cube - x]
    expected = [VALUES * column, VALUES + VALUES, VALUES - cube, cube - VALUES]
    for tensor, wanted in zip(found, expected):
        assert isinstance(tensor, tf.Tensor)
        np.testing.assert_allclose(session.run(tensor), wanted)


def test_matrices_multiply_and_signs_change_slice_by_slice(session):
    x = batch.split(tf.constant(VALUES), 3)
    matrix = np.random.RandomState(1).randn(3, 4)
    for found, wanted in (
        (x @ matrix, VALUES @ matrix), (-x, -VALUES), (abs(-x), VALUES),
        ((x > 1) & ~(x > 1.2), (VALUES > 1) & ~(VALUES > 1.2)),
    ):  # fmt: skip
        assert isinstance(found, batch.Batch)
        np.testing.assert_allclose(session.run(batch.joined(found)), wanted)
    rows = matrix.T @ VALUES.T
    np.testing.assert_allclose(session.run(matrix.T @ tf.transpose(x)), rows)
    np.testing.assert_allclose(session.run(rows[:, :7] @ x), rows @ VALUES)


@pytest.mark.parametrize(
    "index, is_sliced",
    [
        (np.s_[:, 0], True), (np.s_[..., :2], True), (np.s_[:], True), (np.s_[:, None], True),
        (np.s_[..., None, 1], True), (np.s_[2], False), (np.s_[1:4], False),
        (np.s_[..., 1, 2], False), (np.s_[None], False), (np.s_[::-1, 1], False),
    ],
)  # fmt: skip
def test_indexing_means_what_it_means_for_the_whole(index, is_sliced, session):
    found = batch.split(tf.constant(VALUES), 3)[index]
    assert isinstance(found, batch.Batch) == is_sliced
    np.testing.assert_allclose(session.run(batch.joined(found)), VALUES[index])


def test_an_operation_of_tensorflow_gets_the_whole(session):
    x = batch.split(tf.constant(VALUES), 2)
    found = session.run(
        [
            tf.nn.relu(x), tf.concat([x, x], -1), tf.reshape(x, [3, 7]), tf.add_n([x, x]),
            tf.stack([x, x]), tf.shape(x), tf.cast(x, tf.float32), tf.convert_to_tensor(x),
            tf.cond(tf.constant(True), lambda: x, lambda: x * 2),
        ]
    )  # fmt: skip
    expected = [
        VALUES, np.concatenate([VALUES, VALUES], -1), VALUES.reshape(3, 7), 2 * VALUES,
        np.stack([VALUES, VALUES]), [7, 3], VALUES.astype(np.float32), VALUES, VALUES,
    ]  # fmt: skip
    for value, wanted in zip(found, expected):
        np.testing.assert_array_equal(value, wanted)
    assert tf.convert_to_tensor(x, name="images").op.name == "images"
    with pytest.raises(ValueError, match="tf.cast"):
        tf.convert_to_tensor(x, tf.int32)


def declared(function, x):
    return batch.apply(batch.by_example(function), x)


@pytest.mark.parametrize(
    "use",
    [
        iter, len, bool, list, np.square, np.mean, np.asarray, sorted,
        lambda x: [1.0] + x, lambda x: x + [x], lambda x: x == x,
        lambda x: x != 0, lambda x: 1 in x, lambda x: x.op, lambda x: x.set_shape([7, 3]),
        lambda x: "yes" if x else "no", lambda x: tf.gradients(tf.reduce_sum(x), x),
        lambda x: declared(lambda y: tf.reduce_mean(y), x), lambda x: declared(lambda y: None, x),
        lambda x: declared(lambda y: tf.transpose(y), x), lambda x: declared(lambda y: (y, y), x),
        lambda x: declared(lambda y: layers.dense(y, 2), x), lambda x: x.eval,
    ],
)  # fmt: skip
def test_what_a_batch_cannot_do_is_refused_in_one_sentence(use):
    with tf.Graph().as_default():
        x = batch.split(tf.constant(VALUES), 2)
        with pytest.raises(
            TypeError, match="^a (Batch|slice|list|function of each slice)"
        ) as raised:
            use(x)
    assert re.search(": (use|call) .*$", str(raised.value))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "size, slices, words",
    [(7, 0, "of 7 .* 1 to 7"), (7, 8, "of 7 .* 1 to 7"), (None, 2, "unknown")],
)
def test_a_batch_is_not_split_into_empty_slices(size, slices, words):
    with tf.Graph().as_default(), pytest.raises(ValueError, match=words):
        batch.split(tf.placeholder(tf.float32, [size, 3]), slices)


def test_slices_keep_the_order_and_differ_by_at_most_one_example(session):
    whole = tf.range(11)
    x = batch.split(whole, 3)
    parts = [part.tolist() for part in session.run(x.slices)]
    assert parts == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert batch.split(whole, 1) is whole
    assert (x.get_shape().as_list(), x.shape, x.dtype) == ([11], whole.shape, whole.dtype)


def test_apply_joins_what_is_not_in_the_same_slices(session):
    x, y = (batch.split(tf.constant(VALUES), slices) for slices in (2, 3))
    assert isinstance(batch.apply(tf.add, x, x), batch.Batch)
    for other in (y, tf.constant(VALUES)):
        found = batch.joined(batch.apply(tf.add, x, other))
        np.testing.assert_allclose(session.run(found), 2 * VALUES)


@pytest.mark.parametrize("slices", [1, 2])
def test_apply_makes_a_box_for_tensorboard_of_a_function_with_a_name(slices, session):
    @batch.by_example
    def smooth_step(x):
        return tf.sigmoid(x)

    whole = tf.placeholder(tf.float32, [6, 3])
    names = [
        batch.slices_of(batch.apply(function, batch.split(whole, slices)))[0].op.name
        for function in (tf.nn.relu, tf.nn.relu, smooth_step, tf.tanh)
    ]
    assert names == ["relu/Relu", "relu_1/Relu", "smooth_step/Sigmoid", "tanh/Tanh"]


def test_importing_the_layers_does_not_load_tensorflow(without_tensorflow):
    code = "from graph_mode import batch, fast, layers"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=without_tensorflow, check=True)
