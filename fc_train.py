"""Trains a fully connected network on MNIST, with or without batch normalization.

python fc_train.py
python fc_train.py --batch-norm
python fc_train.py --batch-norm --optimizer momentum --learning-rate 0.05 --seed 1
python fc_train.py --fast

--fast trains hidden layers of 256 and 128 with batch norm of momentum 0.9, for 400 batches of 256,
while the learning rate rises to 0.02 and falls again. Test accuracy over 10 seeds: 98.10 ± 0.05 %
(docs/results.md), in 1.6 s of training on 2 cores of an Intel Xeon (docs/benchmarks.md).
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from graph_mode import batch, command_line, commands, layers, model
from graph_mode import tensorflow1 as tf
from graph_mode.flags import Flag, positive_integer, positive_integers

NETWORK = "fc"
SMALLEST_LAYER = 8
FLAGS = [
    Flag(
        "layers", positive_integer, None, "hidden layers (default: 5); layer i has 2^(9-i) units, "
        "at least 8", metavar="N",
    ),
    Flag(
        "hidden_units", positive_integers, None, "the size of each hidden layer, in place of "
        "--layers (default: 256,128,64,32,16)", metavar="N,N,...",
    ),
    Flag(
        "activation", str, "relu", "of the hidden layers", choices=("relu", "sigmoid", "tanh")
    ),
    Flag(
        "manual_gradients", bool, False, "train with the backward pass derived by hand in "
        "docs/gradients.md, in place of tf.gradients",
    ),
]  # fmt: skip


def complete(parser, flags):
    """Sets layers and hidden_units, the list of sizes, each from the other."""
    if flags.hidden_units is None:
        depth = flags.layers or 5
        flags.hidden_units = [max(2 ** (9 - i), SMALLEST_LAYER) for i in range(1, depth + 1)]
    elif flags.layers not in (None, len(flags.hidden_units)):
        parser.error(
            f"--layers {flags.layers} contradicts --hidden-units, which names "
            f"{len(flags.hidden_units)} layers: leave one of them out"
        )
    flags.layers = len(flags.hidden_units)
    if flags.manual_gradients and flags.batch_norm and flags.batch_norm_position == "after":
        parser.error(
            "--manual-gradients is derived for --batch-norm-position before: leave one of them out"
        )


def fast(named):
    """What --fast stands for. named: the flags that are given besides."""
    recipe = {**commands.FAST, "num_batches": 400, "batch_size": 256}
    return recipe if {"layers", "hidden_units"} & set(named) else {**recipe, "layers": 2}


def network(images, training, num_classes, flags):
    """images float [n, height, width, channels] -> logits [n, num_classes]."""
    activation = {"relu": tf.nn.relu, "sigmoid": tf.sigmoid, "tanh": tf.tanh}[flags.activation]
    layer = layers.flatten(images)
    for units in flags.hidden_units:
        layer = layers.dense(layer, units, use_bias=flags.hidden_bias)
        layer = model.normalize(layer, "before", training, flags)
        layer = batch.apply(activation, layer)
        layer = model.normalize(layer, "after", training, flags)
    return layers.dense(layer, num_classes)


def backward(flags):
    """The backward pass by hand, if it is asked for."""
    if not flags.manual_gradients:
        return None
    from graph_mode.gradients import manual_gradients

    return manual_gradients.backward


script = commands.Script(NETWORK, network, FLAGS, __doc__, complete, backward, fast)
parse_flags, main = script.parse_flags, script.main

if __name__ == "__main__":
    command_line.run(main)
