"""Disks that fill up, files that vanish, readers and terminals that leave, losses that are not
finite: one line, and nothing lost."""

import contextlib
import glob
import json
import os
import re
import shlex
import shutil
import signal
import subprocess

import numpy as np
import pytest
from helpers import differences, read_checkpoint, read_scalars, run_contents

from graph_mode.runs import checkpoints

RUN = os.path.join("runs", "fc", "own")
SMALL = ["--run-name=own", "--hidden-units=16", "--validation-size=100", "--batch-size=32"]
SMALL += ["--validate-every=10"]
FLAGS = SMALL + ["--batch-norm", "--checkpoint-every=15", "--num-batches=150"]
BAD_INPUT, NONFINITE = 2, 3


@pytest.fixture(scope="module")
def whole(script_server, small_mnist, tmp_path_factory):
    """What a run holds that met with no fault."""
    folder = tmp_path_factory.mktemp("whole")
    flags = FLAGS + [f"--data-dir={small_mnist}"]
    assert script_server.run(folder, "fc_train.py", *flags)[0] == 0
    return run_contents(str(folder / RUN))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    folder = str(tmp_path / "disk")
    os.mkdir(folder)
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", "--lazy", folder])


# Each begins a fault of a run that a process writes, and mends it in the end.


@contextlib.contextmanager
def full_disk(run, _):
    filler = os.path.join(run, "filler")
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    os.remove(filler)


@contextlib.contextmanager
def vanished(run, _):
    os.rename(run, f"{run}-elsewhere")
    yield
    assert not os.path.exists(run)
    os.rename(f"{run}-elsewhere", run)


def limited(size_of):
    """No file may become larger than what size_of(run) says."""

    @contextlib.contextmanager
    def begin(run, pid):
        resource = pytest.importorskip("resource")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_of(run), size_of(run)))
        yield

    return begin


def size_of_events(run):
    return max(map(os.path.getsize, glob.glob(os.path.join(run, "train", "events*"))))


def less_than_a_checkpoint(run):
    return os.path.getsize(checkpoints.latest(run) + ".data-00000-of-00001") - 4096


@pytest.mark.parametrize(
    "fault",
    [full_disk, vanished, limited(size_of_events), limited(less_than_a_checkpoint)],
    ids=["full disk", "vanished", "no room for events", "no room for a checkpoint"],
)
def test_a_run_that_cannot_be_written_ends_with_one_line_and_can_go_on(
    fault, script_server, small_mnist, small_disk, whole
):
    run = os.path.join(small_disk, RUN)
    process = script_server.start(
        small_disk, "fc_train.py", *(FLAGS + [f"--data-dir={small_mnist}"])
    )
    process.wait_for("Batch: 20")
    process.send_signal(signal.SIGSTOP)
    with fault(run, process.pid):
        process.send_signal(signal.SIGCONT)
        code, _, stderr = process.wait()
        assert (code, stderr.count("\n"), stderr.count("--resume")) == (BAD_INPUT, 1, 1)
        assert RUN in stderr
    assert read_checkpoint(checkpoints.latest(run))
    assert script_server.run(small_disk, "fc_train.py", "--resume", RUN)[::2] == (0, "")
    assert differences(whole, run_contents(run)) == []


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
    assert (code, stderr.count("\n")) == (BAD_INPUT, 1) and RUN in stderr
    assert not (tmp_path / "runs").exists()


def test_no_room_for_a_new_run_is_one_line_and_leaves_nothing(
    script_server, small_mnist, small_disk
):
    with full_disk(small_disk, None):
        code, stdout, stderr = script_server.run(
            small_disk, "fc_train.py", *(FLAGS + [f"--data-dir={small_mnist}"])
        )
    assert (code, stdout, stderr.count("\n")) == (BAD_INPUT, "", 1)
    assert glob.glob(os.path.join(small_disk, "runs", "fc", "*")) == []


# Readers, terminals, names.


def test_training_goes_on_when_its_reader_leaves(script_server, small_mnist, tmp_path):
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    process = script_server.start(
        tmp_path, "fc_train.py", *FLAGS, f"--data-dir={small_mnist}",
        streams=[os.devnull, pipe, str(tmp_path / "stderr")],
    )  # fmt: skip
    with open(pipe) as reader:
        assert reader.readline().startswith("Batch:  0")
    assert process.wait()[0] == 0
    assert (tmp_path / "stderr").read_text().count("\n") == 1
    assert (tmp_path / RUN / "result.json").exists()


