"""Where a training step's time goes: TensorFlow's own times of every op in one traced call.

Prints one JSON line: {"steps", "wall_ms", "ops": [[op type, ms a step, times a step], ...]}.
Tracing slows a step down; shares are what to read. Two ops may run at the same time, so the sum of
their times can exceed the wall time.
"""

import collections
import contextlib
import json
import re
import tempfile
import time

import measuring
import ours

from graph_mode import tensorflow1 as tf
from graph_mode import training

WARM_UP_CALLS = 3
LABEL = re.compile(r" = (\w+)\(")


class TracedError(Exception):
    """Ends the run once the trace is there."""


class TracingSession:
    """A session whose run() also records the time of each op."""

    def __init__(self, session):
        self.session = session
        self.metadata = tf.RunMetadata()

    def run(self, fetches, feed):
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        return self.session.run(fetches, feed, options=options, run_metadata=self.metadata)


def op_times(metadata):
    """{op type: [microseconds, number of runs]} over all devices of a RunMetadata."""
    times = collections.defaultdict(lambda: [0, 0])
    for device in metadata.step_stats.dev_stats:
        for node in device.node_stats:
            match = LABEL.search(node.timeline_label)
            entry = times[match.group(1) if match else node.node_name.split(":")[-1]]
            entry[0] += node.op_end_rel_micros - node.op_start_rel_micros
            entry[1] += 1
    return times


def main():
    arguments = measuring.parse_arguments(__doc__, ["loop"])
    train = training.Training.call
    calls = 0
    traced = {}

    def traced_call(self, first, last):
        nonlocal calls
        calls += 1
        if calls <= WARM_UP_CALLS:
            return train(self, first, last)
        self.session = TracingSession(self.session)
        started = time.perf_counter()
        train(self, first, last)
        traced.update(wall_ms=1000 * (time.perf_counter() - started), steps=last + 1 - first)
        traced["ops"] = op_times(self.session.metadata)
        raise TracedError

    training.Training.call = traced_call
    with tempfile.TemporaryDirectory() as folder:
        arguments.log_dir = arguments.log_dir or folder
        script = ours.SCRIPTS[arguments.network]
        options = ours.script_options(arguments)
        with contextlib.suppress(TracedError):
            training.train_and_evaluate(arguments.network, script.network, options)
    steps = traced["steps"]
    ops = sorted(traced["ops"].items(), key=lambda item: -item[1][0])
    measurement = {
        "steps": steps,
        "wall_ms": round(traced["wall_ms"] / steps, 4),
        "ops": [[op, round(us / 1000 / steps, 5), count / steps] for op, (us, count) in ops],
        "versions": {"tensorflow": tf.VERSION},
    }
    print(json.dumps(measurement))


if __name__ == "__main__":
    main()
