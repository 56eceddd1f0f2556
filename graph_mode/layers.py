"""dense, conv2d and batch_normalization: the variables, names and defaults of tf.layers.

A checkpoint that a program with tf.layers saved restores here, and the reverse. Each call makes the
next layer of its kind (dense, dense_1, ...); building the same network again under
`tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE)` shares the variables.
"""

import collections
import contextlib

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
        kernel = _kernel([int(inputs.shape[1]), units], inputs.dtype)
        outputs, bias = _add_bias(tf.matmul(inputs, kernel), use_bias)
        return _record("dense", inputs, outputs, {"kernel": kernel, **bias})


def conv2d(inputs, filters, kernel_size, strides=1, use_bias=True):
    """inputs [n, h, w, c] -> [n, ceil(h/strides), ceil(w/strides), filters], padding 'same'."""
    with tf.variable_scope(None, default_name="conv2d"):
        kernel = _kernel([kernel_size, kernel_size, int(inputs.shape[3]), filters], inputs.dtype)
        outputs = tf.nn.conv2d(inputs, kernel, strides=[1, strides, strides, 1], padding="SAME")
        outputs, bias = _add_bias(outputs, use_bias)
        return _record("conv2d", inputs, outputs, {"kernel": kernel, **bias})


def flatten(inputs):
    """inputs [n, h, w, c] -> [n, h*w*c]."""
    height, width, channels = inputs.shape.as_list()[1:]
    return tf.reshape(inputs, [-1, height * width * channels], name="flatten")


def normalize_and_activate(inputs, batch_norm, training, activation):
    """What follows a hidden layer: batch normalization if `batch_norm`, then activation(inputs).

    The result joins tf.GraphKeys.ACTIVATIONS, where histograms find it.
    """
    if batch_norm:
        inputs = batch_normalization(inputs, training)
    outputs = activation(inputs)
    tf.add_to_collection(tf.GraphKeys.ACTIVATIONS, outputs)
    return outputs


def batch_normalization(inputs, training, momentum=0.99, epsilon=EPSILON):
    """gamma * (inputs - mean) / sqrt(variance + epsilon) + beta, for each channel (the last axis).

    Algorithms 1 and 2 of Ioffe and Szegedy (2015), for inputs [n, c] or [n, h, w, c]. While
    `training`, mean and biased variance are the batch's, and the updates of the moving averages
    join tf.GraphKeys.UPDATE_OPS; otherwise they are the moving averages.
    """
    channels = int(inputs.shape[-1])
    with tf.variable_scope(None, default_name="batch_normalization"):
        gamma = tf.get_variable("gamma", [channels], inputs.dtype, tf.ones_initializer())
        beta = tf.get_variable("beta", [channels], inputs.dtype, tf.zeros_initializer())
        moving_mean = tf.get_variable(
            "moving_mean", [channels], inputs.dtype, tf.zeros_initializer(), trainable=False
        )
        moving_variance = tf.get_variable(
            "moving_variance", [channels], inputs.dtype, tf.ones_initializer(), trainable=False
        )
        if not training:
            return tf.nn.batch_normalization(
                inputs, moving_mean, moving_variance, beta, gamma, epsilon
            )
        normalize = _normalize_fused if _fused_is_faster(inputs) else _normalize_folded
        outputs, mean, variance = normalize(inputs, gamma, beta, epsilon)
        for moving, batch in ((moving_mean, mean), (moving_variance, variance)):
            update = moving.assign_sub((1 - momentum) * (moving - batch), read_value=False)
            tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
        return _record("batch_normalization", inputs, outputs, {"gamma": gamma, "beta": beta})


def _kernel(shape, dtype):
    return tf.get_variable("kernel", shape, dtype, tf.glorot_uniform_initializer())


def _add_bias(outputs, use_bias):
    """Outputs, and {"bias": variable} or {}."""
    if not use_bias:
        return outputs, {}
    shape = [int(outputs.shape[-1])]
    bias = tf.get_variable("bias", shape, outputs.dtype, tf.zeros_initializer())
    return tf.nn.bias_add(outputs, bias), {"bias": bias}


def _fused_is_faster(inputs):
    """oneDNN's fused kernel is fast where the channels fill its vectors of 8, slow elsewhere."""
    return (
        inputs.shape.ndims == 4
        and inputs.dtype == tf.float32
        and int(inputs.shape[3]) % 8 == 0
        and tf.has_onednn()
    )


def _normalize_fused(inputs, gamma, beta, epsilon):
    """TensorFlow's own op: outputs, batch mean [c], unbiased batch variance [c]."""
    return tf.nn.fused_batch_norm(inputs, gamma, beta, epsilon=epsilon, is_training=True)


def _normalize_folded(inputs, gamma, beta, epsilon):
    """Outputs, batch mean [c] and the batch variance [c] that the moving average takes.

    A few channels make short rows, which are slow to walk over. So the width is folded into the
    columns, [n*h, w*c]: every pass runs over long contiguous rows, and what belongs to one channel
    is repeated w times. The gradient is the closed form derived in docs/gradients.md,
    dx = gamma/std * (dy - mean(dy) - xhat * mean(dy * xhat)).
    """
    channels = int(inputs.shape[-1])
    width = int(inputs.shape[2]) if inputs.shape.ndims == 4 else 1

    def fold(values):
        return tf.reshape(values, [-1, width * channels])

    def repeat(vector):
        return tf.tile(vector, [width]) if width > 1 else vector

    def channel_sum(folded):
        return tf.reduce_sum(tf.reshape(tf.reduce_sum(folded, axis=0), [width, channels]), axis=0)

    @tf.custom_gradient
    def normalize(inputs, gamma, beta):
        count = tf.cast(tf.size(inputs) // channels, inputs.dtype)
        folded = fold(inputs)
        mean = channel_sum(folded) / count
        centered = folded - repeat(mean)
        variance = channel_sum(tf.square(centered)) / count
        inverse_std = tf.rsqrt(variance + epsilon)
        outputs = centered * repeat(gamma * inverse_std) + repeat(beta)

        def gradient(d_outputs, _d_mean, _d_variance):
            d_folded = fold(d_outputs)
            d_beta = channel_sum(d_folded)
            d_gamma = channel_sum(d_folded * centered) * inverse_std
            scale = gamma * inverse_std
            d_inputs = d_folded * repeat(scale) - (
                centered * repeat(scale * inverse_std * d_gamma / count)
                + repeat(scale * d_beta / count)
            )
            return tf.reshape(d_inputs, tf.shape(inputs)), d_gamma, d_beta

        return (tf.reshape(outputs, tf.shape(inputs)), mean, variance), gradient

    outputs, mean, variance = normalize(inputs, tf.identity(gamma), tf.identity(beta))
    outputs.set_shape(inputs.shape)
    if inputs.shape.ndims == 4:
        # tf.layers averages the unbiased variance for images, the biased one for vectors.
        count = tf.cast(tf.size(inputs) // channels, inputs.dtype)
        variance *= count / tf.maximum(count - 1, 1)
    return outputs, mean, variance
