"""tf.layers for every TensorFlow: signatures, variables, defaults and collections of 1.15.

A checkpoint that a program with tf.layers saved restores here, and the reverse. A layer takes a
tensor, or a Batch (see batch.py), and gives back the same. What tf.layers can do and this cannot
raises a ValueError.
"""

import collections
import contextlib
import zlib

from graph_mode import batch, fast
from graph_mode import tensorflow1 as tf

EPSILON = 0.001  # of batch normalization
# The smallest epsilon of TensorFlow's fused batch normalization, which tf.layers uses for images.
SMALLEST_FUSED_EPSILON = 1.001e-5

# What tf.layers takes by name, too.
INITIALIZERS = (
    "zeros", "ones", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
    "lecun_uniform", "lecun_normal", "orthogonal",
)  # fmt: skip
ACTIVATIONS = ("relu", "sigmoid", "tanh", "softmax", "elu", "selu", "softplus", "softsign")

# What a batch normalization normalizes by: the batch; stored averages; either, as a tensor says; or
# stored averages since it is not to be trained.
BATCH, AVERAGES, EITHER, FROZEN = "batch", "averages", "either", "frozen"

LAYER = "kind name inputs outputs variables moments normalized_by"


class Layer(collections.namedtuple("Layer", LAYER, defaults=[None, None])):
    """A layer as it was built.

    kind: the name of its function; name: its variable scope; inputs, outputs: tensors or Batches;
    variables: the trainable ones by name, {"kernel": variable, ...}. Of a batch normalization,
    moments: the mean [c] and the variance [c] that its averages follow; normalized_by: BATCH,
    AVERAGES, EITHER or FROZEN.
    """


_recordings = []
_drops = []


@contextlib.contextmanager
def dropped_by(step):
    """In the `with` block, what dropout() drops depends on its scope, the seed and the step alone,
    an int64 scalar: a run that is resumed drops what one that never stopped drops."""
    _drops.append((step, tf.get_default_graph()))
    try:
        yield
    finally:
        _drops.pop()


@contextlib.contextmanager
def recorded():
    """A list that every layer built in the `with` block joins, in that order, as a Layer."""
    _recordings.append([])
    try:
        yield _recordings[-1]
    finally:
        _recordings.pop()


def dense(
    inputs, units, activation=None, use_bias=True, kernel_initializer=None,
    bias_initializer="zeros", kernel_regularizer=None, bias_regularizer=None,
    activity_regularizer=None, kernel_constraint=None, bias_constraint=None, trainable=True,
    name=None, reuse=None,
):  # fmt: skip
    """activation(inputs . kernel + bias): [n, m] -> [n, units], likewise for more axes before m."""
    inputs = _checked(inputs, "dense", "2 axes or more", lambda rank: rank >= 2)

    def multiply(x, kernel):
        return tf.matmul(x, kernel) if x.shape.ndims == 2 else tf.tensordot(x, kernel, 1)

    return _weighted(
        "dense", multiply, [_size(inputs, -1), units], inputs, units, inputs.shape.ndims - 1,
        (kernel_initializer, kernel_regularizer, kernel_constraint, trainable), use_bias
        and (bias_initializer, bias_regularizer, bias_constraint, trainable),
        activation, activity_regularizer, name, reuse,
    )  # fmt: skip


def conv2d(
    inputs, filters, kernel_size, strides=(1, 1), padding="valid", data_format="channels_last",
    dilation_rate=(1, 1), activation=None, use_bias=True, kernel_initializer=None,
    bias_initializer="zeros", kernel_regularizer=None, bias_regularizer=None,
    activity_regularizer=None, kernel_constraint=None, bias_constraint=None, trainable=True,
    name=None, reuse=None,
):  # fmt: skip
    """Images [n, h, w, c] -> [n, h', w', filters]; kernel [kernel_size, c, filters]."""
    strides, padding = _pair("strides", strides), _padding(padding)
    size, dilation = _pair("kernel_size", kernel_size), _pair("dilation_rate", dilation_rate)
    if dilation != (1, 1) and strides != (1, 1):
        raise ValueError(
            f"strides {strides} and dilation_rate {dilation} cannot both be above 1: make one 1"
        )

    def convolve(x, kernel):
        if dilation != (1, 1):
            return tf.nn.convolution(x, kernel, padding, dilation_rate=dilation)
        if fast.convolution_applies(kernel, strides, padding):
            return fast.convolution(x, kernel)
        return tf.nn.conv2d(x, kernel, strides=(1,) + strides + (1,), padding=padding)

    axis = _channel_axis(data_format)
    inputs = _checked(inputs, "conv2d", "4 axes", lambda rank: rank == 4)
    return _weighted(
        "conv2d", convolve, [*size, _size(inputs, axis), filters], inputs, filters, axis,
        (kernel_initializer, kernel_regularizer, kernel_constraint, trainable), use_bias
        and (bias_initializer, bias_regularizer, bias_constraint, trainable),
        activation, activity_regularizer, name, reuse,
    )  # fmt: skip


