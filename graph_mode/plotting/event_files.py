"""Scalars from TensorBoard event files, without TensorFlow.

A file is a sequence of records: uint64 length, uint32 masked CRC-32C of it, an Event message of
that length, uint32 masked CRC-32C of the message. Every checksum is checked. Messages of one length
are parsed together, since those of one scalar differ only in time, step and value.
"""

import collections
import os
import struct
import warnings

import numpy as np
from google.protobuf.message import DecodeError
from google_crc32c import value as crc32c
from tensorboard.compat.proto import event_pb2, summary_pb2, types_pb2

HEADER_BYTES = 12
FRAME_BYTES = HEADER_BYTES + 4
BLOCK_BYTES = 1 << 20
# protobuf allows no message of 2 GiB: a longer length is never a real one.
MAX_MESSAGE_BYTES = (1 << 31) - 1
# So many layouts are tried on messages of one length before the rest is parsed one by one.
MAX_LAYOUTS = 8
CUT_OFF, WRONG_CHECKSUM = "the file stops inside a record", "the record's checksum is wrong"

Series = collections.namedtuple("Series", "steps wall_times values")
Series.__doc__ = """One scalar over a run: steps int64 [n], wall_times float64 [n] (seconds since
1970, UTC), values float64 [n]. A float32 of the file is that very number here."""

Damage = collections.namedtuple("Damage", "offset end reason")
Damage.__doc__ = "The bytes from `offset` up to `end` of a file could not be used, and why."

EventFile = collections.namedtuple("EventFile", "scalars began restart by_order damage cut_off")
EventFile.__doc__ = """What one file held. scalars: {tag: Series} in the order of the file, without
the points that a restart within the file took back; began: the time of its first scalar or restart;
restart: the smallest step of a SessionLog.START event, from which the points of older files do not
count, or None; by_order: whether the file is of a version (brain.Event:1) in which a step that goes
back is a restart; damage: [Damage]; cut_off: whether the file stops inside a record (normal while a
run goes on)."""


Records = collections.namedtuple("Records", "offsets messages")
Records.__doc__ = (
    "Records of one length: offsets int64 [n] in the file, messages uint8 [n, length]."
)


class Found:
    """What the messages of a file held so far."""

    def __init__(self):
        self.points = collections.defaultdict(list)  # {(tag, kind): [(offsets, Series)]}
        self.scalar_tensors = set()  # Tags of which a message says that their tensors are scalars.
        self.restarts = []  # [(offset, step, wall time)] of SessionLog.START.
        self.by_order = False
        self.damage = []


def read_event_file(path):
    """Every scalar of one event file, in both encodings: simple_value and scalar tensor.

    Damage never raises: what can still be read is returned with a list of what could not. Raises
    OSError if the file cannot be opened or read.
    """
    found = Found()
    with open(path, "rb") as file, warnings.catch_warnings():
        # protobuf before 4 only warns of what parsed() raises.
        warnings.simplefilter("ignore", RuntimeWarning)
        for block in intact_blocks(file, found.damage):
            for records in block:
                parse(records, found)
    # Writers may name the plugin only with the first tensor of a tag, so only now is this known.
    scalars = {
        tag: in_file_order(found.points.pop((tag, kind)), found)
        for tag, kind in sorted(found.points)
        if kind == "simple_value" or tag in found.scalar_tensors
    }
    times = [series.wall_times[0] for series in scalars.values() if len(series.steps)]
    began = min(times + [time for _, _, time in found.restarts], default=0.0)
    restart = min((step for _, step, _ in found.restarts), default=None)
    damage = sorted(damage for damage in found.damage if damage.reason != CUT_OFF)
    cut_off = len(damage) < len(found.damage)
    return EventFile(scalars, began, restart, found.by_order, damage, cut_off)


