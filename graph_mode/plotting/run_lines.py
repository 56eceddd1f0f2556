"""From runs to the lines, labels and legend of a figure."""

import collections
import functools
import typing

import numpy as np

from graph_mode import names
from graph_mode.flags import frozen
from graph_mode.plotting import curves, figures, run_groups
from graph_mode.plotting.curves import finite

NETWORKS = {"fc": "Fully connected network", "conv": "Convolutional network"}
SECONDS_A_DAY = 86400
# matplotlib has no dates after the year 9999, and no event file is older than 1970.
LATEST_DAY = 2_900_000
# Unit of the time axis and its length in seconds: the largest that fits three times.
TIME_UNITS = (("h", 3600), ("min", 60), ("s", 1))
# The labels of MNIST's training images, and the loss, in nats, of a network that answers how
# frequent their classes are, whatever it sees: the entropy of the classes, for a sigmoid the mean
# of that of each by itself.
MNIST_LABELS = "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
FREQUENCIES_LOSS = {"sigmoid": 0.32492, "softmax": 2.30116}
# Where validation with population statistics differs by so much, a figure shows both.
CLEARLY = 0.05


class Plot(typing.NamedTuple):
    """What one figure shows."""

    file_name: str  # Without its ending.
    network: typing.Optional[str]
    tag: str
    split: str  # "train" or "validation"
    curves: list  # [(run, Series)], the scalar of each run that has it there


class View(typing.NamedTuple):
    """How runs are shown."""

    x: str = "step"  # or "relative" or "wall"
    smoothing: float = 0.95  # See curves.smooth.
    log_y: typing.Optional[bool] = None  # None is what fits.
    # The flags whose values make a group, or None for runs that differ only in their seed.
    group_by: typing.Optional[list] = None


def plots_of(runs, wanted):
    """[Plot], one for each network and wanted tag; one for each such tag of other programs.

    The tag fc_loss of another program comes into one figure with the tag loss of network fc. A tag
    that no training has is that of the validation.
    """
    found = collections.defaultdict(list)
    for split in ("train", "validation"):
        before = set(found)
        for run in runs:
            for tag, series in scalars_of(run, split).items():
                name = f"{run.network}_{tag}" if run.network else tag
                if wanted(tag) and name not in before:
                    found[name].append((run, tag, split, series))
    plots, taken = [], set()
    for name in sorted(found):
        network = next((run.network for run, _, _, _ in found[name] if run.network), None)
        _, tag, split, _ = found[name][0]
        pairs = [(run, series) for run, _, _, series in found[name]]
        # "Loss" is taken by "loss": many file systems take them for one.
        free = next(each for each in names.numbered(names.safe(name)) if each.lower() not in taken)
        taken.add(free.lower())
        plots.append(Plot(free, network, tag, split, pairs))
    return plots


def scalars_of(run, split):
    """The scalars of a split; to training belong those beside it in another program's run."""
    beside = run.scalars.get("", {}) if split == "train" else {}
    return {**beside, **run.scalars.get(split, {})}


def panels_of(plot, view, say, with_accuracy=False):
    """[figures.Panel] of a Plot: its scalar, and beside it, if asked for, validation accuracy.

    say is called with a line for what a person should know. Raises CommandError where no run has
    recorded the flags of view.group_by.
    """
    runs = [run for run, _ in plot.curves]
    groups = run_groups.group_runs(runs, view.group_by, apart=view.x == "wall")
    for group in groups:
        if len({frozen(run.versions.get("code")) for run in group.runs}) > 1:
            say(f"{group.label}: the mean of runs that different versions of the code trained")
    shown, accuracies = [plot], having(runs, "accuracy")
    if with_accuracy and accuracies:
        shown.append(plot._replace(tag="accuracy", split="validation", curves=accuracies))
    return [panel_of(each, groups, view, say) for each in shown]


def panel_of(plot, groups, view, say):
    unit, seconds = time_unit(plot)
    x_label = {
        "step": "Iteration (batch)",
        "relative": f"Time since the run began ({unit})",
        "wall": "Time (UTC)",
    }[view.x]
    x_of = functools.partial(x_values, view.x, seconds)
    series_of = {run.name: series for run, series in plot.curves}
    # A validation is one number over many images: there is nothing to smooth.
    smoothing = view.smoothing if plot.split == "train" else 0
    lines = [line_of(group, series_of, plot, x_of, smoothing) for group in groups]
    lines = [line for line in lines if line is not None]
    log_y = view.log_y
    if log_y is None:
        # The smoothed curves: a single batch with an odd loss does not decide.
        log_y = figures.spans_decade(np.concatenate([line.y for line in lines]))
    scale = "log" if log_y else "linear"
    if is_accuracy(plot.tag) and view.log_y is None:
        scale = "accuracy"
    say_what_is_left_out(plot, scale, say)
    samples = "runs" if view.group_by else "seeds"
    return figures.Panel(
        lines, x_label, y_label_of(plot), scale, view.x == "wall", reference_of(plot), samples
    )


def say_what_is_left_out(plot, scale, say):
    for run, series in plot.curves:
        values = series.values[np.isfinite(series.values)]
        for lost, what in (
            (len(series.values) - len(values), "nan or infinite: gaps in the curve"),
            (scale == "log" and (values <= 0).sum(), "not above 0: gaps on a logarithmic axis"),
        ):
            if lost:
                say(f"{run.name}: {plot.tag}: {lost} of {len(series.values)} values are {what}")


