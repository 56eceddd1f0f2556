"""Fast forms of layers, each equal to the plain one. `*_applies` says where layers.py uses one.

Batch normalization: everything is passes over memory, so what counts is how many, and over rows of
which length. A few channels make short rows; fold(x) makes them longer. Where oneDNN computes
TensorFlow's fused operations, they join several passes in one.

Convolution: without oneDNN (before TensorFlow 2.9), one with few channels takes up to twice as long
as a transposed one, and the gradient of its kernel longer still: two identities give both by it.
"""

import collections
import contextlib
import math
import re

from graph_mode import batch
from graph_mode import tensorflow1 as tf

FORMS = ("batch_norm", "convolution")
# The mean of squares less the square of the mean costs one pass fewer than the mean of squared
# distances, and keeps its digits unless the mean is this many times the standard deviation.
LARGE_MEAN = 10.0
# float32 values in the longest vector of a processor: oneDNN is fast with multiples of it.
VECTOR = 16

Moments = collections.namedtuple("Moments", "mean variance")
_switched_off = set()


@contextlib.contextmanager
def without(*forms):
    """Layers that are built in the `with` block do without these of FORMS."""
    if not set(forms) <= set(FORMS):
        raise ValueError(f"the fast forms are {', '.join(FORMS)}, found {', '.join(forms)}")
    before = set(_switched_off)
    _switched_off.update(forms)
    try:
        yield
    finally:
        _switched_off.intersection_update(before)


def _is_on(form):
    """Whether it is used, as it is not in a branch of tf.cond on TensorFlow 1.15, which
    differentiates no tf.custom_gradient there."""
    name = getattr(tf.get_default_graph(), "name", "")
    in_a_branch = tf.version() < (2, 0) and re.search(r"_(true|false)_[0-9]+$", name)
    return form not in _switched_off and not in_a_branch


def batch_norm_applies(inputs):
    """Whether `normalize` takes these inputs: float [n, c], or [n, h, w, c] with h, w known."""
    sizes = inputs.shape.as_list()[1:]
    has_shape = len(sizes) in (1, 3) and None not in sizes
    return has_shape and inputs.dtype in (tf.float32, tf.float64) and _is_on("batch_norm")


def normalize(inputs, gamma, beta, epsilon):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, for each channel (the last axis).

    inputs: a tensor or a Batch; gamma, beta: [c]. Returns the outputs, the mean [c] and the biased
    variance [c] of the whole batch. The gradient is the closed form derived in docs/gradients.md,
    dx = gamma/std * (dy - mean(dy) - xhat * mean(dy * xhat)).
    """

    @tf.custom_gradient
    def normalize_slices(*arguments):
        slices, (gamma, beta) = arguments[:-2], arguments[-2:]
        channels = int(gamma.shape[0])
        count = tf.cast(example_count(slices), gamma.dtype)
        moments = moments_of(slices, count)
        outputs = [normalize_by(x, *moments, gamma, beta, epsilon) for x in slices]

        def gradient(*d_results):
            for dy, x in zip(d_results, slices):
                dy.set_shape(x.shape)  # A tf.cond around the layer can lose it.
            times = fold_for_gradient(slices[0])
            rows = [fold(x, times) for x in slices]
            of_slices = [
                gradient_at_fixed_moments(fold(dy, times), x, gamma, *moments, epsilon)
                for dy, x in zip(d_results, rows)
            ]
            direct, d_gammas, d_betas = zip(*of_slices)
            d_gamma, d_beta = unfold_sum(d_gammas, channels), unfold_sum(d_betas, channels)
            scale = gamma * tf.rsqrt(moments.variance + epsilon) / count
            through_moments = [
                normalize_by(x, *moments, scale * d_gamma, scale * d_beta, epsilon) for x in rows
            ]
            d_slices = [
                tf.reshape(dx - through, tf.shape(x))
                for dx, through, x in zip(direct, through_moments, slices)
            ]
            return [_only_once(gradient) for gradient in d_slices + [d_gamma, d_beta]]

        return outputs + list(moments), gradient

    slices = batch.slices_of(inputs)
    results = normalize_slices(*slices, tf.identity(gamma), tf.identity(beta))
    outputs = list(results[:-2])
    for output, x in zip(outputs, slices):
        output.set_shape(x.shape)
    is_batch = isinstance(inputs, batch.Batch)
    outputs = batch.Batch(outputs, inputs.sizes) if is_batch else outputs[0]
    return outputs, results[-2], results[-1]


def _only_once(gradient):
    """The gradient, which refuses to be differentiated: fused operations would do it wrongly."""
    return tf.raw_ops.PreventGradient(
        input=gradient,
        message="the fast batch normalization has no second derivative: build the layer "
        "in `with fast.without('batch_norm')`",
    )


def example_count(slices):
    """How many values a channel has: n, or n*h*w."""
    return tf.add_n([tf.size(x) for x in slices]) // int(slices[0].shape[-1])


def moments_of(slices, count):
    """Mean and biased variance [c] of each channel."""
    mean = channel_sum(slices) / count

    def in_two_passes():
        return channel_sum([tf.square(x - mean) for x in slices]) / count

    # XLA, which takes the batch in one slice, has no kernel for the norm, and joins passes itself.
    if slices[0].shape.ndims == 2 or len(slices) == 1:
        return Moments(mean, in_two_passes())
    variance = channel_sum_of_squares(slices) / count - tf.square(mean)
    loses_digits = tf.reduce_any(tf.square(mean) > LARGE_MEAN**2 * variance)
    return Moments(mean, tf.cond(loses_digits, in_two_passes, lambda: variance))


def channel_sum(slices):
    """The sum over all axes but the last, [c]."""
    sums = [tf.reduce_sum(fold(x), axis=example_axes(x)) for x in slices]
    return unfold_sum(sums, int(slices[0].shape[-1]))


def channel_sum_of_squares(slices):
    """The sum of squares over all axes but the last, [c]: one pass, as the norm takes the sum."""
    norms = [tf.raw_ops.EuclideanNorm(input=fold(x), axis=example_axes(x)) for x in slices]
    return unfold_sum([tf.square(norm) for norm in norms], int(slices[0].shape[-1]))


def example_axes(x):
    return list(range(x.shape.ndims - 1))


def normalize_by(x, mean, variance, gamma, beta, epsilon):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta; vectors [c], x perhaps folded."""
    if is_fused(x):
        # Not folded here: TensorFlow joins this operation with a ReLU that takes its output as is.
        vectors = {"scale": gamma, "offset": beta, "mean": mean, "variance": variance}
        vectors = {name: for_columns_of(x, vector) for name, vector in vectors.items()}
        return tf.raw_ops.FusedBatchNormV3(x=x, **vectors, epsilon=epsilon, is_training=False).y
    rows = fold(x)
    scale = gamma * tf.rsqrt(variance + epsilon)
    outputs = rows * for_columns_of(rows, scale) + for_columns_of(rows, beta - scale * mean)
    return outputs if x.shape.ndims == 2 else tf.reshape(outputs, tf.shape(x))


