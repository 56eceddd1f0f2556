"""--diagnostics: percentiles of activations, norms of gradients and weights, dead units.

Measured on one fixed sample of training images, in training mode (batch norm takes the sample's own
mean and variance), without changing any variable: a run trains the same with and without it.
"""

import os

import numpy as np

from graph_mode import tensorflow1 as tf
from graph_mode.train import evaluation

SAMPLE_IMAGES = 500
# Figure 1 of Ioffe and Szegedy (2015).
PERCENTILES = (15, 50, 85)


class Diagnostics:
    """What --diagnostics measures, for the network of a Program."""

    def __init__(self, program, examples, flags):
        self._tower = program.fed_tower("diagnostics", training=True)
        self._examples = examples
        with tf.name_scope("diagnostics/"):
            variables = tf.trainable_variables()
            found = tf.gradients(tf.reduce_mean(self._tower.losses), variables)
            gradients = [pair for pair in zip(variables, found) if pair[1] is not None]
            self._norms = {
                "gradient_norm": norms_by_layer(gradients),
                "weight_norm": norms_by_layer([(v, v.read_value()) for v in variables]),
            }

    def write(self, session, writer, step):
        """Measures and writes the scalars, with diagnostics/ before each tag."""
        activations = self._tower.tower.activations
        fetches = [operation.inputs[0] for operation in activations], self._norms
        sample = self._examples, SAMPLE_IMAGES
        inputs, norms = evaluation.fetch_first(session, self._tower, fetches, *sample)
        scalars = {
            f"{kind}/{layer}": n for kind, some in norms.items() for layer, n in some.items()
        }
        for number, (operation, values) in enumerate(zip(activations, inputs), 1):
            layer = f"layer_{number}"
            scalars.update(percentiles(f"activation_inputs/{layer}", values))
            # Figure 1 shows one typical unit; the first one was not chosen for what it shows.
            first = f"activation_inputs/{layer}/first_unit"
            scalars.update(percentiles(first, values[..., 0]))
            if operation.type == "Relu":
                scalars[f"dead_units/{layer}"] = share_of_dead_units(values)
        writer.add_scalars(step, **{f"diagnostics/{tag}": float(v) for tag, v in scalars.items()})


def norms_by_layer(tensors):
    """{layer: norm of all its tensors together} from [(variable, tensor)]."""
    of_layer = {}
    for variable, tensor in tensors:
        of_layer.setdefault(os.path.dirname(variable.op.name), []).append(tensor)
    return {layer: tf.global_norm(some) for layer, some in of_layer.items()}


def percentiles(tag, values):
    """{tag/percentile_15: value, ...} of all numbers in an array."""
    found = np.percentile(values, PERCENTILES)
    return {f"{tag}/percentile_{p}": value for p, value in zip(PERCENTILES, found)}


def share_of_dead_units(inputs):
    """The share of the units that no image, at no place, turns on; inputs of a ReLU layer:
    [images, ..., units]."""
    return float((inputs.reshape(-1, inputs.shape[-1]).max(axis=0) <= 0).mean())
