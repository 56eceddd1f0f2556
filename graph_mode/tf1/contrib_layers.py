"""Stands for tf.contrib.layers: layers with its names, and its initializers and regularizers.

They rest on tf.layers. Their variables are called weights and biases, and hidden layers end in ReLU
by default.
"""

import contextlib
import functools

from graph_mode import tensorflow1 as tf
from graph_mode.tf1 import seeds
from graph_mode.tf1.framework import add_arg_scope, model_variable
from graph_mode.tf1.missing import refuse

# What contrib calls the variables of tf.layers.
VARIABLES = {"kernel": "weights", "bias": "biases"}
# A normal distribution that is cut off at two deviations has less variance: contrib multiplies by
# 1.3, TensorFlow divides by this squared.
CUT_OFF_DEVIATION = 0.87962566103423978


def variance_scaling_initializer(
    factor=2.0, mode="FAN_IN", uniform=False, seed=None, dtype=tf.float32
):
    """Random values of variance factor / n, where n is the fan-in, the fan-out or their mean."""
    distribution = "uniform" if uniform else "truncated_normal"
    scale = factor if uniform else 1.3 * factor * CUT_OFF_DEVIATION**2
    return tf.initializers.variance_scaling(scale, mode.lower(), distribution, seed, dtype)


def xavier_initializer(uniform=True, seed=None, dtype=tf.float32):
    """Glorot and Bengio (2010): variance 2 / (fan-in + fan-out)."""
    return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


xavier_initializer_conv2d = xavier_initializer

XAVIER = xavier_initializer()
ZEROS = tf.zeros_initializer()


def l1_regularizer(scale, scope=None):
    """A function from weights to scale * sum(|weights|)."""
    return _regularizer(scope or "l1_regularizer", scale, lambda w: tf.reduce_sum(tf.abs(w)))


def l2_regularizer(scale, scope=None):
    """A function from weights to scale * sum(weights ** 2) / 2."""
    return _regularizer(scope or "l2_regularizer", scale, tf.nn.l2_loss)


def _regularizer(name, scale, penalty):
    def regularizer(weights):
        if scale == 0:
            return None
        with tf.name_scope(name, values=[weights]) as full_name:
            factor = tf.convert_to_tensor(scale, weights.dtype.base_dtype, name="scale")
            return tf.multiply(factor, penalty(weights), name=full_name)

    return regularizer


def sum_regularizer(regularizer_list, scope=None):
    """A function from weights to the sum of the penalties; None if there are none."""
    regularizers = [each for each in regularizer_list if each is not None]

    def regularizer(weights):
        penalties = [each(weights) for each in regularizers]
        penalties = [penalty for penalty in penalties if penalty is not None]
        return tf.add_n(penalties, name=scope or "sum_regularizer") if penalties else None

    return regularizer if regularizers else None


def apply_regularization(regularizer, weights_list=None):
    """The sum of the penalties of the weights, which joins REGULARIZATION_LOSSES."""
    weights_list = weights_list or tf.get_collection(tf.GraphKeys.WEIGHTS)
    with tf.name_scope("get_regularization_penalty", values=weights_list) as scope:
        penalties = [regularizer(weights) for weights in weights_list]
        penalties = [tf.constant(0.0) if p is None else p for p in penalties]
        total = tf.add_n(penalties, name=scope)
        tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, total)
        return total


def _weighted(
    default_scope, make, inputs, activation_fn=tf.nn.relu, normalizer_fn=None,
    normalizer_params=None, weights_initializer=XAVIER, weights_regularizer=None,
    biases_initializer=ZEROS, biases_regularizer=None, reuse=None, variables_collections=None,
    outputs_collections=None, trainable=True, scope=None,
):  # fmt: skip
    """The layer that `make` makes; normalizer_fn, in place of biases; and activation_fn."""
    with tf.variable_scope(
        scope, default_scope, [inputs], reuse=reuse, custom_getter=_model_variable
    ) as variable_scope:
        layer = make(
            use_bias=normalizer_fn is None and biases_initializer is not None,
            kernel_initializer=weights_initializer,
            kernel_regularizer=weights_regularizer,
            bias_initializer=biases_initializer,
            bias_regularizer=biases_regularizer,
            trainable=trainable,
            name=variable_scope.name,
            _scope=variable_scope,
            _reuse=reuse,
        )
        outputs = layer(tf.convert_to_tensor(inputs))
        _join(variables_collections, weights=layer.kernel, biases=layer.bias)
        if normalizer_fn is not None:
            outputs = normalizer_fn(outputs, **(normalizer_params or {}))
        return _collect(outputs, outputs_collections, variable_scope.name, activation_fn)


