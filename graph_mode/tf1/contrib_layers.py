"""Stands for tf.contrib.layers: layers with its names, and its initializers and regularizers.

The variables are called weights and biases, and hidden layers end in ReLU by default.
"""

import functools
import math
import numbers
import types

from graph_mode import tensorflow1 as tf
from graph_mode.tf1.framework import add_arg_scope, model_variable
from graph_mode.tf1.missing import refuse


def variance_scaling_initializer(
    factor=2.0, mode="FAN_IN", uniform=False, seed=None, dtype=tf.float32
):
    """Random values of variance factor / n, where n is the fan-in, the fan-out or their mean."""
    if not dtype.is_floating:
        raise TypeError("variance_scaling_initializer makes floating-point values only")
    if mode not in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
        raise TypeError(f"mode {mode}, expected FAN_IN, FAN_OUT or FAN_AVG")

    def initializer(shape, dtype=dtype, partition_info=None):
        shape = [int(size) for size in shape]
        field = _product(shape[:-2])
        fan_in = field * (shape[-2] if len(shape) > 1 else shape[-1] if shape else 1)
        fan_out = field * (shape[-1] if shape else 1)
        n = {"FAN_IN": fan_in, "FAN_OUT": fan_out, "FAN_AVG": (fan_in + fan_out) / 2.0}[mode]
        if uniform:
            limit = math.sqrt(3.0 * factor / n)
            return tf.random_uniform(shape, -limit, limit, dtype, seed=seed)
        # A normal distribution that is cut off at two deviations has 1.3 times less variance.
        return tf.truncated_normal(shape, 0.0, math.sqrt(1.3 * factor / n), dtype, seed=seed)

    return initializer


def xavier_initializer(uniform=True, seed=None, dtype=tf.float32):
    """Glorot and Bengio (2010): variance 2 / (fan-in + fan-out)."""
    return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


xavier_initializer_conv2d = xavier_initializer

XAVIER = xavier_initializer()
ZEROS = tf.zeros_initializer()


def l1_regularizer(scale, scope=None):
    """A function from weights to scale * sum(|weights|)."""
    return _regularizer("l1_regularizer", scale, scope, lambda w: tf.reduce_sum(tf.abs(w)))


def l2_regularizer(scale, scope=None):
    """A function from weights to scale * sum(weights ** 2) / 2."""
    return _regularizer("l2_regularizer", scale, scope, tf.nn.l2_loss)


def _regularizer(name, scale, scope, penalty):
    if isinstance(scale, numbers.Integral):
        raise ValueError(f"scale cannot be an integer: {scale}")
    if isinstance(scale, numbers.Real) and scale < 0:
        raise ValueError(f"Setting a scale less than 0 on a regularizer: {scale:g}")
    if isinstance(scale, numbers.Real) and scale == 0:
        return lambda _: None

    def regularizer(weights):
        with tf.name_scope(scope, name, [weights]) as full_name:
            factor = tf.convert_to_tensor(scale, weights.dtype.base_dtype, name="scale")
            return tf.multiply(factor, penalty(weights), name=full_name)

    return regularizer


def sum_regularizer(regularizer_list, scope=None):
    """A function from weights to the sum of the penalties; None if there are none."""
    regularizers = [regularizer for regularizer in regularizer_list if regularizer is not None]
    if not regularizers:
        return None

    def sum_of_penalties(weights):
        with tf.name_scope(scope, "sum_regularizer", [weights]) as name:
            penalties = [regularizer(weights) for regularizer in regularizers]
            penalties = [penalty for penalty in penalties if penalty is not None]
            return tf.add_n(penalties, name=name) if penalties else None

    return sum_of_penalties


def apply_regularization(regularizer, weights_list=None):
    """The sum of the penalties of the weights, which joins REGULARIZATION_LOSSES."""
    weights_list = weights_list or tf.get_collection(tf.GraphKeys.WEIGHTS)
    if not weights_list:
        raise ValueError("No weights to regularize.")
    with tf.name_scope("get_regularization_penalty", values=weights_list) as scope:
        penalties = [regularizer(weights) for weights in weights_list]
        penalties = [tf.constant(0.0) if p is None else p for p in penalties]
        total = tf.add_n(penalties, name=scope)
        tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, total)
        return total


