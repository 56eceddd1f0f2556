"""What several test files need: a small MNIST, and the scripts as processes of their own."""

import os
import signal
import subprocess
import sys
from subprocess import PIPE

import pytest
from helpers import ROOT, write_small_mnist
from hypothesis import HealthCheck, settings
from idx_files import image_set, write_set
from script_server import ScriptServer

PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

# --hypothesis-profile long is for make fuzz: tests that set no number of examples take its own.
settings.register_profile("short", max_examples=60, **PATIENT)
settings.register_profile("long", max_examples=100000, **PATIENT)
settings.load_profile("short")


def pytest_configure():
    """Started in the background, tests would hand on to every process that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory):
    """A folder with the first 600 training and 200 test images of MNIST, to be read only."""
    return write_small_mnist(tmp_path_factory.mktemp("data") / "small_mnist")


@pytest.fixture(scope="session")
def small(small_mnist):
    """Flags for a run of seconds: a small MNIST in batches of 32."""
    return [f"--data-dir={small_mnist}", "--validation-size=100", "--batch-size=32"]


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory):
    """A folder with 300 training and 50 test images of 8x8, to be read only."""
    arrays = image_set(train=300, test=50, rows=8, columns=8)
    return write_set(tmp_path_factory.mktemp("data") / "tiny_set", arrays)


@pytest.fixture(scope="session")
def script_server():
    """Starts scripts at once, in forks of a process that has TensorFlow: see script_server.py."""
    if not hasattr(os, "fork"):
        pytest.skip("Windows has no os.fork")
    server = ScriptServer()
    yield server
    server.close()


@pytest.fixture
def start_script(tmp_path):
    """start_script(name, *arguments) starts a script in an empty folder, as a process that imports
    all of its own; returns the Popen. `environment` adds variables, keywords go to Popen."""
    processes = []

    def start(name, *arguments, environment=(), **keywords):
        process = subprocess.Popen(
            [sys.executable, os.path.join(ROOT, name)] + [str(each) for each in arguments],
            env=dict(os.environ, **dict(environment)),
            universal_newlines=True,
            **{"cwd": str(tmp_path), "stdout": PIPE, "stderr": PIPE, **keywords},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def without_tensorflow(tmp_path_factory):
    """Environment variables with which importing TensorFlow ends the program with an outcry."""
    folder = tmp_path_factory.mktemp("without_tensorflow")
    (folder / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')\n")
    return {"PYTHONPATH": str(folder)}
