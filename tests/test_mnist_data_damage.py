"""mnist_data on bad data: one line for every mistake, and no memory taken on a file's word.
EXAMPLES says how many damaged files each property is tried with; `make fuzz` takes many."""

import contextlib
import errno
import functools
import gzip
import io
import os
import pathlib
import struct
import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from idx_files import NAMES, idx_bytes, image_set, write_set
from record_original_batches import MNIST

import mnist_data
from mnist_data import DataError, read_data_sets

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = (name + ".gz" for name in NAMES)
ARRAYS = image_set()
GOOD = idx_bytes(ARRAYS[0])
PACKED = gzip.compress(GOOD)
READERS = [mnist_data.extract_images, mnist_data.extract_labels]


def header(*numbers):
    return struct.pack(f">{len(numbers)}I", *numbers)


# What stands in a file of 60 images of 4x3 (or of their labels) instead, and what is said about it.
BAD_FILES = [
    (IMAGES, b"", "an empty file, expected IDX images (uint8 in 3 dimensions: "),
    (IMAGES, gzip.compress(b""), "an empty file"),
    (IMAGES, b"\0\0\x08", r"begins with b'\x00\x00\x08', expected IDX images"),
    (IMAGES, GOOD[:10], "cut off within its header"),
    (IMAGES, b"\n<!DOCTYPE html><html>", r"begins with b'\n<!DOCTY', expected IDX images"),
    (IMAGES, gzip.compress(PACKED), r"begins with b'\x1f\x8b\x08"),
    (IMAGES, idx_bytes(ARRAYS[1]), r"begins with b'\x00\x00\x08\x01\x00\x00\x00<', expected"),
    (LABELS, PACKED, r"\x00\x08\x03\x00\x00\x00<', expected IDX labels"),
    (LABELS, header(0xC01, 60) + bytes(240), r"begins with b'\x00\x00\x0c\x01\x00\x00\x00<', exp"),
    (IMAGES, header(0x1000803, 60, 4, 3) + GOOD[16:], r"begins with b'\x01\x00\x08\x03"),
    (IMAGES, header(0x804, 60, 1, 1, 5) + bytes(300), "60x1x1x5 values, expected IDX images"),
    (IMAGES, header(2051, 60, 0, 3), "60x0x3 values, expected IDX images"),
    (LABELS, header(2049, 0), "0 values, expected IDX labels"),
    (IMAGES, GOOD[:-1], "719 of the 720 bytes that its header promises (60x4x3)"),
    (IMAGES, gzip.compress(GOOD + b"x"), "more data than the 720 bytes"),
    (IMAGES, PACKED[:-30], "cannot be read (damaged gzip data: "),
    (IMAGES, PACKED + b"x", "cannot be read (damaged gzip data: "),
    (IMAGES, PACKED[:20] + b"xxxx" + PACKED[24:], "cannot be read (damaged gzip data: "),
    (LABELS, idx_bytes(ARRAYS[1][:-1]), "59 labels, expected 60, one for each image of "),
    (LABELS, idx_bytes(ARRAYS[1] + 1), "label 10 at position 0, expected 0 to 9"),
    (TEST_LABELS, idx_bytes(ARRAYS[3][1:]), "19 labels, expected 20"),
    (TEST_IMAGES, idx_bytes(np.zeros((20, 3, 4), np.uint8)), "images of 3x4x1, expected 4x3x1"),
]


@pytest.mark.parametrize("name, content, message", BAD_FILES)
def test_a_bad_file_is_named_with_what_was_found_and_expected(tmp_path, name, content, message):
    folder = write_set(tmp_path, ARRAYS)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_data_sets(folder, validation_size=0, num_classes=10)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(os.path.join(folder, name) + ": ") and message in line


def test_a_validation_set_takes_from_none_to_all_of_the_training_set(tmp_path):
    folder = write_set(tmp_path, ARRAYS)
    for size in (0, 60):
        data = read_data_sets(folder, validation_size=size)
        assert [part.num_examples for part in data] == [60 - size, size, 20]
    for size in (-1, 61):
        with pytest.raises(DataError, match=f"between 0 and 60. Received: {size}."):
            read_data_sets(folder, validation_size=size)


def test_arrays_that_do_not_fit_are_refused():
    one_hot, zeros = mnist_data.dense_to_one_hot, np.zeros
    for function, first, second, message in (
        (one_hot, [0, 3], 3, "label 3 at position 1, expected 0 to 2"),
        (one_hot, [0, -1], 3, "label -1 at position 1"),
        (mnist_data.DataSet, zeros((5, 2, 2, 1)), zeros(4), "labels.shape: .4,."),
        (mnist_data.DataSet, zeros((5, 2, 2, 3)), zeros(5), "expected .n, h, w, 1."),
    ):
        with pytest.raises(DataError, match=message):
            function(first, second)