# After what is named, the three take the arguments of _weighted from activation_fn on.
@add_arg_scope
def fully_connected(inputs, num_outputs, *more, **keywords):
    """inputs [..., m] -> activation_fn(inputs . weights + biases), [..., num_outputs]."""
    make = functools.partial(tf.layers.Dense, num_outputs)
    return _weighted("fully_connected", make, inputs, *more, **keywords)


linear = functools.partial(fully_connected, activation_fn=None)
relu = functools.partial(fully_connected, activation_fn=tf.nn.relu)


@add_arg_scope
def conv2d(
    inputs, num_outputs, kernel_size, stride=1, padding="SAME", data_format=None, rate=1, *more,
    **keywords
):  # fmt: skip
    """inputs [n, h, w, c] -> [n, h', w', num_outputs]; `rate` dilates the kernel."""
    _only_nhwc("conv2d", data_format)
    make = functools.partial(
        tf.layers.Conv2D, num_outputs, kernel_size, stride, padding, dilation_rate=rate
    )
    return _weighted("Conv", make, inputs, *more, **keywords)


@add_arg_scope
def conv2d_transpose(
    inputs, num_outputs, kernel_size, stride=1, padding="SAME", data_format="NHWC", *more,
    **keywords
):  # fmt: skip
    """inputs [n, h, w, c] -> [n, h * stride, w * stride, num_outputs], longer if not SAME."""
    _only_nhwc("conv2d_transpose", data_format)
    make = functools.partial(tf.layers.Conv2DTranspose, num_outputs, kernel_size, stride, padding)
    return _weighted("Conv2d_transpose", make, inputs, *more, **keywords)


convolution2d = conv2d
convolution2d_transpose = conv2d_transpose


def _pooling(name, layer):
    @add_arg_scope
    def pool(
        inputs, kernel_size, stride=2, padding="VALID", data_format="NHWC",
        outputs_collections=None, scope=None,
    ):  # fmt: skip
        _only_nhwc(name, data_format)
        with tf.name_scope(scope, name, [inputs]) as full_name:
            make = getattr(tf.layers, layer)
            pooled = make(kernel_size, stride, padding, _scope=full_name)
            outputs = pooled(tf.convert_to_tensor(inputs))
            return _collect(outputs, outputs_collections, full_name)

    return pool


max_pool2d = _pooling("MaxPool2D", "MaxPooling2D")
avg_pool2d = _pooling("AvgPool2D", "AveragePooling2D")


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
        "batch_norm", batch_weights=batch_weights, zero_debias_moving_mean=zero_debias_moving_mean
    )
    inputs = tf.convert_to_tensor(inputs)
    rank, channels = inputs.shape.ndims, inputs.shape.as_list()[-1]
    fused = fused in (None, True) and not renorm and rank in (2, 4)
    # Where the original does not use tf.layers either, it makes beta first, and updates the moving
    # averages of what is not trainable, too.
    is_layer = updates_collections == tf.GraphKeys.UPDATE_OPS and not (fused and rank == 2)
    own = {f"{name}_initializer": made for name, made in (param_initializers or {}).items()}
    own.update({f"{name}_regularizer": made for name, made in (param_regularizers or {}).items()})
    getter = functools.partial(_model_variable, are_trainable=trainable)
    with tf.variable_scope(
        scope, "BatchNorm", [inputs], reuse=reuse, custom_getter=getter
    ) as variable_scope:
        layer = tf.layers.BatchNormalization(
            momentum=decay, epsilon=epsilon, center=center, scale=scale, fused=fused,
            renorm=renorm, renorm_clipping=renorm_clipping, renorm_momentum=renorm_decay,
            adjustment=adjustment, trainable=trainable or not is_layer, name=variable_scope.name,
            _scope=variable_scope, _reuse=reuse if is_layer else tf.AUTO_REUSE, **own,
        )  # fmt: skip
        if center and not is_layer:
            dtype = tf.float32 if inputs.dtype.size == 2 else inputs.dtype.base_dtype
            initializer, regularizer = layer.beta_initializer, layer.beta_regularizer
            tf.get_variable("beta", [channels], dtype, initializer, regularizer)
        with _updates_into(updates_collections) as updates:
            # The fused operation takes images only.
            images = tf.reshape(inputs, [-1, 1, 1, channels]) if fused and rank == 2 else inputs
            outputs = layer(images, training=is_training)
        _join(
            variables_collections, beta=layer.beta, gamma=layer.gamma,
            moving_mean=layer.moving_mean, moving_variance=layer.moving_variance,
        )  # fmt: skip
        if images is not inputs:
            outputs = tf.reshape(outputs, tf.shape(inputs))
            outputs.set_shape(inputs.shape)
        if updates_collections is None:
            with tf.control_dependencies(updates):
                outputs = tf.identity(outputs)
        seeds.add(0 if is_layer else -3)
        return _collect(outputs, outputs_collections, variable_scope.name, activation_fn)


