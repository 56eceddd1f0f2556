"""compare.py with real processes: training side by side, killed at random, interrupted, failing.
What it does itself is tested with quick_train.py, whose runs take a moment."""

import contextlib
import glob
import json
import os
import pathlib
import random
import re
import shutil
import signal
import time

import pytest
from helpers import ROOT, read_scalars

import compare as compare_script
from graph_mode import command_line, machine
from graph_mode.comparing import grid
from graph_mode.runs import record

REAL = ["--num-batches=30", "--batch-size=20", "--validation-size=50", "--hidden-units=8"]
PATIENCE_SECONDS = 300
# What graph_mode/tensorflow1.py needs of TensorFlow before anything is trained.
NO_TENSORFLOW = """
import types
VERSION, logging = "2.21.0", types.SimpleNamespace(set_verbosity=int, ERROR=0)
disable_eager_execution = enable_resource_variables = enable_control_flow_v2 = int
"""


@pytest.fixture
def log_dir(tmp_path):
    return str(tmp_path / "\u8bd5-\u00e9")  # a name that not every program can take


@pytest.fixture
def python_finds(monkeypatch, tmp_path):
    """python_finds(module, content) makes that module the one which any Python here imports."""

    def python_finds(module, content):
        folder = tmp_path / f"path of {module}"
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True)
        path.write_text(content)
        for package in path.relative_to(folder).parents:
            (folder / package / "__init__.py").touch()
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)

    return python_finds


@pytest.fixture
def quick(python_finds):
    """The flags of a comparison of quick_train.py, without TensorFlow."""
    python_finds("tensorflow.compat.v1", NO_TENSORFLOW)
    return [f"--networks={os.path.join(ROOT, 'tests', 'quick_train.py')}", "--optimizers=sgd"]


@pytest.fixture
def start(start_script, tiny_set, log_dir):
    """start(flags, ...) starts compare.py as a process, and returns the Popen."""

    def start(flags, seconds_a_seed=0, **keywords):
        given = [f"--data-dir={tiny_set}", f"--log-dir={log_dir}", "--jobs=2", *flags]
        keywords["environment"] = {"SECONDS_A_SEED": str(seconds_a_seed)}
        return start_script("compare.py", *given, **keywords)

    return start


@pytest.fixture
def compare(tiny_set, log_dir, quick, capsys):
    """compare(*flags) compares runs of quick_train.py, to the end, from this process; it gives the
    exit code, the lines of standard output, and standard error."""

    def compare(*flags):
        given = [f"--data-dir={tiny_set}", f"--log-dir={log_dir}", "--jobs=2", *quick, *flags]
        code = command_line.exit_code_of(lambda: compare_script.main(given))
        output, errors = capsys.readouterr()
        return code, output.splitlines(), errors

    return compare


@pytest.fixture
def results(log_dir):
    """results() is {folder: time of its result.json} of all runs that have finished."""
    paths = os.path.join(glob.escape(log_dir), "*", "*", "result.json")
    return lambda: {os.path.dirname(p): os.stat(p).st_mtime_ns for p in glob.glob(paths)}


