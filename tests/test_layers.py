"""The layers do what tf.layers does, on every TensorFlow.

tests/data/tf_layers.npz holds what the real tf.layers did; record_tf_layers.py made it.
"""

import os

import numpy as np
import pytest
from record_tf_layers import DATA, KINDS, LAYER_CASES, observe_layers, signatures

from graph_mode import batch, layers
from graph_mode import tensorflow1 as tf


@pytest.fixture(scope="module")
def record():
    with np.load(os.path.join(DATA, "tf_layers.npz")) as arrays:
        return dict(arrays)


def assert_recorded(record, case, observed):
    expected = {key[len(case) + 2 :]: record[key] for key in record if key.startswith(f"{case}: ")}
    assert set(observed) == set(expected)
    for what, value in expected.items():
        if value.dtype.kind == "f":
            # A gradient that is zero in exact arithmetic is the rest of large terms.
            tolerance = {"rtol": 1e-5, "atol": 1e-5 * max(1, np.abs(value).max(initial=0))}
            np.testing.assert_allclose(observed[what], value, err_msg=what, **tolerance)
        else:
            assert observed[what].tolist() == value.tolist(), what


@pytest.mark.parametrize("case", LAYER_CASES)
def test_equals_tf_layers(case, record):
    assert_recorded(record, case, observe_layers(layers, case))


WITH_FLAG = (
    "vectors", "4 channels", "images without scale", "images not fused", "sequences, axis 1",
    "constant, 4 channels", "dropout", "convolutional", "LeNet", "named and shared", "regularized",
)  # fmt: skip


@pytest.mark.parametrize("case", WITH_FLAG)
def test_training_may_be_a_placeholder(case, record):
    def flag(value):
        return tf.placeholder_with_default(value, [])

    assert_recorded(record, case, observe_layers(layers, case, flag))


@pytest.mark.parametrize("case", ["fully connected", "LeNet", "8 channels"])
def test_the_record_is_what_tf_layers_computes(case, record):
    if tf.version() >= (2, 0):
        pytest.skip("the real tf.layers is TensorFlow 1.15's")
    assert_recorded(record, case, observe_layers(tf.layers, case))


def test_the_signatures_are_those_of_tf_layers(record):
    assert signatures(layers) == {kind: record[f"signature: {kind}"].tolist() for kind in KINDS}


def test_kernels_start_glorot_uniform():
    limit = np.sqrt(6.0 / (3 * 3 * (40 + 60)))
    with tf.Graph().as_default(), tf.Session() as session:
        layers.conv2d(tf.zeros([1, 5, 5, 40]), 60, 3)
        session.run(tf.global_variables_initializer())
        kernel = session.run(tf.global_variables()[0])
    assert 0.99 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)  # the rounding of float32
    assert kernel.var() == pytest.approx(limit**2 / 3, rel=0.05)


# How each is called for images, and the arguments that name the axis of the channels.
LAST, FIRST = {"data_format": "channels_last"}, {"data_format": "channels_first"}
IMAGE_LAYERS = {
    "conv2d": lambda x, **axis: layers.conv2d(x, 4, 3, (2, 1), "same", **axis),
    "dilated": lambda x, **axis: layers.conv2d(x, 4, 3, dilation_rate=2, **axis),
    "softmax": lambda x, **axis: layers.conv2d(
        x, 4, 3, activation=lambda y: tf.nn.softmax(y, 3 if axis == LAST else 1), **axis
    ),
    "transposed": lambda x, **axis: layers.conv2d_transpose(x, 4, 3, 2, **axis),
    "max": lambda x, **axis: layers.max_pooling2d(x, 2, 1, **axis),
    "average": lambda x, **axis: layers.average_pooling2d(x, 3, 2, "same", **axis),
    "normalized": lambda x, **axis: layers.batch_normalization(
        x, 3 if axis == LAST else 1, training=True
    ),
}


@pytest.mark.parametrize("kind", IMAGE_LAYERS)
def test_channels_may_come_first(kind):
    images = np.random.RandomState(0).randn(5, 7, 6, 3)
    with tf.Graph().as_default(), tf.Session() as session:
        built = []
        for axis, x, slices in ((LAST, images, 1), (FIRST, images.transpose(0, 3, 1, 2), 2)):
            with tf.variable_scope("scope", reuse=tf.AUTO_REUSE):
                layer = IMAGE_LAYERS[kind](batch.split(tf.constant(x), slices), **axis)
                built.append(batch.joined(layer))
        session.run(tf.global_variables_initializer())
        last, first = session.run(built)
    np.testing.assert_allclose(first.transpose(0, 2, 3, 1), last, rtol=1e-9, atol=1e-9)


