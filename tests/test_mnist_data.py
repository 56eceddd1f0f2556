"""mnist_data on good data: what the original input_data gave, other image sets, batches, states."""

import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import record_original_batches
from idx_files import NAMES, idx_bytes, image_set, write_set

import mnist_data
from mnist_data import DataError, DataSet, read_data_sets

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MNIST = os.path.join(ROOT, "MNIST_data")

with open(record_original_batches.RECORD) as record_file:
    ORIGINAL = json.load(record_file)


@pytest.fixture(scope="module")
def recorded_here():
    return json.loads(json.dumps(record_original_batches.record(mnist_data, DataSet)))


@pytest.mark.parametrize("case", sorted(ORIGINAL))
def test_batches_equal_the_recorded_ones_of_the_original(case, recorded_here):
    assert recorded_here[case] == ORIGINAL[case]


@pytest.mark.skipif(
    sys.version_info >= (3, 8),
    reason="the original input_data is in TensorFlow 1.15.5, which needs Python 3.7",
)
def test_the_record_is_what_the_original_gives():
    input_data = pytest.importorskip("tensorflow.examples.tutorials.mnist.input_data")
    original = pytest.importorskip("tensorflow.contrib.learn.python.learn.datasets.mnist")
    found = json.loads(json.dumps(record_original_batches.record(input_data, original.DataSet)))
    assert found == ORIGINAL


def small_data_set(size=20, seed=0, **options):
    images, labels, _, _ = image_set(train=size)
    return DataSet(images.reshape(images.shape + (1,)), labels, seed=seed, **options)


# The interface


def test_reading_mnist_gives_the_sizes_types_and_values_of_the_original():
    data = read_data_sets(MNIST)
    assert [part.num_examples for part in data] == [55000, 5000, 10000]
    assert data.train.images.shape == (55000, 784)
    assert data.train.images.dtype == np.float32
    assert data.train.labels.dtype == np.uint8
    assert data.train.labels[:5].tolist() == [7, 3, 4, 6, 1]
    assert data.validation.images.max() == 1.0
    assert data.test.num_classes == 10
    assert data.test.image_shape == (28, 28, 1)


def test_bytes_are_those_of_the_file():
    arrays = image_set()
    images = mnist_data.extract_images(io.BytesIO(idx_bytes(arrays[0])))
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[..., 0], arrays[0])
    data_set = DataSet(images, arrays[1], dtype=np.uint8, reshape=False)
    np.testing.assert_array_equal(data_set.images, images)


def test_images_are_scaled_only_when_asked_for(monkeypatch):
    scaled = []
    scale = mnist_data._scaled
    monkeypatch.setattr(
        mnist_data, "_scaled", lambda images: scaled.append(images) or scale(images)
    )
    data_set = small_data_set()
    data_set.next_indices(5)
    data_set.next_batch(5)
    assert [images.shape[0] for images in scaled] == [5]
    assert data_set.images is data_set.images
    assert [images.shape[0] for images in scaled] == [5, 20]


class TensorflowType:
    """As tf.uint8 is: a type that NumPy does not know, with the one it stands for."""

    as_numpy_dtype = np.uint8


@pytest.mark.parametrize("dtype", [np.uint8, "uint8", np.dtype("uint8"), TensorflowType()])
def test_every_way_to_say_uint8_is_understood(dtype):
    assert small_data_set(dtype=dtype).images.dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.float64, "int32", None])
def test_other_types_are_refused_as_in_the_original(dtype):
    with pytest.raises(TypeError, match="Invalid image dtype .*, expected uint8 or float32"):
        small_data_set(dtype=dtype)


def test_fake_data_has_the_form_of_mnist():
    data = read_data_sets("no such folder", fake_data=True, one_hot=True)
    assert [part.num_examples for part in data] == [10000] * 3
    images, labels = data.train.next_batch(3, fake_data=True)
    assert images == [[1] * 784] * 3
    assert labels == [[1] + [0] * 9] * 3
    plain = read_data_sets("no such folder", fake_data=True).test
    assert plain.next_batch(2, True) == ([[1] * 784] * 2, [0, 0])


def test_a_real_data_set_gives_fake_data_when_asked_to():
    assert small_data_set().next_batch(2, fake_data=True) == ([[1] * 784] * 2, [0, 0])


