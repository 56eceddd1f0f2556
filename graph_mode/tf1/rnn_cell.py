"""Stands for tf.nn.rnn_cell: recurrent cells for tf.nn.dynamic_rnn and tf.nn.static_rnn.

A cell makes its variables when it is first called, and uses them in every later call.
"""

import collections
import hashlib
import itertools

from graph_mode import tensorflow1 as tf
from graph_mode.tf1.missing import refuse

__all__ = [
    "BasicLSTMCell",
    "BasicRNNCell",
    "DropoutWrapper",
    "GRUCell",
    "LSTMCell",
    "LSTMStateTuple",
    "MultiRNNCell",
    "RNNCell",
]


class LSTMStateTuple(collections.namedtuple("LSTMStateTuple", ["c", "h"])):
    """The state of an LSTM: c, its memory, and h, its last output; both [n, units]."""

    __slots__ = ()

    @property
    def dtype(self):
        return self.c.dtype


class RNNCell:
    """A cell: cell(inputs [n, m], state) -> (outputs [n, output_size], the next state).

    A subclass has the properties state_size and output_size, and call(inputs, state), which makes
    variables with tf.get_variable.
    """

    default_name = None

    def __init__(self, trainable=True, name=None, dtype=None, reuse=None, **keywords):
        for keyword in sorted(keywords):
            refuse(type(self).__name__, **{keyword: repr(keywords[keyword])})
        self.trainable = trainable
        self.dtype = dtype
        self._name = name
        self._reuse = reuse
        self._scope = None
        self._called = False

    @property
    def name(self):
        return self._name or self.default_name or _snake_case(type(self).__name__)

    @property
    def variables(self):
        """The cell's variables, in the order of their creation."""
        return tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, self._scope.name + "/")

    weights = variables

    @property
    def trainable_variables(self):
        return tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, self._scope.name + "/")

    trainable_weights = trainable_variables

    def __call__(self, inputs, state, scope=None):
        if self._scope is None:
            if self._reuse:
                opened = tf.variable_scope(scope or self.name, reuse=self._reuse)
            else:
                opened = tf.variable_scope(scope, default_name=self.name)
            with opened as self._scope:
                pass
        reuse = True if self._called else self._reuse
        variables = tf.variable_scope(self._scope, reuse=reuse, auxiliary_name_scope=False)
        with variables, tf.name_scope(self._scope.original_name_scope):
            outputs = self.call(inputs, state)
        self._called = True
        return outputs

    def zero_state(self, batch_size, dtype):
        """A state of zeros for `batch_size` examples."""

        def zeros(size):
            sizes = tf.TensorShape(size).as_list()
            return tf.zeros(tf.stack([batch_size, *sizes]), dtype)

        return _map(zeros, self.state_size)

    def _variable(self, name, shape, dtype, initializer=None):
        dtype = self.dtype or dtype
        return tf.get_variable(name, shape, dtype, initializer, trainable=self.trainable)

    def _linear(self, parts, units, kernel_initializer=None, bias_initializer=None):
        """concat(parts) . kernel + bias, [n, units]."""
        inputs = tf.concat(parts, 1)
        shape = [int(inputs.shape[1]), units]
        kernel = self._variable("kernel", shape, inputs.dtype, kernel_initializer)
        bias_initializer = bias_initializer or tf.zeros_initializer()
        bias = self._variable("bias", [units], inputs.dtype, bias_initializer)
        return tf.nn.bias_add(tf.matmul(inputs, kernel), bias)


class _OneState(RNNCell):
    """A cell whose output is its state, [n, num_units]."""

    @property
    def state_size(self):
        return self._num_units

    @property
    def output_size(self):
        return self._num_units


class BasicRNNCell(_OneState):
    """activation(concat(inputs, state) . kernel + bias), which is output and state."""

    default_name = "basic_rnn_cell"

    def __init__(self, num_units, activation=None, reuse=None, name=None, dtype=None, **kwargs):
        super().__init__(name=name, dtype=dtype, reuse=reuse, **kwargs)
        self._num_units = num_units
        self._activation = _function(activation)

    def call(self, inputs, state):
        outputs = self._activation(self._linear([inputs, state], self._num_units))
        return outputs, outputs


