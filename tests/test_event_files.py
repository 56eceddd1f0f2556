"""Reading event files: what every writer wrote, and what is left where a file is damaged.

python -m pytest tests/test_event_files.py --hypothesis-profile long    (make fuzz)"""

import os
import pathlib
import struct
import tempfile
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from made_runs import scalar_event, tensor_event, version_event, write_event_file
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


def read(*contents):
    """Reads some bytes, each as an event file, into ({tag: Series}, [Damage])."""
    points, damage = event_files.Points(), []
    with tempfile.TemporaryDirectory() as folder:
        for content in contents:
            path = pathlib.Path(folder, "tfevents")
            path.write_bytes(content)
            damage += event_files.read_event_file(str(path), points)
    return points.series(), damage


def losses(series):
    return series["loss"].values.tolist() if series else []


def losses_in(path):
    """The losses of an event file that has no damage."""
    series, damage = read(path.read_bytes())
    assert damage == []
    return losses(series)


def test_points_come_back_exactly():
    # Steps of one to eight bytes, another tag in between, and values that float32 cannot hold.
    steps = [-3, *range(400), 16383, 16384, 70001, 2**40, 2**62]
    values = np.random.RandomState(0).normal(size=len(steps))
    values[:6] = [float("nan"), np.inf, -np.inf, -0.0, 1e-45, 3.4028234663852886e38]
    points = zip(steps, values)
    messages = [scalar_event(step, 1e9 + step / 7, loss=v, accuracy=0.1) for step, v in points]
    series, damage = read(b"".join(map(framed, [version_event(), *messages])))
    assert series["loss"].steps.tolist() == steps and damage == []
    assert series["loss"].wall_times.tolist() == [1e9 + step / 7 for step in steps]
    np.testing.assert_array_equal(series["loss"].values, values.astype(np.float32))
    assert np.signbit(series["loss"].values[3])
    assert set(series["accuracy"].values) == {float(np.float32(0.1))}


def test_scalar_tensors_are_read_also_where_only_the_first_names_the_plugin():
    messages = [tensor_event(step, "loss", step, "scalars" * (step == 0)) for step in range(4)]
    messages += [tensor_event(2, "text", 5.0, "text"), tensor_event(2, "what", 5.0, "")]
    series, _ = read(b"".join(map(framed, messages)))
    assert (list(series), losses(series)) == (["loss"], [0, 1, 2, 3])


def test_what_the_writer_of_tensorflow_2_wrote_is_read(tmp_path):
    from tensorflow.compat.v2 import summary

    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.placeholder(tf.int64, [])
        writer = summary.create_file_writer(str(tmp_path))
        with writer.as_default():
            scalar = summary.scalar("loss", tf.cast(step, tf.float32) / 2, step)
        session.run(writer.init())
        for number in range(300):
            session.run(scalar, {step: number})
        session.run(writer.flush())
    (path,) = tmp_path.iterdir()
    assert losses_in(path) == [step / 2 for step in range(300)]


def flipped(place, change):
    """A record with some bits changed in one byte."""
    data = bytearray(records(1, first=99)[0])
    data[place] ^= change
    return bytes(data)


ODD = framed(b"\x0a" * 200)
NO_RECORDS = [
    *(flipped(3, 0x10), flipped(10, 0x01)),  # its length, the checksum of that
    *(flipped(15, 0x01), flipped(30, 0x80)),
    ODD[:50] + ODD[150:],  # Its length leads into the middle of a later record.
    b"\0" * 1000,
    LYING_HEADER,
    framed(b"\xff\xff\xff"),  # no event
]


@pytest.mark.parametrize("between", NO_RECORDS, ids=len)
def test_what_is_no_record_costs_no_other_and_is_reported_with_its_place(between, monkeypatch):
    before, after = b"".join(records(3)), b"".join(records(20, first=3))
    for block in (event_files.BLOCK_BYTES, 64, 61):
        monkeypatch.setattr(event_files, "BLOCK_BYTES", block)
        series, (damage,) = read(before + between + after)
        assert losses(series) == list(range(23))
        assert (damage.offset, damage.end) == (len(before), len(before + between))
        assert damage.reason != event_files.CUT_OFF


@pytest.mark.parametrize("content", [LYING_HEADER, framed(b"\x0a" * (1 << 19)) * 40], ids=len)
def test_no_more_memory_is_taken_than_one_record_needs(content):
    data = b"".join(records(5)) + content
    read(data)  # What the first call imports and caches does not count.
    tracemalloc.start()
    assert losses(read(data)[0]) == list(range(5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_a_later_point_of_the_same_step_counts():
    again = framed(scalar_event(2, loss=7))
    assert losses(read(b"".join(records(3)), again)[0]) == [0, 1, 7]


def test_going_on_from_a_checkpoint_cuts_off_what_was_written_after_it(tmp_path):
    path = tmp_path / "events.out.tfevents.1.host"
    write_event_file(str(path), [scalar_event(step, loss=step) for step in range(6)])
    path.write_bytes(path.read_bytes() + records(1, first=6)[0][:-3])  # cut off
    for last_step, kept in ((9, 6), (3, 4)):
        event_writer.drop_events_after(str(path), last_step)
        assert losses_in(path) == list(range(kept))
    before = bytearray(path.read_bytes())
    before[-6] ^= 1
    path.write_bytes(before)
    with pytest.raises(CommandError, match=r"damaged at byte \d+, expected an event"):
        event_writer.drop_events_after(str(path), 3)
    assert path.read_bytes() == before
    event_writer.drop_events_after(str(path), -1)
    assert os.listdir(str(tmp_path)) == []


LOST = st.integers(0, 200) | st.just(2000)
PUT = st.binary(max_size=300) | st.sampled_from([LYING_HEADER, ODD[:150]])
CHANGE = st.tuples(st.integers(0, 1500), LOST, PUT)


@given(st.lists(CHANGE, max_size=3))
@example([(0, 2000, b"")])
def test_any_bytes_are_either_the_record_of_a_point_or_reported(changes):
    originals = records(30)
    data = bytearray(b"".join(originals))
    for start, lost, put in changes:
        data[start : start + lost] = put
    series, damage = read(data)
    ends = [0, *(each.end for each in damage)]
    starts = [*(each.offset for each in damage), len(data)]
    assert ends == sorted(ends) and all(end <= start for end, start in zip(ends, starts))
    undamaged = b"".join(data[end:start] for end, start in zip(ends, starts))
    assert undamaged == b"".join(originals[int(loss)] for loss in losses(series))
