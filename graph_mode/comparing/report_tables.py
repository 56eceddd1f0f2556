"""From the results of runs to the rows of a report: settings, with and without batch norm."""

import collections
import json
import math

import numpy as np

from graph_mode.comparing import intervals, run_results
from graph_mode.comparing.grid import PLACE_FLAGS
from graph_mode.plotting import diagnostic_lines

# In this order a setting is told; the rest by the alphabet.
FIRST_FLAGS = ("optimizer", "learning_rate", "layers", "batch_size")
BATCH_NORM, SEED = "batch_norm", "seed"

Setting = collections.namedtuple("Setting", "network values without with_norm")
Setting.__doc__ = """Runs that differ in batch norm and seed alone. values: {flag: value} of the
flags that tell it from other settings; without, with_norm: {seed: RunResult}."""

Summary = collections.namedtuple("Summary", "n mean deviation")
Summary.__doc__ = "Of the runs that have a test accuracy: how many, their mean and deviation."


def settings_of(results):
    """[Setting] of one network's RunResults, in the order in which the first of each comes."""
    flags = telling_flags(results)
    settings = {}
    for result in results:
        values = {flag: result.run.flags.get(flag) for flag in flags}
        key = json.dumps(values, sort_keys=True)
        setting = settings.setdefault(key, Setting(result.run.network, values, {}, {}))
        side = setting.with_norm if result.run.flags.get(BATCH_NORM) else setting.without
        side[result.run.flags.get(SEED)] = result
    return list(settings.values())


def telling_flags(results):
    """The flags, but for batch norm and seed, that are needed to tell all settings apart.

    A flag that varies only along with one before it (hidden_units with layers) is left out.
    """
    names = {name for result in results for name in result.run.flags}
    names -= {BATCH_NORM, SEED, *PLACE_FLAGS}
    told, kinds = [], 1
    for name in sorted(names, key=lambda name: (rank(name), name)):
        found = {frozen([r.run.flags.get(flag) for flag in told + [name]]) for r in results}
        if len(found) > kinds:
            told, kinds = told + [name], len(found)
    return told


def rank(flag):
    return FIRST_FLAGS.index(flag) if flag in FIRST_FLAGS else len(FIRST_FLAGS)


def frozen(value):
    return json.dumps(value, sort_keys=True)


def summary(side):
    """The Summary of one side of a Setting."""
    accuracies = [accuracy(result) for result in side.values()]
    accuracies = [value for value in accuracies if value is not None]
    if not accuracies:
        return Summary(0, math.nan, math.nan)
    return Summary(
        len(accuracies), intervals.mean(accuracies), intervals.standard_deviation(accuracies)
    )


def accuracy(result):
    """The test accuracy at the end of training, or None for a run that had no end."""
    return result.numbers.get("test_accuracy")


def difference(setting):
    """The Interval of the mean difference with - without, over the seeds that have both; or None.

    It is paired by seed: the two runs of a seed see the same batches in the same order.
    """
    differences = []
    for seed in setting.with_norm:
        pair = [setting.with_norm[seed], setting.without.get(seed)]
        pair = [accuracy(result) for result in pair if result]
        if len(pair) == 2 and None not in pair:
            differences.append(pair[0] - pair[1])
    return intervals.confidence_interval(differences) if differences else None


