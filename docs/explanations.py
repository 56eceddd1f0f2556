"""Both networks of the exercise, with what may explain the effect of batch norm (docs/results.md).

python docs/explanations.py --part variance --optimizer sgd
python docs/explanations.py --batch-norm --fixed-lengths --learning-rate 0.06
python compare.py --config docs/results/why.json
"""

import functools
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

import numpy as np

import mnist_data
from graph_mode import batch, command_line, commands, layers, model
from graph_mode import tensorflow1 as tf
from graph_mode.flags import Flag, integer_from_0

NETWORK = "explanations"
FLAGS = [
    Flag("architecture", str, "fc", "fully connected or convolutional", choices=("fc", "conv")),
    Flag(
        "part", str, "nothing", "without --batch-norm, what hidden layers have of it: they "
        "subtract the mean or divide by the standard deviation",
        choices=("nothing", "mean", "variance"),
    ),
    Flag(
        "statistics_images", integer_from_0, 0, "in training, batch norm takes its statistics over "
        "this many images besides those of the batch", metavar="N",
    ),
    Flag("fixed_lengths", bool, False, "after each step, give each kernel back its first length"),
]  # fmt: skip


def network(images, training, num_classes, flags):
    """images float [n, height, width, channels] -> logits [n, num_classes], as in fc_train.py and
    conv_train.py."""
    count = None
    if flags.batch_norm and flags.statistics_images and training:
        images, count = batch.joined(images), tf.shape(images)[0]
        images = tf.concat([images, further_images(flags.statistics_images, flags.data_dir)], 0)
    constraint = fixed_length(flags) if flags.fixed_lengths else None
    options = {"use_bias": False, "kernel_constraint": constraint}
    layer = images if flags.architecture == "conv" else layers.flatten(images)
    for i in range(1, 6):
        if flags.architecture == "conv":
            layer = layers.conv2d(layer, 4 * i, 3, 2 if i == 3 else 1, "same", **options)
        else:
            layer = layers.dense(layer, 2 ** (9 - i), **options)
        layer = batch.apply(tf.nn.relu, normalized(layer, training, flags))
    if flags.architecture == "conv":
        layer = layers.dense(layers.flatten(layer), 100, **options)
        layer = batch.apply(tf.nn.relu, normalized(layer, training, flags))
    logits = layers.dense(layer, num_classes)
    return logits if count is None else logits[:count]


def normalized(layer, training, flags):
    """Batch norm of the layer if the flags ask for it, or a part of it with gamma and beta."""
    layer = model.normalize(layer, "before", training, flags)
    if flags.batch_norm or flags.part == "nothing":
        return layer
    whole = batch.joined(layer)
    channels = whole.shape.as_list()[-1:]
    axes = list(range(whole.shape.ndims - 1))
    with tf.variable_scope(None, flags.part):
        beta = tf.get_variable("beta", channels, initializer=tf.zeros_initializer())
        moments = tf.nn.moments(whole, axes)
        mean = averaged("mean", moments[0], training, flags)
        if flags.part == "mean":
            return layer - mean + beta
        variance = averaged("variance", moments[1], training, flags)
        gamma = tf.get_variable("gamma", channels, initializer=tf.ones_initializer())
        return layer * (gamma / tf.sqrt(variance + flags.batch_norm_epsilon)) + beta


def averaged(name, value, training, flags):
    """The value while training, otherwise its moving average."""
    start = tf.zeros_initializer() if name == "mean" else tf.ones_initializer()
    average = tf.get_variable(f"average_{name}", value.shape, initializer=start, trainable=False)
    if not training:
        return average.read_value()
    update = average.assign_sub((1 - flags.batch_norm_momentum) * (average - value))
    tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
    return value


def fixed_length(flags):
    """A constraint, which gives a kernel the length that Glorot's weights have on average."""

    def constraint(kernel):
        *window, inputs, outputs = kernel.shape.as_list()
        fans = int(np.prod(window)) * (inputs + outputs)
        length = math.sqrt(2 * flags.weight_gain * kernel.shape.num_elements() / fans)
        return kernel * (length / tf.norm(kernel))

    return constraint


@functools.lru_cache(maxsize=None)
def training_images(data_dir):
    data = mnist_data.read_data_sets(data_dir, dtype="uint8", reshape=False, download=False)
    return data.train.images


def further_images(count, data_dir):
    """The last training images, float32 [count, height, width, channels]."""
    return tf.cast(tf.constant(training_images(data_dir)[-count:]), tf.float32) / 255


script = commands.Script(NETWORK, network, FLAGS, __doc__)
parse_flags, main = script.parse_flags, script.main

if __name__ == "__main__":
    command_line.run(main)
