"""compare.py --ray on a real cluster of two nodes on this machine, one of which is killed."""

import glob
import os
import signal
import subprocess
import sys

import idx_files
import pytest
from helpers import ROOT
from test_compare import PATIENCE_SECONDS, children, wait_until

from graph_mode.runs import recorded

pytest.importorskip("ray")

STEPS = 2000
GRID = ["--networks", "fc", "--hidden-units", "8", "--optimizers", "sgd,adam", "--seeds", "2"]
GRID += ["--num-batches", str(STEPS), "--batch-size", "20", "--validation-size", "50"]
RUNS = 8


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return idx_files.write_set(folder, idx_files.image_set(train=300, test=50, rows=8, columns=8))


def descendants(pid):
    """The process ids below a process, its children's children included."""
    found = children(pid)
    return found + [each for child in found for each in descendants(child)]


@pytest.fixture
def cluster():
    """Two nodes with one processor core each; what is left of them is ended with the test."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.add_node(num_cpus=1)
    yield nodes
    nodes.shutdown()


def kill_a_node(cluster):
    """Kills the processes of the second node, all at once, as a power cut would."""
    node = cluster.list_all_nodes()[1]
    raylet = node.all_processes["raylet"][0].process.pid
    for pid in [raylet] + descendants(raylet):
        os.kill(pid, signal.SIGKILL)


def command(data_dir, log_dir, *flags):
    script = [sys.executable, os.path.join(ROOT, "compare.py")]
    return script + ["--data-dir", data_dir, "--log-dir", str(log_dir)] + GRID + list(flags)


def start(*arguments):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "universal_newlines": True}
    return subprocess.Popen(command(*arguments), **pipes)


def finished(log_dir):
    """{folder: time of its result}"""
    paths = glob.glob(os.path.join(str(log_dir), "fc", "*", "result.json"))
    return {os.path.dirname(path): os.stat(path).st_mtime_ns for path in paths}


def curves(log_dir):
    """{run: {split/tag: (steps, values)}} of all runs below log_dir."""
    found = recorded.find_event_files([str(log_dir)])
    return {
        run.name: {
            f"{split}/{tag}": (series.steps.tolist(), series.values.tolist())
            for split, scalars in run.scalars.items()
            for tag, series in scalars.items()
        }
        for run in recorded.read_runs(found, [str(log_dir)], pytest.fail)
    }


def test_a_node_is_killed_and_no_run_is_lost_or_repeated_or_different(cluster, data_dir, tmp_path):
    first = start(data_dir, tmp_path / "ray", "--ray", cluster.address)
    wait_until(lambda: finished(tmp_path / "ray") or first.poll() is not None)
    # Interrupted: the next start goes on.
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode == 130 and errors.count("\n") == 1, errors
    before = finished(tmp_path / "ray")
    assert 0 < len(before) < RUNS
    second = start(data_dir, tmp_path / "ray", "--ray", cluster.address)
    wait_until(lambda: len(finished(tmp_path / "ray")) > len(before) or second.poll() is not None)
    kill_a_node(cluster)
    output, errors = second.communicate(timeout=PATIENCE_SECONDS)
    assert (second.returncode, errors) == (0, "")
    assert "failed" not in output
    # Ray itself tells of the node.
    ended = [line for line in output.splitlines() if line.startswith("[")]
    assert len(ended) == RUNS - len(before), output
    now = finished(tmp_path / "ray")
    assert {folder: now[folder] for folder in before} == before
    assert len(now) == len(glob.glob(str(tmp_path / "ray" / "fc" / "*"))) == RUNS
    assert not os.path.exists(str(tmp_path / "ray" / ".unfinished"))
    local = start(data_dir, tmp_path / "local", "--jobs", "2")
    local.communicate(timeout=PATIENCE_SECONDS)
    assert local.returncode == 0
    assert curves(tmp_path / "ray") == curves(tmp_path / "local")


def test_where_there_is_no_cluster_one_line_says_so(data_dir, tmp_path):
    process = start(data_dir, tmp_path, "--ray", "auto")
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2 and errors.count("\n") == 1, errors
    assert "found no Ray cluster at auto" in errors


OWN_SCRIPT = """
import fc_train
from graph_mode import commands

NETWORK, FLAGS = "own", fc_train.FLAGS
script = commands.Script(NETWORK, fc_train.network, FLAGS, "An own network", fc_train.complete)
parse_flags, main = script.parse_flags, script.main
"""


def test_a_script_of_ones_own_is_trained_on_the_cluster(cluster, data_dir, tmp_path):
    (tmp_path / "own_train.py").write_text(OWN_SCRIPT)
    own = ["--ray", cluster.address, "--networks", str(tmp_path / "own_train.py"), "--seeds", "1"]
    own += ["--optimizers", "sgd", "--batch-norm", "false", "--num-batches", "20"]
    arguments = [word for word in command(data_dir, tmp_path / "runs") if word not in GRID] + own
    arguments += ["--batch-size", "20", "--validation-size", "50"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.path.exists(
        str(tmp_path / "runs" / "own" / "sgd_no_batchnorm_seed-0" / "result.json")
    )
