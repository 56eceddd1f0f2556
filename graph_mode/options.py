"""The flags that both training scripts share, and the checks that need nothing but the flags."""

import argparse
import math
import os

from graph_mode.command_line import OneLineParser
from graph_mode.model import LOSSES, OPTIMIZERS

LARGEST_SEED = 2**31 - 1
DEFAULT_DATA_DIR = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "MNIST_data"
)


def parser(description):
    """A parser with every flag that both networks know; a script adds its own network's."""
    flags = OneLineParser(description=description)
    network = flags.add_argument_group("the network")
    batch_norm = network.add_mutually_exclusive_group()
    batch_norm.add_argument(
        "--batch-norm",
        action="store_true",
        default=False,
        help="normalize every hidden layer before its activation (default: off)",
    )
    batch_norm.add_argument(
        "--no-batch-norm", action="store_false", dest="batch_norm", help="the default, spelled out"
    )
    network.add_argument(
        "--hidden-bias", action="store_true", default=False, help="give the hidden layers a bias"
    )
    network.add_argument(
        "--loss",
        choices=LOSSES,
        default="sigmoid",
        help="cross-entropy of one sigmoid a class, or of one softmax over the classes",
    )

    training = flags.add_argument_group("training")
    training.add_argument("--optimizer", choices=OPTIMIZERS, default="adam", help="update rule")
    training.add_argument("--learning-rate", type=positive_number, default=0.002, metavar="RATE")
    training.add_argument(
        "--num-batches", type=positive_integer, default=3000, metavar="N", help="training steps"
    )
    training.add_argument(
        "--batch-size", type=positive_integer, default=128, metavar="N", help="images a step"
    )
    training.add_argument(
        "--seed",
        type=seed,
        default=0,
        help="of the initial weights and of the order of the batches: the same seed, the same run",
    )
    training.add_argument(
        "--xla",
        action="store_true",
        default=False,
        help="compile the training loop with XLA (TensorFlow 2.5 or later): the fully connected "
        "network trains faster after about 2 s of compiling, the convolutional one far slower",
    )

    files = flags.add_argument_group("files")
    files.add_argument(
        "--data-dir",
        default=DEFAULT_DATA_DIR,
        metavar="FOLDER",
        help="the four IDX files of MNIST or of any set in its format (default: the MNIST_data "
        "beside the script)",
    )
    files.add_argument(
        "--validation-size",
        type=positive_integer,
        default=5000,
        metavar="N",
        help="how many of the first training images are kept for validation",
    )
    files.add_argument("--log-dir", default="runs", metavar="FOLDER", help="where runs are written")
    files.add_argument(
        "--run-name",
        type=folder_name,
        metavar="NAME",
        help="the run's folder below LOG_DIR/<network> (default: <optimizer>_batchnorm or "
        "<optimizer>_no_batchnorm); a name that is taken gets -2, -3, ...",
    )
    return flags


def positive_integer(text):
    """argparse type: an integer of at least 1."""
    value = _number(int, text, "a whole number of at least 1")
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected a whole number of at least 1")
    return value


def positive_integers(text):
    """argparse type: comma-separated integers of at least 1, as a list."""
    return [positive_integer(part) for part in text.split(",")]


def positive_number(text):
    """argparse type: a finite number above 0."""
    value = _number(float, text, "a number above 0")
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"found {text}, expected a finite number above 0")
    return value


def seed(text):
    """argparse type: an integer that both TensorFlow and NumPy take as a seed."""
    expected = f"a whole number from 0 to {LARGEST_SEED}"
    value = _number(int, text, expected)
    if not 0 <= value <= LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"found {text}, expected {expected}")
    return value


def folder_name(text):
    """argparse type: the name of one folder, not a path."""
    if text in ("", ".", "..") or os.path.basename(text) != text or "\0" in text:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected the name of one folder")
    return text


def _number(convert, text, expected):
    try:
        return convert(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected}") from None
