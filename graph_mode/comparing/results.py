"""What the runs of a comparison came to, by their folders alone, and what sets them apart."""

import math
import os
import typing
from statistics import mean, stdev

import numpy as np

from graph_mode.comparing.comparison_folder import FAILURE
from graph_mode.flags import deciding, frozen
from graph_mode.plotting import diagnostics
from graph_mode.runs import recorded
from graph_mode.runs.record import read_json

# Names of the training steps done at the first evaluation with an accuracy, and of the validation
# accuracy after a batch.
ACCURACIES, steps_to = (0.95, 0.97, 0.98, 0.99), "steps_to_{:g}".format
BATCHES, accuracy_after = (100, 200, 500, 1000), "validation_accuracy_after_{}".format
# How names of scalars and results end by what batch norm normalized with in the evaluation.
MOVING, POPULATION = "", "_population"
# What runs.csv tells of a run, by each of its statistics.
MEASURED = (
    *("test_accuracy", "test_loss", "validation_accuracy", "validation_loss"),
    *map(steps_to, ACCURACIES),
    *map(accuracy_after, BATCHES),
)
# The loss has diverged if it ends, over this many steps, so many times as high as it began.
LAST_STEPS, TIMES_AS_HIGH = 100, 2
# In this order a setting is told; the rest by the alphabet.
FIRST_FLAGS = ("optimizer", "learning_rate", "layers", "batch_size")
BATCH_NORM, SEED = "batch_norm", "seed"


class RunResult(typing.NamedTuple):
    """What a run came to."""

    run: recorded.Run
    status: str  # "finished", "diverged" or "failed"
    reason: str  # why, or ""
    numbers: dict  # of result.json and by steps_to() and accuracy_after(), as far as there are


class Setting(typing.NamedTuple):
    """Runs that differ in batch norm and seed alone."""

    network: str
    values: dict  # {flag: value} of the flags that tell it from other settings
    sides: dict  # {batch norm: {seed: RunResult}}


def read(folders, log_dir, say):
    """Yields the RunResults of ended runs. folders: {folder below log_dir: the run's flags, for
    those newer than it}; say: called with one line for everything that could not be read."""
    found = recorded.find_event_files(list(folders), say)
    found = {folder: found.get(os.path.normpath(folder), {}) for folder in folders}
    runs = recorded.read_runs(found, [log_dir], say)
    for run, (folder, flags) in zip(runs, folders.items()):
        run = run._replace(flags={**flags, **run.flags})
        failure = {} if run.result else read_json(os.path.join(folder, FAILURE))
        reason = failure.get("reason", "") or why_diverged(run)
        status = "diverged" if failure.get("diverged", bool(reason)) else "failed"
        yield RunResult(run, status if failure or reason else "finished", reason, numbers_of(run))


def numbers_of(run):
    numbers, trained = dict(run.result), run.result.get("steps", math.inf)
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
                # After step 0 one step was trained; that at the end bears the number of steps.
                numbers[steps_to(accuracy) + statistics] = min(int(reached[0]) + 1, trained)
        for step, value in zip(series.steps, series.values):
            if step in BATCHES and step < trained:
                numbers[accuracy_after(step) + statistics] = float(value)
    return numbers


def why_diverged(run):
    """In which way the training loss went astray, or "" if it did not."""
    series = run.scalars.get("train", {}).get("loss")
    if series is None:
        return ""
    for astray in np.flatnonzero(~np.isfinite(series.values)):
        return f"loss {series.values[astray]} at step {series.steps[astray]}"
    first, last = series.values[0], float(np.median(series.values[-LAST_STEPS:]))
    rose = last > TIMES_AS_HIGH * first
    return f"the loss rose from {first:.4g} to {last:.4g}" if rose else ""


