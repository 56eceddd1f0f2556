"""dense, conv2d and batch_normalization: the variables, names and defaults of tf.layers.

A checkpoint that a program with tf.layers saved restores here, and the reverse. Each call makes the
next layer of its kind (dense, dense_1, ...); building the same network again under
`tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE)` shares the variables. A layer
takes a batch as one tensor, or in parts (see parts.py), and gives back the same.
"""

import collections
import contextlib

from graph_mode import convolution, normalization, parts
from graph_mode import tensorflow1 as tf

EPSILON = 0.001  # of batch normalization

# A layer as it was built: kind "dense", "conv2d" or "batch_normalization"; its tensors; its
# trainable variables by name.
Layer = collections.namedtuple("Layer", "kind inputs outputs variables")
_recordings = []


@contextlib.contextmanager
def recorded():
    """A list that every layer built in the `with` block joins, in that order, as a Layer."""
    _recordings.append([])
    try:
        yield _recordings[-1]
    finally:
        _recordings.pop()


def _record(kind, inputs, outputs, variables):
    for recording in _recordings:
        recording.append(Layer(kind, inputs, outputs, variables))
    return outputs


def dense(inputs, units, use_bias=True):
    """inputs [n, m] -> inputs . kernel + bias, [n, units]; kernel [m, units] is Glorot uniform."""
    with tf.variable_scope(None, default_name="dense"):
        kernel = _kernel([int(parts.first(inputs).shape[1]), units], inputs)
        outputs = parts.each(lambda x: tf.matmul(x, kernel), inputs)
        outputs, bias = _add_bias(outputs, use_bias)
        return _record("dense", inputs, outputs, {"kernel": kernel, **bias})


def conv2d(inputs, filters, kernel_size, strides=1, use_bias=True):
    """inputs [n, h, w, c] -> [n, ceil(h/strides), ceil(w/strides), filters], padding 'same'."""
    with tf.variable_scope(None, default_name="conv2d"):
        channels = int(parts.first(inputs).shape[3])
        kernel = _kernel([kernel_size, kernel_size, channels, filters], inputs)
        outputs = parts.each(lambda x: convolution.conv2d(x, kernel, strides), inputs)
        outputs, bias = _add_bias(outputs, use_bias)
        return _record("conv2d", inputs, outputs, {"kernel": kernel, **bias})


def flatten(inputs):
    """inputs [n, h, w, c] -> [n, h*w*c]."""
    height, width, channels = parts.first(inputs).shape.as_list()[1:]
    size = height * width * channels
    return parts.each(lambda x: tf.reshape(x, [-1, size], name="flatten"), inputs)


def normalize_and_activate(inputs, batch_norm, training, activation):
    """What follows a hidden layer: batch normalization if `batch_norm`, then activation(inputs).

    The result joins tf.GraphKeys.ACTIVATIONS, where histograms find it.
    """
    if batch_norm:
        inputs = batch_normalization(inputs, training)
    outputs = parts.each(activation, inputs)
    tf.add_to_collection(tf.GraphKeys.ACTIVATIONS, outputs)
    return outputs


def batch_normalization(inputs, training, momentum=0.99, epsilon=EPSILON):
    """gamma * (inputs - mean) / sqrt(variance + epsilon) + beta, for each channel (the last axis).

    Algorithms 1 and 2 of Ioffe and Szegedy (2015), for inputs [n, c] or [n, h, w, c]. While
    `training`, mean and biased variance are the batch's, and the updates of the moving averages
    join tf.GraphKeys.UPDATE_OPS; otherwise they are the moving averages.
    """
    example = parts.first(inputs)
    channels, dtype = int(example.shape[-1]), example.dtype
    with tf.variable_scope(None, default_name="batch_normalization"):
        gamma = tf.get_variable("gamma", [channels], dtype, tf.ones_initializer())
        beta = tf.get_variable("beta", [channels], dtype, tf.zeros_initializer())
        moving_mean = tf.get_variable(
            "moving_mean", [channels], dtype, tf.zeros_initializer(), trainable=False
        )
        moving_variance = tf.get_variable(
            "moving_variance", [channels], dtype, tf.ones_initializer(), trainable=False
        )
        if not training:
            return parts.each(
                lambda x: normalization.at_fixed_moments(
                    x, gamma, beta, moving_mean, moving_variance, epsilon
                ),
                inputs,
            )
        batch = inputs if isinstance(inputs, list) else [inputs]
        outputs, mean, variance = normalization.normalize(batch, gamma, beta, epsilon)
        if example.shape.ndims == 4:
            # tf.layers averages the unbiased variance for images, the biased one for vectors.
            count = tf.cast(normalization.example_count(batch), dtype)
            variance *= count / tf.maximum(count - 1, 1)
        for moving, value in ((moving_mean, mean), (moving_variance, variance)):
            update = moving.assign_sub((1 - momentum) * (moving - value), read_value=False)
            tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
        outputs = outputs if isinstance(inputs, list) else outputs[0]
        return _record("batch_normalization", inputs, outputs, {"gamma": gamma, "beta": beta})


def _kernel(shape, inputs):
    dtype = parts.first(inputs).dtype
    return tf.get_variable("kernel", shape, dtype, tf.glorot_uniform_initializer())


def _add_bias(outputs, use_bias):
    """Outputs, and {"bias": variable} or {}."""
    if not use_bias:
        return outputs, {}
    example = parts.first(outputs)
    shape = [int(example.shape[-1])]
    bias = tf.get_variable("bias", shape, example.dtype, tf.zeros_initializer())
    return parts.each(lambda x: tf.nn.bias_add(x, bias), outputs), {"bias": bias}
