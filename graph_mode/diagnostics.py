"""--diagnostics: what the explanations of batch normalization speak of, at each evaluation.

Measured on one fixed sample of training images, in training mode (batch norm takes the sample's own
mean and variance), without changing any variable: a run trains the same with and without it.
"""

import collections
import os

import numpy as np

from graph_mode import evaluation, model
from graph_mode import tensorflow1 as tf

SAMPLE_IMAGES = 500
# Figure 1 of Ioffe and Szegedy (2015).
PERCENTILES = (15, 50, 85)
# The loss is measured at weights - length * gradient: half of, once, twice and four times 0.1,
# whatever the run's own learning rate and optimizer are, so that runs can be compared.
STEP_LENGTHS = (0.05, 0.1, 0.2, 0.4)

Probe = collections.namedtuple(
    "Probe", "images labels step_length activation_inputs relus gradient_norms loss"
)
Probe.__doc__ = """Tensors of build. activation_inputs: {layer: inputs}; relus: the layers of these
whose activation is a ReLU; gradient_norms: {layer: norm}; loss: scalar, at the weights that a step
of step_length against the gradient would give."""


def build(network, data_set, options):
    """The Probe of the network in the current graph, whose variables are made already."""
    with tf.name_scope("diagnostics"):
        images = tf.placeholder(tf.uint8, [None] + list(data_set.image_shape))
        labels = tf.placeholder(tf.uint8, [None])
        step_length = tf.placeholder(tf.float32, [])

        def loss_with(custom_getter):
            scope = tf.get_variable_scope()
            with tf.variable_scope(scope, reuse=tf.AUTO_REUSE, custom_getter=custom_getter):
                logits = network(evaluation.scale(images), True, data_set.num_classes, options)
            return tf.reduce_mean(model.example_losses(logits, labels, options.loss))

        activations = tf.get_collection_ref(tf.GraphKeys.ACTIVATIONS)
        before = len(activations)
        loss = loss_with(None)
        layers = {f"layer_{i}": output.op for i, output in enumerate(activations[before:], 1)}
        variables = tf.trainable_variables()
        gradients = dict(zip([v.op.name for v in variables], tf.gradients(loss, variables)))

        def after_step(getter, name, *args, **kwargs):
            variable = getter(name, *args, **kwargs)
            return variable - step_length * gradients[name] if name in gradients else variable

        return Probe(
            images,
            labels,
            step_length,
            {layer: op.inputs[0] for layer, op in layers.items()},
            [layer for layer, op in layers.items() if op.type == "Relu"],
            norms_by_layer(gradients),
            loss_with(after_step),
        )


def norms_by_layer(gradients):
    """{layer: norm of all its gradients together} from {layer/variable: gradient}."""
    of_layer = collections.OrderedDict()
    for name, gradient in gradients.items():
        of_layer.setdefault(os.path.dirname(name), []).append(gradient)
    return {layer: tf.global_norm(some) for layer, some in of_layer.items()}


def measure(session, probe, data_set):
    """{tag: value} of everything, for the first SAMPLE_IMAGES of the data set."""
    feed = {
        probe.images: data_set.images[:SAMPLE_IMAGES],
        probe.labels: data_set.labels[:SAMPLE_IMAGES],
        probe.step_length: 0.0,
    }
    inputs, norms, loss = session.run(
        [probe.activation_inputs, probe.gradient_norms, probe.loss], feed
    )
    scalars = {f"gradient_norm/{layer}": norm for layer, norm in norms.items()}
    for layer, values in inputs.items():
        scalars.update(percentiles(f"activation_inputs/{layer}", values))
        # Figure 1 shows one typical unit; the first one was not chosen for what it shows.
        scalars.update(percentiles(f"activation_inputs/{layer}/first_unit", values[..., 0]))
        if layer in probe.relus:
            scalars[f"dead_units/{layer}"] = share_of_dead_units(values)
    losses = [
        session.run(probe.loss, {**feed, probe.step_length: length}) for length in STEP_LENGTHS
    ]
    scalars["loss_along_gradient/start"] = loss
    scalars["loss_along_gradient/smallest"] = np.min(losses)
    scalars["loss_along_gradient/largest"] = np.max(losses)
    return {tag: float(value) for tag, value in scalars.items()}


def percentiles(tag, values):
    """{tag/percentile_15: value, ...} of all numbers in an array."""
    found = np.percentile(values, PERCENTILES)
    return {f"{tag}/percentile_{p}": value for p, value in zip(PERCENTILES, found)}


def share_of_dead_units(inputs):
    """The share of a ReLU layer's units (its channels, the last axis) that are 0 everywhere.

    inputs: [images, ..., units]. A unit counts as dead if no image, at no place, turns it on.
    """
    return float((inputs.reshape(-1, inputs.shape[-1]).max(axis=0) <= 0).mean())
