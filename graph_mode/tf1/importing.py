"""Makes TensorFlow 1 visible to a program, and to no other module of the process.

The program, and every module that lies beside it, gets an `__import__` of its own, in which
`tensorflow` is a stand-in: the names of tensorflow.compat.v1 and those of PROVIDED. Everything
else in the process, such as NumPy, Keras and TensorFlow itself, imports the real modules.
"""

import builtins
import contextlib
import functools
import importlib
import importlib.abc
import importlib.machinery
import os
import re
import runpy
import sys
import types

from graph_mode import tensorflow1 as tf
from graph_mode.tf1 import behavior, input_data, missing


def _with_sentinel(_sentinel=None, labels=None, logits=None, name=None):
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits, name=name)


# The modules of this folder, by what they stand for.
MODULES = {
    "contrib.framework": "framework", "contrib.layers": "contrib_layers", "contrib.learn": "learn",
    "contrib.legacy_seq2seq": "seq2seq", "contrib.losses": "slim_losses",
    "contrib.metrics": "metrics", "contrib.rnn": "rnn", "contrib.seq2seq": "seq2seq",
    "contrib.slim": "slim", "examples.tutorials.mnist.input_data": "input_data",
    "examples.tutorials.mnist.mnist": "mnist",
}  # fmt: skip
if not hasattr(tf, "estimator"):  # from TensorFlow 2.16 on
    MODULES.update({"estimator": "estimator", "python.estimator": "estimator"})

# What the program finds under a name.
PROVIDED = {
    "VERSION": "1.15.5",  # by which a program decides what it may use
    "__version__": "1.15.5",
    "contrib.distributions": tf.distributions,
    "contrib.util.constant_value": tf.get_static_value,
    "contrib.util.make_ndarray": tf.make_ndarray,
    "contrib.util.make_tensor_proto": tf.make_tensor_proto,
    "keras.datasets.mnist.load_data": input_data.load_data,
    "nn.sigmoid_cross_entropy_with_logits": _with_sentinel,
    "python.framework.graph_util": tf.graph_util,
    "python.ops.rnn": tf.nn,
    "python.ops.rnn_cell": tf.nn.rnn_cell,
    "python.ops.rnn_cell_impl": tf.nn.rnn_cell,
}
for path, module in MODULES.items():
    PROVIDED[path] = importlib.import_module(f"graph_mode.tf1.{module}")
PROVIDED = {f"tensorflow.{path}": value for path, value in PROVIDED.items()}
with tf.Graph().as_default():
    # For programs that ask for the type of a tensor: isinstance() knows a class above it.
    PROVIDED["tensorflow.Tensor"] = type(tf.constant(0))

# What has moved to another package.
MOVED = {"tensorflow.contrib.tensorboard.plugins.projector": "tensorboard.plugins.projector"}
KNOWN = [*PROVIDED, *MOVED]

# Where the parts of tf.contrib were defined. Each has the names of the whole part here.
INNER = re.compile(r"(tensorflow\.contrib\.\w+)\.python(\.|$)")
INNER_MODULE = re.compile(
    "(core_)?rnn_cell|framework|initializers|layers|learn|learning|loss|losses|loss_ops|metrics|"
    "metric_ops|ops|optimizers|python|regularizers|rnn|seq2seq|slim|util|utils|variables"
)

OURS = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep


class StandIn(types.ModuleType):
    """A module of TensorFlow 1 by its dotted `path`: what is PROVIDED, and the rest of `real`."""

    def __init__(self, path, real=None):
        super().__init__(path)
        self.__path__ = []
        self.__dict__["real"] = real

    def __getattr__(self, name):
        value = self._find(name)
        setattr(self, name, value)
        return value

    def _find(self, name):
        path = f"{self.__name__}.{name}"
        real = self.__dict__["real"]
        if path == "tensorflow.compat.v1":
            return root()
        is_inner = INNER.match(path) and INNER_MODULE.fullmatch(name)
        if is_inner and not _is_module(getattr(real, name, None)):
            return StandIn(path, real)
        if path in PROVIDED:
            return _wrapped(path, PROVIDED[path])
        with contextlib.suppress(AttributeError):
            return _wrapped(path, getattr(real, name))
        if name.startswith("__"):
            raise AttributeError(name)
        module = _importable(path)
        if module is not None or any(p.startswith(path + ".") for p in KNOWN):
            return StandIn(path, module)
        raise missing.MissingName(missing.sentence(shown(path)))

    def __dir__(self):
        here = self.__name__ + "."
        inside = {path[len(here) :].split(".")[0] for path in KNOWN if path.startswith(here)}
        return sorted(inside.union(dir(self.__dict__["real"])))