def in_file_order(parts, found):
    """One Series of the [(offsets, Series)] of a tag, without what a restart took back."""
    columns = zip(*((offsets,) + series for offsets, series in parts))
    offsets, steps, wall_times, values = (np.concatenate(column) for column in columns)
    # Stable: an event may hold the same tag twice.
    order = np.argsort(offsets, kind="stable")
    offsets, series = offsets[order], Series(steps[order], wall_times[order], values[order])
    kept = np.ones(len(order), bool)
    for offset, step, _ in found.restarts:
        kept &= (offsets > offset) | (series.steps < step)
    if found.by_order:
        kept &= series.steps <= np.minimum.accumulate(series.steps[::-1])[::-1]
    return select(series, kept)


def select(series, kept):
    return series if kept.all() else Series(*(column[kept] for column in series))


def merge_series(oldest_first, tag):
    """One Series of rising steps of a tag that EventFiles have, the oldest file first.

    As TensorBoard does, points at or behind the step at which a later file says that the run was
    restarted are left out. A later point replaces an earlier one of the same step.
    Source: TensorBoard, event_processing/event_accumulator.py, _MaybePurgeOrphanedData.
    """
    parts = []
    limit = np.iinfo(np.int64).max
    for content in reversed(oldest_first):
        series = content.scalars.get(tag)
        if series is not None:
            parts.insert(0, select(series, series.steps < limit))
        if content.restart is not None:
            limit = min(limit, content.restart)
        if content.by_order and series is not None:
            limit = min(limit, series.steps.min(initial=limit))
    steps, wall_times, values = (np.concatenate(columns) for columns in zip(*parts))
    if np.all(steps[1:] > steps[:-1]):
        return Series(steps, wall_times, values)
    rising, from_the_end = np.unique(steps[::-1], return_index=True)
    last = len(steps) - 1 - from_the_end
    return Series(rising, wall_times[last], values[last])


# The framing: from a file to messages whose checksums are right.


def intact_blocks(file, damage):
    """Yields for each block of a file a list of its Records by length, and fills in `damage`.

    After damage it goes on at the next header that can be found. It holds one block, or one record
    where that is longer, whatever a length field claims.
    """
    size = os.fstat(file.fileno()).st_size
    known_lengths = {}
    position = 0
    while position < size:
        block = read_block(file, position, size, known_lengths)
        starts, lengths, stop, problem = walk(block, size - position, known_lengths)
        if stop == 0 and problem is None:
            size = position + len(block)  # Somebody has shortened the file meanwhile.
        intact = np.ones(len(starts), bool)
        groups = []
        for indices, rows in rows_by_length(block, starts, lengths):
            intact[indices] = checksums_match(rows)
            good = intact[indices]
            groups.append(Records(position + starts[indices][good], rows[good, HEADER_BYTES:-4]))
        yield groups
        if problem and len(starts) and not intact[-1]:
            # Bytes may be missing from this record, so that its length has led astray.
            stop, problem = starts[-1], WRONG_CHECKSUM
            starts, lengths, intact = starts[:-1], lengths[:-1], intact[:-1]
        for start, length in zip(starts[~intact], lengths[~intact]):
            offset = int(position + start)
            end = int(offset + length + FRAME_BYTES)
            damage.append(Damage(offset, end, WRONG_CHECKSUM))
        position += int(stop)
        if problem:
            resume = next_header(file, position + 1, size)
            if problem == CUT_OFF and resume < size:
                problem = "the record's length leads beyond the end of the file"
            damage.append(Damage(position, resume, problem))
            position = resume


def read_at(file, position, count):
    file.seek(position)
    return file.read(count)


def read_block(file, position, size, known_lengths):
    """A block of the file that holds at least one whole record, if one begins and ends there."""
    length = message_length(read_at(file, position, HEADER_BYTES), known_lengths)
    whole = 0 if length is None else FRAME_BYTES + length
    return read_at(file, position, max(BLOCK_BYTES, whole if position + whole <= size else 0))


