"""MNIST and every other image set in the IDX format: from files to arrays to batches.

Takes the place of tensorflow.examples.tutorials.mnist.input_data, which TensorFlow removed: a
program written for it works after changing only its import. Needs NumPy alone, never imports
TensorFlow, and is one file that can be copied into any program.

    data = read_data_sets("MNIST_data", one_hot=True, seed=0)  # Datasets(train, validation, test)
    images, labels = data.train.next_batch(128)                # float32 [128, 784] and [128, 10]
    indices = data.train.next_indices(128)   int32 [128], for a graph that holds the images itself
    state = data.train.state()               order, position and random numbers
    data.train.restore(state)                the batches go on from there, bit for bit

    python mnist_data.py --check MNIST_data       what is there, and whether it is the real MNIST
    python mnist_data.py --download MNIST_data    fetches what is missing, then does the same

What differs from the original: every DataSet has its own random numbers, so tf.set_random_seed has
no influence (pass `seed`). There the three sets share NumPy's global generator, so batches are
alike as long as one set alone is shuffled (the others with shuffle=False) and the program draws
nothing from it. A batch is a copy. What is wrong with files is raised as DataError.
"""

import collections
import contextlib
import errno
import glob
import io
import operator
import os
import sys
import zlib

try:
    import numpy as np
except ImportError as missing:
    if __name__ != "__main__":
        raise
    sys.stderr.write(f"mnist_data.py: error: {missing}: run pip install -r requirements.txt\n")
    sys.exit(2)

DEFAULT_SOURCE_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
MIRRORS = (DEFAULT_SOURCE_URL, "https://ossci-datasets.s3.amazonaws.com/mnist/")
# Where this project has it.
OWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "MNIST_data")
# The address in older programs. It no longer answers, but it shows that MNIST is what they want.
FORMER_ADDRESS = "http://yann.lecun.com/exdb/mnist/"

# SHA-256 of what is in the files of MNIST; below, by that of these files packed as on the mirrors.
CANONICAL = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
PACKED = (
    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
)
UNPACKED = dict(zip(PACKED, CANONICAL.values()))

# An IDX file begins with two zero bytes, the type of its values (8: uint8) and the number of its
# dimensions; their sizes follow, in four bytes each, then the values.
DIMENSIONS = {"images": (3, 4), "labels": (1,)}
EXPECTED = {
    "images": r"IDX images (uint8 in 3 dimensions: b'\x00\x00\x08\x03'; in 4, the channels last)",
    "labels": r"IDX labels (uint8 in 1 dimension: b'\x00\x00\x08\x01')",
}
READ_BYTES, LARGEST_DOWNLOAD = 1 << 20, 1 << 29
# Before the values in memory. A large array begins 16 bytes after a multiple of 64 with glibc: so
# they begin at a multiple, where TensorFlow takes them as they lie.
BYTES_BEFORE = 48
TIMEOUT = 10.0  # seconds without a connection, an answer or further data

Datasets = collections.namedtuple("Datasets", ["train", "validation", "test"])


class DataError(ValueError):
    """Data that cannot be used. One line says what was found, what was expected, what to do."""

    one_line = True

    def __init__(self, message):
        super().__init__(" ".join(message.splitlines()))


