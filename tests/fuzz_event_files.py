"""Damages event files at random and checks what reading them gives.

    python tests/fuzz_event_files.py 100000 [SEED]

What must hold for every damaged file is check() below. Each failure prints the seed that makes it
again; the exit code is 1 if there was one.
"""

import os
import random
import struct
import sys
import tempfile
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tensorboard.compat.proto import event_pb2  # noqa: E402
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c  # noqa: E402

from graph_mode.plotting import event_files  # noqa: E402
from tests import made_runs  # noqa: E402


def framed(message):
    """The bytes of one record, with tensorboard's checksums."""
    length = struct.pack("<Q", len(message))
    return b"".join(
        [
            length,
            struct.pack("<I", masked_crc32c(length)),
            message,
            struct.pack("<I", masked_crc32c(message)),
        ]
    )


def sample_messages(source):
    """Messages as several writers make them; each scalar has a value of its own."""
    messages = [made_runs.version_event()]
    for number in range(source.randint(1, 40)):
        step = number * source.choice([1, 1, 100, 10000])
        kind = source.random()
        if kind < 0.7:
            messages.append(made_runs.scalar_event(step, loss=number + 0.5))
        elif kind < 0.8:
            messages.append(made_runs.scalar_event(step, loss=number + 0.5, accuracy=number + 0.25))
        elif kind < 0.9:
            messages.append(made_runs.tensor_event(step, "tensor_loss", number + 0.5))
        else:
            graph = bytes(source.getrandbits(8) for _ in range(source.randint(0, 400)))
            messages.append(event_pb2.Event(step=step, graph_def=graph).SerializeToString())
    return messages


def damaged(data, source):
    """The bytes with one to three random changes."""
    data = bytearray(data)
    for _ in range(source.randint(1, 3)):
        at = source.randint(0, len(data))
        count = source.choice([1, 1, 2, 8, 30, 200])
        kind = source.randrange(7)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at : at + count]
        elif kind == 2:
            data[at:at] = bytes(source.getrandbits(8) for _ in range(count))
        elif kind == 3:
            data[at:at] = data[: source.randint(0, len(data))][-count:]
        elif kind == 4:
            data[at : at + count] = bytes(len(data[at : at + count]))
        elif kind == 5:
            lie = struct.pack("<Q", source.choice([0, 1, 500, 1 << 30, 1 << 40, (1 << 64) - 1]))
            data[at:at] = lie + struct.pack("<I", masked_crc32c(lie))
        elif at < len(data):
            data[at] ^= 1 << source.randrange(8)
    return bytes(data)


def points_of(messages):
    """[(tag, step, wall time, value)] of undamaged messages, in their order."""
    points = []
    for message in messages:
        event = event_pb2.Event.FromString(message)
        for value in event.summary.value:
            is_tensor = value.HasField("tensor")
            number = value.tensor.float_val[0] if is_tensor else value.simple_value
            points.append((value.tag, event.step, event.wall_time, number))
    return points


def leading_messages(data):
    """The messages before the first thing wrong, and whether nothing is: the plainest reader."""
    messages = []
    position = 0
    while position < len(data):
        header = data[position : position + 12]
        if len(header) < 12:
            return messages, False
        length, checksum = struct.unpack("<QI", header)
        if masked_crc32c(header[:8]) != checksum:
            return messages, False
        end = position + 16 + length
        message = data[position + 12 : end - 4]
        if end > len(data) or struct.pack("<I", masked_crc32c(message)) != data[end - 4 : end]:
            return messages, False
        messages.append(message)
        position = end
    return messages, True


def read_bytes(data, folder):
    path = os.path.join(str(folder), "events.out.tfevents.1.host")
    with open(path, "wb") as file:
        file.write(data)
    return event_files.read_event_file(path)


def read_points(content):
    return [
        (tag,) + point
        for tag, series in content.scalars.items()
        for point in zip(*(column.tolist() for column in series))
    ]


def check(original, data, folder):
    """Reads the damaged bytes: no made-up point, none lost in front, no damage left unsaid."""
    content = read_bytes(data, folder)
    points = read_points(content)
    before, nothing_wrong = leading_messages(data)
    assert set(points) <= set(points_of(original)), "a point that was never written"
    # A lying header may stand before whole records, so a message can be empty and no event.
    assert set(points_of(before)) <= set(points), "a point in front of the damage is lost"
    assert nothing_wrong == (not content.damage and not content.cut_off), "damage left unsaid"
    ends = [0] + [damage.end for damage in content.damage]
    for end, damage in zip(ends, content.damage):
        assert end <= damage.offset < damage.end <= len(data), "a place that is none"
    return content


def damage_messages(messages, source):
    """Framed messages with right checksums, of which one was changed before it was framed."""
    messages = list(messages)
    number = source.randrange(len(messages))
    messages[number] = damaged(messages[number], source)
    return b"".join(framed(message) for message in messages)


def try_one(seed, folder):
    source = random.Random(seed)
    original = sample_messages(source)
    check(original, damaged(b"".join(map(framed, original)), source), folder)
    # Whatever an intact record holds, it is read or reported.
    read_bytes(damage_messages(original, source), folder)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            try:
                try_one(seed, folder)
            except Exception:
                failures += 1
                print(f"seed {seed}:\n{traceback.format_exc()}", file=sys.stderr)
    print(f"{count} damaged files, {failures} failures")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
