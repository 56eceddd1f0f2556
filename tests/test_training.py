"""The training loop inside the graph, evaluation, and what a run prints and writes."""

import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT, read_scalars, run_loop
from idx_files import write_set

import conv_train
import fc_train
from graph_mode import evaluation, training
from graph_mode import tensorflow1 as tf

SCRIPTS = {"fc": fc_train, "conv": conv_train}


class Program:
    """What train_and_evaluate builds, for calls of any number of steps."""

    def __init__(self, network, *flags):
        script = SCRIPTS[network]
        self.options = script.parse_options(["--validation-size=100"] + list(flags))
        self.data = training.load_data(self.options)
        self.graph = tf.Graph()
        with self.graph.as_default():
            tf.set_random_seed(self.options.seed)
            self.inference = evaluation.build_inference(
                script.network, self.data.train, self.options
            )
            self.loop = training.build_training_loop(script.network, self.data.train, self.options)
            self.initialize = tf.global_variables_initializer()

    def session(self):
        """A session in which training starts: the same initial weights every time."""
        session = tf.Session(graph=self.graph)
        session.run([self.initialize, self.loop.prepare], self.loop.prepare_feed)
        return session

    def losses(self, steps, steps_per_call=training.STEPS_PER_CALL):
        """The losses [steps] of training from the start."""
        data = training.load_data(self.options).train
        losses = []
        with self.session() as session:
            while len(losses) < steps:
                count = min(steps_per_call, steps - len(losses))
                losses += run_loop(
                    session, self.loop, data, self.options.batch_size, count
                ).tolist()
        return np.array(losses)


@pytest.mark.parametrize("batch_norm", ["--batch-norm", "--no-batch-norm"])
@pytest.mark.parametrize("network", sorted(SCRIPTS))
def test_100_steps_in_one_call_equal_100_calls_of_one(network, batch_norm, small_mnist):
    flags = [batch_norm, "--batch-size=24", f"--data-dir={small_mnist}"]
    program = Program(network, *flags)
    at_once = program.losses(100)
    assert at_once.tolist() == program.losses(100, steps_per_call=1).tolist()
    assert len(set(at_once.tolist())) == 100
    assert at_once[-10:].mean() < 0.7 * at_once[:10].mean()


def test_the_seed_decides_the_losses(small_mnist):
    flags = ["--batch-norm", f"--data-dir={small_mnist}"]
    first, again, other = (
        Program("fc", f"--seed={seed}", *flags).losses(5).tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first[0] != other[0]


def test_the_seed_decides_weights_and_batches(small_mnist):
    """Else half of a run would be left to chance, or be the same for every seed."""
    programs = [Program("fc", f"--seed={seed}", f"--data-dir={small_mnist}") for seed in (1, 2)]
    batches = [program.data.train.next_indices(5).tolist() for program in programs]
    assert batches[0] != batches[1]
    images = programs[0].data.validation.images
    losses = []
    for program in programs:
        with program.session() as session:
            feed = {program.inference.images: images, program.inference.labels: np.zeros(100)}
            losses.append(session.run(program.inference.losses, feed).tolist())
    assert losses[0] != losses[1]


@pytest.mark.parametrize("network", sorted(SCRIPTS))
def test_one_thread_and_two_train_with_the_same_losses(
    network, script_server, small_mnist, tmp_path
):
    flags = ["--batch-norm", "--batch-size=33", "--num-batches=20", "--validation-size=100"]
    flags += [f"--data-dir={small_mnist}", "--log-dir=runs"]
    losses = []
    for threads in (1, 2):
        arguments = flags + [f"--threads={threads}", f"--run-name={threads}"]
        code, _, _ = script_server.run(tmp_path, f"{network}_train.py", *arguments)
        assert code == 0
        losses.append(
            read_scalars(str(tmp_path / "runs" / network / str(threads) / "train"), "loss")
        )
    assert len(losses[0]) == 20
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    "network, flags",
    [("fc", ["--batch-norm", "--hidden-units=32,16"]), ("conv", ["--batch-norm", "--layers=1"])],
)
def test_xla_computes_the_same_losses(network, flags, small_mnist):
    if tf.version() < (2, 5):
        pytest.skip("XLA compiles the training loop from TensorFlow 2.5 on")
    flags = flags + ["--batch-size=32", f"--data-dir={small_mnist}"]
    compiled = Program(network, "--xla", *flags).losses(15)
    np.testing.assert_allclose(compiled, Program(network, *flags).losses(15), rtol=1e-4)


LEARNING_RATES = {"sgd": 0.5, "momentum": 0.2, "nesterov": 0.2, "adagrad": 0.05, "adadelta": 10}
LEARNING_RATES.update({"adam": 0.005, "rmsprop": 0.002, "ftrl": 0.2})


@pytest.mark.parametrize(
    "flags",
    [f"--optimizer={name} --learning-rate={rate}" for name, rate in LEARNING_RATES.items()]
    + ["--loss=softmax", "--activation=sigmoid --batch-norm", "--activation=tanh", "--hidden-bias"],
)
def test_every_choice_trains(flags, small_mnist):
    common = ["--hidden-units=32,16", "--batch-size=50", f"--data-dir={small_mnist}"]
    losses = Program("fc", *(common + flags.split())).losses(100)
    assert losses[-10:].mean() < 0.7 * losses[:5].mean()