@add_arg_scope
def fully_connected(
    inputs, num_outputs, activation_fn=tf.nn.relu, normalizer_fn=None, normalizer_params=None,
    weights_initializer=XAVIER, weights_regularizer=None, biases_initializer=ZEROS,
    biases_regularizer=None, reuse=None, variables_collections=None, outputs_collections=None,
    trainable=True, scope=None,
):  # fmt: skip
    """inputs [..., m] -> activation_fn(inputs . weights + biases), [..., num_outputs]."""
    arguments = locals()

    def multiply(inputs, weights):
        if inputs.shape.ndims == 2:
            return tf.matmul(inputs, weights)
        return tf.tensordot(inputs, weights, 1)

    def shape(inputs):
        return [int(inputs.shape[-1]), num_outputs]

    return _weighted("fully_connected", shape, multiply, arguments)


linear = functools.partial(fully_connected, activation_fn=None)
relu = functools.partial(fully_connected, activation_fn=tf.nn.relu)


@add_arg_scope
def conv2d(
    inputs, num_outputs, kernel_size, stride=1, padding="SAME", data_format=None, rate=1,
    activation_fn=tf.nn.relu, normalizer_fn=None, normalizer_params=None,
    weights_initializer=XAVIER, weights_regularizer=None, biases_initializer=ZEROS,
    biases_regularizer=None, reuse=None, variables_collections=None, outputs_collections=None,
    trainable=True, scope=None,
):  # fmt: skip
    """inputs [n, h, w, c] -> [n, h', w', num_outputs]; `rate` dilates the kernel."""
    arguments = locals()
    _only_nhwc("conv2d", data_format)

    def convolve(inputs, weights):
        return tf.nn.convolution(inputs, weights, padding.upper(), _pair(stride), _pair(rate))

    def shape(inputs):
        return [*_pair(kernel_size), int(inputs.shape[3]), num_outputs]

    return _weighted("Conv", shape, convolve, arguments)


convolution2d = conv2d


@add_arg_scope
def conv2d_transpose(
    inputs, num_outputs, kernel_size, stride=1, padding="SAME", data_format="NHWC",
    activation_fn=tf.nn.relu, normalizer_fn=None, normalizer_params=None,
    weights_initializer=XAVIER, weights_regularizer=None, biases_initializer=ZEROS,
    biases_regularizer=None, reuse=None, variables_collections=None, outputs_collections=None,
    trainable=True, scope=None,
):  # fmt: skip
    """inputs [n, h, w, c] -> [n, h * stride, w * stride, num_outputs], longer if not SAME."""
    arguments = locals()
    _only_nhwc("conv2d_transpose", data_format)

    def convolve(inputs, weights):
        dynamic, static = tf.shape(inputs), inputs.shape.as_list()
        sizes = []
        for axis, kernel, step in zip((1, 2), _pair(kernel_size), _pair(stride)):
            size = (dynamic[axis] if static[axis] is None else static[axis]) * step
            sizes.append(size if padding.upper() == "SAME" else size + max(kernel - step, 0))
        shape, strides = tf.stack([dynamic[0], *sizes, num_outputs]), [1, *_pair(stride), 1]
        outputs = tf.nn.conv2d_transpose(inputs, weights, shape, strides, padding.upper())
        known = [None if isinstance(size, tf.Tensor) else size for size in sizes]
        outputs.set_shape([static[0], *known, num_outputs])
        return outputs

    def shape(inputs):
        return [*_pair(kernel_size), num_outputs, int(inputs.shape[3])]

    return _weighted("Conv2d_transpose", shape, convolve, arguments)


convolution2d_transpose = conv2d_transpose


