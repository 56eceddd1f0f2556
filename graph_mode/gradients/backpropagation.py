"""The gradients of docs/gradients.md in NumPy, each derived by hand and written down twice.

`*_gradients` are the closed forms at the end of a derivation; `*_backward` walk the drawn
computational graph from the last node to the first, one statement a node, numbered as there.

`value` is {edge: its value}, as gradient_check.py's graphs name and compute them. In the network of
problems 1 and 2 an example is a column: a layer is W X + b, with X [d, m], W1 [n1, d], b1 [n1, 1],
..., and labels y [classes, m], one-hot. In batch normalization it is a row of x [m, features].
"""

import numpy as np

EPSILON = 1e-3  # of batch normalization: the training networks' value


def log_softmax_cross_entropy_backward(value):
    """dL/do through the log-sum-exp form of nodes 9 and 10, finite for every logit: t = o -
    max(o); e = exp(t); s = sum(e); l = log(s); L = mean over m of l - sum(y t)."""
    m = value["y"].shape[1]
    exponentials = np.exp(value["o"] - value["o"].max(axis=0))
    sum_gradient = 1 / m / exponentials.sum(axis=0)  # through l = log(s)
    # The sum of this over the classes, which max(o) would receive, is zero.
    return {"o": exponentials * sum_gradient - value["y"] / m}


def network_backward(value):
    """dL/d(edge) for every edge of the network's graph, node by node from 10 down to 1."""
    probabilities, labels = value["p"], value["y"]
    p_gradient = -labels / probabilities / labels.shape[1]  # node 10, for every p > 0
    jacobian = -np.einsum("im,jm->mij", probabilities, probabilities)  # [m, classes, classes]
    jacobian += np.einsum("im,ij->mij", probabilities, np.eye(len(labels)))
    gradient = {"o": np.einsum("mij,im->jm", jacobian, p_gradient)}  # node 9
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


def softmax_cross_entropy_gradient(value):
    """The closed form of problem 1: dL/do = (p - y) / m, finite for every logit."""
    labels, shifted = value["y"], value["o"] - value["o"].max(axis=0)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=0))
    return {"o": (np.exp(log_softmax) - labels) / labels.shape[1]}


def network_gradients(value):
    """The closed forms of problems 1 and 2: dL/do and dL/d of the six parameters, by these and X
    and y alone."""
    ones = np.ones((value["X"].shape[1], 1))
    first = 1 / (1 + np.exp(-value["W1"] @ value["X"] - value["b1"]))
    second = np.tanh(value["W2"] @ first + value["b2"])
    logits = value["W3"] @ second + value["b3"]
    delta3 = softmax_cross_entropy_gradient({"o": logits, "y": value["y"]})["o"]
    delta2 = value["W3"].T @ delta3 * (1 - second**2)
    delta1 = value["W2"].T @ delta2 * first * (1 - first)
    found = {"o": delta3}
    for layer, delta, inputs in ((3, delta3, second), (2, delta2, first), (1, delta1, value["X"])):
        found.update({f"W{layer}": delta @ inputs.T, f"b{layer}": delta @ ones})
    return found


def batch_norm_backward(value):
    """dF/d(edge) for every edge of the batch normalization graph, node by node from 9 down to 1;
    value holds dF/dy as dy. An edge that feeds two nodes gets the sum of what both send."""
    m = len(value["x"])
    gradient = {"scaled": value["dy"], "beta": value["dy"].sum(axis=0)}  # node 9
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


def batch_norm_gradients(value):
    """The closed forms of problem 3, dF/dx, dF/dgamma and dF/dbeta, by x, gamma and dy alone, with
    epsilon beside the biased variance (Ioffe and Szegedy 2015, algorithm 1)."""
    x, dy = value["x"], value["dy"]
    std = np.sqrt(x.var(axis=0) + EPSILON)
    xhat = (x - x.mean(axis=0)) / std
    projection = (dy * xhat).mean(axis=0)
    return {
        "x": value["gamma"] / std * (dy - dy.mean(axis=0) - xhat * projection),
        "gamma": (dy * xhat).sum(axis=0),
        "beta": dy.sum(axis=0),
    }
