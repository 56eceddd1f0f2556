"""From logits to a train step: losses, optimizers, learning-rate schedules."""

import collections
import math

from graph_mode import batch, layers
from graph_mode import tensorflow1 as tf

# Of one-cycle, as in PyTorch's OneCycleLR: the rate rises for this share of the batches, from the
# peak divided by the first, and falls to that start divided by the second.
RISING_SHARE, RISE, FALL = 0.3, 25.0, 1e4

StepScalars = collections.namedtuple("StepScalars", "loss learning_rate")
StepScalars.__doc__ = """What each training step returns, float32 scalars by name. A further scalar
is a field here and its value in train_step(); what the loop returns and train/ shows follows."""


def normalize(layer, position, training, flags):
    """Batch normalization of the layer, if the flags ask for it at this position: "before" the
    activation, as in Ioffe and Szegedy (2015), or "after" it."""
    if not flags.batch_norm or flags.batch_norm_position != position:
        return layer
    momentum, epsilon = flags.batch_norm_momentum, flags.batch_norm_epsilon
    return layers.batch_normalization(layer, -1, momentum, epsilon, training=training)


def example_losses(logits, labels, loss):
    """The loss of each example, [n], for logits [n, classes] and integer labels [n].

    sigmoid: the mean over the classes of the sigmoid cross-entropy against the one-hot label.
    softmax: the softmax cross-entropy, -log p[label].
    """
    with tf.name_scope("loss"):
        one_hot = tf.one_hot(labels, int(logits.shape[1]), dtype=logits.dtype)
        if loss == "softmax":
            return tf.nn.softmax_cross_entropy_with_logits_v2(labels=one_hot, logits=logits)
        cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=one_hot, logits=logits)
        return tf.reduce_mean(cross_entropy, axis=1)


def mean_loss(logits, labels, loss):
    """The mean over a batch of example_losses(); logits and labels are tensors or Batches."""
    losses = batch.slice_by_slice(lambda x, y: example_losses(x, y, loss), logits, labels)
    return tf.reduce_mean(batch.joined(losses))


def optimizer(name, learning_rate):
    """The optimizer `name`, one of flags.OPTIMIZERS, with TensorFlow 1's defaults; momentum 0.9."""
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


def learning_rate(flags, step):
    """The rate of the batch number `step`, an int64 scalar from 0 on; a float if it is constant.

    cosine: half a cosine from the given rate to 0 over all batches (Loshchilov and Hutter 2017,
    without restarts). one-cycle: half a cosine up to the given rate, then one down to almost 0
    (Smith and Topin 2018, without its cycle of the momentum).
    """
    if flags.schedule == "constant":
        return flags.learning_rate

    def between(start, end, share):
        return end + (start - end) * (1 + tf.cos(math.pi * share)) / 2

    peak = flags.learning_rate
    done = tf.cast(step, tf.float32) / flags.num_batches
    if flags.schedule == "cosine":
        return between(peak, 0.0, done)
    rising = between(peak / RISE, peak, done / RISING_SHARE)
    falling = between(peak, peak / RISE / FALL, (done - RISING_SHARE) / (1 - RISING_SHARE))
    return tf.where(done < RISING_SHARE, rising, falling)


def train_step(loss, penalties, updates, flags, gradients=None):
    """One update of every trainable variable; returns the StepScalars before it.

    loss: scalar, of the batch. penalties: scalars that are minimized besides, as those of
    regularizers. updates: operations that belong to the step, as those of moving averages.
    gradients: (gradient of the loss, variable) pairs, by default those of tf.gradients.

    The scalars are there only after the update and the moving averages are: whoever waits for them
    waits for the whole step.
    """
    global_step = tf.train.get_or_create_global_step()
    rate = learning_rate(flags, global_step.read_value())
    update_rule = optimizer(flags.optimizer, rate)
    if gradients is None:
        gradients = update_rule.compute_gradients(tf.add_n([loss] + list(penalties)))
    elif penalties:
        raise ValueError("gradients made by hand leave out the regularizers: use none of them")
    minimize = update_rule.apply_gradients(gradients, global_step)
    with tf.control_dependencies([minimize] + list(updates)):
        return StepScalars(loss=_float32(loss), learning_rate=_float32(rate))


def _float32(value):
    return tf.identity(tf.cast(value, tf.float32))
