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
# What --fast of this project's scripts stands for: networks and flags; momentum is batch norm's.
FAST = {
    "fc": Network((), None, (256, 128)),
    "conv": Network(((16, 2), (32, 2), (48, 2)), 5, (100,)),
}
FAST_FLAGS = {"batch_norm": True, "momentum": 0.9, "learning_rate": 0.02}
FAST_STEPS = {"fc": {"steps": 400, "batch_size": 256}, "conv": {"steps": 430}}


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
    parser.set_defaults(momentum=0.99)
    arguments = parser.parse_args()
    if arguments.fast:
        parser.set_defaults(**FAST_FLAGS, **FAST_STEPS[arguments.network])
    return parser.parse_args()


def network_of(arguments):
    """The Network that is asked for."""
    return (FAST if arguments.fast else EXERCISE)[arguments.network]


def learning_rates(arguments):
    """The rate of every step of one cycle, as PyTorch's OneCycleLR has it: half a cosine up from a
    25th of the rate, over 30 % of the steps, then half a cosine down to a 250,000th."""
    rate, steps = arguments.learning_rate, np.arange(arguments.steps)
    peak = 0.3 * arguments.steps
    up = rate + (rate / 25 - rate) * (1 + np.cos(np.pi * steps / peak)) / 2
    share = (steps - peak) / (arguments.steps - peak)
    down = rate / 250000 + (rate - rate / 250000) * (1 + np.cos(np.pi * share)) / 2
    return np.where(steps < peak, up, down).astype(np.float32)


def read_mnist(folder, validation_size=5000):
    """The splits, {name: (uint8 images [n, 28, 28], int64 labels [n])}, of trusted files."""

    def read(name, header_bytes):
        with gzip.open(os.path.join(folder, f"{name}-ubyte.gz")) as file:
            return np.frombuffer(file.read(), np.uint8, offset=header_bytes)

    images, test_images = (read(f"{p}-images-idx3", 16) for p in ("train", "t10k"))
    labels, test_labels = (read(f"{p}-labels-idx1", 8).astype(np.int64) for p in ("train", "t10k"))
    images = images.reshape(-1, 28, 28)
    return {
        "train": (images[validation_size:], labels[validation_size:]),
        "validation": (images[:validation_size], labels[:validation_size]),
        "test": (test_images.reshape(-1, 28, 28), test_labels),
    }


class Stopwatch:
    """Adds up the time of training steps alone and cuts it into windows of `window` steps."""

    def __init__(self, window):
        self.window = window
        self.windows = []  # milliseconds a step
        self.startup_seconds = None  # from the start of the process to the end of the first step
        self.training_seconds = self.window_seconds = 0.0
        self.steps = self.window_steps = 0

    def add(self, seconds, steps, ended=None):
        """Counts `seconds` of `steps` training steps that `ended` at this time, or just now."""
        self.training_seconds += seconds
        self.window_seconds += seconds
        self.steps += steps
        self.window_steps += steps
        # The first call is a window of its own: compilation and cold caches are in it.
        if self.window_steps >= self.window or not self.windows:
            self.startup_seconds = self.startup_seconds or (ended or time.time()) - STARTED
            self.windows.append(1000 * self.window_seconds / self.window_steps)
            self.window_seconds, self.window_steps = 0.0, 0


def share_of(count_right, images, labels):
    """The accuracy; count_right(images, labels) counts the right answers of 1000 examples."""
    parts = (slice(start, start + 1000) for start in range(0, len(images), 1000))
    return sum(int(count_right(images[part], labels[part])) for part in parts) / len(images)


def measure(arguments, train, accuracy, versions):
    """Trains, with validation every 500 steps, and validation and test at the end; reports.

    `train(steps)` trains and returns only when the last step is done; `accuracy(split)` is of all
    images of "validation" or "test", and is not timed as training.
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
    accuracies = {split: accuracy(split) for split in ("validation", "test")}
    report(arguments, stopwatch, accuracies, versions)


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
