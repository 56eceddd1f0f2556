"""A batch of examples in slices along the first axis, which the cores compute side by side.

One operation seldom keeps two cores busy: it is over before the second has begun. So a batch is
split, and each core takes a slice through the layers. A batch in one slice is a tensor.

A Batch stands for the whole tensor. Arithmetic, indexing, the layers of layers.py and batch.apply
work slice by slice, and an operation of TensorFlow gets all slices joined into one tensor. Whatever
would give something else than the whole tensor raises a TypeError.
"""

import contextlib
import itertools
import operator
import re

from graph_mode import tensorflow1 as tf

# Functions of TensorFlow that compute each element by itself, and each vector along the last axis.
ELEMENTWISE = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign"),
    *("swish", "log_sigmoid", "identity", "abs", "square", "sqrt", "exp", "log", "sin", "cos"),
)
ALONG_LAST_AXIS = ("softmax", "log_softmax", "crelu")


def split(tensor, slices):
    """The tensor [n, ...] as a Batch of that many slices of nearly equal size; for 1, itself."""
    if slices == 1:
        return tensor
    examples = tensor.shape.as_list()[0]
    if examples is None or not 0 < slices <= examples:
        raise ValueError(
            f"a batch of {'unknown size' if examples is None else examples} cannot be split into "
            f"{slices} slices: give 1 to {examples or 'the batch size, known beforehand,'} of them"
        )
    sizes = [examples // slices + (i < examples % slices) for i in range(slices)]
    return Batch(tf.split(tensor, sizes), sizes)


def joined(values):
    """The whole tensor [n, ...] of a Batch; anything else as it is."""
    return tf.concat(values.slices, axis=0) if isinstance(values, Batch) else values


def slices_of(values):
    """The slices as a list; a tensor is the only one of its batch."""
    return values.slices if isinstance(values, Batch) else [values]


def by_example(function):
    """A decorator for a function that computes each example by itself: batch.apply then calls it
    for each slice, which is faster than for the whole batch."""
    function.computes_by_example = True
    return function


def apply(function, *values):
    """function(*values), of Batches: what it gives for the whole batch, whatever it computes.

    TensorFlow's activations and functions declared by by_example() are called slice by slice, any
    other function once, with the joined tensors. Raises TypeError if a declared function's result
    does not have the examples along its first axis, or if it makes variables.
    """
    batches = [value for value in values if isinstance(value, Batch)]
    with _scope(function):
        if not batches or _is_by_example(function, values):
            return slice_by_slice(function, *values)
        result, sizes = function(*map(joined, values)), batches[0].sizes
        rows = result.shape.as_list()[:1] if tf.is_tensor(result) and result.shape.ndims else []
        return Batch(tf.split(result, sizes), sizes) if rows == [sum(sizes)] else result


def slice_by_slice(function, *values):
    """function(*values) for each slice, for a function that computes each example by itself. A
    Batch beside a tensor, or beside a Batch of other slice sizes, is joined first."""
    batches = [value for value in values if isinstance(value, Batch)]
    if not batches:
        return function(*values)
    sizes = batches[0].sizes
    if len(batches) < len(values) or any(other.sizes != sizes for other in batches):
        return function(*map(joined, values))
    scope = tf.get_variable_scope()
    with tf.variable_scope(scope, custom_getter=_refuse_variables, auxiliary_name_scope=False):
        return Batch([function(*slices) for slices in zip(*(x.slices for x in batches))], sizes)


def _is_by_example(function, values):
    if getattr(function, "computes_by_example", False):
        return True
    known = [getattr(place, name, None) for place in (tf, tf.nn, tf.math) for name in ELEMENTWISE]
    if min(value.shape.ndims or 0 for value in values) > 1:
        known += [getattr(tf.nn, name) for name in ALONG_LAST_AXIS]
    return any(function is each for each in known)


def _scope(function):
    """A name scope called as the function, if that can be one: TensorBoard's graph would draw
    Relu, Relu_1, ... as one node beside the network."""
    name = getattr(function, "__name__", "")
    can_be_one = re.match("[A-Za-z][A-Za-z0-9_]*$", name)
    return tf.name_scope(name) if can_be_one else contextlib.ExitStack()


def _refuse_variables(getter, name, *_arguments, **_keywords):
    raise TypeError(
        f"a function of each slice cannot use the variable {name}: call tf.get_variable outside, "
        "and a layer with the batch itself"
    )


def _refusing(problem):
    def refuse(*_arguments, **_keywords):
        raise TypeError(f"a Batch {problem}")

    return refuse


class BatchError(AttributeError, TypeError):
    """A tensor has this attribute, and a Batch has not."""


class Batch:
    """A batch in slices: `slices` is the list of tensors [n_i, ...], `sizes` the list of n_i."""

    __array_priority__ = 100  # so that NumPy's arrays leave array + batch to the Batch

    def __init__(self, slices, sizes):
        _register_conversion()
        self.slices, self.sizes = list(slices), list(sizes)
        for result, size in zip(self.slices, sizes):
            shape = getattr(result, "shape", "none")
            rank = getattr(shape, "ndims", 0)
            if rank == 0 or (rank and shape.as_list()[0] not in (None, size)):
                raise TypeError(
                    f"a slice of {size} examples must give a tensor with {size} rows, found shape "
                    f"{shape}: use batch.joined to compute with the whole batch"
                )

    @property
    def dtype(self):
        return self.slices[0].dtype

    @property
    def shape(self):
        """The static shape of the whole tensor."""
        of_first = self.slices[0].shape
        if of_first.ndims is None:
            return of_first
        return tf.TensorShape([sum(self.sizes)] + of_first.as_list()[1:])

    def get_shape(self):
        return self.shape

    def __getitem__(self, index):
        indices = index if isinstance(index, tuple) else (index,)
        # The ellipsis stands for the axes that the other indices leave.
        named = sum(i is not Ellipsis and i is not None for i in indices)
        if indices[0] is Ellipsis:
            keeps_examples = named < (self.shape.ndims or 0)
        else:
            keeps_examples = isinstance(indices[0], slice) and indices[0] == slice(None)
        return slice_by_slice(lambda x: x[index], self) if keeps_examples else joined(self)[index]

    def __repr__(self):
        return f"<Batch of shape {self.shape} in slices of {self.sizes}>"

    __iter__ = _refusing("cannot be iterated over: use batch.apply, or its .slices")
    __len__ = _refusing("has no len(): use .shape, or tf.shape(batch)")
    __bool__ = _refusing("is neither true nor false: use tf.cond, or compare with None")
    __contains__ = _refusing("cannot be searched by `in`: use tf.reduce_any(tf.equal(...))")
    __eq__ = __ne__ = _refusing("cannot be compared by == or !=: use tf.equal or tf.not_equal")
    __array__ = _refusing("has no values for NumPy: use the function of tf, or session.run")
    __hash__ = object.__hash__

    def __getattr__(self, name):
        raise BatchError(f"a Batch has no attribute {name}: use batch.joined to get the tensor")


def _combined(operation, first, second):
    """operation(first, second) of a Batch and something else, or of two Batches: slice by slice
    where that is what the whole tensors give."""
    batch = first if isinstance(first, Batch) else second
    if isinstance(first, (list, tuple)) or isinstance(second, (list, tuple)):
        raise TypeError(
            "a Batch and a list cannot be combined: use tf.convert_to_tensor on the list"
        )
    first, second = (
        x if isinstance(x, Batch) else tf.convert_to_tensor(x, batch.dtype) for x in (first, second)
    )
    is_sliced = _multiplies_slices if operation is operator.matmul else _broadcasts_slices
    if not is_sliced(first, second):
        return operation(joined(first), joined(second))
    slices = [x.slices if isinstance(x, Batch) else itertools.repeat(x) for x in (first, second)]
    return Batch(map(operation, *slices), batch.sizes)


def _broadcasts_slices(first, second):
    """Whether the slices broadcast as the whole tensors do: nothing meets the axis of examples."""
    ranks = first.shape.ndims, second.shape.ndims
    if None in ranks:
        return False
    if isinstance(first, Batch) and isinstance(second, Batch):
        return ranks[0] == ranks[1] and first.sizes == second.sizes
    batch, tensor = (first, second) if isinstance(first, Batch) else (second, first)
    if tensor.shape.ndims == batch.shape.ndims:
        return tensor.shape.as_list()[0] == 1
    return tensor.shape.ndims < batch.shape.ndims


def _multiplies_slices(first, second):
    """Whether first @ second of slices is that of the whole: the examples are rows, or matrices."""
    if isinstance(first, Batch) and isinstance(second, Batch):
        return (first.shape.ndims or 0) > 2 and _broadcasts_slices(first, second)
    return isinstance(first, Batch) and (first.shape.ndims or 0) >= 2 and second.shape.ndims == 2


def _add_operators():
    for name in ("neg", "abs", "invert"):
        operation = getattr(operator, name)
        setattr(Batch, f"__{name}__", lambda x, of=operation: slice_by_slice(of, x))
    both_ways = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
    for name in both_ways + ("and_", "or_", "xor"):
        operation, method = getattr(operator, name), name.rstrip("_")
        setattr(Batch, f"__{method}__", lambda x, y, of=operation: _combined(of, x, y))
        setattr(Batch, f"__r{method}__", lambda x, y, of=operation: _combined(of, y, x))
    for name in ("lt", "le", "gt", "ge"):
        operation = getattr(operator, name)
        setattr(Batch, f"__{name}__", lambda x, y, of=operation: _combined(of, x, y))


_add_operators()
_registered = []


def _register_conversion():
    """Lets every operation of TensorFlow take a Batch. With the first one, TensorFlow is loaded."""
    if not _registered:
        _registered.append(True)
        tf.register_tensor_conversion_function(Batch, _to_tensor)


def _to_tensor(value, dtype=None, name=None, as_ref=False):
    if as_ref:
        raise TypeError("a Batch cannot be differentiated by: use tf.gradients by its .slices")
    if dtype is not None and not dtype.is_compatible_with(value.dtype):
        raise ValueError(
            f"a Batch of {value.dtype.name} is not a tensor of {dtype.name}: use tf.cast"
        )
    return tf.concat(value.slices, axis=0, name=name or "joined")
