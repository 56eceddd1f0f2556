"""Random small networks: in 1, 2, 3 and 5 slices each gives the same, and what tf.layers gives.

    python tests/random_networks.py 100 [SEED]

Loss, gradients and moving averages, in float64, agree within 1e-8. tf.layers is compared on
TensorFlow 1.15, which has it. The exit code is 1 if a network differs; its number makes it again.
"""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tqdm import tqdm  # noqa: E402

from graph_mode import batch, layers  # noqa: E402
from graph_mode import tensorflow1 as tf  # noqa: E402

ACTIVATIONS = (
    "relu", "tanh", tf.nn.softplus, tf.nn.softmax,
    lambda x: x * tf.sigmoid(x),
    lambda x: x - tf.reduce_mean(x, axis=0),
    lambda x: x / (1 + tf.reduce_max(tf.abs(x))),
    lambda x: tf.nn.softmax(x, axis=0),
    lambda x: tf.cumsum(x, axis=0) / 5,
)  # fmt: skip


def squares(variable):
    return 0.01 * tf.reduce_sum(tf.square(variable))


class RandomNetwork:
    """A network that draws its layers from a seed: build(library, x) is the same each time."""

    def __init__(self, seed):
        random = np.random.RandomState(seed)
        self.images = random.randn(int(random.randint(5, 12)), 5, 4, 2)
        self._seed = seed

    def build(self, library, x):
        """The outputs [n, 3] of the images [n, 5, 4, 2], a tensor or a Batch."""
        self._random, self._library = np.random.RandomState(self._seed), library
        for _ in range(self._random.randint(3)):
            x = self._image_layer(x)
        x = library.flatten(x)
        for _ in range(self._random.randint(1, 5)):
            x = self._vector_layer(x)
        return library.dense(x, 3)

    def _pick(self, *choices):
        return choices[self._random.randint(len(choices))]

    def _image_layer(self, x):
        kind, library = self._pick("conv", "norm", "pool", "branches", "residual"), self._library
        if kind == "norm":
            return library.batch_normalization(x, training=True, fused=False)
        if kind == "pool":
            return library.average_pooling2d(x, 2, 1, "same")
        y = library.conv2d(x, 3, 3, 1, "same", activation=self._pick(None, *ACTIVATIONS))
        if kind == "residual":
            return y + library.conv2d(y, 3, 1, kernel_regularizer=squares)
        return tf.concat([x, y], -1) if kind == "branches" else y

    def _vector_layer(self, x):
        kinds = ("dense", "norm", "after", "shared", "cond", "centred", "gate", "apply", "penalty")
        kind, library = self._pick(*kinds), self._library
        if kind == "norm":
            return library.batch_normalization(x, training=True, momentum=0.9)
        if kind == "centred":
            return x - tf.reduce_mean(x, axis=0)
        if kind == "apply":
            return batch.apply(self._pick(*ACTIVATIONS[2:]), x)
        if kind == "cond":
            y = library.dense(x, 4)
            return tf.cond(self._flag, lambda: tf.nn.relu(y), lambda: tf.identity(y))
        activity = squares if kind == "penalty" else None
        y = library.dense(x, 4, self._pick(None, *ACTIVATIONS), activity_regularizer=activity)
        if kind == "after":
            return library.batch_normalization(tf.nn.relu(y), training=True)
        if kind == "shared":
            name = f"shared_{self._random.randint(10**9)}"
            y = library.dense(y, 4, name=name)
            y = library.batch_normalization(y, training=True, name=f"{name}_norm")
            y = library.dense(y, 4, name=name, reuse=True)
            return library.batch_normalization(y, training=True, name=f"{name}_norm", reuse=True)
        if kind == "gate":
            return y * batch.apply(tf.sigmoid, library.dense(y, 4))
        return y

    def results(self, library, slices):
        """{name: value} of the loss, the penalties, the gradients and the averages after a step."""
        with tf.Graph().as_default(), tf.Session() as session:
            self._flag = tf.placeholder_with_default(self._seed % 2 == 0, [])
            outputs = self.build(library, batch.split(tf.constant(self.images), slices))
            outputs = batch.joined(outputs)
            penalties = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
            loss = tf.reduce_mean(tf.square(outputs - 1)) + tf.reduce_max(outputs) / 10
            values = {"loss": loss, "penalties": tf.add_n(penalties + [0 * loss])}
            trained = tf.trainable_variables()
            gradients = tf.gradients(tf.add_n(penalties + [loss]), trained)
            for variable, gradient in zip(trained, gradients):
                if gradient is not None:
                    values[f"gradient of {variable.op.name}"] = gradient
            random = np.random.RandomState(self._seed)
            for variable in sorted(tf.global_variables(), key=lambda variable: variable.op.name):
                value = 0.3 * random.randn(*variable.shape.as_list())
                session.run(variable.initializer, {variable.initializer.inputs[1]: value})
            found = session.run(values)
            averages = [v for v in tf.global_variables() if "moving" in v.op.name]
            for update in tf.get_collection(tf.GraphKeys.UPDATE_OPS):
                session.run(update)
            found.update({v.op.name: value for v, value in zip(averages, session.run(averages))})
        return found


def differences(seed):
    """The names of what differs, with the slices or "tf.layers" in which it does."""
    network, found = RandomNetwork(seed), []
    expected = network.results(layers, 1)
    others = {f"{slices} slices": (layers, slices) for slices in (2, 3, 5)}
    if tf.version() < (2, 0):
        others["tf.layers"] = (tf.layers, 1)
    for name, arguments in others.items():
        values = network.results(*arguments)
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
