"""Convolution, in the form that the TensorFlow at hand computes fastest.

Without oneDNN (before TensorFlow 2.9), a convolution with few channels takes up to twice as long as
a transposed one, and the gradient of its kernel longer still. For stride 1, two identities give
both by faster operations.
"""

from graph_mode import tensorflow1 as tf


def conv2d(x, kernel, strides):
    """x [n, h, w, c], kernel [k, k, c, f] -> [n, ceil(h/strides), ceil(w/strides), f], "same"."""
    if strides == 1 and int(kernel.shape[0]) % 2 == 1 and not tf.has_onednn():
        return odd_conv2d(x, kernel)
    return tf.nn.conv2d(x, kernel, strides=[1, strides, strides, 1], padding="SAME")


def odd_conv2d(x, kernel):
    """conv2d(x, kernel, 1) for an odd k: the transposed one of the kernel turned by 180 degrees."""

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradient(dy):
            return transposed(dy, kernel), kernel_gradient(x, dy, int(kernel.shape[0]))

        turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
        return transposed(x, turned), gradient

    return convolve(x, kernel)


def transposed(y, kernel):
    """The gradient of conv2d(x, kernel, 1) by x, given that by its output."""
    shape = tf.concat([tf.shape(y)[:3], [int(kernel.shape[2])]], axis=0)
    return tf.nn.conv2d_transpose(y, kernel, shape, [1, 1, 1, 1], padding="SAME")


def kernel_gradient(x, dy, size):
    """The gradient of conv2d(x, kernel, 1) by the kernel, for an odd size k.

    x is convolved with dy, channels and examples in each other's place: at each of k x k shifts,
    the sum over all examples and pixels.
    """
    margin = [size // 2, size // 2]
    shifts = tf.nn.conv2d(
        tf.transpose(x, [3, 1, 2, 0]),
        tf.transpose(dy, [1, 2, 0, 3]),
        strides=[1, 1, 1, 1],
        padding=[[0, 0], margin, margin, [0, 0]],
    )
    return tf.transpose(shifts, [1, 2, 0, 3])
