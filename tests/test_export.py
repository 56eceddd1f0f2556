"""--evaluate and --export: what was trained, measured again and handed on."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers import Trained, read_scalars, tree
from idx_files import write_set
from record_tf_layers import DATA, STEPS, program_data
from test_model import NARROW

import fc_train
import mnist_data
from graph_mode.runs import checkpoints

LINES = r"Validation loss: (\S+), Validation accuracy: (\S+)\n"
LINES += r"Test loss: (\S+), Test accuracy: (\S+)\n"


def train(small_mnist, folder, *more):
    flags = ["--batch-norm", "--hidden-units=16", "--validation-size=100", "--batch-size=32"]
    flags += [f"--data-dir={small_mnist}", f"--log-dir={folder}"]
    return fc_train.main(flags + list(more))


@pytest.fixture(scope="module")
def run(small_mnist, tmp_path_factory):
    """A run whose best checkpoint is not its last. To be read only."""
    flags = ["--learning-rate=1", "--validate-every=10", "--num-batches=200"]
    return train(small_mnist, tmp_path_factory.mktemp("runs"), *flags)


def evaluated(capsys, *arguments):
    """[validation loss and accuracy, test loss and accuracy] that --evaluate prints."""
    fc_train.main(["--evaluate"] + list(arguments))
    stdout, stderr = capsys.readouterr()
    assert stderr == ""
    return [float(number) for number in re.fullmatch(LINES, stdout).groups()]


def test_a_run_a_folder_of_checkpoints_and_a_checkpoint_are_evaluated(run, capsys):
    before = tree(run)
    with open(os.path.join(run, "result.json")) as file:
        result = json.load(file)
    expected = [
        result[f"{part}_{name}"] for part in ("validation", "test") for name in ("loss", "accuracy")
    ]
    for named in (run, os.path.join(run, "checkpoints"), checkpoints.latest(run)):
        assert evaluated(capsys, named) == pytest.approx(expected, abs=1e-5)
    losses = read_scalars(os.path.join(run, "validation"), "loss")
    lowest = evaluated(capsys, os.path.join(run, "checkpoints", "best"))[0]
    assert lowest == pytest.approx(min(losses.values()), abs=1e-5)
    assert lowest < expected[0]
    assert tree(run) == before


@pytest.mark.parametrize("network", sorted(NARROW))
def test_a_checkpoint_of_tf_layers_is_evaluated_with_the_published_network(
    network, tmp_path, capsys
):
    data = program_data()
    arrays = [np.concatenate([data.validation.images, data.train.images])[..., 0]]
    arrays += [np.concatenate([data.validation.labels, data.train.labels])]
    arrays += [data.test.images[..., 0], data.test.labels]
    script, flags = NARROW[network]
    checkpoint = os.path.join(DATA, f"{network}.ckpt")
    flags = flags + ["--batch-norm", f"--data-dir={write_set(tmp_path, arrays)}"]
    script.main(["--evaluate", checkpoint, "--validation-size=20", "--batch-size=10"] + flags)
    loss, accuracy = re.match(LINES, capsys.readouterr().out).groups()[:2]
    with np.load(os.path.join(DATA, f"{network}.npz")) as recorded:
        logits = recorded[f"logits after {STEPS}"].astype(np.float64)
    labels = data.validation.labels
    losses = np.logaddexp(0, logits) - logits * np.eye(10)[labels]
    assert float(loss) == pytest.approx(losses.mean(), abs=2e-5)
    assert float(accuracy) == (logits.argmax(axis=1) == labels).mean()


# As another program would: with TensorFlow alone.
LOADER = """
import sys
import numpy as np
import tensorflow as tf
raw = np.load(sys.argv[1])
scaled = raw * np.float32(1.0 / 255.0)
for folder in sys.argv[2:]:
    if tf.__version__.startswith("1."):
        session = tf.compat.v1.Session(graph=tf.Graph())
        with session.graph.as_default():
            signatures = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def
        def call(name, images):
            signature = signatures[name]
            outputs = {key: tensor.name for key, tensor in signature.outputs.items()}
            return session.run(outputs, {signature.inputs["images"].name: images})
    else:
        signatures = tf.saved_model.load(folder).signatures
        def call(name, images):
            outputs = signatures[name](images=tf.constant(images))
            return {key: tensor.numpy() for key, tensor in outputs.items()}
    found = {}
    for name, images in (("serving_default", raw), ("float_images", scaled)):
        found.update({name + "/" + key: value for key, value in call(name, images).items()})
    np.savez(folder + "-found.npz", **found)
"""


def test_the_exported_model_gives_other_programs_the_probabilities_of_the_network(
    run, small_mnist, tmp_path, capsys
):
    data = mnist_data.read_data_sets(
        small_mnist, dtype=np.uint8, reshape=False, validation_size=100
    )
    np.save(str(tmp_path / "images.npy"), data.test.images)
    softmax = train(small_mnist, tmp_path / "runs", "--loss=softmax", "--num-batches=5")
    capsys.readouterr()
    runs = {str(tmp_path / "sigmoid"): run, str(tmp_path / "softmax"): softmax}
    for folder, exported in runs.items():
        evaluated(capsys, exported, "--export", folder)
    program = [sys.executable, "-W", "ignore", "-c", LOADER, str(tmp_path / "images.npy")]
    subprocess.run(program + list(runs), check=True, stderr=subprocess.PIPE)
    for folder, exported in runs.items():
        flags = fc_train.parse_flags(["--evaluate", exported])
        with Trained(fc_train, "--evaluate", exported) as one, one.graph.as_default():
            variables = one.model_variables
            checkpoint = checkpoints.latest(exported)
            checkpoints.restore_network(one.session, checkpoint, variables)
            logits = one.evaluate("test").logits.astype(np.float64)
        expected = 1 / (1 + np.exp(-logits))
        if flags.loss == "softmax":
            expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        with np.load(folder + "-found.npz") as found:
            for name in ("serving_default", "float_images"):
                np.testing.assert_allclose(found[f"{name}/probabilities"], expected, atol=1e-6)
                assert found[f"{name}/classes"].tolist() == logits.argmax(axis=1).tolist()
                assert found[f"{name}/classes"].dtype == np.int64


def test_an_export_that_cannot_be_written_is_one_line_and_leaves_nothing(
    run, script_server, tmp_path
):
    (tmp_path / "file").write_text("")
    arguments = ["--evaluate", os.path.abspath(run), "--export", "file/exported"]
    code, stdout, stderr = script_server.run(tmp_path, "fc_train.py", *arguments)
    assert code == 2
    assert re.fullmatch(LINES, stdout)
    line = r"fc_train\.py: error: --export file/exported: the model cannot be written: .+\n"
    assert re.fullmatch(line, stderr)
    assert list(tree(tmp_path)) == ["file"]
