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

A column of the table is the relative error between two of them: the largest difference of any
element over the largest element. The exit code is 1 if one is above 1e-9 (between hand, nodes and
tf, which differ by rounding alone) or 1e-6 (against diff, which also has an error of h squared).
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from graph_mode import command_line

with command_line.loading():
    import numpy as np

    import conv_train
    import fc_train
    from graph_mode import tensorflow1 as tf
    from graph_mode.flags import seed
    from graph_mode.gradients import backpropagation, comparison, manual_gradients, network_check
    from graph_mode.gradients.comparison import Comparison
    from graph_mode.train import trainer

FEATURES, INNER_UNITS, OUTER_UNITS, CLASSES = 6, 5, 4, 3
EPSILON = 1e-3  # of batch normalization: the training networks' value
SATURATED = 1e4

EXAMPLES = 16  # a batch of a training network
# The script, its backward pass by hand if it has one, the flags of the variants to check.
TRAINING_NETWORKS = {
    "fc": (
        fc_train,
        manual_gradients.backward,
        (
            ["--batch-norm"],
            ["--loss", "softmax", "--hidden-bias"],
            ["--batch-norm", "--loss", "softmax", "--activation", "sigmoid"],
            ["--activation", "tanh", "--hidden-bias"],
        ),
    ),
    "conv": (conv_train, None, (["--batch-norm"], ["--loss", "softmax", "--hidden-bias"])),
}


def main(arguments=None):
    parser = command_line.OneLineParser(description=__doc__)
    networks = sorted(TRAINING_NETWORKS)
    words = "check this training network on MNIST, in place of problems 1 to 3"
    parser.add_argument("--network", choices=networks, help=words)
    parser.add_argument("--seed", type=seed, default=0, help="of the values that are drawn")
    words = "write the graphs here, for TensorBoard's graph tab"
    parser.add_argument("--logdir", metavar="FOLDER", help=words)
    flags = parser.parse_args(arguments)
    return comparison.report(training_network(flags) if flags.network else exercise(flags))


def training_network(flags):
    """Yields (title, comparisons) for the training network --network, a variant at a time."""
    script, backward, variants = TRAINING_NETWORKS[flags.network]
    random = np.random.RandomState(flags.seed)
    for variant in variants:
        network_flags = script.parse_flags(variant + ["--seed", str(flags.seed)])
        data = trainer.load_data(network_flags).train
        examples = random.choice(data.num_examples, EXAMPLES, replace=False)
        with tf.Graph().as_default() as graph:
            batch = data.images[examples], data.labels[examples], data.num_classes
            comparisons = network_check.check(
                script.network, *batch, network_flags, random, backward
            )
            name = "_".join([flags.network] + variant).replace("--", "")
            write_graph(flags.logdir, name, graph)
        yield f"{flags.network}_train.py {' '.join(variant)}, {EXAMPLES} images", comparisons


def exercise(flags):
    """Yields (title, comparisons) for problems 1 to 3 and their edge cases."""
    random = np.random.RandomState(flags.seed)
    for name, sections in PROBLEMS.items():
        with tf.Graph().as_default() as graph, tf.quiet_session() as session:
            yield from sections(session, random)
            write_graph(flags.logdir, name, graph)


def network_sections(session, random):
    """dL/do and dL/d of each parameter."""
    edge = network_graph()
    for examples in (6, 1):
        parameters = {
            name: random.normal(size=edge[name].shape.as_list())
            for name in ("W1", "b1", "W2", "b2", "W3", "b3")
        }
        given = parameters, random.normal(size=(FEATURES, examples)), draw_labels(random, examples)
        value = backpropagation.network_forward(*given)
        hand = backpropagation.network_gradients(*given)
        nodes = backpropagation.network_backward(value)
        by = ("o", "W3", "b3", "W2", "b2", "W1", "b1")
        title = f"Problems 1 and 2, the network: a batch of {examples}"
        yield title, compare(session, edge, value, "L", by, hand, nodes)


def softmax_sections(session, random):
    """dL/do where a probability may underflow to zero."""
    edge = softmax_graph()
    ordinary = random.normal(size=(CLASSES, 6))
    saturated = SATURATED * np.sign(ordinary)
    for logits, name in ((ordinary, "ordinary logits"), (saturated, "logits of 1e4 and -1e4")):
        labels = draw_labels(random, 6)
        hand = {"o": backpropagation.softmax_cross_entropy_gradient(logits, labels)}
        nodes = {"o": backpropagation.log_softmax_cross_entropy_backward(logits, labels)}
        title = f"Problem 1 in the form that cannot overflow: {name}"
        value = {"o": logits, "y": labels}
        yield title, compare(session, edge, value, "L", ("o",), hand, nodes)


def batch_norm_sections(session, random):
    """dF/dgamma, dF/dbeta and dF/dx."""
    edge = batch_norm_graph()
    constant = random.normal(2, 3, size=(8, FEATURES))
    constant[:, 0] = 0.1
    for inputs, name in (
        (random.normal(2, 3, size=(8, FEATURES)), "a batch of 8"),
        (random.normal(2, 3, size=(1, FEATURES)), "a batch of one"),
        (constant, "a constant feature"),
    ):
        gamma, beta = random.normal(size=(2, FEATURES))
        value = backpropagation.batch_norm_forward(inputs, gamma, beta, EPSILON)
        value["w"] = random.normal(size=inputs.shape)
        output_gradient = value["w"] * np.cos(value["y"])
        hand = backpropagation.batch_norm_gradients(inputs, gamma, output_gradient, EPSILON)
        nodes = backpropagation.batch_norm_backward(value, output_gradient)
        title = f"Problem 3, batch normalization: {name}"
        yield title, compare(session, edge, value, "F", ("gamma", "beta", "x"), hand, nodes)


