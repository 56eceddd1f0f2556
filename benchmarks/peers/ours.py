"""This project's own scripts, measured: fc_train.py or conv_train.py with a stopwatch inside.

A training step is what happens between two evaluations: drawing its batch, its part of the session
call, and writing its loss. Mode xla adds --xla.
"""

import contextlib
import json
import os
import sys

import measuring

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))

import conv_train  # noqa: E402
import fc_train  # noqa: E402
from graph_mode import evaluation, training  # noqa: E402
from graph_mode import tensorflow1 as tf  # noqa: E402

SCRIPTS = {"fc": fc_train, "conv": conv_train}


class EnoughError(Exception):
    """Ends a run in the middle: its target is reached, or only its training was asked for."""


def script_options(arguments):
    """The flags of the script for what `arguments` ask to measure."""
    flags = ["--num-batches", str(arguments.steps), "--batch-size", str(arguments.batch_size)]
    flags += ["--seed", str(arguments.seed), "--data-dir", arguments.data_dir]
    flags += ["--log-dir", arguments.log_dir]
    if arguments.network == "fc":
        units = measuring.hidden_units(arguments.layers)
        flags += ["--hidden-units", ",".join(map(str, units))]
    else:
        flags += ["--layers", str(arguments.layers)]
    flags += ["--batch-norm"] if arguments.batch_norm else []
    flags += ["--xla"] if arguments.mode == "xla" else []
    return SCRIPTS[arguments.network].parse_options(flags)


def put_stopwatch_into_training(arguments, stopwatch, accuracies):
    """Wraps the call that trains some steps; evaluation and checkpoints come between the calls."""
    train = training.Training.call

    def measured_call(self, first, last):
        stopwatch.begin()
        result = train(self, first, last)
        stopwatch.end(last + 1 - first)
        if arguments.target and stopwatch.steps > 1:
            test = self.data.test
            accuracies["test"] = evaluation.evaluate(
                self.session, self.inference, test.images, test.labels
            ).accuracy
            if accuracies["test"] >= arguments.target:
                raise EnoughError
        if arguments.no_evaluation and stopwatch.steps == arguments.steps:
            raise EnoughError
        return result

    training.Training.call = measured_call
    if arguments.no_evaluation or arguments.target:
        training.Training.after_call = lambda self, step, batch: None


def main():
    arguments = measuring.parse_arguments(__doc__, ["loop", "xla"])
    stopwatch = measuring.Stopwatch(arguments.window)
    accuracies = {}
    put_stopwatch_into_training(arguments, stopwatch, accuracies)
    script = SCRIPTS[arguments.network]
    with contextlib.suppress(EnoughError):
        run = training.train_and_evaluate(
            arguments.network, script.network, script_options(arguments)
        )
        with open(os.path.join(run, "result.json")) as file:
            result = json.load(file)
        accuracies.update((part, result[part + "_accuracy"]) for part in ("validation", "test"))
    measuring.report(
        "ours-" + arguments.mode, arguments, stopwatch, accuracies, {"tensorflow": tf.VERSION}
    )


if __name__ == "__main__":
    main()
