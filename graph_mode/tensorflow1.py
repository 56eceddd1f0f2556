"""The only place that imports TensorFlow and knows its version.

`from graph_mode import tensorflow1 as tf` gives the names of tensorflow.compat.v1, in graph mode,
with resource variables and the second control flow, on TensorFlow 1.15 and every release since.

TensorFlow takes seconds to import, so the import waits for the first name that is asked for:
`--help` and a mistyped flag answer at once.
"""

import contextlib
import ctypes
import importlib
import os
import sys
import tempfile
import warnings

from graph_mode.command_line import CommandError, signals_end_the_process

# The parameters of glibc's mallopt(3), in bytes.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_MMAP_THRESHOLD = 2**25


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


def has_onednn():
    """Whether oneDNN computes convolutions and fused operations: by default from 2.9 on."""
    return version() >= (2, 9)


def cores():
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_threads(side_by_side, in_each=1):
    """Computes that many operations side by side from here on, each with `in_each` threads.

    To be called before the first graph is built: building a tf.while_loop starts the threads. A
    process that has started them keeps them. Returns the ConfigProto for its sessions.
    """
    threading = _load().config.threading
    with contextlib.suppress(RuntimeError):
        threading.set_inter_op_parallelism_threads(side_by_side)
        threading.set_intra_op_parallelism_threads(in_each)
    return _load().ConfigProto(
        inter_op_parallelism_threads=side_by_side, intra_op_parallelism_threads=in_each
    )


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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow 2.16 and later import Keras 3 and matplotlib with it, unless told to use the legacy
    # Keras, which they only look for: 0.7 s and 48 MB saved for what no script here uses.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    _keep_freed_memory()
    with tempfile.TemporaryFile() as noise:
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


def _keep_freed_memory():
    """Has glibc hand freed memory out again, instead of asking the system for new pages each step.

    On TensorFlow 1.15 a step of the convolutional network asked for up to 22,000 of them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, 2**30)
        mallopt(M_TOP_PAD, 2**26)


@contextlib.contextmanager
def _standard_error_into(file):
    """Redirects file descriptor 2: TensorFlow's C++ side writes there, before any log level."""
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        with signals_end_the_process(saved):
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
