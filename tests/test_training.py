"""The training loop inside the graph, evaluation, and what a run prints and writes."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT, SCRIPTS, Trained, first_examples, read_scalars
from idx_files import write_set

import fc_train
from graph_mode import tensorflow1 as tf
from graph_mode.train import evaluation, program, training

SIZES = {
    "fc": ["--hidden-units=64,32"],
    "conv": ["--layers=3", "--filters-step=2", "--dense-units=20"],
}


@pytest.fixture
def trained(small):
    return lambda network, *flags, **keywords: Trained(
        SCRIPTS[network], *small, *SIZES[network], *flags, **keywords
    )


@pytest.fixture
def losses_of(trained):
    """losses_of(network, *flags, steps=...): the losses [steps] of training from the start."""

    def train(network, *flags, steps, **keywords):
        with trained(network, *flags, **keywords) as started:
            return np.array(started.train(steps))

    return train


@pytest.mark.parametrize("network", SCRIPTS)
def test_100_steps_in_one_call_equal_100_calls_of_one(network, trained, losses_of):
    at_once = losses_of(network, "--batch-norm", steps=100)
    with trained(network, "--batch-norm") as started:
        assert at_once.tolist() == started.train(100, steps_per_call=1)
    assert len(set(at_once.tolist())) == 100
    assert at_once[-10:].mean() < 0.7 * at_once[:10].mean()


@pytest.mark.parametrize("network", SCRIPTS)
def test_the_seed_decides_weights_and_batches_with_and_without_batch_norm(network, trained):
    """So that pairs of runs with one seed differ in batch norm alone."""
    weights, batches = [], []
    for flags in (["--seed=1"], ["--seed=1", "--batch-norm"], ["--seed=2"]):
        with trained(network, *flags) as one:
            kernels = [v for v in one.model_variables if "kernel" in v.op.name]
            weights.append([value.tolist() for value in one.session.run(kernels)])
            batches.append(one.data.train.next_indices(5).tolist())
    assert (weights[0], batches[0]) == (weights[1], batches[1])
    assert batches[0] != batches[2]
    assert len(set(map(str, weights[0] + weights[2]))) == 2 * len(weights[0])


@pytest.mark.parametrize("network, size", [("fc", "--hidden-units=32,16"), ("conv", "--layers=1")])
def test_xla_computes_the_same_losses(network, size, losses_of):
    if tf.version() < (2, 5):
        pytest.skip("XLA compiles the training loop from TensorFlow 2.5 on")
    flags = [network, "--batch-norm", size]
    compiled = losses_of(*flags, "--xla", steps=15, slices=1)
    np.testing.assert_allclose(compiled, losses_of(*flags, steps=15), rtol=1e-4)


CHOICES = (
    "--optimizer=adagrad --learning-rate=0.05 --activation=sigmoid --batch-norm",
    "--optimizer=ftrl --learning-rate=0.2 --loss=softmax --activation=tanh --hidden-bias",
    "--optimizer=adadelta --learning-rate=10",
)


@pytest.mark.parametrize("flags", CHOICES)
def test_every_choice_trains(flags, losses_of):
    losses = losses_of("fc", "--hidden-units=32,16", *flags.split(), steps=100)
    assert losses[-10:].mean() < 0.7 * losses[:5].mean()


class Every(training.Hook):
    def __init__(self, every):
        self.every, self.calls = every, []

    def is_due(self, step):
        return step % self.every == 0

    def after_call(self, call):
        self.calls.append((call.first, call.last))
        assert len(call.scalars["loss"]) == call.last + 1 - call.first
        assert call.ended >= call.started


def test_calls_cover_every_step_and_end_wherever_a_hook_is_due(trained):
    with trained("fc", "--hidden-units=4") as one:
        for first_step, num_batches in ((0, 1), (70, 71), (0, 350)):
            hooks, one.flags.num_batches = [Every(70), Every(33), Every(10**9)], num_batches
            assert training.train_batches(one.training(), first_step, hooks) == num_batches - 1
            calls = hooks[0].calls
            assert calls == hooks[1].calls == hooks[2].calls
            steps = [step for first, last in calls for step in range(first, last + 1)]
            assert steps == list(range(first_step, num_batches))
            assert all(last - first < program.STEPS_PER_CALL for first, last in calls)
            due = {step for step in steps if 0 in (step % 70, step % 33)}
            assert due <= {last for _, last in calls}
        # A signal before the first step of a call is no batch.
        one.session.run(one.loop.request_stop)
        hook = Every(70)
        assert training.train_batches(one.training(), 101, [hook]) == 100 and hook.calls == []


def test_evaluation_averages_over_calls_of_unequal_size(trained, monkeypatch):
    with trained("fc") as one:
        at_once = one.evaluate("test")
        monkeypatch.setattr(evaluation, "IMAGES_PER_CALL", 64)
        in_calls = one.evaluate("test")
    assert in_calls[:2] == pytest.approx(at_once[:2], rel=1e-6)
    np.testing.assert_allclose(in_calls.logits, at_once.logits, atol=1e-5)


def test_averages_that_do_not_fit_the_weights_are_told():
    def told(right, right_by_population, momentum):
        found, labels = [], np.zeros(1000, np.uint8)
        for count in (right, right_by_population):
            logits = np.eye(2)[(np.arange(1000) >= count).astype(int)]
            found.append(evaluation.Evaluation(0.0, count / 1000, logits))
        return evaluation.lag(*found, labels, momentum)

    assert told(900, 905, 0.99) is None
    for words in ("0.25000 with the moving", "0.97500 with pop", "--batch-norm-momentum 0.9"):
        assert words in told(250, 975, 0.99)
    assert "train longer" in told(250, 975, 0.9) and "momentum" not in told(250, 975, 0.9)


def test_a_run_trains_on_the_batches_of_its_seed_in_their_order(tmp_path, small, losses_of):
    given = [*small, *SIZES["fc"], "--seed=4", "--num-batches=130", f"--log-dir={tmp_path}"]
    losses = read_scalars(os.path.join(fc_train.main(given), "train"), "loss")
    assert list(losses.items()) == list(enumerate(losses_of("fc", "--seed=4", steps=130)))


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """A set of 26 classes of 32x20 images, each a prototype with noise."""
    random = np.random.RandomState(0)
    prototypes, arrays = random.randint(0, 200, (26, 32, 20)), []
    for count in (520, 52):
        labels = np.arange(count) % 26
        arrays += [prototypes[labels] + random.randint(0, 56, (count, 32, 20)), labels]
    arrays = [values.astype(np.uint8) for values in arrays]
    return write_set(tmp_path_factory.mktemp("data") / "letters", arrays, packed=False)


@pytest.mark.parametrize("network", SCRIPTS)
def test_any_image_set_trains(network, letters, tmp_path):
    flags = [f"--data-dir={letters}", f"--log-dir={tmp_path}", "--validation-size=52"]
    flags += ["--batch-norm", "--batch-norm-momentum=0.9", "--batch-size=64"]
    run = SCRIPTS[network].main([*flags, "--num-batches=61", "--learning-rate=0.01"])
    for split in ("validation", "test"):
        assert read_scalars(os.path.join(run, split), "accuracy")[61] > 0.9


FAULTS_OF_NEW_MEMORY = """
import resource
from graph_mode import tensorflow1 as tf