def test_dense_to_one_hot_puts_a_one_in_the_column_of_the_label():
    encoded = mnist_data.dense_to_one_hot(np.array([2, 0], np.uint8), 3)
    assert encoded.dtype == np.float64
    assert encoded.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_extract_labels_encodes_when_asked_to():
    file = io.BytesIO(idx_bytes(np.array([1, 9], np.uint8)))
    assert mnist_data.extract_labels(file, one_hot=True).shape == (2, 10)


# Other sets and other files


@pytest.mark.parametrize("packed", [True, False])
def test_any_image_size_and_number_of_classes_is_read(tmp_path, packed):
    arrays = image_set(rows=32, columns=20, classes=26)
    folder = write_set(tmp_path, arrays, packed)
    data = read_data_sets(folder, one_hot=True, reshape=False, validation_size=10)
    assert data.train.images.shape == (50, 32, 20, 1)
    assert data.train.image_shape == (32, 20, 1)
    assert [part.num_classes for part in data] == [26] * 3
    np.testing.assert_array_equal(data.test.labels.argmax(axis=1), arrays[3])
    assert read_data_sets(folder, validation_size=0).test.images.shape == (20, 640)


def test_the_number_of_classes_can_be_given(tmp_path):
    folder = write_set(tmp_path, image_set(classes=4))
    data = read_data_sets(folder, one_hot=True, validation_size=0, num_classes=10)
    assert data.train.labels.shape == (60, 10)
    assert data.train.num_classes == 10


def test_a_class_that_only_the_test_set_has_counts(tmp_path):
    arrays = image_set(classes=5)
    arrays[3][0] = 6
    data = read_data_sets(write_set(tmp_path, arrays), one_hot=True, validation_size=0)
    assert data.train.labels.shape[1] == data.test.num_classes == 7


def test_a_data_set_made_by_hand_knows_its_classes():
    assert small_data_set().num_classes == 10
    assert DataSet(np.zeros((2, 1, 1, 1), np.uint8), np.eye(2, 7)).num_classes == 7


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_names_with_a_dot_are_read_too(tmp_path, ending):
    dotted = [name.replace("-idx", ".idx") for name in NAMES]
    folder = write_set(tmp_path, image_set(), packed=bool(ending), names=dotted)
    assert read_data_sets(folder, validation_size=0).train.num_examples == 60
    assert sorted(mnist_data.checksums(folder)) == sorted(name + ending for name in dotted)


@pytest.mark.parametrize("only_folders", [True, False])
def test_files_in_folders_of_their_name_are_found(tmp_path, only_folders):
    """As Kaggle serves MNIST: a file, and beside it a folder that holds the same file."""
    for name in NAMES:
        write_set(tmp_path / name, image_set(), packed=False)
    if not only_folders:
        dotted = [name.replace("-idx", ".idx") for name in NAMES]
        write_set(tmp_path, image_set(), packed=False, names=dotted)
    data = read_data_sets(tmp_path, validation_size=0, download=False)
    np.testing.assert_array_equal(data.train.labels, image_set()[1])
    assert len(mnist_data.checksums(tmp_path)) == 4
    assert run_command("--check", str(tmp_path)).returncode == 0


def test_images_with_channels_are_read(tmp_path):
    arrays = image_set()
    arrays[0], arrays[2] = (np.stack([each] * 3, axis=3) for each in (arrays[0], arrays[2]))
    folder = write_set(tmp_path, arrays)
    data = read_data_sets(folder, reshape=False, dtype=np.uint8, validation_size=0)
    np.testing.assert_array_equal(data.train.images, arrays[0])
    assert data.train.image_shape == (4, 3, 3)
    assert "60 images of 4x3x3" in run_command("--check", folder).stdout


def test_links_to_files_are_followed(tmp_path):
    folder = write_set(tmp_path / "real", image_set())
    links = tmp_path / "links"
    links.mkdir()
    for name in os.listdir(folder):
        os.symlink(os.path.join(folder, name), str(links / name))
    assert read_data_sets(links, validation_size=0).train.num_examples == 60


