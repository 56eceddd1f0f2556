"""Networks that nobody has written yet: each trains what it says, or is refused in one sentence."""

import os
import re

import numpy as np
import pytest
from helpers import ROOT, SCRIPTS, Trained, read_scalars, text_of

from graph_mode import batch, command_line, commands, layers
from graph_mode import tensorflow1 as tf
from graph_mode.comparing import grid
from graph_mode.runs import record
from graph_mode.train import evaluation

EXPLANATIONS = grid.load(os.path.join(ROOT, "docs", "explanations.py")).script


def script_of(network):
    """A commands.Script of network(images, training, num_classes)."""
    return commands.Script("own", lambda *given: network(*given[:3]), [], "A user's network.")


@pytest.fixture
def trained(small):
    return lambda network, *flags: Trained(script_of(network), *small, *flags)


def flat(images, size, **keywords):
    return layers.dense(layers.flatten(images), size, **keywords)


def dense_after(change):
    return lambda i, training, classes: layers.dense(change(flat(i, 8), training), classes)


def norm(x, training):
    return layers.batch_normalization(x, training=training)


def drop(x, training):
    return layers.dropout(x, 0.5, training=training)


def in_branch(layer, x, training):
    x = batch.joined(x)
    return tf.cond(tf.reduce_sum(x) > -1e9, lambda: layer(x, training), lambda: tf.identity(x))


def in_loop(layer, x, training):
    return tf.while_loop(lambda y: True, lambda y: layer(y, training), [batch.joined(x)])


def in_map(layer, x, training):
    return tf.map_fn(lambda row: layer(row, training), batch.joined(x))


CHANGES = [
    (lambda x, training: x * tf.Variable(np.ones(8, np.float32)), "Variable.* tf.get_variable"),
    (lambda x, training: x @ tf.Variable(tf.random_normal([8, 8])), "tf.get_variable"),
    (lambda x, training: layers.dense(layers.dense(x, 8, name="a"), 8, name="a"), "a/kernel"),
    (lambda x, training: layers.batch_normalization(x), "training=training"),
    (lambda x, training: layers.batch_normalization(x, training), "write training="),
    (lambda x, training: layers.dropout(x, 1.0), "found 1.0"),
    (lambda x, training: layers.dropout(x, -0.1), "found -0.1"),
    (lambda x, training: in_branch(norm, x, training), "tf.cond"),
    (lambda x, training: in_map(drop, x, training), "dropout in tf.map_fn"),
    (lambda x, training: in_loop(drop, x, training), "tf.while_loop"),
]


NO_LOGITS = [
    (lambda images, training, classes: flat(images, 5), r"logits \[n, 10\], found"),
    (lambda images, training, classes: layers.dense(images, classes), "layers.flatten"),
    (lambda i, training, classes: flat(i, classes, activation=tf.nn.softmax), "Softmax"),
    (lambda i, training, classes: tf.sigmoid(flat(i, classes)), "Sigmoid"),
    (lambda i, training, classes: flat(flat(i, 10**9), classes), "dense/kernel would have"),
]
REFUSED = [(dense_after(change), words) for change, words in CHANGES] + NO_LOGITS


@pytest.mark.parametrize("network, words", REFUSED, ids=[words for _, words in REFUSED])
def test_a_network_that_would_train_something_else_is_refused(network, words, trained):
    with pytest.raises(ValueError, match=words) as error:
        trained(network)
    assert command_line.explained(error.value) or (network, words) not in NO_LOGITS


def test_a_flag_that_the_script_does_not_declare_is_told(small, tmp_path):
    script = commands.Script("own", lambda i, t, classes, flags: flat(i, flags.units), [], "Own.")
    with pytest.raises(AttributeError, match="flags.units") as error:
        script.main([*small, f"--log-dir={tmp_path}"])
    assert "FLAGS" in str(command_line.explained(error.value)) and not os.listdir(str(tmp_path))


def test_the_gain_multiplies_the_variance_of_the_initial_weights(trained):
    weights = []
    for gain in (1, 4):
        with trained(lambda i, training, classes: flat(i, classes), f"--weight-gain={gain}") as one:
            weights.append(one.session.run(one.model_variables[0]))
    np.testing.assert_array_equal(2 * weights[0], weights[1])


