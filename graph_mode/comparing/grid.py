"""Which runs a comparison consists of: every combination of the values of its flags.

A grid is a dictionary {flag: value or list of values}, in which a flag is any flag of the training
scripts without its two dashes, and `network`, `networks`, `optimizers` and `seeds` besides:

    {"networks": ["fc", "my_train.py"], "optimizers": "sgd,adam", "batch-norm": "both", "seeds": 5}
"""

import collections
import hashlib
import itertools
import json
import re

import mnist_data
from graph_mode import flags as flag_table
from graph_mode import machine
from graph_mode.command_line import CommandError
from graph_mode.comparing import scripts
from graph_mode.runs.record import checksum_of

DEFAULTS = {
    "network": list(scripts.OWN_NETWORKS),
    "optimizer": ["sgd", "momentum", "rmsprop", "adam"],
    "batch-norm": [False, True],
    "seed": list(range(5)),
}
# How a comparison trains: one processor thread a run, since as many runs as there are cores go on
# side by side; and no checkpoints on the way, since a run that was killed is trained anew.
HOW = {"threads": "1", "checkpoint-every": "1000000000"}
# What is written of a run besides its numbers.
EXTRAS = [
    flag.name
    for flag in flag_table.SHARED
    if flag.role == flag_table.EXTRA and flag.name.replace("_", "-") not in HOW
]
SET_BY_COMPARISON = ("log-dir", "run-name")
PLURALS = {"networks": "network", "optimizers": "optimizer", "seeds": "seed"}
SWITCHES = {"true": [True], "false": [False], "both": [False, True]}
LONGEST_NAME = 60 if machine.WINDOWS else 150

Run = collections.namedtuple("Run", "network script arguments name settings key")
Run.__doc__ = """One run of a comparison. script: its path; arguments: the script's command line,
[str], but for --log-dir and --run-name; name: of its folder; settings: what settings.json will say,
of the versions only that of the script; key: see key_of."""


def read_config(path):
    """The grids of a JSON file: {"grids": [grid, ...]}. Raises CommandError and OSError."""
    # With a byte order mark or without: editors on Windows write one.
    with open(path, encoding="utf-8-sig") as file:
        try:
            config = json.load(file)
        except (ValueError, RecursionError) as error:
            raise CommandError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(config, dict) or set(config) != {"grids"}:
        raise CommandError(f'{path}: expected an object {{"grids": [...]}} and nothing besides')
    grids = config["grids"]
    if not (isinstance(grids, list) and grids and all(isinstance(g, dict) and g for g in grids)):
        raise CommandError(f"{path}: grids: expected a list of objects {{flag: values}}")
    return [normalized(grid) for grid in grids]


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
        name = PLURALS.get(flag, flag)
        values = values if isinstance(values, list) else [values]
        if flag == "seeds" and len(values) == 1:
            values = seeds(values[0])
        if name in SET_BY_COMPARISON or not flag_table.is_recorded(name.replace("-", "_")):
            raise CommandError(f"--{name} is for a single run: leave it out of a comparison")
        if name in result:
            raise CommandError(f"found both --{flag} and --{name}: leave one of them out")
        if not values or any(value in ("", [], None) for value in values):
            raise CommandError(f"--{flag}: found no value, expected at least one")
        result[name] = values
    return result


def seeds(value):
    """The values of --seed that `--seeds value` stands for: the seeds below N, or a list."""
    text = str(value)
    if not re.match(r"[+-]?\d+$", text):
        return [value]
    if int(text) < 1:
        raise CommandError(f"--seeds: found {text}, expected a number of seeds of at least 1")
    return [str(seed) for seed in range(int(text))]


def values_of(flag, words, known):
    """The values of a flag that its words stand for, each once: ["a,b", True] is a, b and True.

    known: the training script's {name: Flag}. A value of some flags is itself a list, so that a
    comma in it does not begin a second value. Raises CommandError for an empty one.
    """
    declared = known.get(flag.replace("-", "_"))
    is_list = declared is not None and declared.type is flag_table.positive_integers
    values = []
    for word in words:
        if not isinstance(word, bool):
            word = ",".join(map(str, word)) if isinstance(word, list) else str(word)
        for part in [word] if is_list or isinstance(word, bool) else word.split(","):
            if part == "":
                raise CommandError(f"--{flag}: found an empty value in {word!r}")
            values += SWITCHES.get(part, [part])
    values = list(dict.fromkeys(values))
    if len(values) > 1 and not flag_table.may_be_dimension(flag.replace("-", "_")):
        raise CommandError(f"--{flag} takes one value, the same for all runs of a comparison")
    return values


