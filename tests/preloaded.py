"""What the process imports whose forks are scripts: see script_server.py."""

from graph_mode import tensorflow1

tensorflow1.version()  # TensorBoard's plugins would load it with its start-up lines.

from tensorboard.plugins.hparams import summary  # noqa: E402, F401
from tensorboard.plugins.text import summary as text  # noqa: E402, F401

from graph_mode.train import trainer  # noqa: E402, F401
