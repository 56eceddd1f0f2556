"""This project's own scripts, with a clock that is told of every call of the training loop."""

import json
import os
import sys
import time

import measuring

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))

import conv_train  # noqa: E402
import fc_train  # noqa: E402
from graph_mode import fast  # noqa: E402
from graph_mode import tensorflow1 as tf  # noqa: E402
from graph_mode.train import training  # noqa: E402

SCRIPTS = {"fc": fc_train.script, "conv": conv_train.script}
FLAGS = {"xla": ["--xla"], "one-slice": ["--slices", "1"]}
# The fast forms that a mode of benchmarks/ablation.py leaves out.
WITHOUT = {"plain-batch-norm": ["batch_norm"], "plain-convolution": ["convolution"]}
EVALUATED_EVERY = 100
MODES = ["default", "one-step-a-call", *FLAGS, *WITHOUT]


class Clock(training.Hook):
    """Counts the time of the steps and of what each needs besides: drawing, writing its loss.

    The scripts evaluate after each multiple of 100. A call that ends one step earlier is followed
    by nothing but what belongs to its steps, so all the time since the last call counts.
    """

    def __init__(self, arguments):
        self.stopwatch = measuring.Stopwatch(arguments.window)
        self.ends_every_step = arguments.mode == "one-step-a-call"
        self.began = None

    def is_due(self, step):
        return self.ends_every_step or step % EVALUATED_EVERY == EVALUATED_EVERY - 1

    def after_call(self, call):
        is_evaluated = call.last % EVALUATED_EVERY == 0
        seconds = call.ended - call.started if is_evaluated else time.time() - self.began
        self.stopwatch.add(seconds, int(call.last + 1 - call.first), call.ended)
        self.began = time.time()


def flags_of(arguments):
    """The flags of the script for what `arguments` ask to measure."""
    flags = ["--seed", arguments.seed, "--data-dir", arguments.data_dir]
    flags += ["--log-dir", arguments.log_dir, "--num-batches", arguments.steps]
    if arguments.fast:
        flags += ["--fast"]
    else:
        flags += ["--batch-size", arguments.batch_size]
        flags += ["--learning-rate", arguments.learning_rate]
        flags += ["--batch-norm"] if arguments.batch_norm else []
    return list(map(str, flags)) + FLAGS.get(arguments.mode, [])


def main():
    arguments = measuring.parse_arguments(__doc__, MODES)
    clock = Clock(arguments)
    script = SCRIPTS[arguments.network]
    flags = script.parse_flags(flags_of(arguments))
    with fast.without(*WITHOUT.get(arguments.mode, [])):
        folder = script.run(flags, hooks=[clock])
    with open(os.path.join(folder, "result.json")) as file:
        result = json.load(file)
    accuracies = {split: result[split + "_accuracy"] for split in ("validation", "test")}
    measuring.report(arguments, clock.stopwatch, accuracies, {"tensorflow": tf.VERSION})


if __name__ == "__main__":
    main()
