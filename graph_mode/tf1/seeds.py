"""The seeds of TensorFlow 1.15 for the random operations of a graph whose own seed is set.

They were the number of operations in the graph. Here it is so again, and what layers made in 1.15
and no longer make is counted, too. It carries as far as the loss: losses, gradients and optimizers
are made of other operations now.
"""

import functools
import importlib

from graph_mode import tensorflow1 as tf

# tf.nn.dropout in 1.15: operations before its random one, and in all.
DROPOUT_BEFORE, DROPOUT = 4, 16


def _count(graph):
    """How many operations 1.15 would have made in the graph so far."""
    more = getattr(graph, "_only_in_1_15", 0)
    return getattr(graph, "_count_in_dropout", None) or graph.version + more


def add(number):
    """Counts operations that 1.15 made here and this release does not."""
    graph = tf.get_default_graph()
    graph._only_in_1_15 = getattr(graph, "_only_in_1_15", 0) + number


def _of_normalization(layer, inputs, *arguments, **keywords):
    training = keywords.get("training", arguments[-1] if arguments else None)
    return (2 if training else 1) if isinstance(training, (bool, int)) else 0


# What layers made in 1.15 and no longer make: their number, by the arguments of the method.
LAYERS = (
    ("Dense", "call", lambda layer, x: (x.shape.ndims > 2) * (4 + 2 * x.shape.is_fully_defined())),
    ("Dropout", "call", lambda layer, x, training=False: isinstance(training, tf.Tensor)),
    ("Conv2D", "build", lambda layer, shape: 1),  # dilation_rate
    ("Conv2DTranspose", "call", lambda layer, inputs: 14),  # the output's shape
    ("Flatten", "call", lambda layer, x: 6 * (x.shape.ndims > 1 and x.shape[0].value is None)),
    ("BatchNormalization", "_fused_batch_norm", _of_normalization),
)


def changes():
    """Yields (owner, name, value) of what makes random operations take the seeds of 1.15."""
    ops = "tensorflow.python.ops"
    random_seed = importlib.import_module("tensorflow.python.framework.random_seed")
    get_seed = random_seed.get_seed

    @functools.wraps(get_seed)
    def by_operations(op_seed):
        graph = tf.get_default_graph()
        if op_seed is None and graph.seed is not None and not tf.executing_eagerly():
            graph._seed_used = True
            op_seed = _count(graph)
        return get_seed(op_seed)

    yield random_seed, "get_seed", by_operations
    nn_ops = importlib.import_module(f"{ops}.nn_ops")
    name = "_dropout" if hasattr(nn_ops, "_dropout") else "dropout_v2"
    yield nn_ops, name, _dropout(getattr(nn_ops, name))
    for layer, method, number in LAYERS:
        for owner in getattr(tf.layers, layer).__mro__:
            if method in vars(owner):
                yield owner, method, _with_more(vars(owner)[method], number)
                break
    for path in ("tensorflow.compat.v1", "tensorflow.compat.v2", f"{ops}.array_ops"):
        owner = importlib.import_module(path)
        yield owner, "split", _with_more(owner.split, lambda *_, **__: 1)
    yield tf.nn, "dynamic_rnn", _with_more(tf.nn.dynamic_rnn, lambda *_, **__: 1)


def _with_more(function, number):
    @functools.wraps(function)
    def counted(*arguments, **keywords):
        more = number(*arguments, **keywords)
        comes_first = function.__name__ == "call"  # in which dropout is random
        add(more if comes_first else 0)
        result = function(*arguments, **keywords)
        add(0 if comes_first else more)
        return result

    return counted


def _dropout(function):
    @functools.wraps(function)
    def counted(x, rate, *arguments, **keywords):
        if not isinstance(rate, tf.Tensor) and rate == 0:
            return function(x, rate, *arguments, **keywords)
        graph = tf.get_default_graph()
        # A rate that is a tensor needs no constant.
        start = _count(graph) - isinstance(rate, tf.Tensor)
        graph._count_in_dropout = start + DROPOUT_BEFORE
        try:
            result = function(x, rate, *arguments, **keywords)
        finally:
            graph._count_in_dropout = None
        add(start + DROPOUT - _count(graph))
        return result

    return counted
