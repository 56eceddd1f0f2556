"""compare.py --ray on a real cluster of two nodes on this machine, one of which is killed."""

import os
import signal

import pytest
from helpers import read_scalars
from test_compare import PATIENCE_SECONDS, children, wait_until

pytest.importorskip("ray")

GRID = ["--hidden-units", "8", "--optimizers", "sgd", "--seeds", "2", "--num-batches", "2000"]
GRID += ["--batch-size", "20", "--validation-size", "50"]
RUNS = 8
OWN_SCRIPT = """
import fc_train
from graph_mode import commands

NETWORK, FLAGS = "own", fc_train.FLAGS
script = commands.Script(NETWORK, fc_train.network, FLAGS, "An own network", fc_train.complete)
parse_flags, main = script.parse_flags, script.main
"""


def descendants(pid):
    """The process ids below a process, its children's children included."""
    found = children(pid)
    return found + [each for child in found for each in descendants(child)]


@pytest.fixture
def cluster():
    """Two nodes with one processor core each."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.add_node(num_cpus=1)
    yield nodes
    nodes.shutdown()


def kill_a_node(cluster):
    """Kills the processes of the second node, all at once, as a power cut would."""
    raylet = cluster.list_all_nodes()[1].all_processes["raylet"][0].process.pid
    for pid in [raylet] + descendants(raylet):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def start(start_script, tiny_set, tmp_path):
    """start(folder, *flags) compares two networks, one of a script of one's own, in this folder."""
    (tmp_path / "own_train.py").write_text(OWN_SCRIPT)
    given = ["--networks", f"fc,{tmp_path / 'own_train.py'}", "--data-dir", tiny_set, *GRID]
    return lambda folder, *flags: start_script("compare.py", "--log-dir", folder, *given, *flags)


def finished(log_dir):
    """{folder: time of its result}"""
    return {path.parent: path.stat().st_mtime_ns for path in log_dir.glob("*/*/result.json")}


def curves(log_dir):
    """{path of a folder of events: {step: loss}} of all runs below log_dir."""
    folders = [*log_dir.glob("*/*/train"), *log_dir.glob("*/*/validation")]
    return {str(f.relative_to(log_dir)): read_scalars(str(f), "loss") for f in folders}


def test_a_node_is_killed_and_no_run_is_lost_or_repeated_or_different(cluster, start, tmp_path):
    on_ray = tmp_path / "ray"
    first = start(on_ray, "--ray", cluster.address)
    wait_until(lambda: finished(on_ray) or first.poll() is not None)
    # Interrupted: the next start goes on.
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode == 130 and errors.count("\n") == 1, errors
    before = finished(on_ray)
    assert 0 < len(before) < RUNS
    second = start(on_ray, "--ray", cluster.address)
    wait_until(lambda: len(finished(on_ray)) > len(before) or second.poll() is not None)
    kill_a_node(cluster)
    output, errors = second.communicate(timeout=PATIENCE_SECONDS)
    assert (second.returncode, errors) == (0, "")
    assert "failed" not in output
    # Ray itself tells of the node.
    assert sum(line.startswith("[") for line in output.splitlines()) == RUNS - len(before), output
    now = finished(on_ray)
    assert {folder: now[folder] for folder in before} == before
    assert len(now) == len([*on_ray.glob("fc/*"), *on_ray.glob("own/*")]) == RUNS
    assert not (on_ray / ".unfinished").exists()
    local = start(tmp_path / "local", "--jobs", "2")
    local.communicate(timeout=PATIENCE_SECONDS)
    assert local.returncode == 0
    assert curves(on_ray) == curves(tmp_path / "local")


def test_where_there_is_no_cluster_one_line_says_so(start, tmp_path):
    process = start(tmp_path / "runs", "--ray", "auto")
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2 and errors.count("\n") == 1, errors
    assert "no Ray cluster at auto" in errors
