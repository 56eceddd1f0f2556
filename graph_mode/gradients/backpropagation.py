"""The gradients of docs/gradients.md in NumPy, each derived by hand and written down twice.

`*_gradients` are the closed forms at the end of a derivation; `*_backward` walk the drawn
computational graph from the last node to the first, one statement a node, numbered as in the
drawings. gradient_check.py compares the two with each other, with tf.gradients and with central
differences.

The network of problems 1 and 2 keeps the problem's convention: an example is a column, so that a
layer is W X + b. Batch normalization keeps the code's convention: an example is a row.
"""

import numpy as np


def sigmoid(x):
    """1 / (1 + exp(-x)) without overflow, any shape."""
    return np.exp(-np.logaddexp(0, -x))


def log_softmax(logits):
    """log(softmax) down each column of logits [classes, m], finite for logits of any size."""
    shifted = logits - logits.max(axis=0)
    return shifted - np.log(np.exp(shifted).sum(axis=0))


def network_forward(parameters, inputs, labels):
    """The value on every edge of the network's graph, by name.

    parameters: W1 [n1, d], b1 [n1, 1], W2 [n2, n1], b2 [n2, 1], W3 [classes, n2], b3 [classes, 1];
    inputs X [d, m]; labels y [classes, m], one-hot. L is the mean over the m examples.
    """
    value = dict(parameters, X=inputs, y=labels)
    value["u1"] = value["W1"] @ inputs  # node 1
    value["h1"] = value["u1"] + value["b1"]  # node 2
    value["a1"] = sigmoid(value["h1"])  # node 3
    value["u2"] = value["W2"] @ value["a1"]  # node 4
    value["h2"] = value["u2"] + value["b2"]  # node 5
    value["a2"] = np.tanh(value["h2"])  # node 6
    value["u3"] = value["W3"] @ value["a2"]  # node 7
    value["o"] = value["u3"] + value["b3"]  # node 8
    value["p"] = np.exp(log_softmax(value["o"]))  # node 9
    value["L"] = -(labels * log_softmax(value["o"])).sum(axis=0).mean()  # node 10
    return value


def softmax_cross_entropy_backward(value):
    """Nodes 10 and 9: dL/do [classes, m] through dL/dp and the softmax Jacobian.

    Needs every p > 0: a probability that underflowed makes y / p infinite, see
    log_softmax_cross_entropy_backward.
    """
    probabilities, labels = value["p"], value["y"]
    p_gradient = -labels / probabilities / labels.shape[1]  # node 10
    jacobian = -np.einsum("im,jm->mij", probabilities, probabilities)  # [m, classes, classes]
    diagonal = np.arange(labels.shape[0])
    jacobian[:, diagonal, diagonal] += probabilities.T
    return np.einsum("mij,im->jm", jacobian, p_gradient)  # node 9


def log_softmax_cross_entropy_backward(logits, labels):
    """dL/do [classes, m] through the log-sum-exp form of nodes 9 and 10, finite for every logit.

    Forward: t = o - max(o); e = exp(t); s = sum(e); l = log(s); L = mean over m of l - sum(y t).
    """
    m = labels.shape[1]
    exponentials = np.exp(logits - logits.max(axis=0))
    sum_gradient = 1 / m / exponentials.sum(axis=0)  # through l = log(s)
    # The sum of this over the classes, which max(o) would receive, is zero.
    return exponentials * sum_gradient - labels / m


def network_backward(value):
    """dL/d(edge) for every edge of the network's graph, node by node from 10 down to 1.

    value: from network_forward. Returns a dict with the keys o, W1..W3, b1..b3 and those of the
    inner edges, each gradient in the shape of its edge.
    """
    gradient = {"o": softmax_cross_entropy_backward(value)}  # nodes 10 and 9
    gradient["u3"] = gradient["o"]  # node 8
    gradient["b3"] = gradient["o"].sum(axis=1, keepdims=True)  # node 8: b3 feeds every column
    gradient["W3"] = gradient["u3"] @ value["a2"].T  # node 7
    gradient["a2"] = value["W3"].T @ gradient["u3"]  # node 7
    gradient["h2"] = gradient["a2"] * (1 - value["a2"] ** 2)  # node 6
    gradient["u2"] = gradient["h2"]  # node 5
    gradient["b2"] = gradient["h2"].sum(axis=1, keepdims=True)  # node 5
    gradient["W2"] = gradient["u2"] @ value["a1"].T  # node 4
    gradient["a1"] = value["W2"].T @ gradient["u2"]  # node 4
    gradient["h1"] = gradient["a1"] * value["a1"] * (1 - value["a1"])  # node 3
    gradient["u1"] = gradient["h1"]  # node 2
    gradient["b1"] = gradient["h1"].sum(axis=1, keepdims=True)  # node 2
    gradient["W1"] = gradient["u1"] @ value["X"].T  # node 1
    return gradient


