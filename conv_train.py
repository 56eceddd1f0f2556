"""Trains a convolutional network on MNIST, with or without batch normalization.

python conv_train.py
python conv_train.py --batch-norm
python conv_train.py --optimizer adam --layers 3 --num-batches 1000
"""

if __name__ == "__main__":
    from graph_mode import start

    start.program()

from graph_mode import batch, command_line, commands, layers, options
from graph_mode import tensorflow1 as tf


def parse_options(arguments=None):
    """The flags as a namespace."""
    flags = options.parser(__doc__)
    network_flags = flags.add_argument_group("the convolutional network")
    for name, default, meaning in (
        ("--layers", 5, "convolutions"),
        ("--filters-step", 4, "convolution i has i times this many filters"),
        ("--stride-every", 3, "every so many convolutions, one has stride 2"),
        ("--kernel-size", 3, "height and width of the kernels"),
        ("--dense-units", 100, "size of the dense layer after the convolutions"),
    ):
        network_flags.add_argument(
            name, type=options.positive_integer, default=default, metavar="N", help=meaning
        )
    return options.parse(flags, arguments, "conv")


def network(images, is_training, num_classes, settings):
    """images float [n, height, width, channels] -> logits [n, num_classes]."""

    def normalize_and_activate(layer):
        if settings.batch_norm:
            layer = layers.batch_normalization(layer, training=is_training)
        return batch.apply(tf.nn.relu, layer)

    layer = images
    for i in range(1, settings.layers + 1):
        filters = i * settings.filters_step
        strides = 2 if i % settings.stride_every == 0 else 1
        layer = layers.conv2d(
            layer, filters, settings.kernel_size, strides, "same", use_bias=settings.hidden_bias
        )
        layer = normalize_and_activate(layer)
    layer = layers.dense(layers.flatten(layer), settings.dense_units, use_bias=settings.hidden_bias)
    layer = normalize_and_activate(layer)
    return layers.dense(layer, num_classes)


def main(arguments=None):
    commands.run("conv", network, parse_options(arguments))


if __name__ == "__main__":
    command_line.run(main)
