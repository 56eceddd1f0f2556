"""The training loop inside the graph, evaluation, and what a run prints and writes."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT, Trained, first_examples, read_scalars
from idx_files import write_set

import conv_train
import fc_train
from graph_mode import batch, commands, layers
from graph_mode import tensorflow1 as tf
from graph_mode.train import diagnostics, evaluation, histograms, program, trainer, training

SCRIPTS = {"fc": fc_train, "conv": conv_train}
SMALL = {
    "fc": ["--hidden-units=64,32"],
    "conv": ["--layers=3", "--filters-step=2", "--dense-units=20"],
}


def trained(network, *flags, **keywords):
    flags = ["--validation-size=100", *SMALL[network], *flags]
    return Trained(SCRIPTS[network], *flags, **keywords)


def losses_of(network, *flags, steps, **keywords):
    """The losses [steps] of training from the start."""
    with trained(network, *flags, **keywords) as started:
        return np.array(started.train(steps))


@pytest.mark.parametrize("network", SCRIPTS)
def test_100_steps_in_one_call_equal_100_calls_of_one(network, small_mnist):
    flags = ["--batch-norm", "--batch-size=24", f"--data-dir={small_mnist}"]
    at_once = losses_of(network, *flags, steps=100)
    with trained(network, *flags) as started:
        assert at_once.tolist() == started.train(100, steps_per_call=1)
    assert len(set(at_once.tolist())) == 100
    assert at_once[-10:].mean() < 0.7 * at_once[:10].mean()


@pytest.mark.parametrize("network", SCRIPTS)
def test_the_seed_decides_weights_and_batches_with_and_without_batch_norm(network, small_mnist):
    """So that pairs of runs with one seed differ in batch norm alone."""
    weights, batches = [], []
    for flags in (["--seed=1"], ["--seed=1", "--batch-norm"], ["--seed=2"]):
        with trained(network, f"--data-dir={small_mnist}", *flags) as one:
            kernels = [v for v in one.model_variables if "kernel" in v.op.name]
            weights.append([value.tolist() for value in one.session.run(kernels)])
            batches.append(one.data.train.next_indices(5).tolist())
    assert (weights[0], batches[0]) == (weights[1], batches[1])
    assert batches[0] != batches[2]
    assert len(set(map(str, weights[0] + weights[2]))) == 2 * len(weights[0])


@pytest.mark.parametrize("network", SCRIPTS)
def test_one_thread_and_two_train_with_the_same_losses(
    network, script_server, small_mnist, tmp_path
):
    flags = ["--batch-norm", "--batch-size=33", "--num-batches=10", "--validation-size=100"]
    losses = []
    for threads in (1, 2):
        own = [f"--data-dir={small_mnist}", f"--threads={threads}", f"--run-name={threads}"]
        assert script_server.run(tmp_path, f"{network}_train.py", *flags, *own)[0] == 0
        folder = tmp_path / "runs" / network / str(threads) / "train"
        losses.append(read_scalars(str(folder), "loss"))
    assert len(losses[0]) == 10
    assert losses[0] == losses[1]


@pytest.mark.parametrize("network, size", [("fc", "--hidden-units=32,16"), ("conv", "--layers=1")])
def test_xla_computes_the_same_losses(network, size, small_mnist):
    if tf.version() < (2, 5):
        pytest.skip("XLA compiles the training loop from TensorFlow 2.5 on")
    flags = ["--batch-norm", size, "--batch-size=32", f"--data-dir={small_mnist}"]
    compiled = losses_of(network, "--xla", *flags, steps=15, slices=1)
    np.testing.assert_allclose(compiled, losses_of(network, *flags, steps=15), rtol=1e-4)


CHOICES = (
    "--optimizer=sgd --learning-rate=0.5", "--optimizer=momentum --learning-rate=0.2",
    "--optimizer=nesterov --learning-rate=0.2", "--optimizer=adagrad --learning-rate=0.05",
    "--optimizer=adadelta --learning-rate=10", "--optimizer=ftrl --learning-rate=0.2",
    "--optimizer=rmsprop --activation=sigmoid --batch-norm",
    "--loss=softmax --activation=tanh --hidden-bias",
)  # fmt: skip


@pytest.mark.parametrize("flags", CHOICES)
def test_every_choice_trains(flags, small_mnist):
    common = ["--hidden-units=32,16", "--batch-size=50", f"--data-dir={small_mnist}"]
    losses = losses_of("fc", *common, *flags.split(), steps=100)
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


@pytest.mark.parametrize("first_step, num_batches", [(0, 1), (0, 350), (70, 71)])
def test_calls_cover_every_step_and_end_wherever_a_hook_is_due(
    first_step, num_batches, small_mnist
):
    hooks = [Every(70), Every(33), Every(10**9)]
    with trained("fc", "--hidden-units=4", f"--data-dir={small_mnist}") as one:
        one.flags.num_batches = num_batches
        assert training.train_batches(one.training(), first_step, hooks) == num_batches - 1
    calls = hooks[0].calls
    assert calls == hooks[1].calls == hooks[2].calls
    steps = [step for first, last in calls for step in range(first, last + 1)]
    assert steps == list(range(first_step, num_batches))
    assert all(last - first < program.STEPS_PER_CALL for first, last in calls)
    assert {step for step in steps if 0 in (step % 70, step % 33)} <= {last for _, last in calls}


def test_a_signal_before_the_first_step_of_a_call_is_no_batch(small_mnist):
    hook = Every(70)
    with trained("fc", f"--data-dir={small_mnist}") as one:
        one.session.run(one.loop.request_stop)
        assert training.train_batches(one.training(), 101, [hook]) == 100
    assert hook.calls == []


def residual_with_penalty(images, training, num_classes, flags):
    """Batch norm, a weight penalty and dropout: all that a graph's collections and seeds carry."""
    layer = layers.dense(layers.flatten(images), 16, kernel_regularizer=tf.nn.l2_loss)
    layer = layers.batch_normalization(layer, training=training)
    layer = layer + batch.apply(tf.nn.relu, layers.dense(layer, 16))
    return layers.dense(layers.dropout(layer, 0.1, training=training), num_classes)