def conv2d_transpose(
    inputs, filters, kernel_size, strides=(1, 1), padding="valid", data_format="channels_last",
    activation=None, use_bias=True, kernel_initializer=None, bias_initializer="zeros",
    kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None,
    kernel_constraint=None, bias_constraint=None, trainable=True, name=None, reuse=None,
):  # fmt: skip
    """Images [n, h, w, c] -> [n, h', w', filters], as the gradient of conv2d by its inputs does;
    "same" makes h' = strides * h. The kernel is [kernel_size, filters, c]."""
    strides, padding = _pair("strides", strides), _padding(padding)
    size = _pair("kernel_size", kernel_size)

    def convolve(x, kernel):
        known, found = x.shape.as_list(), tf.shape(x)
        lengths = [
            (known[i] or found[i]) * stride + (max(k - stride, 0) if padding == "VALID" else 0)
            for i, stride, k in zip((1, 2), strides, size)
        ]
        shape = tf.stack([found[0]] + lengths + [filters])
        outputs = tf.nn.conv2d_transpose(x, kernel, shape, (1,) + strides + (1,), padding)
        lengths = [length if isinstance(length, int) else None for length in lengths]
        outputs.set_shape(known[:1] + lengths + [filters])
        return outputs

    axis = _channel_axis(data_format)
    inputs = _checked(inputs, "conv2d_transpose", "4 axes", lambda rank: rank == 4)
    return _weighted(
        "conv2d_transpose", convolve, [*size, filters, _size(inputs, axis)], inputs, filters, axis,
        (kernel_initializer, kernel_regularizer, kernel_constraint, trainable), use_bias
        and (bias_initializer, bias_regularizer, bias_constraint, trainable),
        activation, activity_regularizer, name, reuse,
    )  # fmt: skip


def _weighted(
    kind, compute, kernel_shape, inputs, units, axis, of_kernel, of_bias, activation,
    activity_regularizer, name, reuse,
):  # fmt: skip
    """activation(compute(inputs, kernel) + bias), computed with the channels, at `axis`, last.
    of_kernel, of_bias (or False): (initializer, regularizer, constraint, trainable)."""
    last = inputs.shape.ndims - 1
    with _variable_scope(name, kind, reuse) as scope:
        kernel = _variable("kernel", kernel_shape, inputs.dtype, *of_kernel)
        variables = {"kernel": kernel}
        outputs = batch.slice_by_slice(lambda x: compute(x, kernel), _move_axis(inputs, axis, last))
        if of_bias:
            variables["bias"] = bias = _variable("bias", [units], inputs.dtype, *of_bias)
            outputs = batch.slice_by_slice(lambda x: tf.nn.bias_add(x, bias), outputs)
        outputs = _activated(_move_axis(outputs, last, axis), activation, activity_regularizer)
        return _record(kind, scope, inputs, outputs, variables)


def max_pooling2d(
    inputs, pool_size, strides, padding="valid", data_format="channels_last", name=None
):
    """The largest value of each window: [n, h, w, c] -> [n, h', w', c]."""
    sizes = _pair("pool_size", pool_size), _pair("strides", strides)
    return _pooling("max_pooling2d", tf.nn.max_pool, inputs, sizes, padding, data_format, name)


def average_pooling2d(
    inputs, pool_size, strides, padding="valid", data_format="channels_last", name=None
):
    """The mean of each window, without the padding: [n, h, w, c] -> [n, h', w', c]."""
    sizes = _pair("pool_size", pool_size), _pair("strides", strides)
    return _pooling("average_pooling2d", tf.nn.avg_pool, inputs, sizes, padding, data_format, name)


