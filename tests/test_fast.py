"""Each fast form is equal to the plain one: values and gradients, whatever the shape and type."""

import numpy as np
import pytest

from graph_mode import batch, fast, layers
from graph_mode import tensorflow1 as tf


def normalized(values, dtype, slices, training=True):
    """Outputs, gradients by inputs, gamma and beta, and updated averages, as float64 arrays."""
    random = np.random.RandomState(5)
    channels = values.shape[-1]
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.constant(values, dtype)
        outputs = layers.batch_normalization(batch.split(inputs, slices), training=training)
        variables = tf.global_variables()
        weights = tf.constant(random.randn(*values.shape), dtype)
        sought = [inputs] + tf.trainable_variables()
        gradients = tf.gradients(batch.joined(outputs) * weights, sought)
        session.run(tf.global_variables_initializer())
        for variable in variables:
            variable.load(random.rand(channels) + 0.5, session)
        found = session.run([batch.joined(outputs)] + gradients)
        session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        return found + session.run(variables[2:])


SHAPES = [
    (2, 5), (9, 1), (7, 16), (3, 1, 1, 4), (5, 4, 4, 8), (5, 3, 3, 8), (4, 4, 2, 12), (3, 5, 4, 20),
]  # fmt: skip


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_normalization_is_the_plain_one(shape, dtype, tolerance):
    values = np.random.RandomState(0).randn(*shape) + 2.0
    for training in (True, False):
        with fast.without("batch_norm"):
            plain = normalized(values, dtype, 1, training)
        for slices in (1, 2) if training else (2,):
            found = normalized(values, dtype, slices, training)
            for value, wanted in zip(found, plain):
                assert value.dtype == dtype
                atol = tolerance * max(1, np.abs(wanted).max())
                np.testing.assert_allclose(value, wanted, rtol=tolerance, atol=atol)


@pytest.mark.parametrize("slices", [1, 2])
def test_a_large_mean_does_not_drown_a_small_spread(slices):
    values = 1000 + np.random.RandomState(0).randn(64, 5, 5, 4)
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = batch.split(tf.constant(values, tf.float32), slices)
        outputs = batch.joined(layers.batch_normalization(inputs, training=True))
        session.run(tf.global_variables_initializer())
        observed = session.run(outputs)
    exact = (values - values.mean((0, 1, 2))) / np.sqrt(values.var((0, 1, 2)) + 0.001)
    np.testing.assert_allclose(observed, exact, atol=0.01)


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 5), (1, 3)])
@pytest.mark.parametrize("shape, filters", [((1, 1, 1, 1), 2), ((2, 7, 4, 2), 5)])
def test_the_convolution_without_onednn_is_the_plain_one(shape, filters, size):
    """Its second derivatives too."""
    random = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant(random.randn(*shape))
        kernel = tf.constant(random.randn(*size + (shape[-1], filters)))
        weights = tf.constant(random.randn(*shape[:-1] + (filters,)))
        found = []
        for y in (fast.convolution(x, kernel), tf.nn.conv2d(x, kernel, [1] * 4, "SAME")):
            gradients = tf.gradients(tf.square(y) * weights, [x, kernel])
            second = tf.gradients(tf.square(gradients[0]), [x, kernel])
            found.append(session.run([y] + gradients + second))
    for value, wanted in zip(*found):
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("shape, slices", [((6, 3), 1), ((6, 4, 4, 4), 2)])
def test_a_second_derivative_is_refused_by_the_fast_form_and_right_in_the_plain_one(shape, slices):
    def first_and_second():
        x = tf.constant(np.random.RandomState(0).randn(*shape))
        outputs = layers.batch_normalization(batch.split(x, slices), training=True)
        (first,) = tf.gradients(tf.sin(outputs), [x])
        return tf.gradients(tf.square(first), [x])

    with tf.Graph().as_default(), pytest.raises(LookupError, match="without.*batch_norm"):
        first_and_second()
    with tf.Graph().as_default(), tf.Session() as session, fast.without("batch_norm"):
        (second,) = first_and_second()
        session.run(tf.global_variables_initializer())
        assert np.abs(session.run(second)).max() > 0


def test_a_form_is_switched_off_only_inside_the_block():
    def is_fast():
        with tf.Graph().as_default() as graph:
            layers.batch_normalization(tf.zeros([2, 3]), training=True)
            return "IdentityN" in {operation.type for operation in graph.get_operations()}

    assert is_fast()
    with fast.without("batch_norm"):
        with fast.without("convolution", "batch_norm"):
            assert not is_fast()
        assert not is_fast()
    assert is_fast()
    with pytest.raises(ValueError, match="found pooling"), fast.without("pooling"):
        pass
