import os
import pathlib
import random
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as reference_crc

from graph_mode.command_line import CommandError
from graph_mode.plotting import event_files
from graph_mode.runs import event_writer
from tests import fuzz_event_files, made_runs
from tests.fuzz_event_files import framed
from tests.made_runs import (
    restart_event,
    scalar_event,
    tensor_event,
    version_event,
    write_event_file,
)

LIE = struct.pack("<Q", 1 << 30)
LYING_HEADER = LIE + struct.pack("<I", reference_crc(LIE))


@pytest.fixture
def read(tmp_path):
    """Reads the bytes as an event file."""
    return lambda data: fuzz_event_files.read_bytes(data, tmp_path)


def losses(content, tag="loss"):
    return content.scalars[tag].values.tolist()


def records(count, first=0):
    """The framed records of `count` losses, each of its own value."""
    return [framed(scalar_event(step, loss=step)) for step in range(first, first + count)]


def test_points_come_back_exactly_in_the_order_of_the_file(tmp_path):
    # Steps of one to four bytes, another tag in between, and values that float32 cannot hold.
    steps = list(range(400)) + [16383, 16384, 70001, 2**21, 2**40]
    random_values = np.random.RandomState(0).normal(size=len(steps))
    messages = []
    for step, value in zip(steps, random_values):
        messages.append(scalar_event(step, 1e9 + step / 7, loss=value))
        if step % 100 == 0:
            messages.append(scalar_event(step, 1e9 + step / 7, accuracy=0.1))
    content = event_files.read_event_file(write_event_file(str(tmp_path / "tfevents"), messages))
    assert content.scalars["loss"].steps.tolist() == steps
    assert content.scalars["loss"].wall_times.tolist() == [1e9 + step / 7 for step in steps]
    assert losses(content) == random_values.astype(np.float32).astype(np.float64).tolist()
    assert losses(content, "accuracy") == [float(np.float32(0.1))] * 4
    assert (content.damage, content.cut_off) == ([], False)


def test_tags_and_steps_that_make_records_of_one_length_are_told_apart(read):
    messages = [scalar_event(step, ab=step) for step in range(200, 204)]
    messages += [scalar_event(step, abc=step) for step in range(100, 104)]
    messages += [scalar_event(step, xy=step) for step in range(200, 204)]
    random.Random(0).shuffle(messages)
    assert len({len(message) for message in messages}) == 1
    content = read(b"".join(map(framed, messages)))
    found = {tag: sorted(series.steps.tolist()) for tag, series in content.scalars.items()}
    assert found == {"ab": [200, 201, 202, 203], "abc": [100, 101, 102, 103], "xy": found["ab"]}
    for series in content.scalars.values():
        assert series.steps.tolist() == series.values.tolist()


def test_special_values_survive(read):
    values = [float("nan"), float("inf"), -float("inf"), -0.0, 1e-45, 3.4028234663852886e38]
    content = read(b"".join(framed(scalar_event(5, loss=value)) for value in values))
    assert [repr(value) for value in losses(content)] == [
        repr(float(np.float32(v))) for v in values
    ]


def test_negative_steps_and_times_of_zero_are_read(read):
    data = b"".join(framed(scalar_event(step, 0.0, loss=1.0)) for step in (-3, -2, 7, 8))
    assert read(data).scalars["loss"].steps.tolist() == [-3, -2, 7, 8]


def test_scalar_tensors_are_read_also_where_only_the_first_names_the_plugin(read):
    named = [step == 0 and "scalars" for step in range(4)]
    messages = [tensor_event(step, "loss", step, plugin) for step, plugin in enumerate(named)]
    messages += [tensor_event(2, "text", 5.0, "text"), tensor_event(2, "what", 5.0, "")]
    content = read(b"".join(map(framed, messages)))
    assert list(content.scalars) == ["loss"]
    assert losses(content) == [0, 1, 2, 3]