@add_arg_scope
def max_pool2d(
    inputs, kernel_size, stride=2, padding="VALID", data_format="NHWC", outputs_collections=None,
    scope=None,
):  # fmt: skip
    """The largest value of each window of inputs [n, h, w, c]."""
    return _pool("MaxPool2D", tf.nn.max_pool, **locals())


@add_arg_scope
def avg_pool2d(
    inputs, kernel_size, stride=2, padding="VALID", data_format="NHWC", outputs_collections=None,
    scope=None,
):  # fmt: skip
    """The mean of each window of inputs [n, h, w, c]."""
    return _pool("AvgPool2D", tf.nn.avg_pool, **locals())


def _pool(
    name, pool, inputs, kernel_size, stride, padding, data_format, outputs_collections, scope
):
    _only_nhwc(name, data_format)
    with tf.name_scope(scope, name, [inputs]) as full_name:
        kernel, strides = [1, *_pair(kernel_size), 1], [1, *_pair(stride), 1]
        outputs = pool(tf.convert_to_tensor(inputs), kernel, strides, padding.upper())
        return _collect(outputs, outputs_collections, full_name)


@add_arg_scope
def batch_norm(
    inputs, decay=0.999, center=True, scale=False, epsilon=0.001, activation_fn=None,
    param_initializers=None, param_regularizers=None, updates_collections=tf.GraphKeys.UPDATE_OPS,
    is_training=True, reuse=None, variables_collections=None, outputs_collections=None,
    trainable=True, batch_weights=None, fused=None, data_format="NHWC",
    zero_debias_moving_mean=False, scope=None, renorm=False, renorm_clipping=None,
    renorm_decay=0.99, adjustment=None,
):  # fmt: skip
    """Batch normalization (Ioffe and Szegedy, 2015) of inputs [..., c] over all axes but the last.

    `updates_collections` None updates the moving averages in place, whenever the outputs are
    computed while `is_training`, which may be a tensor. The moving variance takes the batch's
    unbiased variance if `fused` is None or True and inputs are [n, c] or [n, h, w, c].
    """
    _only_nhwc("batch_norm", data_format)
    refuse(
        "batch_norm",
        batch_weights=batch_weights,
        zero_debias_moving_mean=zero_debias_moving_mean,
        renorm=renorm,
        renorm_clipping=renorm_clipping,
        renorm_decay=None if renorm_decay == 0.99 else renorm_decay,
        adjustment=adjustment,
    )
    rank = inputs.shape.ndims
    fused = fused in (None, True) and rank in (2, 4)
    # The order in which the original makes its variables depends on how it computes.
    gamma_first = rank != 2 and updates_collections == tf.GraphKeys.UPDATE_OPS
    initializers, regularizers = param_initializers or {}, param_regularizers or {}
    with tf.variable_scope(scope, "BatchNorm", [inputs], reuse=reuse) as variable_scope:
        inputs = tf.convert_to_tensor(inputs)
        dtype = inputs.dtype.base_dtype
        dtype = tf.float32 if dtype in (tf.float16, tf.bfloat16) else dtype
        ones, zeros = tf.ones_initializer(), tf.zeros_initializer()
        channels = [int(inputs.shape[-1])]

        def variable(name, initializer, trained=trainable):
            make = _variables(dtype, trained, variables_collections)
            initializer = initializers.get(name, initializer)
            return make(name, channels, initializer, regularizers.get(name) if trained else None)

        gamma = beta = None
        if scale and gamma_first:
            gamma = variable("gamma", ones)
        if center:
            beta = variable("beta", zeros)
        if scale and not gamma_first:
            gamma = variable("gamma", ones)
        moving = variable("moving_mean", zeros, False), variable("moving_variance", ones, False)
        outputs = _normalize(
            inputs, gamma, beta, moving, decay, epsilon, fused, is_training, updates_collections
        )
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        return _collect(outputs, outputs_collections, variable_scope.name)


