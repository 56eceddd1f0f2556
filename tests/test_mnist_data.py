"""mnist_data on good data: what the original input_data gave, other image sets, batches, states."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import record_original_batches
from hypothesis import given, settings
from hypothesis import strategies as st
from idx_files import NAMES, ROOT, idx_bytes, image_set, write_set
from record_original_batches import MNIST

import mnist_data
from graph_mode.runs import record
from mnist_data import DataError, DataSet, read_data_sets

DOTTED = [name.replace("-idx", ".idx") for name in NAMES]

with open(record_original_batches.RECORD) as record_file:
    ORIGINAL = json.load(record_file)


def test_batches_equal_the_recorded_ones_of_the_original():
    here = json.loads(json.dumps(record_original_batches.record(mnist_data, DataSet)))
    assert [case for case in {**ORIGINAL, **here} if here.get(case) != ORIGINAL.get(case)] == []


def small_data_set(size=20, seed=0, **options):
    images, labels, _, _ = image_set(train=size)
    return DataSet(images.reshape(images.shape + (1,)), labels, seed=seed, **options)


def check(folder):
    """The exit code of --check, the lines of its output and those of its errors."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = mnist_data.main(["--check", str(folder)])
    lines = [" ".join(line.split()) for line in output.getvalue().splitlines()]
    return code, lines, errors.getvalue().splitlines()


def test_reading_mnist_gives_the_sizes_types_and_values_of_the_original():
    data = mnist_data.load_mnist(MNIST)
    assert [part.num_examples for part in data] == [55000, 5000, 10000]
    assert (data.train.images.shape, data.train.images.dtype) == ((55000, 784), np.float32)
    assert data.train.labels.dtype == np.uint8
    assert data.train.labels[:5].tolist() == [7, 3, 4, 6, 1]
    assert data.validation.images.max() == 1.0
    assert (data.test.num_classes, data.test.image_shape) == (10, (28, 28, 1))


def test_every_way_to_say_uint8_is_understood_and_other_types_refused_as_in_the_original():
    as_tensorflow_says_it = types.SimpleNamespace(as_numpy_dtype=np.uint8)
    for dtype in (np.uint8, "uint8", np.dtype("uint8"), as_tensorflow_says_it):
        images = small_data_set(dtype=dtype, reshape=False).images
        np.testing.assert_array_equal(images[..., 0], image_set(train=20)[0])
        assert images.dtype == np.uint8
    for dtype in (np.float64, "int32", None):
        with pytest.raises(TypeError, match="Invalid image dtype"):
            small_data_set(dtype=dtype)


def test_fake_data_has_the_form_of_mnist():
    data = read_data_sets("no such folder", fake_data=True, one_hot=True)
    assert [part.num_examples for part in data] == [10000] * 3
    assert data.train.next_batch(3) == ([[1] * 784] * 3, [[1] + [0] * 9] * 3)
    assert small_data_set().next_batch(2, fake_data=True) == ([[1] * 784] * 2, [0, 0])


def test_one_hot_labels_have_a_one_in_the_column_of_the_label():
    file = io.BytesIO(idx_bytes(np.array([1, 9], np.uint8)))
    encoded = mnist_data.extract_labels(file, one_hot=True)
    assert (encoded.dtype, encoded.argmax(axis=1).tolist()) == (np.float64, [1, 9])
    assert mnist_data.dense_to_one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("given, expected", [(None, 26), (30, 30)])