def test_what_the_writers_of_tensorflow_wrote_is_read(tmp_path):
    program = """
import sys
import tensorflow
tf = tensorflow.compat.v1
tf.enable_eager_execution()
with tensorflow.compat.v2.summary.create_file_writer(sys.argv[1] + "/v2").as_default():
    for step in range(300):
        tensorflow.compat.v2.summary.scalar("loss", step / 3, step)
with tf.Graph().as_default():
    writer = tf.summary.FileWriter(sys.argv[1] + "/v1", tf.get_default_graph())
    for step in range(300):
        value = tf.Summary.Value(tag="loss", simple_value=step / 3)
        writer.add_summary(tf.Summary(value=[value]), step)
    writer.close()
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, stderr=-3)
    for version in ("v1", "v2"):
        (name,) = os.listdir(str(tmp_path / version))
        content = event_files.read_event_file(str(tmp_path / version / name))
        assert content.scalars["loss"].steps.tolist() == list(range(300))
        assert losses(content) == [float(np.float32(step / 3)) for step in range(300)]
        assert (content.damage, content.cut_off) == ([], False)


@pytest.mark.parametrize("left_out", [1, 4, 10, 40])
def test_a_file_cut_off_at_the_end_is_read_up_to_there_without_damage(read, left_out):
    content = read(b"".join(records(10))[:-left_out])
    assert losses(content) == list(range(9))
    assert content.damage == []
    assert content.cut_off


def test_an_empty_file_has_nothing_and_no_damage(read):
    content = read(b"")
    assert (content.scalars, content.damage, content.cut_off) == ({}, [], False)


@pytest.mark.parametrize(
    "place, change",
    [(3, 0x10), (10, 0x01), (15, 0x01), (30, 0x80)],
    ids=["length", "crc", "message", "data"],
)
def test_one_wrong_bit_costs_one_record_and_is_reported_with_its_offset(read, place, change):
    parts = records(10)
    start = sum(map(len, parts[:4]))
    data = bytearray(b"".join(parts))
    data[start + place] ^= change
    content = read(bytes(data))
    assert losses(content) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert [(d.offset, d.end) for d in content.damage] == [(start, start + len(parts[4]))]


def test_bytes_lost_from_a_record_cost_no_other_record(read):
    # Its length then leads into the middle of a later record.
    parts = records(3) + [framed(b"\x0a" * 200)] + records(20, first=3)
    start = sum(map(len, parts[:3]))
    data = b"".join(parts)
    content = read(data[: start + 50] + data[start + 150 :])
    assert losses(content) == list(range(23))
    assert [(d.offset, d.end) for d in content.damage] == [(start, start + len(parts[3]) - 100)]


def test_foreign_bytes_between_records_are_skipped_and_reported(read):
    parts = records(6)
    content = read(b"".join(parts[:3]) + b"\0" * 1000 + b"".join(parts[3:]))
    assert losses(content) == list(range(6))
    start = sum(map(len, parts[:3]))
    assert [(d.offset, d.end) for d in content.damage] == [(start, start + 1000)]


def test_a_record_that_ends_beyond_the_file_is_damage_if_whole_records_follow(read):
    parts = records(6)
    content = read(b"".join(parts[:3]) + LYING_HEADER + b"".join(parts[3:]))
    assert losses(content) == list(range(6))
    assert [damage.offset for damage in content.damage] == [sum(map(len, parts[:3]))]
    assert not content.cut_off


def test_damage_at_the_border_of_two_blocks_is_handled_as_anywhere(read, monkeypatch):
    parts = records(30)
    data = bytearray(b"".join(parts))
    for size in range(60, 200, 7):
        monkeypatch.setattr(event_files, "BLOCK_BYTES", size)
        for place in (400, 410, 440):
            changed = bytearray(data)
            changed[place] ^= 1
            content = read(bytes(changed))
            assert len(losses(content)) == 29
            assert len(content.damage) == 1


def test_a_record_longer_than_a_block_is_read(read, monkeypatch):
    monkeypatch.setattr(event_files, "BLOCK_BYTES", 50)
    content = read(b"".join(records(2) + [framed(version_event() * 40)] + records(2, first=2)))
    assert losses(content) == [0, 1, 2, 3]
    assert content.damage == []


def test_a_record_that_holds_no_event_is_reported(read):
    parts = records(2)
    content = read(parts[0] + framed(b"\xff\xff\xff") + parts[1])
    assert losses(content) == [0, 1]
    assert [damage.offset for damage in content.damage] == [len(parts[0])]


@pytest.mark.parametrize("tail", [b"", b"\0" * 100], ids=["end", "more"])
def test_a_length_that_lies_allocates_nothing(read, tail):
    data = b"".join(records(5)) + LYING_HEADER + tail
    read(data)  # What the first call imports and caches does not count.
    tracemalloc.start()
    content = read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert losses(content) == list(range(5))
    assert peak < 8 << 20


def test_memory_stays_far_below_the_size_of_a_long_file(tmp_path, monkeypatch):
    monkeypatch.setattr(event_files, "BLOCK_BYTES", 1 << 16)
    image = framed(b"\x0a" * (1 << 19))
    path = tmp_path / "tfevents"
    path.write_bytes(b"".join(records(1) + [image] * 40 + records(1, first=1)))
    tracemalloc.start()
    content = event_files.read_event_file(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(content.damage) == 40  # The sample image is no event.
    assert peak < 8 << 20 < path.stat().st_size


def test_a_file_that_is_shortened_while_it_is_read_ends_where_it_ends(read, monkeypatch):
    size = os.fstat
    monkeypatch.setattr(
        event_files.os, "fstat", lambda file: os.stat_result([*size(file)[:6], 1 << 22, 0, 0, 0])
    )
    long_record = framed(version_event() * 70000)
    for tail in (b"", long_record[:1500000]):
        assert losses(read(b"".join(records(5)) + tail)) == list(range(5))


def content_of(*messages, version="brain.Event:2"):
    """What reading a file of these messages gives, as (step, value) of loss; and the EventFile."""
    first = made_runs.version_event(version=version)
    return b"".join(map(framed, (first,) + messages))


def merged(read, *files):
    series = event_files.merge_series([read(data) for data in files], "loss")
    return dict(zip(series.steps.tolist(), series.values.tolist()))


def test_later_files_replace_earlier_points_of_the_same_step(read):
    first = content_of(*[scalar_event(step, loss=0) for step in (0, 1, 2, 3)])
    second = content_of(*[scalar_event(step, loss=1) for step in (2, 3, 4)])
    assert merged(read, first, second) == {0: 0, 1: 0, 2: 1, 3: 1, 4: 1}


def test_points_at_or_behind_the_step_of_a_restart_are_dropped_as_tensorboard_does(read, tmp_path):
    first = content_of(*[scalar_event(step, loss=5.0) for step in range(0, 1001, 100)])
    restarted = [restart_event(500)] + [scalar_event(s, loss=1.0) for s in range(505, 756, 50)]
    expected = {**dict.fromkeys(range(0, 401, 100), 5.0), **dict.fromkeys(range(505, 756, 50), 1.0)}
    assert merged(read, first, content_of(*restarted)) == expected
    # The same within one file.
    assert merged(read, first + b"".join(map(framed, restarted))) == expected
    # A run that was restarted, but has written nothing yet.
    assert max(merged(read, first, content_of(restart_event(500)))) == 400
    (tmp_path / "a").mkdir()
    for number, data in enumerate((first, content_of(*restarted))):
        (tmp_path / "a" / f"events.out.tfevents.{number}.host").write_bytes(data)
    accumulator = EventAccumulator(str(tmp_path / "a"), {"scalars": 0}).Reload()
    assert {point.step: point.value for point in accumulator.Scalars("loss")} == expected


def test_in_files_of_the_first_version_a_step_that_goes_back_is_a_restart(read):
    steps = (0, 100, 200, 300, 150, 250)
    data = content_of(*[scalar_event(s, loss=s) for s in steps], version="brain.Event:1")
    assert list(merged(read, data)) == [0, 100, 150, 250]
    older = content_of(*[scalar_event(s, loss=7.0) for s in (-1, 50)], version="brain.Event:1")
    assert merged(read, older, data) == {-1: 7.0, 0: 0.0, 100: 100.0, 150: 150.0, 250: 250.0}


def test_going_on_from_a_checkpoint_cuts_off_what_was_written_after_it(tmp_path):
    path = str(tmp_path / "events.out.tfevents.1.host")
    write_event_file(path, [scalar_event(step, loss=step) for step in range(6)])
    with open(path, "ab") as file:
        file.write(records(1, first=6)[0][:-3])  # cut off
    for last_step, kept in ((9, 6), (3, 4)):
        event_writer.drop_events_after(path, last_step)
        content = event_files.read_event_file(path)
        assert (losses(content), content.cut_off) == (list(range(kept)), False)
    before = bytearray(pathlib.Path(path).read_bytes())
    before[-6] ^= 1
    pathlib.Path(path).write_bytes(before)
    with pytest.raises(CommandError, match=r"damaged at byte \d+, expected an event"):
        event_writer.drop_events_after(path, 3)
    assert pathlib.Path(path).read_bytes() == before
    event_writer.drop_events_after(path, -1)
    assert os.listdir(str(tmp_path)) == []


@settings(max_examples=150, deadline=None)
@given(st.integers(min_value=0))
def test_any_damage_is_reported_and_never_makes_up_a_point(tmp_path_factory, seed):
    fuzz_event_files.try_one(seed, tmp_path_factory.getbasetemp())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(tmp_path_factory, data):
    content = fuzz_event_files.read_bytes(data, tmp_path_factory.getbasetemp())
    assert content.scalars == {}
    assert not data or content.damage or content.cut_off


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_message_with_right_checksums_is_read_or_reported(tmp_path_factory, message):
    folder = tmp_path_factory.getbasetemp()
    fuzz_event_files.read_bytes(framed(message) * 2, folder)


def test_reading_imports_no_tensorflow(tmp_path):
    path = made_runs.write_scalars(tmp_path, "loss", [1, 2])
    program = (
        "import sys; from graph_mode.plotting.event_files import read_event_file; "
        "read_event_file(sys.argv[1]); assert 'tensorflow' not in sys.modules"
    )
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    subprocess.run([sys.executable, "-c", program, path], check=True, cwd=root)