def test_a_missing_folder_or_file_is_named_and_mnist_does_not_complete_another_set(tmp_path):
    folder = write_set(tmp_path, ARRAYS)
    os.rename(os.path.join(folder, TEST_LABELS), os.path.join(folder, "file"))
    before = os.listdir(folder)
    for name, message in (
        ("none", "none: no such folder; expected"),
        ("file", "file: Not a directory, exp"),
        ("", "no t10k-labels-idx1-ubyte.gz in it; expected the four"),
    ):
        with pytest.raises(DataError, match=message):
            read_data_sets(tmp_path / name, download=False)
    with pytest.raises(DataError, match="but train-images-idx3-ubyte.gz, .* not of MNIST"):
        read_data_sets(folder)
    assert os.listdir(folder) == before


OTHER_NAMES = ("emnist-letters-{}.gz", "{} (1).gz", "fashion_{}", "{}-copy", "qmnist.{}.zip")


@pytest.mark.parametrize("form", OTHER_NAMES)
def test_what_is_there_under_other_names_is_told_and_mnist_put_beside_nothing(form, tmp_path):
    write_set(tmp_path, ARRAYS, names=[form.format(n) for n in NAMES], packed=False)
    (tmp_path / f"{IMAGES}.17.ab.part").write_text("left by a download that was killed")
    before = os.listdir(str(tmp_path))
    for download in (True, False):
        with pytest.raises(DataError) as raised:
            read_data_sets(tmp_path, download=download)
        assert all(part in str(raised.value) for part in (form.format(NAMES[0]), IMAGES))
        assert "part" not in str(raised.value) and os.listdir(str(tmp_path)) == before


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, functools.partial(os.symlink, "nowhere")])
def test_what_is_no_file_is_told_and_not_waited_for(tmp_path, make):
    folder = write_set(tmp_path, ARRAYS)
    (tmp_path / IMAGES).unlink()
    make(str(tmp_path / IMAGES))
    for read in (read_data_sets, mnist_data.checksums):
        with pytest.raises(DataError, match="gz: a folder, a device or a link to nothing, expect"):
            read(folder)


@pytest.mark.parametrize("function, named", [("os.listdir", ""), ("builtins.open", IMAGES)])
def test_what_may_not_be_read_is_reported(tmp_path, monkeypatch, function, named):
    folder = write_set(tmp_path, ARRAYS)
    refusal = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(function, mock.Mock(side_effect=refusal))
    with pytest.raises(DataError, match=f"{named}.*Permission denied"):
        read_data_sets(folder)


LYING = {
    header(2051, 2**32 - 1, 2**16, 2**16) + bytes(1000): 4e6,
    gzip.compress(header(2051, *[2**32 - 1] * 3) + bytes(1000)): 4e6,
    PACKED + gzip.compress(bytes(256 << 20), compresslevel=1): 4e6,
    pathlib.Path(MNIST, IMAGES).read_bytes(): 1.5 * 60000 * 784,
}


@pytest.mark.parametrize("content", LYING, ids=len)
def test_memory_grows_neither_with_a_promise_nor_beyond_it_and_mnist_is_there_once(content):
    is_mnist, refused = LYING[content] > 4e6, pytest.raises(DataError, match="header promises")
    tracemalloc.start()
    with contextlib.nullcontext() if is_mnist else refused:
        mnist_data.extract_images(io.BytesIO(content))
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < LYING[content]


# Numbers at the edges of what a header can say.
EDGES = (0, 1, 4, 5, 255, 2**16, 2**31, 2**32 - 1, 2049, 2051, 2052, 0xD03)


def changed(content, data):
    """The content with up to 20 bytes of it, anywhere, replaced by up to 20 others."""
    start = data.draw(st.integers(0, len(content)))
    others = st.binary(max_size=20) | st.sampled_from(EDGES).map(header)
    return content[:start] + data.draw(others) + content[start + data.draw(st.integers(0, 20)) :]


@settings(
    max_examples=int(os.environ.get("EXAMPLES", 300)),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.data(), st.sampled_from(READERS), st.booleans(), st.booleans(), st.booleans())
def test_a_file_is_read_exactly_or_refused(data, read, packed, damaged_before, damaged):
    size, rows, columns = (data.draw(st.integers(1, 9)) for _ in range(3))
    arrays = image_set(train=size, rows=rows, columns=1 + columns)
    content = idx_bytes(arrays[READERS.index(read)])
    content = changed(content, data) if damaged_before else content
    content = gzip.compress(content) if packed else content
    content = changed(content, data) if damaged else content
    file = io.BytesIO(content)
    file.name = "damaged.idx"
    try:
        array = read(file)
    except DataError as error:
        assert damaged_before or damaged
        (line,) = str(error).splitlines()
        assert line.startswith("damaged.idx: ")
    else:
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        assert content in (idx_bytes(array), idx_bytes(array[..., 0]))