def line_of(group, series_of, plot, x_of, smoothing):
    """The figures.Line of a run_groups.Group; None if none of its runs has the scalar."""
    runs = [run for run in group.runs if run.name in series_of]
    if not runs:
        return None
    series = [series_of[run.name] for run in runs]
    xs = [x_of(run, one) for run, one in zip(runs, series)]
    smoothed = [finite(curves.smooth(one.values, smoothing)) for one in series]
    look = {"color": group.color, "dashed": group.dashed}
    if plot.split == "train":
        look["markers"] = validation_of(runs, plot.tag, x_of)
    elif plot.tag == "accuracy":
        other = validation_of(runs, "accuracy_population", x_of)
        if other and differ_clearly(validation_of(runs, "accuracy", x_of), other):
            look["dotted"] = other
    if len(series) == 1:
        values = finite(series[0].values)
        raw = values if np.nansum(np.abs(values - smoothed[0])) > 0 else None
        return figures.Line(group.label, x=xs[0], y=smoothed[0], raw=raw, **look)
    steps = [one.steps for one in series]
    band = curves.mean_and_band(steps, smoothed)
    x_mean = curves.mean_and_band(steps, xs).mean
    fewest, most = band.counts[band.counts > 0].min(initial=len(series)), band.counts.max()
    count = f"n = {most}" if fewest == most else f"n = {fewest} to {most}"
    label = f"{group.label} ({count})"
    return figures.Line(label, x=x_mean, y=band.mean, low=band.low, high=band.high, **look)


def validation_of(runs, tag, x_of):
    """x and mean of the validation scalar of the runs, or None if there is none."""
    found = having(runs, tag)
    if not found:
        return None
    steps = [series.steps for _, series in found]
    xs = [x_of(run, series) for run, series in found]
    values = [finite(series.values) for _, series in found]
    return curves.mean_and_band(steps, xs).mean, curves.mean_and_band(steps, values).mean


def having(runs, tag):
    """[(run, Series)] of the runs that have the scalar of the validation."""
    found = [(run, scalars_of(run, "validation").get(tag)) for run in runs]
    return [(run, series) for run, series in found if series]


def differ_clearly(curve, other):
    """Whether two (x, y) are more than CLEARLY apart anywhere."""
    apart = np.interp(other[0], *curve) - other[1]
    return bool(np.any(np.abs(apart[np.isfinite(apart)]) > CLEARLY))


def x_values(x, seconds, run, series):
    """float64 [n]: steps, time since the run began in units of so many seconds, or days."""
    if x == "step":
        return series.steps.astype(np.float64)
    if x == "relative":
        return (finite(series.wall_times) - began(run)) / seconds
    days = finite(series.wall_times).clip(0, LATEST_DAY * SECONDS_A_DAY) / SECONDS_A_DAY
    return np.where(np.isin(days, (0, LATEST_DAY)), np.nan, days)


def began(run):
    """The earliest time in the run's scalars, seconds since 1970."""
    times = [series.wall_times for tags in run.scalars.values() for series in tags.values()]
    return min((float(t[np.isfinite(t)].min(initial=np.inf)) for t in times), default=0.0)


def time_unit(plot):
    """(name, seconds) of the largest unit that the longest run lasts three of."""
    longest = max(
        series.wall_times[np.isfinite(series.wall_times)].max(initial=0) - began(run)
        for run, series in plot.curves
    )
    return next((unit for unit in TIME_UNITS if longest >= 3 * unit[1]), TIME_UNITS[-1])


def is_accuracy(tag):
    """Whether the scalar is a fraction of right answers, of which more is better."""
    return "accuracy" in tag


def title_of(plot):
    """What all the runs of a Plot share: network and optimizer; the tag, unless it is the loss."""
    words = [plot.tag] if plot.tag != "loss" or not plot.network else []
    if plot.network:
        optimizers = {run_groups.optimizer_of(run) for run, _ in plot.curves}
        words[:0] = optimizers if len(optimizers) == 1 and None not in optimizers else []
        words.insert(0, NETWORKS.get(plot.network, plot.network))
    return ", ".join(words)


def y_label_of(plot):
    split = "Training" if plot.split == "train" else "Validation"
    if plot.tag == "accuracy":
        return f"{split} accuracy (%)"
    if plot.tag != "loss":
        return plot.tag + (" (%)" if is_accuracy(plot.tag) else "")
    kinds = {str(run.flags.get("loss")) for run, _ in plot.curves}
    if kinds <= set(FREQUENCIES_LOSS):
        return f"{split} loss ({' or '.join(sorted(kinds))} cross-entropy, nats)"
    return f"{split} loss"


def reference_of(plot):
    """The loss of answering the frequencies of MNIST's classes; None where the runs have no loss,
    other data, or different losses."""
    kinds = {str(run.flags.get("loss")) for run, _ in plot.curves}
    of_mnist = all(MNIST_LABELS in run.data.values() for run, _ in plot.curves)
    known = plot.tag == "loss" and of_mnist and len(kinds) == 1
    return FREQUENCIES_LOSS.get(kinds.pop()) if known else None
