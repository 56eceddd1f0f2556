"""--diagnostics: percentiles of activations, gradient norms, dead units, loss along the gradient.

Measured on one fixed sample of training images, in training mode (batch norm takes the sample's own
mean and variance), without changing any variable: a run trains the same with and without it.
"""

import collections
import os

import numpy as np

from graph_mode import tensorflow1 as tf
from graph_mode.train import evaluation

SAMPLE_IMAGES = 500
# Figure 1 of Ioffe and Szegedy (2015).
PERCENTILES = (15, 50, 85)
# The loss is measured at weights - length * gradient: half of, once, twice and four times 0.1,
# whatever the run's own learning rate and optimizer are, so that runs can be compared.
STEP_LENGTHS = (0.05, 0.1, 0.2, 0.4)


class Diagnostics:
    """What --diagnostics measures, for the network of a Program."""

    def __init__(self, program, examples, flags):
        with tf.name_scope("diagnostics"):
            self._step_length = tf.placeholder(tf.float32, [], "step_length")
        start = program.fed_tower("diagnostics", training=True)
        with tf.name_scope("diagnostics/"):
            variables = tf.trainable_variables()
            found = tf.gradients(tf.reduce_mean(start.losses), variables)
            names = [variable.op.name for variable in variables]
            self._gradients = {n: value for n, value in zip(names, found) if value is not None}
            self._norms = norms_by_layer(self._gradients)
            self._fed = {
                name: tf.placeholder(value.dtype, value.shape)
                for name, value in self._gradients.items()
            }

        def after_step(getter, name, *args, **kwargs):
            variable = getter(name, *args, **kwargs)
            if name not in self._fed:
                return variable
            return variable - tf.cast(self._step_length, variable.dtype) * self._fed[name]

        moved = program.fed_tower("diagnostics_along_gradient", True, after_step)
        self._towers, self._images = (start, moved), examples.images[:SAMPLE_IMAGES]
        self._labels = examples.labels[:SAMPLE_IMAGES]

    def write(self, session, writer, step):
        """Measures and writes the scalars, with diagnostics/ before each tag."""
        measured = self.measure(session)
        writer.add_scalars(step, **{f"diagnostics/{tag}": v for tag, v in measured.items()})

    def measure(self, session):
        """{tag: value} of everything."""
        start, moved = self._towers
        activations = start.tower.activations
        inputs, norms, gradients, losses = self._run(
            session,
            start,
            [[op.inputs[0] for op in activations], self._norms, self._gradients, start.losses],
        )
        scalars = {f"gradient_norm/{layer}": norm for layer, norm in norms.items()}
        for number, (operation, values) in enumerate(zip(activations, inputs), 1):
            layer = f"layer_{number}"
            scalars.update(percentiles(f"activation_inputs/{layer}", values))
            # Figure 1 shows one typical unit; the first one was not chosen for what it shows.
            first = f"activation_inputs/{layer}/first_unit"
            scalars.update(percentiles(first, values[..., 0]))
            if operation.type == "Relu":
                scalars[f"dead_units/{layer}"] = share_of_dead_units(values)
        feed = {fed: gradients[name] for name, fed in self._fed.items()}
        along = [
            self._run(session, moved, moved.losses, {**feed, self._step_length: length}).mean()
            for length in STEP_LENGTHS
        ]
        scalars["loss_along_gradient/start"] = losses.mean()
        scalars["loss_along_gradient/smallest"] = np.min(along)
        scalars["loss_along_gradient/largest"] = np.max(along)
        return {tag: float(value) for tag, value in scalars.items()}

    def _run(self, session, tower, fetched, feed=()):
        """What the tower gives for the sample; what it changes in the network is taken back."""
        feed = {tower.images: self._images, tower.labels: self._labels, **dict(feed)}
        with evaluation.unchanged(session, tower):
            return session.run(fetched, feed)


def norms_by_layer(gradients):
    """{layer: norm of all its gradients together} from {layer/variable: gradient}."""
    of_layer = collections.OrderedDict()
    for name, gradient in gradients.items():
        of_layer.setdefault(os.path.dirname(name), []).append(gradient)
    return {layer: tf.global_norm(some) for layer, some in of_layer.items()}


def percentiles(tag, values):
    """{tag/percentile_15: value, ...} of all numbers in an array."""
    found = np.percentile(values, PERCENTILES)
    return {f"{tag}/percentile_{p}": value for p, value in zip(PERCENTILES, found)}


def share_of_dead_units(inputs):
    """The share of a ReLU layer's units (its channels, the last axis) that are 0 everywhere.

    inputs: [images, ..., units]. A unit counts as dead if no image, at no place, turns it on.
    """
    return float((inputs.reshape(-1, inputs.shape[-1]).max(axis=0) <= 0).mean())
