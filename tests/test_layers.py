"""The layers do what tf.layers does, on every TensorFlow.
tests/data/tf_layers.npz holds what the real tf.layers did; record_tf_layers.py made it."""

import os

import numpy as np
import pytest
from record_tf_layers import DATA, KINDS, LAYER_CASES, SHAPES, observe_layers, signatures

from graph_mode import batch, fast, layers
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


@pytest.mark.parametrize("case", [name for name in SHAPES if SHAPES[name][0] > 1])
def test_batch_normalization_does_so_in_slices_and_in_its_plain_form(case, record):
    observed = observe_layers(layers, case, slices=2)
    observed["scope"] = record[f"{case}: scope"]  # that of what joins the slices
    assert_recorded(record, case, observed)
    with fast.without("batch_norm"):
        assert_recorded(record, case, observe_layers(layers, case))


WITH_FLAG = (
    "vectors", "4 channels", "images without scale", "images not fused", "sequences, axis 1",
    "constant, 4 channels", "dropout", "convolutional", "LeNet", "named and shared", "regularized",
)  # fmt: skip


@pytest.mark.parametrize("case", WITH_FLAG)
def test_training_may_be_a_placeholder(case, record):
    observed = observe_layers(layers, case, lambda value: tf.placeholder_with_default(value, []))
    assert_recorded(record, case, observed)


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


LAST, FIRST = {"data_format": "channels_last"}, {"data_format": "channels_first"}
# Functions of images and of the arguments that name the axis of their channels.
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
    sentence = rf"\A.*{message}.*\Z"
    with tf.Graph().as_default(), pytest.raises((ValueError, TypeError), match=sentence):
        build(tf.placeholder(tf.float32, shape))


def test_the_batch_size_may_stay_open():
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, 4, 3, 2])
        layer = layers.conv2d_transpose(layers.conv2d(images, 4, 3, padding="same"), 3, 2, 2)
        logits = layers.dense(layers.flatten(layer), 5)
        assert [x.shape.as_list() for x in (layer, logits)] == [[None, 8, 6, 3], [None, 5]]
        assert logits.op.inputs[0].op.type == "MatMul"  # and no reshapes around it
        session.run(tf.global_variables_initializer())
        for count in (1, 7):
            assert session.run(logits, {images: np.ones([count, 4, 3, 2])}).shape == (count, 5)


def test_a_script_that_asks_for_tf_layers_gets_these_where_tensorflow_has_none(monkeypatch):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    monkeypatch.delitem(vars(tf), "layers", raising=False)
    assert (tf.layers is layers) == (tf.version() >= (2, 16))
