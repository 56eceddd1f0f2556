"""Records what the original input_data of TensorFlow 1.15.5 gives, for tests on every TensorFlow.

    python tests/record_original_batches.py        (Python 3.7 with tensorflow==1.15.5)

writes tests/original_batches.json. The tests ask mnist_data for the same and compare."""

import hashlib
import json
import os
import tempfile

import numpy as np
from idx_files import ROOT, image_set, write_set

RECORD = os.path.join(ROOT, "tests", "original_batches.json")
MNIST = os.path.join(ROOT, "MNIST_data")

# name: (arguments of read_data_sets, [(batch size, shuffle), ...]). An epoch is 303 examples.
SMALL = {
    "batches of 10": ({"seed": 0}, [(10, True)] * 100),
    "exact fit": ({"seed": 1}, [(101, True)] * 10),
    "odd sizes": ({"seed": 2}, [(size, True) for size in (1, 7, 295, 303, 0, 303, 2, 302, 200)]),
    "not shuffled": ({"seed": 3}, [(64, False)] * 20),
    "shuffled after the first epoch": ({"seed": 4}, [(90, False)] * 4 + [(90, True)] * 8),
    "shuffled in turns": ({"seed": 6}, [(77, turn % 3 == 0) for turn in range(30)]),
    "larger than two epochs": ({"seed": 7}, [(n, True) for n in (700, 10, 900, 950, 20, 303)]),
    "largest seed": ({"seed": 2**32 - 1}, [(50, True)] * 10),
    "negative seed": ({"seed": -3}, [(50, True)] * 10),
    "bytes": ({"seed": 9, "dtype": np.uint8}, [(50, True)] * 10),
    "not reshaped": ({"seed": 10, "one_hot": True, "reshape": False}, [(50, True)] * 10),
}
REAL = {
    "MNIST": ({"seed": 0}, [(128, True)] * 5 + [(5000, True)] * 25),
    "MNIST, one-hot": ({"seed": 12345, "one_hot": True}, [(128, True)] * 5),
}

# What programs do with the inner names of a DataSet: (training set, class DataSet) -> arrays.


def arrays_replaced(train, _data_set):
    yield train.next_batch(100)
    train._images = train.images[:, ::-1][:, :5]
    yield train.next_batch(100)
    train._labels = np.eye(10)[train.labels]
    train._index_in_epoch -= 50
    yield from (train.next_batch(90) for _ in range(8))


def arrays_written(train, _data_set):
    train.images[:] *= 0.5
    yield train.next_batch(100)
    images, labels = train.images, train.labels
    images[:50], labels[:200], train._images[60, :], train._labels[0] = 0, 7, 0.25, 3
    yield from (train.next_batch(90) for _ in range(8))
    images[:], labels[:] = 0, 0  # A shuffle has moved the examples to other arrays since.
    yield from (train.next_batch(90) for _ in range(4))
    yield images, labels


def made_by_hand(_train, data_set):
    images, labels = np.arange(720.0).reshape(60, 4, 3, 1) / 9, np.arange(60)
    made = data_set(images, labels, seed=3)
    images[:], labels[50:] = 0, 0
    yield from (made.next_batch(25) for _ in range(7))
    coloured = (np.arange(720) % 256).astype(np.uint8).reshape(20, 3, 3, 4)
    made = data_set(coloured, labels[:20], dtype=np.uint8, reshape=False, seed=4)
    coloured[:5] = 0
    yield from (made.next_batch(15) for _ in range(7))
    yield made.images, made.labels


PROGRAMS = (arrays_replaced, arrays_written, made_by_hand)


def record(input_data, data_set):
    """What `input_data` (the original or mnist_data) gives for each of the calls above."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        write_set(folder, image_set(train=310, test=50))
        for name, (arguments, calls) in SMALL.items():
            data = input_data.read_data_sets(folder, validation_size=7, **arguments)
            found[f"{name}: all of it"] = [described(part.images, part.labels) for part in data]
            found[name] = followed(data.train, batches(data, calls))
        for program in PROGRAMS:
            train = input_data.read_data_sets(folder, validation_size=7, seed=1).train
            found[f"program: {program.__name__}"] = followed(train, program(train, data_set))
    for name, (arguments, calls) in REAL.items():
        data = input_data.read_data_sets(MNIST, **arguments)
        found[name] = followed(data.train, batches(data, calls))
    return found


def batches(data, calls):
    """The training batches. The test set may be asked too, as long as it is not shuffled: in the
    original, all sets share the random numbers."""
    for size, shuffle in calls:
        yield data.train.next_batch(size, shuffle=shuffle)
        data.test.next_batch(3, shuffle=False)


def followed(train, batches):
    """Each of the batches, and where the data set then stands."""
    places = ("_index_in_epoch", "epochs_completed", "num_examples")
    return [described(*arrays) + [getattr(train, name) for name in places] for arrays in batches]


def described(*arrays):
    digests = [hashlib.sha256(array.tobytes()).hexdigest()[:12] for array in arrays]
    return [[str(a.dtype), list(a.shape), digest] for a, digest in zip(arrays, digests)]


if __name__ == "__main__":
    from tensorflow.contrib.learn.python.learn.datasets import mnist
    from tensorflow.examples.tutorials.mnist import input_data

    # One line a recorded case, so that a change shows which.
    cases = sorted(record(input_data, mnist.DataSet).items())
    lines = [f"{json.dumps(name)}: {json.dumps(found)}" for name, found in cases]
    with open(RECORD, "w") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
