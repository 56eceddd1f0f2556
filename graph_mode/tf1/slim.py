"""Stands for tf.contrib.slim: the layers and scopes of tf.contrib, its losses and its training."""

from graph_mode.tf1 import slim_learning as learning
from graph_mode.tf1 import slim_losses as losses
from graph_mode.tf1 import slim_model_analyzer as model_analyzer
from graph_mode.tf1.contrib_layers import *  # noqa: F403
from graph_mode.tf1.framework import *  # noqa: F403

__all__ = ["learning", "losses", "model_analyzer"]
