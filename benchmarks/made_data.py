"""python benchmarks/made_data.py images 1000000 FOLDER makes an image set of so many images;
python benchmarks/made_data.py events 100000 FOLDER an event file of so many events."""

import gzip
import math
import os
import struct
import sys

import numpy as np
from environments import PROJECT

FIRST_TIME = 1.7e9


def write_images(folder, count):
    """Four IDX files with `count` training images: MNIST's own, again and again."""
    source = PROJECT / "MNIST_data"
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        os.symlink(source / name, os.path.join(folder, name))
    for name, header_bytes in (
        ("train-images-idx3-ubyte.gz", 16),
        ("train-labels-idx1-ubyte.gz", 8),
    ):
        with gzip.open(source / name) as file:
            header, values = file.read(header_bytes), np.frombuffer(file.read(), np.uint8)
        values = values.reshape(60000, -1)
        with gzip.open(os.path.join(folder, name), "wb", 1) as file:
            file.write(header[:4] + struct.pack(">I", count) + header[8:])
            for start in range(0, count, len(values)):
                file.write(values[: count - start].tobytes())


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