def test_gzip_files_joined_end_to_end_are_one():
    content = idx_bytes(image_set()[0])
    joined = b"".join(gzip.compress(content[start : start + 100]) for start in range(0, 736, 100))
    assert len(mnist_data.extract_images(io.BytesIO(joined))) == 60


def test_gzip_in_gzip_is_read():
    content = gzip.compress(gzip.compress(idx_bytes(image_set()[0])))
    assert len(mnist_data.extract_images(io.BytesIO(content))) == 60


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_a_path_does_as_well_as_a_file(tmp_path, kind):
    folder = write_set(tmp_path, image_set())
    path = kind(os.path.join(folder, NAMES[0] + ".gz"))
    assert mnist_data.extract_images(path).shape == (60, 4, 3, 1)
    assert mnist_data.extract_labels(kind(os.path.join(folder, NAMES[1] + ".gz"))).shape == (60,)


def test_a_file_that_cannot_seek_is_read():
    class Pipe:
        def __init__(self, content):
            self.read = io.BytesIO(content).read

    assert len(mnist_data.extract_images(Pipe(idx_bytes(image_set()[0])))) == 60


def test_checksums_are_those_of_the_files():
    with open(os.path.join(MNIST, "SHA256SUMS")) as file:
        listed = dict(reversed(line.split()) for line in file)
    assert mnist_data.checksums(MNIST) == listed
    assert all(mnist_data.is_canonical(os.path.join(MNIST, f"{name}.gz"), name) for name in NAMES)


# Batches


def test_indices_are_those_of_the_batches():
    batches, indices = small_data_set(dtype=np.uint8), small_data_set(dtype=np.uint8)
    for batch_size in (7, 7, 7, 20, 3, 0, 45):
        chosen = indices.next_indices(batch_size)
        assert chosen.dtype == np.int32
        np.testing.assert_array_equal(batches.next_batch(batch_size)[0], indices.images[chosen])


def test_indices_and_states_count_the_images_in_their_first_order():
    """Though looking at the images after next_batch moves them, as in the original."""
    first = small_data_set().images
    mixed, indices, restored = small_data_set(), small_data_set(), small_data_set(seed=9)
    for batch_size in (7, 7, 7, 20):
        images = mixed.next_batch(batch_size)[0]
        np.testing.assert_array_equal(images, first[indices.next_indices(batch_size)])
    assert not np.array_equal(mixed.images, first)
    assert mixed.next_indices(5).tolist() == indices.next_indices(5).tolist()
    restored.restore(mixed.state())
    mixed.restore(indices.state())
    for _ in range(5):
        images = mixed.next_batch(6)[0]
        chosen = indices.next_indices(6)
        np.testing.assert_array_equal(images, first[chosen])
        assert restored.next_indices(6).tolist() == chosen.tolist()


def test_an_epoch_holds_every_example_once():
    data_set = small_data_set()
    epochs = np.concatenate([data_set.next_indices(8) for _ in range(5)]).reshape(2, 20)
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0].tolist() != epochs[1].tolist()


def test_an_exact_fit_completes_the_epoch_only_with_the_next_batch():
    data_set = small_data_set()
    data_set.next_batch(20)
    assert data_set.epochs_completed == 0
    data_set.next_batch(1)
    assert data_set.epochs_completed == 1


def test_a_batch_over_several_epochs_is_full():
    data_set = small_data_set()
    indices = data_set.next_indices(70)
    assert data_set.epochs_completed == 3
    assert np.bincount(indices[:60]).tolist() == [3] * 20
    assert len(set(indices[60:])) == 10


def test_batches_already_given_out_do_not_change():
    data_set = small_data_set()
    first = data_set.next_indices(20)
    before = first.tolist()
    data_set.next_indices(20)
    assert first.tolist() == before
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


def test_the_global_random_numbers_are_left_alone():
    np.random.seed(1)
    expected = np.random.rand()
    np.random.seed(1)
    small_data_set(seed=7).next_batch(30)
    assert np.random.rand() == expected


def test_data_sets_do_not_disturb_each_other():
    alone, first, second = small_data_set(), small_data_set(), small_data_set()
    for _ in range(6):
        second.next_indices(13)
        assert first.next_indices(7).tolist() == alone.next_indices(7).tolist()


def test_without_a_seed_orders_differ():
    orders = {tuple(small_data_set(seed=None).next_indices(20)) for _ in range(3)}
    assert len(orders) > 1