def expand(grids):
    """Every Run of the grids, once, the first seed of all settings before the second seed of any.

    Raises CommandError and DataError; a value that the training script refuses ends the process
    with the script's own message.
    """
    runs, paths, checksums = {}, {}, {}
    for grid in grids:
        for name in values_of("network", grid.get("network", DEFAULTS["network"]), {}):
            path = scripts.path_of(str(name))
            network = scripts.load(path).NETWORK
            if paths.setdefault(network, path) != path:
                raise CommandError(
                    f"{path} and {paths[network]}: both name their network {network}: give one of "
                    "them another NETWORK"
                )
            for run in runs_of(grid, path, checksums):
                flags, same = run.settings["flags"], runs.setdefault(run.key, [])
                if not any(fulfils(other.settings["flags"], flags) for other in same):
                    same[:] = [o for o in same if not fulfils(flags, o.settings["flags"])] + [run]
    found = [run for same in runs.values() for run in same]
    return sorted(found, key=lambda run: run.settings["flags"]["seed"])


def runs_of(grid, path, checksums):
    """Yields the Runs of a grid with one training script."""
    known = flag_table.table(scripts.load(path).FLAGS)
    values = {
        flag: values_of(flag, words, known) for flag, words in grid.items() if flag != "network"
    }
    varying = [flag for flag in values if len(values[flag]) > 1]
    for combination in itertools.product(*values.values()):
        yield run_of(path, dict(zip(values, combination)), varying, checksums)


def run_of(path, chosen, varying, checksums):
    """The Run of one value for each flag; its name tells those that vary.

    checksums: {data folder: {file: SHA-256}} of those that were read, to be added to.
    """
    script = scripts.load(path)
    arguments = [flag_table.as_word(flag, value) for flag, value in {**HOW, **chosen}.items()]
    parsed = script.parse_flags(arguments)
    if parsed.data_dir not in checksums:
        checksums[parsed.data_dir] = mnist_data.checksums(parsed.data_dir)
    # As JSON gives it back, so that it compares with what is read from a settings.json.
    known = filter(flag_table.is_recorded, flag_table.table(script.FLAGS))
    recorded = json.loads(json.dumps({name: getattr(parsed, name) for name in known}))
    settings = {"network": script.NETWORK, "flags": recorded, "data": checksums[parsed.data_dir]}
    settings["versions"] = {"script": checksum_of(path)}
    key = key_of(settings)
    words = [parsed.optimizer, "batchnorm" if parsed.batch_norm else "no_batchnorm"]
    words += [f"{f}-{chosen[f]}" for f in varying if f not in ("optimizer", "batch-norm", "seed")]
    return Run(script.NETWORK, path, arguments, folder_name(words, parsed.seed, key), settings, key)


def folder_name(words, seed, key):
    """The name of a run's folder, which every file system takes, and no pattern of files reads."""
    name = re.sub(r"[^\w.,=+-]", "_", "_".join(words))
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}_{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    return f"{name}_seed-{seed}"


def key_of(settings):
    """What decides the numbers of a run, from the content of its settings.json, as a string."""
    flags = {name: v for name, v in settings["flags"].items() if flag_table.decides_numbers(name)}
    key = [settings["network"], flags, settings["data"]]
    if settings["network"] not in scripts.OWN_NETWORKS:
        # A script of somebody's own: the version of a run's numbers does not tell what it computes.
        key.append(settings.get("versions", {}).get("script"))
    return json.dumps(key, sort_keys=True)


def fulfils(flags, wanted):
    """Whether a run with these flags wrote all that one with the wanted flags would write.

    That is asked of runs with the same key: a run with --diagnostics has the numbers of one
    without, but not the other way round.
    """
    return all(wanted.get(n) in (None, False, flags.get(n)) for n in EXTRAS)