def read_data_sets(
    train_dir, fake_data=False, one_hot=False, dtype=np.float32, reshape=True, validation_size=5000,
    seed=None, source_url=DEFAULT_SOURCE_URL, num_classes=None, download=True,
):  # fmt: skip
    """Reads the four files in the folder `train_dir` and returns Datasets(train, validation, test).

    The first `validation_size` training images are the validation set. `one_hot`: labels float64
    [n, num_classes] instead of uint8 [n]. `dtype`, `reshape` and `seed` are those of DataSet.
    `num_classes`: by default the largest label + 1. Missing files are fetched from `source_url`,
    and MNIST from its other mirrors too, unless `download` is False. Raises DataError.
    """
    if fake_data:
        return Datasets(*[DataSet([], [], True, one_hot, dtype, seed=seed) for _ in range(3)])
    source_url = source_url or DEFAULT_SOURCE_URL
    folder = _own_if_empty(train_dir) if download and _is_mnist(source_url) else train_dir
    paths = find_files(folder, source_url, download)
    train_images, test_images = extract_images(paths[0]), extract_images(paths[2])
    train_labels, test_labels = extract_labels(paths[1]), extract_labels(paths[3])
    classes = _classes_of(paths, (train_images, train_labels, test_images, test_labels))
    size, most, classes = validation_size, len(train_images), num_classes or classes
    if not 0 <= size <= most:
        raise DataError(f"Validation size should be between 0 and {most}. Received: {size}.")
    _tell_order(paths[1], train_labels, size)
    train_labels = _encode(train_labels, one_hot, classes, paths[1])
    parts = [(train_images[part], train_labels[part]) for part in (slice(size, None), slice(size))]
    parts.append((test_images, _encode(test_labels, one_hot, classes, paths[3])))
    options = {"dtype": dtype, "reshape": reshape, "seed": seed, "num_classes": classes}
    return Datasets(*[DataSet(*part, **options) for part in parts])


def load_mnist(train_dir="MNIST-data"):
    return read_data_sets(train_dir)


