"""Scalars from TensorBoard event files, without TensorFlow.

A file is a sequence of records: uint64 length, uint32 masked CRC-32C of it, an Event message of
that length, uint32 masked CRC-32C of the message. Every checksum is checked. Records of one length
are checked and parsed together, since those of one scalar differ only in time, step and value.
"""

import collections
import os
import struct
import warnings

import numpy as np
from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2, summary_pb2, types_pb2

from graph_mode.plotting.crc32c import masked_crc32c

HEADER_BYTES = 12
FRAME_BYTES = HEADER_BYTES + 4
BLOCK_BYTES = 1 << 20
# protobuf allows no message of 2 GiB: a longer length is never a real one.
MAX_MESSAGE_BYTES = (1 << 31) - 1
# So many layouts are tried on records of one length before the rest is parsed one by one.
MAX_LAYOUTS = 8
CUT_OFF = "the file stops inside a record"

Series = collections.namedtuple("Series", "steps wall_times values")
Series.__doc__ = """One scalar over a run: steps int64 [n], wall_times float64 [n] (seconds since
1970, UTC), values float64 [n]. A float32 of the file is that very number here."""

Damage = collections.namedtuple("Damage", "offset end reason")
Damage.__doc__ = "The bytes from `offset` up to `end` of a file could not be used, and why."

EventFile = collections.namedtuple("EventFile", "scalars damage cut_off")
EventFile.__doc__ = """What one file held: scalars {tag: Series} in the order of the file, damage
[Damage], and cut_off, whether the file stops inside a record (normal while a run goes on)."""

Records = collections.namedtuple("Records", "offsets messages")
Records.__doc__ = (
    "Records of one length: offsets int64 [n] in the file, messages uint8 [n, length]."
)


def read_event_file(path):
    """Every scalar of one event file, in both encodings: simple_value and scalar tensor.

    Damage never raises: what can still be read is returned with a list of what could not.

    Raises:
        OSError: the file cannot be opened or read.
    """
    damage = []
    parts = collections.defaultdict(list)
    scalar_tensors = set()
    with open(path, "rb") as file, warnings.catch_warnings():
        # protobuf before 4 only warns of what parsed() raises.
        warnings.simplefilter("ignore", RuntimeWarning)
        for block in intact_blocks(file, damage):
            in_block = collections.defaultdict(list)
            for records in block:
                for tag, kind, offsets, series in scalars_in(records, scalar_tensors, damage):
                    in_block[tag, kind].append((offsets, series))
            for (tag, kind), found in in_block.items():
                parts[tag, kind].append(in_file_order(found))
    # Writers may name the plugin only with the first tensor of a tag, so only now is this known.
    scalars = {
        tag: joined(parts.pop((tag, kind)))
        for tag, kind in sorted(parts)
        if kind == "simple_value" or tag in scalar_tensors
    }
    cut_off = any(found.reason == CUT_OFF for found in damage)
    return EventFile(scalars, sorted(d for d in damage if d.reason != CUT_OFF), cut_off)


def merge_series(oldest_first):
    """One Series of rising steps from those of several files, the oldest file first.

    A later point replaces an earlier one of the same step, as when a run was resumed.
    """
    if len(oldest_first) == 1:
        steps, wall_times, values = oldest_first[0]
    else:
        steps, wall_times, values = (np.concatenate(columns) for columns in zip(*oldest_first))
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
            stop, problem = starts[-1], "the record's checksum is wrong"
            starts, lengths, intact = starts[:-1], lengths[:-1], intact[:-1]
        for start, length in zip(starts[~intact], lengths[~intact]):
            offset = int(position + start)
            end = int(offset + length + FRAME_BYTES)
            damage.append(Damage(offset, end, "the record's checksum is wrong"))
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
    """Follows the lengths from record to record through a block.

    Args:
        block: bytes, which begin where a record should.
        remaining: how many bytes the file has from there on.
        known_lengths: see message_length.

    Returns:
        starts int64 [n] and message lengths int64 [n] of the whole records in the block, the offset
        after the last of them, and what is wrong there: None if reading can go on there.
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
        computed = masked_crc32c(np.frombuffer(header, np.uint8, 8).reshape(1, 8))[0]
        if checksum == computed and claimed <= MAX_MESSAGE_BYTES:
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


def scalars_in(records, scalar_tensors, damage):
    """Yields (tag, kind, offsets int64 [n], Series) for the scalars in records of one length.

    kind is "simple_value" or "tensor"; scalar_tensors collects the tags of which a record says that
    their tensors are scalars.
    """
    waiting = np.arange(len(records.offsets))
    for _ in range(MAX_LAYOUTS):
        if len(waiting) < 2:
            break
        tag, same, series = parse_alike(records.messages[waiting])
        if tag is not None:
            yield tag, "simple_value", records.offsets[waiting[same]], series
        else:
            same = np.zeros(len(waiting), bool)
            same[0] = True
            yield from parse_singly(records, waiting[:1], scalar_tensors, damage)
        waiting = waiting[~same]
    yield from parse_singly(records, waiting, scalar_tensors, damage)


def parse_alike(messages):
    """Parses at once the messages that differ from the first only in time, step and value.

    Args:
        messages: uint8 [n, length].

    Returns:
        tag, bool [n] which messages those are, and their Series; or None three times if the first
        is not what FileWriter makes of one scalar.
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


def parse_singly(records, indices, scalar_tensors, damage):
    """Yields what scalars_in does, from messages parsed one by one."""
    points = collections.defaultdict(list)
    for index in indices:
        offset = int(records.offsets[index])
        message = records.messages[index].tobytes()
        try:
            event = parsed(message)
            for value in event.summary.value:
                number = scalar_value(value, scalar_tensors)
                if number is not None:
                    point = (offset, event.step, event.wall_time, number)
                    points[value.tag, value.WhichOneof("value")].append(point)
        except (DecodeError, ValueError):
            end = offset + FRAME_BYTES + len(message)
            damage.append(Damage(offset, end, "the record holds no event message"))
    for (tag, kind), rows in points.items():
        offsets, steps, wall_times, values = zip(*rows)
        yield tag, kind, np.array(offsets, np.int64), as_series(steps, wall_times, values)


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


def in_file_order(parts):
    """One Series of the (offsets, Series) of a tag in a block, in the order of the file."""
    offsets = np.concatenate([offsets for offsets, _ in parts])
    # Stable: an event may hold the same tag twice.
    order = np.argsort(offsets, kind="stable")
    columns = zip(*(series for _, series in parts))
    return Series(*(np.concatenate(column)[order] for column in columns))


def joined(parts):
    """One Series of several. Empties `parts`, so that little is in memory twice."""
    columns = [list(column) for column in zip(*parts)]
    parts.clear()
    return Series(*(np.concatenate(columns.pop(0)) for _ in range(len(columns))))
