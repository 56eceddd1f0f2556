"""From the results of runs to the numbers of a report: settings, with and without batch norm."""

import math
import typing
from statistics import mean, stdev

from graph_mode.comparing.run_results import (
    ACCURACIES,
    BATCHES,
    MOVING,
    POPULATION,
    accuracy_after,
    steps_to,
)
from graph_mode.flags import deciding, frozen
from graph_mode.plotting import diagnostics

# In this order a setting is told; the rest by the alphabet.
FIRST_FLAGS = ("optimizer", "learning_rate", "layers", "batch_size")
BATCH_NORM, SEED = "batch_norm", "seed"
# A lag of moving averages below this is not spoken of, however much the seeds agree on it; and one
# seed alone, which has no spread, must show this much.
SMALLEST_LAG, LAG_OF_ONE_SEED = 0.001, 0.01
# What runs.csv tells of a run, by each of its statistics.
MEASURED = (
    *("test_accuracy", "test_loss", "validation_accuracy", "validation_loss"),
    *map(steps_to, ACCURACIES),
    *map(accuracy_after, BATCHES),
)

# The t for which a Student variable of 1, 2, 3, ... degrees of freedom lies in [-t, t] with a
# probability of 95 %; the normal distribution's for more.
T_95 = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
    *(2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)
Z_95 = 1.9600


class Interval(typing.NamedTuple):
    """Of the mean of n values; low and high are nan for one value."""

    mean: float
    low: float
    high: float
    n: int


class Setting(typing.NamedTuple):
    """Runs that differ in batch norm and seed alone. values: {flag: value} of the flags that tell
    it from other settings; sides: {batch norm: {seed: RunResult}}."""

    network: str
    values: dict
    sides: dict


def group_by_setting(results):
    """[Setting] of one network's RunResults, in the order in which the first of each comes.

    How batch norm is done (its momentum, its position) means nothing to a run without it, so that
    stands beside every run with it that has the same other flags.
    """
    telling = telling_flags(results)
    values = [{flag: result.run.flags.get(flag) for flag in telling} for result in results]
    settings = {}
    for with_norm in (True, False):
        for result, own in zip(results, values):
            flags = result.run.flags
            if bool(flags.get(BATCH_NORM)) != with_norm:
                continue
            beside = [] if with_norm else [s for s in settings.values() if _is_beside(own, s)]
            new = Setting(result.run.network, own, {False: {}, True: {}})
            for setting in beside or [settings.setdefault(frozen(own), new)]:
                setting.sides[with_norm][flags.get(SEED)] = result
    return [settings[key] for key in dict.fromkeys(map(frozen, values)) if key in settings]


def _is_beside(values, setting):
    """Whether a run without batch norm of these values is that of the setting."""
    return all(n.startswith(BATCH_NORM) or setting.values[n] == v for n, v in values.items())


def telling_flags(results):
    """The flags, but for batch norm and seed, that are needed to tell all settings apart.

    A flag that varies only along with one before it (hidden_units with layers) is left out.
    """
    settings = [setting_of(result) for result in results]
    ranks = {name: rank for rank, name in enumerate(FIRST_FLAGS)}
    names = {name for setting in settings for name in setting}
    told, kinds = [], 1
    for name in sorted(names, key=lambda name: (ranks.get(name, len(ranks)), name)):
        found = {frozen([setting.get(n) for n in told + [name]]) for setting in settings}
        if len(found) > kinds:
            told, kinds = told + [name], len(found)
    return told


def setting_of(result):
    """{flag: value} of the flags that decide a run's numbers, but for batch norm and seed."""
    return deciding(result.run.flags, without=(BATCH_NORM, SEED))


def pair_of(setting, label=""):
    """The diagnostics.Pair of the runs of a Setting that have diagnostics."""
    sides = ([result.run for result in side.values()] for side in setting.sides.values())
    return diagnostics.pair_of(setting.network, label, *sides)


def statistics_of(results):
    """By which statistics some of the runs were evaluated: (MOVING,) or (MOVING, POPULATION)."""
    found = any(f"test_accuracy{POPULATION}" in result.numbers for result in results)
    return (MOVING, POPULATION) if found else (MOVING,)


def accuracies(side, statistics):
    """{seed: test accuracy} of the runs of one side that have one."""
    found = {seed: r.numbers.get(f"test_accuracy{statistics}") for seed, r in side.items()}
    return {seed: accuracy for seed, accuracy in found.items() if accuracy is not None}


def standard_deviation(values):
    """Of a sample, with n - 1; nan for fewer than two values."""
    return stdev(values) if len(values) > 1 else math.nan


def confidence_interval(values):
    """The Interval of 95 % of the mean of independent values: mean -+ t * s / sqrt(n).

    For differences of pairs (the same seed with and without something) this is the paired t
    interval. low and high are nan for fewer than two values.
    """
    degrees = len(values) - 1
    t = T_95[degrees - 1] if degrees <= len(T_95) else Z_95
    half = t * standard_deviation(values) / math.sqrt(len(values))
    return Interval(mean(values), mean(values) - half, mean(values) + half, len(values))


def difference(before, after):
    """The Interval of the mean of after - before, {seed: accuracy}; None without pairs.

    It is paired by seed: the two runs of a seed see the same batches in the same order.
    """
    pairs = [after[seed] - before[seed] for seed in after if seed in before]
    return confidence_interval(pairs) if pairs else None


def lags(setting):
    """Whether the moving averages give another test accuracy than chance and seeds explain."""
    moving, population = (accuracies(setting.sides[True], each) for each in (MOVING, POPULATION))
    lag = difference(moving, population)
    if lag is None or lag.n == 1:
        return lag is not None and abs(lag.mean) >= LAG_OF_ONE_SEED
    return abs(lag.mean) >= SMALLEST_LAG and not lag.low <= 0 <= lag.high


def run_rows(results):
    """A row {column: value} for each run."""
    flags = telling_flags(results) + [BATCH_NORM, SEED]
    numbers = [name + end for end in statistics_of(results) for name in MEASURED]
    numbers += ["steps", "seconds", "steps_per_second"]
    versions = ("tensorflow", "python", "code", "numbers", "processor")
    for run, status, reason, found in results:
        row = {"run": run.name, "network": run.network}
        row.update((name, run.flags.get(name)) for name in flags)
        row.update(status=status, reason=reason)
        row.update((name, found.get(name)) for name in numbers)
        row.update((name, run.versions.get(name)) for name in versions)
        yield row
