"""Writes event files and run folders for tests, framed by tensorboard's own RecordWriter, so that
reading is not tested against itself."""

import json
import os

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from graph_mode.train.schedule import EARLY

BEGAN = 1.7e9
FLAGS = {
    "optimizer": "adam", "batch_norm": True, "seed": 0, "learning_rate": 0.002, "loss": "sigmoid",
    "log_dir": "runs",
}  # fmt: skip


def event(wall_time=BEGAN, parts=None, **fields):
    """A serialized Event, with a Summary of these Values if there are any."""
    if parts:
        fields["summary"] = summary_pb2.Summary(value=parts)
    return event_pb2.Event(wall_time=wall_time, **fields).SerializeToString()


def scalar_event(step, wall_time=None, **values):
    """A serialized Event with one simple_value for each tag, as the FileWriter of TensorFlow 1."""
    wall_time = BEGAN + 0.01 * step if wall_time is None else wall_time
    parts = [summary_pb2.Summary.Value(tag=tag, simple_value=v) for tag, v in values.items()]
    return event(wall_time, parts, step=step)


def tensor_event(step, tag, value, plugin="scalars"):
    """A serialized Event with a scalar tensor, as tf.summary.scalar of TensorFlow 2 writes it."""
    part = summary_pb2.Summary.Value(tag=tag)
    if plugin:
        part.metadata.plugin_data.plugin_name = plugin
    part.tensor.CopyFrom(tensor_pb2.TensorProto(dtype=types_pb2.DT_DOUBLE, double_val=[value]))
    return event(BEGAN, [part], step=step)


def version_event():
    return event(file_version="brain.Event:2")


def write_event_file(path, messages):
    """Writes the messages, after the version record that begins each file."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        for message in [version_event(), *messages]:
            writer.write(message)
        writer.flush()


def write_steps(folder, began, rows):
    """One event file with the scalars {tag: value} of each (step, scalars)."""
    messages = [scalar_event(step, began + 0.01 * step, **scalars) for step, scalars in rows]
    path = os.path.join(str(folder), f"events.out.tfevents.{int(began)}.host")
    write_event_file(path, messages)


def write_scalars(folder, tag, values, began=BEGAN):
    """One event file with values [n] at steps from 0."""
    write_steps(folder, began, enumerate({tag: float(value)} for value in values))


def made_losses(num_steps, seed):
    """float32 [num_steps]: a falling loss with the noise of batches."""
    random = np.random.RandomState(seed)
    falling = 0.02 + 0.7 * np.exp(-np.arange(num_steps) / random.uniform(100, 300))
    return (falling * np.exp(random.normal(0, 0.2, num_steps))).astype(np.float32)


def write_run(
    folder, network="fc", losses=None, began=BEGAN, ended=True, data=None, code="abc", **flags
):
    """A run folder as training leaves it: event files, settings.json and result.json."""
    folder = str(folder)
    flags = {**FLAGS, **flags}
    losses = made_losses(20, flags["seed"]) if losses is None else np.asarray(losses)
    write_scalars(os.path.join(folder, "train"), "loss", losses, began)
    last = len(losses) - 1
    evaluated = sorted({*range(0, last, 500), *(step for step in EARLY if step < last), last})
    rows = [(step, {"loss": float(losses[step]) * 1.1, "accuracy": 0.5}) for step in evaluated]
    write_steps(os.path.join(folder, "validation"), began, rows)
    settings = {"network": network, "flags": flags, "versions": {"code": code}}
    settings["data"] = {"images": "00"} if data is None else data
    write_json(os.path.join(folder, "settings.json"), settings)
    if ended:
        rows = [(last, {"loss": 0.03, "accuracy": 0.98})]
        write_steps(os.path.join(folder, "test"), began, rows)
        result = {"validation_accuracy": 0.97, "test_accuracy": 0.98, "steps": len(losses)}
        write_json(os.path.join(folder, "result.json"), result)
    return folder


def write_json(path, content):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)
