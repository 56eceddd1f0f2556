"""Reads TensorBoard event files, without TensorFlow. They are a sequence of records: uint64 length,
uint32 masked CRC-32C of it, an Event message of that length, uint32 masked CRC-32C of that."""

import array
import collections
import contextlib
import os
import re
import struct
import typing

import numpy as np
from google.protobuf.message import DecodeError
from google_crc32c import value as crc32c
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_FLOAT
from tensorboard.util import tensor_util

HEADER, CHECKSUM = struct.Struct("<QI"), struct.Struct("<I")
FRAME_BYTES, BLOCK_BYTES = HEADER.size + CHECKSUM.size, 1 << 20
# The upper half of its length is zero.
LIKE_A_HEADER = re.compile(rb"(?=(.{4}\0{4}.{4}))", re.DOTALL)
CUT_OFF = "the file stops inside a record"


class Series(typing.NamedTuple):
    """One scalar over a run. A float32 of the file is that very number here."""

    steps: np.ndarray  # int64 [n]
    wall_times: np.ndarray  # float64 [n], seconds since 1970, UTC
    values: np.ndarray  # float64 [n]


class Damage(typing.NamedTuple):
    """The bytes from `offset` up to `end` of a file could not be used, and why."""

    offset: int
    end: int
    reason: str  # CUT_OFF is normal while a run goes on.


class Points(collections.defaultdict):
    """The points of some event files, {tag: (steps, wall times, values)}, in 24 bytes a point."""

    def __init__(self):
        super().__init__(lambda: tuple(map(array.array, "qdd")))

    def series(self):
        """{tag: Series} of rising steps, with the last point of each step."""
        found = {}
        for tag in sorted(self):
            steps, *others = (np.array(column)[::-1] for column in self[tag])
            steps, last = np.unique(steps, return_index=True)
            found[tag] = Series(steps, *(column[last] for column in others))
        return found


def read_event_file(path, points):
    """Adds every scalar of a file, simple_value and scalar tensor, to Points; returns [Damage].
    Raises OSError. A later point of a step counts: so read a folder's files in their order."""
    plugins, damage = set(), []
    with open(path, "rb") as file:
        for _, event in events(file, damage):
            for value in event.summary.value:
                number = _number(value, plugins)
                if number is not None:
                    point = (event.step, event.wall_time, number)
                    for column, part in zip(points[value.tag], point):
                        column.append(part)
    return damage


def _number(value, plugins):
    """The number in a Summary.Value, or None. plugins: the tags of scalar tensors so far, as a
    writer may name the plugin with the first alone."""
    if value.WhichOneof("value") == "simple_value":
        return value.simple_value
    if value.metadata.plugin_data.plugin_name == "scalars":
        plugins.add(value.tag)
    is_number = value.tensor.dtype in (DT_FLOAT, DT_DOUBLE) and not value.tensor.tensor_shape.dim
    if value.tag in plugins and is_number:
        with contextlib.suppress(ValueError):  # an empty one
            return tensor_util.make_ndarray(value.tensor).item()
    return None


def events(file, damage):
    """Yields (end, Event) for each record of a file that is open for reading bytes. What is wrong
    is appended to `damage`, and reading goes on at the next header that is right."""
    size = os.fstat(file.fileno()).st_size
    position = 0
    while position < size:
        event, end = _event(file, position, size)
        if isinstance(event, str):
            problem, end = event, end or _next_header(file, position + 1, size)
            if problem == CUT_OFF and end < size:
                problem = "the record's length leads beyond the end of the file"
            damage.append(Damage(position, end, problem))
            file.seek(end)
        else:
            yield end, event
        position = end


def _event(file, position, size):
    """(Event, the end of its record); or (what is wrong, that end, or None if it is not known)."""
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        return CUT_OFF, None
    length, checksum = HEADER.unpack(header)
    if masked_crc32c(header[:8]) != checksum:
        return "no record begins here", None
    end = position + FRAME_BYTES + length
    body = file.read(length + CHECKSUM.size) if end <= size else b""
    if len(body) < length + CHECKSUM.size:
        return CUT_OFF, None
    if CHECKSUM.pack(masked_crc32c(body[:length])) != body[length:]:
        return "the record's checksum is wrong", None
    try:
        return Event.FromString(body[:length]), end
    except (DecodeError, ValueError):
        return "the record holds no event message", end


def masked_crc32c(data):
    """The checksum that event files store of bytes. Source: tensorflow/core/lib/hash/crc32c.h."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _next_header(file, position, size):
    """Where the next right header is whose record fits into the file; `size` if there is none."""
    while True:
        file.seek(position)
        block = file.read(BLOCK_BYTES)
        for match in LIKE_A_HEADER.finditer(block):
            start, (length, checksum) = position + match.start(), HEADER.unpack(match.group(1))
            fits = start + FRAME_BYTES + length <= size
            if fits and masked_crc32c(match.group(1)[:8]) == checksum:
                return start
        if len(block) < BLOCK_BYTES:
            return size
        position += len(block) - HEADER.size + 1