@pytest.mark.parametrize("flags", ["", "--validate-every=70 --checkpoint-every=33"])
def test_calls_cover_every_step_and_end_wherever_something_is_due(flags):
    options = fc_train.parse_options(flags.split())
    plan = training.Training.__new__(training.Training)  # only its options decide
    plan.options = options
    for options.num_batches in range(1, 1205, 7):
        for first_step in (0, 41):
            calls = list(plan.calls(first_step))
            steps = [step for first, last in calls for step in range(first, last + 1)]
            assert steps == list(range(first_step, options.num_batches))
            assert all(last - first < training.STEPS_PER_CALL for first, last in calls)
            ends = {last for _, last in calls}
            for every in (100, options.validate_every, options.checkpoint_every or 500):
                assert ends >= set(steps) & set(range(0, options.num_batches, every))


@pytest.mark.parametrize(
    "step, name, loss, accuracy, line",
    [
        (0, "Validation", 0.690163, 0.318, "Batch:  0: Validation loss: 0.69016, "
         "Validation accuracy: 0.31800\n"),
        (100, "Training", 0.395849, 0.09375, "Batch: 100: Training loss: 0.39585, "
         "Training accuracy: 0.09375\n"),
        (12500, "Validation", 1234.5, 1.0, "Batch: 12500: Validation loss: 1234.50000, "
         "Validation accuracy: 1.00000\n"),
    ],
)  # fmt: skip
def test_an_evaluation_is_printed_as_first_published(step, name, loss, accuracy, line, capsys):
    training.print_evaluation(step, name, evaluation.Evaluation(loss, accuracy, logits=None))
    assert capsys.readouterr() == (line, "")


def test_evaluation_averages_over_parts_of_unequal_size(small_mnist, monkeypatch):
    program = Program("fc", f"--data-dir={small_mnist}")
    examples = program.data.test
    with program.session() as session:
        arguments = (session, program.inference, examples.images, examples.labels)
        at_once = evaluation.evaluate(*arguments)
        monkeypatch.setattr(evaluation, "IMAGES_PER_CALL", 64)
        in_parts = evaluation.evaluate(*arguments)
    assert in_parts[:2] == pytest.approx(at_once[:2], rel=1e-6)
    np.testing.assert_allclose(in_parts.logits, at_once.logits, atol=1e-5)


def train(network, folder, *flags):
    """Runs train_and_evaluate; returns the run's folder and its result."""
    script = SCRIPTS[network]
    options = script.parse_options([f"--log-dir={folder}"] + list(flags))
    run = training.train_and_evaluate(network, script.network, options)
    with open(os.path.join(run, "result.json")) as file:
        return run, json.load(file)


def test_a_run_trains_on_the_batches_of_its_seed_in_their_order(tmp_path, small_mnist):
    flags = ["--validation-size=100", "--batch-size=48", f"--data-dir={small_mnist}", "--seed=4"]
    run, _ = train("fc", tmp_path, "--num-batches=130", *flags)
    losses = read_scalars(os.path.join(run, "train"), "loss")
    assert sorted(losses) == list(range(130))
    assert [losses[step] for step in range(130)] == Program("fc", *flags).losses(130).tolist()


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """A set of 26 classes of 32x20 images, each a prototype with noise."""
    random = np.random.RandomState(0)
    prototypes = random.randint(0, 200, (26, 32, 20))

    def examples(count):
        labels = np.arange(count) % 26
        return prototypes[labels] + random.randint(0, 56, (count, 32, 20)), labels

    arrays = [values.astype(np.uint8) for values in examples(520) + examples(52)]
    return write_set(tmp_path_factory.mktemp("data") / "letters", arrays, packed=False)


@pytest.mark.parametrize("network", sorted(SCRIPTS))
def test_any_image_set_trains(network, letters, tmp_path):
    flags = ["--batch-norm", f"--data-dir={letters}", "--validation-size=52", "--batch-size=64"]
    _, result = train(network, tmp_path, "--num-batches=101", "--learning-rate=0.01", *flags)
    assert result["test_accuracy"] > 0.9
    assert result["validation_accuracy"] > 0.9


def test_a_short_run_on_mnist_is_on_its_way(tmp_path):
    """300 of 3000 batches; a broken network or optimizer lands far below."""
    _, result = train("fc", tmp_path, "--num-batches=300", "--batch-norm")
    assert result["test_accuracy"] > 0.93
    assert result["steps"] == 300


FAULTS_OF_NEW_MEMORY = """
import resource
from graph_mode import tensorflow1 as tf

tf.version()

def use_new_memory():
    return [b"x" * 2**24 for _ in range(3)]

use_new_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use_new_memory()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_memory_freed_by_one_step_serves_the_next():
    """Else TensorFlow 1.15 fetches thousands of pages from the system, and clears them, each step.

    Without it, glibc gives back what is above 32 MB: 20 times 12,288 pages here.
    """
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("mallopt is glibc's")
    faults = subprocess.check_output([sys.executable, "-c", FAULTS_OF_NEW_MEMORY], cwd=ROOT)
    assert int(faults) < 12288
