"""Writes TensorBoard event files. Needs TensorBoard's protos, never TensorFlow.

TensorFlow's own writer works in a thread and keeps the disk's errors to itself; this one raises
them where they happen.
"""

import os
import socket
import struct
import time

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

RECORD_HEADER = (
    12  # uint64 length, uint32 checksum of it; the checksum of the data follows the data
)


class EventWriter:
    """Appends events to a new event file in `folder`, which is made if need be. Raises OSError."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self._file = _create(folder)
        self._records = RecordWriter(self._file)
        self.add_event(file_version="brain.Event:2")

    def add_event(self, wall_time=None, **fields):
        """Adds one Event; `fields` are those of the proto, `wall_time` is now unless given."""
        event = Event(wall_time=time.time() if wall_time is None else wall_time, **fields)
        self._records.write(event.SerializeToString())

    def add_scalars(self, step, wall_time=None, **scalars):
        """Adds one event with the named scalars."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self.add_event(wall_time, step=step, summary=Summary(value=values))

    def flush(self):
        self._file.flush()

    def close(self):
        self._file.close()


def _create(folder):
    """A new file whose name TensorBoard knows and sorts behind those that are there."""
    stem = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
    path = os.path.join(folder, stem)
    while os.path.exists(path):
        path += ".1"
    return open(path, "xb")


def drop_events_after(path, last_step):
    """Cuts an event file before its first event of a step above `last_step`, or its torn end."""
    with open(path, "r+b") as file:
        while True:
            end_of_kept = file.tell()
            header = file.read(RECORD_HEADER)
            if len(header) < RECORD_HEADER:
                break
            length = struct.unpack("<Q", header[:8])[0]
            if file.seek(0, os.SEEK_CUR) + length + 4 > os.path.getsize(path):
                break
            data = file.read(length + 4)[:-4]
            if Event.FromString(data).step > last_step:
                break
        file.truncate(end_of_kept)