def _pooling(kind, pool, inputs, sizes, padding, data_format, name):
    axis, padding = _channel_axis(data_format), _padding(padding)
    sizes = [(1,) + size + (1,) for size in sizes]
    inputs = _checked(inputs, kind, "4 axes", lambda rank: rank == 4)
    with tf.variable_scope(None, default_name=name or kind) as scope:
        last = _move_axis(inputs, axis, 3)
        outputs = batch.slice_by_slice(lambda x: pool(x, *sizes, padding), last)
        return _record(kind, scope, inputs, _move_axis(outputs, 3, axis), {})


def dropout(inputs, rate=0.5, noise_shape=None, seed=None, training=False, name=None):
    """While `training`, zeros a share `rate` of the elements and divides the others by 1 - rate.

    Raises ValueError for a rate outside [0, 1), and in a loop of the network (tf.map_fn,
    tf.while_loop) while training, where each turn would drop the same.
    """
    inputs = _checked(inputs, "dropout")
    if not tf.is_tensor(rate) and not 0 <= rate < 1:
        raise ValueError(f"rate must be a number from 0 to below 1, found {rate!r}")

    def drop():
        # Drawn for the whole batch, so that the slices do not change what is drawn.
        whole = batch.joined(inputs)
        sizes = noise_shape and [
            tf.shape(whole)[i] if size is None else size for i, size in enumerate(noise_shape)
        ]
        if not _drops:
            return tf.nn.dropout(whole, noise_shape=sizes, seed=seed, rate=rate)
        step, outside = _drops[-1]
        if _is_in_a_loop(outside):
            raise ValueError(
                "dropout in tf.map_fn or tf.while_loop would drop the same in each turn: "
                "use it before or after the loop, on the whole tensor"
            )
        own = tf.get_default_graph().seed if seed is None else seed
        seeds = tf.stack(
            [tf.constant(zlib.crc32(f"{scope.name} {own}".encode()) % 2**31, tf.int64), step]
        )
        shape = tf.stack(sizes) if sizes else tf.shape(whole)
        kept = tf.random.stateless_uniform(shape, seeds, dtype=whole.dtype) >= rate
        return whole * tf.cast(kept, whole.dtype) / (1 - rate)

    with tf.variable_scope(None, default_name=name or "dropout") as scope:
        dropped = _if_training(training, drop, lambda: tf.identity(batch.joined(inputs)))
        if isinstance(inputs, batch.Batch):
            dropped = batch.Batch(tf.split(dropped, inputs.sizes), inputs.sizes)
        return _record("dropout", scope, inputs, dropped, {})


def _is_in_a_loop(outside):
    """Whether a loop is being built that is inside the graph `outside`."""
    graph = tf.get_default_graph()
    while graph is not None and graph is not outside:
        if type(graph).__name__.startswith("While"):
            return True
        graph = getattr(graph, "outer_graph", None)
    return False


def flatten(inputs, name=None, data_format="channels_last"):
    """[n, h, w, c] -> [n, h*w*c], likewise for any number of axes after the first."""
    axis = _channel_axis(data_format)
    inputs = _checked(inputs, "flatten", "1 axis or more", lambda rank: rank >= 1)
    rank = inputs.shape.ndims

    def flattened(x):
        size = x.shape[1:].num_elements()
        return tf.reshape(x, [tf.shape(x)[0], -1] if size is None else [-1, size])

    with tf.variable_scope(None, default_name=name or "flatten") as scope:
        ordered = _move_axis(inputs, 1, rank - 1) if axis == 1 and rank > 1 else inputs
        return _record("flatten", scope, inputs, batch.slice_by_slice(flattened, ordered), {})


