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

What differs from the original: `images` and `labels` keep the order of the file (only batches are
shuffled); every DataSet has its own random numbers, so NumPy's global generator is not touched and
tf.set_random_seed has no influence (pass `seed`); nothing is printed.
"""

if __name__ == "__main__":
    from graph_mode import start

    start.program()

import collections
import contextlib
import functools
import operator
import os
import zlib

import numpy as np

DEFAULT_SOURCE_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
MIRRORS = (DEFAULT_SOURCE_URL, "https://ossci-datasets.s3.amazonaws.com/mnist/")
# The address in older programs. It no longer answers, but it shows that MNIST is what they want.
FORMER_ADDRESS = "http://yann.lecun.com/exdb/mnist/"

# The canonical files: SHA-256 of the .gz file, and of what is in it.
CANONICAL = {
    "train-images-idx3-ubyte": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}

IMAGES_MAGIC = 2051  # 0x00000803: unsigned bytes, 3 dimensions
LABELS_MAGIC = 2049  # 0x00000801: unsigned bytes, 1 dimension
HEADER_BYTES = {IMAGES_MAGIC: 16, LABELS_MAGIC: 8}
GZIP_START = b"\x1f\x8b"
MEANING = {IMAGES_MAGIC: "IDX images", LABELS_MAGIC: "IDX labels"}

READ_BYTES = 1 << 16
UNPACK_BYTES = 1 << 20
# Real image sets pack 2 to 20 times smaller. Beyond this it is a gzip bomb, unless it is small.
BOMB_RATIO = 100
BOMB_BYTES = 48 << 20

TIMEOUT = 10.0  # seconds without a connection, an answer or further data
TRIES = 3
PAUSE = 1.0  # seconds before the second try, then 3, 7, ...
LARGEST_DOWNLOAD = 1 << 29

Datasets = collections.namedtuple("Datasets", ["train", "validation", "test"])


class DataError(ValueError):
    """Data that cannot be used. One line says what was found, what was expected, what to do."""

    one_line = True


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
        fake = [DataSet([], [], True, one_hot, dtype, seed=seed) for _ in Datasets._fields]
        return Datasets(*fake)
    paths = find_files(train_dir, source_url or DEFAULT_SOURCE_URL, download)
    train_images, train_labels = _read_pair(*paths[:2])
    test_images, test_labels = _read_pair(*paths[2:])
    if train_images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            f"{paths[2]}: images of {_size(test_images)}, but those of {paths[0]} are"
            f" {_size(train_images)}: not of one set; put the four files of one set there"
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


class DataSet:
    """Images with their labels, given out in batches.

    `dtype` np.float32 scales images from [0, 255] to [0, 1], np.uint8 leaves them as they are.
    `reshape` flattens [n, rows, columns, 1] to [n, rows * columns]. `seed` decides the order of the
    batches; None takes a random one. `one_hot` is used only with `fake_data`, as in the original.
    """

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
        self._scale = np.dtype(dtype) == np.float32 and not fake_data
        self._num_classes = num_classes
        self._num_examples = 10000
        if not fake_data:
            images = self._take(images, labels, reshape)
        self._stored = images
        self._images = None if self._scale else images
        self._labels = labels
        self._order = _read_only(np.arange(self._num_examples, dtype=np.int32))
        self._position = 0
        self._epochs_completed = 0

    def _take(self, images, labels, reshape):
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
        """All images, in the order of the file. Scaled ones are made when first asked for."""
        if self._images is None:
            self._images = _scaled(self._stored)
        return self._images

    @property
    def labels(self):
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
            labels = self._labels
            self._num_classes = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
        return self._num_classes

    def next_batch(self, batch_size, fake_data=False, shuffle=True):
        """Returns the next `batch_size` (images, labels); see next_indices for their order."""
        if fake_data or self._fake:
            fake_label = [1] + [0] * 9 if self.one_hot else 0
            return [[1] * 784 for _ in range(batch_size)], [fake_label for _ in range(batch_size)]
        indices = self.next_indices(batch_size, shuffle)
        images = self._stored[indices]
        return _scaled(images) if self._scale else images, self._labels[indices]

    def next_indices(self, batch_size, shuffle=True):
        """Returns which examples make up the next batch: int32 [batch_size], read-only.

        Every epoch goes through all examples, in an order shuffled anew from that of the epoch
        before. A batch that reaches beyond the end of an epoch takes what is left of it and goes on
        in the next; an epoch counts as completed only then.
        """
        start = self._position
        end = start + batch_size
        if shuffle and start == 0 and self._epochs_completed == 0:
            self._shuffle()
        if start <= end <= self._num_examples:
            self._position = end
            return self._order[start:end]
        return self._indices_across_epochs(batch_size, shuffle)

    def _indices_across_epochs(self, batch_size, shuffle):
        if batch_size < 0:
            raise DataError(f"a batch of {batch_size} examples, expected 0 or more")
        if self._num_examples == 0:
            raise DataError(f"a batch of {batch_size} examples from a data set that has none")
        parts = []
        while self._position + batch_size > self._num_examples:
            parts.append(self._order[self._position :])
            batch_size -= len(parts[-1])
            self._position = 0
            self._epochs_completed += 1
            if shuffle:
                self._shuffle()
        self._position = batch_size
        parts.append(self._order[:batch_size])
        return _read_only(np.concatenate(parts))

    def _shuffle(self):
        # A new array: batches handed out before are parts of the old one.
        order = self._order.copy()
        self._random.shuffle(order)
        self._order = _read_only(order)

    def state(self):
        """Returns the order and position of the batches as a dict of plain arrays and ints."""
        _, key, position = self._random.get_state()[:3]
        return {
            "order": self._order.copy(),
            "position": self._position,
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
                f" {self._num_examples}, with all its parts"
            )
        self._random.set_state(("MT19937", key, random_position))
        self._order = _read_only(order.astype(np.int32))
        self._position, self._epochs_completed = position, epochs_completed


def _read_only(array):
    array.flags.writeable = False
    return array


def _scaled(images):
    """float32, from [0, 255] to [0, 1], by the same two roundings as the original."""
    images = images.astype(np.float32)
    images *= 1.0 / 255.0
    return images


def extract_images(f):
    """Reads IDX images from the binary file `f`, gzip or not: uint8 [n, rows, columns, 1]."""
    images = _read_idx(f, IMAGES_MAGIC)
    return images.reshape(images.shape + (1,))


def extract_labels(f, one_hot=False, num_classes=10):
    """Reads IDX labels from `f`, gzip or not: uint8 [n], or one-hot float64 [n, num_classes]."""
    labels = _read_idx(f, LABELS_MAGIC)
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
    if not one_hot:
        return labels
    encoded = np.zeros((len(labels), num_classes))
    encoded[np.arange(len(labels)), labels] = 1
    return encoded


def _read_pair(images_path, labels_path):
    images = _read_file(images_path, extract_images)
    labels = _read_file(labels_path, extract_labels)
    if len(images) != len(labels):
        raise DataError(
            f"{labels_path}: {len(labels)} labels, expected {len(images)}, one for each image of"
            f" {images_path}: not of one set; put the four files of one set there"
        )
    return images, labels


def _read_file(path, read):
    # Opening a pipe would wait for its writer.
    if os.path.exists(path) and not os.path.isfile(path):
        raise DataError(f"{path}: a folder or a device, expected a file")
    try:
        with open(path, "rb") as file:
            return read(file)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}), expected a file") from None


def _name(file):
    return str(getattr(file, "name", "data"))


def _size(images):
    return f"{images.shape[1]}x{images.shape[2]}"


def _read_idx(file, magic):
    """Returns the uint8 array in an IDX file. Memory grows with the data, not the promises."""
    name = _name(file)
    header_bytes = HEADER_BYTES[magic]
    content = bytearray()
    expected = None
    for chunk in _chunks(file, name):
        content += chunk
        if expected is None and len(content) >= header_bytes:
            shape = _read_header(content, magic, name)
            expected = header_bytes + functools.reduce(operator.mul, shape)
        if expected is not None and len(content) > expected:
            raise DataError(
                f"{name}: more data than the {expected} bytes that its header promises"
                f" ({_dimensions(shape)}): the file is damaged; get it again"
            )
    if expected is None:
        _read_header(content, magic, name)
    if len(content) < expected:
        raise DataError(
            f"{name}: cut off after {len(content)} of the {expected} bytes that its header promises"
            f" ({_dimensions(shape)}); get the file again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header_bytes).reshape(shape)


def _dimensions(shape):
    return " x ".join(str(size) for size in shape)


def _read_header(content, magic, name):
    """Returns the dimensions in the header, or raises DataError."""
    expected = f"expected {MEANING[magic]} (magic number {magic})"
    if not content:
        raise DataError(f"{name}: an empty file, {expected}; get the file again")
    if content[:4] != magic.to_bytes(4, "big")[: len(content)]:
        raise DataError(f"{name}: {_describe(content)}, {expected}; get the file again")
    header_bytes = HEADER_BYTES[magic]
    if len(content) < header_bytes:
        raise DataError(f"{name}: cut off within its header; get the file again")
    shape = tuple(int(size) for size in np.frombuffer(content[4:header_bytes], dtype=">u4"))
    if 0 in shape:
        raise DataError(f"{name}: a set of {_dimensions(shape)}, expected at least one example")
    return shape


def _describe(content):
    """What the first bytes of a file look like, for error messages."""
    if content[:64].lstrip().startswith(b"<"):
        return "a web page (HTML)"
    magic = int.from_bytes(content[:4], "big")
    return MEANING.get(magic, f"neither gzip nor IDX (magic number {magic})")


def _chunks(file, name):
    """Yields what is in the file, unpacked when it is gzip, at most 1 MiB at a time."""
    data = file.read(READ_BYTES)
    if not data.startswith(GZIP_START):
        while data:
            yield data
            data = file.read(READ_BYTES)
        return
    packed, unpacked = len(data), 0
    unpacker = zlib.decompressobj(wbits=31)
    while data:
        try:
            chunk = unpacker.decompress(data, UNPACK_BYTES)
        except zlib.error as error:
            raise DataError(f"{name}: damaged gzip data ({error}); get the file again") from None
        unpacked += len(chunk)
        if unpacked > max(BOMB_BYTES, BOMB_RATIO * packed):
            raise DataError(
                f"{name}: {packed} bytes of gzip that unpack to {unpacked} and more, expected at"
                f" most {BOMB_RATIO} times as many: a gzip bomb; get the file elsewhere"
            )
        yield chunk
        data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        if not data:
            data = file.read(READ_BYTES)
            packed += len(data)
        if unpacker.eof and data:
            # gzip files joined end to end are one file.
            if not data.startswith(GZIP_START[: len(data)]):
                raise DataError(f"{name}: more data after the end of the gzip data; get it again")
            unpacker = zlib.decompressobj(wbits=31)
    if not unpacker.eof:
        raise DataError(f"{name}: cut off, the gzip data does not end; get the file again")


def find_files(folder, source_url=DEFAULT_SOURCE_URL, download=False):
    """Returns the paths of the four files: training images and labels, test images and labels.

    Each may be packed (.gz) or not, and be named as in train-images-idx3-ubyte or
    train-images.idx3-ubyte. Missing ones are fetched, if `download`; else DataError is raised.
    """
    folder = os.fspath(folder)
    present = _names_in(folder)
    found = {name: _path_of(name, present or (), folder) for name in CANONICAL}
    missing = [name for name, path in found.items() if path is None]
    if missing and not download:
        what = "no such folder" if present is None else f"no {missing[0]}.gz in it"
        raise DataError(
            f"{folder}: {what}, expected the four IDX files of an image set; name their folder, or"
            " fetch MNIST: python mnist_data.py --download FOLDER"
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


def _names_in(folder):
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}, expected a folder to read from") from None


def _path_of(name, present, folder):
    dotted = name.replace("-idx", ".idx")
    for spelling in (f"{name}.gz", name, f"{dotted}.gz", dotted):
        if spelling in present:
            return os.path.join(folder, spelling)
    return None


def checksums(folder):
    """Returns {file name: SHA-256 of the file} of the four files, as hexadecimal digits."""
    return {os.path.basename(path): _sha256(_packed(path)) for path in find_files(folder)}


def is_canonical(path, name):
    """Whether the file holds what the canonical MNIST file `name` does, however it is packed."""
    try:
        return _read_file(path, lambda f: _sha256(_chunks(f, path))) == CANONICAL[name][1]
    except DataError:
        return False


def _sha256(chunks):
    import hashlib

    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _packed(path):
    with open(path, "rb") as file:
        yield from iter(lambda: file.read(UNPACK_BYTES), b"")


def maybe_download(filename, work_directory, source_url):
    """Fetches `source_url` unless the file is in the folder already; returns the file's path.

    A file of the canonical MNIST is fetched from the other mirrors too and must have the right
    SHA-256. It gets its name only when it is complete; several processes may do this at once.
    Raises DataError when it cannot be had; then nothing is written, not even the folder.
    """
    path = os.path.join(work_directory, filename)
    if os.path.exists(path):
        return path
    name = filename[: -len(".gz")]
    urls, sha256 = [source_url], None
    if name in CANONICAL and _is_mnist(source_url[: -len(filename)]):
        urls += [mirror + filename for mirror in MIRRORS if mirror + filename != source_url]
        sha256 = CANONICAL[name][0]
    content = _download(urls, name, sha256, path)
    try:
        _write_whole(content, path)
    except OSError as error:
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
        if os.path.exists(temporary):
            os.remove(temporary)
        raise


def _download(urls, name, sha256, path):
    """Returns the content of the first of `urls` that can be had whole and is what it should be.

    Goes round all of them up to TRIES times, but when no server can be reached at all says so at
    once. What came before a cut is kept, and only the rest asked for the next time.
    """
    import http.client
    import time
    import urllib.error

    received = {url: bytearray() for url in urls}
    problems = {}
    for attempt in range(TRIES):
        time.sleep(PAUSE * (2**attempt - 1))
        reached = False
        for url in urls:
            try:
                _fetch(url, received[url], os.path.basename(path))
                _verify(received[url], name, sha256)
                return received[url]
            except (OSError, ValueError, http.client.HTTPException) as error:
                problem = error
            if isinstance(problem, urllib.error.HTTPError):
                problem.close()
            if isinstance(problem, (urllib.error.HTTPError, DataError)):
                received[url].clear()
            if type(problem) is urllib.error.URLError:
                problem = f"no connection ({problem.reason})"
            else:
                reached = True
            problems[url] = problem
        if not reached:
            break
    found = "; ".join(f"{url}: {problem}" for url, problem in problems.items())
    raise DataError(
        f"{path}: no such file, and it cannot be downloaded: {found}; connect to the network, or"
        " copy the file there by hand"
    )


def _fetch(url, received, label):
    """Appends to `received` what is missing of the content of `url`; OSError when it is cut off."""
    import urllib.request

    headers = {"Range": f"bytes={len(received)}-"} if received else {}
    request = urllib.request.Request(url, headers=headers)
    with _open(request) as response:
        content_range = response.headers.get("Content-Range", "")
        if not content_range.startswith(f"bytes {len(received)}-"):
            received.clear()
        promised = response.headers.get("Content-Length", "")
        total = len(received) + int(promised) if promised.isdigit() else None
        with _progress(label, len(received), total) as progress:
            while total is None or len(received) < total:
                chunk = response.read1(READ_BYTES)
                if not chunk:
                    break
                received += chunk
                progress(len(chunk))
                if len(received) > LARGEST_DOWNLOAD:
                    raise DataError(f"more than {LARGEST_DOWNLOAD} bytes")
    if total is not None and len(received) < total:
        raise OSError(f"cut off after {len(received)} of {total} bytes")


def _open(request):
    """urlopen, bounded: it alone would spend the timeout on each of a server's many addresses."""
    import threading
    import urllib.error
    import urllib.request

    outcome = []

    def attempt():
        try:
            outcome.append(urllib.request.urlopen(request, timeout=TIMEOUT))
        except Exception as error:
            outcome.append(error)

    # Not joined at exit: looking up a name cannot be interrupted.
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(1.5 * TIMEOUT)
    if not outcome:
        raise urllib.error.URLError(f"no answer within {1.5 * TIMEOUT:g} seconds")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