class DataSet:
    """Images with their labels, given out in batches.

    `dtype` np.float32 scales images from [0, 255] to [0, 1], np.uint8 leaves them as they are.
    `reshape` flattens [n, rows, columns, 1] to [n, rows * columns]. `seed` decides the order of the
    batches; None takes a random one. `one_hot` is used only with `fake_data`, as in the original.

    Programs may read and set `_images`, `_labels`, `_num_examples`, `_index_in_epoch` and
    `_epochs_completed` as in the original. As there, next_batch moves the images at every shuffle;
    next_indices counts them in their first order.
    """

    # For a subclass that sets the inner names itself and does not call __init__. Without `_random`
    # NumPy's global generator shuffles, as in the original.
    _random = _num_classes = None
    _fake = False
    _order = np.arange(0)  # the examples in the order of the epoch
    _places = None  # where they are in the arrays, if these have not been moved since

    def __init__(
        self, images, labels, fake_data=False, one_hot=False, dtype=np.float32, reshape=True,
        seed=None, num_classes=None,
    ):  # fmt: skip
        dtype = np.dtype(getattr(dtype, "as_numpy_dtype", dtype))  # which a tf.DType has
        if dtype not in (np.uint8, np.float32):
            raise TypeError(f"Invalid image dtype {dtype}, expected uint8 or float32")
        # The original's seeds pass through TensorFlow, which truncates them so.
        self._random = np.random.RandomState(None if seed is None else seed % (2**31 - 1))
        self.one_hot, self._fake, self._num_classes = one_hot, fake_data, num_classes
        self._num_examples = 10000 if fake_data else len(images)
        if not fake_data:
            if len(images) != len(labels):
                raise DataError(f"images.shape: {images.shape} labels.shape: {labels.shape}")
            self.image_shape = images.shape[1:]
            if reshape:
                if self.image_shape[2:] != (1,):
                    raise DataError(f"images.shape: {images.shape}, expected [n, h, w, 1]")
                images = images.reshape(len(images), images.shape[1] * images.shape[2])
            if dtype == np.float32:
                images = images.astype(np.float32)
                images *= 1.0 / 255.0
        self._images, self._labels = images, labels
        self._order = np.arange(self._num_examples, dtype=np.int32)
        self._index_in_epoch = self._epochs_completed = 0

    # All images and labels: as they were given at first; once next_batch was called, as shuffled.
    images = property(operator.attrgetter("_images"))
    labels = property(operator.attrgetter("_labels"))
    num_examples = property(operator.attrgetter("_num_examples"))
    epochs_completed = property(operator.attrgetter("_epochs_completed"))

    @property
    def num_classes(self):
        """The width of one-hot labels, else the number given, else the largest label + 1."""
        width = self._labels.shape[1:]
        return width[0] if width else self._num_classes or int(self._labels.max()) + 1

    def next_batch(self, batch_size, fake_data=False, shuffle=True):
        """Returns the next `batch_size` (images, labels); see next_indices for their order."""
        if fake_data or self._fake:
            fake_label = [1] + [0] * 9 if self.one_hot else 0
            return [[1] * 784 for _ in range(batch_size)], [fake_label for _ in range(batch_size)]
        images, labels = [], []
        for part in self._parts(batch_size, shuffle):
            if self._places is not None:
                self._images = self._images.take(self._places, axis=0)
                self._labels = self._labels.take(self._places, axis=0)
                self._places = None
            images.append(self._images[part])
            labels.append(self._labels[part])
        return np.concatenate(images), np.concatenate(labels)

    def next_indices(self, batch_size, shuffle=True):
        """Returns which examples make up the next batch: int32 [batch_size], if there are so many.

        Each epoch shuffles the order of the one before. A batch that reaches beyond the end of an
        epoch takes what is left of it and goes on in the next, not beyond that, as in the original;
        an epoch counts as completed only then.
        """
        return np.concatenate([self._order[part] for part in self._parts(batch_size, shuffle)])

    def _parts(self, batch_size, shuffle):
        """Yields the parts of the next batch as slices of an epoch, shuffling before each epoch."""
        if batch_size < 0 or self._num_examples == 0 < batch_size:
            raise DataError(f"a batch of {batch_size}, from {self._num_examples} examples")
        start, size = self._index_in_epoch, self._num_examples
        if shuffle and start == 0 and self._epochs_completed == 0:
            self._shuffle()
        if start + batch_size > size:
            # The start is beyond the end if a program reduced _num_examples, or after too large a
            # batch.
            yield slice(start, size)
            self._epochs_completed += 1
            if shuffle:
                self._shuffle()
            start, batch_size = 0, batch_size - (size - start)
        self._index_in_epoch = start + batch_size
        yield slice(start, self._index_in_epoch)

    def _shuffle(self):
        places = np.arange(self._num_examples)
        (self._random or np.random).shuffle(places)
        if len(self._order) < len(places):  # a program has put other examples in
            self._order, self._places = np.arange(len(places), dtype=np.int32), None
        self._rearrange(places)

    def _rearrange(self, places):
        self._order = self._order[places]
        self._places = places if self._places is None else self._places[places]

    def state(self):
        """Returns the order and position of the batches as a dict of plain arrays and ints."""
        _, key, position, *_ = self._random.get_state()
        places = {"position": self._index_in_epoch, "epochs_completed": self._epochs_completed}
        random = {"random_key": key.copy(), "random_position": int(position)}
        return {"order": self._order.copy(), **places, **random}

    def restore(self, state):
        """Goes back to what `state` describes (lists instead of arrays will do). Raises DataError,
        and changes nothing, when it is not a state of a data set of this size."""
        try:
            order, key = np.asarray(state["order"]), np.array(state["random_key"], np.uint32)
            names = ("position", "epochs_completed", "random_position")
            position, epochs_completed, random_position = (int(state[name]) for name in names)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"not a state of a data set: {error!r}") from None
        fits = np.array_equal(np.sort(order, axis=None), np.arange(self._num_examples))
        fits &= min(position, epochs_completed, random_position) >= 0
        if not (fits and order.ndim == 1 and key.shape == (624,) and random_position <= 624):
            raise DataError(f"a state of {order.size} examples does not fit {self._num_examples}")
        self._rearrange(np.argsort(self._order)[order.astype(np.int32)])
        self._random.set_state(("MT19937", key, random_position))
        self._index_in_epoch, self._epochs_completed = position, epochs_completed


def extract_images(f):
    """Reads IDX images at a path or in a binary file, gzip or not: uint8 [n, rows, columns, 1]."""
    images = _read_idx(f, "images")
    return images if images.ndim == 4 else images[..., np.newaxis]


