"""The flags of the training scripts: one table that says of each flag what it does to a run.

Resuming a run, grouping runs by their seed, grids of runs and reports all read this table. A script
adds the flags of its own network, in the same form.
"""

import argparse
import collections
import contextlib
import io
import json
import os
import typing

from graph_mode.command_line import CommandError, OneLineParser
from graph_mode.machine import PROJECT

# What a flag does to a run: it decides the run's numbers; says where or with what it runs and is
# written; says what happens or is written besides; or says what to do with a run, and is not
# recorded.
NUMBERS, PLACE, EXTRA, MODE = "numbers", "place", "extra", "mode"

LOSSES = ("sigmoid", "softmax")
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "rmsprop", "adagrad", "adadelta", "ftrl")
SCHEDULES = ("constant", "cosine", "one-cycle")
DEVICES = ("auto", "cpu", "gpu")

LARGEST = 2**31 - 1
LARGEST_THREADS = 2**12
# File systems take 255 bytes; this leaves room for the -2, -3, ... of a name that is taken.
LONGEST_NAME = 240
DEFAULT_DATA_DIR = os.path.join(PROJECT, "MNIST_data")
# What tells runs apart stands first in tables, in this order.
TOLD_FIRST = ("batch_norm", "optimizer", "learning_rate", "layers", "batch_size")
# What people type who know a flag by another name, and what to say to them.
OTHER_NAMES = {
    "bn": "--batch-norm",
    "lr": "--learning-rate",
    "epochs": "--num-batches (one epoch of 55,000 images is 430 batches of 128)",
    "steps": "--num-batches",
    "restore": "--resume",
}


def _type(convert, expected, is_right):
    """A type for argparse: convert(text), if that is_right; `expected` says what is."""

    def value_of(text):
        try:
            value = convert(text)
            if is_right(value):
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected}")

    return value_of


def number_between(smallest, largest, kind=int):
    expected = f"a {'whole ' * (kind is int)}number from {smallest} to {largest}"
    return _type(kind, expected, lambda value: smallest <= value <= largest)


positive_integer = number_between(1, LARGEST)
seed = integer_from_0 = number_between(0, LARGEST)  # a seed that TensorFlow and NumPy take
thread_count = number_between(0, LARGEST_THREADS)
positive_integers = _type(
    lambda text: [positive_integer(each) for each in text.split(",")], "", lambda values: True
)
positive_number = number_between(1e-37, 1e38, float)  # which float32 holds
fraction = _type(float, "a number from 0 to below 1", lambda value: 0 <= value < 1)
# TensorFlow takes its files' names in UTF-8 alone: encode() raises ValueError for any other.
path = _type(
    str, "a path in UTF-8 (if it is, set PYTHONUTF8=1)", lambda text: b"\0" not in text.encode()
)
folder_name = _type(
    str,
    f"the name of one folder, of at most {LONGEST_NAME} bytes of UTF-8",
    lambda text: (
        text not in ("", ".", "..")
        and os.path.basename(text) == text
        and "\0" not in text
        and len(text.encode()) <= LONGEST_NAME
    ),
)


class Flag(typing.NamedTuple):
    """One flag.

    name: as in the namespace, "batch_norm" for --batch-norm; type: of argparse, or bool for a
    switch; group: the heading in --help; role: NUMBERS, PLACE, EXTRA or MODE; may_change: whether
    --resume may give another value; grid: whether a comparison may vary it; nargs: of argparse.
    """

    name: str
    type: typing.Callable = str
    default: typing.Any = None
    help: str = None
    choices: tuple = None
    metavar: str = None
    group: str = None
    role: str = NUMBERS
    may_change: bool = False
    grid: bool = True
    nargs: str = None


