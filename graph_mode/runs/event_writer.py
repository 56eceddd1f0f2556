"""Writes TensorBoard event files, without TensorFlow, whose own writer works in a thread and keeps
the disk's errors to itself; this one raises them where they happen."""

import contextlib
import os
import socket
import time

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from graph_mode.command_line import CommandError
from graph_mode.runs import event_files


class EventWriter:
    """Appends events to a new event file in `folder`, which is made if need be. What the disk
    refuses is raised as CommandError, at the latest by flush() or close()."""

    def __init__(self, folder):
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
        self._path = os.path.join(folder, name)
        with self._disk_errors():
            os.makedirs(folder, exist_ok=True)
            while os.path.exists(self._path):
                self._path += ".1"  # TensorBoard sorts it behind those that are there.
            self._file = open(self._path, "xb")
        self._records = RecordWriter(self._file)
        self.add_event(file_version="brain.Event:2")

    def add_event(self, wall_time=None, **fields):
        """Adds one Event; `fields` are those of the proto, `wall_time` is now unless given."""
        event = Event(wall_time=time.time() if wall_time is None else wall_time, **fields)
        with self._disk_errors():
            self._records.write(event.SerializeToString())

    def add_scalars(self, step, wall_time=None, **scalars):
        """Adds one event with the named scalars."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self.add_event(wall_time, step=step, summary=Summary(value=values))

    def flush(self):
        """Hands every event to the operating system, and checks that the file is still there."""
        with self._disk_errors():
            self._file.flush()
            os.stat(self._path)

    def close(self):
        with self._disk_errors():
            self._file.close()

    @contextlib.contextmanager
    def _disk_errors(self):
        try:
            yield
        except OSError as error:
            words = f"{self._path}: events cannot be written: {error.strerror}; the last checkpoint"
            raise CommandError(f"{words} is intact: mend that, then go on with --resume") from None


def drop_events_after(path, last_step):
    """Cuts an event file before its first event of a step above `last_step`, or its torn end; where
    nothing is left, removes it. Raises CommandError where a record before that is damaged."""
    kept, damage = 0, []
    with open(path, "r+b") as file:
        for end, event in event_files.events(file, damage):
            if event.step > last_step:
                break
            kept = end
        for offset, _, reason in damage:
            if reason != event_files.CUT_OFF:
                words = "expected an event: move the file away to go on without what it holds"
                raise CommandError(f"{path}: damaged at byte {offset}, {words}")
        file.truncate(kept)
    if kept == 0:
        os.remove(path)
