"""compare.py with real processes: training side by side, killed at random, interrupted, failing."""

import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import idx_files
import pytest
from helpers import ROOT, tree

import compare as compare_script
from graph_mode import machine
from graph_mode.comparing import grid
from graph_mode.plotting import saved_runs

TESTS = os.path.join(ROOT, "tests")
STEPS = 30
SMALL = ["--num-batches", str(STEPS), "--batch-size", "20", "--validation-size", "50"]
SMALL += ["--hidden-units", "8", "--networks", "fc", "--jobs", "2"]
PATIENCE_SECONDS = 300


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return idx_files.write_set(folder, idx_files.image_set(train=300, test=50, rows=8, columns=8))


@pytest.fixture
def log_dir(tmp_path):
    return str(tmp_path / "runs")


def command(data_dir, log_dir, *flags):
    script = os.path.join(ROOT, "compare.py")
    return (
        [sys.executable, script, "--data-dir", data_dir, "--log-dir", log_dir] + SMALL + list(flags)
    )


def compare(data_dir, log_dir, *flags, **kwargs):
    return subprocess.run(
        command(data_dir, log_dir, *flags),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        **kwargs,
    )


def start(data_dir, log_dir, *flags, **kwargs):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "universal_newlines": True}
    return subprocess.Popen(command(data_dir, log_dir, *flags), **{**pipes, **kwargs})


def children(process):
    """The process ids of the workers."""
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == process.pid and fields[0] != "Z":
            found.append(int(path.split("/")[2]))
    return found


def results(log_dir):
    """{folder: (result.json, its time)} of all runs that have finished."""
    found = {}
    for path in glob.glob(os.path.join(glob.escape(log_dir), "*", "*", "result.json")):
        with open(path) as file:
            found[os.path.dirname(path)] = (json.load(file), os.stat(path).st_mtime_ns)
    return found


def wait_until(condition):
    deadline = time.time() + PATIENCE_SECONDS
    while not condition():
        assert time.time() < deadline
        time.sleep(0.02)


def worker_at_work(process, log_dir):
    """The process ids of the workers, as soon as one has begun a run."""
    begun = os.path.join(log_dir, ".unfinished", "*", "*", "fc", "*", "settings.json")
    wait_until(lambda: (glob.glob(begun) and children(process)) or process.poll() is not None)
    return children(process)


def training_losses(folder):
    (run,) = saved_runs.read_runs(saved_runs.find_event_files([folder]), [folder], pytest.fail)
    series = run.scalars["train"]["loss"]
    return series.steps.tolist(), series.values.tolist()


def test_a_grid_is_trained_and_reported_and_never_trained_again(data_dir, log_dir):
    grid = ["--optimizers", "sgd,adam", "--seeds", "1"]
    done = compare(data_dir, log_dir, *grid)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 5 and lines[-1] == f"wrote {os.path.join(log_dir, 'report', 'report.md')}"
    for number, line in enumerate(lines[:-1], 1):
        both = r" \(0\.\d{5} by population statistics\)" if "_no_batchnorm" not in line else ""
        assert re.match(rf"\[{number}/4\] \S+: test accuracy 0\.\d{{5}}{both}, \d+ s$", line), line
    first = results(log_dir)
    assert len(first) == 4
    with open(os.path.join(log_dir, "fc", "sgd_batchnorm_seed-0", "output.txt")) as file:
        assert file.read().splitlines()[-1].startswith("Final test accuracy: ")
    again = compare(data_dir, log_dir, *grid)
    assert again.stdout.splitlines() == lines[-1:]
    assert results(log_dir) == first
    more = compare(data_dir, log_dir, "--optimizers", "sgd,adam", "--seeds", "2")
    assert len(more.stdout.splitlines()) == 5
    assert {folder: results(log_dir)[folder] for folder in first} == first


def test_a_run_among_others_is_the_run_that_the_script_alone_would_be(data_dir, log_dir):
    compare(data_dir, log_dir, "--seeds", "2", "--optimizers", "adam", "--jobs", "1")
    alone = os.path.join(log_dir, "alone")
    small = [word for word in SMALL if word not in ("--networks", "fc", "--jobs", "2")]
    script = [sys.executable, os.path.join(ROOT, "fc_train.py"), "--data-dir", data_dir]
    flags = ["--log-dir", alone, "--run-name", "alone", "--batch-norm", "--seed", "1"]
    flags += ["--threads", "1"]
    subprocess.run(script + small + flags, check=True, stdout=subprocess.DEVNULL)
    compared = training_losses(os.path.join(log_dir, "fc", "adam_batchnorm_seed-1"))
    assert compared == training_losses(os.path.join(alone, "fc", "alone"))