def group_by_setting(results):
    """[Setting] of one network's RunResults, in the order in which the first of each comes; a run
    without batch norm stands beside every run with it, however that is done."""
    telling = telling_flags(results)
    values = [{flag: result.run.flags.get(flag) for flag in telling} for result in results]
    settings = {}
    for with_norm in (True, False):
        for result, own in zip(results, values):
            flags = result.run.flags
            if bool(flags.get(BATCH_NORM)) != with_norm:
                continue
            others = {n: value for n, value in own.items() if not n.startswith(BATCH_NORM)}
            beside = [s for s in settings.values() if {**s.values, **others} == s.values]
            new = Setting(result.run.network, own, {False: {}, True: {}})
            for setting in not with_norm and beside or [settings.setdefault(frozen(own), new)]:
                setting.sides[with_norm][flags.get(SEED)] = result
    return [settings[key] for key in dict.fromkeys(map(frozen, values)) if key in settings]


def telling_flags(results):
    """The flags, but for batch norm and seed, that tell all settings apart: none that varies only
    along with one before it, as hidden_units with layers."""
    settings = [setting_of(result) for result in results]
    others = sorted({name for setting in settings for name in setting}.difference(FIRST_FLAGS))
    told, kinds = [], 1
    for name in [*FIRST_FLAGS, *others]:
        found = {frozen([setting.get(n) for n in told + [name]]) for setting in settings}
        if len(found) > kinds:
            told, kinds = told + [name], len(found)
    return told


def setting_of(result):
    """{flag: value} of the flags that decide a run's numbers, but for batch norm and seed."""
    return deciding(result.run.flags, without=(BATCH_NORM, SEED))


def pair_of(setting, label=""):
    """The diagnostics.Pair of the runs of a Setting that have diagnostics."""
    sides = {}
    for with_norm, side in setting.sides.items():
        sides[with_norm] = [r.run for r in side.values() if diagnostics.tags_of(r.run)]
    sides = {with_norm: runs for with_norm, runs in sides.items() if runs}
    return diagnostics.Pair(setting.network, label, sides)


def statistics_of(results):
    """(MOVING,) or (MOVING, POPULATION): by which some of the runs were evaluated."""
    found = any(f"test_accuracy{POPULATION}" in result.numbers for result in results)
    return (MOVING, POPULATION) if found else (MOVING,)


def accuracies(side, statistics):
    """{seed: test accuracy} of the runs of one side that have one."""
    found = {seed: r.numbers.get(f"test_accuracy{statistics}") for seed, r in side.items()}
    return {seed: accuracy for seed, accuracy in found.items() if accuracy is not None}


def student_t(degrees):
    """The t for which a Student variable lies in [-t, t] with a probability of 95 %."""
    # Its arctan(t / sqrt(degrees)) has a density in proportion to cos ** (degrees - 1).
    angles = np.linspace(0, np.pi / 2, 10001)
    density = np.cos(angles) ** (degrees - 1)
    share = np.cumsum(density) - (density + 1) / 2
    return math.sqrt(degrees) * math.tan(np.interp(0.95 * share[-1], share, angles))


def confidence_interval(values):
    """(mean, low, high), the interval of 95 % of the mean of independent values, mean -+ t * s /
    sqrt(n); low and high are nan for one value."""
    n, half = len(values), math.nan
    if n > 1:
        half = student_t(n - 1) * stdev(values) / math.sqrt(n)
    return mean(values), mean(values) - half, mean(values) + half


def difference(before, after):
    """The interval of after - before, {seed: accuracy}, of the seeds that both have, or None."""
    pairs = [after[seed] - before[seed] for seed in after if seed in before]
    return confidence_interval(pairs) if pairs else None


def run_rows(results):
    flags = telling_flags(results) + [BATCH_NORM, SEED]
    numbers = [name + end for end in statistics_of(results) for name in MEASURED]
    numbers += ["steps", "seconds", "steps_per_second"]
    versions = ("tensorflow", "python", "code", "numbers", "processor")
    for run, status, reason, found in results:
        row = {"run": run.name, "network": run.network, **{n: run.flags.get(n) for n in flags}}
        row.update(status=status, reason=reason, **{n: found.get(n) for n in numbers})
        yield {**row, **{name: run.versions.get(name) for name in versions}}
