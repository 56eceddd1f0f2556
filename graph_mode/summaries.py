"""What TensorBoard shows besides the scalars: graph, settings, HParams, histograms, images."""

import sys
import time

from tensorboard.compat.proto.summary_pb2 import Summary

from graph_mode import evaluation, model, pictures, start
from graph_mode import tensorflow1 as tf

# TensorBoard's plugins import TensorFlow themselves: here, once it has been loaded quietly.


def add_start(writer, settings, graph):
    """Adds the graph, the settings as text and hyperparameters, and the custom scalars' layout."""
    from tensorboard.plugins.custom_scalar import layout_pb2
    from tensorboard.plugins.custom_scalar import summary as custom_scalar
    from tensorboard.plugins.hparams import summary as hparams
    from tensorboard.plugins.text import summary as text

    writer.add_event(graph_def=graph.as_graph_def().SerializeToString())
    _add(writer, 0, text.pb("settings", _settings_table(settings)))
    layout = layout_pb2.Layout(
        category=[
            layout_pb2.Category(
                title="Training and validation",
                chart=[
                    layout_pb2.Chart(
                        title=title, multiline=layout_pb2.MultilineChartContent(tag=[f"^{tag}$"])
                    )
                    for title, tag in (("Loss", "loss"), ("Accuracy", "accuracy"))
                ],
            )
        ]
    )
    _add(writer, 0, custom_scalar.pb(layout))
    hyperparameters = {"network": settings["network"]}
    hyperparameters.update(
        {name: _hyperparameter(value) for name, value in settings["flags"].items()}
    )
    _add(writer, 0, hparams.session_start_pb(hyperparameters))


def add_end(writer, step, images, labels, logits):
    """Adds the confusion matrix, the worst misclassified images, and that the run is complete."""
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams import summary as hparams

    _add_pictures(writer, step, images, labels, logits)
    _add(writer, step, hparams.session_end_pb(api_pb2.STATUS_SUCCESS, time.time()))


def _add_pictures(writer, step, images, labels, logits):
    """Adds the pictures of the mistakes, or says why there are none: they are not worth a run."""
    try:
        table = pictures.confusion_matrix(logits.argmax(axis=1), labels, logits.shape[1])
        worst = pictures.misclassified(images, labels, logits)
    except (ImportError, OSError) as error:
        sys.stderr.write(
            start.line(f"note: no pictures ({error}): run pip install -r requirements.txt")
        )
        return
    add_image(writer, step, "confusion_matrix", table)
    if worst is not None:
        add_image(writer, step, "misclassified", worst)


def add_image(writer, step, tag, png):
    """Adds a PNG image, given as bytes."""
    image = Summary.Image(encoded_image_string=png, colorspace=4)
    _add(writer, step, Summary(value=[Summary.Value(tag=tag, image=image)]))


def build_histograms(network, data_set, options):
    """Weights, activations and gradients of each layer on a training batch, as one summary op.

    Returns (images, labels, op): two placeholders, and the op that gives the serialized summary.
    """
    activations = tf.get_collection_ref(tf.GraphKeys.ACTIVATIONS)
    before = len(activations)
    with tf.name_scope("histograms"):
        images = tf.placeholder(tf.uint8, [None] + list(data_set.image_shape))
        labels = tf.placeholder(tf.uint8, [None])
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
            logits = network(evaluation.scale(images), True, data_set.num_classes, options)
        loss = tf.reduce_mean(model.example_losses(logits, labels, options.loss))
        variables = tf.trainable_variables()
        values = {f"weights/{variable.op.name}": variable for variable in variables}
        for variable, gradient in zip(variables, tf.gradients(loss, variables)):
            values[f"gradients/{variable.op.name}"] = gradient
        for number, activation in enumerate(activations[before:], 1):
            values[f"activations/layer_{number}"] = activation
        values["activations/logits"] = logits
        # Not tf.summary.histogram, which would name the tags after the scope.
        each = [tf.raw_ops.HistogramSummary(tag=tag, values=v) for tag, v in values.items()]
        return images, labels, tf.summary.merge(each)


def add_serialized(writer, step, summary):
    """Adds the summary that a summary op gave."""
    _add(writer, step, Summary.FromString(summary))


def _add(writer, step, summary):
    # TensorFlow's and TensorBoard's protos are the same on the wire, but not the same class.
    writer.add_event(step=step, summary=Summary.FromString(summary.SerializeToString()))


def _hyperparameter(value):
    """HParams knows booleans, numbers and strings."""
    return value if isinstance(value, (bool, int, float, str)) else _plain(value)


def _plain(value):
    if value is None:
        return "default"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _settings_table(settings):
    """The settings as a Markdown table, a row each."""
    rows = [("network", settings["network"])]
    rows += sorted(settings["flags"].items())
    for group in ("versions", "data"):
        rows += [(f"{group}: {name}", value) for name, value in sorted(settings[group].items())]
    lines = ["| setting | value |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {_plain(value)} |" for name, value in rows])