def test_what_may_be_mistaken_for_one_of_these_trains(trained):
    for change in (
        lambda x, training: layers.batch_normalization(x, training=False, trainable=False),
        lambda x, training: in_branch(drop, x, training),
    ):
        with trained(dense_after(change)) as one:
            losses = one.train(30)
        assert losses[-1] < losses[0]


@pytest.mark.parametrize("precision", ["float16", "float64"])
def test_logits_of_another_precision_train(precision, small, tmp_path):
    def network(images, training, classes):
        images = layers.average_pooling2d(images, 4, 4)
        images = batch.apply(batch.by_example(lambda x: tf.cast(x, precision)), images)
        return layers.dense(layers.dense(layers.flatten(images), 8, tf.nn.relu), classes)

    flags = ["--num-batches=30", "--diagnostics", "--histograms", "--optimizer=sgd"]
    flags += ["--learning-rate=0.1", f"--log-dir={tmp_path}"]
    run = script_of(network).main(small + flags)
    losses = read_scalars(os.path.join(run, "train"), "loss")
    assert losses[29] < losses[0]


def penalty(weights):
    return 1e4 * tf.nn.l2_loss(weights)


@pytest.mark.parametrize("regularizer", [penalty, None])
def test_losses_that_a_network_adds_are_minimized(regularizer, trained):
    """TensorFlow adds a penalty only where a variable is new, which is in evaluation."""

    def network(images, training, classes):
        logits = flat(images, classes, use_bias=False, kernel_regularizer=regularizer)
        if not regularizer:
            tf.losses.add_loss(penalty(tf.trainable_variables()[0]))
        return logits

    with trained(network, "--optimizer=sgd", "--learning-rate=1e-5") as one:
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
    layer = drop(norm(x @ (kernel / size), training), training)
    return layers.dense(layer, classes, kernel_regularizer=tf.nn.l2_loss)


def test_what_only_measures_changes_nothing_and_measures_the_same_again(small, tmp_path):
    """Also for a network that changes a variable in its forward pass, drops and has a penalty."""
    flags = [*small, f"--log-dir={tmp_path}", "--num-batches=25", "--validate-every=10"]
    extra = ["--diagnostics", "--histograms"]
    measuring = ([], extra, [*extra, "--validate-every=5"])
    runs = [script_of(spectral).main(flags + more) for more in measuring]
    losses = [read_scalars(os.path.join(run, "train"), "loss") for run in runs]
    assert losses[0] == losses[1] == losses[2]
    measured = [("validation", "loss"), ("validation", "loss_population")]
    measured += [("test", "loss_population")]
    measured += [("train", f"diagnostics/{norm}_norm/dense") for norm in ("gradient", "weight")]
    for split, tag in measured:
        first, again = (read_scalars(os.path.join(run, split), tag) for run in runs[1:])
        assert first and {step: again[step] for step in first} == pytest.approx(first, rel=1e-5)


def test_population_statistics_are_the_means_over_batches_and_all_uses(trained, monkeypatch):
    """What its moving averages come to, which follow one use after the other; nothing changes."""

    def shared_norm(images, training, classes):
        layer, told = layers.flatten(images), {"training": training, "name": "norm"}
        first = layers.batch_normalization(layer, **told)
        second = layers.batch_normalization(3 * layer + 5, reuse=True, **told)
        return layers.dense(first + second, classes)

    monkeypatch.setattr(evaluation, "POPULATION_BATCH", 50)
    with trained(shared_norm) as one, one.graph.as_default():
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


def test_a_batch_normalization_of_another_library_gets_a_note(trained, capsys):
    def network(images, training, classes):
        layer = layers.flatten(images)
        tf.get_variable("other/moving_mean", [784], trainable=False)
        return layers.dense(norm(layer, training), classes)

    with trained(network) as one, one.graph.as_default():
        assert evaluation.population_of(one.program, one.data.train) is None
    assert "other/moving_mean" in capsys.readouterr().err


