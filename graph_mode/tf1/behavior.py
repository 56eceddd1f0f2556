"""What a program of TensorFlow 1 finds changed while it runs: old seeds, dimensions and NumPy."""

import contextlib
import ctypes
import functools
import gc
import importlib
import sys

import numpy as np

from graph_mode import tensorflow1 as tf
from graph_mode.tf1 import seeds

# What NumPy has removed.
NUMPY = {
    "bool": bool, "complex": complex, "float": float, "int": int, "long": int, "object": object,
    "str": str, "unicode": str, "float_": np.float64, "complex_": np.complex128,
    "bool8": np.bool_, "string_": np.bytes_, "unicode_": np.str_, "Inf": np.inf,
    "Infinity": np.inf, "infty": np.inf, "PINF": np.inf, "NINF": -np.inf, "NaN": np.nan,
    "NAN": np.nan, "product": np.prod, "cumproduct": np.cumprod, "alltrue": np.all,
    "sometrue": np.any, "row_stack": np.vstack, "round_": np.round, "asscalar": np.ndarray.item,
    "in1d": lambda ar1, *rest, **keywords: np.isin(np.ravel(ar1), *rest, **keywords),
    "trapz": getattr(np, "trapezoid", None), "asfarray": functools.partial(np.asarray, dtype=float),
}  # fmt: skip

# Modules of SciPy, and where their names are now.
SCIPY = {
    "scipy.misc": "scipy.special", "scipy.ndimage.filters": "scipy.ndimage",
    "scipy.ndimage.interpolation": "scipy.ndimage", "scipy.ndimage.measurements": "scipy.ndimage",
    "scipy.ndimage.morphology": "scipy.ndimage", "scipy.stats.stats": "scipy.stats",
}  # fmt: skip


@contextlib.contextmanager
def of_1_15():
    """In the block, this process does as the releases that the program was written for."""
    changes = [(np, name, value) for name, value in NUMPY.items() if name not in vars(np)]
    changes += [(np, "reshape", _reshape), (tf.Dimension, "__init__", _dimension)]
    before = []
    for owner, name, value in [*changes, *seeds.changes()]:
        before.append((owner, name, vars(owner).get(name)))
        setattr(owner, name, value)
    if not hasattr(np.ndarray, "tostring"):
        # The class is written in C: only its own dict takes a new name, and Python has to be told.
        gc.get_referents(vars(np.ndarray))[0]["tostring"] = np.ndarray.tobytes
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(np.ndarray))
    is_new = np.lib.NumpyVersion(np.__version__) >= "2.0.0"
    try:
        # It prints 0.5, not np.float64(0.5).
        with np.printoptions(**({"legacy": "1.25"} if is_new else {})):
            yield
    finally:
        for owner, name, value in before:
            if value is None:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


def _reshape(a, *shape, newshape=None, _reshape=np.reshape, **keywords):
    return _reshape(a, *(shape if newshape is None else (newshape,)), **keywords)


def _dimension(self, value, _constructor=tf.Dimension.__init__):
    """A dimension takes a whole float, such as 784 / 2."""
    is_whole = isinstance(value, float) and value == int(value)
    _constructor(self, int(value) if is_whole else value)


def restore_scipy():
    """SciPy, if it is installed and no longer has them, gets its former modules back."""
    with contextlib.suppress(ImportError):
        is_new = np.lib.NumpyVersion(importlib.import_module("scipy").__version__) >= "1.12.0"
        for path, place in SCIPY.items() if is_new else ():
            parent, _, name = path.rpartition(".")
            sys.modules[path] = importlib.import_module(place)
            setattr(importlib.import_module(parent), name, sys.modules[path])
