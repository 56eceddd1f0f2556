"""Checks every gradient of docs/gradients.md by up to four independent sources, in float64.

    python gradient_check.py                  problems 1 to 3, with their edge cases
    python gradient_check.py --network fc     the fully connected training network on real MNIST
    python gradient_check.py --network conv   the convolutional one
    python gradient_check.py --logdir graphs  also writes the graphs for TensorBoard's graph tab

The sources:

    hand   the closed form at the end of the derivation, in NumPy
    nodes  the backward pass along the drawn graph, node by node, in NumPy
    tf     tf.gradients on the same graph in TensorFlow
    diff   central differences of the loss, (F(x + h) - F(x - h)) / 2h for each element x

A column of the table is the relative error between two of them: the largest difference over the
largest element. The exit code is 1 if one is above 1e-9 (between hand, nodes and tf) or 1e-6
(against diff, which has an error of h squared).
"""

import functools
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from graph_mode import command_line

with command_line.loading():
    import numpy as np

    import conv_train
    import fc_train
    from graph_mode import layers, model
    from graph_mode import tensorflow1 as tf
    from graph_mode.flags import seed
    from graph_mode.gradients import backpropagation, comparison, manual_gradients
    from graph_mode.gradients.comparison import Comparison, central_differences
    from graph_mode.train import trainer

FEATURES, INNER_UNITS, OUTER_UNITS, CLASSES = 6, 5, 4, 3
EXAMPLES = 16  # a batch of a training network
# Elements of each variable that are checked by differences, which by every weight would take hours:
# those with the largest gradients, and some that are drawn.
LARGEST, DRAWN = 3, 3
FC_VARIANTS = (
    "--batch-norm",
    "--loss softmax --hidden-bias",
    "--batch-norm --loss softmax --activation sigmoid",
    "--activation tanh --hidden-bias",
)
# The script, its backward pass by hand if it has one, the flags of the variants to check.
TRAINING_NETWORKS = {
    "fc": (fc_train, manual_gradients.backward, FC_VARIANTS),
    "conv": (conv_train, None, FC_VARIANTS[:2]),
}


def main(arguments=None):
    parser = command_line.OneLineParser(description=__doc__)
    words = "check this training network on MNIST, in place of problems 1 to 3"
    parser.add_argument("--network", choices=sorted(TRAINING_NETWORKS), help=words)
    parser.add_argument("--seed", type=seed, default=0, help="of the values that are drawn")
    words = "write the graphs here, for TensorBoard's graph tab"
    parser.add_argument("--logdir", metavar="FOLDER", help=words)
    flags = parser.parse_args(arguments)
    return comparison.report(training_network(flags) if flags.network else exercise(flags))


def training_network(flags):
    """Yields (title, comparisons) for each variant of the training network --network."""
    script, backward, variants = TRAINING_NETWORKS[flags.network]
    random = np.random.RandomState(flags.seed)
    for variant in variants:
        network_flags = script.parse_flags(f"{variant} --seed {flags.seed}".split())
        data = trainer.load_data(network_flags).train
        examples = random.choice(data.num_examples, EXAMPLES, replace=False)
        with tf.Graph().as_default() as graph:
            given = script.network, data.images[examples], data.labels[examples], data.num_classes
            comparisons = check_network(*given, network_flags, random, backward)
            name = f"{flags.network} {variant}".replace("--", "").replace(" ", "_")
            write_graph(flags.logdir, name, graph)
        yield f"{flags.network}_train.py {variant}, {EXAMPLES} images", comparisons