@contextlib.contextmanager
def _progress(label, done, total):
    """Yields a function that takes the number of further bytes: a progress bar on a terminal."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda size: None
        return
    with tqdm(
        desc=label, initial=done, total=total, unit="B", unit_scale=True, leave=False, disable=None
    ) as bar:
        yield bar.update


def _verify(content, name, sha256):
    """Raises DataError unless `content` has this SHA-256 or, without one, is good IDX data."""
    import io

    if sha256 is not None and _sha256([content]) != sha256:
        packed = content.startswith(GZIP_START)
        found = "another or a damaged file" if packed else _describe(content)
        raise DataError(f"found {found}, expected the file of MNIST")
    if sha256 is None and name in CANONICAL:
        file = io.BytesIO(content)
        file.name = "found there"
        _read_idx(file, IMAGES_MAGIC if "images" in name else LABELS_MAGIC)


def check(folder):
    """Prints a table of the four files. Raises DataError when they are not a usable set."""
    problems, canonical = [], []
    for name, path in zip(CANONICAL, find_files(folder)):
        contents = "unusable"
        try:
            if "images" in name:
                images = _read_file(path, extract_images)
                contents = f"{len(images)} images of {_size(images)}"
            else:
                contents = f"{len(_read_file(path, extract_labels))} labels"
        except DataError as error:
            problems.append(str(error))
        canonical.append(is_canonical(path, name))
        checksum = "SHA-256 ok" if canonical[-1] else "SHA-256 unknown"
        size = os.path.getsize(path)
        print(f"{os.path.basename(path):26} {size:>12,} bytes  {contents:24}  {checksum}")
    if problems:
        raise DataError("; ".join(problems))
    classes = read_data_sets(folder, validation_size=0, download=False).train.num_classes
    verdict = "the canonical MNIST"
    if not all(canonical):
        verdict = f"a well-formed IDX set of {classes} classes, but not the canonical MNIST"
    print(f"{folder}: {verdict}")


def main():
    from graph_mode.command_line import OneLineParser

    parser = OneLineParser(description="Checks or downloads the four files of an image set.")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        "--check", metavar="FOLDER", help="say what is there; exit code 2 if not usable"
    )
    group.add_argument(
        "--download", metavar="FOLDER", help="fetch what is missing of MNIST, then check"
    )
    arguments = parser.parse_args()
    if arguments.download is not None:
        find_files(arguments.download, MIRRORS[0], download=True)
    check(arguments.check if arguments.download is None else arguments.download)


if __name__ == "__main__":
    from graph_mode.command_line import run

    run(main)