def test_images_of_any_form_and_any_number_of_classes_are_read(tmp_path, channels, given, expected):
    arrays = image_set(rows=32, columns=20, classes=5)
    arrays[3][0] = 25  # a class that the test set alone has
    if channels > 1:
        arrays[::2] = [np.stack([images] * channels, axis=3) for images in arrays[::2]]
    options = {"one_hot": True, "reshape": False, "dtype": np.uint8, "num_classes": given}
    data = read_data_sets(write_set(tmp_path, arrays), validation_size=10, **options)
    assert data.train.images.shape == (50, 32, 20, channels)
    assert data.train.image_shape == (32, 20, channels)
    np.testing.assert_array_equal(data.test.images, arrays[2].reshape(20, 32, 20, channels))
    np.testing.assert_array_equal(data.test.labels.argmax(axis=1), arrays[3])
    assert [(p.num_classes, p.labels.shape[1]) for p in data] == [(expected, expected)] * 3
    code, lines, errors = check(tmp_path)
    assert (code, errors) == (0, [])
    assert f"60 images of 32x20{'x4' if channels == 4 else ''} " in lines[0]
    assert all(line.endswith("SHA-256 unknown") for line in lines[:4])
    assert lines[4] == f"{tmp_path}: an IDX set of 26 classes, but not the canonical MNIST"


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("names", [NAMES, DOTTED], ids=["-idx", ".idx"])
@pytest.mark.parametrize("layout", ["files", "links", "folders", "files and folders"])
def test_files_are_found(tmp_path, layout, names, ending):
    """Kaggle serves a file, and beside it a folder with its other name that holds it too."""
    arrays = image_set()
    for name in NAMES if "folders" in layout else []:
        write_set(tmp_path / name, arrays, bool(ending), names)
    if "files" in layout:
        write_set(tmp_path, arrays, bool(ending), DOTTED if "folders" in layout else names)
    if layout == "links":
        for name in os.listdir(write_set(tmp_path / "real", arrays, bool(ending), names)):
            os.symlink(str(tmp_path / "real" / name), str(tmp_path / name))
    data = read_data_sets(tmp_path, validation_size=0, download=False)
    np.testing.assert_array_equal(data.train.labels, arrays[1])
    digests = [hashlib.sha256(idx_bytes(array)).hexdigest() for array in arrays]
    assert mnist_data.checksums(tmp_path) == dict(zip(NAMES, digests))
    # What older runs recorded of these files is known again.
    older = {f"{n}.gz": packed for n, packed in zip(names, mnist_data.UNPACKED)}
    assert record.contents_of(older) == mnist_data.CANONICAL


def test_a_path_does_as_well_as_two_gzip_files_in_one_that_cannot_seek(tmp_path):
    content, path = idx_bytes(image_set()[0]), tmp_path / "images.gz"
    path.write_bytes(gzip.compress(content[:99]) + gzip.compress(content[99:]))
    pipe = types.SimpleNamespace(read=io.BytesIO(path.read_bytes()).read)
    for file in (str(path), path, pipe):
        np.testing.assert_array_equal(mnist_data.extract_images(file)[..., 0], image_set()[0])


def test_indices_and_states_count_the_images_in_their_first_order():
    first, mixed, indices = small_data_set().images, small_data_set(), small_data_set()
    for batch_size in (7, 7, 7, 20, 0, 20):
        chosen = indices.next_indices(batch_size)
        assert chosen.dtype == np.int32
        np.testing.assert_array_equal(mixed.next_batch(batch_size)[0], first[chosen])
    np.testing.assert_array_equal(indices.images, first)
    assert not np.array_equal(mixed.images, first)
    for source, other in ((mixed, indices), (indices, mixed)):
        other.restore(source.state())
        for _ in range(5):
            np.testing.assert_array_equal(mixed.next_batch(6)[0], first[indices.next_indices(6)])


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=20))
def test_batches_up_to_an_epoch_are_always_full_and_every_epoch_whole(size, calls):
    data_set = DataSet(np.zeros((size, 1, 1, 1), np.uint8), np.zeros(size), seed=0)
    calls = [(int(part * size), shuffle) for part, shuffle in calls]
    chosen = [data_set.next_indices(batch_size, shuffle) for batch_size, shuffle in calls]
    assert [len(indices) for indices in chosen] == [batch_size for batch_size, _ in calls]
    given_out = np.concatenate([np.zeros(0, int)] + chosen)
    for start in range(0, len(given_out) - size + 1, size):
        assert sorted(given_out[start : start + size]) == list(range(size))
    # An exact fit completes the epoch only with the next batch.
    assert data_set.epochs_completed == max(0, len(given_out) - 1) // size


def test_a_data_set_disturbs_neither_another_nor_the_global_random_numbers():
    np.random.seed(1)
    alone, first, second = small_data_set(), small_data_set(), small_data_set()
    for part in (*second.next_batch(20), second.next_indices(20)):
        part[:] = 0  # a batch is the program's
    assert sorted(second.next_batch(20)[1]) == sorted(alone.labels)
    for _ in range(6):
        second.next_indices(13)
        assert first.next_indices(7).tolist() == alone.next_indices(7).tolist()
    assert len({tuple(small_data_set(seed=None).next_indices(20)) for _ in range(3)}) > 1
    assert np.random.rand() == np.random.RandomState(1).rand()


def test_negative_batches_and_batches_of_nothing_are_refused():
    empty = DataSet(np.zeros((0, 1, 1, 1)), np.zeros(0))
    for batch_of, size in ((small_data_set().next_batch, -1), (empty.next_indices, 3)):
        with pytest.raises(DataError, match=f"a batch of {size}, from (20|0) examples"):
            batch_of(size)
    assert empty.next_indices(0).tolist() == []