NETWORK = [
    Flag("batch_norm", bool, False, "normalize every hidden layer (default: off)"),
    Flag(
        "batch_norm_momentum", fraction, 0.99, "share of the old value in each update of the "
        "moving averages, which evaluation uses; try 0.9 for runs of under 1000 batches",
        metavar="SHARE",
    ),
    Flag("batch_norm_epsilon", positive_number, 0.001, "added to the variance", metavar="NUMBER"),
    Flag(
        "batch_norm_position", str, "before", "normalize before or after the activation",
        choices=("before", "after"),
    ),
    Flag("hidden_bias", bool, False, "give the hidden layers a bias"),
    Flag(
        "weight_gain", positive_number, 1.0, "variance of the initial weights, as a multiple of "
        "Glorot's 2 / (inputs + outputs); a gain of 2 is He's, where a layer has as many outputs "
        "as inputs", metavar="GAIN",
    ),
    Flag(
        "loss", str, "sigmoid", "cross-entropy of one sigmoid per class, or of one softmax over "
        "the classes", choices=LOSSES,
    ),
]  # fmt: skip
TRAINING = [
    Flag("optimizer", str, "adam", "update rule", choices=OPTIMIZERS),
    Flag("learning_rate", positive_number, 0.002, "step size of the update rule", metavar="RATE"),
    Flag(
        "schedule", str, "constant", "how the learning rate changes: constant, not at all; cosine, "
        "down to 0 along half a cosine; one-cycle, up to its value and down again",
        choices=SCHEDULES,
    ),
    Flag("num_batches", positive_integer, 3000, "training steps", metavar="N", may_change=True),
    Flag("batch_size", positive_integer, 128, "images per step", metavar="N"),
    Flag(
        "seed", seed, 0, "decides the initial weights and the order of the batches. The same seed "
        "gives the same numbers, as long as the code, TensorFlow, the kind of processor, --slices "
        "and --threads are the same (settings.json records them)", metavar="N",
    ),
    Flag(
        "validate_every", positive_integer, 500, "batches between evaluations on the validation "
        "set, --histograms and --diagnostics; they are also made after batch 0, 10, 20, 50, 100 "
        "and 200, and at the end", metavar="N", role=EXTRA,
    ),
    Flag(
        "allow_nonfinite", bool, False, "continue when the loss becomes nan or inf; otherwise that "
        "ends the run", role=EXTRA, may_change=True,
    ),
    Flag(
        "slices", positive_integer, 2, "compute each batch in up to this many slices side by side, "
        "each of at least 16 images; with --xla, --manual-gradients or a GPU, in one", metavar="N",
    ),
    Flag(
        "threads", thread_count, 0, "processor threads to use; 0 means one per core that may be "
        "used. If there are more threads than slices, each operation uses several", metavar="N",
        role=PLACE, may_change=True, grid=False,
    ),
    Flag(
        "device", str, "auto", "where to compute; auto means the CPU, where these small networks "
        "were measured", choices=DEVICES, grid=False,
    ),
    Flag(
        "xla", bool, False, "compile the training loop with XLA (TensorFlow 2.5 or later). "
        "Compiling takes seconds, so the fully connected network is faster from about 10,000 "
        "batches on; the convolutional one is much slower with it",
    ),
]  # fmt: skip
FILES = [
    Flag(
        "data_dir", str, DEFAULT_DATA_DIR, "the four IDX files of MNIST or of any set in its "
        "format (default: the MNIST_data beside the script)", metavar="FOLDER", role=PLACE,
        may_change=True,
    ),
    Flag(
        "validation_size", positive_integer, 5000, "how many of the first training images are kept "
        "for validation", metavar="N",
    ),
    Flag(
        "log_dir", path, "runs", "where runs are written", metavar="FOLDER", role=PLACE, grid=False,
    ),
    Flag(
        "run_name", folder_name, None, "the run's folder below LOG_DIR/<network> (default: the "
        "optimizer, with or without batch norm, and the flags that are not default); a name that "
        "is taken gets -2, -3, ...", metavar="NAME", role=PLACE, grid=False,
    ),
    Flag(
        "checkpoint_every", positive_integer, None, "batches between checkpoints (default: "
        "--validate-every)", metavar="N", role=EXTRA, may_change=True,
    ),
    Flag(
        "histograms", bool, False, "write histograms for TensorBoard: weights, gradients, inputs "
        "and outputs of each activation, and the moving averages of batch norm", role=EXTRA,
        may_change=True,
    ),
    Flag(
        "diagnostics", bool, False, "write percentiles of the inputs to each activation, the norms "
        "of gradients and weights, and the share of dead ReLU units", role=EXTRA, may_change=True,
    ),
]  # fmt: skip
TRAINED = [
    Flag(
        "resume", path, None, "continue the run in this folder, with its own flags; with "
        "--schedule constant, --num-batches may be raised", metavar="RUN",
    ),
    Flag(
        "evaluate", path, None, "train nothing: print loss and accuracy of a checkpoint, or of the "
        "last one of a run", metavar="CHECKPOINT",
    ),
    Flag(
        "predict", str, None, "with --evaluate: print the class of the digit in each of these "
        "pictures and its probability (with --loss sigmoid, its share of the classes' sum), and "
        "write what the network saw to predictions.png beside the checkpoints", metavar="PICTURE",
        nargs="+",
    ),
    Flag(
        "checkpoint_scope", path, None, "with --evaluate: the scope that the checkpoint's "
        "variables are in", metavar="SCOPE",
    ),
    Flag(
        "export", path, None, "write the trained network, or the one that --evaluate names, as a "
        "SavedModel", metavar="FOLDER",
    ),
]  # fmt: skip
SHARED = [flag._replace(group="the network") for flag in NETWORK]
SHARED += [flag._replace(group="training") for flag in TRAINING]
SHARED += [flag._replace(group="files") for flag in FILES]
of_trained = {"group": "with what was trained before", "role": MODE, "grid": False}
SHARED += [flag._replace(**of_trained) for flag in TRAINED]
# Of scripts that have a recipe for it.
FAST = Flag(
    "fast", bool, False, "train by a short recipe (see above); flags that are given replace "
    "those of the recipe", group="training", role=MODE, grid=False,
)  # fmt: skip
_SHARED = {flag.name: flag for flag in SHARED + [FAST]}


