"""Which runs a comparison consists of: every combination of the values of its flags. A grid is
{flag: [word]}, as a command line says it: {"network": ["fc,conv"], "batch-norm": ["both"]}."""

import collections
import functools
import importlib.util
import itertools
import json
import os
import re
import sys
import typing

import mnist_data
from graph_mode import flags as flag_table
from graph_mode import names
from graph_mode.command_line import CommandError
from graph_mode.machine import PROJECT
from graph_mode.runs.record import source_checksum

OWN_NETWORKS = ("fc", "conv")
NEEDED = ("NETWORK", "FLAGS", "parse_flags", "main")  # of a training script
DEFAULTS = {
    "network": [",".join(OWN_NETWORKS)],
    "optimizer": ["sgd,momentum,rmsprop,adam"],
    "batch-norm": ["both"],
    "seed": ["0,1,2,3,4"],
}
# One processor thread a run, since as many as there are cores go on side by side; no checkpoints on
# the way, since a run that was killed is trained anew.
HOW = {"threads": "1", "checkpoint-every": "1000000000"}
# What is written of a run besides its numbers.
EXTRAS = [flag.name for flag in flag_table.SHARED if flag.role == flag_table.EXTRA]
SINGULAR = {"networks": "network", "optimizers": "optimizer", "seeds": "seed"}
SWITCHES = {"true": [True], "false": [False], "both": [False, True]}


class Run(typing.NamedTuple):
    """One run to train."""

    network: str
    script: str  # its path
    arguments: list  # its command line, but for --log-dir and --run-name
    name: str  # of its folder
    settings: dict  # what settings.json will say, of the versions only that of the script
    key: str  # see key_of


def read_config(path):
    """The grids of a JSON file, {"grids": [{"networks": ["fc", "conv"], "seeds": 2}, ...]}. Raises
    CommandError and OSError."""
    with open(path, encoding="utf-8-sig") as file:  # Editors on Windows write a byte order mark.
        try:
            config = json.load(file)
        except (ValueError, RecursionError) as error:
            raise CommandError(f"{path}: not readable as JSON: {error}") from None
    grids = config["grids"] if isinstance(config, dict) and set(config) == {"grids"} else None
    if not (grids and isinstance(grids, list) and all(isinstance(g, dict) and g for g in grids)):
        raise CommandError(f'{path}: expected {{"grids": [{{flag: values}}, ...]}} alone')
    return [grid_of_arguments(arguments_of(grid)) for grid in grids]


def arguments_of(grid):
    """The command line that says the same as a grid of JSON, {flag: value or list of values}."""
    for flag, values in grid.items():
        for value in (values if isinstance(values, list) else [values]) or [""]:
            if isinstance(value, list):
                value = ",".join(map(str, value))
            yield f"--{flag}={json.dumps(value) if isinstance(value, bool) else value}"


def grid_of_arguments(arguments):
    """The grid of a command line; --flag alone means true, and --seeds N the seeds below N."""
    grid = collections.defaultdict(list)
    waiting = collections.deque(arguments)
    while waiting:
        word = waiting.popleft()
        flag, equals, value = word[2:].partition("=")
        if not word.startswith("--") or not flag:
            raise CommandError(f"found {word}, expected a flag; --help lists them")
        if not equals:
            value = waiting.popleft() if waiting and waiting[0][:2] != "--" else "true"
        name = SINGULAR.get(flag, flag)
        if name in ("log-dir", "run-name") or not flag_table.is_recorded(name.replace("-", "_")):
            raise CommandError(f"--{name} is for a single run: leave it out of a comparison")
        if flag == "seeds" and re.match(r"[+-]?\d+$", value):
            if int(value) < 1:
                raise CommandError(f"--seeds: found {value}, expected a number of at least 1")
            value = ",".join(map(str, range(int(value))))
        grid[name].append(value)
    return dict(grid)


def values_of(flag, words, known):
    """The values of a flag that its words stand for, each once: ["a,b", "true"] is a, b and True.
    known: the training script's {name: Flag}."""
    name = flag.replace("-", "_")
    declared = known.get(name, flag_table.Flag(name))
    # A comma in a list that is one value begins no other.
    is_list = declared.type is flag_table.positive_integers
    parts = words if is_list else ",".join(words).split(",")
    if "" in parts:
        raise CommandError(f"--{flag}: found an empty value, expected one or several")
    switches = SWITCHES if declared.type is bool else {}
    values = list(dict.fromkeys(value for part in parts for value in switches.get(part, [part])))
    if len(values) > 1 and not declared.grid:
        raise CommandError(f"--{flag} takes one value, the same for all runs of a comparison")
    return values


