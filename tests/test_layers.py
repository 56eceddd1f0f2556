"""dense, conv2d and batch_normalization do what tf.layers does, on every TensorFlow.

tests/data/tf_layers.npz holds what the real tf.layers did; record_tf_layers.py made it.
"""

import os

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from record_tf_layers import DATA, LAYER_CASES, observe_layers, tf_layers

import conv_train
import fc_train
from graph_mode import convolution, layers, parts
from graph_mode import tensorflow1 as tf


@pytest.fixture(scope="module")
def record():
    with np.load(os.path.join(DATA, "tf_layers.npz")) as arrays:
        return dict(arrays)


def expected(record, case):
    return {key[len(case) + 2 :]: record[key] for key in record if key.startswith(f"{case}: ")}


def assert_same(observed, expected, case):
    assert set(observed) == set(expected)
    for what, value in expected.items():
        message = f"{case}: {what}"
        if value.dtype.kind == "f":
            # A gradient that is zero in exact arithmetic is the rest of large terms.
            scale = max(1, np.abs(value).max())
            np.testing.assert_allclose(
                observed[what], value, rtol=1e-5, atol=1e-5 * scale, err_msg=message
            )
        else:
            assert observed[what].tolist() == value.tolist(), message


@pytest.mark.parametrize("case", LAYER_CASES)
def test_equals_tf_layers(case, record):
    assert_same(observe_layers(layers, case), expected(record, case), case)


@pytest.mark.parametrize("case", ["fully connected", "convolutional", "8 channels"])
def test_the_record_is_what_tf_layers_computes(case, record):
    if tf.version() >= (2, 0):
        pytest.skip("the real tf.layers is TensorFlow 1.15's")
    assert_same(observe_layers(tf_layers(), case), expected(record, case), case)


@pytest.mark.parametrize("shape", [[400, 300], [3, 3, 40, 60]])
def test_kernels_start_glorot_uniform(shape):
    fan_in, fan_out = np.prod(shape[:-1]), np.prod(shape[:-2] + shape[-1:])
    limit = np.sqrt(6.0 / (fan_in + fan_out))
    with tf.Graph().as_default(), tf.Session() as session:
        if len(shape) == 2:
            layers.dense(tf.zeros([1, shape[0]]), shape[1])
        else:
            layers.conv2d(tf.zeros([1, 5, 5, shape[2]]), shape[3], shape[0])
        session.run(tf.global_variables_initializer())
        kernel = session.run(tf.global_variables()[0])
    assert list(kernel.shape) == shape
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    assert kernel.var() == pytest.approx(limit**2 / 3, rel=0.05)


def normalized_plainly(inputs, gamma, beta):
    """Batch normalization as TensorFlow's own operations differentiate it."""
    mean, variance = tf.nn.moments(inputs, list(range(inputs.shape.ndims - 1)))
    return tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, 0.001)


@settings(max_examples=20, deadline=None, database=None)
@given(
    shape=st.one_of(
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        st.tuples(*[st.integers(1, 6)] * 3 + [st.integers(1, 20)]),
    ),
    offset=st.floats(-100, 100),
    seed=st.integers(0, 999),
)
@example(shape=(2, 3, 3, 8), offset=0.0, seed=0)
def test_batch_normalization_in_float64_has_the_exact_gradient(shape, offset, seed):
    random = np.random.RandomState(seed)
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.constant(random.randn(*shape) + offset)
        outputs = layers.batch_normalization(inputs, training=True)
        gamma, beta = tf.trainable_variables()
        plain = normalized_plainly(inputs, gamma, beta)
        weights = tf.constant(random.randn(*shape))
        sought = [inputs, gamma, beta]
        session.run(tf.global_variables_initializer())
        gamma.load(random.randn(shape[-1]), session)
        beta.load(random.randn(shape[-1]), session)
        ours, reference = session.run(
            [[y] + tf.gradients(y * weights, sought) for y in (outputs, plain)]
        )
    for value, wanted in zip(ours, reference):
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(6, 4, 4, 8), (5, 3, 3, 8), (6, 4, 4, 12)])
def test_batch_normalization_of_images_in_float32_has_the_gradient_of_float64(shape):
    """In float32, TensorFlow's fused operations do it: with whole vectors of channels or not."""
    random = np.random.RandomState(0)
    values, weights = random.randn(*shape) + 3, random.randn(*shape)
    found = []
    for dtype in (tf.float32, tf.float64):
        with tf.Graph().as_default(), tf.Session() as session:
            inputs = tf.constant(values, dtype)
            outputs = layers.batch_normalization(inputs, training=True)
            gamma, beta = tf.trainable_variables()
            session.run(tf.global_variables_initializer())
            gamma.load(np.linspace(0.5, 2, shape[-1]), session)
            sought = tf.gradients(outputs * tf.constant(weights, dtype), [inputs, gamma, beta])
            found.append(session.run([outputs] + sought))
    for value, wanted in zip(*found):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-4)


