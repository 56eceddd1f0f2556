"""Losses, accuracy, optimizers, and the two networks as a whole."""

import os
import types

import numpy as np
import pytest
from helpers import Trained
from record_tf_layers import BATCH_SIZE, DATA, LEARNING_RATE, STEPS, program_data, set_variables

import conv_train
import fc_train
from graph_mode import model
from graph_mode import tensorflow1 as tf
from graph_mode.flags import OPTIMIZERS
from graph_mode.flags import SCHEDULES as SCHEDULE_NAMES
from graph_mode.train import evaluation, program

# The networks as narrow as those of the record.
NARROW = {
    "fc": (fc_train, ["--hidden-units=16,12,8"]),
    "conv": (conv_train, ["--layers=3", "--filters-step=4", "--dense-units=8"]),
}


@pytest.mark.parametrize("network", NARROW)
def test_a_network_trains_as_the_published_program_does_and_from_its_checkpoint(network):
    script, flags = NARROW[network]
    flags = [*flags, f"--batch-size={BATCH_SIZE}", f"--learning-rate={LEARNING_RATE}"]
    checkpoint = os.path.join(DATA, f"{network}.ckpt")
    recorded = np.load(os.path.join(DATA, f"{network}.npz"))

    def assert_at_the_end(losses, logits):
        np.testing.assert_allclose(losses, recorded["losses"][-len(losses) :], rtol=1e-4)
        np.testing.assert_allclose(logits, recorded[f"logits after {2 * STEPS}"], atol=0.01)

    with Trained(script, "--batch-norm", *flags, data=program_data()) as trained:
        names = [variable.op.name for variable in trained.model_variables]
        assert names == recorded["model variables"].tolist()
        set_variables(trained.session, trained.model_variables, np.random.RandomState(9))
        losses = trained.train(STEPS)
        halfway = trained.data.train.state()
        losses += trained.train(STEPS)
        assert_at_the_end(losses, trained.evaluate("validation").logits)
        with trained.graph.as_default():
            variables = {v.op.name: v for v in tf.global_variables()}
            saved = [name for name, _ in tf.train.list_variables(checkpoint)]
            # The published programs count no steps.
            assert set(variables) - set(saved) <= {"global_step"}
            saver = tf.train.Saver([variables[name] for name in saved])
            saver.restore(trained.session, checkpoint)
        logits = trained.evaluate("validation").logits
        np.testing.assert_allclose(logits, recorded[f"logits after {STEPS}"], rtol=1e-5, atol=1e-5)
        trained.data.train.restore(halfway)
        assert_at_the_end(trained.train(STEPS), trained.evaluate("validation").logits)


def variables_of(script, *flags):
    """{name: shape} of the network that the flags give for MNIST."""
    flags = script.parse_flags(list(flags))
    with tf.Graph().as_default():
        script.network(tf.zeros([1, 28, 28, 1]), True, 10, flags)
        return {v.op.name: v.shape.as_list() for v in tf.global_variables()}


PUBLISHED = {
    fc_train: [[784, 256], [256, 128], [128, 64], [64, 32], [32, 16], [16, 10], [10]],
    conv_train: [
        [3, 3, 1, 4], [3, 3, 4, 8], [3, 3, 8, 12], [3, 3, 12, 16], [3, 3, 16, 20],
        [14 * 14 * 20, 100], [100, 10], [10],
    ],
}  # fmt: skip


@pytest.mark.parametrize("script", PUBLISHED)
def test_the_network_is_the_published_one(script):
    """Their names are those of the record: test_a_network_trains_as_the_published_program_does."""
    assert list(variables_of(script).values()) == PUBLISHED[script]
    units = [shape[-1] for shape in PUBLISHED[script][:-2]]
    normalized = variables_of(script, "--batch-norm")
    assert [normalized[name] for name in normalized if "gamma" in name] == [[n] for n in units]
    biases = [name for name in variables_of(script, "--hidden-bias") if "bias" in name]
    assert len(biases) == len(units) + 1


