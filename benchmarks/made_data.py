"""Data made for measuring: an image set of any number of images, an event file of any length.

python benchmarks/made_data.py images 1000000 FOLDER
python benchmarks/made_data.py events 100000 FOLDER
"""

import gzip
import math
import os
import struct
import sys

import numpy as np
from environments import PROJECT

FIRST_TIME = 1.7e9


def write_images(folder, count):
    """Four IDX files with `count` training images: MNIST's own, each shifted a little and noised.

    The test files are MNIST's. The noise makes every image a different one.
    """
    source = PROJECT / "MNIST_data"
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        os.symlink(source / name, os.path.join(folder, name))
    with gzip.open(source / "train-images-idx3-ubyte.gz") as file:
        digits = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(source / "train-labels-idx1-ubyte.gz") as file:
        classes = np.frombuffer(file.read(), np.uint8, offset=8)
    generator = np.random.default_rng(0)
    order = np.arange(count) % len(digits)
    with gzip.open(os.path.join(folder, "train-images-idx3-ubyte.gz"), "wb", 1) as file:
        file.write(struct.pack(">4I", 0x803, count, 28, 28))
        for start in range(0, count, 10000):
            images = digits[order[start : start + 10000]]
            moved = np.roll(images, tuple(generator.integers(-2, 3, 2)), (1, 2))
            # Ink only, so that the files stay as compressible as MNIST's.
            noise = generator.integers(0, 16, moved.shape, np.uint8)
            file.write(np.where(moved > 16, moved - noise, moved).tobytes())
    with gzip.open(os.path.join(folder, "train-labels-idx1-ubyte.gz"), "wb", 1) as file:
        file.write(struct.pack(">2I", 0x801, count) + classes[order].tobytes())


def write_events(folder, count):
    """An event file of `count` scalars named loss, by tensorboard's own writer."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(folder)
    for step in range(count):
        value = Summary.Value(tag="loss", simple_value=math.exp(-step / count))
        event = Event(wall_time=FIRST_TIME + 0.01 * step, step=step, summary=Summary(value=[value]))
        writer.add_event(event)
    writer.close()


if __name__ == "__main__":
    write = {"images": write_images, "events": write_events}[sys.argv[1]]
    write(sys.argv[3], int(sys.argv[2]))
