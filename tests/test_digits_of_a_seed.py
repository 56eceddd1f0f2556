"""What a run's digits depend on is in its settings.json: not on the cores it goes on with."""

import os

import pytest
from helpers import differences, read_checkpoint, read_scalars

from graph_mode import tensorflow1 as tf
from graph_mode.runs import checkpoints, record

NUM_BATCHES = 24
# Script, flags, threads in an operation at first and when resumed; 0 is by the cores: there is one.
NETWORKS = {
    "fc": ("fc_train.py", ["--batch-norm"], 8, 0),
    "fc, XLA": ("fc_train.py", ["--batch-norm", "--xla", "--hidden-units=64"], 2, 8),
    "fc, derived gradients": ("fc_train.py", ["--manual-gradients"], 8, 2),
    "conv": ("conv_train.py", ["--batch-norm", "--layers=2"], 2, 0),
}


def what_it_learned(folder):
    """{what: value} of the losses of a run's steps and the tensors of its last checkpoint."""
    learned = read_checkpoint(checkpoints.latest(folder))
    del learned["checkpoint/best_validation_loss"]  # measured where the first part ended
    losses = read_scalars(os.path.join(folder, "train"), "loss")
    return {**learned, **{f"loss of step {step}": loss for step, loss in losses.items()}}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system pins no process")
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_run_resumed_with_other_cores_has_the_digits_of_one_never_stopped(
    name, script_server, small_mnist, tmp_path
):
    script, flags, threads, other = NETWORKS[name]
    if "--xla" in flags and tf.version() < (2, 5):
        pytest.skip("XLA compiles the training loop from TensorFlow 2.5 on")

    def train(run_name, num_batches, *words, cores=None):
        words = [script, f"--num-batches={num_batches}", f"--run-name={run_name}", *words]
        code, _, stderr = script_server.start(tmp_path, *words, cores=cores).wait()
        assert (code, stderr) == (0, "") or "batch norm: accuracy" in stderr, stderr
        return str(tmp_path / "runs" / script[: -len("_train.py")] / run_name)

    flags = flags + [f"--data-dir={small_mnist}", "--validation-size=100", f"--threads={threads}"]
    learned = what_it_learned(train("whole", NUM_BATCHES, *flags))
    assert f"loss of step {NUM_BATCHES - 1}" in learned
    folder = train("begun", NUM_BATCHES // 2, *flags)
    resolved = record.read_settings(folder)["resolved"]
    cores = [min(os.sched_getaffinity(0))] if other == 0 else None
    train("begun", NUM_BATCHES, f"--resume={folder}", f"--threads={other}", cores=cores)
    assert record.read_settings(folder)["resolved"] == resolved
    assert differences(learned, what_it_learned(folder)) == []
