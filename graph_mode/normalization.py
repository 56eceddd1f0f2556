"""Batch normalization of a batch in parts, with the gradient of its closed form.

Everything here is passes over memory, so what counts is how many, and over rows of which length. A
few channels make short rows, which are slow to walk over. For sums, the width is folded into the
columns, [n*h, w*c]; to scale and to shift, TensorFlow's fused operation is the one that needs a
single pass.
"""

from graph_mode import tensorflow1 as tf

# The mean of squares less the square of the mean costs one pass fewer than the mean of squared
# distances, and keeps its digits unless the mean is this many times the standard deviation.
LARGE_MEAN = 10.0
# Any will do that leaves 1 - epsilon + epsilon exactly 1.
FUSED_EPSILON = 2.0**-10


def normalize(parts, gamma, beta, epsilon):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, for each channel (the last axis).

    parts: the batch, a list of tensors [n_i, c] or [n_i, h, w, c]; gamma, beta: [c]. Returns the
    list of outputs, the mean [c] and the biased variance [c] of the whole batch. The gradient is
    the closed form derived in docs/gradients.md,
    dx = gamma/std * (dy - mean(dy) - xhat * mean(dy * xhat)).
    """

    @tf.custom_gradient
    def normalize_parts(*arguments):
        parts, (gamma, beta) = arguments[:-2], arguments[-2:]
        count = tf.cast(example_count(parts), gamma.dtype)
        mean, variance = moments(parts, count)
        inverse_std = tf.rsqrt(variance + epsilon)
        scale = gamma * inverse_std
        outputs = [scale_and_shift(x, scale, beta - scale * mean) for x in parts]

        def gradient(*d_results):
            d_outputs = d_results[: len(parts)]
            d_beta = channel_sum(d_outputs)
            d_outputs_x = channel_sum([dy * x for dy, x in zip(d_outputs, parts)])
            d_gamma = (d_outputs_x - d_beta * mean) * inverse_std
            slope = scale * inverse_std * d_gamma / count
            shift = slope * mean - scale * d_beta / count
            d_parts = [
                scale_and_shift(dy, scale, shift) - scale_and_shift(x, slope)
                for dy, x in zip(d_outputs, parts)
            ]
            return d_parts + [d_gamma, d_beta]

        return outputs + [mean, variance], gradient

    results = normalize_parts(*parts, tf.identity(gamma), tf.identity(beta))
    outputs = list(results[:-2])
    for output, x in zip(outputs, parts):
        output.set_shape(x.shape)
    return outputs, results[-2], results[-1]


def example_count(parts):
    """How many values a channel has: n, or n*h*w."""
    channels = int(parts[0].shape[-1])
    return tf.add_n([tf.size(x) for x in parts]) // channels


def moments(parts, count):
    """Mean and biased variance [c] of each channel."""
    mean = channel_sum(parts) / count

    def in_two_passes():
        return channel_sum([tf.square(x - mean) for x in parts]) / count

    # XLA, which takes the batch in one part, has no kernel for the norm, and joins passes itself.
    if parts[0].shape.ndims == 2 or len(parts) == 1:
        return mean, in_two_passes()
    variance = channel_sum_of_squares(parts) / count - tf.square(mean)
    loses_digits = tf.reduce_any(tf.square(mean) > LARGE_MEAN**2 * variance)
    return mean, tf.cond(loses_digits, in_two_passes, lambda: variance)


def channel_sum(parts):
    """The sum over all axes but the last, [c]."""
    return unfold_sum(parts, [tf.reduce_sum(fold(x), axis=0) for x in parts])


def channel_sum_of_squares(parts):
    """The sum of squares over all axes but the last, [c]: one pass, as the norm takes the sum."""
    norms = [tf.raw_ops.EuclideanNorm(input=fold(x), axis=[0]) for x in parts]
    return unfold_sum(parts, [tf.square(norm) for norm in norms])


def fold(x):
    """[n, h, w, c] as [n*h, w*c]."""
    if x.shape.ndims == 2:
        return x
    _, _, width, channels = x.shape.as_list()
    return tf.reshape(x, [-1, width * channels])


def unfold_sum(parts, folded_sums):
    """The sum of the parts' [w*c], and over w: [c]."""
    if parts[0].shape.ndims == 2:
        return tf.add_n(folded_sums)
    channels = int(parts[0].shape[-1])
    return tf.reduce_sum(tf.reshape(tf.add_n(folded_sums), [-1, channels]), axis=0)


def scale_and_shift(x, scale, shift=None):
    """x * scale + shift, for each channel."""
    if x.shape.ndims == 2 or x.dtype != tf.float32:
        return x * scale if shift is None else x * scale + shift
    zeros, ones = tf.zeros_like(scale), tf.ones_like(scale)
    outputs, _, _ = tf.nn.fused_batch_norm(
        x,
        scale,
        zeros if shift is None else shift,
        mean=zeros,
        variance=ones - FUSED_EPSILON,
        epsilon=FUSED_EPSILON,
        is_training=False,
    )
    return outputs