def test_kills_at_random_lose_no_run_and_repeat_none(data_dir, log_dir):
    grid = ["--seeds", "3", "--optimizers", "sgd,momentum"]
    expected = 12
    chance = random.Random(5)
    finished = {}
    victims = ["worker", "compare", "worker", "compare", "compare", "worker"]
    for victim in victims:
        process = start(data_dir, log_dir, *grid)
        before = len(results(log_dir))
        wait_until(lambda p=process, b=before: len(results(log_dir)) > b or p.poll() is not None)
        time.sleep(chance.uniform(0, 1.5))
        workers = children(process)
        if victim == "worker" and workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
            time.sleep(chance.uniform(0, 3))
            workers = children(process)
        process.kill()
        process.communicate()
        wait_until(lambda w=workers: not any(os.path.exists(f"/proc/{pid}") for pid in w))
        now = results(log_dir)
        assert {folder: now[folder] for folder in finished} == finished
        finished = now
    done = compare(data_dir, log_dir, *grid)
    assert done.returncode == 0, done.stderr
    now = results(log_dir)
    assert {folder: now[folder] for folder in finished} == finished
    assert len(now) == len(glob.glob(os.path.join(log_dir, "fc", "*"))) == expected
    assert all(training_losses(folder)[0] == list(range(STEPS)) for folder in now)
    assert not os.path.exists(os.path.join(log_dir, ".unfinished"))
    with open(os.path.join(log_dir, "report", "report.md"), encoding="utf-8") as file:
        assert f"{expected} runs: {expected} finished, 0 diverged, 0 failed" in file.read()


def test_a_worker_that_is_killed_is_replaced_and_its_run_trained_again(data_dir, log_dir):
    process = start(data_dir, log_dir, "--seeds", "2", "--optimizers", "sgd", "--jobs", "1")
    for number in (signal.SIGKILL, signal.SIGTERM):
        (worker,) = worker_at_work(process, log_dir)
        os.kill(worker, number)
        wait_until(lambda w=worker: w not in children(process))
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert len(results(log_dir)) == 4 and "failed" not in output


def test_a_worker_of_a_compare_that_was_killed_writes_nothing_into_the_next_ones_runs(
    data_dir, log_dir
):
    grid = ["--seeds", "1", "--optimizers", "sgd"]
    process = start(data_dir, log_dir, "--jobs", "1", *grid)
    (worker,) = worker_at_work(process, log_dir)
    # It is as slow as can be to notice that its compare.py is gone.
    os.kill(worker, signal.SIGSTOP)
    process.kill()
    process.communicate()
    done = compare(data_dir, log_dir, *grid)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert len(results(log_dir)) == 2
    before = tree(log_dir)
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: not os.path.exists(f"/proc/{worker}"))
    after = tree(log_dir)
    assert {path: after.get(path) for path in before} == before
    assert all(path.startswith(".unfinished") for path in set(after) - set(before))


def test_a_run_that_fails_or_diverges_is_recorded_and_the_rest_goes_on(data_dir, log_dir):
    grid = ["--seeds", "1", "--optimizers", "sgd", "--batch-norm", "false"]
    grid += ["--learning-rate", "0.01,1e38", "--batch-size", "20,1000"]
    done = compare(data_dir, log_dir, *grid)
    assert done.returncode == 0, done.stderr
    ended = sorted(line.split(" ", 1)[1] for line in done.stdout.splitlines()[:-1])
    assert len(ended) == 4
    too_large = "failed: --batch-size 1000 is larger than the training set of 250 images"
    assert sum(too_large in line for line in ended) == 2
    assert sum("diverged: the " in line for line in ended) == 1
    assert sum("test accuracy" in line for line in ended) == 1
    again = compare(data_dir, log_dir, *grid)
    assert len(again.stdout.splitlines()) == 1
    with open(os.path.join(log_dir, "report", "report.md"), encoding="utf-8") as file:
        assert "4 runs: 1 finished, 1 diverged, 2 failed" in file.read()
    retried = compare(data_dir, log_dir, "--retry-failed", *grid)
    assert len(retried.stdout.splitlines()) == 4
    assert len(glob.glob(os.path.join(log_dir, "fc", "*"))) == 4