def _normalize(
    inputs, gamma, beta, moving, decay, epsilon, fused, is_training, updates_collections
):
    def of_batch():
        if fused:
            return _fused(inputs, gamma, beta, epsilon)
        mean, variance = tf.nn.moments(inputs, list(range(inputs.shape.ndims - 1)))
        outputs = tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, epsilon)
        return outputs, mean, variance

    def of_moving_averages():
        outputs = tf.nn.batch_normalization(inputs, *moving, beta, gamma, epsilon)
        return outputs, tf.identity(moving[0]), tf.identity(moving[1])

    outputs, mean, variance = _choose(is_training, of_batch, of_moving_averages)
    if _known(is_training) is False:
        return outputs
    # Where a tensor says that this is no training, mean and variance are the moving ones.
    updates = [
        tf.assign_sub(average, (average - value) * (1.0 - decay))
        for average, value in zip(moving, (mean, variance))
    ]
    if updates_collections is not None:
        for update in updates:
            tf.add_to_collections(updates_collections, update)
        return outputs
    with tf.control_dependencies(updates):
        return tf.identity(outputs)


def _fused(inputs, gamma, beta, epsilon):
    """(outputs, mean, unbiased variance) of inputs [n, c] or [n, h, w, c] by one operation."""
    channels = int(inputs.shape[-1])
    gamma = tf.ones([channels]) if gamma is None else gamma
    beta = tf.zeros([channels]) if beta is None else beta
    images = inputs if inputs.shape.ndims == 4 else tf.reshape(inputs, [-1, 1, 1, channels])
    outputs, mean, variance = tf.nn.fused_batch_norm(images, gamma, beta, epsilon=epsilon)
    if inputs.shape.ndims == 2:
        outputs = tf.reshape(outputs, tf.shape(inputs))
        outputs.set_shape(inputs.shape)
    return outputs, mean, variance


def _known(condition):
    """True or False, or None if only the running graph decides."""
    if isinstance(condition, (tf.Tensor, tf.Variable)):
        value = None if isinstance(condition, tf.Variable) else tf.get_static_value(condition)
        return None if value is None else bool(value)
    return bool(condition)


def _choose(condition, if_true, if_false):
    """What if_true() or if_false() returns; a tf.cond if only the running graph decides."""
    known = _known(condition)
    if known is None:
        return tf.cond(tf.cast(condition, tf.bool), if_true, if_false)
    return if_true() if known else if_false()


@add_arg_scope
def layer_norm(
    inputs, center=True, scale=True, activation_fn=None, reuse=None, variables_collections=None,
    outputs_collections=None, trainable=True, begin_norm_axis=1, begin_params_axis=-1, scope=None,
):  # fmt: skip
    """Each example normalized over its axes from `begin_norm_axis` on (Ba et al., 2016)."""
    with tf.variable_scope(scope, "LayerNorm", [inputs], reuse=reuse) as variable_scope:
        inputs = tf.convert_to_tensor(inputs)
        rank = inputs.shape.ndims
        if max(begin_params_axis, begin_norm_axis) >= rank:
            raise ValueError(
                f"begin_params_axis ({begin_params_axis}) and begin_norm_axis ({begin_norm_axis})"
                f" must be < rank(inputs) ({rank})"
            )
        variable = _variables(inputs.dtype.base_dtype, trainable, variables_collections)
        shape = inputs.shape.as_list()[begin_params_axis:]
        beta = variable("beta", shape, tf.zeros_initializer()) if center else None
        gamma = variable("gamma", shape, tf.ones_initializer()) if scale else None
        axes = list(range(begin_norm_axis % rank, rank))
        mean, variance = tf.nn.moments(inputs, axes, keep_dims=True)
        epsilon = 1e-3 if inputs.dtype.base_dtype == tf.float16 else 1e-12
        outputs = tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, epsilon)
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        return _collect(outputs, outputs_collections, variable_scope.name)


