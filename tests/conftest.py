"""What several test files need: a small MNIST, and the scripts as processes of their own."""

import gzip
import os
import subprocess
import sys

import numpy as np
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MNIST = os.path.join(ROOT, "MNIST_data")
TRAIN_EXAMPLES, TEST_EXAMPLES = 600, 200

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def write_idx(path, array):
    """Writes uint8 labels [n] or images [n, height, width] as an IDX file, not packed."""
    header = [2049 if array.ndim == 1 else 2051] + list(array.shape)
    with open(str(path), "wb") as file:
        file.write(np.array(header, ">u4").tobytes())
        file.write(array.astype(np.uint8).tobytes())


def write_image_set(folder, train_images, train_labels, test_images, test_labels):
    """Writes the four files of a set into `folder`, which is made."""
    os.makedirs(str(folder))
    for part, images, labels in (
        ("train", train_images, train_labels),
        ("t10k", test_images, test_labels),
    ):
        write_idx(os.path.join(str(folder), f"{part}-images-idx3-ubyte"), images)
        write_idx(os.path.join(str(folder), f"{part}-labels-idx1-ubyte"), labels)


def _first_examples(part, count):
    with gzip.open(os.path.join(MNIST, f"{part}-images-idx3-ubyte.gz")) as file:
        images = np.frombuffer(file.read(16 + count * 784)[16:], np.uint8)
    with gzip.open(os.path.join(MNIST, f"{part}-labels-idx1-ubyte.gz")) as file:
        labels = np.frombuffer(file.read(8 + count)[8:], np.uint8)
    return images.reshape(count, 28, 28), labels


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory):
    """A folder with the first 600 training and 200 test images of MNIST, to be read only."""
    folder = tmp_path_factory.mktemp("data") / "small_mnist"
    train = _first_examples("train", TRAIN_EXAMPLES)
    write_image_set(folder, *(train + _first_examples("t10k", TEST_EXAMPLES)))
    return str(folder)


@pytest.fixture
def start_script(tmp_path):
    """start_script(name, *arguments) starts a script in an empty folder; it is killed at the end.

    Returns the Popen; `environment` adds variables, further keywords go to Popen.
    """
    processes = []

    def start(name, *arguments, **keywords):
        environment = dict(os.environ, **keywords.pop("environment", {}))
        keywords.setdefault("cwd", str(tmp_path))
        keywords.setdefault("stdout", subprocess.PIPE)
        keywords.setdefault("stderr", subprocess.PIPE)
        command = [sys.executable, os.path.join(ROOT, name)] + [str(a) for a in arguments]
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
    """An environment in which importing TensorFlow ends the program with an outcry."""
    folder = tmp_path_factory.mktemp("without_tensorflow")
    (folder / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')\n")
    return {"PYTHONPATH": str(folder)}
