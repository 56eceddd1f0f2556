"""Stands for tf.contrib.rnn: cells, those of tf.nn.rnn_cell too, and recurrence."""

from graph_mode import tensorflow1 as tf
from graph_mode.tf1.missing import refuse

static_rnn = tf.nn.static_rnn
static_bidirectional_rnn = tf.nn.static_bidirectional_rnn


def __getattr__(name):
    return getattr(tf.nn.rnn_cell, name)


def __dir__():
    return sorted({*globals(), *dir(tf.nn.rnn_cell)})


def GRUBlockCellV2(num_units=None, cell_size=None, reuse=None, name="gru_cell"):  # noqa: N802
    """A GRUCell, which the original computes by one operation."""
    units = cell_size if num_units is None else num_units
    return tf.nn.rnn_cell.GRUCell(units, reuse=reuse, name=name)


def LSTMBlockCell(  # noqa: N802
    num_units, forget_bias=1.0, cell_clip=None, use_peephole=False, dtype=None, reuse=None,
    name="lstm_cell",
):  # fmt: skip
    """An LSTMCell, which the original computes by one operation."""
    refuse("LSTMBlockCell", cell_clip=cell_clip, use_peephole=use_peephole)
    return tf.nn.rnn_cell.LSTMCell(
        num_units, forget_bias=forget_bias, reuse=reuse, name=name, dtype=dtype
    )


class OutputProjectionWrapper(tf.nn.rnn_cell.RNNCell):
    """A cell whose outputs then pass through a dense layer of `output_size` units."""

    def __init__(self, cell, output_size, activation=None, reuse=None):
        super().__init__(_reuse=reuse)
        self._cell, self._units, self._activation = cell, output_size, activation

    state_size = property(lambda self: self._cell.state_size)
    output_size = property(lambda self: self._units)

    def zero_state(self, batch_size, dtype):
        return self._cell.zero_state(batch_size, dtype)

    def call(self, inputs, state):
        outputs, state = self._cell(inputs, state)
        kernel = tf.get_variable("kernel", [outputs.shape.as_list()[-1], self._units])
        bias = tf.get_variable("bias", [self._units], initializer=tf.zeros_initializer())
        outputs = tf.nn.bias_add(tf.matmul(outputs, kernel), bias)
        return (self._activation or tf.identity)(outputs), state


def stack_bidirectional_dynamic_rnn(
    cells_fw, cells_bw, inputs, initial_states_fw=None, initial_states_bw=None, dtype=None,
    sequence_length=None, parallel_iterations=None, time_major=False, scope=None, swap_memory=False,
):  # fmt: skip
    """Bidirectional layers on top of each other: (outputs [n, t, m], states, states backwards)."""
    states = []
    with tf.variable_scope(scope or "stack_bidirectional_rnn"):
        for number, cells in enumerate(zip(cells_fw, cells_bw)):
            with tf.variable_scope(f"cell_{number}"):
                outputs, state = tf.nn.bidirectional_dynamic_rnn(
                    *cells, inputs, sequence_length,
                    initial_states_fw and initial_states_fw[number],
                    initial_states_bw and initial_states_bw[number],
                    dtype, parallel_iterations, swap_memory, time_major,
                )  # fmt: skip
            inputs = tf.concat(outputs, 2)
            states.append(state)
    return (inputs, *zip(*states))
