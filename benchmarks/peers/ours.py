"""This project's own scripts, measured: fc_train.py or conv_train.py with a stopwatch inside.

Everything between two evaluations counts as training: drawing the batches, the session call, and
writing the loss of every step. Mode xla adds --xla.
"""

import json
import os
import sys

import measuring

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))

import conv_train  # noqa: E402
import fc_train  # noqa: E402
from graph_mode import tensorflow1 as tf  # noqa: E402
from graph_mode import training  # noqa: E402

SCRIPTS = {"fc": fc_train, "conv": conv_train}


class TargetReachedError(Exception):
    """Ends a run in the middle, once its test accuracy is high enough."""


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
    """Wraps the three functions of graph_mode.training whose time is to be told apart."""
    run_training, train, evaluate = training.run_training, training.train, training.evaluate
    seen = {}

    def measured_run_training(session, loop, inference, data, options, events):
        seen.update(inference=inference, test=data.test)
        stopwatch.begin()
        return run_training(session, loop, inference, data, options, events)

    def measured_train(session, loop, batches):
        losses = train(session, loop, batches)
        stopwatch.end(len(batches))
        if arguments.target and stopwatch.steps > 1:
            test = seen["test"]
            accuracies["test"] = evaluate(
                session, seen["inference"], test.images, test.labels
            ).accuracy
            if accuracies["test"] >= arguments.target:
                raise TargetReachedError
        stopwatch.begin()
        return losses

    def measured_evaluate(*values):
        if arguments.no_evaluation or arguments.target:
            return training.Evaluation(0.0, 0.0)
        with stopwatch.excluded():
            return evaluate(*values)

    training.run_training = measured_run_training
    training.train = measured_train
    training.evaluate = measured_evaluate


def main():
    arguments = measuring.parse_arguments(__doc__, ["loop", "xla"])
    stopwatch = measuring.Stopwatch(arguments.window)
    accuracies = {}
    put_stopwatch_into_training(arguments, stopwatch, accuracies)
    script = SCRIPTS[arguments.network]
    try:
        run = training.train_and_evaluate(
            arguments.network, script.network, script_options(arguments)
        )
    except TargetReachedError:
        pass
    else:
        if not (arguments.no_evaluation or arguments.target):
            with open(os.path.join(run, "result.json")) as file:
                result = json.load(file)
            accuracies = {part: result[part + "_accuracy"] for part in ("validation", "test")}
    measuring.report(
        "ours-" + arguments.mode, arguments, stopwatch, accuracies, {"tensorflow": tf.VERSION}
    )


if __name__ == "__main__":
    main()