def test_what_decides_digits_is_recorded(small, tmp_path, monkeypatch):
    """Variables that TensorFlow reads, and the modules that a script imports."""
    module = tmp_path / "blocks_of_mine.py"
    module.write_text("from graph_mode.layers import dense, flatten\n")
    source = "import blocks_of_mine as mine\n\ndef network(images, training, classes, flags):\n"
    source += "    return mine.dense(mine.flatten(images), classes)\n"
    (tmp_path / "own_script.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    import own_script

    script = commands.Script("own", own_script.network, [], "A user's network.")
    found = []
    for units in (4, 5):
        module.write_text(f"UNITS = {units}\n")
        run = script.main([*small, f"--log-dir={tmp_path}", "--num-batches=1"])
        found.append(record.read_settings(run)["versions"])
    assert found[0]["environment"] == "ONEDNN_MAX_CPU_ISA=AVX2"
    assert found[0]["script"] != found[1]["script"]
    assert {**found[0], "script": ""} == {**found[1], "script": ""}


def test_the_script_of_the_page_does_all_that_the_page_says(script_server, small, tmp_path):
    page = text_of("docs", "your_own_network.md")
    (code,) = re.findall("```python\n(.*?)```", page, re.DOTALL)
    assert code.count("\n") <= 50
    script = tmp_path / "residual_train.py"
    script.write_text(code)

    def run(name, *arguments):
        code, stdout, stderr = script_server.run(tmp_path, name, *arguments)
        assert code == 0, stderr
        return stdout

    run(script, "--num-batches=30", "--run-name=mine", "--blocks=1", *small)
    folder = tmp_path / "runs" / "residual" / "mine"
    run(script, "--resume", folder, "--num-batches=40")
    assert sorted(read_scalars(folder / "train", "loss")) == list(range(40))
    assert record.read_settings(str(folder))["flags"]["blocks"] == 1
    assert "Test loss" in run(script, "--evaluate", folder, "--export", tmp_path / "exported")
    assert (tmp_path / "exported" / "saved_model.pb").exists()
    grid = ["--optimizers=adam", "--seeds=1", "--num-batches=20", *small]
    run("compare.py", "--networks", script, "--jobs=1", *grid)
    assert "residual" in (tmp_path / "runs" / "compare" / "report" / "report.md").read_text()
    run("plot_losses.py")
    assert any("residual" in name for name in os.listdir(str(tmp_path / "runs" / "figures")))


@pytest.mark.parametrize("batch_norm", ["--batch-norm", "--no-batch-norm"])
@pytest.mark.parametrize("network", SCRIPTS)
def test_the_networks_of_the_explanations_are_those_of_the_exercise(network, batch_norm, small):
    losses = []
    for script, own in (SCRIPTS[network], []), (EXPLANATIONS, [f"--architecture={network}"]):
        with Trained(script, *small, batch_norm, *own) as one:
            losses.append(one.train(3))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("part", ["mean", "variance"])
def test_a_part_of_batch_norm_does_that_part_alone(part, small):
    flags = [f"--part={part}", "--fixed-lengths", "--learning-rate=0.1"]
    with Trained(EXPLANATIONS, *small, *flags) as one:
        with one.graph.as_default():
            tower = one.program.fed_tower("measured", training=True)
            kernel = tf.global_variables()[0]
        feed = {tower.images: one.data.train.images}
        inputs = one.session.run(tower.tower.activations[0].inputs[0], feed)
        means, spreads = np.abs(inputs.mean(axis=0)), inputs.std(axis=0)
        assert (means.max() < 1e-4) == (part == "mean")
        assert (abs(spreads - 1).max() < 0.1) == (part == "variance")
        one.train(5)
        length = np.sqrt(2 * 784 * 256 / (784 + 256))
        assert np.linalg.norm(one.session.run(kernel)) == pytest.approx(length, rel=1e-3)


def test_dropout_outside_of_training_by_a_script_needs_no_step():
    for _ in range(2):
        with tf.Graph().as_default(), tf.Session() as session:
            dropped = layers.dropout(tf.ones([100]), training=True)
            assert set(session.run(dropped)) == {0, 2}
            with layers.dropped_by(tf.constant(3, tf.int64)):
                layers.dropout(tf.ones([100]), training=True)
