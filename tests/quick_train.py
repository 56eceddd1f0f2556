"""A training script that trains nothing: it writes what a run leaves, at once, without TensorFlow.
For tests of what compare.py itself does. A run of seed N takes N times SECONDS_A_SEED. A learning
rate of 1e38 diverges, a batch size of 1000 fails, a width of 13 ends the process."""

import os
import time

import made_runs

import mnist_data
from graph_mode import flags
from graph_mode.command_line import CommandError
from graph_mode.runs import record
from graph_mode.train import hooks

NETWORK = "quick"
FLAGS = [
    flags.Flag("width", flags.positive_integer, 7, "units of a layer"),
    flags.Flag("sizes", flags.positive_integers, [1], "a list"),
]


def parse_flags(arguments=None):
    return flags.parser("A quick network", FLAGS, NETWORK).parse_args(arguments)


def main(arguments=None):
    given = vars(parse_flags(arguments))
    if given["batch_size"] == 1000:
        raise CommandError("--batch-size 1000 is too large")
    if given["width"] == 13:
        os.write(2, b"I starting\nF no AVX here\n*** stack\n\n  Aborted\n")
        os._exit(7)
    folder = os.path.join(given["log_dir"], NETWORK, given["run_name"])
    settings = {
        "network": NETWORK,
        "flags": {name: value for name, value in given.items() if flags.is_recorded(name)},
        "versions": {"numbers": record.NUMBERS, "script": "that of another file"},
        "data": mnist_data.checksums(given["data_dir"]),
    }
    made_runs.write_run(folder, ended=False)
    made_runs.write_json(os.path.join(folder, record.SETTINGS), settings)
    time.sleep(given["seed"] * float(os.environ.get("SECONDS_A_SEED", 0)))
    if given["learning_rate"] == 1e38:
        print("trained to", folder)
        raise CommandError(f"nan; last good checkpoint: {folder}", hooks.NONFINITE)
    result = {"test_accuracy": 0.5, "steps": 20, "seconds": 1.0, "steps_per_second": 20.0}
    made_runs.write_json(os.path.join(folder, record.RESULT), result)
    print("trained")
    return folder