class GRUCell(_OneState):
    """The gated recurrent unit of Cho et al. (2014)."""

    default_name = "gru_cell"

    def __init__(
        self, num_units, activation=None, reuse=None, kernel_initializer=None,
        bias_initializer=None, name=None, dtype=None, **kwargs
    ):  # fmt: skip
        super().__init__(name=name, dtype=dtype, reuse=reuse, **kwargs)
        self._num_units = num_units
        self._activation = _function(activation)
        self._kernel_initializer = kernel_initializer
        self._bias_initializer = bias_initializer

    def call(self, inputs, state):
        kernel, bias = self._kernel_initializer, self._bias_initializer
        with tf.variable_scope("gates"):
            ones = bias or tf.ones_initializer()
            gates = self._linear([inputs, state], 2 * self._num_units, kernel, ones)
        reset, update = tf.split(tf.sigmoid(gates), 2, 1)
        with tf.variable_scope("candidate"):
            candidate = self._linear([inputs, reset * state], self._num_units, kernel, bias)
        state = update * state + (1 - update) * self._activation(candidate)
        return state, state


class LSTMCell(RNNCell):
    """Long short-term memory, as of Sak et al. (2014), with peepholes and projection if asked."""

    default_name = "lstm_cell"

    def __init__(
        self, num_units, use_peepholes=False, cell_clip=None, initializer=None, num_proj=None,
        proj_clip=None, num_unit_shards=None, num_proj_shards=None, forget_bias=1.0,
        state_is_tuple=True, activation=None, reuse=None, name=None, dtype=None, **kwargs
    ):  # fmt: skip
        super().__init__(name=name, dtype=dtype, reuse=reuse, **kwargs)
        refuse("LSTMCell", num_unit_shards=num_unit_shards, num_proj_shards=num_proj_shards)
        self._num_units = num_units
        self._use_peepholes = use_peepholes
        self._cell_clip = cell_clip
        self._initializer = initializer
        self._num_proj = num_proj
        self._proj_clip = proj_clip
        self._forget_bias = forget_bias
        self._state_is_tuple = state_is_tuple
        self._activation = _function(activation)

    @property
    def state_size(self):
        if self._state_is_tuple:
            return LSTMStateTuple(self._num_units, self.output_size)
        return self._num_units + self.output_size

    @property
    def output_size(self):
        return self._num_proj or self._num_units

    def call(self, inputs, state):
        sizes = [self._num_units, self.output_size]
        memory, last = state if self._state_is_tuple else tf.split(state, sizes, 1)
        gates = self._linear([inputs, last], 4 * self._num_units, self._initializer)
        add, new, forget, show = tf.split(gates, 4, 1)
        forget += tf.constant(self._forget_bias, forget.dtype)
        if self._use_peepholes:
            forget_weights, add_weights, show_weights = (
                self._variable(f"w_{gate}_diag", [self._num_units], gates.dtype, self._initializer)
                for gate in "fio"
            )
            forget += forget_weights * memory
            add += add_weights * memory
        memory = tf.sigmoid(forget) * memory + tf.sigmoid(add) * self._activation(new)
        if self._cell_clip is not None:
            memory = tf.clip_by_value(memory, -self._cell_clip, self._cell_clip)
        if self._use_peepholes:
            show += show_weights * memory
        outputs = tf.sigmoid(show) * self._activation(memory)
        if self._num_proj is not None:
            shape = [self._num_units, self._num_proj]
            with tf.variable_scope("projection"):
                kernel = self._variable("kernel", shape, gates.dtype, self._initializer)
            outputs = tf.matmul(outputs, kernel)
            if self._proj_clip is not None:
                outputs = tf.clip_by_value(outputs, -self._proj_clip, self._proj_clip)
        if self._state_is_tuple:
            return outputs, LSTMStateTuple(memory, outputs)
        return outputs, tf.concat([memory, outputs], 1)


class BasicLSTMCell(LSTMCell):
    """Long short-term memory without clipping, projection or peepholes (Zaremba et al., 2014)."""

    default_name = "basic_lstm_cell"

    def __init__(
        self, num_units, forget_bias=1.0, state_is_tuple=True, activation=None, reuse=None,
        name=None, dtype=None, **kwargs
    ):  # fmt: skip
        super().__init__(
            num_units,
            forget_bias=forget_bias,
            state_is_tuple=state_is_tuple,
            activation=activation,
            reuse=reuse,
            name=name,
            dtype=dtype,
            **kwargs,
        )


