"""--histograms: the distributions that the lesson about batch norm is about, for TensorBoard."""

from graph_mode import tensorflow1 as tf
from graph_mode.show import tensorboard
from graph_mode.train import evaluation


class Histograms:
    """Weights, gradients, what enters and leaves each activation, and moving averages: in training
    mode, of the first training images, as many as a batch has. Nothing is changed."""

    def __init__(self, program, examples, flags):
        self._examples, self._count = examples, flags.batch_size
        self._tower = program.fed_tower("histograms", training=True)
        with tf.name_scope("histograms"):
            # Not tf.summary.histogram, which would name the tags after the scope.
            histogram, values = tf.raw_ops.HistogramSummary, self._values().items()
            self._summary = tf.summary.merge([histogram(tag=tag, values=v) for tag, v in values])

    def _values(self):
        variables = tf.trainable_variables()
        loss = tf.reduce_mean(self._tower.losses)
        values = {f"weights/{variable.op.name}": variable for variable in variables}
        for variable, gradient in zip(variables, tf.gradients(loss, variables)):
            if gradient is not None:
                values[f"gradients/{variable.op.name}"] = gradient
        for number, operation in enumerate(self._tower.tower.activations, 1):
            values[f"activation_inputs/layer_{number}"] = operation.inputs[0]
            values[f"activations/layer_{number}"] = operation.outputs[0]
        values["activations/logits"] = self._tower.logits
        for variable in tf.global_variables():
            if variable.op.name.endswith(evaluation.AVERAGES):
                values[f"moving_averages/{variable.op.name}"] = variable
        return values

    def write(self, session, writer, step):
        """Writes the histograms after this step."""
        arguments = session, self._tower, self._summary, self._examples, self._count
        tensorboard.add_serialized(writer, step, evaluation.fetch_first(*arguments))
