"""--diagnostics: the numbers against NumPy's, and that measuring changes nothing."""

import os
import types

import idx_files
import numpy as np
import pytest
from helpers import SCRIPTS, Trained, read_scalars

import fc_train
from graph_mode import tensorflow1 as tf
from graph_mode.train import diagnostics


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
        scalars = {}
        writer = types.SimpleNamespace(add_scalars=lambda step, **found: scalars.update(found))
        measure.write(one.session, writer, 0)
        values = one.session.run(variables)
    weights = {v.op.name: value.astype(np.float64) for v, value in zip(variables, values)}
    return {tag.split("/", 1)[1]: n for tag, n in scalars.items()}, weights, one.data.train


def forward(weights, images, labels):
    """The loss, and the inputs of each ReLU, of the fc network in NumPy."""
    layer = images.reshape(len(images), -1) / 255.0
    inputs = []
    for suffix in ("", "_1"):
        layer = layer @ weights[f"dense{suffix}/kernel"]
        layer = (layer - layer.mean(axis=0)) / np.sqrt(layer.var(axis=0) + 0.001)
        layer = layer * weights[f"batch_normalization{suffix}/gamma"]
        inputs.append(layer + weights[f"batch_normalization{suffix}/beta"])
        layer = np.maximum(inputs[-1], 0)
    logits = layer @ weights["dense_2/kernel"] + weights["dense_2/bias"]
    losses = np.logaddexp(0, logits) - np.eye(10)[labels] * logits
    return losses.mean(), inputs


def gradients(weights, loss):
    """Central differences of loss(weights), for each weight."""
    found = {name: np.zeros_like(values) for name, values in weights.items()}
    for name, values in weights.items():
        for index in np.ndindex(*values.shape):
            for sign in (1, -1):
                moved = values.copy()
                moved[index] += sign * 1e-5
                found[name][index] += sign * loss({**weights, name: moved}) / 2e-5
    return found


def test_every_number_is_the_one_that_numpy_finds(data_dir):
    scalars, weights, data = measured(data_dir, "fc", "--batch-norm", "--hidden-units", "6,4")

    def loss(weights):
        return forward(weights, data.images, data.labels)[0]

    expected = {}
    for number, values in enumerate(forward(weights, data.images, data.labels)[1], 1):
        tag = f"activation_inputs/layer_{number}"
        for percent in (15, 50, 85):
            expected[f"{tag}/percentile_{percent}"] = np.percentile(values, percent)
            one = np.percentile(values[:, 0], percent)
            expected[f"{tag}/first_unit/percentile_{percent}"] = one
        expected[f"dead_units/layer_{number}"] = np.mean((values <= 0).all(axis=0))
    found = gradients(weights, loss)
    for kind, of_all in (("gradient_norm", found), ("weight_norm", weights)):
        for layer in {name.split("/")[0] for name in weights}:
            squares = [np.sum(g**2) for name, g in of_all.items() if name.split("/")[0] == layer]
            expected[f"{kind}/{layer}"] = np.sqrt(np.sum(squares))
    assert scalars == pytest.approx(expected, rel=1e-4, abs=2e-6)


def test_a_unit_is_dead_if_nothing_turns_it_on_and_only_with_relu(data_dir):
    inputs = np.array([[-1.0, 2.0, 0.0, -3.0], [-2.0, -1.0, 0.0, 1.0]])
    for each in (inputs, np.stack([inputs, inputs[::-1]], axis=1)):
        assert diagnostics.share_of_dead_units(each) == 0.5
    scalars, _, _ = measured(data_dir, "fc", "--activation=sigmoid", "--hidden-units=3")
    assert not any(tag.startswith("dead_units") for tag in scalars)
    assert "activation_inputs/layer_1/percentile_50" in scalars


@pytest.mark.parametrize("batch_norm", ["--batch-norm", "--no-batch-norm"])
def test_the_convolutional_network_is_measured_layer_by_layer(data_dir, batch_norm):
    scalars, weights, _ = measured(data_dir, "conv", batch_norm, "--layers", "2")
    layers = {tag.split("/")[1] for tag in scalars if tag.startswith("activation_inputs")}
    assert layers == {"layer_1", "layer_2", "layer_3"}
    norms = {tag.split("/")[1] for tag in scalars if tag.startswith("gradient_norm")}
    assert norms == {name.split("/")[0] for name in weights}
    assert all(np.isfinite(value) for value in scalars.values())


def test_a_run_is_measured_at_each_evaluation_and_at_its_end(data_dir, tmp_path):
    """That nothing else changes is for test_networks."""
    flags = [f"--data-dir={data_dir}", "--validation-size=20", "--batch-size=10"]
    flags += ["--num-batches=25", "--validate-every=15", "--diagnostics", "--hidden-units=6"]
    run = fc_train.main([*flags, f"--log-dir={tmp_path}"])
    found = read_scalars(os.path.join(run, "train"), "diagnostics/gradient_norm/dense")
    assert sorted(found) == [0, 10, 15, 20, 25]