def test_negative_batches_and_batches_of_nothing_are_refused():
    with pytest.raises(DataError, match="a batch of -1 examples, expected 0 or more"):
        small_data_set().next_batch(-1)
    with pytest.raises(DataError, match="a batch of 3 examples from a data set that has none"):
        DataSet(np.zeros((0, 1, 1, 1)), np.zeros(0)).next_indices(3)


# States


def through_json(state):
    return json.loads(json.dumps({key: np.asarray(value).tolist() for key, value in state.items()}))


def through_npz(state):
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    return dict(np.load(file, allow_pickle=False))


@pytest.mark.parametrize("keep", [dict, through_json, through_npz])
@pytest.mark.parametrize("batches_before", [0, 1, 3, 10])
def test_a_restored_data_set_goes_on_bit_for_bit(keep, batches_before):
    uninterrupted, resumed = small_data_set(seed=5), small_data_set(seed=99)
    for _ in range(batches_before):
        uninterrupted.next_indices(6)
    resumed.restore(keep(uninterrupted.state()))
    for _ in range(12):
        assert resumed.next_indices(6).tolist() == uninterrupted.next_indices(6).tolist()
        assert resumed.epochs_completed == uninterrupted.epochs_completed


def test_a_state_does_not_change_with_later_batches():
    data_set = small_data_set()
    data_set.next_indices(15)
    state = data_set.state()
    following = [data_set.next_indices(15).tolist() for _ in range(4)]
    data_set.restore(state)
    assert [data_set.next_indices(15).tolist() for _ in range(4)] == following


@pytest.mark.parametrize(
    "change",
    [
        {"order": list(range(19))},
        {"order": [0] * 20},
        {"order": "abc"},
        {"order": np.arange(20).reshape(20, 1)},
        {"order": np.arange(20) + 0.5},
        {"order": [2**40] * 20},
        {"position": 21},
        {"position": -1},
        {"epochs_completed": -1},
        {"epochs_completed": None},
        {"random_key": [1, 2, 3]},
        {"random_position": 625},
    ],
    ids=str,
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change):
    data_set, untouched = small_data_set(), small_data_set()
    with pytest.raises(DataError, match="state of a data set"):
        data_set.restore(dict(data_set.state(), **change))
    incomplete = data_set.state()
    del incomplete[sorted(change)[0]]
    with pytest.raises(DataError, match="state of a data set"):
        data_set.restore(incomplete)
    assert data_set.next_indices(20).tolist() == untouched.next_indices(20).tolist()


# Cost


def test_importing_it_brings_in_nothing_slow():
    code = (
        "import sys, numpy; before = set(sys.modules); import mnist_data;"
        "print(' '.join(sorted(set(sys.modules) - before)))"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    # The rest are parts of Python that NumPy itself has already imported on some versions.
    assert set(output.decode().split()) <= {"mnist_data", "zlib", "contextlib", "errno"}


def test_loading_and_indices_are_fast():
    start = time.process_time()
    data = read_data_sets(MNIST, dtype=np.uint8, download=False)
    # 0.17 s on an idle machine; the bound only catches a second copy or pass.
    assert time.process_time() - start < 1.5
    start = time.process_time()
    for _ in range(3000):
        data.train.next_indices(128)
    # 2 microseconds a call on an idle machine.
    assert time.process_time() - start < 0.3


# The command line


def run_command(*arguments, **options):
    command = [sys.executable, os.path.join(ROOT, "mnist_data.py")] + list(arguments)
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_check_recognizes_the_canonical_mnist(tmp_path):
    done = run_command("--check", MNIST, cwd=str(tmp_path))
    assert done.returncode == 0
    assert done.stderr == ""
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    first = "train-images-idx3-ubyte.gz 9,912,422 bytes 60000 images of 28x28 SHA-256 ok"
    assert lines[0] == first
    assert lines[3] == "t10k-labels-idx1-ubyte.gz 4,542 bytes 10000 labels SHA-256 ok"
    assert lines[4:] == [f"{MNIST}: the canonical MNIST"]


def test_check_recognizes_mnist_that_was_unpacked(tmp_path):
    for name in NAMES:
        with gzip.open(os.path.join(MNIST, name + ".gz")) as file:
            (tmp_path / name).write_bytes(file.read())
    assert run_command("--check", str(tmp_path)).stdout.endswith(": the canonical MNIST\n")
    digest = hashlib.sha256((tmp_path / NAMES[0]).read_bytes()).hexdigest()
    assert digest == mnist_data.CANONICAL[NAMES[0]]


def test_check_tells_another_set_from_mnist(tmp_path):
    folder = write_set(tmp_path, image_set(rows=32, columns=20, classes=26))
    done = run_command("--check", folder)
    assert done.returncode == 0
    assert done.stdout.count("SHA-256 unknown") == 4
    assert "60 images of 32x20" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last == (f"{folder}: a well-formed IDX set of 26 classes, but not the canonical MNIST")


def test_check_reports_every_bad_file_in_one_line(tmp_path):
    folder = write_set(tmp_path, image_set())
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(b"")
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"<html>")
    done = run_command("--check", folder)
    assert done.returncode == 2
    assert done.stdout.count("unusable") == 2
    assert len(done.stderr.splitlines()) == 1
    assert "an empty file" in done.stderr
    assert "a web page (HTML)" in done.stderr