def children(pid):
    """The process ids of the processes that a process has started."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError), open(path) as file:
            found += map(int, file.read().split())
    return found


def wait_until(condition):
    deadline = time.time() + PATIENCE_SECONDS
    while not condition():
        assert time.time() < deadline
        time.sleep(0.02)


def kept(first, later):
    """Whether all that had finished first has not been trained again later."""
    return {folder: later.get(folder) for folder in first} == first


def begun_runs(log_dir):
    return glob.glob(os.path.join(log_dir, ".unfinished", "*", "*", "*", "*", "settings.json"))


def report_in(log_dir):
    path = pathlib.Path(log_dir, "report", "report.md")
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def test_killed_workers_change_nothing_in_a_run(start, tiny_set, log_dir, script_server, tmp_path):
    own = ["--networks=fc", "--optimizers=adam", "--seeds=2", "--batch-norm=true", "--jobs=1"]
    process = start(own + REAL)
    for number in (signal.SIGKILL, signal.SIGTERM):
        wait_until(lambda: begun_runs(log_dir) or process.poll() is not None)
        (worker,) = children(process.pid)
        os.kill(worker, number)
        wait_until(lambda: not begun_runs(log_dir))
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert re.match(r"\[1/2, about \d+ min left\] \S+: test accuracy 0\.\d{5}, \d+ s\n", output)
    run = pathlib.Path(log_dir, "fc", "adam_batchnorm_seed-1")
    assert "\nFinal test accuracy: " in (run / "output.txt").read_text()
    alone = ["--batch-norm", "--seed=1", "--threads=1", "--run-name=own"]
    alone += [f"--data-dir={tiny_set}", f"--log-dir={log_dir}"]
    assert script_server.run(tmp_path, "fc_train.py", *alone, *REAL)[0] == 0
    losses = [read_scalars(str(each / "train"), "loss") for each in (run, run.with_name("own"))]
    assert losses[0] == losses[1]


def test_a_grid_is_trained_and_reported_and_never_trained_again(compare, log_dir, results):
    code, _, errors = compare("--seeds=1", "--report-only")
    assert code == 2 and "none of the 2 runs has ended" in errors
    assert not os.path.exists(log_dir)  # which a report only reads: it may be another's
    grid_flags = ["--width=7,8", "--sizes=2,3"]
    code, lines, errors = compare("--seeds=1", *grid_flags)
    assert (code, errors) == (0, "")
    assert "minutes left" in compare("--seeds=2", *grid_flags, "--dry-run")[1][-1]
    assert len(lines) == 5 and lines[-1] == f"wrote {os.path.join(log_dir, 'report', 'report.md')}"
    for number, line in enumerate(lines[:-1], 1):
        about = rf"\[{number}/4, about 0 min left\] "
        assert re.match(rf"{about}\S+: test accuracy 0\.50000, 1 s$", line), line
    first = results()
    assert os.path.join(log_dir, "quick", "sgd_no_batchnorm_width-8_seed-0") in first
    text = report_in(log_dir)
    assert "## quick" in text and "`sizes` 2,3" in text
    assert "| 7 | 50.00 (n = 1) | 50.00 (n = 1) | +0.00 |" in text
    assert compare("--seeds=1", *grid_flags)[1] == lines[-1:]
    assert results() == first
    assert len(compare("--seeds=2", *grid_flags)[1]) == 5
    assert kept(first, results())


def test_kills_at_random_lose_no_run_and_repeat_none(start, quick, compare, log_dir, results):
    many = ["--seeds=3", "--optimizers=sgd,momentum"]
    chance = random.Random(5)
    finished = {}
    for victim in ("worker", "compare", "worker", "compare"):
        process = start(quick + many, seconds_a_seed=0.3)
        before = len(finished)
        wait_until(lambda p=process, b=before: len(results()) > b or p.poll() is not None)
        time.sleep(chance.uniform(0, 0.3))
        workers = children(process.pid)
        if victim == "worker" and workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
            time.sleep(chance.uniform(0, 0.5))
            workers = children(process.pid)
        process.kill()
        process.communicate()
        wait_until(lambda left=workers: not any(os.path.exists(f"/proc/{pid}") for pid in left))
        assert kept(finished, results())
        finished = results()
    assert compare(*many)[::2] == (0, "")
    assert kept(finished, results())
    assert len(results()) == len(glob.glob(os.path.join(log_dir, "quick", "*"))) == 12
    assert not os.path.exists(os.path.join(log_dir, ".unfinished"))
    assert "12 runs: 12 finished, 0 diverged, 0 failed" in report_in(log_dir)


def test_a_run_that_fails_or_diverges_is_recorded_and_the_rest_goes_on(compare, log_dir, tmp_path):
    grids = [{"learning-rate": "0.01,1e38"}, {"batch-size": 1000}, {"width": 13}]
    config = tmp_path / "grids.json"
    config.write_text(json.dumps({"grids": grids}))
    bad = ["--seeds=1", "--batch-norm=false", f"--config={config}"]
    code, lines, errors = compare(*bad)
    assert (code, errors) == (0, "")
    # It was trained elsewhere.
    place = os.path.join(log_dir, "quick", "sgd_no_batchnorm_learning-rate-1e38_seed-0")
    assert pathlib.Path(place, "output.txt").read_text().startswith(f"trained to {place}\n")
    assert sorted(line.split(": ", 1)[1] for line in lines[:-1]) == [
        f"diverged: nan; last good checkpoint: {place}",
        "failed: --batch-size 1000 is too large",
        "failed: its process ended with exit code 7: F no AVX here | *** stack | Aborted (3 times)",
        "test accuracy 0.50000, 1 s",
    ]
    assert len(compare(*bad)[1]) == 1
    assert "4 runs: 1 finished, 1 diverged, 2 failed" in report_in(log_dir)
    assert len(compare("--retry-failed", *bad)[1]) == 4
    assert len(glob.glob(os.path.join(log_dir, "quick", "*"))) == 4
    for more in ([], ["--report-only"]):  # The exit code says that all have failed.
        flags = ["--seeds=1", "--batch-norm=false", "--batch-size=1000", *more]
        code, lines, errors = compare(*flags)
        assert code == 1 and errors.count("\n") == 1 and "--batch-size 1000 is too" in errors
        assert lines[-1].startswith("wrote ") and "1 failed" in report_in(log_dir)


def own_terminal(descriptor):
    """Makes the terminal that of this process, as a terminal's shell has it."""
    import fcntl
    import termios

    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which is ignored where the tests run by nohup
    os.setsid()
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "terminal closes"])
def test_stopped_it_ends_its_workers_and_the_next_one_goes_on(how, start, quick, compare, results):
    terminal = {}
    if how == "terminal closes":
        ours, theirs = pytest.importorskip("pty").openpty()
        terminal = dict.fromkeys(["stdin", "stdout", "stderr"], theirs)
        terminal["preexec_fn"] = lambda: own_terminal(theirs)
    process = start([*quick, "--seeds=2"], seconds_a_seed=99, **terminal)
    wait_until(lambda: len(results()) == 2 or process.poll() is not None)
    workers = children(process.pid)
    code, _, errors = compare("--seeds=2")
    assert code == 2 and "another compare.py" in errors
    if terminal:
        os.close(theirs)
        os.close(ours)
        process.wait(PATIENCE_SECONDS)
    else:
        process.send_signal(getattr(signal, how))
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 128 + getattr(signal, how)
        assert errors.count("\n") == 1 and "interrupted" in errors and "continues" in errors
    assert len(workers) == 2 and not any(os.path.exists(f"/proc/{pid}") for pid in workers)
    finished = results()
    assert len(finished) == 2  # It did not train on.
    assert len(compare("--seeds=2")[1]) == 3 and kept(finished, results())


