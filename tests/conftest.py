"""What several test files need: a small MNIST, and the scripts as processes of their own."""

import os
import signal
import subprocess
import sys

import pytest
from helpers import ROOT, write_small_mnist
from hypothesis import HealthCheck, settings
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


@pytest.fixture
def start_script(tmp_path):
    """start_script(name, *arguments) starts a script in an empty folder and returns the Popen.

    `environment` adds variables; further keywords go to Popen. What still runs at the end of the
    test is killed.
    """
    processes = []

    def start(name, *arguments, **keywords):
        environment = dict(os.environ, **keywords.pop("environment", {}))
        for keyword, value in (
            ("cwd", str(tmp_path)),
            ("stdout", subprocess.PIPE),
            ("stderr", subprocess.PIPE),
        ):
            keywords.setdefault(keyword, value)
        command = [sys.executable, os.path.join(ROOT, name)] + [str(each) for each in arguments]
        process = subprocess.Popen(command, env=environment, universal_newlines=True, **keywords)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def run_script(start_script):
    """run_script(name, *arguments) runs a script to its end: (exit code, stdout, stderr)."""

    def run(name, *arguments, **keywords):
        process = start_script(name, *arguments, **keywords)
        stdout, stderr = process.communicate(timeout=300)
        return process.returncode, stdout, stderr

    return run


@pytest.fixture
def without_tensorflow(tmp_path_factory):
    """Environment variables with which importing TensorFlow ends the program with an outcry."""
    folder = tmp_path_factory.mktemp("without_tensorflow")
    (folder / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')\n")
    return {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="session")
def script_server():
    """Starts scripts at once, in forks of a process that has TensorFlow: see script_server.py."""
    if not hasattr(os, "fork"):
        pytest.skip("Windows has no os.fork")
    server = ScriptServer()
    yield server
    server.close()