def table(own=()):
    """{name: Flag} of the shared flags and a script's own."""
    return collections.OrderedDict((flag.name, flag) for flag in SHARED + list(own))


def decides_numbers(name):
    """Whether a recorded flag decides a run's numbers. One that is not shared always does."""
    return name not in _SHARED or _SHARED[name].role == NUMBERS


def is_recorded(name):
    """Whether settings.json holds the flag."""
    return name not in _SHARED or _SHARED[name].role != MODE


def parser(description, own=(), own_group=None):
    """A parser of the shared flags and a script's own, which stand under `own_group` in --help."""
    parsed = OneLineParser(description=description, other_names=OTHER_NAMES)
    groups = {}
    for flag in table(own).values():
        title = flag.group or own_group
        if title not in groups:
            groups[title] = parsed.add_argument_group(title)
        _add(groups[title], flag)
    return parsed


def _add(group, flag):
    shared = {"dest": flag.name, "default": flag.default}
    on, off = as_word(flag.name, True), as_word(flag.name, False)
    if flag.type is bool:
        group.add_argument(on, action="store_true", help=flag.help, **shared)
        group.add_argument(off, action="store_false", help=argparse.SUPPRESS, **shared)
        return
    shared.update((key, getattr(flag, key)) for key in ("type", "choices", "metavar", "nargs"))
    group.add_argument(on, help=flag.help, **shared)


def as_word(name, value):
    """The flag `name` with this value, as one word of a command line."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    if isinstance(value, (list, tuple)):
        value = ",".join(map(str, value))
    return f"--{flag}={value}"


def words(name, value):
    """A flag as a person says it: 'without batch norm', 'learning rate 0.002', 'adam'."""
    text = name.replace("_", " ")
    if isinstance(value, bool):
        sides = ("without ", "with ") if name == "batch_norm" else ("no ", "")
        return sides[value] + text
    if isinstance(value, (list, tuple)):
        value = ",".join(map(str, value))
    forms = {"optimizer": f"{value}", "loss": f"{value} loss", "layers": f"{value} layers"}
    return forms.get(name, f"{text} {value}")


def frozen(value):
    """A string that stands for what JSON can hold, the same for equal values."""
    return json.dumps(value, sort_keys=True)


def deciding(recorded, without=()):
    """{flag: value} of the recorded flags that decide a run's numbers, but those of `without`.

    Runs of one network and one data set for which this is equal, without=("seed",), are samples of
    one setting.
    """
    return {
        name: value
        for name, value in recorded.items()
        if decides_numbers(name) and name not in without
    }


def on_command_line(parsed, arguments):
    """{name: value} of the flags that the command line names."""
    nothing = object()
    names = vars(parsed.parse_args([]))
    found = vars(parsed.parse_args(arguments, argparse.Namespace(**dict.fromkeys(names, nothing))))
    return {name: value for name, value in found.items() if value is not nothing}


def apply_recorded(parsed, known, namespace, arguments, recorded, run):
    """Sets the namespace to the flags that a run recorded, but for what may change and is given.

    known: the script's table. A flag that was added after the run was trained has its default.
    Raises CommandError for a flag that contradicts the run's, and for settings that no run of this
    script has.
    """
    _check_recorded(parsed, known, recorded, run)
    named = on_command_line(parsed, arguments)
    expected = {name: flag.default for name, flag in known.items() if is_recorded(name)}
    # Another number of batches would change the learning rate of those already done.
    is_scheduled = recorded.get("schedule", "constant") != "constant"
    for name, value in {**expected, **recorded}.items():
        if name not in named or named[name] == value:
            setattr(namespace, name, value)
        elif not known[name].may_change or (name == "num_batches" and is_scheduled):
            unset = value is None or value is False
            has = "the default" if unset else as_word(name, value)
            raise CommandError(
                f"{as_word(name, named[name])} contradicts {run}, which has {has}: leave it out"
            )


def _check_recorded(parsed, known, recorded, run):
    """Raises CommandError unless the parser itself would give these values of these types."""
    for name, value in sorted(recorded.items()):
        if name not in known or not is_recorded(name):
            problem = "is unknown"
        elif not _is_a_value_of(parsed, name, value):
            problem = f"is {value!r:.40}"
        else:
            continue
        raise CommandError(
            f"{run}: expected the flags of a run of this script, found that {name!r} {problem}: "
            "use the version that trained it (settings.json names it)"
        )


def _is_a_value_of(parsed, name, value):
    words = [] if value is None else [as_word(name, value)]
    try:
        # A path that no system call takes, which no command line can hold either.
        if b"\0" in os.fsencode("".join(words)):
            return False
        with contextlib.redirect_stderr(io.StringIO()):
            found = getattr(parsed.parse_args(words), name)
    except (SystemExit, CommandError, ValueError):
        return False
    return type(found) is type(value) and found == value
