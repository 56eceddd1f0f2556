"""Stands for tf.contrib.metrics: those of tf.metrics, with the predictions before the labels."""

from graph_mode import tensorflow1 as tf
from graph_mode.tf1.slim_losses import swapped

confusion_matrix = tf.confusion_matrix


def __getattr__(name):
    """streaming_NAME is tf.metrics.NAME."""
    found = getattr(tf.metrics, name[len("streaming_") :], None)
    if not name.startswith("streaming_") or found is None:
        raise AttributeError(name)
    return swapped(found)


def accuracy(predictions, labels, weights=1.0, name=None):
    """The part of predictions [n] that are their labels, as a tensor without a variable."""
    is_right = tf.cast(tf.equal(predictions, labels), tf.float32)
    weights = weights + tf.zeros_like(is_right)
    return tf.div(tf.reduce_sum(is_right * weights), tf.reduce_sum(weights), name=name)


def aggregate_metrics(*value_update_tuples):
    return tuple(map(list, zip(*value_update_tuples)))


def aggregate_metric_map(names_to_tuples):
    return tuple(dict(zip(names_to_tuples, each)) for each in zip(*names_to_tuples.values()))