def test_check_works_where_the_output_is_no_file(monkeypatch):
    """In a notebook, for example."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert mnist_data.main(["--check", MNIST]) == 0
    assert sys.stdout.getvalue().endswith(": the canonical MNIST\n")


def test_the_command_says_what_it_needs():
    done = run_command()
    assert done.returncode == 2
    assert "--check --download is required" in done.stderr


def test_the_command_needs_no_other_file_of_the_project(tmp_path):
    shutil.copy(os.path.join(ROOT, "mnist_data.py"), str(tmp_path))
    command = [sys.executable, "mnist_data.py", "--check", MNIST]
    output = subprocess.run(command, cwd=str(tmp_path), stdout=subprocess.PIPE, check=True).stdout
    assert output.endswith(b": the canonical MNIST\n")


@pytest.mark.parametrize("closed", ["1", "2", "0 1", "1 2", "0 1 2"])
@pytest.mark.parametrize("good", [True, False])
def test_closed_streams_change_neither_the_result_nor_the_other_stream(tmp_path, closed, good):
    folder = write_set(tmp_path, image_set())
    if not good:
        (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(b"")
    command = [sys.executable, os.path.join(ROOT, "mnist_data.py"), "--check", folder]
    close = f"import os, sys; [os.close(int(n)) for n in {closed!r}.split()];"
    code = close + "os.execv(sys.executable, sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", code] + command, capture_output=True, text=True)
    assert done.returncode == (0 if good else 2)
    assert bool(done.stdout) == ("1" not in closed)
    assert len(done.stderr.splitlines()) == (not good and "2" not in closed)


def test_a_reader_that_leaves_is_no_error(tmp_path):
    command = [sys.executable, os.path.join(ROOT, "mnist_data.py"), "--check", MNIST]
    receiver, sender = os.pipe()
    os.close(receiver)
    done = subprocess.run(command, stdout=sender, stderr=subprocess.PIPE)
    os.close(sender)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_leaves_is_no_error_where_windows_calls_it_an_invalid_argument():
    code = """
import errno, sys, mnist_data
class Left:
    def write(self, text):
        raise OSError(errno.EINVAL, "Invalid argument")
    def flush(self):
        pass
sys.stdout = Left()
sys.exit(mnist_data.main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", code, "--check", MNIST]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_name_that_no_encoding_knows_is_shown(tmp_path):
    folder = write_set(os.path.join(str(tmp_path), os.fsdecode(b"\xff \n")), image_set())
    done = run_command("--check", folder)
    assert (done.returncode, done.stderr) == (0, "")
    missing = run_command("--check", os.path.join(folder, "none"))
    assert missing.returncode == 2
    assert len(missing.stderr.splitlines()) == 1


def test_without_numpy_one_line_says_how_to_get_it(tmp_path):
    (tmp_path / "numpy.py").write_text("raise ImportError('No module named numpy')")
    done = run_command("--check", MNIST, env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert done.returncode == 2
    line = "mnist_data.py: error: No module named numpy: run pip install -r requirements.txt\n"
    assert done.stderr == line
