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
import sys
import types

from graph_mode import tensorflow1 as tf
from graph_mode.tf1 import (
    contrib_layers,
    framework,
    input_data,
    missing,
    mnist,
    rnn,
    slim,
)

# The version that a program sees, because it decides by it which API it may use.
VERSION = "1.15.5"

# What the program finds under a name.
PROVIDED = {
    "tensorflow.VERSION": VERSION,
    "tensorflow.__version__": VERSION,
    "tensorflow.contrib.distributions": tf.distributions,
    "tensorflow.contrib.framework": framework,
    "tensorflow.contrib.layers": contrib_layers,
    "tensorflow.contrib.learn.datasets.mnist": input_data,
    "tensorflow.contrib.learn.python.learn.datasets.mnist": input_data,
    "tensorflow.contrib.losses": slim.losses,
    "tensorflow.contrib.rnn": rnn,
    "tensorflow.contrib.slim": slim,
    "tensorflow.examples.tutorials.mnist.input_data": input_data,
    "tensorflow.examples.tutorials.mnist.mnist": mnist,
    "tensorflow.keras.datasets.mnist.load_data": input_data.load_data,
    "tensorflow.python.ops.rnn_cell": tf.nn.rnn_cell,
}

# What has moved to another package.
MOVED = {"tensorflow.contrib.tensorboard.plugins.projector": "tensorboard.plugins.projector"}

KNOWN = [*PROVIDED, *MOVED]


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


def _wrapped(path, value):
    """A module in a stand-in, whose missing names end in one sentence; anything else as it is."""
    return StandIn(path, value) if isinstance(value, types.ModuleType) else value


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
            found = getattr(found, name)
        except missing.MissingName:
            raise missing.MissingModule(missing.sentence(shown(path)), name=path) from None
    return found


def import_for_program(name, globals=None, locals=None, fromlist=(), level=0):
    """The program's __import__."""
    if level == 0 and name.split(".")[0] == "tensorflow":
        module = find(name)
        if not fromlist:
            return root()
        for wanted in fromlist:
            if wanted == "*":
                # A stand-in's own tf is not the program's.
                module.__all__ = [n for n in dir(module) if n != "tf" and n[0] != "_"]
            elif not hasattr(module, wanted):
                find(f"{module.__name__}.{wanted}")
        return module
    module = builtins.__import__(name, globals, locals, fromlist, level)
    return _importlib_for_program() if module is importlib else module


def _importlib_for_program():
    """importlib, with an import_module that finds what the program's __import__ finds."""
    module = types.ModuleType("importlib")
    vars(module).update(vars(importlib))

    def import_module(name, package=None):
        is_tensorflow = name.split(".")[0] == "tensorflow"
        return find(name) if is_tensorflow else importlib.import_module(name, package)

    module.import_module = import_module
    return module


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
        if not os.path.isfile(file):
            return False
        file = os.path.realpath(file)
        folders = [os.path.realpath(folder or os.getcwd()) for folder in sys.path]
        around = [f for f in folders if file.startswith(f + os.sep)]
        return bool(around) and max(around, key=len) not in self.library
