"""The backward pass of a fully connected network, by hand: what tf.gradients would find. Every line
is a result of docs/gradients.md; an example is a row, `d_name` the mean loss's gradient by `name`.
"""

from graph_mode import tensorflow1 as tf


def backward(forward, labels, flags):
    """(gradient, variable) pairs of the mean loss, for every trainable variable.

    forward: the layers.Layer list of the training pass: perhaps flatten, then dense layers with or
    without batch normalization, an activation after each but the last. labels: integers [n].
    """
    derivative = ACTIVATIONS[flags.activation]
    probabilities, count = LOSSES[flags.loss]
    logits = forward[-1].outputs
    one_hot = tf.one_hot(labels, int(logits.shape[1]), dtype=logits.dtype)
    d_outputs = (probabilities(logits) - one_hot) / tf.cast(count(logits), logits.dtype)
    pairs = []
    forward = [layer for layer in forward if layer.kind in ("dense", "batch_normalization")]
    for i, layer in reversed(list(enumerate(forward))):
        if layer.kind == "batch_normalization":
            d_outputs, gradients = batch_normalization(layer, d_outputs, flags.batch_norm_epsilon)
        else:
            gradients = dense(layer, d_outputs)
            if i > 0:  # What goes in came out of the activation before.
                d_inputs = tf.matmul(d_outputs, layer.variables["kernel"], transpose_b=True)
                d_outputs = d_inputs * derivative(layer.inputs)
        pairs += [(gradients[name], variable) for name, variable in layer.variables.items()]
    gradients, variables = zip(*pairs)
    # The backward pass reads the variables again, so no update begins before every gradient is
    # there.
    return list(zip(tf.tuple(gradients), variables))


def dense(layer, d_outputs):
    """d_kernel [inputs, units] and d_bias [units] of inputs . kernel + bias."""
    return {
        "kernel": tf.matmul(layer.inputs, d_outputs, transpose_a=True),
        "bias": tf.reduce_sum(d_outputs, axis=0),
    }


def batch_normalization(layer, d_outputs, epsilon):
    """d_inputs [..., units], and d_gamma and d_beta [units], by the closed form. An image layer
    normalizes each channel over the batch, the height and the width alike."""
    axes = list(range(len(layer.inputs.shape) - 1))
    centered = layer.inputs - tf.reduce_mean(layer.inputs, axes)
    std = tf.sqrt(tf.reduce_mean(tf.square(centered), axes) + epsilon)
    xhat = centered / std
    projection = tf.reduce_mean(d_outputs * xhat, axes)
    d_inputs = d_outputs - tf.reduce_mean(d_outputs, axes) - xhat * projection
    return layer.variables["gamma"] / std * d_inputs, {
        "gamma": tf.reduce_sum(d_outputs * xhat, axes),
        "beta": tf.reduce_sum(d_outputs, axes),
    }


# p and the number of losses by which p - y is divided: their mean is taken over the examples, for
# the sigmoid over the classes too.
LOSSES = {
    "softmax": (lambda logits: tf.nn.softmax(logits), lambda logits: tf.shape(logits)[0]),
    "sigmoid": (lambda logits: tf.sigmoid(logits), lambda logits: tf.size(logits)),
}
# The derivative of each activation from its outputs; of relu as TensorFlow has it, 0 at 0.
ACTIVATIONS = {
    "relu": lambda outputs: tf.cast(outputs > 0, outputs.dtype),
    "sigmoid": lambda outputs: outputs * (1 - outputs),
    "tanh": lambda outputs: 1 - tf.square(outputs),
}
