"""Writes image sets for tests, and reads back what a run wrote, without TensorFlow."""

import glob
import hashlib
import os
import struct

import numpy as np
from tensorboard.compat.proto import event_pb2

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def write_idx(path, array):
    """Writes uint8 labels [n] or images [n, height, width] as an IDX file, not packed."""
    header = [2049 if array.ndim == 1 else 2051] + list(array.shape)
    with open(path, "wb") as file:
        file.write(np.array(header, ">u4").tobytes())
        file.write(array.astype(np.uint8).tobytes())


def write_image_set(folder, train, test):
    """Writes the four files of a set into `folder`; `train` and `test` are (images, labels)."""
    os.makedirs(folder)
    for part, (images, labels) in (("train", train), ("t10k", test)):
        write_idx(os.path.join(folder, f"{part}-images-idx3-ubyte"), images)
        write_idx(os.path.join(folder, f"{part}-labels-idx1-ubyte"), labels)


def read_events(folder):
    """The events of the files directly in `folder`, as the protobufs that TensorBoard reads."""
    events = []
    for path in sorted(glob.glob(os.path.join(folder, "events.out.tfevents.*"))):
        with open(path, "rb") as file:
            content = file.read()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            events.append(event_pb2.Event.FromString(content[12 : 12 + length]))
            content = content[12 + length + 4 :]
    return events


def read_scalars(folder, tag):
    """{step: value} of the scalar `tag` in the event files directly in `folder`."""
    return {
        event.step: value.simple_value
        for event in read_events(folder)
        for value in event.summary.value
        if value.tag == tag and value.WhichOneof("value") == "simple_value"
    }


def tree(folder):
    """{path below `folder`: SHA-256 of the file, or None for a folder}."""
    found = {}
    for parent, folders, files in os.walk(str(folder)):
        for name in folders:
            found[os.path.relpath(os.path.join(parent, name), str(folder))] = None
        for name in files:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            found[os.path.relpath(path, str(folder))] = digest
    return found
