"""Feeds damaged IDX files to mnist_data and compares with a plain reading of the format.

    python tests/fuzz_mnist_data.py 100000 [SEED]

Every file must give exactly the data that gzip and the header's definition give, or DataError, and
take at most 64 MB more than its own size. The first file that does otherwise is written to
fuzz_failure.idx, and the exit code is 1.
"""

import argparse
import gzip
import io
import os
import struct
import sys
import tracemalloc
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import numpy as np  # noqa: E402
from idx_files import idx_bytes, image_set  # noqa: E402

import mnist_data  # noqa: E402

MOST_MEMORY = 64_000_000
TRAIN_IMAGES = os.path.join(os.path.dirname(HERE), "MNIST_data", "train-images-idx3-ubyte.gz")
# One in so many files is large: damaged training images of MNIST, or a gzip bomb.
LARGE_EVERY = 2000
# Sizes at the edges of what a header can say.
SIZES = (0, 1, 2, 255, 256, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
MAGICS = (0, 2049, 2050, 2051, 2052, 0x0D03, 0x0C02, 2051 << 8, 2**32 - 1)


def flip_bits(content, random):
    for _ in range(random.randint(1, 9)):
        place = random.randint(len(content))
        content[place] ^= 1 << random.randint(8)


def overwrite(content, random):
    start = random.randint(len(content))
    end = min(len(content), start + random.randint(1, 65))
    content[start:end] = random.bytes(end - start)


def cut_off(content, random):
    del content[random.randint(len(content)) :]


def cut_out(content, random):
    start = random.randint(len(content))
    del content[start : start + random.randint(1, 65)]


def insert(content, random):
    place = random.randint(len(content) + 1)
    content[place:place] = random.bytes(random.randint(1, 65))


def append(content, random):
    size = random.randint(1, 65)
    content += random.bytes(size) if random.randint(2) else bytes(size)


def repeat(content, random):
    content *= random.randint(2, 4)


def change_header(content, random):
    place = 4 * random.randint(4)
    values = SIZES if place else MAGICS
    content[place : place + 4] = struct.pack(">I", values[random.randint(len(values))])


DAMAGES = (flip_bits, overwrite, cut_off, cut_out, insert, append, repeat, change_header)


def damage(content, random):
    for _ in range(random.randint(1, 4)):
        if content:
            DAMAGES[random.randint(len(DAMAGES))](content, random)


def damaged_file(random, kind):
    """A small file of this kind, damaged before or after it is packed, or both, or not packed."""
    images, labels, _, _ = image_set(train=1 + random.randint(40), seed=random.randint(2**31))
    content = bytearray(idx_bytes(images if kind == "images" else labels))
    before, after = ((True, False), (False, True), (True, True))[random.randint(3)]
    if before:
        damage(content, random)
    if random.randint(3):
        content = bytearray(gzip.compress(bytes(content), compresslevel=1))
    if after:
        damage(content, random)
    return bytes(content)


def large_file(random):
    """Training images of MNIST with damage somewhere, or a gzip bomb that its header announces."""
    if random.randint(2):
        with open(TRAIN_IMAGES, "rb") as file:
            content = bytearray(file.read())
        damage(content, random)
        return bytes(content)
    zeros = gzip.compress(bytes(16 << 20), compresslevel=1)
    promised = struct.pack(">IIII", 2051, 1 + random.randint(2**20), 1024, 1024)
    return gzip.compress(promised) + zeros * (4 + random.randint(60))


def plain_reading(content, kind):
    """The array in a file by the definition of the format, or None when it is not valid."""
    for _ in range(2):
        if content.startswith(b"\x1f\x8b"):
            try:
                content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(mnist_data.BOMB_BYTES + 1)
            except (OSError, EOFError, zlib.error):
                return None
    if len(content) < 4 or len(content) > mnist_data.BOMB_BYTES:
        return None
    zeros, value_type, dimensions = struct.unpack_from(">HBB", content)
    end = 4 + 4 * dimensions
    if zeros or value_type != 8 or len(content) < end:
        return None
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    if not (len(shape) in (3, 4) if kind == "images" else len(shape) == 1):
        return None
    if len(shape) == 3:
        shape += (1,)
    size = 1
    for length in shape:
        size *= length
    if size == 0 or len(content) != end + size or (len(shape) == 4 and shape[3] > 4):
        return None
    return np.frombuffer(content, np.uint8, offset=end).reshape(shape)


def reading(content, kind):
    """What mnist_data reads from a file, or None for DataError; and the memory it took."""
    file = io.BytesIO(content)
    file.name = "damaged.idx"
    extract = mnist_data.extract_images if kind == "images" else mnist_data.extract_labels
    tracemalloc.clear_traces()
    try:
        array = extract(file)
    except mnist_data.DataError as error:
        message = str(error)
        if not message.startswith("damaged.idx: ") or "\n" in message:
            raise AssertionError(f"not one line that names the file: {message!r}") from error
        array = None
    memory = tracemalloc.get_traced_memory()[1]
    return array, memory


def problem_with(content, kind):
    """What mnist_data does wrong with this file, or None; whether it was read; the memory taken."""
    try:
        array, memory = reading(content, kind)
    except Exception as error:
        return f"{type(error).__name__}: {error}", False, 0
    expected = plain_reading(content, kind)
    problem = None
    if memory > len(content) + MOST_MEMORY:
        problem = f"took {memory} bytes of memory for a file of {len(content)}"
    elif array is None and expected is not None:
        problem = "refused a good file"
    elif array is not None and (expected is None or not np.array_equal(array, expected)):
        problem = "read something else than the file holds"
    return problem, array is not None, max(0, memory - len(content))


def run(files, seed, progress=iter):
    """Tries that many files. Returns (problem or None, its content, files read, most memory)."""
    random = np.random.RandomState(seed)
    read, most_memory = 0, 0
    tracemalloc.start()
    try:
        for number in progress(range(1, files + 1)):
            kind = "images" if random.randint(2) else "labels"
            content = damaged_file(random, kind)
            if number % LARGE_EVERY == 0:
                kind, content = "images", large_file(random)
            problem, was_read, memory = problem_with(content, kind)
            read += was_read
            most_memory = max(most_memory, memory)
            if problem:
                return f"file {number}, as {kind}: {problem}", content, read, most_memory
    finally:
        tracemalloc.stop()
    return None, b"", read, most_memory


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=int, help="how many files to try")
    parser.add_argument("seed", type=int, nargs="?", default=0, help="which files (default: 0)")
    arguments = parser.parse_args()
    from tqdm import tqdm

    problem, content, read, most_memory = run(
        arguments.files, arguments.seed, lambda numbers: tqdm(numbers, disable=None, leave=False)
    )
    if problem:
        with open("fuzz_failure.idx", "wb") as file:
            file.write(content)
        print(f"{problem}; the file is fuzz_failure.idx (seed {arguments.seed})", file=sys.stderr)
        return 1
    print(
        f"{arguments.files} damaged IDX files, seed {arguments.seed}: {read} still held"
        " good data and were read exactly, the others were refused with one line; at most"
        f" {most_memory / 1e6:.1f} MB above a file's own size"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