IMAGES, VECTORS = [2, 5, 5, 3], [2, 5]
MISTAKES = [
    (IMAGES, lambda x: layers.conv2d(x[0], 4, 3), "conv2d needs inputs with 4 axes"),
    (VECTORS, lambda x: layers.dense(x[0], 4), "dense needs inputs with 2 axes or more"),
    (VECTORS, lambda x: layers.max_pooling2d(x, 2, 2), "max_pooling2d needs inputs with 4 axes"),
    (VECTORS, lambda x: layers.batch_normalization(x, axis=2), "one of the 2 axes"),
    (VECTORS, lambda x: layers.batch_normalization(x, axis=[0, 1]), "one of the 2 axes"),
    (VECTORS, lambda x: layers.batch_normalization(x, renorm=True), "renorm is not supported"),
    (VECTORS, lambda x: layers.batch_normalization(x, adjustment=abs), "adjustment is not"),
    (VECTORS, lambda x: layers.dropout(x, training=2), "training must be"),
    (VECTORS, lambda x: layers.dense(x, 2, "swich"), "activation 'swich' is not known"),
    (VECTORS, lambda x: layers.dense(x, 2, kernel_initializer="one"), "initializer 'one' is not"),
    (IMAGES, lambda x: layers.conv2d(x, 4, 3, padding="full"), "padding must be valid or same"),
    (IMAGES, lambda x: layers.conv2d(x, 4, (3, 3, 3)), "kernel_size must be one integer or two"),
    (IMAGES, lambda x: layers.conv2d(x, 4, 3, 2, dilation_rate=2), "cannot both be above 1"),
    (IMAGES, lambda x: layers.flatten(x, data_format="NHWC"), "data_format must be one of"),
    (None, lambda x: layers.dense(x, 4), "dense needs inputs with 2 axes or more"),
    ([2, None], lambda x: layers.dense(x, 4), "need the size of axis -1"),
    (VECTORS, lambda x: layers.dense(tf.cast(x, tf.uint8), 4), "found uint8: use tf.cast"),
]


@pytest.mark.parametrize("shape, build, message", MISTAKES, ids=[each[2] for each in MISTAKES])
def test_a_mistake_is_told_in_one_sentence(shape, build, message):
    with tf.Graph().as_default(), pytest.raises((ValueError, TypeError), match=message) as raised:
        build(tf.placeholder(tf.float32, shape))
    assert "\n" not in str(raised.value)


def test_a_name_belongs_to_one_layer_unless_it_is_reused():
    with tf.Graph().as_default():
        layers.dense(tf.zeros([2, 3]), 4, name="mine")
        layers.dense(tf.zeros([2, 3]), 4, name="mine", reuse=True)
        with pytest.raises(ValueError, match="mine/kernel"):
            layers.dense(tf.zeros([2, 3]), 4, name="mine")
        with pytest.raises(ValueError, match="yours/kernel"):
            layers.dense(tf.zeros([2, 3]), 4, name="yours", reuse=True)


def test_half_precision_is_normalized_in_single_precision():
    with tf.Graph().as_default(), tf.Session() as session:
        values = (300 + np.random.RandomState(0).randn(64, 3, 3, 2)).astype(np.float16)
        outputs = layers.batch_normalization(tf.constant(values), training=True)
        assert {v.dtype.base_dtype for v in tf.global_variables()} == {tf.float32}
        session.run(tf.global_variables_initializer())
        observed = session.run(outputs)
    assert observed.dtype == np.float16
    values = values.astype(np.float64)
    exact = (values - values.mean((0, 1, 2))) / np.sqrt(values.var((0, 1, 2)) + 0.001)
    np.testing.assert_allclose(observed, exact, atol=0.01)


def test_the_batch_size_may_stay_open():
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, 4, 3, 2])
        layer = layers.conv2d(images, 4, 3, padding="same")
        layer = layers.conv2d_transpose(layers.batch_normalization(layer, training=True), 3, 2, 2)
        logits = layers.dense(layers.flatten(layer), 5)
        assert layer.shape.as_list() == [None, 8, 6, 3]
        assert logits.shape.as_list() == [None, 5]
        session.run(tf.global_variables_initializer())
        for count in (1, 7):
            assert session.run(logits, {images: np.ones([count, 4, 3, 2])}).shape == (count, 5)


def test_recorded_lists_the_layers_that_are_built_in_the_block():
    with tf.Graph().as_default():
        layers.dense(tf.zeros([1, 2]), 3)
        with layers.recorded() as built, tf.variable_scope("scope"):
            images = batch.split(tf.zeros([3, 4, 4, 1]), 2)
            layer = layers.max_pooling2d(layers.conv2d(images, 2, 3), 2, 2)
            layer = layers.dropout(layers.batch_normalization(layer))
            layers.dense(layers.flatten(layer), 5, use_bias=False)
    assert [(layer.kind, layer.name, sorted(layer.variables)) for layer in built] == [
        ("conv2d", "scope/conv2d", ["bias", "kernel"]),
        ("max_pooling2d", "scope/max_pooling2d", []),
        ("batch_normalization", "scope/batch_normalization", ["beta", "gamma"]),
        ("dropout", "scope/dropout", []),
        ("flatten", "scope/flatten", []),
        ("dense", "scope/dense", ["kernel"]),
    ]
    assert built[0].inputs is images
    assert built[-1].outputs.shape.as_list() == [3, 5]
