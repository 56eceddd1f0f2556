"""Which runs a comparison consists of: every combination of the values of its flags.

A grid is a dictionary {flag: value or list of values}, in which a flag is any flag of the training
scripts without its two dashes, and `network`, `networks`, `optimizers` and `seeds` besides:

    {"networks": ["fc", "conv"], "optimizers": "sgd,adam", "batch-norm": "both", "seeds": 5}
"""

import collections
import itertools
import json
import os

import mnist_data
from graph_mode import run_folder
from graph_mode.command_line import CommandError

DEFAULTS = {
    "network": ["fc", "conv"],
    "optimizer": ["sgd", "momentum", "rmsprop", "adam"],
    "batch-norm": [False, True],
    "seed": list(range(5)),
}
# One processor thread a run, since as many runs as there are cores go on side by side; and no
# checkpoints on the way, since a run that was killed is trained anew.
DEFAULT_FLAGS = {"threads": "1", "checkpoint-every": "1000000000"}
PLURALS = {"networks": "network", "optimizers": "optimizer", "seeds": "seed"}
# These say where a run lies and what is kept of it, not what it computes. Data counts by its
# checksums.
PLACE_FLAGS = ("log_dir", "run_name", "data_dir", "checkpoint_every")
NO_DIMENSIONS = ("log-dir", "run-name") + run_folder.NOT_RECORDED
# A value of these is itself a list, so that a comma in it does not begin a second value.
LIST_FLAGS = ("hidden-units",)
SWITCHES = {"true": [True], "false": [False], "both": [False, True]}
CONFIG_KEYS = {"grids"}

Run = collections.namedtuple("Run", "network arguments name settings key")
Run.__doc__ = """One run of a comparison. arguments: the training script's command line, [str], but
for --log-dir and --run-name; name: of its folder; settings: what settings.json will say, but for
the versions; key: a string, the same for two runs that compute the same."""


def read_config(path):
    """The grids of a JSON file: {"grids": [grid, ...]}. Raises CommandError and OSError."""
    with open(path, encoding="utf-8") as file:
        try:
            config = json.load(file)
        except ValueError as error:
            raise CommandError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(config, dict) or set(config) != CONFIG_KEYS:
        raise CommandError(f'{path}: expected an object {{"grids": [...]}} and nothing besides')
    if not isinstance(config["grids"], list) or not all(
        isinstance(grid, dict) and grid for grid in config["grids"]
    ):
        raise CommandError(f"{path}: grids: expected a list of objects {{flag: values}}")
    return [normalized(grid) for grid in config["grids"]]


def grid_of_arguments(arguments):
    """The grid that a command line of --flag VALUES asks for, {flag: [values]}.

    --flag A,B and --flag A --flag B both give two values; --flag alone gives True.
    """
    grid = collections.defaultdict(list)
    waiting = collections.deque(arguments)
    while waiting:
        word = waiting.popleft()
        flag, equals, value = word[2:].partition("=")
        if not word.startswith("--") or not flag:
            raise CommandError(f"found {word}, expected a flag; --help lists them")
        if not equals and waiting and not waiting[0].startswith("--"):
            equals, value = "=", waiting.popleft()
        grid[flag].append(value if equals else True)
    return normalized(grid)


def normalized(grid):
    """The grid with each flag once, named as the training scripts do, and a list of its values."""
    result = {}
    for flag, values in grid.items():
        flag = flag.replace("_", "-")
        values = values if isinstance(values, list) else [values]
        name, parts = PLURALS.get(flag, flag), [p for value in values for p in split(flag, value)]
        if name in NO_DIMENSIONS:
            raise CommandError(f"--{name} is for a single run: leave it out of a comparison")
        if name in result:
            raise CommandError(f"found both --{flag} and --{name}: leave one of them out")
        result[name] = list(dict.fromkeys(parts))
    return result


def split(flag, value):
    """The values that one word of the command line, or one value of a JSON file, stands for."""
    if flag == "seeds" and (isinstance(value, int) or str(value).isdigit()):
        return [str(seed) for seed in range(int(value))]
    if isinstance(value, (bool, type(None))):
        return [bool(value)]
    parts = [str(value)] if flag in LIST_FLAGS else str(value).split(",")
    return [meant for part in parts for meant in SWITCHES.get(part, [part])]


def expand(grids, scripts):
    """Every Run of the grids, once, the first seed of all settings before the second seed of any.

    scripts: {network: the training script's module}. Raises CommandError and DataError; a value
    that the script refuses ends the process with the script's own message.
    """
    runs = {}
    checksums = {}
    for grid in grids:
        networks = grid.get("network", [])
        if len(grid.get("threads", [])) > 1:
            raise CommandError("--threads takes one value: a process keeps those it started with")
        for network in networks:
            if network not in scripts:
                raise CommandError(f"found network {network}, expected {', '.join(scripts)}")
        varying = [flag for flag in grid if flag != "network" and len(grid[flag]) > 1]
        order = sorted(grid, key=lambda flag: flag != "seed")
        for values in itertools.product(*(grid[flag] for flag in order)):
            chosen = dict(zip(order, values))
            run = run_of(chosen, varying, scripts, checksums)
            runs.setdefault(run.key, run)
    return list(runs.values())


def run_of(chosen, varying, scripts, checksums):
    """The Run of one value for each flag; its name tells those that vary."""
    network = chosen["network"]
    flags = {**DEFAULT_FLAGS, **chosen}
    arguments = [word for flag, value in flags.items() for word in argument(flag, value)]
    options = scripts[network].parse_options(arguments)
    if options.data_dir not in checksums:
        checksums[options.data_dir] = mnist_data.checksums(options.data_dir)
    # As JSON gives it back, so that it compares with what is read from a settings.json.
    flags = json.loads(json.dumps(vars(options)))
    flags = {name: flags[name] for name in flags if name not in run_folder.NOT_RECORDED}
    settings = {"network": network, "flags": flags, "data": checksums[options.data_dir]}
    named = [flag for flag in varying if flag not in ("optimizer", "batch-norm", "seed")]
    words = [options.optimizer, "batchnorm" if options.batch_norm else "no_batchnorm"]
    words += [f"{flag}-{chosen[flag]}".replace(os.sep, "_") for flag in named]
    name = "_".join(words + [f"seed-{options.seed}"])
    return Run(network, arguments, name, settings, key_of(settings))


def argument(flag, value):
    """The words that set a flag of a training script; a switch that is off is left out."""
    if flag == "network" or value is False:
        return []
    return [f"--{flag}"] if value is True else [f"--{flag}={value}"]


def key_of(settings):
    """What a run computes, from the content of its settings.json, as a string to compare."""
    flags = {flag: v for flag, v in settings["flags"].items() if flag not in PLACE_FLAGS}
    return json.dumps([settings["network"], flags, settings["data"]], sort_keys=True)