@add_arg_scope
def dropout(
    inputs, keep_prob=0.5, noise_shape=None, is_training=True, outputs_collections=None, scope=None,
    seed=None,
):  # fmt: skip
    """While `is_training`, keeps each value with probability `keep_prob`, scaled up by it."""
    with tf.variable_scope(scope, "Dropout", [inputs]) as variable_scope:
        inputs = tf.convert_to_tensor(inputs)
        outputs = _choose(
            is_training,
            lambda: tf.nn.dropout(inputs, noise_shape=noise_shape, seed=seed, rate=1 - keep_prob),
            lambda: tf.identity(inputs),
        )
        return _collect(outputs, outputs_collections, variable_scope.name)


@add_arg_scope
def flatten(inputs, outputs_collections=None, scope=None):
    """inputs [n, ...] -> [n, the product of the rest]."""
    with tf.name_scope(scope, "Flatten", [inputs]) as name:
        inputs = tf.convert_to_tensor(inputs)
        sizes = inputs.shape.as_list()
        if None in sizes[1:]:
            outputs = tf.reshape(inputs, tf.stack([tf.shape(inputs)[0], -1]))
        else:
            outputs = tf.reshape(inputs, [-1, _product(sizes[1:])])
            outputs.set_shape([sizes[0], None])
        return _collect(outputs, outputs_collections, name)


@add_arg_scope
def one_hot_encoding(
    labels, num_classes, on_value=1.0, off_value=0.0, outputs_collections=None, scope=None
):
    """labels [n] -> [n, num_classes]: `on_value` in the label's column, else `off_value`."""
    with tf.name_scope(scope, "OneHotEncoding", [labels, num_classes]) as name:
        labels = tf.convert_to_tensor(labels)
        if labels.dtype == tf.int32:
            labels = tf.cast(labels, tf.int64)
        outputs = tf.one_hot(labels, num_classes, on_value=on_value, off_value=off_value)
        return _collect(outputs, outputs_collections, name)


def repeat(inputs, repetitions, layer, *args, **kwargs):
    """layer(inputs, *args), `repetitions` times on top of each other, in scopes NAME_1, ..."""
    return _on_top(inputs, "Repeat", "repeat", layer, [args] * repetitions, kwargs)


def stack(inputs, layer, stack_args, **kwargs):
    """layer(inputs, arguments) on top of each other, for each of `stack_args`."""
    if not isinstance(stack_args, (list, tuple)):
        raise ValueError("stack_args need to be a list or tuple")
    each = [args if isinstance(args, (list, tuple)) else [args] for args in stack_args]
    return _on_top(inputs, "Stack", "stack", layer, each, kwargs)


def _on_top(inputs, default_scope, default_name, layer, arguments, keywords):
    scope = keywords.pop("scope", None)
    with tf.variable_scope(scope, default_scope, [inputs]):
        outputs = tf.convert_to_tensor(inputs)
        named = getattr(layer, "func", layer)
        name = scope or getattr(named, "__name__", default_name)
        for number, args in enumerate(arguments, 1):
            outputs = layer(outputs, *args, **dict(keywords, scope=f"{name}_{number}"))
        return outputs


OPTIMIZERS = {
    "Adagrad": tf.train.AdagradOptimizer,
    "Adam": tf.train.AdamOptimizer,
    "Ftrl": tf.train.FtrlOptimizer,
    "Momentum": lambda learning_rate: tf.train.MomentumOptimizer(learning_rate, momentum=0.9),
    "RMSProp": tf.train.RMSPropOptimizer,
    "SGD": tf.train.GradientDescentOptimizer,
}


