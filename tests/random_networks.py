"""Random small networks: in 1, 2, 3 and 5 slices each gives the same, and what tf.layers gives.

    python tests/random_networks.py 100 [SEED]

Loss, gradients and moving averages, in float64, agree within 1e-8. tf.layers is compared on
TensorFlow 1.15, which has it. The exit code is 1 if a network differs; its number makes it again.
"""

import os
import sys
import typing

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tqdm import tqdm  # noqa: E402

from graph_mode import batch, layers  # noqa: E402
from graph_mode import tensorflow1 as tf  # noqa: E402

FUNCTIONS = (
    tf.nn.softplus, tf.nn.softmax,
    lambda x: x * tf.sigmoid(x),
    lambda x: x - tf.reduce_mean(x, axis=0),
    lambda x: x / (1 + tf.reduce_max(tf.abs(x))),
    lambda x: tf.nn.softmax(x, axis=0),
    lambda x: tf.cumsum(x, axis=0) / 5,
)  # fmt: skip
ACTIVATIONS = (None, "relu", "tanh", *FUNCTIONS)


def squares(variable):
    return 0.01 * tf.reduce_sum(tf.square(variable))


class Layer(typing.NamedTuple):
    """What a layer is made of: tf.layers or this project's, and what was drawn for it."""

    library: typing.Any
    activation: typing.Any
    function: typing.Any
    flag: typing.Any
    name: str

    def conv(self, x, filters=3, activation=None):
        return self.library.conv2d(x, filters, 3, padding="same", activation=activation)

    def dense(self, x, **keywords):
        return self.library.dense(x, 4, **keywords)

    def norm(self, x, **keywords):
        return self.library.batch_normalization(x, training=True, **keywords)

    def residual(self, x):
        y = self.conv(x, activation=self.activation)
        return y + self.library.conv2d(y, 3, 1, kernel_regularizer=squares)

    def in_branch(self, x):
        def branch():
            return self.norm(self.conv(x, x.shape.as_list()[-1]), fused=False) + x[..., :1]

        return tf.cond(self.flag, branch, lambda: tf.identity(x))

    def branches(self, x):
        y = self.dense(x)
        return tf.cond(self.flag, lambda: tf.nn.relu(y), lambda: tf.identity(y))

    def shared(self, x):
        x = self.dense(x)
        for reuse in (None, True):
            x = self.dense(x, name=self.name, reuse=reuse)
            x = self.norm(x, name=f"{self.name}_norm", reuse=reuse)
        return x


# Functions of a Layer and of its inputs: of images, and of vectors.
IMAGE_LAYERS = (
    lambda layer, x: layer.conv(x, activation=layer.activation),
    lambda layer, x: layer.norm(x, fused=False),
    lambda layer, x: layer.library.average_pooling2d(x, 2, 1, "same"),
    lambda layer, x: tf.nn.max_pool2d(x, 2, 1, "SAME"),
    lambda layer, x: tf.concat([x, layer.conv(x, activation=layer.activation)], -1),
    Layer.residual,
    Layer.in_branch,
)
VECTOR_LAYERS = (
    lambda layer, x: layer.dense(x, activation=layer.activation),
    lambda layer, x: layer.dense(x, activation=layer.activation, activity_regularizer=squares),
    lambda layer, x: layer.norm(x, momentum=0.9),
    lambda layer, x: layer.norm(tf.nn.relu(layer.dense(x, activation=layer.activation))),
    lambda layer, x: x - tf.reduce_mean(x, axis=0),
    lambda layer, x: batch.apply(layer.function, x),
    lambda layer, x: layer.dense(x) * batch.apply(tf.sigmoid, layer.dense(x)),
    lambda layer, x: layer.library.dropout(x, 0.3, seed=4, training=layer.flag),
    Layer.branches,
    Layer.shared,
)


def build(seed, library, x, flag):
    """The outputs [n, 3] of the images [n, 5, 4, 2], a tensor or a Batch: the same each time."""
    random = np.random.RandomState(seed)
    kinds = [IMAGE_LAYERS] * random.randint(3) + [None] + [VECTOR_LAYERS] * random.randint(1, 5)
    for number, kind in enumerate(kinds):
        drawn = [each[random.randint(len(each))] for each in (ACTIVATIONS, FUNCTIONS, kind or [0])]
        layer = Layer(library, *drawn[:2], flag, f"shared_{number}")
        x = drawn[2](layer, x) if kind else library.flatten(x)
    return library.dense(x, 3)


def results(seed, library, slices):
    """{name: value} of the loss, the penalties, the gradients and the averages after a step."""
    random = np.random.RandomState(seed)
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.constant(random.randn(int(random.randint(5, 12)), 5, 4, 2))
        flag = tf.placeholder_with_default(seed % 2 == 0, [])
        outputs = batch.joined(build(seed, library, batch.split(images, slices), flag))
        penalties = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        loss = tf.reduce_mean(tf.square(outputs - 1)) + tf.reduce_max(outputs) / 10
        values = {"loss": loss, "penalties": tf.add_n(penalties + [0 * loss])}
        trained = tf.trainable_variables()
        gradients = tf.gradients(tf.add_n(penalties + [loss]), trained)
        for variable, gradient in zip(trained, gradients):
            if gradient is not None:
                values[f"gradient of {variable.op.name}"] = gradient
        for variable in sorted(tf.global_variables(), key=lambda variable: variable.op.name):
            value = 0.3 * random.randn(*variable.shape.as_list())
            session.run(variable.initializer, {variable.initializer.inputs[1]: value})
        found = session.run(values)
        averages = [v for v in tf.global_variables() if "moving" in v.op.name]
        for update in tf.get_collection(tf.GraphKeys.UPDATE_OPS):
            if update.graph is session.graph:  # not one in a branch
                session.run(update)
        found.update({v.op.name: value for v, value in zip(averages, session.run(averages))})
    return found


def differences(seed):
    """The names of what differs, with the slices or "tf.layers" in which it does."""
    found, expected = [], results(seed, layers, 1)
    others = {f"{slices} slices": (layers, slices) for slices in (2, 3, 5)}
    if tf.version() < (2, 0):
        others["tf.layers"] = (tf.layers, 1)
    for name, arguments in others.items():
        values = results(seed, *arguments)
        assert set(values) == set(expected), (name, set(values) ^ set(expected))
        for what, value in values.items():
            scale = max(1, np.abs(expected[what]).max())
            if not np.abs(value - expected[what]).max() <= 1e-8 * scale:
                found.append(f"{what} in {name}")
    return found


def main(count, seed=0):
    failed = 0
    for number in tqdm(range(seed, seed + count), unit="network", disable=None):
        found = differences(number)
        failed += bool(found)
        if found:
            print(f"network {number}: {', '.join(found)}")
    print(f"{count} networks, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
