"""Stands for tf.contrib.rnn: the cells of tf.nn.rnn_cell, and recurrence over a list of inputs."""

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
