"""The only place that imports TensorFlow and knows its version.

`from graph_mode import tensorflow1 as tf` gives the names of tensorflow.compat.v1, in graph mode,
with resource variables and the second control flow, on TensorFlow 1.15 and every release since.

TensorFlow takes seconds to import, so the import waits for the first name that is asked for:
`--help` and a mistyped flag answer at once.
"""

import contextlib
import gc
import importlib
import os
import subprocess
import sys
import warnings

from graph_mode import machine
from graph_mode.command_line import CommandError

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# Each Keras that TensorFlow imports with itself if it finds it: 0.7 s and 48 MB for what no script
# here uses. It is imported when somebody asks for tf.keras.
KERAS = ("keras.src.optimizers", "tf_keras.src.optimizers")

FEED_ALIGNMENT = 64  # bytes
# What keeps the last words of a process that TensorFlow ends.
KEEPER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.write(2, sys.stdin.buffer.read())
"""

# What is known: "tensorflow", the module; "onednn", a bool; "configuration", that of all sessions.
_known = {}


def __getattr__(name):
    """Loads TensorFlow when a module first asks for one of its names (PEP 562)."""
    if name.startswith("__"):
        raise AttributeError(name)
    loaded = _load()
    if name == "layers" and version() >= (2, 16) and "TF_USE_LEGACY_KERAS" not in os.environ:
        return importlib.import_module("graph_mode.layers")  # TensorFlow has none of its own.
    value = getattr(loaded, name)
    globals()[name] = value
    return value


def version():
    """TensorFlow's version as a tuple of numbers, for example (2, 21)."""
    major, minor = _load().VERSION.split(".")[:2]
    return int(major), int(minor)


def aligned(array):
    """The array, or a copy of it that begins at a multiple of FEED_ALIGNMENT: a session copies any
    other at every call."""
    import numpy as np  # Not above: a script says in one line where it is missing.

    if array.ctypes.data % FEED_ALIGNMENT == 0 and array.flags.c_contiguous:
        return array
    room = np.empty(array.nbytes + FEED_ALIGNMENT, np.uint8)
    start = -room.ctypes.data % FEED_ALIGNMENT
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def has_onednn():
    """Whether oneDNN computes convolutions and fused operations here: those that TensorFlow makes
    of a small convolution are oneDNN's then."""
    if "onednn" not in _known:
        loaded, ran = _load(), _load().RunMetadata()
        options = loaded.RunOptions(output_partition_graphs=True)
        with loaded.Graph().as_default(), quiet_session(_known.get("configuration")) as session:
            image = loaded.placeholder(loaded.float32, [1, 4, 4, 1])
            kernel = loaded.placeholder(loaded.float32, [1, 1, 1, 1])
            convolved = loaded.nn.conv2d(image, kernel, strides=[1, 1, 1, 1], padding="SAME")
            values = {image: [[[[0.0]] * 4] * 4], kernel: [[[[0.0]]]]}
            session.run(convolved, values, options, ran)
        operations = {node.op for part in ran.partition_graphs for node in part.node}
        _known["onednn"] = any(name.startswith("_Mkl") for name in operations)
    return _known["onednn"]


def has_gpu():
    """Whether TensorFlow can compute on a GPU here."""
    return bool(_load().config.experimental.list_physical_devices("GPU"))


def configuration(side_by_side, in_each, device="cpu"):
    """The ConfigProto for sessions that compute this many operations side by side, each with
    `in_each` threads, on the `device` "cpu" or "gpu".

    To be called before the first graph is built: a tf.while_loop starts the process's threads.
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
    """A Session of the current graph. The line that TensorFlow 2.18 to 2.20 log at the first run of
    a process, whatever the log level is, is dropped."""
    loaded = _load()
    if (2, 18) <= version() <= (2, 20):
        with loaded.Graph().as_default(), _silence(), loaded.Session(config=config) as first:
            first.run(loaded.no_op())
    return loaded.Session(config=config)


def compiled(function):
    """`function`, compiled as one XLA computation. Raises CommandError where TensorFlow cannot."""
    if version() < (2, 5):
        found = _load().VERSION
        raise CommandError(f"--xla needs TensorFlow 2.5 or later, found {found}: leave --xla out")
    return _load().function(function, jit_compile=True, autograph=False)


def _load():
    """tensorflow.compat.v1, imported without its start-up lines and set to graph mode, once."""
    loaded = _known.get("tensorflow")
    if loaded is None:
        machine.keep_freed_memory()
        machine.switch_onednn_on()
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(_silence())
                stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                # Little that an import makes is garbage, or will be: 0.7 s of searching in a run.
                if gc.isenabled() and not machine.ipython():
                    gc.disable()
                    stack.callback(gc.enable)
                    stack.callback(gc.freeze)
                for module in set(KERAS) - set(sys.modules):
                    sys.modules[module] = None
                    stack.callback(sys.modules.pop, module)
                if LOG_LEVEL not in os.environ:
                    os.environ[LOG_LEVEL] = "3"  # no start-up lines
                    if machine.ipython():  # which goes on without it
                        stack.callback(os.environ.pop, LOG_LEVEL)
                loaded = importlib.import_module("tensorflow.compat.v1")
        except ImportError as error:
            raise CommandError(
                f"TensorFlow cannot be imported ({error}): {machine.how_to_install()}"
            ) from None
        loaded.disable_eager_execution()
        loaded.enable_resource_variables()
        loaded.enable_control_flow_v2()
        loaded.logging.set_verbosity(loaded.logging.ERROR)
        _known["tensorflow"] = loaded
    return loaded


@contextlib.contextmanager
def _silence():
    """Drops what is written to file descriptor 2, as TensorFlow's C++ side does before any log
    level, unless this process ends in the block: then all of it is shown."""
    sys.stderr.flush()
    saved = os.dup(2)
    command = [sys.executable, "-I", "-S", "-c", KEEPER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, **machine.WORKER_OPTIONS) as keeper:
        os.dup2(keeper.stdin.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            keeper.kill()
