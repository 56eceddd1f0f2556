"""Trains a fully connected network on MNIST, with or without batch normalization.

python fc_train.py
python fc_train.py --batch-norm
python fc_train.py --batch-norm --optimizer momentum --learning-rate 0.05 --seed 1
"""

if __name__ == "__main__":
    from graph_mode import start

    start.program()

from graph_mode import batch, command_line, commands, layers, options
from graph_mode import tensorflow1 as tf
from graph_mode.gradients import manual_gradients

ACTIVATIONS = ("relu", "sigmoid", "tanh")
SMALLEST_LAYER = 8


def parse_options(arguments=None):
    """The flags as a namespace; hidden_units is the list of the hidden layers' sizes."""
    flags = options.parser(__doc__)
    network_flags = flags.add_argument_group("the fully connected network")
    network_flags.add_argument(
        "--layers",
        type=options.positive_integer,
        metavar="N",
        help="hidden layers (default: 5); layer i has 2^(9-i) units, at least 8",
    )
    network_flags.add_argument(
        "--hidden-units",
        type=options.positive_integers,
        metavar="N,N,...",
        help="the size of each hidden layer, in place of --layers (default: 256,128,64,32,16)",
    )
    network_flags.add_argument(
        "--activation", choices=ACTIVATIONS, default="relu", help="of the hidden layers"
    )
    network_flags.add_argument(
        "--manual-gradients",
        action="store_true",
        default=False,
        help="train with the backward pass derived by hand in docs/gradients.md, in place of "
        "tf.gradients",
    )
    settings = options.parse(flags, arguments, "fc")
    if settings.hidden_units is None:
        depth = settings.layers or 5
        settings.hidden_units = [max(2 ** (9 - i), SMALLEST_LAYER) for i in range(1, depth + 1)]
    elif settings.layers not in (None, len(settings.hidden_units)):
        flags.error(
            f"--layers {settings.layers} contradicts --hidden-units, which names "
            f"{len(settings.hidden_units)} layers: leave one of them out"
        )
    settings.layers = len(settings.hidden_units)
    return settings


def network(images, is_training, num_classes, settings):
    """images float [n, height, width, channels] -> logits [n, num_classes]."""
    activation = {"relu": tf.nn.relu, "sigmoid": tf.sigmoid, "tanh": tf.tanh}[settings.activation]
    layer = layers.flatten(images)
    for units in settings.hidden_units:
        layer = layers.dense(layer, units, use_bias=settings.hidden_bias)
        if settings.batch_norm:
            layer = layers.batch_normalization(layer, training=is_training)
        layer = batch.apply(activation, layer)
    return layers.dense(layer, num_classes)


def main(arguments=None):
    settings = parse_options(arguments)
    backward = manual_gradients.backward if settings.manual_gradients else None
    commands.run("fc", network, settings, backward)


if __name__ == "__main__":
    command_line.run(main)