def batch_normalization(
    inputs, axis=-1, momentum=0.99, epsilon=EPSILON, center=True, scale=True,
    beta_initializer="zeros", gamma_initializer="ones", moving_mean_initializer="zeros",
    moving_variance_initializer="ones", beta_regularizer=None, gamma_regularizer=None,
    beta_constraint=None, gamma_constraint=None, training=False, trainable=True, name=None,
    reuse=None, renorm=False, renorm_clipping=None, renorm_momentum=0.99, fused=None,
    virtual_batch_size=None, adjustment=None,
):  # fmt: skip
    """gamma * (inputs - mean) / sqrt(variance + epsilon) + beta, for each channel along `axis`.

    Algorithms 1 and 2 of Ioffe and Szegedy (2015). While `training`, mean and biased variance are
    the batch's, and the updates of the moving averages join tf.GraphKeys.UPDATE_OPS; otherwise they
    are the moving averages.
    """
    for argument, value in (
        ("renorm", renorm), ("renorm_clipping", renorm_clipping),
        ("virtual_batch_size", virtual_batch_size), ("adjustment", adjustment),
    ):  # fmt: skip
        if value:
            raise ValueError(f"{argument} is not supported here, found {value!r}: leave it out")
    inputs = _checked(inputs, "batch_normalization", "1 axis or more", lambda rank: rank >= 1)
    axis = _one_axis(axis, inputs)
    last = inputs.shape.ndims - 1
    # tf.layers normalizes images by TensorFlow's fused operation, unless told otherwise.
    is_fused = last == 3 and axis in (1, 3) and fused in (None, True)
    epsilon = max(epsilon, SMALLEST_FUSED_EPSILON) if is_fused else epsilon
    shape, dtype = [_size(inputs, axis)], inputs.dtype
    dtype = tf.float32 if dtype in (tf.float16, tf.bfloat16) else dtype
    with _variable_scope(name, "batch_normalization", reuse) as scope:
        variables = {}
        if scale:
            settings = gamma_initializer, gamma_regularizer, gamma_constraint, trainable
            variables["gamma"] = _variable("gamma", shape, dtype, *settings)
        if center:
            settings = beta_initializer, beta_regularizer, beta_constraint, trainable
            variables["beta"] = _variable("beta", shape, dtype, *settings)
        moving_mean = _variable("moving_mean", shape, dtype, moving_mean_initializer)
        moving_variance = _variable("moving_variance", shape, dtype, moving_variance_initializer)
        gamma = variables.get("gamma", tf.ones(shape, dtype))
        beta = variables.get("beta", tf.zeros(shape, dtype))
        x = _move_axis(batch.joined(inputs) if axis == 0 else inputs, axis, last)
        moving = tf.convert_to_tensor(moving_mean), tf.convert_to_tensor(moving_variance)
        is_training = _static(training)
        is_fast = is_training is not None and fast.batch_norm_applies(x)
        if is_training and is_fast:
            outputs, *moments = fast.normalize(x, gamma, beta, epsilon)
        else:
            moments = _if_training(training, lambda: _moments(x, dtype), lambda: moving)
            normalize_by = fast.normalize_by if is_fast else _normalize_by
            vectors = (*moments, gamma, beta)
            outputs = batch.slice_by_slice(lambda x: normalize_by(x, *vectors, epsilon), x)
        if trainable and is_training is not False:
            if is_fused:  # by tf.layers, which then averages the unbiased variance
                count = tf.cast(fast.example_count(batch.slices_of(x)), dtype)
                ratio = _if_training(
                    training, lambda: count / tf.maximum(count - 1, 1), lambda: tf.ones([], dtype)
                )
                moments = moments[0], moments[1] * ratio
            # Where the flag turns out false, each average is itself the value: nothing changes.
            for average, value in zip((moving_mean, moving_variance), moments):
                update = average.assign_sub((1 - momentum) * (average - value), read_value=False)
                tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
        outputs = _move_axis(outputs, last, axis)
        normalized_by = {True: BATCH, None: EITHER}.get(is_training, AVERAGES)
        normalized_by = normalized_by if trainable or is_training else FROZEN
        further = variables, tuple(moments), normalized_by
        return _record("batch_normalization", scope, inputs, outputs, *further)


def _moments(inputs, dtype):
    """Mean and biased variance of each channel over the whole batch, [c]."""
    whole = tf.cast(batch.joined(inputs), dtype)
    all_but_last = fast.example_axes(whole)
    mean = tf.reduce_mean(whole, axis=all_but_last)
    return mean, tf.reduce_mean(tf.square(whole - mean), axis=all_but_last)


def _normalize_by(x, mean, variance, gamma, beta, epsilon):
    xhat = (tf.cast(x, gamma.dtype) - mean) / tf.sqrt(variance + epsilon)
    return tf.cast(gamma * xhat + beta, x.dtype)


def _if_training(training, if_true, if_false):
    """if_true() or if_false(), or where `training` is known only when the graph runs, a tf.cond."""
    known = _static(training)
    if known is None:
        return tf.cond(training, if_true, if_false)
    return if_true() if known else if_false()


def _static(training):
    """True, False, or None for a tensor without a value yet."""
    if tf.is_tensor(training):
        training = tf.get_static_value(tf.convert_to_tensor(training))
        return None if training is None else bool(training)
    if training not in (True, False):
        raise ValueError(f"training must be a bool or a boolean tensor, found {training!r}")
    return bool(training)


