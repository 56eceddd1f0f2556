"""Reading event files: what every writer wrote, and what is left where a file is damaged.

python -m pytest tests/test_event_files.py --hypothesis-profile long    (make fuzz)
"""

import functools
import os
import pathlib
import random
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import restart_event, scalar_event, tensor_event, version_event, write_event_file
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.runs import event_files, event_writer


def framed(message):
    """The bytes of one record, with tensorboard's checksums."""
    length = struct.pack("<Q", len(message))
    sums = [struct.pack("<I", masked_crc32c(part)) for part in (length, message)]
    return b"".join([length, sums[0], message, sums[1]])


def records(count, first=0):
    """The framed records of `count` losses, each of its own value."""
    return [framed(scalar_event(step, loss=step)) for step in range(first, first + count)]


LIE = struct.pack("<Q", 1 << 30)
LYING_HEADER = LIE + struct.pack("<I", masked_crc32c(LIE))


@pytest.fixture
def read(tmp_path):
    """read_bytes() into a folder of the test."""
    return functools.partial(read_bytes, tmp_path)


def read_bytes(folder, *contents):
    """Reads some bytes, each as an event file, into ({tag: Series}, [Damage])."""
    points, damage = event_files.Points(), []
    for content in contents:
        path = os.path.join(str(folder), "tfevents")
        with open(path, "wb") as file:
            file.write(content)
        damage += event_files.read_event_file(path, points)
    return points.series(), damage


def places(damage):
    return [(each.offset, each.end) for each in damage]


def losses(series):
    return series["loss"].values.tolist()


def test_points_come_back_exactly(read):
    # Steps of one to eight bytes, another tag in between, and values that float32 cannot hold.
    steps = [-3, *range(400), 16383, 16384, 70001, 2**40, 2**62]
    values = np.random.RandomState(0).normal(size=len(steps))
    values[:6] = [float("nan"), np.inf, -np.inf, -0.0, 1e-45, 3.4028234663852886e38]
    messages = [version_event()]
    for step, value in zip(steps, values):
        messages.append(scalar_event(step, 1e9 + step / 7, loss=value, accuracy=0.1))
    series, damage = read(b"".join(map(framed, messages)))
    assert series["loss"].steps.tolist() == steps
    assert series["loss"].wall_times.tolist() == [1e9 + step / 7 for step in steps]
    np.testing.assert_array_equal(series["loss"].values, values.astype(np.float32))
    assert np.signbit(series["loss"].values[3])
    assert set(series["accuracy"].values) == {float(np.float32(0.1))}
    assert damage == []


def test_scalar_tensors_are_read_also_where_only_the_first_names_the_plugin(read):
    named = [step == 0 and "scalars" for step in range(4)]
    messages = [tensor_event(step, "loss", step, plugin) for step, plugin in enumerate(named)]
    messages += [tensor_event(2, "text", 5.0, "text"), tensor_event(2, "what", 5.0, "")]
    series, _ = read(b"".join(map(framed, messages)))
    assert (list(series), losses(series)) == (["loss"], [0, 1, 2, 3])


def test_what_the_writers_of_tensorflow_wrote_is_read(tmp_path):
    from tensorflow.compat.v2 import summary

    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.placeholder(tf.int64, [])
        writers = [summary.create_file_writer(str(tmp_path / "2"))]
        with writers[0].as_default():
            scalar = summary.scalar("loss", tf.cast(step, tf.float32) / 2, step)
        session.run(writers[0].init())
        writers.append(tf.summary.FileWriter(str(tmp_path / "1"), session.graph))
        for number in range(300):
            session.run(scalar, {step: number})
            value = tf.Summary.Value(tag="loss", simple_value=number / 2)
            writers[1].add_summary(tf.Summary(value=[value]), number)
        session.run(writers[0].flush())
        writers[1].close()
    for version in ("1", "2"):
        (path,) = (tmp_path / version).iterdir()
        points = event_files.Points()
        assert event_files.read_event_file(str(path), points) == []
        assert losses(points.series()) == [step / 2 for step in range(300)]


