"""Reads MNIST once with one of the readers a user may have, and prints how long that took.

In a process of its own, because the first reading of a process is the one that a script waits for.
"""

import argparse
import contextlib
import gzip
import io
import json
import os
import resource
import sys
import time
import types
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore")
PROJECT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir)
IMAGES = ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")
LABELS = ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")


def ours(folder, **options):
    sys.path.append(PROJECT)
    import mnist_data

    yield
    data = mnist_data.read_data_sets(folder, **options)
    yield data.train.num_examples + data.validation.num_examples + data.test.num_examples


def ours_uint8(folder):
    """As the training scripts read: uint8 images, no copy."""
    return ours(folder, dtype="uint8", reshape=False)


def original(folder):
    """The tutorials' input_data, which TensorFlow removed: TensorFlow 1.15 only."""
    import tensorflow as tf

    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    from tensorflow.examples.tutorials.mnist import input_data

    yield
    data = input_data.read_data_sets(folder)
    yield data.train.num_examples + data.validation.num_examples + data.test.num_examples


def torchvision(folder):
    """`folder` holds MNIST/raw/ with the unpacked files, as torchvision's download leaves them."""
    # torchvision of another build than torch (CUDA, CPU) lacks its operators and then does not
    # import. Its file reader needs none of them, so the module that asks for them is left out.
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("_meta_registrations")
    from torchvision.datasets import MNIST

    yield
    yield len(MNIST(folder, train=True).data) + len(MNIST(folder, train=False).data)


def idx2numpy(folder):
    import idx2numpy

    yield
    arrays = []
    for name in IMAGES + LABELS:
        with gzip.open(os.path.join(folder, name + ".gz")) as file:
            arrays.append(idx2numpy.convert_from_file(file))
    yield sum(len(images) for images in arrays[: len(IMAGES)])


READERS = {
    "ours": ours,
    "ours-uint8": ours_uint8,
    "original": original,
    "torchvision": torchvision,
    "idx2numpy": idx2numpy,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("folder")
    arguments = parser.parse_args()
    started = time.perf_counter()
    # The original prints what it extracts.
    with contextlib.redirect_stdout(io.StringIO()):
        reading = READERS[arguments.reader](arguments.folder)
        next(reading)
        imported = time.perf_counter()
        images = next(reading)
        ended = time.perf_counter()
    measurement = {
        "import_seconds": round(imported - started, 4),
        "read_seconds": round(ended - imported, 4),
        "images": images,
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    print(json.dumps(measurement))


if __name__ == "__main__":
    main()