def test_ctrl_c_ends_the_workers_and_the_next_start_goes_on(data_dir, log_dir):
    grid = ["--seeds", "2", "--optimizers", "sgd"]
    process = start(data_dir, log_dir, *grid)
    wait_until(lambda: results(log_dir) or process.poll() is not None)
    workers = children(process)
    assert len(workers) == 2
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert errors.count("\n") == 1 and "interrupted" in errors and "continues" in errors, errors
    assert not any(os.path.exists(f"/proc/{pid}") for pid in workers)
    finished = results(log_dir)
    done = compare(data_dir, log_dir, *grid)
    assert len(done.stdout.splitlines()) == 4 - len(finished) + 1
    assert len(results(log_dir)) == 4


def test_two_comparisons_never_work_in_one_folder(data_dir, log_dir):
    process = start(data_dir, log_dir, "--seeds", "2", "--optimizers", "sgd")
    wait_until(lambda: glob.glob(os.path.join(log_dir, ".unfinished", "*")))
    process.send_signal(signal.SIGSTOP)
    second = compare(data_dir, log_dir, "--seeds", "2", "--optimizers", "sgd")
    assert second.returncode == 2 and "another compare.py" in second.stderr
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_SECONDS)


def test_without_tensorflow_no_run_is_blamed(data_dir, log_dir, tmp_path):
    broken = tmp_path / "path" / "tensorflow"
    os.makedirs(str(broken))
    (broken / "__init__.py").write_text("raise ImportError('no such wheel')\n")
    environment = dict(os.environ, PYTHONPATH=str(tmp_path / "path"))
    done = compare(data_dir, log_dir, "--seeds", "1", "--optimizers", "sgd", env=environment)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "no such wheel" in done.stderr, done.stderr
    assert not glob.glob(os.path.join(log_dir, "fc", "*"))


def test_without_ray_one_line_says_what_to_install(data_dir, log_dir, tmp_path):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "ray.py").write_text("raise ImportError('no ray here')\n")
    environment = dict(os.environ, PYTHONPATH=str(tmp_path / "path"))
    done = compare(data_dir, log_dir, "--seeds", "1", "--ray", "auto", env=environment)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "pip install ray" in done.stderr
    # Nothing else asks for it.
    done = compare(data_dir, log_dir, "--seeds", "1", "--dry-run", env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_training_goes_on_when_the_reader_of_its_output_leaves(data_dir, log_dir):
    process = start(data_dir, log_dir, "--seeds", "2", "--optimizers", "sgd")
    assert process.stdout.readline().startswith("[1/4] ")
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert errors.count("\n") == 1 and "continuing without it" in errors, errors
    assert len(results(log_dir)) == 4
    assert os.path.exists(os.path.join(log_dir, "report", "report.md"))


def test_when_its_terminal_closes_everything_ends_and_the_next_start_continues(data_dir, log_dir):
    pty = pytest.importorskip("pty")
    grid = ["--seeds", "2", "--optimizers", "sgd"]
    ours, theirs = pty.openpty()
    terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = start(data_dir, log_dir, *grid, preexec_fn=lambda: own_terminal(theirs), **terminal)
    os.close(theirs)
    wait_until(lambda: results(log_dir) or process.poll() is not None)
    workers = children(process)
    assert workers
    os.close(ours)
    process.wait(PATIENCE_SECONDS)
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers))
    finished = results(log_dir)
    done = compare(data_dir, log_dir, *grid)
    assert len(done.stdout.splitlines()) == 4 - len(finished) + 1
    assert {folder: results(log_dir)[folder] for folder in finished} == finished


