"""From the results of runs to the numbers of a report: settings, with and without batch norm."""

import collections

from graph_mode import flags as flag_table
from graph_mode.comparing import intervals, run_results
from graph_mode.comparing.run_results import MOVING, POPULATION
from graph_mode.flags import frozen
from graph_mode.plotting import diagnostics

# In this order a setting is told; the rest by the alphabet.
FIRST_FLAGS = ("optimizer", "learning_rate", "layers", "batch_size")
BATCH_NORM, SEED = "batch_norm", "seed"
# A lag of moving averages below this is not spoken of, however much the seeds agree on it; and one
# seed alone, which has no spread, must show this much.
SMALLEST_LAG, LAG_OF_ONE_SEED = 0.001, 0.01

Setting = collections.namedtuple("Setting", "network values without with_norm")
Setting.__doc__ = """Runs that differ in batch norm and seed alone. values: {flag: value} of the
flags that tell it from other settings; without, with_norm: {seed: RunResult}."""


def settings_of(results):
    """[Setting] of one network's RunResults, in the order in which the first of each comes.

    How batch norm is done (its momentum, its position) means nothing to a run without it, so that
    stands beside every run with it that has the same other flags.
    """
    telling = telling_flags(results)
    settings = {}
    for result in sorted(results, key=lambda result: not result.run.flags.get(BATCH_NORM)):
        values = {flag: result.run.flags.get(flag) for flag in telling}
        fitting = [s for s in settings.values() if _is_without(result, values, s)]
        if not fitting:
            new = Setting(result.run.network, values, {}, {})
            fitting = [settings.setdefault(frozen(values), new)]
        for setting in fitting:
            side = setting.with_norm if result.run.flags.get(BATCH_NORM) else setting.without
            side[result.run.flags.get(SEED)] = result
    first = [frozen({flag: r.run.flags.get(flag) for flag in telling}) for r in results]
    return [settings[key] for key in dict.fromkeys(first) if key in settings]


def _is_without(result, values, setting):
    """Whether the result is that of the setting without batch norm."""
    return not result.run.flags.get(BATCH_NORM) and all(
        name.startswith(BATCH_NORM) or setting.values[name] == value
        for name, value in values.items()
    )


def telling_flags(results):
    """The flags, but for batch norm and seed, that are needed to tell all settings apart.

    A flag that varies only along with one before it (hidden_units with layers) is left out.
    """
    names = {name for result in results for name in result.run.flags}
    names = {name for name in names - {BATCH_NORM, SEED} if flag_table.decides_numbers(name)}
    ranks = {name: rank for rank, name in enumerate(FIRST_FLAGS)}
    told, kinds = [], 1
    for name in sorted(names, key=lambda name: (ranks.get(name, len(ranks)), name)):
        found = {frozen([r.run.flags.get(flag) for flag in told + [name]]) for r in results}
        if len(found) > kinds:
            told, kinds = told + [name], len(found)
    return told


def sides(setting):
    """[(name, {seed: RunResult})] of a Setting, a side without any run left out."""
    both = [("without", setting.without), ("with", setting.with_norm)]
    return [(name, side) for name, side in both if side]


def pair_of(setting, label=""):
    """The diagnostics.Pair of the runs of a Setting that have diagnostics."""
    without, with_norm = (
        [result.run for result in side.values()] for side in (setting.without, setting.with_norm)
    )
    return diagnostics.pair_of(setting.network, label, without, with_norm)


def statistics_of(results):
    """By which statistics some of the runs were evaluated: (MOVING,) or (MOVING, POPULATION)."""
    found = any(f"test_accuracy{POPULATION}" in result.numbers for result in results)
    return (MOVING, POPULATION) if found else (MOVING,)


def accuracies(side, statistics):
    """{seed: test accuracy} of the runs of one side that have one."""
    found = {seed: run_results.test_accuracy(result, statistics) for seed, result in side.items()}
    return {seed: accuracy for seed, accuracy in found.items() if accuracy is not None}


def difference(before, after):
    """The intervals.Interval of the mean of after - before, {seed: accuracy}; None without pairs.

    It is paired by seed: the two runs of a seed see the same batches in the same order.
    """
    pairs = [after[seed] - before[seed] for seed in after if seed in before]
    return intervals.confidence_interval(pairs) if pairs else None


def lags(setting):
    """Whether the moving averages give another test accuracy than chance and seeds explain."""
    moving, population = (accuracies(setting.with_norm, each) for each in (MOVING, POPULATION))
    lag = difference(moving, population)
    if lag is None or lag.n == 1:
        return lag is not None and abs(lag.mean) >= LAG_OF_ONE_SEED
    return abs(lag.mean) >= SMALLEST_LAG and not lag.low <= 0 <= lag.high


def run_rows(results):
    """A row {column: value} for each run."""
    telling = telling_flags(results)
    for result in results:
        row = {"run": result.run.name, "network": result.run.network}
        row.update({flag: result.run.flags.get(flag) for flag in telling + [BATCH_NORM, SEED]})
        row.update(status=result.status, reason=result.reason)
        for end in statistics_of(results):
            for name in ("test_accuracy", "test_loss", "validation_accuracy", "validation_loss"):
                row[name + end] = result.numbers.get(name + end)
            for target in run_results.ACCURACIES:
                row[f"steps_to_{target:g}{end}"] = result.steps_to[end, target]
            for batch in run_results.BATCHES:
                row[f"validation_accuracy_after_{batch}{end}"] = result.accuracy_after.get(
                    (end, batch)
                )
        for name in ("steps", "seconds", "steps_per_second"):
            row[name] = result.numbers.get(name)
        for name in ("tensorflow", "python", "code", "numbers", "processor"):
            row[name] = result.versions.get(name)
        yield row
