"""Stands for the few names of tf.keras that programs use without its layers."""

import os

import numpy as np

import mnist_data
from graph_mode import tensorflow1 as tf
from graph_mode.tf1 import addresses


def load_data(path="mnist.npz"):
    """tf.keras.datasets.mnist.load_data: images uint8 [60000, 28, 28] and labels [60000], twice.

    The second pair is the test set, of 10,000. Read from `path`, in the folder where Keras keeps
    its copies, if it is there; else from this project's own MNIST.
    """
    path = os.path.join(os.path.expanduser("~"), ".keras", "datasets", path)
    if os.path.isfile(path):
        with np.load(path) as file:
            return tuple((file[f"x_{part}"], file[f"y_{part}"]) for part in ("train", "test"))
    data = mnist_data.read_data_sets(
        addresses.DATA, dtype=np.uint8, reshape=False, validation_size=0, download=False
    )
    return tuple((part.images[..., 0], part.labels) for part in (data.train, data.test))


def clear_session():
    """tf.keras.backend.clear_session: a new default graph."""
    tf.reset_default_graph()


def to_categorical(y, num_classes=None, dtype="float32"):
    """tf.keras.utils.to_categorical: labels [n] as rows with a one, [n, num_classes]."""
    y = np.asarray(y, dtype=int)
    shape = y.shape[:-1] if y.ndim > 1 and y.shape[-1] == 1 else y.shape
    num_classes = num_classes or int(y.max()) + 1
    return np.eye(num_classes, dtype=dtype)[y.reshape(shape)]