def extract_labels(f, one_hot=False, num_classes=10):
    """Reads IDX labels likewise: uint8 [n], or with `one_hot` float64 [n, num_classes]."""
    labels = _read_idx(f, "labels")
    return _encode(labels, True, num_classes, _name(f)) if one_hot else labels


def dense_to_one_hot(labels_dense, num_classes):
    """Returns labels [n] as float64 [n, num_classes]: one in the label's column, else zero."""
    return _encode(labels_dense, True, num_classes, "labels")


def _encode(labels, one_hot, num_classes, name):
    labels = np.asarray(labels).ravel()
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(outside):
        expected = f"0 to {num_classes - 1}; with more classes, give their number as num_classes"
        raise DataError(
            f"{name}: label {labels[outside[0]]} at position {outside[0]}, expected {expected}"
        )
    return np.eye(num_classes)[labels] if one_hot else labels


def _classes_of(paths, arrays):
    """Returns the number of classes of four files. Raises DataError if they are not of one set."""
    for first in (0, 2):
        count, expected = len(arrays[first + 1]), len(arrays[first])
        if count != expected:
            of = f"expected {expected}, one for each image of {paths[first]}"
            raise DataError(f"{paths[first + 1]}: {count} labels, {of}")
    shape, expected = _times(arrays[2].shape[1:]), _times(arrays[0].shape[1:])
    if shape != expected:
        raise DataError(f"{paths[2]}: images of {shape}, expected {expected} as in {paths[0]}")
    return int(max(arrays[1].max(), arrays[3].max())) + 1


def _tell_order(path, labels, size=5000):
    """Says on standard error if examples whose first `size` are to validate are sorted by class."""
    number, first, others = (len(set(p.tolist())) for p in (labels, labels[:size], labels[size:]))
    if size and 0 < np.count_nonzero(np.diff(labels)) < 2 * number < len(labels) / 2:
        sys.stderr.write(
            f"mnist_data.py: note: {path}: the examples are sorted by class: of {number} classes,"
            f" {first} are in the validation set, the first {size} examples, and {others} are in"
            " the training set, the others; mix the examples\n"
        )


def _times(shape):
    return "x".join(map(str, shape))


def _name(f):
    return str(getattr(f, "name", "data") if hasattr(f, "read") else f)


