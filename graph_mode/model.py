"""From logits to a train step: losses, optimizers, learning-rate schedules."""

import math

from graph_mode import batch
from graph_mode import tensorflow1 as tf

LOSSES = ("sigmoid", "softmax")
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "rmsprop", "adagrad", "adadelta", "ftrl")

SCHEDULES = ("constant", "cosine", "one-cycle")
# Of one-cycle, as in PyTorch's OneCycleLR: the rate rises for this share of the batches, from the
# peak divided by the first, and falls to that start divided by the second.
RISING_SHARE, RISE, FALL = 0.3, 25.0, 1e4


def example_losses(logits, labels, loss):
    """The loss of each example, [n], for logits [n, classes] and integer labels [n].

    sigmoid: the mean over the classes of the sigmoid cross-entropy against the one-hot label, as
    first published. softmax: the softmax cross-entropy, -log p[label].
    """
    with tf.name_scope("loss"):
        one_hot = tf.one_hot(labels, int(logits.shape[1]), dtype=logits.dtype)
        if loss == "softmax":
            return tf.nn.softmax_cross_entropy_with_logits_v2(labels=one_hot, logits=logits)
        cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=one_hot, logits=logits)
        return tf.reduce_mean(cross_entropy, axis=1)


def optimizer(name, learning_rate):
    """The optimizer `name`, one of OPTIMIZERS, with TensorFlow 1's defaults; momentum is 0.9."""
    return {
        "sgd": lambda: tf.train.GradientDescentOptimizer(learning_rate),
        "momentum": lambda: tf.train.MomentumOptimizer(learning_rate, 0.9),
        "nesterov": lambda: tf.train.MomentumOptimizer(learning_rate, 0.9, use_nesterov=True),
        "adam": lambda: tf.train.AdamOptimizer(learning_rate),
        "rmsprop": lambda: tf.train.RMSPropOptimizer(learning_rate),
        "adagrad": lambda: tf.train.AdagradOptimizer(learning_rate),
        "adadelta": lambda: tf.train.AdadeltaOptimizer(learning_rate),
        "ftrl": lambda: tf.train.FtrlOptimizer(learning_rate),
    }[name]()


def learning_rate(options, step):
    """The rate of the batch number `step`, an int64 scalar from 0 on; a float if it is constant.

    cosine: half a cosine from the given rate to 0 over all batches (Loshchilov and Hutter 2017,
    without restarts). one-cycle: half a cosine up to the given rate, then one down to almost 0
    (Smith and Topin 2018, without its cycle of the momentum).
    """
    if options.schedule == "constant":
        return options.learning_rate

    def between(start, end, share):
        return end + (start - end) * (1 + tf.cos(math.pi * share)) / 2

    peak = options.learning_rate
    done = tf.cast(step, tf.float32) / options.num_batches
    if options.schedule == "cosine":
        return between(peak, 0.0, done)
    rising = between(peak / RISE, peak, done / RISING_SHARE)
    falling = between(peak, peak / RISE / FALL, (done - RISING_SHARE) / (1 - RISING_SHARE))
    return tf.where(done < RISING_SHARE, rising, falling)


def train_step(logits, labels, options, gradients=None):
    """One update of every trainable variable; returns the scalar loss before it.

    logits, labels: of the batch, or of its parts.
    gradients: (gradient of the loss, variable) pairs, by default those of tf.gradients.

    The loss is there only after the update and the moving averages are: whoever waits for it, waits
    for the whole step.
    """
    losses = batch.apply(lambda x, y: example_losses(x, y, options.loss), logits, labels)
    loss = tf.reduce_mean(batch.joined(losses))
    moving_averages = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    global_step = tf.train.get_or_create_global_step()
    update_rule = optimizer(options.optimizer, learning_rate(options, global_step.read_value()))
    if gradients is None:
        gradients = update_rule.compute_gradients(loss)
    minimize = update_rule.apply_gradients(gradients, global_step)
    with tf.control_dependencies([minimize] + moving_averages):
        return tf.identity(loss)
