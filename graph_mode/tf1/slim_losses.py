"""Stands for slim.losses: tf.losses with the first two arguments in the other order."""

import inspect

from graph_mode import tensorflow1 as tf


def _swapped(loss):
    labels, predictions, *rest = inspect.signature(loss).parameters

    def swapped(*arguments, **keywords):
        return loss(**dict(zip((predictions, labels, *rest), arguments), **keywords))

    return swapped


absolute_difference = _swapped(tf.losses.absolute_difference)
log_loss = _swapped(tf.losses.log_loss)
mean_squared_error = _swapped(tf.losses.mean_squared_error)
sigmoid_cross_entropy = _swapped(tf.losses.sigmoid_cross_entropy)
softmax_cross_entropy = _swapped(tf.losses.softmax_cross_entropy)
sparse_softmax_cross_entropy = _swapped(tf.losses.sparse_softmax_cross_entropy)

add_loss = tf.losses.add_loss
compute_weighted_loss = tf.losses.compute_weighted_loss
get_losses = tf.losses.get_losses
get_regularization_losses = tf.losses.get_regularization_losses
get_total_loss = tf.losses.get_total_loss