@contextlib.contextmanager
def _updates_into(collections):
    """What joins UPDATE_OPS in the block joins `collections` in its place, and the list given."""
    joined = tf.get_collection_ref(tf.GraphKeys.UPDATE_OPS)
    before, updates = len(joined), []
    yield updates
    updates += joined[before:]
    del joined[before:]
    for update in updates:
        tf.add_to_collections(collections or (), update)


@add_arg_scope
def layer_norm(
    inputs, center=True, scale=True, activation_fn=None, reuse=None, variables_collections=None,
    outputs_collections=None, trainable=True, begin_norm_axis=1, begin_params_axis=-1, scope=None,
):  # fmt: skip
    """Each example normalized over its axes from `begin_norm_axis` on (Ba et al., 2016)."""
    getter = functools.partial(_model_variable, are_trainable=trainable)
    with tf.variable_scope(
        scope, "LayerNorm", [inputs], reuse=reuse, custom_getter=getter
    ) as variable_scope:
        inputs = tf.convert_to_tensor(inputs)
        rank, dtype = inputs.shape.ndims, inputs.dtype.base_dtype
        shape = inputs.shape.as_list()[begin_params_axis:]
        beta = tf.get_variable("beta", shape, dtype, ZEROS) if center else None
        gamma = tf.get_variable("gamma", shape, dtype, tf.ones_initializer()) if scale else None
        _join(variables_collections, beta=beta, gamma=gamma)
        axes = list(range(begin_norm_axis % rank, rank))
        mean, variance = tf.nn.moments(inputs, axes, keep_dims=True)
        epsilon = 1e-3 if dtype == tf.float16 else 1e-12
        outputs = tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, epsilon)
        return _collect(outputs, outputs_collections, variable_scope.name, activation_fn)


@add_arg_scope
def dropout(
    inputs, keep_prob=0.5, noise_shape=None, is_training=True, outputs_collections=None, scope=None,
    seed=None,
):  # fmt: skip
    """While `is_training`, keeps each value with probability `keep_prob`, scaled up by it."""
    with tf.variable_scope(scope, "Dropout", [inputs]) as variable_scope:
        name = variable_scope.name
        layer = tf.layers.Dropout(1 - keep_prob, noise_shape, seed, name, _scope=variable_scope)
        outputs = layer(tf.convert_to_tensor(inputs), training=is_training)
        return _collect(outputs, outputs_collections, name)


@add_arg_scope
def flatten(inputs, outputs_collections=None, scope=None):
    """inputs [n, ...] -> [n, the product of the rest]."""
    with tf.name_scope(scope, "Flatten", [inputs]) as name:
        outputs = tf.layers.flatten(tf.convert_to_tensor(inputs))
        return _collect(outputs, outputs_collections, name)


@add_arg_scope
def one_hot_encoding(
    labels, num_classes, on_value=1.0, off_value=0.0, outputs_collections=None, scope=None
):
    """labels [n] -> [n, num_classes]: `on_value` in the label's column, else `off_value`."""
    with tf.name_scope(scope, "OneHotEncoding", [labels, num_classes]) as name:
        outputs = tf.one_hot(labels, num_classes, on_value=on_value, off_value=off_value)
        return _collect(outputs, outputs_collections, name)


def embed_sequence(
    ids, vocab_size=None, embed_dim=None, unique=False, initializer=None, regularizer=None,
    trainable=True, scope=None, reuse=None,
):  # fmt: skip
    """ids [n, t] -> [n, t, embed_dim], by a variable of `vocab_size` rows."""
    with tf.variable_scope(scope, "EmbedSequence", [ids], reuse=reuse):
        shape = None if reuse and None in (vocab_size, embed_dim) else [vocab_size, embed_dim]
        embeddings = model_variable(
            "embeddings", shape, None, initializer, regularizer, trainable=trainable
        )
        return tf.nn.embedding_lookup(embeddings, ids)