@contextlib.contextmanager
def _unpacked(f):
    """Opens a path or a binary file, gzip or not. Raises DataError for what cannot be read."""
    import gzip

    try:
        with io.BytesIO(f.read()) if hasattr(f, "read") else open(f, "rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            yield gzip.GzipFile(fileobj=file) if is_packed else file
    except (EOFError, OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or f"damaged gzip data: {error}"
        raise DataError(f"{_name(f)}: cannot be read ({reason})") from None


def _read_idx(f, kind):
    """Returns the uint8 array in an IDX file. Memory grows with the data, not the promises."""
    name, content = _name(f), bytearray(BYTES_BEFORE)
    with _unpacked(f) as file:
        start = file.read(4)
        if start[:3] != b"\0\0\x08" or start[-1] not in DIMENSIONS[kind]:
            found = f"begins with {start + file.read(4)}" if start else "an empty file"
            raise DataError(f"{name}: {found}, expected {EXPECTED[kind]}")
        sizes = file.read(4 * start[3])
        if len(sizes) < 4 * start[3]:
            raise DataError(f"{name}: cut off within its header; get the file again")
        shape = np.frombuffer(sizes, ">u4").tolist()
        if 0 in shape or (len(shape) == 4 and shape[3] > 4):
            raise DataError(f"{name}: {_times(shape)} values, expected {EXPECTED[kind]}")
        end = BYTES_BEFORE + np.prod(np.array(shape, dtype=object))  # never overflows
        before = 0
        while before < len(content) <= end:
            before = len(content)
            content += file.read(min(READ_BYTES, end + 1 - before))
    if len(content) != end:
        found = "more data than" if len(content) > end else f"{len(content) - BYTES_BEFORE} of"
        found += f" the {end - BYTES_BEFORE} bytes that its header promises ({_times(shape)})"
        raise DataError(f"{name}: {found}: the file is damaged or cut off; get it again")
    return np.frombuffer(content, np.uint8, offset=BYTES_BEFORE).reshape(shape)


def find_files(folder, source_url=DEFAULT_SOURCE_URL, download=False):
    """Returns the paths of the four files: training images and labels, test images and labels.

    Each may be packed (.gz) or not, have a dot for the first dash of -idx, and be in a folder of
    such a name, as Kaggle serves them. Missing ones are fetched, if `download`; else DataError.
    """
    folder = os.fsdecode(folder)
    try:
        present = sorted(os.listdir(folder)) if os.path.exists(folder) else []
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}, expected a folder to read from") from None
    found = {name: _path_of(name, folder) for name in CANONICAL}
    missing = [name for name, path in found.items() if path is None]
    # IDX files with names of their own, as EMNIST's have.
    idx = [name for name in present if "-ubyte" in name and not name.endswith(".part")]
    others = [n for n in idx if n.replace(".idx", "-idx").split(".gz")[0] not in CANONICAL]
    if missing and download:
        files = [path for name, path in found.items() if path and not is_canonical(path, name)]
        others += map(os.path.basename, files)
    if missing and (not download or others and _is_mnist(source_url)):
        what = f"no {missing[0]}.gz in it" if os.path.exists(folder) else "no such folder"
        there = f", but {', '.join(others)}, not of MNIST" if others else ""
        raise DataError(
            f"{folder}: {what}{there}; expected the four IDX files of one set under the names of"
            " MNIST's; or fetch MNIST: python mnist_data.py --download FOLDER"
        )
    for name in missing:
        found[name] = maybe_download(f"{name}.gz", folder, f"{source_url}{name}.gz")
    return list(found.values())


def _own_if_empty(folder):
    """Returns `folder`, or OWN in its place if there is no IDX file in it."""
    folder = os.fsdecode(folder)
    is_used = os.path.isfile(folder) or glob.glob(os.path.join(glob.escape(folder), "*-ubyte*"))
    if is_used or not os.path.isdir(OWN):
        return folder
    print(f"mnist_data.py: note: {folder}: no MNIST there, it is read from {OWN}", file=sys.stderr)
    return OWN


def _path_of(name, folder):
    dotted = name.replace("-idx", ".idx")
    spellings = (f"{name}.gz", name, f"{dotted}.gz", dotted)
    inner = [os.path.join(outer, spelling) for outer in spellings for spelling in spellings]
    paths = [os.path.join(folder, each) for each in (*spellings, *inner)]
    present = [path for path in paths if os.path.lexists(path)]
    files = [path for path in present if os.path.isfile(path)]
    if present and not files:  # Opening a pipe would wait for its writer.
        raise DataError(f"{present[0]}: a folder, a device or a link to nothing, expected a file")
    return files[0] if files else None


def checksums(folder):
    """Returns {name in CANONICAL: SHA-256 of what is in the file, unpacked} of the four files."""
    return {name: _checksum(path) for name, path in zip(CANONICAL, find_files(folder))}


def is_canonical(f, name):
    """Whether a file, packed or not, holds what the canonical MNIST file `name` does."""
    with contextlib.suppress(DataError):
        return _checksum(f) == CANONICAL[name]
    return False


def _checksum(f):
    import hashlib

    with _unpacked(f) as unpacked:
        stored = getattr(unpacked, "fileobj", unpacked)
        for file in (stored, unpacked):  # MNIST's files need not be unpacked again.
            stored.seek(0)
            digest = hashlib.sha256()
            for part in iter(lambda file=file: file.read(READ_BYTES), b""):
                digest.update(part)
            if digest.hexdigest() in UNPACKED:
                return UNPACKED[digest.hexdigest()]
    return digest.hexdigest()


def maybe_download(filename, work_directory, source_url):
    """Fetches `source_url` unless the file is in the folder already; returns the file's path.

    MNIST's is fetched from the other mirrors too and must have the right SHA-256. Raises DataError,
    and writes nothing, when the file cannot be had.
    """
    path = os.path.join(os.fsdecode(work_directory), filename)
    if os.path.exists(path):
        return path
    content = _download(source_url, filename, path)
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.part"
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if not os.path.isfile(path):  # Windows: another process has just written and reads it.
            raise DataError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)
    return path