def check_network(network, images, labels, num_classes, flags, random, backward=None):
    """Comparisons for dL/dx of each batch normalization and for dL/d of each trainable variable.
    images: uint8 [n, h, w, c]; labels: [n]; `random` moves each variable from its initial value."""
    with layers.recorded() as forward:
        logits = network(tf.constant(images / 255.0), True, num_classes, flags)
    loss = tf.reduce_mean(model.example_losses(logits, labels, flags.loss))
    variables = tf.trainable_variables()
    inputs, found = {}, [{"tf": gradient} for gradient in tf.gradients(loss, variables)]
    found = {variable.op.name: sources for variable, sources in zip(variables, found)}
    for layer in [layer for layer in forward if layer.kind == "batch_normalization"]:
        d_x, d_y = tf.gradients(loss, [layer.inputs, layer.outputs])
        hand, by_name = manual_gradients.batch_normalization(layer, d_y, flags.batch_norm_epsilon)
        for name, variable in layer.variables.items():
            found[variable.op.name]["hand"] = by_name[name]
        inputs[f"{os.path.dirname(variable.op.name)}/x"] = {"hand": hand, "tf": d_x}
    for gradient, variable in backward(forward, labels, flags) if backward else ():
        found[variable.op.name]["hand"] = gradient
    relus = [op.inputs[0] > 0 for op in loss.graph.get_operations() if op.type == "Relu"]
    with tf.quiet_session() as session:

        def evaluate(variable, value):
            session.run(variable.initializer, {variable.initializer.inputs[1]: value})
            return session.run([loss, *relus])

        session.run(tf.global_variables_initializer())
        for variable, value in zip(variables, session.run(variables)):
            evaluate(variable, value + 0.1 * random.normal(size=value.shape))
        inputs, found = session.run((inputs, found))
        for variable, point in zip(variables, session.run(variables)):
            sources = found[variable.op.name]
            drawn = random.choice(point.size, min(DRAWN, point.size), replace=False)
            elements = {*drawn, *np.argsort(np.abs(sources["tf"]), axis=None)[-LARGEST:]}
            function = functools.partial(evaluate, variable)
            sources["diff"] = central_differences(function, point, sorted(elements))
            evaluate(variable, point)
    return [Comparison(*each) for each in (*inputs.items(), *found.items())]


def exercise(flags):
    """Yields (title, comparisons) for problems 1 to 3 and their edge cases."""
    random = np.random.RandomState(flags.seed)
    for name, (build, target, names, *functions, cases) in PROBLEMS.items():
        checked = []  # Not yielded here: a session that is left open at Python's end never closes.
        with tf.Graph().as_default() as graph, tf.quiet_session() as session:
            edge = build()
            for title, given in cases(random):
                feed = {edge[name]: array for name, array in given.items()}
                value = session.run(edge, feed)
                found = [getattr(backpropagation, function)(value) for function in functions]
                checked.append((title, compare(session, edge, feed, value, target, names, *found)))
            write_graph(flags.logdir, name, graph)
        yield from checked


def network_cases(random):
    """Yields (title, {edge: array} for the placeholders), as the other cases do."""
    sizes = (FEATURES, INNER_UNITS, OUTER_UNITS, CLASSES)
    for examples in (6, 1):
        given = {"X": random.normal(size=(FEATURES, examples)), "y": draw_labels(random, examples)}
        for layer, (inputs, units) in enumerate(zip(sizes, sizes[1:]), 1):
            given[f"W{layer}"] = random.normal(size=(units, inputs))
            given[f"b{layer}"] = random.normal(size=(units, 1))
        yield f"Problems 1 and 2, the network: a batch of {examples}", given


def softmax_cases(random):
    logits = random.normal(size=(CLASSES, 6))
    for name in ("ordinary logits", "logits of 1e4 and -1e4"):
        given = {"o": logits, "y": draw_labels(random, 6)}
        yield f"Problem 1 in the form that cannot overflow: {name}", given
        logits = 1e4 * np.sign(logits)  # A probability underflows to zero.


def batch_norm_cases(random):
    for name, examples in (("a batch of 8", 8), ("a batch of one", 1), ("a constant feature", 8)):
        inputs = random.normal(2, 3, size=(examples, FEATURES))
        inputs[:, 0] = 0.1 if "constant" in name else inputs[:, 0]
        gamma, beta = random.normal(size=(2, FEATURES))
        given = {"x": inputs, "gamma": gamma, "beta": beta, "w": random.normal(size=inputs.shape)}
        yield f"Problem 3, batch normalization: {name}", given


def network_graph():
    """The graph of problems 1 and 2 in the name scopes of its drawing; its tensors by name."""
    edge = {"X": placeholder("X", [FEATURES, None]), "y": placeholder("y", [CLASSES, None])}
    inputs = edge["X"]
    for layer, scope, units, h, a, activation, name in (
        (1, "layer_1", INNER_UNITS, "h1", "a1", tf.sigmoid, "3_sigmoid"),
        (2, "layer_2", OUTER_UNITS, "h2", "a2", tf.tanh, "6_tanh"),
        (3, "output", CLASSES, "o", "p", functools.partial(tf.nn.softmax, axis=0), "9_softmax"),
    ):
        with tf.name_scope(scope):
            weights = edge[f"W{layer}"] = placeholder(f"W{layer}", [units, int(inputs.shape[0])])
            bias = edge[f"b{layer}"] = placeholder(f"b{layer}", [units, 1])
            product = tf.matmul(weights, inputs, name=f"{3 * layer - 2}_multiply")
            edge[f"u{layer}"], edge[h] = product, tf.add(product, bias, name=f"{3 * layer - 1}_add")
            inputs = edge[a] = activation(edge[h], name=name)
    with tf.name_scope("output/10_cross_entropy/"):
        edge["L"] = tf.reduce_mean(-tf.reduce_sum(edge["y"] * tf.log(edge["p"]), axis=0))
    return edge