@settings(max_examples=15, deadline=None, database=None)
@given(
    size=st.sampled_from([1, 3, 5]),
    shape=st.tuples(*[st.integers(1, 6)] * 3 + [st.integers(1, 5)]),
    filters=st.integers(1, 5),
)
def test_a_convolution_without_onednn_is_the_same_convolution(size, shape, filters):
    random = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.constant(random.randn(*shape))
        kernel = tf.constant(random.randn(size, size, shape[-1], filters))
        weights = tf.constant(random.randn(*shape[:-1] + (filters,)))
        plain = tf.nn.conv2d(inputs, kernel, strides=[1, 1, 1, 1], padding="SAME")
        ours, reference = session.run(
            [
                [y] + tf.gradients(y * weights, [inputs, kernel])
                for y in (convolution.odd_conv2d(inputs, kernel), plain)
            ]
        )
    for value, wanted in zip(ours, reference):
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("size", [2, 3])
def test_every_kernel_size_and_stride_convolves_as_tensorflow_does(size, strides):
    random = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.constant(random.randn(2, 5, 6, 3))
        kernel = tf.constant(random.randn(size, size, 3, 4))
        plain = tf.nn.conv2d(images, kernel, strides=[1, strides, strides, 1], padding="SAME")
        ours, wanted = session.run([convolution.conv2d(images, kernel, strides), plain])
    np.testing.assert_allclose(ours, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("channels", [4, 8])
def test_a_large_mean_does_not_drown_a_small_spread(channels, count):
    values = 1000 + np.random.RandomState(0).randn(64, 5, 5, channels)
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = parts.split(tf.constant(values, tf.float32), count)
        outputs = parts.joined(layers.batch_normalization(inputs, training=True))
        session.run(tf.global_variables_initializer())
        observed = session.run(outputs)
    exact = (values - values.mean((0, 1, 2))) / np.sqrt(values.var((0, 1, 2)) + 0.001)
    np.testing.assert_allclose(observed, exact, atol=0.01)


SMALL_NETWORKS = {
    "fc": (fc_train, ["--batch-norm", "--hidden-units=12,8", "--hidden-bias"]),
    "conv": (conv_train, ["--batch-norm", "--layers=2", "--dense-units=8"]),
}


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("network", sorted(SMALL_NETWORKS))
def test_a_batch_in_parts_gives_what_the_whole_batch_gives(network, count):
    """Logits, gradients and moving averages: batch norm takes the mean of all parts together."""
    script, flags = SMALL_NETWORKS[network]
    settings = script.parse_options(flags)
    images = np.random.RandomState(0).rand(10, 8, 8, 1)
    found = []
    with tf.Graph().as_default(), tf.Session() as session:
        updates = tf.get_collection_ref(tf.GraphKeys.UPDATE_OPS)
        for number in (1, count):
            del updates[:]
            with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
                batch = parts.split(tf.constant(images), number)
                logits = parts.joined(script.network(batch, True, 5, settings))
            loss = tf.reduce_sum(tf.square(logits - 1.0))
            gradients = tf.gradients(loss, tf.trainable_variables())
            initialize = tf.variables_initializer(tf.global_variables(scope=".*moving"))
            session.run(initialize if found else tf.global_variables_initializer())
            session.run(updates)
            moving = tf.global_variables(scope=".*moving")
            found.append(session.run([logits] + gradients + moving))
    assert len(found[0]) == len(found[1])
    for whole, in_parts in zip(*found):
        np.testing.assert_allclose(in_parts, whole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "batch_size, threads, count",
    [(128, 1, 2), (128, 2, 2), (128, 4, 4), (128, 64, 8), (32, 2, 2), (31, 2, 1), (1, 1, 1)],
)
def test_a_batch_has_a_part_for_each_thread_unless_they_grow_small(batch_size, threads, count):
    assert parts.count_for(batch_size, threads) == count


def test_parts_keep_the_order_and_differ_by_at_most_one_example():
    with tf.Graph().as_default(), tf.Session() as session:
        cut = session.run(parts.split(tf.range(11), 3))
    assert [part.tolist() for part in cut] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


def test_the_batch_size_may_stay_open():
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, 4, 3, 2])
        layer = layers.batch_normalization(layers.conv2d(images, 4, 3), training=True)
        logits = layers.dense(layers.flatten(layer), 5)
        assert layer.shape.as_list() == [None, 4, 3, 4]
        assert logits.shape.as_list() == [None, 5]
        session.run(tf.global_variables_initializer())
        for count in (1, 7):
            assert session.run(logits, {images: np.ones([count, 4, 3, 2])}).shape == (count, 5)


def test_building_again_shares_the_variables():
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 4, 3, 2])
        for _ in range(2):
            with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
                layers.dense(layers.flatten(layers.conv2d(images, 4, 3)), 5)
        names = [variable.op.name for variable in tf.global_variables()]
        assert names == ["conv2d/kernel", "conv2d/bias", "dense/kernel", "dense/bias"]


def test_inference_updates_no_moving_average():
    with tf.Graph().as_default():
        layers.batch_normalization(tf.zeros([2, 3]), training=False)
        assert tf.get_collection(tf.GraphKeys.UPDATE_OPS) == []