def faults():
    memory = [b"x" * 2**24 for _ in range(3)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

tf.version()
print(-faults() + [faults() for step in range(20)][-1])
"""
LARGEST_MEMORY = """
import fc_train
fc_train.main()
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for memory of glibc")


def last_word(*command):
    """What a Python program prints last, a number."""
    return int(subprocess.check_output([sys.executable, "-c", *command], cwd=ROOT).split()[-1])


@glibc
def test_memory_freed_by_one_step_serves_the_next():
    """Without it, glibc gives back what is above 32 MB: 20 times 12,288 pages here."""
    assert last_word(FAULTS_OF_NEW_MEMORY) < 12288


@glibc
def test_the_training_set_is_in_memory_once(tmp_path):
    """What a larger set adds to the memory is at most 1.3 times its file."""
    images, labels = first_examples("train", 5000)
    test, peaks, sizes = first_examples("t10k", 100), [], (10000, 160000)
    for size in sizes:
        arrays = [np.tile(images, (size // 5000, 1, 1)), np.tile(labels, size // 5000), *test]
        data = write_set(tmp_path / f"data{size}", arrays, packed=False)
        flags = ["--hidden-units=8", "--num-batches=1", f"--data-dir={data}"]
        peaks.append(1024 * last_word(LARGEST_MEMORY, *flags, f"--log-dir={tmp_path}"))
    assert peaks[1] - peaks[0] < 1.3 * 784 * (sizes[1] - sizes[0])
