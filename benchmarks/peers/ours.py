"""This project's own scripts, with a clock that is told of every call of the training loop."""

import os
import sys
import time

import measuring

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))

import conv_train  # noqa: E402
import fc_train  # noqa: E402
from graph_mode import fast  # noqa: E402
from graph_mode import tensorflow1 as tf  # noqa: E402
from graph_mode.runs import record  # noqa: E402
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
    names = ["seed", "data_dir", "log_dir", "batch_size", "learning_rate"]
    flags = [f"--{name.replace('_', '-')}={getattr(arguments, name)}" for name in names]
    flags += [f"--num-batches={arguments.steps}", *["--fast"] * arguments.fast]
    flags += ["--batch-norm"] * arguments.batch_norm
    return flags + FLAGS.get(arguments.mode, [])


def main():
    arguments = measuring.parse_arguments(__doc__, MODES)
    clock = Clock(arguments)
    script = SCRIPTS[arguments.network]
    flags = script.parse_flags(flags_of(arguments))
    with fast.without(*WITHOUT.get(arguments.mode, [])):
        folder = script.run(flags, hooks=[clock])
    result = record.read_json(os.path.join(folder, record.RESULT))
    accuracies = {split: result[split + "_accuracy"] for split in ("validation", "test")}
    measuring.report(arguments, clock.stopwatch, accuracies, {"tensorflow": tf.VERSION})


if __name__ == "__main__":
    main()
