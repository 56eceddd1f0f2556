"""Who is measured: one record for each contestant, one file in this folder for each program.

To add a contestant, write a program here that takes the flags of measuring.py and ends with
measuring.report(), and add its record to PEERS. Readers of event files are the same with READERS.
"""

import collections

# `folder` of the virtual environment, the Python versions that can hold it, what pip installs.
Environment = collections.namedtuple("Environment", "folder pythons packages")
# `fc` and `conv` name the tables in which the contestant is measured with that network. Of an idea,
# `fc` names the networks in which it is there to be taken away.
Peer = collections.namedtuple(
    "Peer", "name environment file fc conv mode", defaults=((), (), "default")
)

PYTHONS = ("3.11", "3.12", "3.13")
PROJECT = ("-r", "requirements.txt")
TENSORFLOW_1 = Environment(
    ".venv-benchmark-tensorflow1", ("3.7",), PROJECT + ("tensorflow==1.15.5",)
)
TENSORFLOW_2 = Environment(
    ".venv-benchmark-tensorflow2", PYTHONS, PROJECT + ("tensorflow==2.21.0",)
)
TF_KERAS = Environment(
    ".venv-benchmark-tf-keras", PYTHONS, TENSORFLOW_2.packages + ("tf-keras==2.21.0",)
)
# From PyPI, torch for Linux is the CUDA build of several gigabytes; the CPU build of the same
# version gives the same figures.
PYTORCH = Environment(".venv-benchmark-pytorch", PYTHONS, ("torch==2.13.0", "numpy"))
JAX = Environment(".venv-benchmark-jax", PYTHONS, ("jax==0.10.2", "optax==0.2.8"))
TBPARSE = Environment(
    ".venv-benchmark-tbparse", PYTHONS, TENSORFLOW_2.packages + ("tbparse==0.0.9",)
)

STEPS = ("steps",)
ALL = ("steps", "startup", "whole", "accuracy", "growth")
SHORT = ("steps", "startup", "whole")
OURS = "this project, TensorFlow 2.21"

# In the order of the tables.
PEERS = [
    Peer(OURS, TENSORFLOW_2, "ours.py", ALL, ALL),
    Peer(f"{OURS}, --xla", TENSORFLOW_2, "ours.py", STEPS, (), "xla"),
    Peer("this project, TensorFlow 1.15.5", TENSORFLOW_1, "ours.py", SHORT, SHORT),
    Peer("published program, TensorFlow 2.21 with tf-keras", TF_KERAS, "published.py", ALL, ALL),
    Peer("published program, TensorFlow 1.15.5", TENSORFLOW_1, "published.py", SHORT, SHORT),
    Peer("Keras 3 fit, TensorFlow 2.21", TENSORFLOW_2, "keras_fit.py", ALL, STEPS),
    Peer("PyTorch 2.13, eager", PYTORCH, "pytorch.py", ALL, ALL),
    Peer("PyTorch 2.13, torch.compile", PYTORCH, "pytorch.py", STEPS, STEPS, "compile"),
    Peer("JAX 0.10, jit a step", JAX, "jax_train.py", STEPS, STEPS, "jit"),
    # A convolution inside a loop of XLA takes a fifth of a second.
    Peer("JAX 0.10, scan over steps", JAX, "jax_train.py", ALL, STEPS, "scan"),
]
READERS = [
    Peer("this project, graph_mode/runs", TENSORFLOW_2, "event_readers.py", mode="ours"),
    Peer("tensorboard 2.21, EventAccumulator", TBPARSE, "event_readers.py", mode="tensorboard"),
    Peer("tbparse 0.0.9", TBPARSE, "event_readers.py", mode="tbparse"),
]
BATCH_NORM, CONVOLUTION = ("fc, batch norm", "conv, batch norm"), ("conv, batch norm", "conv")
EVERYWHERE = BATCH_NORM + ("fc", "conv")
PLAIN_BATCH_NORM = "plain batch norm, TensorFlow's gradient"
IDEAS = [
    Peer("as it is", None, "ours.py", EVERYWHERE),
    Peer(PLAIN_BATCH_NORM, None, "ours.py", BATCH_NORM, (), "plain-batch-norm"),
    Peer("one slice in place of two", None, "ours.py", EVERYWHERE, (), "one-slice"),
    Peer("one session call a step", None, "ours.py", EVERYWHERE, (), "one-step-a-call"),
    Peer("plain convolution", None, "ours.py", CONVOLUTION, (), "plain-convolution"),
]
