"""Stands for tf.layers."""

from graph_mode.layers import batch_normalization, conv2d, dense, flatten

__all__ = ["batch_normalization", "conv2d", "dense", "flatten"]