def network_graph():
    """The graph of problems 1 and 2 in the name scopes of its drawing; its tensors by name."""
    edge = {"X": placeholder("X", [FEATURES, None]), "y": placeholder("y", [CLASSES, None])}
    with tf.name_scope("layer_1"):
        edge["W1"] = placeholder("W1", [INNER_UNITS, FEATURES])
        edge["b1"] = placeholder("b1", [INNER_UNITS, 1])
        edge["u1"] = tf.matmul(edge["W1"], edge["X"], name="1_multiply")
        edge["h1"] = tf.add(edge["u1"], edge["b1"], name="2_add")
        edge["a1"] = tf.sigmoid(edge["h1"], name="3_sigmoid")
    with tf.name_scope("layer_2"):
        edge["W2"] = placeholder("W2", [OUTER_UNITS, INNER_UNITS])
        edge["b2"] = placeholder("b2", [OUTER_UNITS, 1])
        edge["u2"] = tf.matmul(edge["W2"], edge["a1"], name="4_multiply")
        edge["h2"] = tf.add(edge["u2"], edge["b2"], name="5_add")
        edge["a2"] = tf.tanh(edge["h2"], name="6_tanh")
    with tf.name_scope("output"):
        edge["W3"] = placeholder("W3", [CLASSES, OUTER_UNITS])
        edge["b3"] = placeholder("b3", [CLASSES, 1])
        edge["u3"] = tf.matmul(edge["W3"], edge["a2"], name="7_multiply")
        edge["o"] = tf.add(edge["u3"], edge["b3"], name="8_add")
        edge["p"] = tf.nn.softmax(edge["o"], axis=0, name="9_softmax")
        with tf.name_scope("10_cross_entropy"):
            edge["L"] = tf.reduce_mean(-tf.reduce_sum(edge["y"] * tf.log(edge["p"]), axis=0))
    return edge


def softmax_graph():
    """The loss of problem 1 from its logits, by TensorFlow's op that cannot overflow."""
    edge = {"o": placeholder("o", [CLASSES, None]), "y": placeholder("y", [CLASSES, None])}
    losses = tf.nn.softmax_cross_entropy_with_logits_v2(edge["y"], edge["o"], axis=0)
    edge["L"] = tf.reduce_mean(losses)
    return edge


def batch_norm_graph():
    """The graph of problem 3 in the name scope of its drawing, ending in F = sum of w sin(y).

    The sine makes dF/dy = w cos(y) differ from element to element and depend on y.
    """
    edge = {"x": placeholder("x", [None, FEATURES]), "w": placeholder("w", [None, FEATURES])}
    with tf.name_scope("batch_normalization"):
        edge["gamma"] = placeholder("gamma", [FEATURES])
        edge["beta"] = placeholder("beta", [FEATURES])
        edge["mean"] = tf.reduce_mean(edge["x"], axis=0, name="1_mean")
        edge["centered"] = tf.subtract(edge["x"], edge["mean"], name="2_subtract")
        edge["square"] = tf.square(edge["centered"], name="3_square")
        edge["variance"] = tf.reduce_mean(edge["square"], axis=0, name="4_mean")
        with tf.name_scope("5_sqrt"):
            edge["std"] = tf.sqrt(edge["variance"] + EPSILON)
        edge["inverse_std"] = tf.reciprocal(edge["std"], name="6_reciprocal")
        edge["xhat"] = tf.multiply(edge["centered"], edge["inverse_std"], name="7_multiply")
        edge["scaled"] = tf.multiply(edge["gamma"], edge["xhat"], name="8_multiply")
        edge["y"] = tf.add(edge["scaled"], edge["beta"], name="9_add")
    edge["F"] = tf.reduce_sum(edge["w"] * tf.sin(edge["y"]), name="F")
    return edge


def compare(session, edge, value, target, names, hand, nodes):
    """Comparisons of `hand` and `nodes`, {name: gradient}, with TensorFlow's and differences.

    edge, value: {name: tensor or array}; target: the name of the scalar that is differentiated by
    the edges `names`.
    """
    feed = {tensor: value[name] for name, tensor in edge.items() if tensor.op.type == "Placeholder"}
    found = session.run(tf.gradients(edge[target], [edge[name] for name in names]), feed)
    comparisons = []
    for name, by_tensorflow in zip(names, found):
        sources = {"hand": hand[name], "nodes": nodes[name], "tf": by_tensorflow}
        # Feeding an inner edge cuts the graph there: what lies before it is not computed.
        differences = comparison.central_differences(
            lambda point, name=name: (session.run(edge[target], {**feed, edge[name]: point}), ()),
            value[name],
        )
        sources["diff"] = np.reshape(list(differences.values()), value[name].shape)
        comparisons.append(Comparison(f"d{target}/d{name}", sources))
    return comparisons


PROBLEMS = {
    "network": network_sections,
    "softmax": softmax_sections,
    "batch_norm": batch_norm_sections,
}


def placeholder(name, shape):
    return tf.placeholder(tf.float64, shape, name)


def draw_labels(random, examples):
    """One-hot columns, [CLASSES, examples]."""
    return np.eye(CLASSES)[:, random.randint(CLASSES, size=examples)]


def write_graph(logdir, name, graph):
    """Writes the graph for TensorBoard below `logdir`, if one is given."""
    if logdir is not None:
        folder = os.path.join(logdir, name)
        # Made here, so that a folder that cannot be written is reported as one line.
        os.makedirs(folder, exist_ok=True)
        tf.summary.FileWriter(folder, graph).close()


if __name__ == "__main__":
    command_line.run(main)
