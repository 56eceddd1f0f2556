"""Stands for slim.losses: tf.losses with the arguments in the other order."""

from graph_mode import tensorflow1 as tf


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


def compute_weighted_loss(losses, weights=1.0, scope=None):
    return tf.losses.compute_weighted_loss(losses, weights, scope)


def add_loss(loss, loss_collection=tf.GraphKeys.LOSSES):
    tf.losses.add_loss(loss, loss_collection)


def get_losses(scope=None, loss_collection=tf.GraphKeys.LOSSES):
    return tf.losses.get_losses(scope, loss_collection)


def get_regularization_losses(scope=None):
    return tf.losses.get_regularization_losses(scope)


def get_total_loss(add_regularization_losses=True, name="total_loss"):
    return tf.losses.get_total_loss(add_regularization_losses, name)