def test_the_program_can_be_built_in_any_order(small_mnist):
    """Evaluation, histograms, diagnostics and the loop leave nothing for each other to find."""
    script = commands.Script("own", residual_with_penalty, [], "A network of a user.")
    flags = script.parse_flags(["--validation-size=100", f"--data-dir={small_mnist}"])
    extras = [
        lambda network, examples: histograms.Histograms(network, examples, flags),
        lambda network, examples: diagnostics.Diagnostics(network, examples, flags),
        evaluation.Population,
        lambda network, examples: network.fed_tower("further", training=True),
    ]
    initial = []
    for before, after in ((extras, []), ([], extras), ([], [])):
        data = trainer.load_data(flags)
        with tf.Graph().as_default(), tf.Session() as session:
            built = program.Program(script.network, data.train, flags)
            for extra in before:
                extra(built, data.train)
            loop = built.training_loop(slices=2)
            for extra in after:
                extra(built, data.train)
            assert tf.get_collection(tf.GraphKeys.UPDATE_OPS) == []
            session.run(tf.global_variables_initializer())
            loop.prepare(session)
            initial.append([value.tolist() for value in session.run(tf.trainable_variables())])
            batches = [data.train.next_indices(flags.batch_size) for _ in range(3)]
            assert loop.run(session, batches)[0] == 3
    assert initial[0] == initial[1] == initial[2]


def test_evaluation_averages_over_calls_of_unequal_size(small_mnist, monkeypatch):
    with trained("fc", f"--data-dir={small_mnist}") as one:
        at_once = one.evaluate("test")
        monkeypatch.setattr(evaluation, "IMAGES_PER_CALL", 64)
        in_calls = one.evaluate("test")
    assert in_calls[:2] == pytest.approx(at_once[:2], rel=1e-6)
    np.testing.assert_allclose(in_calls.logits, at_once.logits, atol=1e-5)


def test_averages_that_do_not_fit_the_weights_are_told():
    labels = np.zeros(1000, np.uint8)

    def evaluated(right):
        logits = np.zeros([1000, 2])
        logits[right:, 1] = 1
        return evaluation.Evaluation(0.0, right / 1000, logits)

    assert evaluation.lag(evaluated(900), evaluated(905), labels, 0.99) is None
    told = evaluation.lag(evaluated(250), evaluated(975), labels, 0.99)
    assert "0.25000 with the moving averages, 0.97500 with population" in told
    assert "--batch-norm-momentum 0.9" in told
    told = evaluation.lag(evaluated(250), evaluated(975), labels, 0.9)
    assert "train longer" in told and "--batch-norm-momentum" not in told


def test_a_run_trains_on_the_batches_of_its_seed_in_their_order(tmp_path, small_mnist):
    flags = ["--validation-size=100", "--batch-size=48", f"--data-dir={small_mnist}", "--seed=4"]
    flags += SMALL["fc"]
    run = fc_train.main([f"--log-dir={tmp_path}", "--num-batches=130", *flags])
    losses = read_scalars(os.path.join(run, "train"), "loss")
    assert list(losses.items()) == list(enumerate(losses_of("fc", *flags, steps=130)))


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

tf.version()
for step in range(21):
    memory = [b"x" * 2**24 for _ in range(3)]
    del memory
    if step == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
LARGEST_MEMORY = """
import fc_train
fc_train.main()
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_memory_freed_by_one_step_serves_the_next():
    """Else TensorFlow 1.15 fetches thousands of pages from the system, and clears them, each step.

    Without it, glibc gives back what is above 32 MB: 20 times 12,288 pages here.
    """
    faults = subprocess.check_output([sys.executable, "-c", FAULTS_OF_NEW_MEMORY], cwd=ROOT)
    assert int(faults) < 12288


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for arrays as glibc places them")
def test_the_training_set_is_in_memory_once(tmp_path):
    """What a larger set adds to the memory is at most 1.3 times its file."""
    images, labels = first_examples("train", 5000)
    test = first_examples("t10k", 100)
    peaks, sizes = [], (10000, 160000)
    for size in sizes:
        arrays = [np.tile(images, (size // 5000, 1, 1)), np.tile(labels, size // 5000), *test]
        data = write_set(tmp_path / f"data{size}", arrays, packed=False)
        flags = ["--hidden-units", "8", "--num-batches", "1", "--data-dir", data]
        flags += ["--log-dir", str(tmp_path)]
        found = subprocess.check_output([sys.executable, "-c", LARGEST_MEMORY] + flags, cwd=ROOT)
        peaks.append(1024 * int(found.split()[-1]))
    assert peaks[1] - peaks[0] < 1.3 * 784 * (sizes[1] - sizes[0])
