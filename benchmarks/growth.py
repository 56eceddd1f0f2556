"""How time grows: with the batch size, the number of layers, and the number of training images."""

import contextlib
import gzip
import os
import struct
import sys
import tempfile

import environments
import numpy as np
import processes
import results

BATCH_SIZES = [32, 128, 512, 1024, 4096]
LAYERS = [2, 4, 8, 16]
TRAINING_IMAGES = [60000, 250000, 1000000]
# About as many images in a window at every batch size, and no window of one step alone.
IMAGES_PER_WINDOW = {"fc": 25600, "conv": 6400}
WINDOWS = 3
LEFT_OUT = [
    "this project, TensorFlow 1.15.5",
    "published program, TensorFlow 1.15.5",
    "Keras 3 fit, TensorFlow 2.21",
]


def measure():
    machine = results.machine()
    measurements = []
    for network in ("fc", "conv"):
        for batch_size in BATCH_SIZES:
            label = {"network": network, "batch_size": batch_size}
            flags = ["--batch-size", batch_size]
            measurements += one_point(label, network, batch_size, flags)
        for layers in LAYERS:
            label = {"network": network, "layers": layers}
            measurements += one_point(label, network, 128, ["--layers", layers])
        results.save("growth", {"measurements": measurements}, machine)
    for images in TRAINING_IMAGES:
        with tempfile.TemporaryDirectory() as folder:
            generate_mnist(folder, images)
            label = {"network": "fc", "training_images": images}
            flags = ["--data-dir", folder]
            measurements += one_point(label, "fc", 128, flags)
    results.save("growth", {"measurements": measurements}, machine)


def one_point(label, network, batch_size, flags):
    window = max(2, IMAGES_PER_WINDOW[network] // batch_size)
    arguments = ["--network", network, "--batch-norm", "--no-evaluation", "--window", window]
    arguments += ["--steps", 1 + WINDOWS * window] + flags
    print(f"growth: {label}", file=sys.stderr)
    names = [name for name in processes.MAIN_OF[network] if name not in LEFT_OUT]
    contestants = processes.ready_contestants(names)
    jobs = [(label, contestant, arguments, False) for contestant in contestants]
    return processes.interleaved(jobs, 1)


def generate_mnist(folder, images):
    """Four IDX files with `images` training images: MNIST's own, each shifted a little and noised.

    The test files are MNIST's. The noise makes every image a different one.
    """
    source = environments.PROJECT / "MNIST_data"
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        os.symlink(source / name, os.path.join(folder, name))
    with gzip.open(source / "train-images-idx3-ubyte.gz") as file:
        digits = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(source / "train-labels-idx1-ubyte.gz") as file:
        classes = np.frombuffer(file.read(), np.uint8, offset=8)
    generator = np.random.default_rng(0)
    order = np.arange(images) % len(digits)
    with open_idx(folder, "train-images-idx3-ubyte.gz", (images, 28, 28)) as file:
        for start in range(0, images, 10000):
            part = digits[order[start : start + 10000]]
            shift = tuple(generator.integers(-2, 3, 2))
            moved = np.roll(part, shift, (1, 2))
            # Ink only, so that the files stay as compressible as MNIST's.
            noise = generator.integers(0, 16, moved.shape, np.uint8)
            file.write(np.where(moved > 16, moved - noise, moved).tobytes())
    with open_idx(folder, "train-labels-idx1-ubyte.gz", (images,)) as file:
        file.write(classes[order].tobytes())


@contextlib.contextmanager
def open_idx(folder, name, shape):
    """A gzip file open for writing, past an IDX header for unsigned bytes of `shape`."""
    with gzip.open(os.path.join(folder, name), "wb", compresslevel=1) as file:
        file.write(struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape))
        yield file
