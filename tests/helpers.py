"""What several test files do: train for some steps, and read back what a run wrote."""

import glob
import hashlib
import os
import struct

import numpy as np
from tensorboard.compat.proto import event_pb2

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run_loop(session, loop, data_set, batch_size, steps):
    """Trains the next `steps` batches of the data set in one session call: the losses [steps]."""
    indices = np.zeros(loop.indices.shape.as_list(), np.int32)
    indices[:steps] = [data_set.next_indices(batch_size) for _ in range(steps)]
    done, losses = session.run(loop.done_and_losses, {loop.indices: indices, loop.steps: steps})
    assert done == steps
    return losses[:steps]


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