def walk(block, remaining, known_lengths):
    """Follows the lengths from record to record through a block, which begins where one should.

    Returns starts int64 [n] and message lengths int64 [n] of the whole records in the block, the
    offset after the last of them, and what is wrong there: None if reading can go on there. The
    file has so many bytes `remaining` from the block's beginning.
    """
    starts, lengths = [], []
    stop, problem = 0, None
    while stop < remaining:
        header = block[stop : stop + HEADER_BYTES]
        if len(header) < HEADER_BYTES:
            problem = CUT_OFF if stop + HEADER_BYTES > remaining else None
            break
        length = message_length(header, known_lengths)
        if length is None:
            problem = "no record begins here"
            break
        end = stop + FRAME_BYTES + length
        if end > len(block):
            problem = CUT_OFF if end > remaining else None
            break
        starts.append(stop)
        lengths.append(length)
        stop = end
    return np.array(starts, np.int64), np.array(lengths, np.int64), stop, problem


def message_length(header, known_lengths):
    """The length in a record's header, or None if its checksum is wrong.

    known_lengths maps headers found right before to lengths: few differ, so few are computed.
    """
    length = known_lengths.get(header)
    if length is None and len(header) == HEADER_BYTES:
        claimed, checksum = struct.unpack("<QI", header)
        if checksum == masked_crc32c([header[:8]])[0] and claimed <= MAX_MESSAGE_BYTES:
            length = known_lengths[header] = claimed
    return length


def rows_by_length(block, starts, lengths):
    """Yields (indices of the records, uint8 [n, frame + length]) for each length in the block."""
    data = np.frombuffer(block, np.uint8)
    for length in np.unique(lengths):
        indices = np.flatnonzero(lengths == length)
        yield indices, windows(data, FRAME_BYTES + int(length))[starts[indices]]


def windows(data, width):
    """A view uint8 [n - width + 1, width] of uint8 [n]: row i is data[i : i + width]."""
    shape = (max(0, len(data) - width + 1), width)
    return np.lib.stride_tricks.as_strided(data, shape, (1, 1), writeable=False)


def masked_crc32c(messages):
    """The checksums that event files store of n byte strings or rows: uint32 [n].

    CRC-32C, rotated right by 15 bits, plus a constant. Source: tensorflow/core/lib/hash/crc32c.h.
    """
    crc = np.fromiter(map(crc32c, messages), np.uint32, len(messages))
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)


def checksums_match(rows):
    """bool [n]: whether the checksum that ends each row is that of its message."""
    stored = np.ascontiguousarray(rows[:, -4:]).view("<u4")[:, 0]
    return masked_crc32c(rows[:, HEADER_BYTES:-4]) == stored


def next_header(file, position, size):
    """The offset of the next right header, from `position` on, whose record fits into the file.

    Returns `size` if there is none.
    """
    while position + FRAME_BYTES <= size:
        block = read_at(file, position, BLOCK_BYTES)
        headers = windows(np.frombuffer(block, np.uint8), HEADER_BYTES)
        if not len(headers):
            break
        # The upper half of a length is zero (MAX_MESSAGE_BYTES): few places need the checksum.
        candidates = np.flatnonzero(~headers[:, 4:8].any(axis=1))
        stored = np.ascontiguousarray(headers[candidates, 8:12]).view("<u4")[:, 0]
        right = candidates[masked_crc32c(headers[candidates, :8]) == stored]
        for offset in right:
            length = int(headers[offset, :4].copy().view("<u4")[0])
            if position + int(offset) + FRAME_BYTES + length <= size:
                return position + int(offset)
        position += len(headers)
    return size


# The messages: from bytes of Event messages to scalars.


def parse(records, found):
    """Adds to `found` what Records of one length hold."""
    rows = collections.defaultdict(list)
    waiting = np.arange(len(records.offsets))
    for _ in range(MAX_LAYOUTS):
        if len(waiting) < 2:
            break
        tag, same, series = parse_alike(records.messages[waiting])
        if tag is None:
            same = np.arange(len(waiting)) == 0
            parse_singly(records, waiting[0], rows, found)
        else:
            found.points[tag, "simple_value"].append((records.offsets[waiting[same]], series))
        waiting = waiting[~same]
    for index in waiting:
        parse_singly(records, index, rows, found)
    for key, points in rows.items():
        offsets, steps, wall_times, values = zip(*points)
        found.points[key].append((np.array(offsets), as_series(steps, wall_times, values)))


