"""Trains a run as a Ray task with one processor core. Ray brings the project and the data to the
nodes, which need what requirements.txt says and Ray; the files come back as the task's result."""

import importlib
import os
import tempfile
from pathlib import Path

import mnist_data
from graph_mode.command_line import CommandError, Stopped
from graph_mode.comparing import workers
from graph_mode.machine import PROJECT
from graph_mode.runs.record import SETTINGS, read_json, write_json


def connect(address, runs):
    """Joins the cluster, which gets the scripts of these runs; returns the module ray, and {data
    folder: its files in Ray's store}. Raises CommandError where that fails."""
    # No warnings of Ray to its users.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise CommandError(f"--ray needs Ray ({error}): pip install ray") from None
    with tempfile.TemporaryDirectory() as project:
        write_tree(project, read_tree(PROJECT, "*.py", "graph_mode/**/*.py"))
        for network, script in {(run.network, run.script) for run in runs}:
            if os.path.dirname(script) != PROJECT:
                files = read_tree(os.path.dirname(script), "*.py")
                write_tree(os.path.join(project, network), files)
        try:
            options = {"log_to_driver": False, "logging_level": "error"}
            ray.init(address=address, runtime_env={"working_dir": project}, **options)
        except Exception as error:
            reason = f"{' '.join(str(error).split()):.200}"
            words = f"found no Ray cluster at {address}: {reason}; start one with: ray start --head"
            raise CommandError(words) from None
    data = {}
    for folder in {run.settings["flags"]["data_dir"] for run in runs}:
        paths = map(Path, mnist_data.find_files(folder))
        data[folder] = ray.put({path.name: path.read_bytes() for path in paths})
    return ray, data


class Task:
    """Trains runs as tasks of a Ray cluster; ray, data: of connect()."""

    def __init__(self, ray, data):
        self.ray, self.data, self.reference, self.stopped = ray, data, None, False
        options = {"num_cpus": 1, "max_retries": 0, "max_calls": workers.RUNS_A_PROCESS}
        self.remote = ray.remote(**options)(train_on_node)

    def train(self, run, folder):
        """Trains a run and writes its files below `folder`; returns and raises as Process.train."""
        if self.stopped:
            raise workers.Died("it was stopped")
        data_dir = run.settings["flags"]["data_dir"]
        part = run.network if os.path.dirname(run.script) != PROJECT else ""
        script = os.path.join(part, os.path.basename(run.script))
        self.reference = self.remote.remote(script, run.arguments, run.name, self.data[data_dir])
        try:
            failure, files, there = self.ray.get(self.reference)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, Stopped):
                raise workers.Died(str(error.cause)) from None
            raise CommandError(f"a worker cannot start: {error.cause}") from None
        except self.ray.exceptions.RayError as error:
            raise workers.Died(f"its node or process ended ({type(error).__name__})") from None
        write_tree(folder, files)
        if failure:
            failure["reason"] = failure["reason"].replace(there, folder)
        path = os.path.join(folder, run.network, run.name, SETTINGS)
        written = read_json(path)
        if written:
            written["flags"]["data_dir"] = data_dir  # not where it lay on the node
            write_json(path, written)
        return failure

    def stop(self):
        """For another thread: ends the task, whatever it does, and lets no other start."""
        self.stopped = True
        if self.reference is not None:
            self.ray.cancel(self.reference, force=True)


def train_on_node(script, arguments, name, data):
    """What Ray runs on a node: (the failure of train_here, the run's files, their folder there)."""
    from graph_mode import tensorflow1 as tf

    tf.version()  # Where TensorFlow cannot be imported, no run shall be blamed.
    with tempfile.TemporaryDirectory(prefix="compare-") as scratch:
        data_dir, folder = os.path.join(scratch, "data"), os.path.join(scratch, "runs")
        write_tree(data_dir, data)
        arguments = [*arguments, f"--data-dir={data_dir}", f"--log-dir={folder}"]
        path = os.path.join(PROJECT, script)
        failure = workers.train_here(path, [*arguments, f"--run-name={name}"], folder)
        return failure, read_tree(folder, "**/*"), folder


def read_tree(folder, *patterns):
    """{path below the folder: bytes}"""
    paths = [path for pattern in patterns for path in Path(folder).glob(pattern) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def write_tree(folder, files):
    for name, content in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