def _is_module(value):
    return isinstance(value, types.ModuleType)


def _wrapped(path, value):
    return StandIn(path, value) if _is_module(value) else value


def _importable(path):
    """A module that the program names by its path, such as tensorflow.python.ops; or None."""
    if path.startswith("tensorflow.keras"):
        return None
    try:
        return importlib.import_module(MOVED.get(path, path))
    except ImportError:
        return None


def shown(path):
    """tensorflow.nn.relu as tf.nn.relu."""
    return "tf" + path[len("tensorflow") :]


@functools.lru_cache(maxsize=None)
def root():
    """The stand-in for TensorFlow 1 itself. The first call imports TensorFlow."""
    tf.disable_v2_behavior()
    return StandIn("tensorflow", sys.modules["tensorflow.compat.v1"])


def find(path):
    """The stand-in for the module `path`, such as tensorflow.contrib.slim. Raises MissingModule."""
    if path.startswith("tensorflow.compat.v1"):
        path = path.replace(".compat.v1", "", 1)
    found = root()
    for name in path.split(".")[1:]:
        try:
            value = getattr(found, name)
        except missing.MissingName:
            raise missing.MissingModule(missing.sentence(shown(path)), name=path) from None
        # Of contrib.framework.python.ops.arg_scope, the function has the name of its module.
        if not INNER.match(path) or _is_module(value):
            found = value
    return found


def import_for_program(name, globals=None, locals=None, fromlist=(), level=0):
    """The program's __import__."""
    top = name.split(".")[0]
    if level == 0 and top in ("tensorflow", "keras"):
        # Keras was a package of its own, and is the same.
        path = name if top == "tensorflow" else f"tensorflow.{name}"
        module = find(path)
        if not fromlist:
            return root() if top == "tensorflow" else find("tensorflow.keras")
        for wanted in fromlist:
            if wanted == "*":
                # A stand-in's own tf is not the program's.
                module.__all__ = [n for n in dir(module) if n != "tf" and n[0] != "_"]
            elif not hasattr(module, wanted):
                find(f"{module.__name__}.{wanted}")
        return module
    if level == 0 and top == "scipy":
        behavior.restore_scipy()
    module = builtins.__import__(name, globals, locals, fromlist, level)
    return _runs_modules(module) if module in (importlib, runpy) else module


@functools.lru_cache(maxsize=None)
def _runs_modules(module):
    """importlib or runpy, for whose modules the program's __import__ is meant, too."""
    made = types.ModuleType(module.__name__)
    vars(made).update(vars(module))

    def import_module(name, package=None):
        is_tensorflow = name.split(".")[0] == "tensorflow"
        return find(name) if is_tensorflow else importlib.import_module(name, package)

    if module is importlib:
        made.import_module = import_module
    else:
        given = {"__builtins__": program_builtins()}
        made.run_module = functools.partial(runpy.run_module, init_globals=given)
        made.run_path = functools.partial(runpy.run_path, init_globals=given)
    return made


def program_builtins():
    """The `__builtins__` of a module that sees TensorFlow 1."""
    return dict(vars(builtins), __import__=import_for_program)


class ProgramLoader(importlib.machinery.SourceFileLoader):
    """Loads a module of the program, which sees TensorFlow 1 as the program does."""

    def exec_module(self, module):
        module.__dict__["__builtins__"] = program_builtins()
        super().exec_module(module)


class ProgramFinder(importlib.abc.MetaPathFinder):
    """Finds the modules that belong to the program: all but those of Python's library folders.

    `library` is sys.path without the folders of the program and of PYTHONPATH.
    """

    def __init__(self, library):
        self.library = {os.path.realpath(folder) for folder in library}

    def find_spec(self, name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None
        if not self.is_own(spec.origin):
            return None
        spec.loader = ProgramLoader(spec.loader.name, spec.loader.path)
        return spec

    def is_own(self, file):
        """Whether the innermost folder of sys.path around `file` is one of the program's."""
        file = os.path.realpath(file)
        if not os.path.isfile(file) or file.startswith(OURS):
            return False
        folders = [os.path.realpath(folder or os.getcwd()) for folder in sys.path]
        around = [f for f in folders if file.startswith(f + os.sep)]
        return bool(around) and max(around, key=len) not in self.library