def repeat(inputs, repetitions, layer, *args, **kwargs):
    """layer(inputs, *args), `repetitions` times on top of each other, in scopes NAME_1, ..."""
    return _on_top(inputs, "Repeat", layer, [args] * repetitions, kwargs)


def stack(inputs, layer, stack_args, **kwargs):
    """layer(inputs, arguments) on top of each other, for each of `stack_args`."""
    each = [args if isinstance(args, (list, tuple)) else [args] for args in stack_args]
    return _on_top(inputs, "Stack", layer, each, kwargs)


def _on_top(inputs, default_scope, layer, arguments, keywords):
    scope = keywords.pop("scope", None)
    with tf.variable_scope(scope, default_scope, [inputs]):
        outputs = tf.convert_to_tensor(inputs)
        name = scope or getattr(layer, "func", layer).__name__
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


def after_updates(loss, update_ops=None):
    """The loss, computed after `update_ops`, by default those of UPDATE_OPS."""
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS) if update_ops is None else update_ops
    with tf.control_dependencies(list(updates)):
        return tf.identity(loss)


def optimize_loss(
    loss, global_step, learning_rate, optimizer, clip_gradients=None, learning_rate_decay_fn=None,
    update_ops=None, variables=None, name=None, colocate_gradients_with_ops=False,
    increment_global_step=True, **refused
):  # fmt: skip
    """The loss, as a tensor that takes a training step and UPDATE_OPS when it is computed.

    `optimizer`: a name of OPTIMIZERS, an optimizer, its class, or a function of the learning rate.
    `clip_gradients`: the largest global norm, or a function of the list of (gradient, variable).
    """
    refuse("optimize_loss", **refused)
    global_step = tf.train.get_global_step() if global_step is None else global_step
    with tf.variable_scope(name, "OptimizeLoss", [loss, global_step]):
        loss = after_updates(loss, update_ops)
        rate = learning_rate
        if isinstance(rate, float):
            initializer = tf.constant_initializer(rate)
            rate = tf.get_variable("learning_rate", [], initializer=initializer, trainable=False)
        if rate is not None and learning_rate_decay_fn is not None:
            rate = learning_rate_decay_fn(rate, global_step)
        if not isinstance(optimizer, tf.train.Optimizer):
            make = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
            optimizer = make() if rate is None else make(rate)
        gradients = optimizer.compute_gradients(
            loss, variables, colocate_gradients_with_ops=colocate_gradients_with_ops
        )
        if callable(clip_gradients):
            gradients = clip_gradients(gradients)
        elif clip_gradients is not None:
            values, trained = zip(*gradients)
            gradients = list(zip(tf.clip_by_global_norm(values, clip_gradients)[0], trained))
        tf.summary.scalar("loss", loss)
        step = global_step if increment_global_step else None
        with tf.control_dependencies([optimizer.apply_gradients(gradients, step, name="train")]):
            return tf.identity(loss)


def _model_variable(getter, name, trainable, are_trainable=True, **keywords):
    """A custom getter: the variable is a model variable, with the name that contrib gives it."""
    scope, _, own = name.rpartition("/")
    for unknown in ("reuse", "validate_shape", "constraint"):
        keywords.pop(unknown, None)
    trainable = trainable and are_trainable
    name = f"{scope}/{VARIABLES.get(own, own)}"
    return model_variable(name, trainable=trainable, custom_getter=getter, **keywords)


def _join(collections, **variables):
    """The variables join `collections`: a list for all, or a dict of lists by their names."""
    for name, variable in variables.items():
        joined = collections.get(name) if isinstance(collections, dict) else collections
        for collection in (joined or ()) if variable is not None else ():
            if all(variable is not member for member in tf.get_collection(collection)):
                tf.add_to_collection(collection, variable)


def _collect(outputs, collections, name, activation_fn=None):
    """activation_fn(outputs), which joins the collections under the alias `name`."""
    outputs = outputs if activation_fn is None else activation_fn(outputs)
    if collections:
        outputs.aliases = [*getattr(outputs, "aliases", ()), name.rstrip("/")]
        tf.add_to_collections(collections, outputs)
    return outputs


def _only_nhwc(function, data_format):
    refuse(function, data_format=None if data_format == "NHWC" else data_format)