@pytest.mark.parametrize("left_out", [1, 4, 10, 40])
def test_a_file_cut_off_at_the_end_is_read_up_to_there(read, left_out):
    series, (damage,) = read(b"".join(records(10))[:-left_out])
    assert losses(series) == list(range(9))
    assert damage.reason == event_files.CUT_OFF


@pytest.mark.parametrize(
    "place, change",
    [(3, 0x10), (10, 0x01), (15, 0x01), (30, 0x80)],
    ids=["length", "crc", "message", "data"],
)
def test_one_wrong_bit_costs_one_record_and_is_reported_with_its_place(read, place, change):
    parts = records(10)
    start = sum(map(len, parts[:4]))
    data = bytearray(b"".join(parts))
    data[start + place] ^= change
    series, damage = read(bytes(data))
    assert losses(series) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert places(damage) == [(start, start + len(parts[4]))]


ODD = framed(b"\x0a" * 200)


@pytest.mark.parametrize(
    "between",
    # The length of a record that lost bytes leads into the middle of a later one.
    [ODD[:50] + ODD[150:], b"\0" * 1000, LYING_HEADER, framed(b"\xff\xff\xff")],
    ids=["a record that lost bytes", "foreign bytes", "a length beyond the end", "no event"],
)
def test_what_is_no_record_costs_no_other_record_and_is_reported(read, between, monkeypatch):
    before, after = records(3), records(20, first=3)
    start = sum(map(len, before))
    for block in (event_files.BLOCK_BYTES, 64, 61):
        monkeypatch.setattr(event_files, "BLOCK_BYTES", block)
        series, damage = read(b"".join(before) + between + b"".join(after))
        assert losses(series) == list(range(23))
        assert places(damage) == [(start, start + len(between))]
        assert damage[0].reason != event_files.CUT_OFF


@pytest.mark.parametrize(
    "content, count",
    # A length that lies, at the end and before more; and large records that are no events.
    [(LYING_HEADER, 1), (LYING_HEADER + b"\0" * 100, 1), (framed(b"\x0a" * (1 << 19)) * 40, 40)],
    ids=["end", "more", "large"],
)
def test_no_more_memory_is_taken_than_one_record_needs(read, content, count):
    data = b"".join(records(5)) + content
    read(data)  # What the first call imports and caches does not count.
    tracemalloc.start()
    series, damage = read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (losses(series), len(damage)) == (list(range(5)), count)
    assert peak < 8 << 20


def test_a_file_that_is_shortened_while_it_is_read_ends_where_it_ends(read, monkeypatch):
    size = os.fstat
    monkeypatch.setattr(
        event_files.os, "fstat", lambda file: os.stat_result([*size(file)[:6], 1 << 22, 0, 0, 0])
    )
    long_record = framed(version_event() * 70000)
    for tail in (b"", long_record[:1500000]):
        assert losses(read(b"".join(records(5)) + tail)[0]) == list(range(5))


@pytest.mark.parametrize("same_file", [True, False])
def test_a_restart_takes_points_back_as_in_tensorboard(read, same_file):
    first = b"".join(framed(scalar_event(step, loss=5.0)) for step in range(0, 1001, 100))
    restart = framed(restart_event(500))
    contents = [first + restart] if same_file else [first, restart]
    assert read(*contents)[0]["loss"].steps.tolist() == [0, 100, 200, 300, 400]
    later = b"".join(framed(scalar_event(step, loss=1.0)) for step in range(505, 756, 50))
    contents[-1] += later
    assert losses(read(*contents)[0]) == [5.0] * 5 + [1.0] * 6
    assert read(first, framed(restart_event(0)))[0] == {}