class MultiRNNCell(RNNCell):
    """Cells on top of each other: each takes the outputs of the one before."""

    default_name = "multi_rnn_cell"

    def __init__(self, cells, state_is_tuple=True):
        super().__init__()
        if not cells:
            raise ValueError("Must specify at least one cell for MultiRNNCell.")
        if not isinstance(cells, (list, tuple)):
            raise TypeError(f"cells must be a list or tuple, but saw: {cells}.")
        if not state_is_tuple and any(isinstance(cell.state_size, tuple) for cell in cells):
            raise ValueError("Some cells return tuples of states, but state_is_tuple is not set.")
        self._cells = list(cells)
        self._state_is_tuple = state_is_tuple

    @property
    def state_size(self):
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self):
        return self._cells[-1].output_size

    def zero_state(self, batch_size, dtype):
        if not self._state_is_tuple:
            return super().zero_state(batch_size, dtype)
        return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)

    def call(self, inputs, state):
        if not self._state_is_tuple:
            state = tf.split(state, [cell.state_size for cell in self._cells], 1)
        states = []
        for number, (cell, own_state) in enumerate(zip(self._cells, state)):
            with tf.variable_scope(f"cell_{number}"):
                inputs, own_state = cell(inputs, own_state)
            states.append(own_state)
        return inputs, tuple(states) if self._state_is_tuple else tf.concat(states, 1)


class DropoutWrapper(RNNCell):
    """A cell whose inputs, outputs and state (not the memory c of an LSTM) are dropped out."""

    def __init__(
        self, cell, input_keep_prob=1.0, output_keep_prob=1.0, state_keep_prob=1.0,
        variational_recurrent=False, input_size=None, dtype=None, seed=None,
        dropout_state_filter_visitor=None,
    ):  # fmt: skip
        super().__init__(dtype=dtype)
        refuse(
            "DropoutWrapper",
            variational_recurrent=variational_recurrent,
            dropout_state_filter_visitor=dropout_state_filter_visitor,
        )
        # `input_size` has a meaning only with variational_recurrent.
        self._cell = cell
        self._input_keep_prob = input_keep_prob
        self._output_keep_prob = output_keep_prob
        self._state_keep_prob = state_keep_prob
        self._seed = seed

    @property
    def wrapped_cell(self):
        return self._cell

    @property
    def state_size(self):
        return self._cell.state_size

    @property
    def output_size(self):
        return self._cell.output_size

    def zero_state(self, batch_size, dtype):
        return self._cell.zero_state(batch_size, dtype)

    def __call__(self, inputs, state, scope=None):
        inputs = self._dropped(inputs, self._input_keep_prob, "input")
        outputs, state = self._cell(inputs, state, scope=scope)
        state = self._dropped(state, self._state_keep_prob, "state")
        return self._dropped(outputs, self._output_keep_prob, "output"), state

    def _dropped(self, values, keep_prob, what):
        if isinstance(keep_prob, (int, float)) and keep_prob >= 1:
            return values
        numbers = itertools.count()

        def dropped(value):
            seed = self._seed_of(f"{what}_{next(numbers)}")
            return tf.nn.dropout(value, rate=1.0 - keep_prob, seed=seed)

        def keep_memory(state):
            if isinstance(state, LSTMStateTuple):
                next(numbers)
                return LSTMStateTuple(state.c, dropped(state.h))
            return tuple(map(keep_memory, state)) if isinstance(state, tuple) else dropped(state)

        return keep_memory(values)

    def _seed_of(self, place):
        """A seed of its own for each place of dropout, as the original makes it."""
        if self._seed is None:
            return None
        digest = hashlib.md5(f"{self._seed}{place}".encode()).hexdigest()
        return int(digest[:8], 16) & 0x7FFFFFFF


def _function(activation):
    """The activation function that is meant by a function, its name or None (tanh)."""
    if isinstance(activation, str):
        return getattr(tf.nn, activation)
    return activation or tf.tanh


def _map(function, structure):
    if isinstance(structure, LSTMStateTuple):
        return LSTMStateTuple(*(_map(function, part) for part in structure))
    if isinstance(structure, (list, tuple)):
        return tuple(_map(function, part) for part in structure)
    return function(structure)


def _snake_case(name):
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
