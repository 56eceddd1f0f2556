"""MNIST and every other image set in the IDX format: from files to arrays to batches.

Takes the place of tensorflow.examples.tutorials.mnist.input_data, which TensorFlow removed: a
program written for it works after changing only its import. Needs NumPy alone, never imports
TensorFlow, and is one file that can be copied into any program.

    data = read_data_sets("MNIST_data", one_hot=True, seed=0)  # Datasets(train, validation, test)
    images, labels = data.train.next_batch(128)                # float32 [128, 784] and [128, 10]

For a training loop that keeps the images in the graph and is fed only indices:

    data = read_data_sets(folder, dtype=np.uint8, reshape=False, seed=0, download=False)
    data.train.images            uint8 [55000, 28, 28, 1], as in the file
    data.train.labels            uint8 [55000]
    data.train.image_shape       (28, 28, 1)
    data.train.num_classes       10: the largest label of both label files + 1
    data.train.next_indices(128) int32 [128]: the examples that next_batch(128) would return
    state = data.train.state()   order, position and random numbers, as plain arrays and ints
    data.train.restore(state)    the batches go on from there, bit for bit
    checksums(folder)            {file name: SHA-256 of the file}

What is wrong with a file or a folder is raised as DataError, a ValueError whose message is one
line. With download=False a missing file is such an error; otherwise it is downloaded, as the
original did. From the command line:

    python mnist_data.py --check MNIST_data       what is there, and whether it is the real MNIST
    python mnist_data.py --download MNIST_data    fetches what is missing, then does the same

What differs from the original: every DataSet has its own random numbers, so NumPy's global
generator is not touched and tf.set_random_seed has no influence (pass `seed`); a batch is a copy,
so writing into one does not change the data set; nothing is printed.
"""

import collections
import contextlib
import errno
import io
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
# The address in older programs. It no longer answers, but it shows that MNIST is what they want.
FORMER_ADDRESS = "http://yann.lecun.com/exdb/mnist/"

# SHA-256 of what is in the files of MNIST, unpacked.
CANONICAL = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# An IDX file begins with two zero bytes, the type of its values and the number of its dimensions.
VALUE_TYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
DIMENSIONS = {"images": (3, 4), "labels": (1,)}
EXPECTED = {
    "images": "expected IDX images (magic number 2051: uint8 in 3 dimensions)",
    "labels": "expected IDX labels (magic number 2049: uint8 in 1 dimension)",
}
ADVICE = {
    "images": "write them as bytes from 0 to 255, the channels of coloured ones last",
    "labels": "write the number of the class of each image as one byte",
}
GZIP_START = b"\x1f\x8b"
# How other files begin, what they are, and what to do with them.
OTHER_FILES = (
    (b"PK\x03\x04", "a zip archive", "unpack it"),
    (b"\xfd7zXZ", "packed with xz", "unpack it with xz -d"),
    (b"BZh", "packed with bzip2", "unpack it with bzip2 -d"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file", "run git lfs pull"),
    (b"\x93NUMPY", "a NumPy array", "load it with numpy.load, and make a DataSet of it"),
    (GZIP_START, "packed more than twice with gzip", "unpack it with gzip -d"),
    (b"<", "a web page (HTML)", "get the file again"),
)

READ_BYTES = 1 << 20
# Before the content in memory. A large array begins 16 bytes after a multiple of 64 with glibc, and
# images have a header of 16: so they begin at a multiple, where TensorFlow takes them as they lie.
BYTES_BEFORE = 32
# Real image sets pack 2 to 20 times smaller. Beyond this it is a gzip bomb, unless it is small.
BOMB_RATIO = 100
BOMB_BYTES = 48 << 20

TIMEOUT = 10.0  # seconds without a connection, an answer or further data
LARGEST_DOWNLOAD = 1 << 29

Datasets = collections.namedtuple("Datasets", ["train", "validation", "test"])


class DataError(ValueError):
    """Data that cannot be used. One line says what was found, what was expected, what to do."""

    one_line = True

    def __init__(self, message):
        super().__init__(" ".join(message.splitlines()))


def read_data_sets(
    train_dir,
    fake_data=False,
    one_hot=False,
    dtype=np.float32,
    reshape=True,
    validation_size=5000,
    seed=None,
    source_url=DEFAULT_SOURCE_URL,
    num_classes=None,
    download=True,
):
    """Reads the four files in the folder `train_dir` and returns Datasets(train, validation, test).

    The first `validation_size` training images are the validation set. `one_hot`: labels float64
    [n, num_classes] instead of uint8 [n]. `dtype`, `reshape` and `seed` are those of DataSet.
    `num_classes`: by default the largest label + 1. Missing files are fetched from `source_url`,
    and MNIST from its other mirrors too, unless `download` is False.

    Raises DataError for everything that is wrong with the files or with `validation_size`.
    """
    if fake_data:
        return Datasets(*[DataSet([], [], True, one_hot, dtype, seed=seed) for _ in range(3)])
    paths = find_files(train_dir, source_url or DEFAULT_SOURCE_URL, download)
    train_images, train_labels = _read_pair(*paths[:2])
    test_images, test_labels = _read_pair(*paths[2:])
    if train_images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            f"{paths[2]}: images of {_times(test_images.shape[1:])}, but those of {paths[0]} are"
            f" {_times(train_images.shape[1:])}; put the four files of one data set there"
        )
    if not 0 <= validation_size <= len(train_images):
        raise DataError(
            f"Validation size should be between 0 and {len(train_images)}."
            f" Received: {validation_size}."
        )
    if num_classes is None:
        num_classes = int(max(train_labels.max(), test_labels.max())) + 1
    train_labels = _encode(train_labels, one_hot, num_classes, paths[1])
    test_labels = _encode(test_labels, one_hot, num_classes, paths[3])

    def data_set(images, labels):
        return DataSet(
            images, labels, dtype=dtype, reshape=reshape, seed=seed, num_classes=num_classes
        )

    return Datasets(
        train=data_set(train_images[validation_size:], train_labels[validation_size:]),
        validation=data_set(train_images[:validation_size], train_labels[:validation_size]),
        test=data_set(test_images, test_labels),
    )