def _variable_scope(name, kind, reuse):
    """The layer's variable scope: `name`, or by default kind, kind_1, ..."""
    if reuse:
        return tf.variable_scope(name or kind, reuse=reuse)
    return tf.variable_scope(name, default_name=kind)


def _variable(name, shape, dtype, initializer, regularizer=None, constraint=None, trainable=False):
    """The variable, new or shared. A new one's regularizer joins the REGULARIZATION_LOSSES."""
    if isinstance(initializer, str):
        if initializer not in INITIALIZERS:
            raise ValueError(
                f"initializer {initializer!r} is not known by name: give an object, such as "
                f"tf.initializers.constant(1.0), or one of {', '.join(INITIALIZERS)}"
            )
        initializer = getattr(tf.initializers, initializer)()
    of_scope = tf.get_variable_scope().regularizer
    if regularizer is not None and of_scope is not None:  # tf.get_variable would drop the scope's
        own = regularizer

        def regularizer(variable):
            return own(variable) + of_scope(variable)

    return tf.get_variable(
        name, shape, dtype, initializer, regularizer, constraint=constraint, trainable=trainable
    )


def _activated(outputs, activation, activity_regularizer):
    if isinstance(activation, str) and activation != "linear":
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation {activation!r} is not known by name: give a function, or one of "
                f"linear, {', '.join(ACTIVATIONS)}"
            )
        activation = getattr(tf.nn, activation)
    if activation not in (None, "linear"):
        outputs = batch.apply(activation, outputs)
    if activity_regularizer is not None:
        whole = batch.joined(outputs)
        loss = activity_regularizer(whole)
        examples = tf.cast(tf.shape(whole)[0], loss.dtype)
        tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, loss / examples)
    return outputs


def _record(kind, scope, inputs, outputs, *further):
    for recording in _recordings:
        recording.append(Layer(kind, scope.name, inputs, outputs, *further))
    return outputs


def _checked(inputs, kind, axes="a known number of axes", has_right=lambda rank: True):
    """The inputs as a tensor or a Batch. Raises ValueError unless they have the right rank."""
    if not isinstance(inputs, batch.Batch):
        inputs = tf.convert_to_tensor(inputs)
    rank = inputs.shape.ndims
    if kind != "dropout" and (rank is None or not has_right(rank)):
        raise ValueError(f"{kind} needs inputs with {axes}, found the shape {inputs.shape}")
    if not inputs.dtype.is_floating and kind != "flatten" and "pooling" not in kind:
        raise TypeError(f"{kind} needs floating inputs, found {inputs.dtype.name}: use tf.cast")
    return inputs


def _size(inputs, axis):
    size = inputs.shape.as_list()[axis]
    if size is None:
        raise ValueError(
            f"the layer's variables need the size of axis {axis}, found the shape {inputs.shape}: "
            "use set_shape or tf.reshape before"
        )
    return size


def _one_axis(axis, inputs):
    axes, rank = axis if isinstance(axis, (list, tuple)) else [axis], inputs.shape.ndims
    if any(tf.is_tensor(each) or type(each).__name__ in ("bool", "bool_") for each in axes):
        raise ValueError(f"axis must be a whole number, found {axis}: write training={axis}")
    if len(axes) != 1 or not -rank <= axes[0] < rank:
        raise ValueError(f"axis must be one of the {rank} axes of the inputs, found {axis}")
    return axes[0] % rank


def _channel_axis(data_format):
    axes = {"channels_last": 3, "channels_first": 1}
    if data_format not in axes:
        raise ValueError(f"data_format must be one of {', '.join(axes)}, found {data_format!r}")
    return axes[data_format]


def _padding(padding):
    if str(padding).lower() not in ("valid", "same"):
        raise ValueError(f"padding must be valid or same, found {padding!r}")
    return padding.upper()


def _pair(argument, value):
    """(height, width) from one integer for both or two."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2:
        raise ValueError(f"{argument} must be one integer or two, found {value!r}")
    return pair


def _move_axis(values, source, target):
    """The values with one axis moved: a processor convolves only with the channels last."""
    if source == target:
        return values
    order = list(range(values.shape.ndims))
    order.insert(target, order.pop(source))
    return batch.slice_by_slice(lambda x: tf.transpose(x, order), values)