def own_terminal(descriptor):
    """Makes the terminal that of this process, as a terminal's shell has it."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def test_what_a_run_shall_write_besides_is_trained_for_and_never_lost(data_dir, log_dir):
    grid = ["--seeds", "1", "--optimizers", "sgd"]
    assert len(compare(data_dir, log_dir, *grid).stdout.splitlines()) == 3
    more = compare(data_dir, log_dir, "--diagnostics", *grid)
    assert len(more.stdout.splitlines()) == 3, more.stderr
    with open(os.path.join(log_dir, "report", "report.md"), encoding="utf-8") as file:
        assert "--diagnostics recorded" in file.read()
    # A run with diagnostics has all the numbers of one without.
    shutil.rmtree(os.path.join(log_dir, "fc", "sgd_batchnorm_seed-0"))
    assert len(compare(data_dir, log_dir, *grid).stdout.splitlines()) == 1


OWN_SCRIPT = f"""
import os, sys
sys.path.append({TESTS!r})
import made_runs
import mnist_data
from graph_mode import flags
from beside import WIDTH

NETWORK = "own"
FLAGS = [
    flags.Flag("width", flags.positive_integer, WIDTH, "units of a layer"),
    flags.Flag("sizes", flags.positive_integers, [1], "a list"),
]

def parse_flags(arguments=None):
    return flags.parser("An own network", FLAGS, "own").parse_args(arguments)

def main(arguments=None):
    given = vars(parse_flags(arguments))
    folder = os.path.join(given["log_dir"], NETWORK, given["run_name"])
    recorded = {{name: value for name, value in given.items() if flags.is_recorded(name)}}
    made_runs.write_run(folder, NETWORK, **recorded)
    data = mnist_data.checksums(given["data_dir"])
    settings = {{"network": NETWORK, "flags": recorded, "versions": {{"numbers": 1}}, "data": data}}
    made_runs.write_json(os.path.join(folder, "settings.json"), settings)
    result = {{"test_accuracy": 0.5, "steps": 20, "seconds": 1.0, "steps_per_second": 20.0}}
    made_runs.write_json(os.path.join(folder, "result.json"), result)
    return folder
"""


def test_a_script_of_ones_own_is_compared_by_its_path(data_dir, log_dir, tmp_path):
    (tmp_path / "beside.py").write_text("WIDTH = 7\n")
    (tmp_path / "fc_train.py").write_text(OWN_SCRIPT)  # As another script is called, too.
    script = str(tmp_path / "fc_train.py")
    log_dir += " [a]"
    arguments = ["--data-dir", data_dir, "--log-dir", log_dir, "--networks", script]
    arguments += ["--optimizers", "sgd", "--seeds", "1", "--width", "7,8", "--sizes", "2,3"]
    arguments = [sys.executable, os.path.join(ROOT, "compare.py")] + arguments
    done = subprocess.run(arguments, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert {os.path.basename(folder) for folder in results(log_dir)} == {
        f"sgd_{norm}_width-{width}_seed-0"
        for norm in ("batchnorm", "no_batchnorm")
        for width in (7, 8)
    }
    with open(os.path.join(log_dir, "report", "report.md"), encoding="utf-8") as file:
        text = file.read()
    assert "## own" in text and "`sizes` 2,3" in text
    assert "| 7 | 50.00 (n = 1) | 50.00 (n = 1) | +0.00 |" in text


def test_jobs_are_bounded_by_the_cores_and_the_memory_and_the_gpus(monkeypatch):
    def jobs(**flags):
        return compare_script.jobs_for([grid.Run("fc", "", [], "", {"flags": flags}, "")])

    monkeypatch.setattr(machine, "cores", lambda: 8)
    monkeypatch.setattr(machine, "free_memory", lambda: 100 * 2**30)
    assert (jobs(threads=1), jobs(threads=3), jobs(threads=0)) == (8, 2, 1)
    monkeypatch.setattr(machine, "free_memory", lambda: 3 * 2**30)
    assert jobs(threads=1) == 3
    monkeypatch.setattr(machine, "free_memory", lambda: 0)
    assert jobs(threads=1) == 1
    monkeypatch.setattr(machine, "free_memory", lambda: None)
    assert jobs(threads=1) == 8
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert jobs(threads=1, device="gpu") == 2


def test_a_report_alone_trains_nothing(data_dir, log_dir):
    done = compare(data_dir, log_dir, "--seeds", "1", "--optimizers", "sgd", "--report-only")
    assert done.returncode == 2 and "none of the 2 runs has ended" in done.stderr
    assert not glob.glob(os.path.join(log_dir, "fc", "*"))
