"""The only place that imports TensorFlow and knows its version.

`from graph_mode import tensorflow1 as tf` gives the names of tensorflow.compat.v1, in graph mode,
with resource variables and the second control flow, on TensorFlow 1.15 and every release since.

TensorFlow takes seconds to import, so the import waits for the first name that is asked for:
`--help` and a mistyped flag answer at once.
"""

import contextlib
import importlib
import os
import sys
import tempfile
import warnings

from graph_mode import machine
from graph_mode.command_line import CommandError, signals_raise_nothing

IMPORT_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3"}  # no start-up lines
# Each Keras that TensorFlow imports with itself, if it finds it: 0.7 s and 48 MB for what no script
# here uses. One that it does not find now is imported when somebody asks for tf.keras.
KERAS = ("keras.src.optimizers", "tf_keras.src.optimizers")

FEED_ALIGNMENT = 64  # bytes

# What this process has found out: "onednn", a bool; "configuration", that of its sessions, since
# the first session's threads are those of all.
_known = {}


def __getattr__(name):
    """Loads TensorFlow when a module first asks for one of its names (PEP 562)."""
    if name.startswith("__"):
        raise AttributeError(name)
    value = getattr(_load(), name)
    globals()[name] = value
    return value


def version():
    """TensorFlow's version as a tuple of numbers, for example (2, 21)."""
    major, minor = _load().VERSION.split(".")[:2]
    return int(major), int(minor)


def aligned(array):
    """The array where a session takes it as it lies, else a copy that one does.

    A session copies an array that begins between two multiples of FEED_ALIGNMENT, at every call.
    """
    import numpy as np  # Not above: a script says in one line where it is missing.

    if array.ctypes.data % FEED_ALIGNMENT == 0 and array.flags.c_contiguous:
        return array
    room = np.empty(array.nbytes + FEED_ALIGNMENT, np.uint8)
    start = -room.ctypes.data % FEED_ALIGNMENT
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def has_onednn():
    """Whether oneDNN computes convolutions and fused operations here: TensorFlow is asked.

    That depends on its version, the processor and TF_ENABLE_ONEDNN_OPTS. Where it is so, the
    operations that TensorFlow has left of a small convolution are oneDNN's.
    """
    if "onednn" not in _known:
        loaded = _load()
        with loaded.Graph().as_default() as graph:
            image = loaded.placeholder(loaded.float32, [1, 4, 4, 1])
            kernel = loaded.placeholder(loaded.float32, [1, 1, 1, 1])
            convolved = loaded.nn.conv2d(image, kernel, strides=[1, 1, 1, 1], padding="SAME")
        ran = loaded.RunMetadata()
        with graph.as_default(), quiet_session(_known.get("configuration")) as session:
            session.run(
                convolved,
                {image: [[[[0.0]] * 4] * 4], kernel: [[[[0.0]]]]},
                loaded.RunOptions(output_partition_graphs=True),
                ran,
            )
        operations = {node.op for part in ran.partition_graphs for node in part.node}
        _known["onednn"] = any(name.startswith("_Mkl") for name in operations)
    return _known["onednn"]


def has_gpu():
    """Whether TensorFlow can compute on a GPU here."""
    return bool(_load().config.experimental.list_physical_devices("GPU"))


def configuration(side_by_side, in_each, device="cpu"):
    """The ConfigProto for sessions that compute this many operations side by side, each with
    `in_each` threads, on the `device` "cpu" or "gpu".

    To be called before the first graph is built: building a tf.while_loop starts the threads. A
    process that has started them keeps them.
    """
    loaded = _load()
    with contextlib.suppress(RuntimeError):
        loaded.config.threading.set_inter_op_parallelism_threads(side_by_side)
        loaded.config.threading.set_intra_op_parallelism_threads(in_each)
    found = loaded.ConfigProto(
        inter_op_parallelism_threads=side_by_side,
        intra_op_parallelism_threads=in_each,
        device_count={} if device == "gpu" else {"GPU": 0},
    )
    # Not all of its memory at once: other processes share it.
    found.gpu_options.allow_growth = True
    _known["configuration"] = found
    return found


def quiet_session(config=None):
    """A Session of the current graph, after which no first run prints a line of TensorFlow's own.

    TensorFlow 2.18 to 2.20 log one at the first run of a process, whatever the log level is.
    """
    loaded = _load()
    if (2, 18) <= version() <= (2, 20):
        graph = loaded.Graph()
        with graph.as_default():
            nothing = loaded.no_op()
        session = loaded.Session(graph=graph, config=config)
        with tempfile.TemporaryFile() as noise, _standard_error_into(noise), session:
            session.run(nothing)
    return loaded.Session(config=config)


def compiled(function):
    """`function`, compiled as one XLA computation. Raises CommandError where TensorFlow cannot."""
    if version() < (2, 5):
        found = ".".join(map(str, version()))
        raise CommandError(f"--xla needs TensorFlow 2.5 or later, found {found}: leave --xla out")
    return _load().function(function, jit_compile=True, autograph=False)


def _load():
    """tensorflow.compat.v1, imported and set to graph mode once."""
    loaded = sys.modules.get("tensorflow.compat.v1")
    if loaded is None or not getattr(loaded, "_graph_mode_ready", False):
        loaded = _import_quietly()
        loaded.disable_eager_execution()
        loaded.enable_resource_variables()
        loaded.enable_control_flow_v2()
        loaded.logging.set_verbosity(loaded.logging.ERROR)
        loaded._graph_mode_ready = True
    return loaded


def _import_quietly():
    """Imports TensorFlow without its start-up lines; shows them only if the import fails."""
    machine.keep_freed_memory()
    machine.switch_onednn_on()
    with tempfile.TemporaryFile() as noise, _environment(IMPORT_ENVIRONMENT), _hidden(KERAS):
        try:
            with _standard_error_into(noise), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return importlib.import_module("tensorflow.compat.v1")
        except ImportError as error:
            raise CommandError(
                f"TensorFlow cannot be imported ({error}): run pip install -r requirements.txt"
            ) from None
        except BaseException:
            noise.seek(0)
            sys.stderr.write(noise.read().decode(errors="replace"))
            raise


@contextlib.contextmanager
def _hidden(modules):
    """In the block, importing any of the modules raises ImportError, unless it is loaded."""
    hidden = [module for module in modules if module not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for module in hidden:
            del sys.modules[module]


@contextlib.contextmanager
def _environment(defaults):
    """Sets the variables that are not set, for the block; a notebook goes on without them after."""
    missing = {name: value for name, value in defaults.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        if machine.in_notebook():
            for name in missing:
                del os.environ[name]


@contextlib.contextmanager
def _standard_error_into(file):
    """Redirects file descriptor 2: TensorFlow's C++ side writes there, before any log level."""
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        with signals_raise_nothing(saved):
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
