"""Training with the backward pass by hand is training with tf.gradients."""

from unittest import mock

import numpy as np
import pytest
from helpers import read_scalars

import fc_train
from graph_mode import layers, model
from graph_mode import tensorflow1 as tf
from graph_mode.gradients import manual_gradients
from graph_mode.train import trainer

STEPS = 100


def train(arguments, data_dir, by_hand):
    """The losses of the steps in float64, [STEPS]."""
    arguments = arguments + ["--data-dir", data_dir, "--validation-size", "100"]
    flags = fc_train.parse_flags(arguments)
    data = trainer.load_data(flags).train
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        images = tf.placeholder(tf.float64, [None, 28, 28, 1])
        labels = tf.placeholder(tf.uint8, [None])
        with layers.recorded() as forward:
            logits = fc_train.network(images, True, data.num_classes, flags)
        gradients = manual_gradients.backward(forward, labels, flags) if by_hand else None
        loss = model.mean_loss(logits, labels, flags.loss)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        step = model.train_step(loss, [], updates, flags, gradients).loss
        session.run(tf.global_variables_initializer())
        losses = []
        for _ in range(STEPS):
            batch = data.next_indices(32)
            feed = {images: data.images[batch] / 255.0, labels: data.labels[batch]}
            losses.append(session.run(step, feed))
    return np.array(losses)


@pytest.mark.parametrize(
    "flags",
    [
        "--batch-norm --loss sigmoid --activation relu",
        "--batch-norm --loss softmax --activation tanh --hidden-bias",
        "--loss softmax --activation sigmoid",
        "--loss sigmoid --activation relu --hidden-bias",
    ],
)
def test_float64_losses_are_the_same_to_rounding(small_mnist, flags):
    flags = flags.split() + ["--hidden-units", "48,32,16", "--learning-rate", "0.01"]
    expected, found = (train(flags, small_mnist, by_hand) for by_hand in (False, True))
    assert expected[-1] < 0.8 * expected[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_script_trains_by_hand_with_the_same_float32_losses(small_mnist, tmp_path, monkeypatch):
    by_hand = mock.Mock(wraps=manual_gradients.backward)
    monkeypatch.setattr(manual_gradients, "backward", by_hand)
    # A smooth activation: a ReLU within rounding of its kink would part the two runs.
    given = ["--batch-norm", "--activation=tanh", "--hidden-units=48,32", "--validation-size=100"]
    given += [f"--num-batches={STEPS}", "--batch-size=32", "--data-dir", small_mnist]
    losses = []
    for flags in ([], ["--manual-gradients"]):
        folder = fc_train.main([*given, "--log-dir", str(tmp_path), *flags])
        losses.append(list(read_scalars(f"{folder}/train", "loss").values()))
    assert by_hand.call_count == 1 and len(losses[0]) == STEPS
    np.testing.assert_allclose(*losses, rtol=2e-5)
