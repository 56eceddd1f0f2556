"""Records what the original input_data of TensorFlow 1.15.5 gives, for tests on every TensorFlow.

    python tests/record_original_batches.py        (Python 3.7 with tensorflow==1.15.5)

writes tests/original_batches.json. The tests ask mnist_data for the same and compare.
"""

import hashlib
import json
import os
import tempfile

import numpy as np
from idx_files import image_set, write_set

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "original_batches.json")
MNIST = os.path.join(os.path.dirname(HERE), "MNIST_data")

TRAIN = 310
VALIDATION = 7

# name: (arguments of read_data_sets, [(batch size, shuffle), ...]). An epoch is 303 examples.
SMALL = {
    "batches of 10": ({"seed": 0}, [(10, True)] * 100),
    "exact fit": ({"seed": 1}, [(101, True)] * 10),
    "odd sizes": (
        {"seed": 2},
        [(size, True) for size in (1, 7, 295, 303, 0, 303, 2, 302, 200, 300)],
    ),
    "not shuffled": ({"seed": 3}, [(64, False)] * 20),
    "shuffled after the first epoch": ({"seed": 4}, [(90, False)] * 4 + [(90, True)] * 8),
    "not shuffled after the first epoch": ({"seed": 5}, [(90, True)] * 4 + [(90, False)] * 8),
    "shuffled in turns": ({"seed": 6}, [(77, turn % 3 == 0) for turn in range(30)]),
    "larger than an epoch": ({"seed": 7}, [(350, True), (400, True), (303, True)]),
    "largest seed": ({"seed": 2**32 - 1}, [(50, True)] * 10),
    "seed that TensorFlow truncates": ({"seed": 2**31 - 1}, [(50, True)] * 10),
    "negative seed": ({"seed": -3}, [(50, True)] * 10),
    "one-hot": ({"seed": 8, "one_hot": True}, [(50, True)] * 10),
    "bytes": ({"seed": 9, "dtype": np.uint8}, [(50, True)] * 10),
    "not reshaped": ({"seed": 10, "reshape": False}, [(50, True)] * 10),
    "all of it": ({"seed": 11, "one_hot": True, "dtype": np.uint8, "reshape": False}, [(9, True)]),
}
REAL = {
    "MNIST": ({"seed": 0}, [(128, True)] * 5 + [(5000, True)] * 25),
    "MNIST, one-hot": ({"seed": 12345, "one_hot": True}, [(128, True)] * 5),
}


def record(input_data):
    """What `input_data` (the original or mnist_data) gives for each of the calls above."""
    found = {"whole sets": {}}
    with tempfile.TemporaryDirectory() as folder:
        write_set(folder, image_set(train=TRAIN, test=50))
        for name, (arguments, calls) in SMALL.items():
            data = input_data.read_data_sets(folder, validation_size=VALIDATION, **arguments)
            found["whole sets"][name] = whole_set(data)
            found[name] = batches(data.train, calls, first_indices=arguments.get("dtype") is None)
    for name, (arguments, calls) in REAL.items():
        data = input_data.read_data_sets(MNIST, **arguments)
        found[name] = batches(data.train, calls)
    return found


def whole_set(data):
    return [
        [describe(part.images), describe(part.labels), part.num_examples, part.epochs_completed]
        for part in data
    ]


def batches(train, calls, first_indices=False):
    digest, epochs, described = hashlib.sha256(), [], None
    for batch_size, shuffle in calls:
        images, labels = train.next_batch(batch_size, shuffle=shuffle)
        digest.update(np.ascontiguousarray(images).tobytes())
        digest.update(np.ascontiguousarray(labels).tobytes())
        epochs.append(train.epochs_completed)
        described = described or [describe(images), describe(labels)]
    found = {"first batch": described, "epochs": epochs, "sha256": digest.hexdigest()}
    if first_indices:
        found["last batch holds"] = examples_in(images)
    return found


def examples_in(images):
    """The numbers of the training examples in a batch of scaled images, by their first pixels."""
    pixels = np.rint(images.reshape(len(images), -1)[:, :2] * 255).astype(int)
    return (pixels[:, 0] * 256 + pixels[:, 1] - VALIDATION).tolist()


def describe(array):
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return [str(array.dtype), list(array.shape), digest]


def main():
    from tensorflow.examples.tutorials.mnist import input_data

    # One line a recorded case, so that a change shows which.
    cases = sorted(record(input_data).items())
    lines = [f"{json.dumps(name)}: {json.dumps(found)}" for name, found in cases]
    with open(RECORD, "w") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