def softmax_cross_entropy_gradient(logits, labels):
    """The closed form of problem 1: dL/do = (p - y) / m, [classes, m], finite for every logit."""
    return (np.exp(log_softmax(logits)) - labels) / labels.shape[1]


def network_gradients(parameters, inputs, labels):
    """The closed forms of problems 1 and 2: dL/do and dL/d of the six parameters, as a dict.

    Arguments and shapes as for network_forward.
    """
    ones = np.ones((inputs.shape[1], 1))
    first = sigmoid(parameters["W1"] @ inputs + parameters["b1"])
    second = np.tanh(parameters["W2"] @ first + parameters["b2"])
    logits = parameters["W3"] @ second + parameters["b3"]
    delta3 = softmax_cross_entropy_gradient(logits, labels)
    delta2 = parameters["W3"].T @ delta3 * (1 - second**2)
    delta1 = parameters["W2"].T @ delta2 * first * (1 - first)
    return {
        "o": delta3,
        "W3": delta3 @ second.T,
        "b3": delta3 @ ones,
        "W2": delta2 @ first.T,
        "b2": delta2 @ ones,
        "W1": delta1 @ inputs.T,
        "b1": delta1 @ ones,
    }


def batch_norm_forward(inputs, gamma, beta, epsilon):
    """The value on every edge of the batch normalization graph, by name.

    inputs x [m, features], normalized over its m rows; gamma, beta [features]; epsilon > 0 is added
    to the biased variance (Ioffe and Szegedy 2015, algorithm 1).
    """
    value = {"x": inputs, "gamma": gamma, "beta": beta}
    value["mean"] = inputs.mean(axis=0)  # node 1
    value["centered"] = inputs - value["mean"]  # node 2
    value["square"] = value["centered"] ** 2  # node 3
    value["variance"] = value["square"].mean(axis=0)  # node 4
    value["std"] = np.sqrt(value["variance"] + epsilon)  # node 5
    value["inverse_std"] = 1 / value["std"]  # node 6
    value["xhat"] = value["centered"] * value["inverse_std"]  # node 7
    value["scaled"] = gamma * value["xhat"]  # node 8
    value["y"] = value["scaled"] + beta  # node 9
    return value


def batch_norm_backward(value, output_gradient):
    """dF/d(edge) for every edge of the batch normalization graph, node by node from 9 down to 1.

    value: from batch_norm_forward; output_gradient: dF/dy [m, features]. Returns a dict with x,
    gamma, beta and the inner edges. An edge that feeds two nodes gets the sum of what both send.
    """
    m = len(output_gradient)
    gradient = {"scaled": output_gradient, "beta": output_gradient.sum(axis=0)}  # node 9
    gradient["gamma"] = (gradient["scaled"] * value["xhat"]).sum(axis=0)  # node 8
    gradient["xhat"] = gradient["scaled"] * value["gamma"]  # node 8
    gradient["inverse_std"] = (gradient["xhat"] * value["centered"]).sum(axis=0)  # node 7
    centered_by_7 = gradient["xhat"] * value["inverse_std"]  # node 7
    gradient["std"] = -gradient["inverse_std"] * value["inverse_std"] ** 2  # node 6
    gradient["variance"] = gradient["std"] / (2 * value["std"])  # node 5
    gradient["square"] = np.tile(gradient["variance"] / m, (m, 1))  # node 4
    centered_by_3 = gradient["square"] * 2 * value["centered"]  # node 3
    gradient["centered"] = centered_by_7 + centered_by_3
    gradient["mean"] = -gradient["centered"].sum(axis=0)  # node 2
    x_by_2 = gradient["centered"]  # node 2
    x_by_1 = np.tile(gradient["mean"] / m, (m, 1))  # node 1
    gradient["x"] = x_by_2 + x_by_1
    return gradient


def batch_norm_gradients(inputs, gamma, output_gradient, epsilon):
    """The closed forms of problem 3: dF/dx [m, features], dF/dgamma and dF/dbeta [features].

    Arguments as for batch_norm_forward and batch_norm_backward; returns a dict.
    """
    std = np.sqrt(inputs.var(axis=0) + epsilon)
    xhat = (inputs - inputs.mean(axis=0)) / std
    projection = (output_gradient * xhat).mean(axis=0)
    centered = output_gradient - output_gradient.mean(axis=0)
    return {
        "x": gamma / std * (centered - xhat * projection),
        "gamma": (output_gradient * xhat).sum(axis=0),
        "beta": output_gradient.sum(axis=0),
    }
