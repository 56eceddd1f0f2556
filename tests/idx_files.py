"""Writes small image sets in the IDX format, as input for tests."""

import gzip
import os

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")
NAMES = [f"{part}-{kind}" for part in ("train", "t10k") for kind in KINDS]


def idx_bytes(array):
    """The IDX file of a uint8 array, unpacked."""
    header = np.array([0x800 + array.ndim] + list(array.shape), dtype=">u4")
    return header.tobytes() + array.tobytes()


def image_set(train=60, test=20, rows=4, columns=3, classes=10, seed=0):
    """Random arrays: training images and labels, test images and labels. The first two pixels of an
    image are its own number, so that a batch tells which it holds."""
    random = np.random.RandomState(seed)
    arrays = []
    for size in (train, test):
        images = random.randint(0, 256, (size, rows, columns)).astype(np.uint8)
        images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(size), 256)
        labels = random.randint(0, classes, size).astype(np.uint8)
        labels[-1] = classes - 1
        arrays += [images, labels]
    return arrays


def write_set(folder, arrays, packed=True, names=NAMES):
    """Writes the four arrays into `folder`, made when missing, and returns it as a string."""
    os.makedirs(str(folder), exist_ok=True)
    for name, array in zip(names, arrays):
        path = os.path.join(str(folder), name)
        with gzip.open(path + ".gz", "wb") if packed else open(path, "wb") as file:
            file.write(idx_bytes(array))
    return str(folder)