@pytest.mark.parametrize("batches_before", [0, 1, 3, 10])
def test_a_restored_data_set_goes_on_bit_for_bit(batches_before):
    uninterrupted, resumed = small_data_set(seed=5), small_data_set(seed=99)
    for _ in range(batches_before):
        uninterrupted.next_indices(6)
    state = uninterrupted.state()
    in_json = json.loads(json.dumps({key: np.asarray(state[key]).tolist() for key in state}))
    following = [uninterrupted.next_indices(6).tolist() for _ in range(12)]
    for data_set, saved in ((resumed, in_json), (uninterrupted, state)):
        data_set.restore(saved)
        assert [data_set.next_indices(6).tolist() for _ in range(12)] == following
    assert resumed.epochs_completed == uninterrupted.epochs_completed > 2


BAD_STATES = {
    "order": [range(19), [0] * 20, "abc", np.arange(20).reshape(20, 1), np.arange(20) + 0.5],
    "position": [-1],
    "epochs_completed": [-1, None],
    "random_key": [[1, 2, 3]],
    "random_position": [625, -1],
}


@pytest.mark.parametrize("field", BAD_STATES)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(field):
    data_set, untouched = small_data_set(), small_data_set()
    incomplete = {key: value for key, value in data_set.state().items() if key != field}
    for state in [incomplete] + [{**incomplete, field: value} for value in BAD_STATES[field]]:
        with pytest.raises(DataError, match="state of"):
            data_set.restore(state)
    assert data_set.next_indices(20).tolist() == untouched.next_indices(20).tolist()


SORTED = np.repeat(np.arange(5), 12)
TOLD = "of 5 classes, {} are in the validation set, the first {} examples, and {} are in the train"
# kind: (training labels, size of the validation set, what is told)
NOTES = {
    "falling": (SORTED[::-1], 12, TOLD.format(1, 12, 4)),
    "blocks": ((SORTED * 3 + 1) % 5, 24, TOLD.format(2, 24, 3)),
    "two sets": (np.concatenate([SORTED[::2], SORTED[::2]]), 10, TOLD.format(2, 10, 5)),
    "no validation": (SORTED, 0, ""),
    "mixed": (np.arange(60) % 5, 10, ""),
    "in twelve blocks": (np.arange(60) // 5 % 5, 10, ""),
    "one class": (SORTED * 0, 10, ""),
}


@pytest.mark.parametrize("kind", NOTES)
def test_that_examples_are_sorted_by_class_is_told_in_one_line(kind, tmp_path, capsys):
    labels, size, told = NOTES[kind]
    images, _, *test = image_set(classes=5)
    folder = write_set(tmp_path, [images, labels.astype(np.uint8), *test])
    read_data_sets(folder, validation_size=size)
    errors = capsys.readouterr().err
    assert told in errors and errors.count("\n") == bool(told)
    assert len(check(folder)[2]) == (bool(told) or kind == "no validation")


def test_check_recognizes_the_canonical_mnist_and_reports_every_bad_file_in_one_line(tmp_path):
    code, lines, errors = check(MNIST)
    assert (code, errors) == (0, [])
    assert lines[0].split(" ", 1)[1] == "9,912,422 bytes 60000 images of 28x28 SHA-256 ok"
    assert lines[3] == "t10k-labels-idx1-ubyte.gz 4,542 bytes 10000 labels SHA-256 ok"
    assert lines[4:] == [f"{MNIST}: the canonical MNIST"]
    for name in NAMES:
        packed = pathlib.Path(MNIST, f"{name}.gz").read_bytes()
        (tmp_path / name).write_bytes(gzip.decompress(packed))
    assert check(tmp_path)[1][4] == f"{tmp_path}: the canonical MNIST"
    (tmp_path / NAMES[1]).write_bytes(b"")
    (tmp_path / NAMES[2]).write_bytes(b"<html>")
    code, lines, (error,) = check(tmp_path)
    assert code == 2 and ["unusable" in line for line in lines] == [False, True, True, False]
    assert "an empty file" in error and "<html>" in error


def run_command(*arguments, cwd=ROOT, **options):
    command = [sys.executable, "mnist_data.py", *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, cwd=cwd, **options)
    return done.returncode, done.stderr.splitlines()


def test_the_command_needs_no_other_file_of_the_project_nor_a_reader_of_its_output(tmp_path):
    shutil.copy(os.path.join(ROOT, "mnist_data.py"), str(tmp_path))
    receiver, sender = os.pipe()
    os.close(receiver)
    assert run_command("--check", MNIST, cwd=str(tmp_path), stdout=sender) == (0, [])
    os.close(sender)
    assert run_command(cwd=str(tmp_path))[0] == 2
