"""The gradients of a whole training network, in float64, from several sources."""

import collections
import os

import numpy as np

from graph_mode import layers, model
from graph_mode import tensorflow1 as tf
from graph_mode.gradients import backpropagation
from graph_mode.gradients.comparison import Comparison, central_differences

# Elements of each variable that are checked by differences, which by every weight would take hours:
# those with the largest gradients, and some that are drawn.
LARGEST, DRAWN = 3, 3


def check(network, images, labels, num_classes, flags, random, backward=None):
    """Comparisons for dL/dx of each batch normalization and for dL/d of each trainable variable.

    network: as for program.Program; images uint8 [n, h, w, c]; labels [n]; backward:
    manual_gradients.backward or None. `random` moves each variable from its initial value first.
    """
    with layers.recorded() as forward:
        logits = network(tf.constant(images / 255.0), True, num_classes, flags)
    loss = tf.reduce_mean(model.example_losses(logits, labels, flags.loss))
    variables = tf.trainable_variables()
    by_tensorflow = tf.gradients(loss, variables)
    by_hand = backward(forward, labels, flags) if backward else []
    with tf.quiet_session() as session:
        session.run(tf.global_variables_initializer())
        evaluate = evaluator(session, loss)
        for variable, value in zip(variables, session.run(variables)):
            evaluate(variable, value + 0.1 * random.normal(size=value.shape))
        comparisons, sources = check_batch_norms(session, loss, forward, flags.batch_norm_epsilon)
        for gradient, variable in by_hand:
            sources[variable.name]["hand"] = session.run(gradient)
        for gradient, variable in zip(by_tensorflow, variables):
            found = {**sources[variable.name], "tf": session.run(gradient)}
            comparisons.append(check_variable(session, evaluate, variable, found, random))
    return comparisons


def check_batch_norms(session, loss, forward, epsilon):
    """Comparisons of dL/dx of each batch normalization, given its dL/dy; and NumPy's gradients of
    its gamma and beta, {variable name: {source: gradient}}."""
    comparisons, by_variable = [], collections.defaultdict(dict)
    for layer in [layer for layer in forward if layer.kind == "batch_normalization"]:
        gamma = layer.variables["gamma"]
        gradients = tf.gradients(loss, [layer.inputs, layer.outputs])
        x, d_x, d_y, gamma_value = session.run([layer.inputs, *gradients, gamma])
        # An image layer normalizes each channel over the batch, the height and the width alike.
        x, d_x, d_y = (array.reshape(-1, array.shape[-1]) for array in (x, d_x, d_y))
        value = {"x": x, "gamma": gamma_value, "dy": d_y}
        hand = backpropagation.batch_norm_gradients(value, epsilon)
        sources = {"hand": hand["x"], "tf": d_x}
        comparisons.append(Comparison(f"{os.path.dirname(gamma.op.name)}/x", sources))
        by_variable.update({v.name: {"hand": hand[name]} for name, v in layer.variables.items()})
    return comparisons, by_variable


def check_variable(session, evaluate, variable, gradients, random):
    point = session.run(variable)
    drawn = random.choice(point.size, min(DRAWN, point.size), replace=False)
    largest = np.argsort(np.abs(gradients["tf"]), axis=None)[-LARGEST:]
    differences = central_differences(
        lambda value: evaluate(variable, value), point, sorted({*drawn, *largest})
    )
    evaluate(variable, point)
    gradients["diff"] = np.array(list(differences.values()))
    return Comparison(variable.op.name, gradients, list(differences))


def evaluator(session, loss):
    """A function that sets a variable and returns the loss and which ReLUs are on, bool [k]."""
    relus = [op.inputs[0] for op in loss.graph.get_operations() if op.type == "Relu"]
    signs = tf.concat([tf.reshape(x > 0, [-1]) for x in relus] or [tf.constant([True])], axis=0)

    def evaluate(variable, value):
        session.run(variable.initializer, {variable.initializer.inputs[1]: value})
        return session.run((loss, signs))

    return evaluate
