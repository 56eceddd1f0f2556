"""What a run's digits depend on is in its settings.json: not on the cores it goes on with."""

import os
import shutil

import pytest
from helpers import differences, read_checkpoint, read_scalars

from graph_mode import tensorflow1 as tf
from graph_mode.runs import checkpoints, record

NUM_BATCHES = 24
# Begun with so many threads that an operation has several, or with one in each.
NETWORKS = {
    "fc": ("fc_train.py", ["--batch-norm", "--threads=8"]),
    "fc, XLA": ("fc_train.py", ["--batch-norm", "--xla", "--hidden-units=64", "--threads=2"]),
    "fc, derived gradients": ("fc_train.py", ["--manual-gradients", "--threads=8"]),
    "conv": ("conv_train.py", ["--batch-norm", "--layers=2", "--threads=2"]),
}


def what_it_learned(folder):
    """{what: value} of the losses of a run's steps and the tensors of its last checkpoint."""
    learned = {}
    for name, value in read_checkpoint(checkpoints.latest(folder)).items():
        # These hold the number of batches, and what an end that was none any more has measured.
        if os.path.basename(name) not in ("settings", "best_validation_loss"):
            learned[name] = value
    losses = read_scalars(os.path.join(folder, "train"), "loss")
    learned.update({f"loss of step {step}": loss for step, loss in losses.items()})
    return learned


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system pins no process")
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_run_resumed_with_other_cores_has_the_digits_of_one_never_stopped(
    name, script_server, small_mnist, tmp_path
):
    script, flags = NETWORKS[name]
    if "--xla" in flags and tf.version() < (2, 5):
        pytest.skip("XLA compiles the training loop from TensorFlow 2.5 on")
    flags = flags + [f"--data-dir={small_mnist}", "--validation-size=100", "--run-name=own"]

    def train(place, *words, cores=None):
        (tmp_path / place).mkdir(exist_ok=True)
        process = script_server.start(tmp_path / place, script, *words, cores=cores)
        code, _, stderr = process.wait()
        assert (code, stderr) == (0, "") or "batch norm: accuracy" in stderr, stderr
        return str(tmp_path / place / "runs" / script[: -len("_train.py")] / "own")

    learned = what_it_learned(train("whole", *flags, f"--num-batches={NUM_BATCHES}"))
    assert f"loss of step {NUM_BATCHES - 1}" in learned
    begun = train("begun", *flags, f"--num-batches={NUM_BATCHES // 2}")
    resolved = record.read_settings(begun)["resolved"]
    other = "--threads=2" if "--threads=8" in flags else "--threads=8"
    one_core = [min(os.sched_getaffinity(0))]
    for place, threads, cores in (("other", other, None), ("one core", "--threads=0", one_core)):
        shutil.copytree(str(tmp_path / "begun"), str(tmp_path / place))
        folder = str(tmp_path / place / os.path.relpath(begun, str(tmp_path / "begun")))
        more = ["--resume", folder, f"--num-batches={NUM_BATCHES}", threads]
        assert os.path.samefile(train(place, *more, cores=cores), folder)
        assert record.read_settings(folder)["resolved"] == resolved
        assert differences(learned, what_it_learned(folder)) == []
