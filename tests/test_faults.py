"""Disks that fill up, files that vanish, losses that are not finite: one line, and nothing lost."""

import glob
import os
import re
import shutil
import signal
import subprocess

import numpy as np
import pytest
from helpers import differences, read_checkpoint, read_events, read_scalars, run_contents

from graph_mode.runs import checkpoints

RUN = os.path.join("runs", "fc", "own")
FLAGS = [
    "--run-name=own",
    "--batch-norm",
    "--hidden-units=16",
    "--validation-size=100",
    "--batch-size=32",
]
FLAGS += ["--validate-every=10", "--checkpoint-every=15", "--num-batches=310"]
BAD_INPUT, NONFINITE = 2, 3


@pytest.fixture(scope="module")
def whole(script_server, small_mnist, tmp_path_factory):
    """What a run holds that met with no fault."""
    folder = tmp_path_factory.mktemp("whole")
    flags = FLAGS + [f"--data-dir={small_mnist}"]
    assert script_server.run(folder, "fc_train.py", *flags)[0] == 0
    return run_contents(str(folder / RUN))


def mount(*arguments):
    done = subprocess.run(["mount"] + list(arguments), stderr=subprocess.PIPE)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.decode().strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)])


def fill(folder):
    """Takes all the room; returns the file that does."""
    path = os.path.join(str(folder), "filler")
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path


class Fault:
    """Something that befalls the process of a run, until it is mended."""

    def __init__(self, process, folder):
        self.run = os.path.join(str(folder), RUN)
        self.process = process
        self.folder = folder


class FullDisk(Fault):
    message = r"No space left on device|RESOURCE_EXHAUSTED.*"

    def begin(self):
        self.filler = fill(self.folder)

    def mend(self):
        os.remove(self.filler)


class LargestFile(Fault):
    """A limit below the size of a checkpoint, or just above that of the losses so far."""

    message = "File too large"

    def begin(self):
        resource = pytest.importorskip("resource")
        largest = self.size()
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (largest, largest))

    def mend(self):
        pass


class LargestEventFile(LargestFile):
    def size(self):
        return max(map(os.path.getsize, glob.glob(os.path.join(self.run, "train", "events*"))))


class LargestCheckpoint(LargestFile):
    def size(self):
        return os.path.getsize(checkpoints.latest(self.run) + ".data-00000-of-00001") - 4096


class Vanished(Fault):
    message = "No such file or directory|Parent directory of .* doesn't exist"

    def begin(self):
        os.rename(self.run, self.run + "-elsewhere")

    def mend(self):
        assert not os.path.exists(self.run)
        os.rename(self.run + "-elsewhere", self.run)


class ReadOnly(Fault):
    """Root may write wherever a mode forbids it, but not on a file system that is read-only."""

    message = "Read-only file system"

    def begin(self):
        mount("--bind", self.run, self.run)
        subprocess.run(["mount", "-o", "remount,ro,bind", self.run], check=True)

    def mend(self):
        subprocess.run(["umount", self.run], check=True)


@pytest.mark.parametrize(
    "kind, part",
    [
        (FullDisk, "events|a checkpoint"),
        (LargestEventFile, "events|a checkpoint"),
        (LargestCheckpoint, "a checkpoint"),
        (Vanished, "events|a checkpoint"),
        (ReadOnly, "a checkpoint"),
    ],
)
def test_a_run_that_cannot_be_written_ends_with_one_line_and_can_go_on(
    kind, part, script_server, small_mnist, small_disk, whole
):
    process = script_server.start(
        small_disk, "fc_train.py", *(FLAGS + [f"--data-dir={small_mnist}"])
    )
    process.wait_for("Batch: 20")
    process.send_signal(signal.SIGSTOP)
    fault = kind(process, small_disk)
    fault.begin()
    process.send_signal(signal.SIGCONT)
    code, _, stderr = process.wait()
    try:
        line = rf"fc_train\.py: error: .*: ({part}) cannot be written: .*({kind.message}).*; .+\n"
        assert re.fullmatch(line, stderr), stderr
        assert (code, stderr.count("--resume")) == (BAD_INPUT, 1)
    finally:
        fault.mend()
    assert read_checkpoint(checkpoints.latest(fault.run))
    assert script_server.run(small_disk, "fc_train.py", "--resume", RUN)[::2] == (0, "")
    assert differences(whole, run_contents(fault.run)) == []


