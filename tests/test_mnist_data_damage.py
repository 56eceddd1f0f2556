"""mnist_data on bad data: one line for every mistake, and no memory taken on a file's word."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tracemalloc
import zipfile

import fuzz_mnist_data
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from idx_files import NAMES, idx_bytes, image_set, write_set

import mnist_data
from mnist_data import DataError, read_data_sets

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = (name + ".gz" for name in NAMES)
ARRAYS = image_set()
GOOD = idx_bytes(ARRAYS[0])


def header(*numbers):
    return struct.pack(f">{len(numbers)}I", *numbers)


def packed_as(kind):
    file = io.BytesIO()
    if kind == "npy":
        np.save(file, ARRAYS[0])
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("train-images-idx3-ubyte", GOOD)
    return file.getvalue()


GIT_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:440fcabf\nsize 9912422\n"

# What stands in a file of 60 images of 4x3 (or of their labels) instead, and what is said about it.
BAD_FILES = [
    (IMAGES, b"", "an empty file, expected IDX images (magic number 2051: uint8 in 3 dimensions)"),
    (IMAGES, gzip.compress(b""), "an empty file, expected IDX images"),
    (IMAGES, b"\x00", "cut off within its header"),
    (IMAGES, b"\x00\x00\x08", "cut off within its header"),
    (IMAGES, GOOD[:10], "cut off within its header; get the file again"),
    (IMAGES, b"abcdefgh", "neither gzip nor IDX (magic number 1633837924), expected IDX images"),
    (IMAGES, header(0x1003, 1, 1, 1), "neither gzip nor IDX (magic number 4099), expected IDX"),
    (IMAGES, b"\n<!DOCTYPE html><html>", "a web page (HTML), expected IDX images"),
    (IMAGES, gzip.compress(b"<html>"), "a web page (HTML), expected IDX images"),
    (IMAGES, idx_bytes(ARRAYS[1]), "IDX of uint8, 60 (magic number 2049), expected IDX images"),
    (LABELS, gzip.compress(GOOD), "IDX of uint8, 60x4x3 (magic number 2051), expected IDX labels"),
    (
        LABELS,
        header(0xC02, 60, 8) + bytes(1920),
        "IDX of int32, 60x8 (magic number 3074), expected",
    ),
    (LABELS, header(0x802, 60, 10) + bytes(600), "IDX of uint8, 60x10 (magic number 2050)"),
    (LABELS, header(0x802, 60, 10), "write the number of the class of each image as one byte"),
    (IMAGES, header(0xD03, 1, 1, 1), "IDX of float32, 1x1x1 (magic number 3331), expected IDX im"),
    (IMAGES, header(0xD03, 1, 1, 1), "write them as bytes from 0 to 255, the channels of coloured"),
    (
        IMAGES,
        header(0x804, 60, 3, 28, 28),
        "IDX of uint8, 60x3x28x28 (magic number 2052), expected",
    ),
    (IMAGES, header(0x805, 1, 1, 1, 1, 1), "IDX of uint8, 1x1x1x1x1 (magic number 2053)"),
    (IMAGES, packed_as("zip"), "a zip archive, expected IDX images"),
    (IMAGES, lzma.compress(GOOD), "packed with xz, expected IDX images (magic number 2051"),
    (IMAGES, bz2.compress(GOOD), "packed with bzip2, expected IDX images"),
    (IMAGES, GIT_LFS_POINTER, "a Git LFS pointer instead of the file, expected IDX images"),
    (IMAGES, GIT_LFS_POINTER, "; run git lfs pull"),
    (IMAGES, packed_as("npy"), "a NumPy array, expected IDX images"),
    (IMAGES, gzip.compress(gzip.compress(gzip.compress(GOOD))), "packed more than twice with gzip"),
    (IMAGES, gzip.compress(gzip.compress(GOOD)[:-9]), "cut off, the gzip data does not end"),
    (IMAGES, GOOD[:-1], "cut off after 735 of the 736 bytes that its header promises (60x4x3)"),
    (IMAGES, gzip.compress(GOOD[:-9]), "cut off after 727 of the 736 bytes"),
    (IMAGES, gzip.compress(GOOD)[:-30], "cut off, the gzip data does not end"),
    (IMAGES, b"\x1f\x8b\x08", "cut off, the gzip data does not end; get the file again"),
    (IMAGES, GOOD + b"x", "more data than the 736 bytes that its header promises (60x4x3)"),
    (IMAGES, gzip.compress(GOOD + b"x"), "more data than the 736 bytes"),
    (IMAGES, gzip.compress(GOOD) + b"x", "damaged gzip data (Not a gzipped file"),
    (IMAGES, gzip.compress(GOOD)[:20] + b"xxxx" + gzip.compress(GOOD)[24:], "damaged gzip data ("),
    (IMAGES, b"\x1f\x8b" + bytes(30), "damaged gzip data (Unknown compression method)"),
    (IMAGES, header(2051, 2**32 - 1, 2**32 - 1, 2**32 - 1) + GOOD[16:], "cut off after 736 of the"),
    (IMAGES, header(2051, 60, 0, 3), "a set of 60x0x3, expected at least one example"),
    (LABELS, header(2049, 0), "a set of 0, expected at least one example"),
    (LABELS, idx_bytes(ARRAYS[1][:-1]), "59 labels, expected 60, one for each image of "),
    (LABELS, idx_bytes(ARRAYS[1] + 1), "label 10 at position 0, expected 0 to 9"),
    (TEST_IMAGES, idx_bytes(np.zeros((20, 3, 4), np.uint8)), "images of 3x4x1, but those of "),
]


@pytest.mark.parametrize("name, content, message", BAD_FILES)
def test_a_bad_file_is_named_with_what_was_found_and_expected(tmp_path, name, content, message):
    folder = write_set(tmp_path, ARRAYS)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_data_sets(folder, validation_size=0, num_classes=10)
    assert str(raised.value).startswith(os.path.join(folder, name) + ": ")
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_file_opened_as_text_is_told(tmp_path):
    folder = write_set(tmp_path, ARRAYS, packed=False)
    path = os.path.join(folder, NAMES[0])
    message = "opened as text, open it as open"
    with open(path, encoding="latin-1") as file, pytest.raises(DataError, match=message):
        mnist_data.extract_images(file)


def test_errors_are_value_errors_that_print_as_one_line():
    assert issubclass(DataError, ValueError)
    assert DataError.one_line


@pytest.mark.parametrize("size", [-1, 61])
def test_a_validation_set_larger_than_the_training_set_is_refused(tmp_path, size):
    folder = write_set(tmp_path, ARRAYS)
    message = f"Validation size should be between 0 and 60. Received: {size}."
    with pytest.raises(DataError, match=message):
        read_data_sets(folder, validation_size=size)


def test_labels_beyond_the_classes_are_refused():
    with pytest.raises(DataError, match="labels: label 3 at position 1, expected 0 to 2"):
        mnist_data.dense_to_one_hot(np.array([0, 3]), 3)
    file = io.BytesIO(idx_bytes(np.array([11], np.uint8)))
    with pytest.raises(DataError, match="label 11 at position 0, expected 0 to 9"):
        mnist_data.extract_labels(file, one_hot=True)


def test_images_and_labels_of_different_number_make_no_data_set():
    with pytest.raises(DataError, match="images.shape: .5, 2, 2, 1. labels.shape: .4,."):
        mnist_data.DataSet(np.zeros((5, 2, 2, 1)), np.zeros(4))


def test_images_with_colours_are_flattened_by_nobody():
    with pytest.raises(DataError, match="expected .n, rows, columns, 1. to flatten"):
        mnist_data.DataSet(np.zeros((5, 2, 2, 3)), np.zeros(5))
    coloured = mnist_data.DataSet(np.zeros((5, 2, 2, 3)), np.zeros(5), reshape=False)
    assert coloured.image_shape == (2, 2, 3)


# Folders


def entries(folder):
    return sorted(os.listdir(str(folder)))


def test_a_missing_folder_is_reported_and_not_made(tmp_path):
    with pytest.raises(DataError, match="mistyped: no such folder, expected the four IDX files"):
        read_data_sets(tmp_path / "mistyped", download=False)
    with pytest.raises(DataError, match="mistyped: no such folder"):
        mnist_data.checksums(tmp_path / "mistyped")
    assert entries(tmp_path) == []


def test_a_missing_file_is_named(tmp_path):
    folder = write_set(tmp_path, ARRAYS)
    (tmp_path / TEST_LABELS).unlink()
    with pytest.raises(DataError, match="no t10k-labels-idx1-ubyte.gz in it, expected the four"):
        read_data_sets(folder, download=False)


def test_files_of_mnist_do_not_complete_another_set(tmp_path):
    folder = write_set(tmp_path, ARRAYS)
    (tmp_path / TEST_LABELS).unlink()
    before = entries(tmp_path)
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz is not of MNIST"):
        read_data_sets(folder)
    assert entries(tmp_path) == before


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file: Not a directory, expected a folder"):
        read_data_sets(tmp_path / "file")


def test_a_folder_is_no_file(tmp_path):
    folder = write_set(tmp_path, ARRAYS)
    (tmp_path / IMAGES).unlink()
    (tmp_path / IMAGES).mkdir()
    with pytest.raises(DataError, match="gz: a folder or a device, expected a file"):
        read_data_sets(folder)


def test_a_pipe_is_not_waited_for(tmp_path):
    folder = write_set(tmp_path, ARRAYS)
    (tmp_path / IMAGES).unlink()
    os.mkfifo(str(tmp_path / IMAGES))
    for read in (read_data_sets, mnist_data.checksums):
        with pytest.raises(DataError, match="gz: a folder or a device, expected a file"):
            read(folder)


def test_a_link_to_nowhere_is_reported(tmp_path):
    folder = write_set(tmp_path, ARRAYS)
    (tmp_path / IMAGES).unlink()
    os.symlink("nowhere", str(tmp_path / IMAGES))
    with pytest.raises(DataError, match=r"gz: cannot be read \(No such file or directory\)"):
        read_data_sets(folder)


@pytest.mark.parametrize("locked", [IMAGES, "."])
def test_what_may_not_be_read_is_reported(tmp_path, locked):
    folder = write_set(tmp_path / "set", ARRAYS)
    message = as_another_user(folder, locked)
    assert message.startswith(os.path.normpath(os.path.join(folder, locked)) + ": ")
    assert "Permission denied" in message


def as_another_user(folder, locked):
    """What reading says to a process that has no right to `locked`; root would have every right."""
    for parent in (folder, os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))):
        os.chmod(parent, 0o755)
    os.chmod(os.path.dirname(os.path.dirname(os.path.dirname(folder))), 0o755)
    os.chmod(os.path.join(folder, locked), 0)
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            read_data_sets(folder, validation_size=0)
        except DataError as error:
            os.write(sender, str(error).encode())
        finally:
            os._exit(0)
    os.close(sender)
    with os.fdopen(receiver) as file:
        message = file.read()
    os.waitpid(child, 0)
    os.chmod(os.path.join(folder, locked), 0o755)
    return message


# Memory


def memory_above_file_size(content):
    file = io.BytesIO(content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as raised:
            mnist_data.extract_images(file)
        return tracemalloc.get_traced_memory()[1] - len(content), str(raised.value)
    finally:
        tracemalloc.stop()


def test_a_header_that_promises_too_much_takes_no_memory():
    for packed in (lambda content: content, gzip.compress):
        content = packed(header(2051, 2**32 - 1, 2**16, 2**16) + bytes(1000))
        memory, message = memory_above_file_size(content)
        assert "cut off after 1016 of the 18446744069414584336 bytes" in message
        assert memory < 2e6


def test_a_gzip_bomb_is_refused_before_it_is_unpacked():
    zeros = gzip.compress(bytes(32 << 20))
    content = gzip.compress(header(2051, 64, 2**12, 2**13)) + 64 * zeros
    memory, message = memory_above_file_size(content)
    assert "a gzip bomb" in message
    assert memory < 64e6


def test_a_gzip_bomb_behind_good_data_is_not_unpacked():
    content = gzip.compress(GOOD) + gzip.compress(bytes(256 << 20), compresslevel=1)
    memory, message = memory_above_file_size(content)
    assert "more data than the 736 bytes" in message
    assert memory < 4e6


def test_a_set_of_blank_images_is_no_bomb():
    blank = np.zeros((60000, 28, 28), np.uint8)
    file = io.BytesIO(gzip.compress(idx_bytes(blank), compresslevel=1))
    assert mnist_data.extract_images(file).shape == (60000, 28, 28, 1)


def test_mnist_takes_at_most_64_mb_above_the_size_of_its_file():
    with open(fuzz_mnist_data.TRAIN_IMAGES, "rb") as file:
        content = file.read()
    tracemalloc.start()
    try:
        images, memory = fuzz_mnist_data.reading(content, "images")
    finally:
        tracemalloc.stop()
    assert len(images) == 60000
    assert memory < len(content) + 64e6


# Properties

many = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
small_arrays = st.tuples(
    st.integers(1, 20), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1)
).map(lambda t: np.random.RandomState(t[3]).randint(0, 256, t[:3]).astype(np.uint8))


@many
@given(small_arrays, st.booleans())
def test_what_was_written_is_read(array, packed):
    content = idx_bytes(array)
    file = io.BytesIO(gzip.compress(content) if packed else content)
    np.testing.assert_array_equal(mnist_data.extract_images(file)[..., 0], array)


def assert_read_exactly_or_refused(content, kind):
    tracemalloc.start()
    try:
        assert fuzz_mnist_data.problem_with(content, kind)[0] is None
    finally:
        tracemalloc.stop()


kinds = st.sampled_from(["images", "labels"])


@many
@given(st.binary(max_size=200), kinds, st.booleans(), st.booleans())
def test_any_bytes_are_read_exactly_or_refused(content, kind, with_magic, packed):
    if with_magic:
        content = header(2051 if kind == "images" else 2049) + content
    assert_read_exactly_or_refused(gzip.compress(content) if packed else content, kind)


@many
@given(st.data(), kinds, st.booleans())
def test_a_changed_file_is_read_exactly_or_refused(data, kind, packed):
    content = idx_bytes(ARRAYS[0] if kind == "images" else ARRAYS[1])
    content = gzip.compress(content) if packed else content
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 20)))
    changed = content[:start] + data.draw(st.binary(max_size=20)) + content[end:]
    assert_read_exactly_or_refused(changed, kind)


@many
@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=20))
def test_batches_are_always_full_and_every_epoch_whole(size, calls):
    images = np.zeros((size, 1, 1, 1), np.uint8)
    data_set = mnist_data.DataSet(images, np.zeros(size), seed=0)
    chosen = [data_set.next_indices(batch_size, shuffle) for batch_size, shuffle in calls]
    assert [len(indices) for indices in chosen] == [batch_size for batch_size, _ in calls]
    given_out = np.concatenate([np.zeros(0, int)] + chosen)
    for start in range(0, len(given_out) - size + 1, size):
        assert sorted(given_out[start : start + size]) == list(range(size))


def test_damaged_files_are_read_exactly_or_refused():
    problem, _, read, most_memory = fuzz_mnist_data.run(files=1000, seed=1)
    assert problem is None
    assert 0 < read < 1000
    assert most_memory <= fuzz_mnist_data.MOST_MEMORY
