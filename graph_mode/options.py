"""The flags that both training scripts share, and the checks that need nothing but the flags."""

import argparse
import contextlib
import io
import math
import os

from graph_mode import run_folder
from graph_mode.command_line import CommandError, OneLineParser
from graph_mode.model import LOSSES, OPTIMIZERS, SCHEDULES

LARGEST_SEED = 2**31 - 1
# File systems take 255 bytes; this leaves room for the -2, -3, ... of a name that is taken.
LONGEST_NAME = 240
# What --resume and --evaluate take from the command line, where it says so, and not from the run.
MAY_DIFFER = ("num_batches", "data_dir", "threads", "allow_nonfinite", "checkpoint_every")
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
    training.add_argument(
        "--learning-rate",
        type=positive_number,
        default=0.002,
        metavar="RATE",
        help="step size of the update rule",
    )
    training.add_argument(
        "--schedule",
        choices=SCHEDULES,
        default="constant",
        help="how the learning rate goes over the batches: as it is, down to 0 along half a "
        "cosine, or up to it and down again",
    )
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
        metavar="N",
        help="of the initial weights and of the order of the batches: the same seed, the same run",
    )
    training.add_argument(
        "--validate-every",
        type=positive_integer,
        default=500,
        metavar="N",
        help="batches between evaluations on the validation set",
    )
    training.add_argument(
        "--allow-nonfinite",
        action="store_true",
        default=False,
        help="go on when the loss is nan or inf, which ends the run otherwise",
    )
    training.add_argument(
        "--threads",
        type=threads,
        default=0,
        metavar="N",
        help="processor threads to use; 0 is one for each core",
    )
    training.add_argument(
        "--xla",
        action="store_true",
        default=False,
        help="compile the training loop with XLA (TensorFlow 2.5 or later): the fully connected "
        "network with batch norm trains faster after about 2 s of compiling, the convolutional one "
        "far slower",
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
    files.add_argument(
        "--checkpoint-every",
        type=positive_integer,
        metavar="N",
        help="batches between checkpoints (default: one at each evaluation)",
    )
    files.add_argument(
        "--histograms",
        action="store_true",
        default=False,
        help="write weights, activations and gradients of each layer for TensorBoard at each "
        "evaluation",
    )
    files.add_argument(
        "--diagnostics",
        action="store_true",
        default=False,
        help="write, at each evaluation, percentiles of the inputs to each activation, gradient "
        "norms, the share of dead ReLU units and how the loss varies along the gradient",
    )

    instead = flags.add_argument_group("with what was trained before")
    mode = instead.add_mutually_exclusive_group()
    mode.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with the run in this folder, with its own flags; --num-batches may be raised",
    )
    mode.add_argument(
        "--evaluate",
        metavar="CHECKPOINT",
        help="train nothing: print loss and accuracy of a checkpoint, or of the last one of a run",
    )
    instead.add_argument(
        "--export",
        metavar="FOLDER",
        help="write the trained network, or the one that --evaluate names, as a SavedModel",
    )
    return flags


def parse(flags, arguments, network):
    """The flags as a namespace; with --resume, or --evaluate of a run, the run's own.

    Raises CommandError for a run of another network, for a flag that contradicts the run's, and for
    settings that no run of this script has.
    """
    settings = flags.parse_args(arguments)
    run = settings.resume or _run_of(settings.evaluate)
    if run is None:
        return settings
    recorded = run_folder.read_settings(run)
    if recorded["network"] != network:
        script = f"{recorded['network']}_train.py"
        raise CommandError(f"{run}: a run of the {recorded['network']} network: use {script}")
    _check_recorded(flags, recorded["flags"], run)
    given = _given(flags, arguments)
    for name, value in recorded["flags"].items():
        if name in given and name in MAY_DIFFER and not _moves_a_schedule(name, recorded["flags"]):
            continue
        if name in given and given[name] != value:
            unset = value is None or value is False
            has = "the default" if unset else _as_flag(name, value)
            raise CommandError(
                f"{_as_flag(name, given[name])} contradicts {run}, which has {has}: leave it out"
            )
        setattr(settings, name, value)
    return settings


def _moves_a_schedule(name, recorded):
    """Whether another value of the flag would change the learning rate of batches already done."""
    return name == "num_batches" and recorded["schedule"] != "constant"


def _given(flags, arguments):
    """The flags that the command line names, with their values."""
    nothing = object()
    names = vars(flags.parse_args([]))
    given = vars(flags.parse_args(arguments, argparse.Namespace(**dict.fromkeys(names, nothing))))
    return {name: value for name, value in given.items() if value is not nothing}


def _check_recorded(flags, recorded, run):
    """Raises CommandError unless the parser itself would give these values of these types."""
    expected = set(vars(flags.parse_args([]))) - set(run_folder.NOT_RECORDED)
    problems = [f"{name!r} is missing" for name in sorted(expected - set(recorded))]
    problems += [f"{name!r} is unknown" for name in sorted(set(recorded) - expected)]
    for name in sorted(expected & set(recorded)):
        value = recorded[name]
        if not _is_a_value_of(flags, name, value):
            problems.append(f"{name!r} is {value!r:.40}")
    if problems:
        raise CommandError(
            f"{os.path.join(run, run_folder.SETTINGS)}: expected the flags of a run of this "
            f"script, found that {problems[0]}"
        )


def _is_a_value_of(flags, name, value):
    words = [] if value is None or value is False else [_as_flag(name, value)]
    try:
        # A path that no system call takes, which no command line can hold either.
        if b"\0" in os.fsencode("".join(words)):
            return False
        with contextlib.redirect_stderr(io.StringIO()):
            parsed = getattr(flags.parse_args(words), name)
    except (SystemExit, ValueError):
        return False
    return type(parsed) is type(value) and parsed == value


def _as_flag(name, value):
    """The flag `name` with this value, as on a command line."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    if isinstance(value, list):
        value = ",".join(map(str, value))
    return f"--{flag}={value}"


def _run_of(checkpoint):
    """The run that a checkpoint, a folder of checkpoints or a run's folder is of; None if none."""
    if checkpoint is None:
        return None
    run = os.path.normpath(checkpoint)
    place = run if os.path.isdir(run) else os.path.dirname(run)
    for folder in (place, os.path.dirname(place)):
        if os.path.basename(os.path.abspath(folder)) == "checkpoints":
            run = os.path.dirname(folder) or "."
    return run if os.path.exists(os.path.join(run, run_folder.SETTINGS)) else None


def threads(text):
    """argparse type: an integer of at least 0."""
    return 0 if text == "0" else positive_integer(text)


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
    if len(os.fsencode(text)) > LONGEST_NAME:
        raise argparse.ArgumentTypeError(
            f"found a name of {len(os.fsencode(text))} bytes, expected at most {LONGEST_NAME}"
        )
    return text


def _number(convert, text, expected):
    try:
        return convert(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected}") from None
