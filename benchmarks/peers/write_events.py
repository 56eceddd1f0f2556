"""Writes an event file of `events` scalars named loss, with tensorboard's own writer."""

import argparse
import math

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

FIRST_TIME = 1.7e9


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("events", type=int)
    arguments = parser.parse_args()
    writer = EventFileWriter(arguments.folder)
    for step in range(arguments.events):
        value = Summary.Value(tag="loss", simple_value=math.exp(-step / arguments.events))
        event = Event(wall_time=FIRST_TIME + 0.01 * step, step=step, summary=Summary(value=[value]))
        writer.add_event(event)
    writer.close()


if __name__ == "__main__":
    main()
