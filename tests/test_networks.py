"""Networks that nobody has written yet: each trains what it says, or is refused in one sentence."""

import json
import os

import numpy as np
import pytest
import random_networks
from helpers import Trained, read_scalars

from graph_mode import batch, commands, layers
from graph_mode import tensorflow1 as tf
from graph_mode.train import evaluation


def script_of(network):
    """A commands.Script of network(images, training, num_classes)."""

    def whole(images, training, num_classes, flags):
        return network(images, training, num_classes)

    return commands.Script("own", whole, [], "A network of a user.")


def trained(network, small_mnist, *flags, **keywords):
    data = ["--validation-size=100", "--batch-size=48", f"--data-dir={small_mnist}"]
    return Trained(script_of(network), *data, *flags, **keywords)


def dense_after(change):
    return lambda images, training, classes: layers.dense(
        change(layers.dense(layers.flatten(images), 8), training), classes
    )


REFUSED = [
    (lambda x, training: x * tf.Variable(np.ones(8, np.float32)), "Variable.* tf.get_variable"),
    (lambda x, training: x @ tf.Variable(tf.random_normal([8, 8])), "tf.get_variable"),
    (lambda x, training: layers.dense(layers.dense(x, 8, name="a"), 8, name="a"), "a/kernel"),
    (lambda x, training: layers.batch_normalization(x), "training=training"),
    (lambda x, training: layers.batch_normalization(x, training), "write training="),
    (lambda x, training: layers.dropout(x, 1.0), "found 1.0"),
    (lambda x, training: layers.dropout(x, -0.1), "found -0.1"),
    (
        lambda x, training: tf.cond(
            tf.reduce_sum(batch.joined(x)) > 0,
            lambda: layers.batch_normalization(batch.joined(x), training=training),
            lambda: tf.identity(batch.joined(x)),
        ),
        "tf.cond",
    ),
    (
        lambda x, training: tf.map_fn(
            lambda row: layers.dropout(row, training=training), tf.convert_to_tensor(x)
        ),
        "dropout in tf.map_fn",
    ),
    (
        lambda x, training: tf.while_loop(
            lambda y: True, lambda y: layers.dropout(y, training=training), [batch.joined(x)]
        ),
        "tf.while_loop",
    ),
]


@pytest.mark.parametrize("change, words", REFUSED, ids=[words for _, words in REFUSED])
def test_a_network_that_would_train_something_else_is_refused(change, words, small_mnist):
    with pytest.raises(ValueError, match=words):
        trained(dense_after(change), small_mnist)


@pytest.mark.parametrize("classes", [5, None])
def test_logits_of_another_shape_are_refused(classes, small_mnist):
    def network(images, training, num_classes):
        return layers.dense(layers.flatten(images) if classes else images, classes or num_classes)

    with pytest.raises(ValueError, match=r"logits \[n, 10\]"):
        trained(network, small_mnist)


def frozen(x, training):
    return layers.batch_normalization(x, training=False, trainable=False)


def dropping_in_a_branch(x, training):
    x = batch.joined(x)
    return tf.cond(
        tf.reduce_sum(x) > -1e9, lambda: layers.dropout(x, 0.5, training=training), lambda: x
    )


@pytest.mark.parametrize("change", [frozen, dropping_in_a_branch])
def test_what_may_be_mistaken_for_one_of_these_trains(change, small_mnist):
    with trained(dense_after(change), small_mnist) as one:
        losses = one.train(30)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("precision", ["float16", "float64"])
def test_logits_of_another_precision_train(precision, small_mnist, tmp_path):
    def network(images, training, classes):
        images = layers.average_pooling2d(images, 4, 4)
        images = batch.apply(batch.by_example(lambda x: tf.cast(x, precision)), images)
        return layers.dense(layers.dense(layers.flatten(images), 8, tf.nn.relu), classes)

    flags = ["--validation-size=100", f"--data-dir={small_mnist}", f"--log-dir={tmp_path}"]
    flags += ["--num-batches=30", "--diagnostics", "--histograms", "--optimizer=sgd"]
    run = script_of(network).main(flags + ["--learning-rate=0.1"])
    losses = read_scalars(os.path.join(run, "train"), "loss")
    assert losses[29] < losses[0]


@pytest.mark.parametrize("way", ["regularizer", "tf.losses.add_loss"])
def test_losses_that_a_network_adds_are_minimized(way, small_mnist):
    """TensorFlow adds a penalty only where a variable is new, which is in evaluation."""

    def penalty(weights):
        return 1e4 * tf.nn.l2_loss(weights)

    def network(images, training, classes):
        x, regularizer = layers.flatten(images), penalty if way == "regularizer" else None
        logits = layers.dense(x, classes, use_bias=False, kernel_regularizer=regularizer)
        if not regularizer:
            tf.losses.add_loss(penalty(tf.trainable_variables()[0]))
        return logits

    with trained(network, small_mnist, "--optimizer=sgd", "--learning-rate=1e-5") as one:
        before = np.abs(one.session.run(one.model_variables[0])).sum()
        one.train(50)
        assert np.abs(one.session.run(one.model_variables[0])).sum() < 0.1 * before


