"""What each run of a comparison came to, read from its folder alone. No TensorFlow."""

import math
import os
import typing

import numpy as np

from graph_mode.comparing.comparison_folder import FAILURE
from graph_mode.runs import recorded
from graph_mode.runs.record import read_json

ACCURACIES = (0.95, 0.97, 0.98, 0.99)
# The batches after which validation is reported besides.
BATCHES = (100, 200, 500, 1000)
# The names of the training steps done at the first evaluation with an accuracy, and of the
# validation accuracy after a batch.
steps_to = "steps_to_{:g}".format
accuracy_after = "validation_accuracy_after_{}".format
# How names of scalars and results end by what batch norm normalized with in the evaluation.
MOVING, POPULATION = "", "_population"
# The loss has diverged if it ends, over this many steps, so many times as high as it began.
LAST_STEPS, TIMES_AS_HIGH = 100, 2


class RunResult(typing.NamedTuple):
    """One run. status: "finished", "diverged" or "failed"; reason: why, or ""; numbers: {name:
    value} of result.json and by the names of steps_to() and accuracy_after(), as far as there are.
    """

    run: recorded.Run
    status: str
    reason: str
    numbers: dict


def read(folders, log_dir, say):
    """[RunResult] of ended runs.

    folders: {folder below log_dir: the flags of the run, for those that are newer than it}; say:
    called with one line for everything that could not be read.
    """
    found = {
        folder: recorded.find_event_files([folder], say).get(os.path.normpath(folder), {})
        for folder in folders
    }
    runs = recorded.read_runs(found, [log_dir], say)
    return [
        result_of(run._replace(flags={**flags, **run.flags}), folder)
        for run, (folder, flags) in zip(runs, folders.items())
    ]


def result_of(run, folder):
    failure = read_json(os.path.join(folder, FAILURE)) or {}
    if failure and not run.result:
        status = "diverged" if failure.get("diverged") else "failed"
        return RunResult(run, status, failure.get("reason", ""), numbers_of(run))
    reason = why_diverged(run)
    return RunResult(run, "diverged" if reason else "finished", reason, numbers_of(run))


def numbers_of(run):
    """{name: value}: see RunResult."""
    numbers = dict(run.result)
    scalars = run.scalars.get("validation", {})
    for statistics in (MOVING, POPULATION):
        # Without batch norm there is one accuracy, which is that by any statistics.
        series = scalars.get(f"accuracy{statistics if run.flags.get('batch_norm') else MOVING}")
        if series is None:
            continue
        for accuracy in ACCURACIES:
            # Event files hold float32, and the nearest to 0.95 is below it.
            reached = series.steps[series.values >= np.float32(accuracy)]
            if len(reached):
                # The evaluation after step 0 has seen one training step; that at the end bears
                # their number.
                steps = min(int(reached[0]) + 1, run.result.get("steps", math.inf))
                numbers[steps_to(accuracy) + statistics] = steps
        for step, value in zip(series.steps, series.values):
            if step in BATCHES:
                numbers[accuracy_after(step) + statistics] = float(value)
    return numbers


def why_diverged(run):
    """In which way the training loss went astray, or "" if it did not."""
    series = run.scalars.get("train", {}).get("loss")
    if series is None:
        return ""
    astray = np.flatnonzero(~np.isfinite(series.values))
    if len(astray):
        return f"loss {series.values[astray[0]]} at step {series.steps[astray[0]]}"
    last = float(np.median(series.values[-LAST_STEPS:]))
    if last > TIMES_AS_HIGH * series.values[0]:
        return f"the loss rose from {series.values[0]:.4g} to {last:.4g}"
    return ""