@pytest.mark.parametrize("nohup", [False, True])
def test_a_terminal_that_goes_away_loses_nothing(nohup, script_server, small_mnist, tmp_path):
    """Its signal stops the run, which is saved; under nohup the run goes on to its end."""
    ours, theirs = pytest.importorskip("pty").openpty()
    steps = 150 if nohup else 100000
    flags = SMALL + [f"--data-dir={small_mnist}", f"--num-batches={steps}"]
    process = script_server.start(
        tmp_path, "fc_train.py", *flags, streams=[os.ttyname(theirs)] * 3, nohup=nohup
    )
    seen = b""
    while b"Batch:  0" not in seen:
        seen += os.read(ours, 1000)
    os.close(theirs)
    os.close(ours)
    assert process.wait()[0] == (0 if nohup else 128 + signal.SIGHUP)
    losses = read_scalars(str(tmp_path / RUN / "train"), "loss")
    assert (tmp_path / RUN / "result.json").exists() == nohup
    if nohup:
        assert sorted(losses) == list(range(150))
    else:
        assert checkpoints.latest(str(tmp_path / RUN)).endswith(f"-{max(losses)}")


def test_a_run_in_a_folder_of_any_name_is_kept_continued_and_used(
    script_server, small_mnist, tmp_path
):
    name = "-two  words [a-z]st*r? ü"
    run = os.path.join(name, "fc", name)
    flags = SMALL + [f"--data-dir={small_mnist}", f"--log-dir={name}", f"--run-name={name}"]
    process = script_server.start(tmp_path, "fc_train.py", "--num-batches=100000", *flags)
    process.wait_for("Batch: 60")
    process.send_signal(signal.SIGINT)
    code, _, stderr = process.wait()
    assert (code, stderr.count("\n")) == (130, 1), stderr
    last = checkpoints.latest(str(tmp_path / run))
    assert len(os.listdir(str(tmp_path / run / "checkpoints"))) == 2 * checkpoints.KEPT + 2
    words = shlex.split(stderr.split("to continue: ")[1])[2:]
    words += [f"--num-batches={int(last.rsplit('-', 1)[1]) + 5}"]
    code, stdout, stderr = script_server.run(tmp_path, "fc_train.py", *words)
    assert (code, stderr) == (0, "")
    last = checkpoints.latest(str(tmp_path / run))
    for number, what in enumerate((run, os.path.join(run, "checkpoints"), f"{last}.index")):
        use = [f"--evaluate={what}", f"--export=exported/{number}{name}"]
        found = script_server.run(tmp_path, "fc_train.py", *use)
        assert found[0] == 0 and found[1].split()[-1] == stdout.split()[-1]
    assert len(os.listdir(str(tmp_path / "exported"))) == 3


# From about the tenth step on, nothing is finite.
DIVERGING = SMALL + ["--optimizer=sgd", "--learning-rate=1e30", "--hidden-units=32,32,32"]
DIVERGING += ["--num-batches=40"]


def test_a_loss_that_is_not_finite_ends_the_run_within_an_evaluation_interval(
    script_server, small_mnist, tmp_path
):
    flags = DIVERGING + [f"--data-dir={small_mnist}"]
    code, _, stderr = script_server.run(tmp_path, "fc_train.py", *flags)
    assert (code, stderr.count("\n")) == (NONFINITE, 1) and "--allow-nonfinite" in stderr
    kind, step = re.search(
        r"(training|validation) loss was .*(?:nan|inf) at batch (\d+)", stderr
    ).groups()
    losses = read_scalars(str(tmp_path / RUN / "train"), "loss")
    assert sorted(losses) == list(range(len(losses)))
    if kind == "training":
        assert [s for s, loss in losses.items() if not np.isfinite(loss)][0] == int(step)
    assert int(step) < len(losses) <= int(step) + 10
    kept = checkpoints.latest(str(tmp_path / RUN))
    if kept:
        assert kept.endswith(re.search(r"last good checkpoint: .*(-\d+);", stderr).group(1))
        values = [v for v in read_checkpoint(kept).values() if v[0] == "float32"]
        assert all(np.isfinite(np.frombuffer(value[2], np.float32)).all() for value in values)
    assert not (tmp_path / RUN / "result.json").exists()


def test_with_allow_nonfinite_the_run_goes_on_to_its_end(script_server, small_mnist, tmp_path):
    flags = DIVERGING + [f"--data-dir={small_mnist}", "--allow-nonfinite"]
    code, stdout, stderr = script_server.run(tmp_path, "fc_train.py", *flags)
    assert (code, stderr) == (0, "")
    assert "Final test accuracy: " in stdout
    losses = read_scalars(str(tmp_path / RUN / "train"), "loss")
    assert sorted(losses) == list(range(40))
    assert not np.isfinite(losses[39])
    assert json.loads((tmp_path / RUN / "result.json").read_text())["steps"] == 40
