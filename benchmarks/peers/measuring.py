"""What every measured program shares: its flags, its stopwatch and the one JSON line it prints.

Only the standard library and NumPy, because this file is imported in every peer's environment.
"""

import argparse
import collections
import gzip
import json
import os
import platform
import resource
import time

import numpy as np

# When this process was launched, in seconds since the epoch: told by the one who launched it.
STARTED = float(os.environ.get("BENCHMARK_STARTED", time.time()))
# Filters and stride of each convolution, the size of their kernels, units of each dense layer.
Network = collections.namedtuple("Network", "convolutions kernel_size hidden_units")
EXERCISE = {
    "fc": Network((), None, (256, 128, 64, 32, 16)),
    "conv": Network(((4, 1), (8, 1), (12, 2), (16, 1), (20, 1)), 3, (100,)),
}
# What --fast of this project's scripts stands for, as far as the measured programs take flags.
FAST = {
    "fc": Network((), None, (256, 128)),
    "conv": Network(((16, 2), (32, 2), (48, 2)), 5, (100,)),
}
FAST_FLAGS = {
    "fc": {"batch_norm": True, "learning_rate": 0.02, "steps": 400, "batch_size": 256},
    "conv": {"batch_norm": True, "learning_rate": 0.02, "steps": 430},
}
FAST_MOMENTUM = 0.9
IMAGES_HEADER_BYTES = 16
LABELS_HEADER_BYTES = 8
MOMENTUM = 0.99


def parse_arguments(description, modes):
    """Reads the flags that every measured program takes; `modes` are the program's own variants."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--network", choices=("fc", "conv"), default="fc")
    parser.add_argument("--batch-norm", action="store_true")
    parser.add_argument("--mode", choices=modes, default=modes[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--fast", action="store_true", help="another network, one cycle of rates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--window", type=int, default=100, help="steps in one timed window")
    parser.add_argument("--log-dir", help="where a program that writes event files puts them")
    parser.add_argument("--data-dir", default="MNIST_data")
    arguments = parser.parse_args()
    if arguments.fast:
        parser.set_defaults(**FAST_FLAGS[arguments.network])
        arguments = parser.parse_args()
    arguments.momentum = FAST_MOMENTUM if arguments.fast else MOMENTUM  # of batch norm
    return arguments


def network_of(arguments):
    """The Network that is asked for."""
    return (FAST if arguments.fast else EXERCISE)[arguments.network]


def learning_rates(arguments):
    """The rate of every step of one cycle, for peers that have no such schedule of their own.

    As PyTorch's OneCycleLR has it: half a cosine up from a 25th of the rate, over 30 % of the
    steps, then half a cosine down to a 250,000th.
    """
    rate, steps = arguments.learning_rate, np.arange(arguments.steps)
    peak = 0.3 * arguments.steps
    up = rate + (rate / 25 - rate) * (1 + np.cos(np.pi * steps / peak)) / 2
    share = (steps - peak) / (arguments.steps - peak)
    down = rate / 250000 + (rate - rate / 250000) * (1 + np.cos(np.pi * share)) / 2
    return np.where(steps < peak, up, down).astype(np.float32)


def read_mnist(folder, validation_size=5000):
    """The three splits as {name: (uint8 images [n, 28, 28], int64 labels [n])}, in a few lines.

    It trusts the files: the checks are in mnist_data.py.
    """

    def read(name, header_bytes):
        with gzip.open(os.path.join(folder, name + ".gz")) as file:
            return np.frombuffer(file.read(), np.uint8, offset=header_bytes)

    def read_split(prefix):
        images = read(prefix + "-images-idx3-ubyte", IMAGES_HEADER_BYTES).reshape(-1, 28, 28)
        return images, read(prefix + "-labels-idx1-ubyte", LABELS_HEADER_BYTES).astype(np.int64)

    images, labels = read_split("train")
    return {
        "train": (images[validation_size:], labels[validation_size:]),
        "validation": (images[:validation_size], labels[:validation_size]),
        "test": read_split("t10k"),
    }


class Stopwatch:
    """Adds up the time of training steps alone and cuts it into windows of `window` steps."""

    def __init__(self, window):
        self.window = window
        self.windows = []  # milliseconds a step
        self.startup_seconds = None  # from the start of the process to the end of the first step
        self.training_seconds = 0.0
        self.steps = 0
        self._seconds, self._steps = 0.0, 0

    def add(self, seconds, steps, ended=None):
        """Counts `seconds` of `steps` training steps that `ended` at this time, or just now."""
        self.training_seconds += seconds
        self.steps += steps
        if self.startup_seconds is None:
            self.startup_seconds = (ended or time.time()) - STARTED
        self._seconds += seconds
        self._steps += steps
        # The first call is a window of its own: compilation and cold caches are in it.
        if self._steps >= self.window or not self.windows:
            self.windows.append(1000 * self._seconds / self._steps)
            self._seconds, self._steps = 0.0, 0


def train_and_evaluate(arguments, train, accuracy):
    """Trains, with validation every 500 steps, and validation and test at the end.

    `train(steps)` trains and returns only when the last step is done; `accuracy(split)` is of all
    images of "validation" or "test", and is not timed as training. Returns (stopwatch,
    {split: accuracy}).
    """
    stopwatch = Stopwatch(arguments.window)
    while stopwatch.steps < arguments.steps:
        # The next multiple of the window: evaluations fall on the same steps for every peer.
        chunk = arguments.window - stopwatch.steps % arguments.window
        chunk = min(chunk, arguments.steps - stopwatch.steps)
        started = time.perf_counter()
        train(chunk)
        stopwatch.add(time.perf_counter() - started, chunk)
        if stopwatch.steps % 500 == 0:
            accuracy("validation")
    return stopwatch, {split: accuracy(split) for split in ("validation", "test")}


def report(arguments, stopwatch, accuracies, versions):
    """Prints the measurement as one line of JSON, the last line of standard output."""
    measurement = {
        "arguments": {k: v for k, v in vars(arguments).items() if not k.endswith("_dir")},
        "windows_ms": [round(window, 4) for window in stopwatch.windows],
        "startup_seconds": round(stopwatch.startup_seconds, 3),
        "training_seconds": round(stopwatch.training_seconds, 3),
        "steps": stopwatch.steps,
        "accuracies": {split: round(float(value), 5) for split, value in accuracies.items()},
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "versions": dict(versions, python=platform.python_version(), numpy=np.__version__),
    }
    print(json.dumps(measurement), flush=True)
