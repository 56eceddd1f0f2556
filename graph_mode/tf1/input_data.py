"""Stands for tensorflow.examples.tutorials.mnist.input_data: mnist_data.py, seeded as it was."""

import os

import numpy as np

import mnist_data
from graph_mode import tensorflow1 as tf
from mnist_data import dense_to_one_hot, extract_images, extract_labels

__all__ = ["DataSet", "dense_to_one_hot", "extract_images", "extract_labels", "read_data_sets"]
DEFAULT_SOURCE_URL = mnist_data.DEFAULT_SOURCE_URL


def read_data_sets(
    train_dir, fake_data=False, one_hot=False, dtype=tf.float32, reshape=True, validation_size=5000,
    seed=None, source_url=DEFAULT_SOURCE_URL,
):  # fmt: skip
    """As mnist_data.read_data_sets; prints the four lines that the original printed."""
    sets = mnist_data.read_data_sets(
        train_dir, fake_data, one_hot, dtype, reshape, validation_size, seed, source_url
    )
    if not fake_data:
        for name in mnist_data.CANONICAL:
            print("Extracting", os.path.join(train_dir, f"{name}.gz"))
    for data_set in sets:
        _share_numpy(data_set, seed)
    return sets


class DataSet(mnist_data.DataSet):
    """As mnist_data.DataSet, with the random numbers of the original."""

    def __init__(
        self, images, labels, fake_data=False, one_hot=False, dtype=tf.float32, reshape=True,
        seed=None,
    ):  # fmt: skip
        super().__init__(images, labels, fake_data, one_hot, dtype, reshape)
        _share_numpy(self, seed)


def _share_numpy(data_set, seed):
    """Has a set draw from NumPy's own generator, seeded by `seed` or tf.set_random_seed."""
    of_graph, of_operation = tf.get_seed(seed)
    np.random.seed(of_graph if seed is None else of_operation)
    data_set._random = None


def load_mnist(train_dir="MNIST-data"):
    return read_data_sets(train_dir)


def load_data(path=None):
    """tf.keras.datasets.mnist.load_data: images uint8 [60000, 28, 28] and labels [60000], twice.

    The second pair is the test set, of 10,000. Both are this project's.
    """
    data = mnist_data.read_data_sets(
        mnist_data.OWN, dtype=np.uint8, reshape=False, validation_size=0, download=False
    )
    return tuple((part.images[..., 0], part.labels) for part in (data.train, data.test))
