"""--diagnostics: the numbers against NumPy's, and that measuring changes nothing."""

import glob
import os

import idx_files
import numpy as np
import pytest
from helpers import Trained

import conv_train
import fc_train
from graph_mode import tensorflow1 as tf
from graph_mode.runs import recorded
from graph_mode.train import diagnostics

SCRIPTS = {"fc": fc_train, "conv": conv_train}
EPSILON = 0.001


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return idx_files.write_set(folder, idx_files.image_set(train=90, test=20, rows=5, columns=5))


def measured(data_dir, network, *flags):
    """(scalars, weights {name: float64 array}, data set) of an untrained network."""
    flags = [f"--data-dir={data_dir}", "--validation-size=20", "--batch-size=10", *flags]
    with Trained(SCRIPTS[network], *flags) as one:
        with one.graph.as_default():
            measure = diagnostics.Diagnostics(one.program, one.data.train, one.flags)
            variables = tf.trainable_variables()
        scalars = measure.measure(one.session)
        values = one.session.run(variables)
    weights = {v.op.name: value.astype(np.float64) for v, value in zip(variables, values)}
    return scalars, weights, one.data.train


def forward(weights, images, labels, activation):
    """The loss, and the inputs of each hidden layer's activation, of the fc network in NumPy."""
    layer = images.reshape(len(images), -1) / 255.0
    hidden = sum(name.endswith("gamma") for name in weights)
    inputs = []
    for i in range(hidden):
        suffix = f"_{i}" if i else ""
        layer = layer @ weights[f"dense{suffix}/kernel"]
        layer = (layer - layer.mean(axis=0)) / np.sqrt(layer.var(axis=0) + EPSILON)
        layer = layer * weights[f"batch_normalization{suffix}/gamma"]
        inputs.append(layer + weights[f"batch_normalization{suffix}/beta"])
        layer = activation(inputs[-1])
    logits = layer @ weights[f"dense_{hidden}/kernel"] + weights[f"dense_{hidden}/bias"]
    targets = np.eye(10)[labels]
    losses = np.logaddexp(0, logits) - targets * logits
    return losses.mean(), inputs


def gradients(weights, loss):
    """Central differences of loss(weights), for each weight."""
    found = {}
    for name, values in weights.items():
        found[name] = np.zeros_like(values)
        for index in np.ndindex(*values.shape):
            losses = []
            for change in (1e-5, -1e-5):
                moved = values.copy()
                moved[index] += change
                losses.append(loss({**weights, name: moved}))
            found[name][index] = (losses[0] - losses[1]) / 2e-5
    return found


def test_every_number_is_the_one_that_numpy_finds(data_dir):
    scalars, weights, data_set = measured(
        data_dir, "fc", "--batch-norm", "--hidden-units", "6,4", "--activation", "relu"
    )
    images, labels = data_set.images.astype(np.float64), data_set.labels

    def loss(weights):
        return forward(weights, images, labels, lambda x: np.maximum(x, 0))[0]

    _, inputs = forward(weights, images, labels, lambda x: np.maximum(x, 0))
    expected = {}
    for number, values in enumerate(inputs, 1):
        for percentile in (15, 50, 85):
            tag = f"activation_inputs/layer_{number}"
            expected[f"{tag}/percentile_{percentile}"] = np.percentile(values, percentile)
            one = np.percentile(values[:, 0], percentile)
            expected[f"{tag}/first_unit/percentile_{percentile}"] = one
        expected[f"dead_units/layer_{number}"] = np.mean((values <= 0).all(axis=0))
    found = gradients(weights, loss)
    for layer in {name.split("/")[0] for name in weights}:
        parts = [np.sum(g**2) for name, g in found.items() if name.split("/")[0] == layer]
        expected[f"gradient_norm/{layer}"] = np.sqrt(np.sum(parts))
    along = [
        loss({name: values - length * found[name] for name, values in weights.items()})
        for length in (0.05, 0.1, 0.2, 0.4)
    ]
    expected["loss_along_gradient/start"] = loss(weights)
    expected["loss_along_gradient/smallest"] = min(along)
    expected["loss_along_gradient/largest"] = max(along)
    assert sorted(scalars) == sorted(expected)
    for tag, value in expected.items():
        assert scalars[tag] == pytest.approx(value, rel=1e-4, abs=2e-6), tag


def test_a_unit_is_dead_if_nothing_turns_it_on():
    inputs = np.array([[-1.0, 2.0, 0.0, -3.0], [-2.0, -1.0, 0.0, 1.0]])
    assert diagnostics.share_of_dead_units(inputs) == 0.5
    everywhere = np.stack([inputs, inputs[::-1]], axis=1)
    assert diagnostics.share_of_dead_units(everywhere) == 0.5


def test_only_relu_units_can_be_dead(data_dir):
    scalars, _, _ = measured(data_dir, "fc", "--activation", "sigmoid", "--hidden-units", "3")
    assert not any(tag.startswith("dead_units") for tag in scalars)
    assert "activation_inputs/layer_1/percentile_50" in scalars


@pytest.mark.parametrize("batch_norm", ["--batch-norm", "--no-batch-norm"])
def test_the_convolutional_network_is_measured_layer_by_layer(data_dir, batch_norm):
    scalars, weights, _ = measured(data_dir, "conv", batch_norm, "--layers", "2")
    assert {tag.split("/")[1] for tag in scalars if tag.startswith("activation_inputs")} == {
        "layer_1",
        "layer_2",
        "layer_3",
    }
    norms = {tag.split("/")[1] for tag in scalars if tag.startswith("gradient_norm")}
    assert norms == {name.split("/")[0] for name in weights}
    assert all(np.isfinite(value) for value in scalars.values())


def test_a_run_is_the_same_with_and_without_and_records_at_each_evaluation(data_dir, tmp_path):
    folders = []
    for flags in ([], ["--diagnostics"]):
        options = ["--data-dir", data_dir, "--validation-size", "20", "--batch-size", "10"]
        options += ["--log-dir", str(tmp_path), "--num-batches", "25", "--validate-every", "10"]
        fc_train.main(options + ["--batch-norm", "--hidden-units", "6"] + flags)
    folders = sorted(glob.glob(os.path.join(str(tmp_path), "fc", "*")))
    plain, diagnosed = recorded.read_runs(
        recorded.find_event_files(folders, pytest.fail), folders, pytest.fail
    )
    for split in ("train", "validation", "test"):
        for tag, series in plain.scalars[split].items():
            assert series.values.tolist() == diagnosed.scalars[split][tag].values.tolist()
    found = diagnosed.scalars["train"]["diagnostics/gradient_norm/dense"]
    assert found.steps.tolist() == [0, 10, 20, 25]
    assert not any(tag.startswith("diagnostics") for tag in plain.scalars["train"])
