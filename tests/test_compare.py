"""compare.py with real processes: training side by side, killed at random, interrupted, failing."""

import glob
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import idx_files
import pytest

from graph_mode.plotting import saved_runs

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
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


def start(data_dir, log_dir, *flags):
    return subprocess.Popen(
        command(data_dir, log_dir, *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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
    for path in glob.glob(os.path.join(log_dir, "*", "*", "result.json")):
        with open(path) as file:
            found[os.path.dirname(path)] = (json.load(file), os.stat(path).st_mtime_ns)
    return found


def wait_until(condition):
    deadline = time.time() + PATIENCE_SECONDS
    while not condition():
        assert time.time() < deadline
        time.sleep(0.02)


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
        assert re.match(rf"\[{number}/4\] \S+: test accuracy 0\.\d{{5}}, \d+ s$", line), line
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
    flags = ["--log-dir", alone, "--batch-norm", "--seed", "1", "--threads", "1"]
    subprocess.run(script + small + flags, check=True, stdout=subprocess.DEVNULL)
    compared = training_losses(os.path.join(log_dir, "fc", "adam_batchnorm_seed-1"))
    assert compared == training_losses(os.path.join(alone, "fc", "adam_batchnorm"))


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
    unfinished = os.path.join(log_dir, ".unfinished", "*", "fc", "*", "settings.json")
    wait_until(lambda: glob.glob(unfinished) or process.poll() is not None)
    (worker,) = children(process)
    os.kill(worker, signal.SIGKILL)
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert len(results(log_dir)) == 4 and "failed" not in output


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
    assert errors.count("\n") == 1 and "interrupted" in errors and "goes on" in errors, errors
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


def test_a_report_alone_trains_nothing(data_dir, log_dir):
    done = compare(data_dir, log_dir, "--seeds", "1", "--optimizers", "sgd", "--report-only")
    assert done.returncode == 2 and "none of the 2 runs has ended" in done.stderr
    assert not glob.glob(os.path.join(log_dir, "fc", "*"))