def parse_alike(messages):
    """Parses at once the messages uint8 [n, length] that differ only in time, step and value.

    Returns the tag, bool [n] which messages are like the first, and their Series; or None three
    times if the first is not what FileWriter makes of one scalar.
    """
    first = messages[0].tobytes()
    try:
        event = parsed(first)
        tag = event.summary.value[0].tag
        plain = summary_pb2.Summary.Value(tag=tag, simple_value=event.summary.value[0].simple_value)
    except (DecodeError, IndexError, ValueError):
        return None, None, None
    rebuilt = event_pb2.Event(
        wall_time=event.wall_time, step=event.step, summary=summary_pb2.Summary(value=[plain])
    )
    # If these fields alone give the same bytes, they lie where they are looked for below: a key and
    # 8 bytes of time, a key and a varint, the tag, and 4 bytes of value at the end.
    if event.wall_time == 0 or event.step <= 0 or rebuilt.SerializeToString() != first:
        return None, None, None
    step_bytes = slice(10, 10 + (event.step.bit_length() + 6) // 7)
    fixed = np.ones(messages.shape[1], bool)
    fixed[1:9] = fixed[step_bytes] = fixed[-4:] = False
    more_follows = messages[:, step_bytes] & 0x80
    same = (messages[:, fixed] == messages[0, fixed]).all(axis=1)
    same &= (more_follows == more_follows[0]).all(axis=1)
    alike = messages[same]
    steps = np.zeros(len(alike), np.int64)
    for index, column in enumerate(alike[:, step_bytes].T):
        steps |= (column & 0x7F).astype(np.int64) << (7 * index)
    wall_times = np.ascontiguousarray(alike[:, 1:9]).view("<f8")[:, 0]
    values = np.ascontiguousarray(alike[:, -4:]).view("<f4")[:, 0].astype(np.float64)
    return tag, same, Series(steps, wall_times, values)


def parsed(message):
    """The Event in bytes. Raises DecodeError if they hold none, or anything besides."""
    event = event_pb2.Event()
    if event.MergeFromString(message) != len(message):
        raise DecodeError("bytes after the end of the message")
    return event


def parse_singly(records, index, rows, found):
    """Adds to `found` what one record holds; its points (offset, step, time, value) to `rows`."""
    offset = int(records.offsets[index])
    message = records.messages[index].tobytes()
    try:
        event = parsed(message)
        for value in event.summary.value:
            number = scalar_value(value, found.scalar_tensors)
            if number is not None:
                point = (offset, event.step, event.wall_time, number)
                rows[value.tag, value.WhichOneof("value")].append(point)
    except (DecodeError, ValueError):
        end = offset + FRAME_BYTES + len(message)
        found.damage.append(Damage(offset, end, "the record holds no event message"))
        return
    if event.session_log.status == event_pb2.SessionLog.START:
        found.restarts.append((offset, event.step, event.wall_time))
    found.by_order |= event.file_version == "brain.Event:1"


def as_series(steps, wall_times, values):
    return Series(
        np.array(steps, np.int64), np.array(wall_times, np.float64), np.array(values, np.float64)
    )


def scalar_value(value, scalar_tensors):
    """The number in a Summary.Value, or None if it holds none (an image, text, a histogram)."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return value.simple_value
    plugin = value.metadata.plugin_data.plugin_name
    if kind != "tensor" or plugin not in ("", "scalars"):
        return None
    if plugin:
        scalar_tensors.add(value.tag)
    tensor = value.tensor
    numbers, dtype = {
        types_pb2.DT_FLOAT: (tensor.float_val, "<f4"),
        types_pb2.DT_DOUBLE: (tensor.double_val, "<f8"),
    }.get(tensor.dtype, ((), None))
    if dtype and len(tensor.tensor_content) == np.dtype(dtype).itemsize:
        numbers = np.frombuffer(tensor.tensor_content, dtype)
    return float(numbers[0]) if len(numbers) == 1 else None