def test_going_on_from_a_checkpoint_cuts_off_what_was_written_after_it(tmp_path):
    path = str(tmp_path / "events.out.tfevents.1.host")
    write_event_file(path, [scalar_event(step, loss=step) for step in range(6)])
    with open(path, "ab") as file:
        file.write(records(1, first=6)[0][:-3])  # cut off
    for last_step, kept in ((9, 6), (3, 4)):
        event_writer.drop_events_after(path, last_step)
        points = event_files.Points()
        assert event_files.read_event_file(path, points) == []
        assert losses(points.series()) == list(range(kept))
    before = bytearray(pathlib.Path(path).read_bytes())
    before[-6] ^= 1
    pathlib.Path(path).write_bytes(before)
    with pytest.raises(CommandError, match=r"damaged at byte \d+, expected an event"):
        event_writer.drop_events_after(path, 3)
    assert pathlib.Path(path).read_bytes() == before
    event_writer.drop_events_after(path, -1)
    assert os.listdir(str(tmp_path)) == []


# Any damage at all


def sample_messages(source):
    """Messages as several writers make them; each scalar has a value of its own."""
    noise = bytes(source.getrandbits(8) for _ in range(400))
    messages = [version_event()]
    for step in range(source.randint(1, 40)):
        graph = event_pb2.Event(graph_def=noise[: source.randint(0, 400)]).SerializeToString()
        tensor = tensor_event(step, "tensor_loss", step + 0.5)
        scalar = scalar_event(step, loss=step + 0.5)
        messages.append(source.choice([graph, tensor] + [scalar] * 8))
    return messages


def damaged(data, source):
    """The bytes with one to three random changes."""
    data = bytearray(data)
    for _ in range(source.randint(1, 3)):
        at = source.randint(0, len(data))
        count = source.choice([1, 1, 2, 8, 30, 200])
        lie = struct.pack("<Q", source.choice([0, 1, 500, 1 << 30, 1 << 40, (1 << 64) - 1]))
        put, lost = source.choice(
            [
                (b"", len(data)),
                (b"", count),
                (bytes(source.getrandbits(8) for _ in range(count)), 0),
                (data[: source.randint(0, len(data))][-count:], 0),
                (bytes(count), count),
                (lie + struct.pack("<I", masked_crc32c(lie)), 0),
                (bytes([source.getrandbits(8)]), 1),
            ]
        )
        data[at : at + lost] = put
    return bytes(data)


def points_of(messages):
    """{(tag, step, wall time, value)} of undamaged messages."""
    return {
        (part.tag, event.step, event.wall_time, (*part.tensor.double_val, part.simple_value)[0])
        for event in map(event_pb2.Event.FromString, messages)
        for part in event.summary.value
    }


def leading_messages(data):
    """The messages before the first thing wrong, and whether nothing is: the plainest reader."""
    messages, position = [], 0
    while position < len(data):
        (length,) = struct.unpack("<Q", data[position : position + 8].ljust(8, b"\0"))
        message = data[position + 12 : position + 12 + length]
        record = framed(message)
        if record != data[position : position + len(record)]:
            return messages, False
        messages.append(message)
        position += len(record)
    return messages, True


@given(st.integers(min_value=0))
def test_any_damage_is_reported_and_never_makes_up_a_point_nor_costs_one_before_it(
    tmp_path_factory, seed
):
    source = random.Random(seed)
    original = sample_messages(source)
    data = damaged(b"".join(map(framed, original)), source)
    series, damage = read_bytes(tmp_path_factory.getbasetemp(), data)
    points = {
        (tag,) + point
        for tag, columns in series.items()
        for point in zip(*(column.tolist() for column in columns))
    }
    before, nothing_wrong = leading_messages(data)
    assert points_of(before) <= points <= points_of(original)
    assert nothing_wrong == (not damage)
    ends = [0] + [each.end for each in damage]
    for end, each in zip(ends, damage):
        assert end <= each.offset < each.end <= len(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(tmp_path_factory, data):
    series, damage = read_bytes(tmp_path_factory.getbasetemp(), data)
    assert series == {}
    assert bool(data) == bool(damage)