def load_mnist(train_dir="MNIST-data"):
    """Returns read_data_sets(train_dir), as in the original."""
    return read_data_sets(train_dir)


class DataSet:
    """Images with their labels, given out in batches.

    `dtype` np.float32 scales images from [0, 255] to [0, 1], np.uint8 leaves them as they are.
    `reshape` flattens [n, rows, columns, 1] to [n, rows * columns]. `seed` decides the order of the
    batches; None takes a random one. `one_hot` is used only with `fake_data`, as in the original.

    Programs written for the original also read and set `_images`, `_labels`, `_num_examples`,
    `_index_in_epoch` and `_epochs_completed`, or write into `images` and `labels`: all of it means
    here what it means there. There every shuffle moves the images, and next_batch cuts its batch
    out of them. Here the order is kept apart, and the images are moved only when somebody looks at
    them. next_indices never moves them: its indices count the images in their first order.
    """

    # These hold in a subclass that sets the inner names itself and does not call __init__. Without
    # `_random` NumPy's global generator shuffles, as in the original.
    _random = None
    _fake = False
    _num_classes = _stored_images = _stored_labels = None
    _order = np.arange(0)  # the stored examples in the order of the epoch
    _origin = None  # where the stored examples were at first, if they have been moved
    _scale = False  # whether the stored images are still to be scaled
    _shuffled = False  # whether _order has changed since the stored examples were last moved
    _batches_taken = False  # whether next_batch was called
    _given_out = False  # whether somebody may hold the stored arrays

    def __init__(
        self,
        images,
        labels,
        fake_data=False,
        one_hot=False,
        dtype=np.float32,
        reshape=True,
        seed=None,
        num_classes=None,
    ):
        # A tf.DType knows the NumPy type that it stands for.
        dtype = getattr(dtype, "as_numpy_dtype", dtype)
        if dtype is None or np.dtype(dtype) not in (np.uint8, np.float32):
            raise TypeError(f"Invalid image dtype {dtype!r}, expected uint8 or float32")
        # The original's seeds pass through TensorFlow, which truncates them so.
        self._random = np.random.RandomState(None if seed is None else seed % (2**31 - 1))
        self.one_hot = one_hot
        self._fake = fake_data
        self._num_classes = num_classes
        self._num_examples = 10000
        if not fake_data:
            images = self._checked(images, labels, reshape)
            self._scale = np.dtype(dtype) == np.float32
        # Images are scaled when they are needed. Meanwhile the caller may write into the array.
        self._stored_images = images.copy() if self._scale else images
        self._stored_labels = labels
        self._order = _numbers(self._num_examples)
        self._index_in_epoch = 0
        self._epochs_completed = 0

    def _checked(self, images, labels, reshape):
        if images.shape[0] != labels.shape[0]:
            raise DataError(f"images.shape: {images.shape} labels.shape: {labels.shape}")
        self._num_examples = images.shape[0]
        self.image_shape = images.shape[1:]
        if not reshape:
            return images
        if images.ndim != 4 or images.shape[3] != 1:
            raise DataError(
                f"images of shape {images.shape}, expected [n, rows, columns, 1] to flatten them;"
                " reshape=False leaves them as they are"
            )
        return images.reshape(images.shape[0], images.shape[1] * images.shape[2])

    @property
    def images(self):
        """All images: as they were given at first; once next_batch was called, as shuffled."""
        return self._images

    @property
    def labels(self):
        """The labels of `images`, in the same order."""
        return self._labels

    @property
    def num_examples(self):
        return self._num_examples

    @property
    def epochs_completed(self):
        return self._epochs_completed

    @property
    def num_classes(self):
        """The width of one-hot labels, else the number given, else the largest label + 1."""
        if self._num_classes is None:
            labels = self._stored_labels
            self._num_classes = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
        return self._num_classes

    @property
    def _images(self):
        self._give_out()
        if self._scale:
            self._stored_images, self._scale = _scaled(self._stored_images), False
        return self._stored_images

    @_images.setter
    def _images(self, images):
        self._give_out()
        self._stored_images, self._scale = images, False
        self._count_stored()

    @property
    def _labels(self):
        self._give_out()
        return self._stored_labels

    @_labels.setter
    def _labels(self, labels):
        self._give_out()
        self._stored_labels = labels
        self._count_stored()

    def _give_out(self):
        if self._batches_taken and self._shuffled:
            self._move()
        self._given_out = True

    def _move(self):
        """Moves the stored examples into the order of the epoch."""
        order = self._order
        self._stored_images = self._stored_images[order]
        self._stored_labels = self._stored_labels[order]
        self._origin = order if self._origin is None else _read_only(self._origin[order])
        self._order = _numbers(len(order))
        self._shuffled = self._given_out = False

    def _count_stored(self):
        arrays = (self._stored_images, self._stored_labels)
        size = min(len(array) for array in arrays if array is not None)
        if size != len(self._order):
            self._order, self._origin, self._shuffled = _numbers(size), None, False

    def next_batch(self, batch_size, fake_data=False, shuffle=True):
        """Returns the next `batch_size` (images, labels); see next_indices for their order."""
        if fake_data or self._fake:
            fake_label = [1] + [0] * 9 if self.one_hot else 0
            return [[1] * 784 for _ in range(batch_size)], [fake_label for _ in range(batch_size)]
        self._batches_taken = True
        chosen = self._next(batch_size, shuffle)
        images, labels = self._stored_images[chosen], self._stored_labels[chosen]
        if self._given_out and self._shuffled:
            # Whoever holds the arrays keeps them as they were before the shuffle.
            self._move()
        return _scaled(images) if self._scale else images, labels

    def next_indices(self, batch_size, shuffle=True):
        """Returns which examples make up the next batch: int32 [batch_size], read-only.

        Every epoch goes through all examples, in an order shuffled anew from that of the epoch
        before. A batch that reaches beyond the end of an epoch takes what is left of it and goes on
        in the next; an epoch counts as completed only then.
        """
        chosen = self._next(batch_size, shuffle)
        return chosen if self._origin is None else _read_only(self._origin[chosen])

    def _next(self, batch_size, shuffle):
        """Returns where the examples of the next batch are in the stored arrays."""
        start = self._index_in_epoch
        end = start + batch_size
        if shuffle and start == 0 and self._epochs_completed == 0:
            self._shuffle()
        if start <= end <= self._num_examples:
            self._index_in_epoch = end
            return self._order[start:end]
        return self._next_across_epochs(batch_size, shuffle)

    def _next_across_epochs(self, batch_size, shuffle):
        if batch_size < 0:
            raise DataError(f"a batch of {batch_size} examples, expected 0 or more")
        if self._num_examples == 0:
            raise DataError(f"a batch of {batch_size} examples from a data set that has none")
        pieces, rest = [], 0
        # The rest is negative if a program reduced _num_examples in the middle of an epoch. Then
        # the batch is as large as in the original.
        while rest >= 0 and self._index_in_epoch + batch_size > self._num_examples:
            rest = self._num_examples - self._index_in_epoch
            pieces.append(self._order[self._index_in_epoch : self._num_examples])
            batch_size -= rest
            self._index_in_epoch = 0
            self._epochs_completed += 1
            if shuffle:
                self._shuffle()
        self._index_in_epoch = batch_size
        pieces.append(self._order[:batch_size])
        return _read_only(np.concatenate(pieces))

    def _shuffle(self):
        # A new array: batches handed out before are slices of the old one. As in the original,
        # it has as many examples as _num_examples says.
        order = self._order[np.arange(self._num_examples)]
        (self._random or np.random).shuffle(order)
        self._order, self._shuffled = _read_only(order), True

    def state(self):
        """Returns the order and position of the batches as a dict of plain arrays and ints."""
        _, key, position = self._random.get_state()[:3]
        return {
            "order": self._order.copy() if self._origin is None else self._origin[self._order],
            "position": self._index_in_epoch,
            "epochs_completed": self._epochs_completed,
            "random_key": key.copy(),
            "random_position": int(position),
        }

    def restore(self, state):
        """Goes back to what `state` describes (lists instead of arrays will do).

        Raises DataError, and changes nothing, when it is not a state of a data set of this size.
        """
        try:
            order = np.asarray(state["order"])
            position, epochs_completed = int(state["position"]), int(state["epochs_completed"])
            key = np.array(state["random_key"], dtype=np.uint32)
            random_position = int(state["random_position"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"not a state of a data set: {error!r}") from None
        fits = (
            order.shape == (self._num_examples,)
            and np.array_equal(np.sort(order), np.arange(self._num_examples))
            and 0 <= position <= self._num_examples
            and epochs_completed >= 0
            and key.shape == (624,)
            and 0 <= random_position <= 624
        )
        if not fits:
            raise DataError(
                f"the state of a data set of {order.size} examples, expected one of"
                f" {self._num_examples}, with all its fields"
            )
        if self._origin is not None:
            # The order counts the examples where they were at first.
            self._order = np.argsort(self._origin)
            self._move()
            self._origin = None
        self._random.set_state(("MT19937", key, random_position))
        self._order, self._shuffled = _read_only(order.astype(np.int32)), True
        self._index_in_epoch, self._epochs_completed = position, epochs_completed


def _read_only(array):
    array.flags.writeable = False
    return array


def _numbers(size):
    return _read_only(np.arange(size, dtype=np.int32))


def _scaled(images):
    """float32, from [0, 255] to [0, 1], by the same two roundings as the original."""
    images = images.astype(np.float32)
    images *= 1.0 / 255.0
    return images


def extract_images(f):
    """Reads IDX images from a binary file or a path, gzip or not: uint8 [n, rows, columns, 1].

    A file in four dimensions gives [n, rows, columns, channels].
    """
    images = _read_idx(f, "images")
    return images if images.ndim == 4 else images.reshape(images.shape + (1,))


def extract_labels(f, one_hot=False, num_classes=10):
    """Reads IDX labels from a binary file or a path, gzip or not: uint8 [n].

    With `one_hot` they are float64 [n, num_classes].
    """
    labels = _read_idx(f, "labels")
    return _encode(labels, True, num_classes, _name(f)) if one_hot else labels


def dense_to_one_hot(labels_dense, num_classes):
    """Returns labels [n] as float64 [n, num_classes]: one in the label's column, else zero."""
    return _encode(labels_dense, True, num_classes, "labels")


def _encode(labels, one_hot, num_classes, name):
    labels = np.asarray(labels).ravel()
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if outside.size:
        raise DataError(
            f"{name}: label {labels[outside[0]]} at position {outside[0]}, expected 0 to"
            f" {num_classes - 1}; with more classes, give their number as num_classes"
        )
    return np.eye(num_classes)[labels] if one_hot else labels


def _read_pair(images_path, labels_path):
    images, labels = extract_images(images_path), extract_labels(labels_path)
    if len(images) != len(labels):
        raise DataError(
            f"{labels_path}: {len(labels)} labels, expected {len(images)}, one for each image of"
            f" {images_path}; put the four files of one data set there"
        )
    return images, labels


def _name(file):
    return str(file if _is_path(file) else getattr(file, "name", "data"))


def _is_path(file):
    return isinstance(file, (str, os.PathLike))


def _require_regular(path):
    # Opening a pipe would wait for its writer.
    if os.path.exists(path) and not os.path.isfile(path):
        raise DataError(f"{path}: a folder or a device, expected a file")


def _times(shape):
    return "x".join(str(size) for size in shape)


def _pieces(f):
    """Yields what is in a binary file or at a path, at most 1 MiB at a time.

    What is packed with gzip, once or twice, is unpacked. Raises DataError if it cannot be read.
    """
    import gzip

    name = _name(f)
    if _is_path(f):
        _require_regular(f)
    try:
        with open(f, "rb") if _is_path(f) else contextlib.nullcontext(f) as file:
            packed = _Packed(file)
            stream = io.BufferedReader(packed, 1 << 16)
            for _ in range(2):
                if stream.peek(2)[:2] == GZIP_START:
                    stream = gzip.GzipFile(fileobj=stream, mode="rb")
            unpacked = 0
            for piece in iter(lambda: stream.read(READ_BYTES), b""):
                unpacked += len(piece)
                if unpacked > max(BOMB_BYTES, BOMB_RATIO * packed.size):
                    raise DataError(
                        f"{name}: {packed.size} bytes that unpack to {unpacked} and more, expected"
                        f" at most {BOMB_RATIO} times as many: a gzip bomb; get the file elsewhere"
                    )
                yield piece
    except EOFError:
        raise DataError(
            f"{name}: cut off, the gzip data does not end; get the file again"
        ) from None
    except (OSError, zlib.error) as error:
        if getattr(error, "errno", None) is None:
            raise DataError(f"{name}: damaged gzip data ({error}); get the file again") from None
        raise DataError(f"{name}: cannot be read ({error.strerror}), expected a file") from None


class _Packed(io.RawIOBase):
    """Anything that has read() as a file for io.BufferedReader; `size` bytes of it were read."""

    def __init__(self, file):
        super().__init__()
        self.file, self.size = file, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        content = self.file.read(len(buffer))
        if isinstance(content, str):
            raise DataError(f"{_name(self.file)}: opened as text, open it as open(path, 'rb')")
        self.size += len(content)
        buffer[: len(content)] = content
        return len(content)


def _read_idx(f, kind):
    """Returns the uint8 array in an IDX file. Memory grows with the data, not the promises."""
    name, content, size, shape = _name(f), bytearray(BYTES_BEFORE), 0, None
    for piece in _pieces(f):
        content += piece
        size += len(piece)
        shape = shape or _shape(content[BYTES_BEFORE:], kind, name)
        if shape and size > _file_bytes(shape):
            raise DataError(
                f"{name}: more data than the {_file_bytes(shape)} bytes that its header promises"
                f" ({_times(shape)}): the file is damaged; get it again"
            )
    if not size:
        raise DataError(f"{name}: an empty file, {EXPECTED[kind]}; get the file again")
    if not shape:
        raise DataError(f"{name}: cut off within its header; get the file again")
    if size < _file_bytes(shape):
        raise DataError(
            f"{name}: cut off after {size} of the {_file_bytes(shape)} bytes that its"
            f" header promises ({_times(shape)}); get the file again"
        )
    offset = BYTES_BEFORE + 4 + 4 * len(shape)
    return np.frombuffer(content, np.uint8, offset=offset).reshape(shape)


def _file_bytes(shape):
    pixels = 1
    for size in shape:
        pixels *= size
    return 4 + 4 * len(shape) + pixels


def _shape(content, kind, name):
    """Returns the dimensions in the header, or None if `content` does not reach its end."""
    magic = int.from_bytes(content[:4], "big")
    value_type, dimensions = magic >> 8, magic & 255
    if not b"\0\0".startswith(content[:2]) or (len(content) > 3 and value_type not in VALUE_TYPES):
        found, advice = f"neither gzip nor IDX (magic number {magic})", "get the file again"
        for start, other, to_do in OTHER_FILES:
            if content.lstrip().startswith(start):
                found, advice = other, to_do
        raise DataError(f"{name}: {found}, {EXPECTED[kind]}; {advice}")
    if len(content) < 4 + 4 * dimensions or len(content) < 4:
        return None
    shape = tuple(np.frombuffer(content[4 : 4 + 4 * dimensions], ">u4").tolist())
    # Four dimensions are read only where the last one can be nothing but channels.
    readable = dimensions in DIMENSIONS[kind] and (dimensions < 4 or shape[3] <= 4)
    if VALUE_TYPES[value_type] != "uint8" or not readable:
        found = f"IDX of {VALUE_TYPES[value_type]}, {_times(shape)} (magic number {magic})"
        raise DataError(f"{name}: {found}, {EXPECTED[kind]}; {ADVICE[kind]}")
    if 0 in shape:
        raise DataError(f"{name}: a set of {_times(shape)}, expected at least one example")
    return shape


def find_files(folder, source_url=DEFAULT_SOURCE_URL, download=False):
    """Returns the paths of the four files: training images and labels, test images and labels.

    Each may be packed (.gz) or not, be named as in train-images-idx3-ubyte or
    train-images.idx3-ubyte, and be in a folder of such a name. Missing ones are fetched, if
    `download`; else DataError is raised.
    """
    folder = os.fsdecode(folder)
    try:
        os.listdir(folder)
        what = "no {}.gz in it"
    except FileNotFoundError:
        what = "no such folder"
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}, expected a folder to read from") from None
    found = {name: _path_of(name, folder) for name in CANONICAL}
    missing = [name for name, path in found.items() if path is None]
    if missing and not download:
        raise DataError(
            f"{folder}: {what.format(missing[0])}, expected the four IDX files of an image set;"
            " name their folder, or fetch MNIST: python mnist_data.py --download FOLDER"
        )
    if missing and _is_mnist(source_url):
        for name, path in found.items():
            if path is not None and not is_canonical(path, name):
                raise DataError(
                    f"{folder}: no {missing[0]}.gz in it, and {os.path.basename(path)} is not of"
                    " MNIST, so MNIST's cannot stand in; put the file of that set there"
                )
    for name in missing:
        found[name] = maybe_download(f"{name}.gz", folder, f"{source_url}{name}.gz")
    return list(found.values())


