"""The gradients of a whole training network, in float64, from several sources.

tf.gradients, with the fast forms of layers and their gradients, against the derivations of
docs/gradients.md and against central differences. Differences by every weight would take hours, so
each variable has a few elements checked: those with the largest gradients, and some that are drawn.
"""

import numpy as np

from graph_mode import layers, model
from graph_mode import tensorflow1 as tf
from graph_mode.gradients import backpropagation
from graph_mode.gradients.comparison import Comparison, step_size

LARGEST, DRAWN = 3, 3  # elements a variable
# A central difference across the kink of a ReLU is not a derivative. Where a step takes any ReLU
# across its kink, a tenth of it is tried, and a tenth of that; then the element is left out.
STEP_FRACTIONS = (1, 0.1, 0.01)


def check(network, images, labels, num_classes, flags, random, backward=None):
    """Comparisons for dL/dx of each batch normalization and for dL/d of each trainable variable.

    network: as for program.Program, for uint8 images [n, h, w, c] and labels [n].
    backward: manual_gradients.backward, for a network that it can pass. The variables are moved
    away from their initial values, by `random`, so that no gamma is one and no beta zero.
    """
    with layers.recorded() as forward:
        logits = network(tf.constant(images / 255.0), True, num_classes, flags)
    loss = tf.reduce_mean(model.example_losses(logits, labels, flags.loss))
    variables = tf.trainable_variables()
    by_tensorflow = tf.gradients(loss, variables)
    by_hand = backward(forward, labels, flags) if backward else []
    with tf.quiet_session() as session:
        session.run(tf.global_variables_initializer())
        evaluate = evaluator(session, loss, variables)
        for variable, value in zip(variables, session.run(variables)):
            evaluate(variable, value + 0.1 * random.normal(size=value.shape))
        comparisons, sources = check_batch_norms(session, loss, forward, flags.batch_norm_epsilon)
        for gradient, variable in by_hand:
            sources.setdefault(variable.name, {})["hand"] = session.run(gradient)
        for gradient, variable in zip(by_tensorflow, variables):
            sources.setdefault(variable.name, {})["tf"] = session.run(gradient)
        for variable in variables:
            comparisons.append(
                check_variable(session, evaluate, variable, sources[variable.name], random)
            )
    return comparisons


def check_batch_norms(session, loss, forward, epsilon):
    """Comparisons of dL/dx of each batch normalization, given its dL/dy; and NumPy's gradients of
    its gamma and beta, {variable name: {source: gradient}}."""
    comparisons, by_variable = [], {}
    for layer in forward:
        if layer.kind != "batch_normalization":
            continue
        gamma, beta = layer.variables["gamma"], layer.variables["beta"]
        gradients = tf.gradients(loss, [layer.inputs, layer.outputs])
        tensors = [layer.inputs, gamma, beta] + gradients
        x, gamma_value, beta_value, d_x, d_y = session.run(tensors)
        # An image layer normalizes each channel over the batch, the height and the width alike.
        x, d_x, d_y = (array.reshape(-1, array.shape[-1]) for array in (x, d_x, d_y))
        value = backpropagation.batch_norm_forward(x, gamma_value, beta_value, epsilon)
        hand = backpropagation.batch_norm_gradients(x, gamma_value, d_y, epsilon)
        nodes = backpropagation.batch_norm_backward(value, d_y)
        scope = gamma.op.name.rsplit("/", 1)[0]
        comparisons.append(
            Comparison(f"{scope}/x", {"hand": hand["x"], "nodes": nodes["x"], "tf": d_x})
        )
        for name, variable in layer.variables.items():
            by_variable[variable.name] = {"hand": hand[name], "nodes": nodes[name]}
    return comparisons, by_variable


def check_variable(session, evaluate, variable, gradients, random):
    """Completes `gradients`, {source: array}, with differences by a few elements."""
    point = session.run(variable)
    step = step_size(evaluate(variable, point)[0])
    drawn = random.choice(point.size, min(DRAWN, point.size), replace=False)
    largest = np.argsort(np.abs(gradients["tf"]), axis=None)[-LARGEST:]
    differences = {}
    for element in sorted(set(drawn) | set(largest)):

        def loss_and_signs(distance, element=element):
            moved = point.copy()
            moved.flat[element] += distance
            return evaluate(variable, moved)

        difference = smooth_difference(loss_and_signs, step)
        if difference is not None:
            differences[element] = difference
    evaluate(variable, point)
    gradients["diff"] = np.array(list(differences.values()))
    return Comparison(variable.op.name, gradients, list(differences))


def smooth_difference(loss_and_signs, step):
    """The central difference of the loss at 0 over a step with no kink inside, or None."""
    for fraction in STEP_FRACTIONS:
        distance = step * fraction
        ahead, signs_ahead = loss_and_signs(distance)
        behind, signs_behind = loss_and_signs(-distance)
        if np.array_equal(signs_ahead, signs_behind):
            return (ahead - behind) / (2 * distance)
    return None


def evaluator(session, loss, variables):
    """A function that sets a variable and returns the loss and which ReLUs are on, bool [k]."""
    relus = [op.inputs[0] for op in loss.graph.get_operations() if op.type == "Relu"]
    signs = tf.concat([tf.reshape(x > 0, [-1]) for x in relus] or [tf.constant([True])], axis=0)
    values = {
        variable.name: tf.placeholder(variable.dtype, variable.shape) for variable in variables
    }
    assign = {variable.name: variable.assign(values[variable.name]) for variable in variables}

    def evaluate(variable, value):
        session.run(assign[variable.name], {values[variable.name]: value})
        return session.run((loss, signs))

    return evaluate