def test_a_run_that_is_removed_ends_with_one_line_and_is_not_made_again(
    script_server, small_mnist, tmp_path
):
    flags = FLAGS + [f"--data-dir={small_mnist}", "--num-batches=1000000"]
    process = script_server.start(tmp_path, "fc_train.py", *flags)
    process.wait_for("Batch: 20")
    # In one step, for the run goes on writing.
    os.rename(str(tmp_path / "runs"), str(tmp_path / "gone"))
    shutil.rmtree(str(tmp_path / "gone"), ignore_errors=True)
    code, _, stderr = process.wait()
    assert code == BAD_INPUT
    assert re.fullmatch(r"fc_train\.py: error: runs/fc/.+ cannot be written: .+\n", stderr)
    assert not (tmp_path / "runs").exists()


def test_no_room_for_a_new_run_is_one_line_and_leaves_nothing(
    script_server, small_mnist, small_disk
):
    fill(small_disk)
    code, stdout, stderr = script_server.run(
        small_disk, "fc_train.py", *(FLAGS + [f"--data-dir={small_mnist}"])
    )
    assert (code, stdout) == (BAD_INPUT, "")
    assert re.fullmatch(r"fc_train\.py: error: .*No space left on device.*\n", stderr), stderr
    assert glob.glob(str(small_disk / "runs" / "fc" / "*")) == []


# From about the tenth step on, nothing is finite.
DIVERGING = [
    "--run-name=own",
    "--optimizer=sgd",
    "--learning-rate=1e30",
    "--validation-size=100",
    "--batch-size=32",
]
DIVERGING += ["--hidden-units=32,32,32", "--validate-every=10", "--num-batches=40"]


def test_a_loss_that_is_not_finite_ends_the_run_within_an_evaluation_interval(
    script_server, small_mnist, tmp_path
):
    flags = DIVERGING + [f"--data-dir={small_mnist}"]
    code, _, stderr = script_server.run(tmp_path, "fc_train.py", *flags)
    assert code == NONFINITE
    line = (
        r"fc_train\.py: error: the (training loss|validation loss) was (nan|inf) at batch (\d+); "
        r"last good checkpoint: (.+); try a smaller --learning-rate or --batch-norm, or continue "
        r"with --allow-nonfinite\n"
    )
    match = re.fullmatch(line, stderr)
    assert match, stderr
    run = tmp_path / "runs" / "fc" / "own"
    losses = read_scalars(str(run / "train"), "loss")
    assert sorted(losses) == list(range(len(losses)))
    step = int(match.group(3))
    if match.group(1) == "training loss":
        assert [s for s, loss in losses.items() if not np.isfinite(loss)][0] == step
    assert step < len(losses) <= step + 10
    if match.group(4) != "none yet":
        checkpoint = read_checkpoint(str(tmp_path / match.group(4)))
        values = [v for v in checkpoint.values() if v[0] == "float32"]
        assert all(np.isfinite(np.frombuffer(value[2], np.float32)).all() for value in values)
    assert not (run / "result.json").exists()


def test_with_allow_nonfinite_the_run_goes_on_to_its_end(script_server, small_mnist, tmp_path):
    flags = DIVERGING + [f"--data-dir={small_mnist}", "--allow-nonfinite"]
    code, stdout, stderr = script_server.run(tmp_path, "fc_train.py", *flags)
    assert (code, stderr) == (0, "")
    assert "Final test accuracy: " in stdout
    run = tmp_path / "runs" / "fc" / "own"
    losses = read_scalars(str(run / "train"), "loss")
    assert sorted(losses) == list(range(40))
    assert not np.isfinite(losses[39])
    assert read_events(str(run / "test"))