def _path_of(name, folder):
    """Returns the path of a file in `folder`, or in a folder there that has its name; else None."""
    dotted = name.replace("-idx", ".idx")
    spellings = (f"{name}.gz", name, f"{dotted}.gz", dotted)
    inner = [os.path.join(outer, spelling) for outer in spellings for spelling in spellings]
    paths = [os.path.join(folder, each) for each in (*spellings, *inner)]
    present = [path for path in paths if os.path.lexists(path)]
    return next((path for path in present if not os.path.isdir(path)), (present or [None])[0])


def checksums(folder):
    """Returns {file name: SHA-256 of the file} of the four files, as hexadecimal digits."""
    found = {}
    for path in find_files(folder):
        _require_regular(path)
        with open(path, "rb") as file:
            found[os.path.basename(path)] = _sha256(iter(lambda: file.read(READ_BYTES), b""))
    return found


def is_canonical(path, name):
    """Whether the file holds what the canonical MNIST file `name` does, however it is packed."""
    try:
        return _sha256(_pieces(path)) == CANONICAL[name]
    except DataError:
        return False


def _sha256(pieces):
    import hashlib

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def maybe_download(filename, work_directory, source_url):
    """Fetches `source_url` unless the file is in the folder already; returns the file's path.

    A file of the canonical MNIST is fetched from the other mirrors too and must have the right
    SHA-256. It gets its name only when it is complete; several processes may do this at once.
    Raises DataError when it cannot be had; then nothing is written, not even the folder.
    """
    path = os.path.join(os.fsdecode(work_directory), filename)
    if os.path.exists(path):
        return path
    urls = [source_url]
    is_mnist = _is_mnist(source_url[: -len(filename)])
    if is_mnist:
        urls += [mirror + filename for mirror in MIRRORS if mirror + filename != source_url]
    content = _download(urls, filename[: -len(".gz")], is_mnist, path)
    try:
        _write_whole(content, path)
    except OSError as error:
        # Where another process has just written the file and reads it, Windows refuses this one.
        if not os.path.isfile(path):
            raise DataError(
                f"{path}: cannot be written ({error.strerror}); name a folder that can be"
            ) from None
    return path


