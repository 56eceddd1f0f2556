"""Stands for tf.contrib.rnn: the cells, and recurrence over a list of inputs."""

from graph_mode import tensorflow1 as tf
from graph_mode.tf1.rnn_cell import *  # noqa: F403

static_rnn = tf.nn.static_rnn
static_bidirectional_rnn = tf.nn.static_bidirectional_rnn