def optimize_loss(
    loss, global_step, learning_rate, optimizer, gradient_noise_scale=None,
    gradient_multipliers=None, clip_gradients=None, learning_rate_decay_fn=None, update_ops=None,
    variables=None, name=None, summaries=None, colocate_gradients_with_ops=False,
    increment_global_step=True,
):  # fmt: skip
    """The loss, as a tensor that takes a training step and UPDATE_OPS when it is computed.

    `optimizer`: a name of OPTIMIZERS, an optimizer, its class, or a function of the learning rate.
    `clip_gradients`: the largest global norm, or a function of the list of (gradient, variable).
    """
    refuse(
        "optimize_loss",
        gradient_noise_scale=gradient_noise_scale,
        gradient_multipliers=gradient_multipliers,
        summaries=summaries,
    )
    global_step = tf.train.get_global_step() if global_step is None else global_step
    with tf.variable_scope(name, "OptimizeLoss", [loss, global_step]):
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS) if update_ops is None else update_ops
        with tf.control_dependencies(list(updates)):
            loss = tf.identity(loss)
        rate = learning_rate
        if isinstance(rate, float):
            initializer = tf.constant_initializer(rate)
            rate = tf.get_variable("learning_rate", [], initializer=initializer, trainable=False)
        if rate is not None and learning_rate_decay_fn is not None:
            rate = learning_rate_decay_fn(rate, global_step)
            tf.summary.scalar("learning_rate", rate)
        if not isinstance(optimizer, tf.train.Optimizer):
            make = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
            optimizer = make() if rate is None else make(rate)
        gradients = optimizer.compute_gradients(
            loss, variables, colocate_gradients_with_ops=colocate_gradients_with_ops
        )
        norm = tf.global_norm([gradient for gradient, _ in gradients])
        tf.summary.scalar("global_norm/gradient_norm", norm)
        if callable(clip_gradients):
            gradients = clip_gradients(gradients)
        elif clip_gradients is not None:
            values, trained = zip(*gradients)
            gradients = list(zip(tf.clip_by_global_norm(values, clip_gradients)[0], trained))
        tf.summary.scalar("loss", loss)
        if clip_gradients is not None:
            norm = tf.global_norm([gradient for gradient, _ in gradients])
            tf.summary.scalar("global_norm/clipped_gradient_norm", norm)
        step = global_step if increment_global_step else None
        with tf.control_dependencies([optimizer.apply_gradients(gradients, step, name="train")]):
            return tf.identity(loss)


def _weighted(default_scope, shape, multiply, arguments):
    """A layer multiply(inputs, weights), with biases or normalizer_fn and then activation_fn.

    `shape` makes the shape of the weights from the inputs; `arguments`: all of the layer, by name.
    """
    a = types.SimpleNamespace(**arguments)
    with tf.variable_scope(a.scope, default_scope, [a.inputs], reuse=a.reuse) as variable_scope:
        inputs = tf.convert_to_tensor(a.inputs)
        variable = _variables(inputs.dtype.base_dtype, a.trainable, a.variables_collections)
        weights = variable("weights", shape(inputs), a.weights_initializer, a.weights_regularizer)
        outputs = multiply(inputs, weights)
        if a.normalizer_fn is not None:
            outputs = a.normalizer_fn(outputs, **(a.normalizer_params or {}))
        elif a.biases_initializer is not None:
            biases = variable("biases", [a.num_outputs], a.biases_initializer, a.biases_regularizer)
            outputs = tf.nn.bias_add(outputs, biases)
        if a.activation_fn is not None:
            outputs = a.activation_fn(outputs)
        return _collect(outputs, a.outputs_collections, variable_scope.name)


def _variables(dtype, trainable, collections):
    """A function that makes a model variable, which joins the collections given for its name."""

    def variable(name, shape, initializer, regularizer=None):
        made = model_variable(name, shape, dtype, initializer, regularizer, trainable)
        joined = collections.get(name) if isinstance(collections, dict) else collections
        for collection in joined or ():
            if all(made is not member for member in tf.get_collection(collection)):
                tf.add_to_collection(collection, made)
        return made

    return variable


def _collect(outputs, collections, name):
    """`outputs`, which joins the collections under the alias `name`."""
    if collections:
        outputs.aliases = [*getattr(outputs, "aliases", ()), name.rstrip("/")]
        tf.add_to_collections(collections, outputs)
    return outputs


def _pair(size):
    return [size, size] if isinstance(size, int) else [int(length) for length in size]


def _product(sizes):
    product = 1
    for size in sizes:
        product *= size
    return product


def _only_nhwc(function, data_format):
    refuse(function, data_format=None if data_format == "NHWC" else data_format)
