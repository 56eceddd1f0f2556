"""What each run of a comparison came to, read from its folder alone. No TensorFlow."""

import collections
import math
import os

import numpy as np

from graph_mode.comparing.comparison_folder import FAILURE
from graph_mode.runs import recorded
from graph_mode.runs.record import read_json

ACCURACIES = (0.95, 0.97, 0.98, 0.99)
# The batches after which validation is reported besides.
BATCHES = (100, 200, 500, 1000)
# How names of scalars and results end by what batch norm normalized with in the evaluation.
MOVING, POPULATION = "", "_population"
# The loss has diverged if it ends, over this many steps, so many times as high as it began.
LAST_STEPS, TIMES_AS_HIGH = 100, 2

RunResult = collections.namedtuple(
    "RunResult", "run status reason numbers steps_to accuracy_after versions"
)
RunResult.__doc__ = """One run. run: recorded.Run; status: "finished", "diverged" or "failed";
reason: why, or ""; numbers: {name: value} of result.json, {} where there is none; steps_to:
{(MOVING or POPULATION, accuracy): steps}, inf where validation never reached it; accuracy_after:
{(MOVING or POPULATION, batch): validation accuracy}, as far as measured; versions: {name:
version}."""


def read(folders, log_dir, say):
    """[RunResult] of folders of ended runs below log_dir.

    say: called with one line for everything that could not be read.
    """
    found = {}
    for folder in folders:
        folder = os.path.normpath(folder)
        found[folder] = recorded.find_event_files([folder]).get(folder, {})
    runs = recorded.read_runs(found, [log_dir], say)
    return [result_of(run, folder) for run, folder in zip(runs, found)]


def result_of(run, folder):
    failure = read_json(os.path.join(folder, FAILURE))
    if failure and not run.result:
        status = "diverged" if failure.get("diverged") else "failed"
        reason = failure.get("reason", "")
    else:
        reason = why_diverged(run)
        status = "diverged" if reason else "finished"
    steps_to = {
        (statistics, accuracy): first_step_at(run, statistics, accuracy)
        for statistics in (MOVING, POPULATION)
        for accuracy in ACCURACIES
    }
    accuracy_after = {
        (statistics, int(step)): float(value)
        for statistics in (MOVING, POPULATION)
        for step, value in points_of(validation_accuracy(run, statistics))
        if step in BATCHES
    }
    return RunResult(run, status, reason, run.result, steps_to, accuracy_after, run.versions)


def points_of(series):
    return [] if series is None else zip(series.steps, series.values)


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


def validation_accuracy(run, statistics):
    """The Series of validation accuracy by these statistics; None where the run has none.

    Without batch norm there is one accuracy, which is that by any statistics.
    """
    scalars = run.scalars.get("validation", {})
    if statistics == POPULATION and not run.flags.get("batch_norm"):
        statistics = MOVING
    return scalars.get(f"accuracy{statistics}")


def first_step_at(run, statistics, accuracy):
    """Training steps done at the first evaluation with this validation accuracy; inf for never."""
    series = validation_accuracy(run, statistics)
    if series is None:
        return math.inf
    # Event files hold float32, and the nearest to 0.95 is below it.
    reached = np.flatnonzero(series.values >= np.float32(accuracy))
    if not len(reached):
        return math.inf
    # The evaluation after step 0 has seen one training step; that at the end bears their number.
    return min(int(series.steps[reached[0]]) + 1, run.result.get("steps", math.inf))


def test_accuracy(result, statistics=MOVING):
    """The test accuracy at the end of training, or None for a run that recorded none."""
    return final(result, "test_accuracy", statistics)


def final(result, name, statistics=MOVING):
    """A number of result.json by these statistics, or None for a run that recorded none."""
    if statistics == POPULATION and not result.run.flags.get("batch_norm"):
        statistics = MOVING
    return result.numbers.get(f"{name}{statistics}")