def test_network_flags_change_the_network():
    fc = variables_of(fc_train, "--hidden-units=7,3")
    assert (fc["dense/kernel"], fc["dense_2/kernel"]) == ([784, 7], [3, 10])
    deep = fc_train.parse_flags(["--layers=8"])
    assert deep.hidden_units == [256, 128, 64, 32, 16, 8, 8, 8]
    sizes = ["--layers=2", "--filters-step=3", "--kernel-size=5", "--dense-units=9"]
    conv = variables_of(conv_train, "--stride-every=2", *sizes)
    assert (conv["conv2d_1/kernel"], conv["dense/kernel"]) == ([5, 5, 3, 6], [14 * 14 * 6, 9])


@pytest.mark.parametrize(
    "activation, function",
    [("relu", lambda x: np.maximum(x, 0)), ("sigmoid", lambda x: 1 / (1 + np.exp(-x)))],
)
def test_activation_is_of_the_hidden_layers_only(activation, function):
    flags = fc_train.parse_flags(["--hidden-units=6", f"--activation={activation}"])
    images = np.random.RandomState(0).randn(5, 2, 2, 1).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        logits = fc_train.network(tf.constant(images), True, 3, flags)
        session.run(tf.global_variables_initializer())
        observed, hidden, kernel = session.run([logits] + tf.global_variables()[:2])
    expected = function(images.reshape(5, 4) @ hidden) @ kernel
    np.testing.assert_allclose(observed, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("label_type", [np.uint8, np.int32])
def test_losses_are_those_of_the_textbook(label_type):
    logits = np.random.RandomState(0).randn(6, 4).astype(np.float32) * 3
    labels = np.array([0, 1, 2, 3, 3, 0], label_type)
    one_hot = np.eye(4)[labels]
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    sigmoid = -(one_hot * np.log(probabilities) + (1 - one_hot) * np.log(1 - probabilities))
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    with tf.Graph().as_default(), tf.Session() as session:
        x, y = tf.constant(logits), tf.constant(labels)
        losses = [model.example_losses(x, y, loss) for loss in ("sigmoid", "softmax")]
        observed = session.run(losses)
    np.testing.assert_allclose(observed[0], sigmoid.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(observed[1], -np.log(softmax[range(6), labels]), rtol=1e-5)


def test_the_accuracy_counts_where_the_largest_logit_is_the_labels():
    def four_pixels(images, training, num_classes, flags):
        return tf.reshape(images, [-1, 4])[:, :3]

    pixels = [[3, 1, 2, 9], [0, 5, 1, 9], [3, 2, 1, 9], [1, 2, 0, 9], [0, 1, 2, 9]]
    images = np.array(pixels, np.uint8).reshape(5, 2, 2, 1)
    labels = np.array([0, 1, 2, 0, 2], np.uint8)
    examples = types.SimpleNamespace(image_shape=(2, 2, 1), num_classes=3)
    with tf.Graph().as_default(), tf.Session() as session:
        inference = program.Program(four_pixels, examples, fc_train.parse_flags([])).inference
        found = evaluation.evaluate(session, inference, images, labels)
    assert found.accuracy == 0.6
    table = evaluation.accuracy_by_class(found, labels).splitlines()
    assert table[1:] == ["0,2,1,0.50000", "1,1,1,1.00000", "2,2,1,0.50000"]


RATE = 0.1
# The value that slot v begins with; others begin with 0.
FIRST_V = {"rmsprop": 1.0, "adagrad": 0.1, "ftrl": 0.1}


def updated(name, x, g, s, t):
    """x after one update by its gradient g, the t-th from 1; s keeps the slots m and v."""
    if name == "sgd":
        return x - RATE * g
    if name in ("momentum", "nesterov"):
        s.m = 0.9 * s.m + g
        return x - RATE * (s.m if name == "momentum" else g + 0.9 * s.m)
    if name == "adam":
        s.m = 0.9 * s.m + 0.1 * g
        s.v = 0.999 * s.v + 0.001 * g**2
        return x - RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s.m / (np.sqrt(s.v) + 1e-8)
    if name == "rmsprop":
        s.v = 0.9 * s.v + 0.1 * g**2
        return x - RATE * g / np.sqrt(s.v + 1e-10)
    if name == "adadelta":
        s.v = 0.95 * s.v + 0.05 * g**2
        step = g * np.sqrt(s.m + 1e-8) / np.sqrt(s.v + 1e-8)
        s.m = 0.95 * s.m + 0.05 * step**2
        return x - RATE * step
    before, s.v = s.v, s.v + g**2
    if name == "adagrad":
        return x - RATE * g / np.sqrt(s.v)
    assert name == "ftrl"
    s.m += g - (np.sqrt(s.v) - np.sqrt(before)) / RATE * x
    return -s.m * RATE / np.sqrt(s.v)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_follows_its_published_update_rule(name):
    expected, slots = 1.5, types.SimpleNamespace(m=0.0, v=FIRST_V.get(name, 0.0))
    with tf.Graph().as_default(), tf.Session() as session:
        variable = tf.get_variable("x", initializer=1.5)
        update = model.optimizer(name, RATE).minimize(tf.square(variable))
        session.run(tf.global_variables_initializer())
        for step in range(1, 5):
            session.run(update)
            expected = updated(name, expected, 2 * expected, slots, step)
            assert session.run(variable) == pytest.approx(expected, rel=2e-6), step


# The rate after these shares of the batches: by hand from the formulas, one-cycle's also those of
# torch.optim.lr_scheduler.OneCycleLR, whose defaults it takes.
SCHEDULES = {
    "constant": {0.0: 0.02, 0.5: 0.02, 0.99: 0.02},
    "cosine": {0.0: 0.02, 0.25: 0.017071068, 0.5: 0.01, 0.75: 0.0029289322},
    "one-cycle": {0.0: 0.0008, 0.15: 0.0104, 0.3: 0.02, 0.65: 0.01000004, 0.9: 0.0009903874},
}


@pytest.mark.parametrize("schedule", SCHEDULE_NAMES)
def test_a_schedule_gives_the_learning_rate_of_its_formula(schedule):
    flags = types.SimpleNamespace(learning_rate=0.02, num_batches=1000, schedule=schedule)
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.placeholder(tf.int64, [])
        rate = tf.convert_to_tensor(model.learning_rate(flags, step))
        for share, expected in SCHEDULES[schedule].items():
            found = session.run(rate, {step: round(1000 * share)})
            assert found == pytest.approx(expected, rel=1e-4), share


def test_a_step_gives_its_loss_and_rate_after_all_of_its_updates():
    """Those of weights, moving averages and step counter. Gradient descent on a loss of slope 1/2
    moves by half the rate: none is used twice, none skipped."""
    flags = ["--optimizer=sgd", "--learning-rate=1e-3", "--num-batches=4", "--schedule=cosine"]
    flags = fc_train.parse_flags(flags)
    with tf.Graph().as_default(), tf.Session() as session:
        bias = tf.get_variable("bias", initializer=tf.zeros([1, 2]))
        average = tf.get_variable("average", initializer=0.0, trainable=False)
        update = average.assign_add(1.0, read_value=False)
        loss = model.mean_loss(bias * 1.0, tf.constant([1]), "softmax")
        with pytest.raises(ValueError, match="by hand leave out the regularizers"):
            model.train_step(loss, [loss], [], flags, gradients=[])
        step = model.train_step(loss, [], [update], flags)
        session.run(tf.global_variables_initializer())
        moved, found = [0.0], []
        for count in range(1, 5):
            found.append(session.run(step))
            moved.append(session.run(bias)[0, 1])
            assert session.run([average, tf.train.get_global_step()]) == [count, count]
    losses, rates = zip(*found)
    assert losses[0] == pytest.approx(np.log(2))
    assert all(later < earlier for earlier, later in zip(losses, losses[1:]))
    expected = [1e-3 * (1 + np.cos(np.pi * step / 4)) / 2 for step in range(4)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    np.testing.assert_allclose(np.diff(moved), np.array(expected) / 2, rtol=2e-3)
