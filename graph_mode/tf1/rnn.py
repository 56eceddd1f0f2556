"""Stands for tf.contrib.rnn: the cells, and recurrence over a list of inputs."""

from graph_mode import tensorflow1 as tf
from graph_mode.tf1.missing import refuse
from graph_mode.tf1.rnn_cell import *  # noqa: F403
from graph_mode.tf1.rnn_cell import GRUCell, LSTMCell

static_rnn = tf.nn.static_rnn
static_bidirectional_rnn = tf.nn.static_bidirectional_rnn


class GRUBlockCellV2(GRUCell):
    """A GRUCell, which the original computes by one operation."""

    def __init__(self, num_units=None, cell_size=None, reuse=None, name="gru_cell"):
        super().__init__(cell_size if num_units is None else num_units, reuse=reuse, name=name)


class LSTMBlockCell(LSTMCell):
    """An LSTMCell, which the original computes by one operation."""

    def __init__(
        self, num_units, forget_bias=1.0, cell_clip=None, use_peephole=False, dtype=None,
        reuse=None, name="lstm_cell",
    ):  # fmt: skip
        refuse("LSTMBlockCell", cell_clip=cell_clip, use_peephole=use_peephole)
        super().__init__(num_units, forget_bias=forget_bias, dtype=dtype, reuse=reuse, name=name)