MISSING = "raise ImportError('no such wheel')"
# As TensorFlow where the processor lacks AVX: what it wrote is shown a moment after its end.
ABORTED = """
import os, subprocess, sys
later = "import os, time; time.sleep(0.3); os.write(1, b'F guard.cc: no AVX')"
subprocess.Popen([sys.executable, "-c", later])
os.abort()
"""
# what is told: (module, its content, flag)
BROKEN = {
    "no such wheel": ("tensorflow", MISSING, "--jobs=2"),
    "signal 6: F guard.cc: no AVX": ("tensorflow", ABORTED, "--jobs=2"),
    "pip install ray": ("ray", MISSING, "--ray=auto"),
}


@pytest.mark.parametrize("told", BROKEN)
def test_without_a_package_no_run_is_blamed(told, compare, log_dir, python_finds, tmp_path):
    module, content, flag = BROKEN[told]
    shutil.rmtree(str(tmp_path / "path of tensorflow.compat.v1"))
    python_finds(module, content)
    code, _, errors = compare("--seeds=1", flag)
    assert code == 2 and errors.count("\n") == 1 and told in errors, errors
    assert not glob.glob(os.path.join(log_dir, "quick", "*"))


def test_a_run_older_than_a_flag_counts_as_one_with_its_default(compare, log_dir):
    assert len(compare("--seeds=1")[1]) == 3
    for path in glob.glob(os.path.join(log_dir, "quick", "*", "settings.json")):
        settings = record.read_json(path)
        for name in ("width", "schedule", "validate_every"):
            del settings["flags"][name]
        record.write_json(path, settings)
    assert len(compare("--seeds=1")[1]) == 1
    assert "`width` 7" in report_in(log_dir)
    assert len(compare("--seeds=1", "--width=8")[1]) == 3


def test_jobs_are_bounded_by_the_cores_and_the_memory_and_the_gpus(monkeypatch):
    def jobs(memory, **flags):
        monkeypatch.setattr(machine, "free_memory", lambda: memory)
        return compare_script.jobs_for([grid.Run("fc", "", [], "", {"flags": flags}, "")])

    monkeypatch.setattr(machine, "cores", lambda: 8)
    plenty = 100 * 2**30
    assert [jobs(plenty, threads=n) for n in (1, 3, 0)] == [8, 2, 1]
    assert [jobs(memory, threads=1) for memory in (3 * 2**30, 0, None)] == [3, 1, 8]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert jobs(plenty, threads=1, device="gpu") == 2
