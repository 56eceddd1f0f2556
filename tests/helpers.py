"""What several test files do: train for some steps, and read back what a run wrote."""

import gzip
import hashlib
import os
import pathlib
import struct

import numpy as np
from idx_files import write_set
from tensorboard.compat.proto import event_pb2

import conv_train
import fc_train
from graph_mode import tensorflow1 as tf
from graph_mode.runs import record
from graph_mode.train import evaluation, program, trainer, training

SCRIPTS = {"fc": fc_train, "conv": conv_train}
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def write_small_mnist(folder):
    """Writes the first 600 training and 200 test images of MNIST; returns the folder."""
    arrays = first_examples("train", 600) + first_examples("t10k", 200)
    return write_set(folder, arrays, packed=False)


def first_examples(part, count):
    """The first images [count, 28, 28] and labels [count] of a part of the shipped MNIST."""
    found = []
    for kind, header, size in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
        with gzip.open(os.path.join(ROOT, "MNIST_data", f"{part}-{kind}-ubyte.gz")) as file:
            found.append(np.frombuffer(file.read(header + count * size)[header:], np.uint8))
    return found[0].reshape(count, 28, 28), found[1]


def text_of(*parts):
    """The text of a file of the project."""
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


class Trained:
    """A script's network with its data, or that of --data-dir, in a session."""

    def __init__(self, script, *arguments, data=None, slices=2):
        self.flags = script.parse_flags(list(arguments))
        self.data = data or trainer.load_data(self.flags)
        with tf.Graph().as_default() as self.graph:
            self.program = program.Program(script.network, self.data.train, self.flags)
            self.model_variables = tf.global_variables()
            self.loop = program.Loop(self.program, self.data.train, self.flags, slices)
            initialize = tf.global_variables_initializer()
        self.session = tf.Session(graph=self.graph)
        self.session.run(initialize)
        self.loop.prepare(self.session)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()

    def train(self, steps, steps_per_call=program.STEPS_PER_CALL):
        """The losses of the next `steps` batches, a list."""
        losses = []
        while len(losses) < steps:
            count = min(steps_per_call, steps - len(losses))
            batches = [self.data.train.next_indices(self.flags.batch_size) for _ in range(count)]
            done, scalars = self.loop.run(self.session, batches)
            assert done == count
            losses += scalars["loss"].tolist()
        return losses

    def training(self):
        """A training.Training of this network, for what hooks and the loop need of one."""
        parts = (self.session, self.loop, self.program.inference, None, self.data, self.flags)
        return training.Training(*parts, None, None)

    def evaluate(self, split):
        images, labels = getattr(self.data, split).images, getattr(self.data, split).labels
        return evaluation.evaluate(self.session, self.program.inference, images, labels)


def read_events(folder):
    """The events of the files directly in `folder`, as protobufs."""
    events = []
    for path in sorted(pathlib.Path(folder).glob("events.out.tfevents.*")):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            events.append(event_pb2.Event.FromString(content[12 : 12 + length]))
            content = content[12 + length + 4 :]
    return events


def read_scalars(folder, tag):
    """{step: value} of the scalar `tag` in the event files directly in `folder`."""
    return {
        event.step: value.simple_value
        for event in read_events(folder)
        for value in event.summary.value
        if value.tag == tag and value.HasField("simple_value")
    }


def tree(folder):
    """{path below `folder`: SHA-256 of the file, or None for a folder}."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else None
        for path in pathlib.Path(folder).rglob("*")
    }


def run_contents(run):
    """{what: value} of all that a run holds but times and durations, to be compared bit for bit:
    file names, every scalar with how often its step is there, result, tensors of checkpoints."""
    files = [path for path in tree(run) if not os.path.basename(path).startswith("events.")]
    contents = {"files": sorted(files)}
    for part in ("train", "validation", "test"):
        contents[f"events of {part}"] = sorted(
            (value.tag, event.step, struct.pack("<f", value.simple_value))
            for event in read_events(os.path.join(run, part))
            for value in event.summary.value
        )
    for path in files:
        if path.endswith(".index"):
            tensors = read_checkpoint(os.path.join(run, path[: -len(".index")]))
            contents.update({f"{tensor} in {path}": tensors[tensor] for tensor in tensors})
    result = record.read_json(os.path.join(run, "result.json"))
    return {**contents, "result": {**result, "seconds": 0, "steps_per_second": 0}}


def read_checkpoint(path):
    """{name: (type, shape, bytes)} of every tensor in a checkpoint."""
    reader = tf.train.NewCheckpointReader(path)
    tensors = {}
    for name in reader.get_variable_to_shape_map():
        value = np.asarray(reader.get_tensor(name))
        content = value.tolist() if value.dtype == object else value.tobytes()
        tensors[name] = (str(value.dtype), value.shape, content)
    return tensors


def differences(expected, found):
    """The names of what differs between two results of run_contents()."""
    return sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