def _is_mnist(address):
    return address == FORMER_ADDRESS or address in MIRRORS


def _write_whole(content, path):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.part"
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise


def _download(urls, name, is_mnist, path):
    """Returns the content of the first of `urls` that gives the right one, or raises DataError."""
    import http.client
    import urllib.request

    problems = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
                content = io.BytesIO()
                for piece in iter(lambda response=response: response.read(READ_BYTES), b""):
                    content.write(piece)
                    if content.tell() > LARGEST_DOWNLOAD:
                        raise OSError(f"more than {LARGEST_DOWNLOAD} bytes")
                if response.length:
                    raise OSError(f"cut off, {response.length} bytes are missing")
                content.seek(0)
            if name in CANONICAL:
                content.name = "found there"
                _read_idx(content, "images" if "images" in name else "labels")
                if is_mnist and not is_canonical(io.BytesIO(content.getvalue()), name):
                    raise DataError("found another file, expected that of MNIST")
            return content.getvalue()
        except (OSError, ValueError, http.client.HTTPException) as error:
            problems.append(f"{url}: {error}")
    raise DataError(
        f"{path}: no such file, and it cannot be downloaded: {'; '.join(problems)}; connect to the"
        " network, or copy the file there by hand"
    )


def check(folder):
    """Prints a table of the four files. Raises DataError when they are not a usable set."""
    problems, canonical = [], []
    for name, path in zip(CANONICAL, find_files(folder)):
        kind = "images" if "images" in name else "labels"
        try:
            array = _read_idx(path, kind)
            size = f" of {_times(array.shape[1:])}" if kind == "images" else ""
            contents = f"{len(array)} {kind}{size}"
        except DataError as error:
            problems.append(str(error))
            contents = "unusable"
        canonical.append(is_canonical(path, name))
        checksum = "SHA-256 ok" if canonical[-1] else "SHA-256 unknown"
        size = os.path.getsize(path)
        print(f"{os.path.basename(path):26} {size:>12,} bytes  {contents:24}  {checksum}")
    if problems:
        raise DataError("; ".join(problems))
    data = read_data_sets(folder, reshape=False, validation_size=0, download=False)
    other = (
        f"a well-formed IDX set of {data.train.num_classes} classes, but not the canonical MNIST"
    )
    print(f"{folder}: {'the canonical MNIST' if all(canonical) else other}")


def main(arguments=None):
    """Runs the command line and returns its exit code."""
    import argparse

    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w"))
        if hasattr(getattr(sys, name), "reconfigure"):  # not in a notebook
            getattr(sys, name).reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        description="Checks or downloads the four files of an image set.", allow_abbrev=False
    )
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        "--check", metavar="FOLDER", help="say what is there; exit code 2 if not usable"
    )
    group.add_argument(
        "--download", metavar="FOLDER", help="fetch what is missing of MNIST, then check"
    )
    flags = parser.parse_args(arguments)
    try:
        if flags.download is not None:
            find_files(flags.download, MIRRORS[0], download=True)
        check(flags.check if flags.download is None else flags.download)
        sys.stdout.flush()
    except (DataError, OSError, KeyboardInterrupt) as error:
        if getattr(error, "errno", None) in (errno.EPIPE, errno.EINVAL) and not error.filename:
            # The reader of the output left, for which Windows has EINVAL.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 0
        interrupted = isinstance(error, KeyboardInterrupt)
        message = "interrupted" if interrupted else f"error: {error}"
        print(f"mnist_data.py: {message}", file=sys.stderr)
        return 130 if interrupted else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
