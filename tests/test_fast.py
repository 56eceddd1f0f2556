"""The fast forms are equal to the plain ones; test_layers.py compares batch normalization."""

import numpy as np
import pytest

from graph_mode import batch, fast, layers
from graph_mode import tensorflow1 as tf


@pytest.mark.parametrize(
    "dtype, mean, spread, slices",
    [("f4", 1000, 1, 1), ("f4", 1000, 1, 2), ("f4", 30, 0.03, 2), ("f2", 300, 1, 1)],
)
def test_a_large_mean_does_not_drown_a_small_spread(dtype, mean, spread, slices):
    """Half precision is normalized in single precision."""
    values = (mean + spread * np.random.RandomState(0).randn(64, 5, 5, 4)).astype(dtype)
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = batch.split(tf.constant(values), slices)
        outputs = batch.joined(layers.batch_normalization(inputs, training=True))
        assert {v.dtype.base_dtype for v in tf.global_variables()} == {tf.float32}
        session.run(tf.global_variables_initializer())
        observed = session.run(outputs)
    assert observed.dtype == values.dtype
    values = values.astype(np.float64)
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


def test_images_are_normalized_by_fused_operations_where_onednn_runs():
    with tf.Graph().as_default() as graph:
        images = batch.split(tf.zeros([4, 2, 2, 3]), 2)
        tf.gradients(layers.batch_normalization(images, training=True).slices, images.slices)
        types = [operation.type for operation in graph.get_operations()]
    fused = "FusedBatchNormV3" in types, "FusedBatchNormGradV3" in types
    assert fused == (tf.has_onednn(), tf.has_onednn())


def test_a_form_is_switched_off_only_inside_the_block():
    def is_fast():
        with tf.Graph().as_default() as graph:
            layers.batch_normalization(tf.zeros([2, 3]), training=True)
            return "IdentityN" in {operation.type for operation in graph.get_operations()}

    with fast.without("batch_norm"):
        with fast.without("convolution", "batch_norm"):
            assert not is_fast()
        assert not is_fast()
    assert is_fast()
    with pytest.raises(ValueError, match="found pooling"), fast.without("pooling"):
        pass