def median_over_seeds(side, measure):
    """(median, how many are finite) of measure(result); a run that never got there counts as inf.

    Of an even number it is the lower of the two in the middle, so that it is a run's own value.
    """
    values = sorted(measure(result) for result in side.values())
    return values[(len(values) - 1) // 2], sum(not math.isinf(value) for value in values)


def run_rows(results):
    """A row for each run: {column: value}."""
    flags = telling_flags(results)
    for result in results:
        row = {"run": result.run.name, "network": result.run.network}
        row.update({flag: cell(result.run.flags.get(flag)) for flag in flags})
        row.update({flag: cell(result.run.flags.get(flag)) for flag in (BATCH_NORM, SEED)})
        row.update(status=result.status, reason=result.reason)
        for name in ("test_accuracy", "test_loss", "validation_accuracy", "validation_loss"):
            row[name] = cell(result.numbers.get(name))
        for name in ("steps", "seconds", "steps_per_second"):
            row[name] = cell(result.numbers.get(name))
        for target in run_results.ACCURACIES:
            row[f"steps_to_{target:g}"] = cell(result.steps_to[target])
            row[f"seconds_to_{target:g}"] = cell(run_results.seconds_to(result, target))
        row.update({name: result.versions.get(name, "") for name in ("tensorflow", "python")})
        yield row


def accuracy_rows(settings):
    """A row for each Setting: test accuracy without and with batch norm, and the difference."""
    for setting in settings:
        row = {"network": setting.network}
        row.update({flag: cell(value) for flag, value in setting.values.items()})
        for name, side in (("without", setting.without), ("with", setting.with_norm)):
            numbers = summary(side)
            row[f"{name}_runs"] = len(side)
            row[f"{name}_diverged"] = sum(r.status == "diverged" for r in side.values())
            row[f"{name}_failed"] = sum(r.status == "failed" for r in side.values())
            row[f"{name}_n"] = numbers.n
            row[f"{name}_mean"] = cell(numbers.mean)
            row[f"{name}_std"] = cell(numbers.deviation)
        interval = difference(setting) or intervals.Interval(math.nan, math.nan, math.nan, 0)
        row.update(
            difference=cell(interval.mean),
            difference_low=cell(interval.low),
            difference_high=cell(interval.high),
            pairs=interval.n,
        )
        yield row


def speed_rows(settings):
    """A row for each Setting, side and accuracy: median steps and seconds until it was reached."""
    for setting in settings:
        for batch_norm, side in ((False, setting.without), (True, setting.with_norm)):
            for target in run_results.ACCURACIES if side else ():
                steps, reached = median_over_seeds(side, lambda r, t=target: r.steps_to[t])
                seconds, _ = median_over_seeds(
                    side, lambda r, t=target: run_results.seconds_to(r, t)
                )
                row = {"network": setting.network}
                row.update({flag: cell(value) for flag, value in setting.values.items()})
                row.update(batch_norm=cell(batch_norm), validation_accuracy=target)
                row.update(runs=len(side), reached=reached)
                row.update(median_steps=cell(steps), median_seconds=cell(seconds))
                yield row


def diagnostic_rows(settings):
    """A row for each Setting, side and tag of --diagnostics.

    `final` is a run's value at the last evaluation in training, `training` the mean of its values
    at all evaluations; mean, std, smallest and largest are those over the n seeds whose values are
    all finite.
    """
    for setting in settings:
        for batch_norm, side in ((False, setting.without), (True, setting.with_norm)):
            runs = [result.run for result in side.values()]
            for tag in dict.fromkeys(tag for run in runs for tag in diagnostic_lines.tags_of(run)):
                found = [run.scalars["train"].get(tag) for run in runs]
                found = [s.values for s in found if s is not None and np.isfinite(s.values).all()]
                row = {"network": setting.network}
                row.update({flag: cell(value) for flag, value in setting.values.items()})
                row.update(batch_norm=cell(batch_norm), tag=tag, n=len(found))
                if found:
                    final = [float(values[-1]) for values in found]
                    row.update(final_mean=intervals.mean(final))
                    row.update(final_std=cell(intervals.standard_deviation(final)))
                    row.update(final_smallest=min(final), final_largest=max(final))
                    row.update(training_mean=intervals.mean([float(v.mean()) for v in found]))
                yield row


def cell(value):
    """A value as the CSV files have it: empty for what there is not."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, (bool, list)):
        return json.dumps(value).replace(" ", "")
    return value