def spectral(images, training, classes):
    """A weight divided by its largest singular value, which each forward pass estimates anew."""
    x = layers.flatten(images)
    kernel = tf.get_variable("kernel", [784, 16], np.float32, tf.glorot_uniform_initializer)
    u = tf.get_variable("u", [1, 16], initializer=tf.ones_initializer(), trainable=False)
    v = tf.nn.l2_normalize(tf.matmul(u, kernel, transpose_b=True))
    found = tf.nn.l2_normalize(tf.matmul(v, kernel))
    with tf.control_dependencies([u.assign(tf.stop_gradient(found))]):
        size = tf.reduce_sum(tf.matmul(tf.matmul(v, kernel), found, transpose_b=True))
    layer = layers.batch_normalization(x @ (kernel / size), training=training)
    return layers.dense(layers.dropout(layer, 0.2, training=training), classes)


def test_what_only_measures_changes_nothing_and_measures_the_same_again(small_mnist, tmp_path):
    """Also for a network that changes a variable in its forward pass, and for one that drops."""
    flags = ["--validation-size=100", f"--data-dir={small_mnist}", f"--log-dir={tmp_path}"]
    flags += ["--num-batches=25", "--validate-every=10"]
    script, extra = script_of(spectral), ["--diagnostics", "--histograms"]
    plain, measured, again = (
        script.main(flags + more) for more in ([], extra, extra + ["--validate-every=5"])
    )
    losses = [read_scalars(os.path.join(r, "train"), "loss") for r in (plain, measured, again)]
    assert losses[0] == losses[1] == losses[2]
    for split, tag in (
        ("validation", "loss"), ("validation", "loss_population"), ("test", "loss_population"),
        ("train", "diagnostics/gradient_norm/dense"),
        ("train", "diagnostics/loss_along_gradient/smallest"),
    ):  # fmt: skip
        found = [read_scalars(os.path.join(r, split), tag) for r in (measured, again)]
        for step, value in found[0].items():
            assert found[1][step] == pytest.approx(value, rel=1e-5), (tag, step)


def shared_norm(images, training, classes):
    layer = layers.flatten(images)
    first = layers.batch_normalization(layer, training=training, name="norm")
    second = layers.batch_normalization(3 * layer + 5, training=training, name="norm", reuse=True)
    return layers.dense(first + second, classes)


def test_population_statistics_are_the_means_over_batches_and_all_uses(small_mnist, monkeypatch):
    """What its moving averages come to, which follow one use after the other; nothing changes."""
    monkeypatch.setattr(evaluation, "POPULATION_BATCH", 50)
    with trained(shared_norm, small_mnist) as one, one.graph.as_default():
        population = evaluation.population_of(one.program, one.data.train)
        before = one.session.run(one.model_variables)
        population.take(one.session)
        mean, variance = population.statistics(one.session, "norm")
        after = one.session.run(one.model_variables)
    batches = one.data.train.images.reshape(10, 50, 784) / np.float32(255)
    np.testing.assert_allclose(mean, 2 * batches.mean((0, 1)) + 2.5, atol=1e-5)
    np.testing.assert_allclose(variance, 5 * batches.var(1).mean(0), rtol=1e-3, atol=1e-5)
    for values in zip(before, after):
        np.testing.assert_array_equal(*values)


def test_a_batch_normalization_of_another_library_gets_a_note(small_mnist, capsys):
    def network(images, training, classes):
        layer = layers.flatten(images)
        tf.get_variable("other/moving_mean", [784], trainable=False)
        return layers.dense(layers.batch_normalization(layer, training=training), classes)

    with trained(network, small_mnist) as one, one.graph.as_default():
        assert evaluation.population_of(one.program, one.data.train) is None
    assert "other/moving_mean" in capsys.readouterr().err


def test_what_decides_digits_is_recorded(small_mnist, tmp_path, monkeypatch):
    """Variables that TensorFlow reads, and the modules that a script imports."""
    (tmp_path / "blocks_of_mine.py").write_text("UNITS = 4\n")
    source = "import blocks_of_mine\nfrom graph_mode import layers\n\n\n"
    source += "def network(images, training, classes, flags):\n"
    source += "    return layers.dense(layers.flatten(images), classes)\n"
    (tmp_path / "own_script.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    import own_script

    script = commands.Script("own", own_script.network, [], "A network of a user.")
    flags = ["--validation-size=100", f"--data-dir={small_mnist}", f"--log-dir={tmp_path}"]
    found = []
    for units in (4, 5):
        (tmp_path / "blocks_of_mine.py").write_text(f"UNITS = {units}\n")
        with open(os.path.join(script.main(flags + ["--num-batches=1"]), "settings.json")) as file:
            found.append(json.load(file)["versions"])
    assert found[0]["environment"] == "ONEDNN_MAX_CPU_ISA=AVX2"
    assert found[0]["script"] != found[1]["script"]
    assert {**found[0], "script": ""} == {**found[1], "script": ""}


@pytest.mark.parametrize("seed", [1, 7])
def test_a_random_network_is_the_same_in_any_slices_and_with_tf_layers(seed):
    """make test-networks tries a hundred."""
    assert random_networks.differences(seed) == []
