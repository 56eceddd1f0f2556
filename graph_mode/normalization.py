"""Batch normalization of a batch in parts, with the gradient of its closed form.

Everything here is passes over memory, so what counts is how many, and over rows of which length. A
few channels make short rows, which are slow to walk over; fold(x) makes them longer. Where oneDNN
computes TensorFlow's fused operations, they join several passes in one.
"""

import collections
import math

from graph_mode import tensorflow1 as tf

# The mean of squares less the square of the mean costs one pass fewer than the mean of squared
# distances, and keeps its digits unless the mean is this many times the standard deviation.
LARGE_MEAN = 10.0
# float32 values in the longest vector of a processor: oneDNN is fast with multiples of it.
VECTOR = 16

Moments = collections.namedtuple("Moments", "mean variance")


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
        channels = int(gamma.shape[0])
        count = tf.cast(example_count(parts), gamma.dtype)
        moments = moments_of(parts, count)
        outputs = [at_fixed_moments(x, gamma, beta, *moments, epsilon) for x in parts]

        def gradient(*d_results):
            times = fold_for_gradient(parts[0])
            rows = [fold(x, times) for x in parts]
            direct, d_gammas, d_betas = zip(
                *[
                    gradient_at_fixed_moments(fold(dy, times), x, gamma, *moments, epsilon)
                    for dy, x in zip(d_results, rows)
                ]
            )
            d_gamma, d_beta = unfold_sum(d_gammas, channels), unfold_sum(d_betas, channels)
            scale = gamma * tf.rsqrt(moments.variance + epsilon) / count
            through_moments = [
                at_fixed_moments(x, scale * d_gamma, scale * d_beta, *moments, epsilon)
                for x in rows
            ]
            d_parts = [
                tf.reshape(dx - through, tf.shape(x))
                for dx, through, x in zip(direct, through_moments, parts)
            ]
            return d_parts + [d_gamma, d_beta]

        return outputs + list(moments), gradient

    results = normalize_parts(*parts, tf.identity(gamma), tf.identity(beta))
    outputs = list(results[:-2])
    for output, x in zip(outputs, parts):
        output.set_shape(x.shape)
    return outputs, results[-2], results[-1]


def example_count(parts):
    """How many values a channel has: n, or n*h*w."""
    channels = int(parts[0].shape[-1])
    return tf.add_n([tf.size(x) for x in parts]) // channels


def moments_of(parts, count):
    """Mean and biased variance [c] of each channel."""
    mean = channel_sum(parts) / count

    def in_two_passes():
        return channel_sum([tf.square(x - mean) for x in parts]) / count

    # XLA, which takes the batch in one part, has no kernel for the norm, and joins passes itself.
    if parts[0].shape.ndims == 2 or len(parts) == 1:
        return Moments(mean, in_two_passes())
    variance = channel_sum_of_squares(parts) / count - tf.square(mean)
    loses_digits = tf.reduce_any(tf.square(mean) > LARGE_MEAN**2 * variance)
    return Moments(mean, tf.cond(loses_digits, in_two_passes, lambda: variance))


def channel_sum(parts):
    """The sum over all axes but the last, [c]."""
    sums = [tf.reduce_sum(fold(x), axis=example_axes(x)) for x in parts]
    return unfold_sum(sums, int(parts[0].shape[-1]))


def channel_sum_of_squares(parts):
    """The sum of squares over all axes but the last, [c]: one pass, as the norm takes the sum."""
    norms = [tf.raw_ops.EuclideanNorm(input=fold(x), axis=example_axes(x)) for x in parts]
    return unfold_sum([tf.square(norm) for norm in norms], int(parts[0].shape[-1]))


def example_axes(x):
    return list(range(x.shape.ndims - 1))


def at_fixed_moments(x, gamma, beta, mean, variance, epsilon):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta; vectors [c], x perhaps folded."""
    if is_fused(x):
        # Not folded here: TensorFlow joins this operation with a ReLU that takes its output as is.
        vectors = [for_columns_of(x, vector) for vector in (gamma, beta, mean, variance)]
        return tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=vectors[0],
            offset=vectors[1],
            mean=vectors[2],
            variance=vectors[3],
            epsilon=epsilon,
            is_training=False,
        ).y
    rows = fold(x)
    scale = gamma * tf.rsqrt(variance + epsilon)
    outputs = rows * for_columns_of(rows, scale) + for_columns_of(rows, beta - scale * mean)
    return outputs if x.shape.ndims == 2 else tf.reshape(outputs, tf.shape(x))


def gradient_at_fixed_moments(dy, x, gamma, mean, variance, epsilon):
    """The gradients of at_fixed_moments, given dy: of a folded x, of gamma and of beta.

    Those of gamma and beta are for each column; unfold_sum adds up those of a channel.
    """
    gamma, mean, variance = (for_columns_of(x, vector) for vector in (gamma, mean, variance))
    if is_fused(x):
        return tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=dy,
            x=x,
            scale=gamma,
            reserve_space_1=mean,
            reserve_space_2=variance,
            reserve_space_3=tf.zeros([0]),
            epsilon=epsilon,
            is_training=False,
        )[:3]
    inverse_std = tf.rsqrt(variance + epsilon)
    d_beta = tf.reduce_sum(dy, axis=example_axes(x))
    d_gamma = (tf.reduce_sum(dy * x, axis=example_axes(x)) - d_beta * mean) * inverse_std
    return dy * (gamma * inverse_std), d_gamma, d_beta


def is_fused(x):
    """Whether TensorFlow's fused operations take x, and in one pass, as oneDNN's do."""
    return x.shape.ndims == 4 and x.dtype == tf.float32 and tf.has_onednn()


def fold(x, times=None):
    """[n, h, w, c] as [1, n*h*w/times, 1, times*c], by default for times = w; [n, c] as it is."""
    if x.shape.ndims == 2:
        return x
    _, _, width, channels = x.shape.as_list()
    return tf.reshape(x, [1, -1, 1, (times or width) * channels])


def fold_for_gradient(x):
    """How many times a row has the channels in the gradient: so that they fill whole vectors."""
    if x.shape.ndims == 2:
        return 1
    _, height, width, channels = x.shape.as_list()
    times = VECTOR // math.gcd(VECTOR, channels)
    return times if is_fused(x) and height * width % times == 0 else width


def for_columns_of(x, values):
    """values [c], as many times over as the last axis of x, perhaps folded, has the channels."""
    times = int(x.shape[-1]) // int(values.shape[0])
    return values if times == 1 else tf.tile(values, [times])


def unfold_sum(sums, channels):
    """The parts' sums [k*c] of the columns as one sum [c] of the channels."""
    total = tf.add_n(list(sums))
    if int(total.shape[0]) == channels:
        return total
    return tf.reduce_sum(tf.reshape(total, [-1, channels]), axis=0)
