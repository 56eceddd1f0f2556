"""Disks that fill up, files that vanish, readers and terminals that leave, losses that are not
finite: one line, and nothing lost."""

import contextlib
import glob
import os
import re
import shlex
import signal
import subprocess

import numpy as np
import pytest
from helpers import differences, read_checkpoint, read_scalars, run_contents

import compare
import fc_train
from graph_mode.runs import checkpoints

resource = pytest.importorskip("resource")
RUN = os.path.join("runs", "fc", "own")
LONG = ["--batch-norm", "--checkpoint-every=15", "--num-batches=150"]
# From about the tenth step on, nothing is finite.
DIVERGING = ["--optimizer=sgd", "--learning-rate=1e30", "--num-batches=40", "--hidden-units=32,32"]
BAD_INPUT, NONFINITE = 2, 3
NAMING = ("log-dir", "run-name", "resume", "evaluate", "export")


@pytest.fixture(scope="module")
def start(script_server, small):
    """start(folder, *flags) starts fc_train.py, whose run is folder/RUN, on a small MNIST."""
    own = ["fc_train.py", *small, "--run-name=own", "--hidden-units=16", "--validate-every=10"]
    return lambda folder, *flags, **options: script_server.start(folder, *own, *flags, **options)


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """What a run holds that met with no fault."""
    folder = tmp_path_factory.mktemp("whole")
    assert start(folder, *LONG).wait()[0] == 0
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


# Each begins a fault of a run that the process `pid` writes, and mends it in the end.


@contextlib.contextmanager
def full_disk(run, pid):
    filler = os.path.join(run, "filler")
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    os.remove(filler)


@contextlib.contextmanager
def vanished(run, pid):
    os.rename(run, f"{run}-elsewhere")
    yield
    assert not os.path.exists(run)
    os.rename(f"{run}-elsewhere", run)


def no_room_for(files, fewer_bytes=0):
    @contextlib.contextmanager
    def limited(run, pid):
        limit = min(map(os.path.getsize, glob.glob(os.path.join(run, files)))) - fewer_bytes
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, limit))
        yield

    return limited


EVENTS, CHECKPOINT = no_room_for("train/events*"), no_room_for("checkpoints/model*.data*", 4096)
FAULTS = [full_disk, vanished, EVENTS, CHECKPOINT]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_that_cannot_be_written_can_go_on(fault, start, script_server, small_disk, whole):
    run = os.path.join(small_disk, RUN)
    process = start(small_disk, *LONG)
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


def test_no_room_for_a_new_run_is_one_line_and_leaves_nothing(start, small_disk):
    with full_disk(small_disk, None):
        code, stdout, stderr = start(small_disk, *LONG).wait()
    assert (code, stdout, stderr.count("\n")) == (BAD_INPUT, "", 1)
    assert glob.glob(os.path.join(small_disk, "runs", "fc", "*")) == []


@pytest.mark.parametrize("nohup", [False, True])
def test_a_terminal_that_goes_away_loses_nothing(nohup, start, tmp_path):
    """Its signal stops the run, which is saved; under nohup the run goes on to its end."""
    ours, theirs = pytest.importorskip("pty").openpty()
    steps = 150 if nohup else 100000
    terminal = [os.ttyname(theirs)] * 3
    process = start(tmp_path, f"--num-batches={steps}", streams=terminal, nohup=nohup)
    seen = b""
    while b"Batch:  0" not in seen:
        seen += os.read(ours, 1000)
    os.close(theirs)
    os.close(ours)
    assert process.wait()[0] == (0 if nohup else 128 + signal.SIGHUP)
    losses = read_scalars(str(tmp_path / RUN / "train"), "loss")
    assert (tmp_path / RUN / "result.json").exists() == nohup
    assert checkpoints.latest(str(tmp_path / RUN)).endswith(f"-{max(losses)}")
    assert len(losses) == steps or not nohup


def test_a_folder_of_any_name_is_continued_and_used(start, script_server, small_mnist, tmp_path):
    name, data = "-two  words [a-z]st*r? ü", "not UTF-8 \udcff"
    run = os.path.join(name, "fc", name)
    os.symlink(small_mnist, str(tmp_path / data))
    flags = [f"--data-dir={data}", f"--log-dir={name}", f"--run-name={name}"]
    process = start(tmp_path, "--num-batches=100000", *flags)
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
    for number, what in enumerate((run, f"{last}.index")):
        use = [f"--evaluate={what}", f"--export=exported/{number}{name}"]
        found = script_server.run(tmp_path, "fc_train.py", *use)
        assert found[0] == 0 and found[1].split()[-1] == stdout.split()[-1]
    assert len(os.listdir(str(tmp_path / "exported"))) == 2


def test_a_name_that_tensorflow_cannot_write_is_refused_at_once(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for script, flag in [(compare, "log-dir")] + [(fc_train, each) for each in NAMING]:
        with pytest.raises(SystemExit):
            script.main([f"--{flag}=b\udcff"])
        assert re.fullmatch(f".*--{flag}.*UTF-8.*\n", capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_finite_ends_the_run_within_an_evaluation_interval(start, tmp_path):
    code, _, stderr = start(tmp_path, *DIVERGING).wait()
    assert (code, stderr.count("\n")) == (NONFINITE, 1) and "--allow-nonfinite" in stderr
    assert "--batch-norm" in stderr
    kind, step = re.search(r"(\w+) loss was .*(?:nan|inf) at batch (\d+)", stderr).groups()
    losses = read_scalars(str(tmp_path / RUN / "train"), "loss")
    if kind == "training":
        assert [s for s, loss in losses.items() if not np.isfinite(loss)][0] == int(step)
    assert int(step) < len(losses) <= int(step) + 10
    kept = checkpoints.latest(str(tmp_path / RUN))
    if kept:
        assert kept.endswith(re.search(r"last good checkpoint: .*(-\d+);", stderr).group(1))
        values = [v for v in read_checkpoint(kept).values() if v[0] == "float32"]
        assert all(np.isfinite(np.frombuffer(value[2], np.float32)).all() for value in values)
    assert not (tmp_path / RUN / "result.json").exists()


def test_weights_that_diverge_in_one_step_are_told_by_the_validation_loss(start, tmp_path):
    one = ["--num-batches=1", "--learning-rate=1e18", "--optimizer=sgd"]
    assert "validation loss was" in start(tmp_path, *DIVERGING, *one).wait()[2]


def test_with_allow_nonfinite_the_run_goes_on_to_its_end(start, tmp_path):
    code, stdout, stderr = start(tmp_path, *DIVERGING, "--allow-nonfinite").wait()
    assert (code, stderr, stdout.count("Final test accuracy: ")) == (0, "", 1)
    losses = read_scalars(str(tmp_path / RUN / "train"), "loss")
    assert sorted(losses) == list(range(40)) and not np.isfinite(losses[39])
