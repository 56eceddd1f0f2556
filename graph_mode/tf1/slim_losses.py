"""Stands for slim.losses: tf.losses with the arguments in the other order."""

from graph_mode import tensorflow1 as tf

add_loss = tf.losses.add_loss
compute_weighted_loss = tf.losses.compute_weighted_loss
get_losses = tf.losses.get_losses
get_regularization_losses = tf.losses.get_regularization_losses
get_total_loss = tf.losses.get_total_loss


def absolute_difference(predictions, labels=None, weights=1.0, scope=None):
    return tf.losses.absolute_difference(labels, predictions, weights, scope)


def sigmoid_cross_entropy(logits, multi_class_labels, weights=1.0, label_smoothing=0, scope=None):
    return tf.losses.sigmoid_cross_entropy(
        multi_class_labels, logits, weights, label_smoothing, scope
    )


def softmax_cross_entropy(logits, onehot_labels, weights=1.0, label_smoothing=0, scope=None):
    return tf.losses.softmax_cross_entropy(onehot_labels, logits, weights, label_smoothing, scope)


def sparse_softmax_cross_entropy(logits, labels, weights=1.0, scope=None):
    return tf.losses.sparse_softmax_cross_entropy(labels, logits, weights, scope)


def log_loss(predictions, labels=None, weights=1.0, epsilon=1e-7, scope=None):
    return tf.losses.log_loss(labels, predictions, weights, epsilon, scope)


def mean_squared_error(predictions, labels=None, weights=1.0, scope=None):
    return tf.losses.mean_squared_error(labels, predictions, weights, scope)
