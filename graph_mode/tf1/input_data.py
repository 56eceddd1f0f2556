"""Stands for tensorflow.examples.tutorials.mnist.input_data: mnist_data.py, and where MNIST is.

MNIST that is not where the program looks for it is read from this project's own folder.
"""

import os

import numpy as np

import mnist_data
from graph_mode import tensorflow1 as tf
from graph_mode.tf1 import addresses
from mnist_data import DataSet, dense_to_one_hot, extract_images, extract_labels

__all__ = ["DataSet", "dense_to_one_hot", "extract_images", "extract_labels", "read_data_sets"]
DEFAULT_SOURCE_URL = mnist_data.DEFAULT_SOURCE_URL


def read_data_sets(
    train_dir, fake_data=False, one_hot=False, dtype=tf.float32, reshape=True, validation_size=5000,
    seed=None, source_url=DEFAULT_SOURCE_URL,
):  # fmt: skip
    """As mnist_data.read_data_sets; prints the four lines that the original printed."""
    folder = train_dir
    if not fake_data:
        if addresses.is_mnist(source_url) and not _has_any(train_dir):
            folder = addresses.DATA
            addresses.tell(f"{train_dir}: no MNIST there, it is read from {folder}")
        for path in mnist_data.find_files(folder, source_url, download=True):
            print("Extracting", os.path.join(train_dir, os.path.basename(path)))
    return mnist_data.read_data_sets(
        folder, fake_data, one_hot, dtype, reshape, validation_size, seed, source_url
    )


def load_mnist(train_dir="MNIST-data"):
    """The data sets with default arguments."""
    return read_data_sets(train_dir)


def _has_any(folder):
    """Whether one of the four files is in `folder`, in any of its spellings."""
    try:
        present = os.listdir(folder)
    except OSError:
        return False
    return any(
        name.replace(".idx", "-idx").split(".gz")[0] in mnist_data.CANONICAL for name in present
    )


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