def softmax_graph():
    """The loss of problem 1 from its logits, by TensorFlow's op that cannot overflow."""
    edge = {"o": placeholder("o", [CLASSES, None]), "y": placeholder("y", [CLASSES, None])}
    losses = tf.nn.softmax_cross_entropy_with_logits_v2(edge["y"], edge["o"], axis=0)
    edge["L"] = tf.reduce_mean(losses)
    return edge


def batch_norm_graph():
    """The graph of problem 3 in the name scope of its drawing, ending in F = sum of w sin(y)."""
    edge = {"x": placeholder("x", [None, FEATURES]), "w": placeholder("w", [None, FEATURES])}
    with tf.name_scope("batch_normalization"):
        edge["gamma"] = placeholder("gamma", [FEATURES])
        edge["beta"] = placeholder("beta", [FEATURES])
        edge["mean"] = tf.reduce_mean(edge["x"], axis=0, name="1_mean")
        edge["centered"] = tf.subtract(edge["x"], edge["mean"], name="2_subtract")
        edge["square"] = tf.square(edge["centered"], name="3_square")
        edge["variance"] = tf.reduce_mean(edge["square"], axis=0, name="4_mean")
        with tf.name_scope("5_sqrt"):
            edge["std"] = tf.sqrt(edge["variance"] + backpropagation.EPSILON)
        edge["inverse_std"] = tf.reciprocal(edge["std"], name="6_reciprocal")
        edge["xhat"] = tf.multiply(edge["centered"], edge["inverse_std"], name="7_multiply")
        edge["scaled"] = tf.multiply(edge["gamma"], edge["xhat"], name="8_multiply")
        edge["y"] = tf.add(edge["scaled"], edge["beta"], name="9_add")
    edge["F"] = tf.reduce_sum(edge["w"] * tf.sin(edge["y"]), name="F")
    edge["dy"] = edge["w"] * tf.cos(edge["y"])
    return edge


def compare(session, edge, feed, value, target, names, hand, nodes):
    """Comparisons of `hand` and `nodes`, {name: gradient}, with TensorFlow's and differences. edge,
    value: {name: tensor or array}; target: a scalar, to be differentiated by the edges names."""
    found = session.run(tf.gradients(edge[target], [edge[name] for name in names]), feed)
    comparisons = []
    for name, by_tensorflow in zip(names, found):

        def value_at(point, name=name):
            # Feeding an inner edge cuts the graph there: what lies before it is not computed.
            return [session.run(edge[target], {**feed, edge[name]: point})]

        sources = {"hand": hand[name], "nodes": nodes[name], "tf": by_tensorflow}
        sources["diff"] = central_differences(value_at, value[name], range(value[name].size))
        comparisons.append(Comparison(f"d{target}/d{name}", sources))
    return comparisons


# name: (its graph, what is differentiated, by which edges, the names of backpropagation's gradients
# by hand and by nodes, the cases to check)
# fmt: off
PROBLEMS = {
    "network": (network_graph, "L", ("o", "W3", "b3", "W2", "b2", "W1", "b1"),
                "network_gradients", "network_backward", network_cases),
    "softmax": (softmax_graph, "L", ("o",), "softmax_cross_entropy_gradient",
                "log_softmax_cross_entropy_backward", softmax_cases),
    "batch_norm": (batch_norm_graph, "F", ("gamma", "beta", "x"),
                   "batch_norm_gradients", "batch_norm_backward", batch_norm_cases),
}
# fmt: on


def placeholder(name, shape):
    return tf.placeholder(tf.float64, shape, name)


def draw_labels(random, examples):
    """One-hot columns, [CLASSES, examples]."""
    return np.eye(CLASSES)[:, random.randint(CLASSES, size=examples)]


def write_graph(logdir, name, graph):
    if logdir is not None:
        folder = os.path.join(logdir, name)
        os.makedirs(folder, exist_ok=True)  # reports in one line what cannot be written
        tf.summary.FileWriter(folder, graph).close()


if __name__ == "__main__":
    command_line.run(main)