def _is_mnist(address):
    return address == FORMER_ADDRESS or address in MIRRORS


def _download(source_url, filename, path):
    """Returns the content of the file from the first address that gives the right one."""
    import http.client
    import urllib.request

    problems, name = [], filename[: -len(".gz")]
    is_mnist = _is_mnist(source_url[: -len(filename)])
    mirrors = [mirror + filename for mirror in MIRRORS if is_mnist]
    for url in dict.fromkeys([source_url, *mirrors]):
        content = io.BytesIO()
        content.name = "found there"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
                while content.write(response.read(READ_BYTES)):
                    if content.tell() > LARGEST_DOWNLOAD:
                        raise OSError(f"more than {LARGEST_DOWNLOAD} bytes")
                if response.length:
                    raise OSError(f"cut off, {response.length} bytes are missing")
            content.seek(0)
            if name in CANONICAL:
                _read_idx(content, "images" if "images" in name else "labels")
                content.seek(0)
            if is_mnist and not is_canonical(content, name):
                raise DataError("found another file, expected that of MNIST")
            return content.getvalue()
        except (OSError, ValueError, http.client.HTTPException) as error:
            problems.append(f"{url}: {error}")
    words = f"no such file, and it cannot be downloaded: {'; '.join(problems)}; connect to the"
    raise DataError(f"{path}: {words} network, or copy the file there by hand")


def check(folder, download=False):
    """Prints a table of the four files. Raises DataError when they are not a usable set."""
    paths, arrays, problems = find_files(folder, MIRRORS[0], download), [], []
    known = {path: is_canonical(path, name) for name, path in zip(CANONICAL, paths)}
    for path, kind in zip(paths, ("images", "labels") * 2):
        contents, size = "unusable", os.path.getsize(path)
        try:
            arrays.append(_read_idx(path, kind))
            shape = _times(arrays[-1].shape[1:])
            contents = f"{len(arrays[-1])} {kind}" + f" of {shape}" * bool(shape)
        except DataError as error:
            problems.append(str(error))
        checksum = "ok" if known[path] else "unknown"
        print(f"{os.path.basename(path):26} {size:>12,} bytes  {contents:24}  SHA-256 {checksum}")
    if problems:
        raise DataError("; ".join(problems))
    other = f"an IDX set of {_classes_of(paths, arrays)} classes, but not the canonical MNIST"
    _tell_order(paths[1], arrays[1])
    print(f"{folder}: {'the canonical MNIST' if all(known.values()) else other}", flush=True)


def main(arguments=None):
    """Runs the command line and returns its exit code."""
    import argparse

    if hasattr(sys.stdout, "reconfigure"):  # not in a notebook
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--check", metavar="FOLDER", help="say what is there, and if it is MNIST")
    group.add_argument("--download", metavar="FOLDER", help="fetch missing files, then check")
    if arguments is None and "ipykernel" in sys.argv[0]:  # whose arguments are its own
        arguments = []
    flags = parser.parse_args(arguments)
    download = flags.download is not None
    try:
        check(flags.download if download else flags.check, download)
    except KeyboardInterrupt:
        print("mnist_data.py: interrupted", file=sys.stderr)
        return 130
    except (DataError, OSError) as error:
        # Where the reader of the output left, for which Windows has EINVAL, nobody is to be told.
        if getattr(error, "errno", None) not in (errno.EPIPE, errno.EINVAL) or error.filename:
            print(f"mnist_data.py: error: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