def expand(grids):
    """Every Run of the grids, once, the first seed of all settings before the second seed of any.
    Raises CommandError and DataError, and SystemExit for a value that the script refuses."""
    runs, paths = {}, {}
    checksums = functools.lru_cache(maxsize=None)(mnist_data.checksums)
    for grid in grids:
        grid = {"network": DEFAULTS["network"], **grid}
        for path in map(path_of, values_of("network", grid.pop("network"), {})):
            known = table_of(path)
            values = {flag: values_of(flag, words, known) for flag, words in grid.items()}
            varying = [flag for flag in values if len(values[flag]) > 1]
            for combination in itertools.product(*values.values()):
                run = run_of(path, dict(zip(values, combination)), varying, checksums)
                runs.setdefault(run.key, run)
                other = paths.setdefault(run.network, path)
                if other != path:
                    words = f"both name their network {run.network}: give one another NETWORK"
                    raise CommandError(f"{path} and {other}: {words}")
    return sorted(runs.values(), key=lambda run: run.settings["flags"]["seed"])


def run_of(path, chosen, varying, checksums):
    """The Run of one value for each flag; its name tells those that vary. checksums: a function of
    the data folder."""
    script = load(path)
    arguments = [flag_table.as_word(flag, value) for flag, value in {**HOW, **chosen}.items()]
    parsed = script.parse_flags(arguments)
    settings = {
        "network": script.NETWORK,
        "flags": recorded(path, parsed),
        "data": checksums(parsed.data_dir),
        "versions": {"script": source_checksum(path)},
    }
    words = [parsed.optimizer, "batchnorm" if parsed.batch_norm else "no_batchnorm"]
    words += [f"{f}-{chosen[f]}" for f in varying if f not in ("optimizer", "batch-norm", "seed")]
    name = f"{names.safe('_'.join(words))}_seed-{parsed.seed}"
    return Run(script.NETWORK, path, arguments, name, settings, key_of(settings))


def recorded(path, parsed=None):
    """The parsed flags of a script that settings.json holds, {name: value} as JSON gives them back;
    without `parsed` their defaults, which count for a run that is older than a flag."""
    known = {n: flag for n, flag in table_of(path).items() if flag_table.is_recorded(n)}
    values = {n: getattr(parsed, n) if parsed else flag.default for n, flag in known.items()}
    return json.loads(json.dumps(values))


def key_of(settings):
    """What decides a run's numbers and what it writes besides, from its settings, as a string."""
    flags, network = settings["flags"], settings["network"]
    # The version of a run's numbers does not tell what a script of somebody's own computes.
    script = None if network in OWN_NETWORKS else settings.get("versions", {}).get("script")
    written = [flags.get(name) for name in EXTRAS]
    key = [network, flag_table.deciding(flags), written, settings["data"], script]
    return flag_table.frozen(key)


def path_of(name):
    """The path of the training script that `--networks name` means. Raises CommandError."""
    if name in OWN_NETWORKS:
        return os.path.join(PROJECT, f"{name}_train.py")
    if not os.path.isfile(name) or not name.endswith(".py"):
        expected = f"{', '.join(OWN_NETWORKS)} or the path of a training script (.py)"
        raise CommandError(f"found network {name}, expected {expected}")
    return os.path.abspath(name)


def load(path):
    """The module of a training script, which is loaded once. Raises CommandError if it is none."""
    # A path is no other module's name, whatever the script is called.
    name = os.path.splitext(path)[0]
    if name not in sys.modules:
        if os.path.dirname(path) not in sys.path:  # It may import the modules beside it.
            sys.path.insert(0, os.path.dirname(path))
        spec = importlib.util.spec_from_file_location(name, path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            network, *_ = (getattr(module, each) for each in NEEDED)
            if names.safe(str(network)) != network:
                raise TypeError(f"NETWORK is {network!r}, expected letters, digits, - and _")
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            expected = f"expected a training script that defines {', '.join(NEEDED)}"
            raise CommandError(f"{path}: {expected}, found {reason}") from None
    return sys.modules[name]


def table_of(path):
    return flag_table.table(load(path).FLAGS)
