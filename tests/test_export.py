"""--evaluate and --export: what was trained, measured again and handed on."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers import read_scalars, tree
from idx_files import write_set
from record_tf_layers import DATA, STEPS, program_data
from test_model import NARROW

import fc_train
import mnist_data
from graph_mode import checkpoints, evaluation, training

LINES = r"Validation loss: (\S+), Validation accuracy: (\S+)\n"
LINES += r"Test loss: (\S+), Test accuracy: (\S+)\n"


@pytest.fixture(scope="module", params=["sigmoid", "softmax"])
def run(request, small_mnist, tmp_path_factory):
    """A run whose best checkpoint is not its last. To be read only."""
    folder = tmp_path_factory.mktemp("runs")
    flags = ["--batch-norm", "--learning-rate=1", "--hidden-units=16", "--validation-size=100"]
    flags += ["--batch-size=32", "--validate-every=10", "--num-batches=50", f"--log-dir={folder}"]
    flags += [f"--data-dir={small_mnist}", f"--loss={request.param}"]
    options = fc_train.parse_options(flags)
    return training.train_and_evaluate("fc", fc_train.network, options)


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
folder, images_path, found_path = sys.argv[1:]
raw = np.load(images_path)
if tf.__version__.startswith("1."):
    session = tf.compat.v1.Session()
    signatures = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def
    def call(name, images):
        signature = signatures[name]
        outputs = {key: tensor.name for key, tensor in signature.outputs.items()}
        return session.run(outputs, {signature.inputs["images"].name: images})
else:
    model = tf.saved_model.load(folder)
    def call(name, images):
        return {k: v.numpy() for k, v in model.signatures[name](images=tf.constant(images)).items()}
found = {}
for name, images in (("serving_default", raw), ("float_images", raw * np.float32(1.0 / 255.0))):
    found.update({name + "/" + key: value for key, value in call(name, images).items()})
np.savez(found_path, **found)
"""


def test_the_exported_model_gives_other_programs_the_probabilities_of_the_network(
    run, small_mnist, tmp_path, capsys
):
    exported, images = str(tmp_path / "exported"), str(tmp_path / "images.npy")
    evaluated(capsys, run, "--export", exported)
    data = mnist_data.read_data_sets(
        small_mnist, dtype=np.uint8, reshape=False, validation_size=100
    )
    np.save(images, data.test.images)
    found_path = str(tmp_path / "found.npz")
    program = [sys.executable, "-W", "ignore", "-c", LOADER, exported, images, found_path]
    subprocess.run(program, check=True, stderr=subprocess.PIPE)
    options = fc_train.parse_options(["--evaluate", run])
    checkpoint = checkpoints.latest(run)
    logits = evaluation.evaluate_checkpoint(fc_train.network, data, options, checkpoint)
    logits = logits["test"].logits.astype(np.float64)
    expected = 1 / (1 + np.exp(-logits))
    if options.loss == "softmax":
        expected = np.exp(logits - logits.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
    with np.load(found_path) as found:
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
