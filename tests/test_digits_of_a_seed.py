"""What a run's digits depend on is in its settings.json: not on the cores it goes on with."""

import os
import shutil

import pytest
from helpers import read_checkpoint, read_scalars

from graph_mode import checkpoints, run
from graph_mode import tensorflow1 as tf

NUM_BATCHES = 24
NETWORKS = {
    "fc": ("fc_train.py", ["--batch-norm", "--threads=4"]),
    "fc, one thread in an operation": ("fc_train.py", ["--threads=2"]),
    "fc, XLA": ("fc_train.py", ["--batch-norm", "--xla", "--hidden-units=64", "--threads=4"]),
    "fc, derived gradients": ("fc_train.py", ["--manual-gradients", "--threads=2"]),
    "conv": ("conv_train.py", ["--batch-norm", "--layers=3", "--threads=4"]),
}


def what_it_learned(folder):
    """The losses of a run's steps, and the tensors of its last checkpoint."""
    tensors = read_checkpoint(checkpoints.latest(folder))
    return read_scalars(os.path.join(folder, "train"), "loss"), {
        name: value for name, value in tensors.items() if name != "settings"
    }


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

    losses, tensors = what_it_learned(train("whole", *flags, f"--num-batches={NUM_BATCHES}"))
    assert len(losses) == NUM_BATCHES
    begun = train("begun", *flags, f"--num-batches={NUM_BATCHES // 2}")
    resolved = run.read_settings(begun)["resolved"]
    for place, threads, cores in (("more", "--threads=8", None), ("one core", "--threads=0", [0])):
        shutil.copytree(str(tmp_path / "begun"), str(tmp_path / place))
        folder = os.path.join(
            str(tmp_path / place), os.path.relpath(begun, str(tmp_path / "begun"))
        )
        more = ["--resume", folder, f"--num-batches={NUM_BATCHES}", threads]
        assert os.path.samefile(train(place, *more, cores=cores), folder)
        assert run.read_settings(folder)["resolved"] == resolved
        assert what_it_learned(folder) == (losses, tensors)
