"""A batch in slices gives what the whole batch gives, or refuses in one sentence."""

import operator
import subprocess
import sys

import numpy as np
import pytest
import random_networks
from helpers import ROOT

from graph_mode import batch, layers
from graph_mode import tensorflow1 as tf

VALUES = np.random.RandomState(0).rand(7, 3) + 0.5


@pytest.fixture
def session():
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


@pytest.mark.parametrize("seed", [4, 12, 18])
def test_a_random_network_is_the_same_in_any_slices_and_with_tf_layers(seed):
    """Training is in slices and evaluation is not. make test-networks tries a hundred."""
    assert random_networks.differences(seed) == []


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
    """A vector of examples is softmax's last axis: then it is computed of the whole, and else by
    slices, without joining them."""
    for values in (VALUES, VALUES[:, 0]):
        found = batch.apply(FUNCTIONS[name], batch.split(tf.constant(values), 3))
        assert isinstance(found, batch.Batch) or (name, values.ndim) == ("crelu", 1)
        expected = FUNCTIONS[name](tf.constant(values))
        np.testing.assert_allclose(*session.run([batch.joined(found), expected]), rtol=1e-12)
        if name in batch.ALONG_LAST_AXIS and values is VALUES:
            assert not any(each.op.type.startswith("Split") for each in found.slices)


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


MATRIX = np.random.RandomState(1).randn(3, 4)
CUBE = np.stack([VALUES, VALUES + 1])
SLICED = [
    lambda x: x @ MATRIX, lambda x: -x, lambda x: abs(-x), lambda x: (x > 1) & ~(x > 1.2),
    lambda x: x[:, 0], lambda x: x[..., :2], lambda x: x[:], lambda x: x[:, None],
    lambda x: x[..., None, 1], lambda x: x[..., None] @ x[:, None],
]  # fmt: skip
# These meet the axis of examples.
WHOLE = [
    lambda x: x * VALUES[:, :1], lambda x: x - CUBE, lambda x: CUBE - x, lambda x: VALUES.T @ x,
    lambda x: x[2], lambda x: x[1:4], lambda x: x[..., 1, 2], lambda x: x[None],
    lambda x: x[::-1, 1],
]  # fmt: skip


@pytest.mark.parametrize("use", SLICED + WHOLE)
def test_operators_and_indices_mean_what_they_mean_for_the_whole(use, session):
    found = use(batch.split(tf.constant(VALUES), 3))
    assert isinstance(found, batch.Batch) == (use in SLICED)
    np.testing.assert_allclose(session.run(batch.joined(found)), use(VALUES))


def test_an_operation_of_tensorflow_gets_the_whole(session):
    x = batch.split(tf.constant(VALUES), 2)
    for found, wanted in (
        (tf.nn.relu(x), VALUES), (tf.concat([x, x], -1), np.tile(VALUES, 2)),
        (tf.reshape(x, [3, 7]), VALUES.reshape(3, 7)), (tf.add_n([x, x]), 2 * VALUES),
        (tf.stack([x, x]), [VALUES, VALUES]), (tf.shape(x), [7, 3]),
        (tf.cast(x, tf.float32), VALUES.astype(np.float32)), (tf.convert_to_tensor(x), VALUES),
        (tf.cond(tf.constant(True), lambda: x, lambda: x * 2), VALUES),
    ):  # fmt: skip
        np.testing.assert_array_equal(session.run(found), wanted)
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
        kinds = "a (Batch|slice|list|function of each slice)"
        with pytest.raises(TypeError, match=rf"^{kinds} .*: (use|call) [^\n]*$"):
            use(x)


def test_a_batch_is_not_split_into_empty_slices():
    for size, slices, words in ((7, 0, "1 to 7"), (7, 8, "1 to 7"), (None, 2, "unknown")):
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
    for found in (batch.apply(tf.add, x, y), batch.apply(tf.add, x, tf.constant(VALUES)), x + y):
        np.testing.assert_allclose(session.run(batch.joined(found)), 2 * VALUES)


def test_importing_the_layers_does_not_load_tensorflow(without_tensorflow):
    code = "from graph_mode import batch, fast, layers"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=without_tensorflow, check=True)