def gradient_at_fixed_moments(dy, x, gamma, mean, variance, epsilon):
    """The gradients of normalize_by, given dy: of a folded x; of gamma and of beta for each column,
    of which unfold_sum adds up those of a channel."""
    gamma, mean, variance = (for_columns_of(x, vector) for vector in (gamma, mean, variance))
    if is_fused(x):
        forward = {"reserve_space_1": mean, "reserve_space_2": variance}
        forward.update(reserve_space_3=tf.zeros([0]), epsilon=epsilon, is_training=False)
        return tf.raw_ops.FusedBatchNormGradV3(y_backprop=dy, x=x, scale=gamma, **forward)[:3]
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
    """The slices' sums [k*c] of the columns as one sum [c] of the channels."""
    total = tf.add_n(list(sums))
    if int(total.shape[0]) == channels:
        return total
    return tf.reduce_sum(tf.reshape(total, [-1, channels]), axis=0)


def convolution_applies(kernel, strides, padding):
    """Whether `convolution` takes an odd kernel for this TensorFlow: stride 1, padding "SAME"."""
    height, width = kernel.shape.as_list()[:2]
    is_its_kind = strides == (1, 1) and padding == "SAME" and height % 2 == width % 2 == 1
    return is_its_kind and _is_on("convolution") and not tf.has_onednn()


def convolution(x, kernel):
    """x [n, h, w, c] convolved with an odd kernel [k, l, c, f], stride 1, "SAME": [n, h, w, f], as
    the transposed convolution with the kernel rotated by 180 degrees."""

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradient(dy):
            return transposed(dy, kernel), kernel_gradient(x, dy, kernel.shape.as_list())

        rotated = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
        return transposed(x, rotated), gradient

    return convolve(x, tf.identity(kernel))


def transposed(y, kernel):
    """The gradient of convolution(x, kernel) by x, given that by its output."""
    shape = tf.concat([tf.shape(y)[:3], [int(kernel.shape[2])]], axis=0)
    return tf.nn.conv2d_transpose(y, kernel, shape, [1, 1, 1, 1], padding="SAME")


def kernel_gradient(x, dy, kernel_shape):
    """The gradient of convolution(x, kernel) by the kernel: x is convolved with dy, channels and
    examples in each other's place: at each of k x l shifts, the sum over examples and pixels."""
    height, width = kernel_shape[0] // 2, kernel_shape[1] // 2
    padding = [[0, 0], [height, height], [width, width], [0, 0]]
    x, dy = tf.transpose(x, [3, 1, 2, 0]), tf.transpose(dy, [1, 2, 0, 3])
    return tf.transpose(tf.nn.conv2d(x, dy, [1, 1, 1, 1], padding), [1, 2, 0, 3])
