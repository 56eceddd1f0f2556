"""From runs to the lines, labels and legend of a figure."""

import collections
import re

import numpy as np

from graph_mode.plotting import curves, figures, run_groups

NETWORKS = {"fc": "Fully connected network", "conv": "Convolutional network"}
SECONDS_A_DAY = 86400
LATEST_DAY = 2_900_000
# Unit of the time axis and its length in seconds: the largest that fits three times.
TIME_UNITS = (("h", 3600), ("min", 60), ("s", 1))
MAX_FILE_NAME = 100

Plot = collections.namedtuple("Plot", "file_name network tag curves")
Plot.__doc__ = """What one figure shows: file_name without its ending; network or None; tag; curves
[(run, Series)], the training scalar of each run that has it."""

Panel = collections.namedtuple("Panel", "lines title x_label y_label notes")
Panel.__doc__ = "Arguments of figures.draw."


def plots_of(runs, wanted):
    """[Plot], one for each network and wanted tag; one for each such tag of other programs.

    The tag fc_loss of another program comes into one figure with the tag loss of network fc.
    """
    found = collections.defaultdict(list)
    for run in runs:
        for tag, series in training_scalars(run).items():
            if wanted(tag):
                name = f"{run.network}_{tag}" if run.network else tag
                found[name].append((run, tag, series))
    plots = []
    for name in sorted(found):
        network = next((run.network for run, _, _ in found[name] if run.network), None)
        pairs = [(run, series) for run, _, series in found[name]]
        plots.append(Plot(file_name(name, plots), network, found[name][0][1], pairs))
    return plots


def training_scalars(run):
    """The scalars of training: those in train/, or those beside it in another program's run."""
    return {**run.scalars.get("", {}), **run.scalars.get("train", {})}


def file_name(name, plots):
    """A name for a file, of letters, digits and _.-, which none of the plots has yet."""
    base = safe_name(name)
    taken = {plot.file_name for plot in plots}
    number, free = 1, base
    while free in taken:
        number += 1
        free = f"{base}-{number}"
    return free


def safe_name(name):
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:MAX_FILE_NAME] or "figure"


def panel_of(plot, x, smoothing, group_by, report):
    """The Panel of a Plot.

    Args:
        x: "step", "relative" or "wall".
        smoothing: see curves.smooth.
        group_by: flags whose values make a group, or None for runs that differ only in their seed.
        report: called with a line for what a person should know.

    Raises:
        CommandError: no run has recorded the flags.
    """
    runs = [run for run, _ in plot.curves]
    if group_by:
        groups = run_groups.group_by_flags(runs, group_by)
    else:
        groups = run_groups.group_by_seed(runs, apart=x == "wall")
    unit, seconds = time_unit(plot) if x == "relative" else ("s", 1)
    series_of = {run.name: series for run, series in plot.curves}
    lines = [line_of(group, series_of, plot.tag, x, seconds, smoothing) for group in groups]
    for run, series in plot.curves:
        lost = int((~np.isfinite(series.values)).sum())
        if lost:
            values = f"{lost} of {len(series.values)} values"
            report(f"{run.name}: {plot.tag}: {values} are nan or infinite: gaps in the curve")
    return Panel(
        lines=lines,
        title=title_of(plot),
        x_label={
            "step": "Iteration (batch)",
            "relative": f"Time since the run began ({unit})",
            "wall": "Time (UTC)",
        }[x],
        y_label=y_label_of(plot),
        notes=notes_of(lines, smoothing, "runs" if group_by else "seeds"),
    )


def report_not_positive(plot, report):
    for run, series in plot.curves:
        lost = int((series.values[np.isfinite(series.values)] <= 0).sum())
        if lost:
            values = f"{lost} of {len(series.values)} values"
            report(f"{run.name}: {plot.tag}: {values} are not above 0: gaps on a logarithmic axis")


def line_of(group, series_of, tag, x, seconds, smoothing):
    """The figures.Line of a run_groups.Group."""
    series = [series_of[run.name] for run in group.runs]
    xs = [x_values(run, one, x, seconds) for run, one in zip(group.runs, series)]
    smoothed = [finite(curves.smooth(one.values, smoothing)) for one in series]
    markers = markers_of(group.runs, tag, x, seconds)
    look = {"color": group.color, "dashed": group.dashed, "markers": markers}
    if len(series) == 1:
        raw = finite(series[0].values) if smoothing else None
        return figures.Line(
            group.label, x=xs[0], y=smoothed[0], raw=raw, low=None, high=None, **look
        )
    band = curves.mean_and_band([one.steps for one in series], smoothed)
    x_mean = curves.mean_and_band([one.steps for one in series], xs).mean
    fewest, most = band.counts[band.counts > 0].min(initial=len(series)), band.counts.max()
    count = f"n = {most}" if fewest == most else f"n = {fewest} to {most}"
    label = f"{group.label} ({count})"
    return figures.Line(
        label, x=x_mean, y=band.mean, raw=None, low=band.low, high=band.high, **look
    )


def markers_of(runs, tag, x, seconds):
    """x and mean of the validation scalar of the runs, or None if there is none."""
    found = [(run, run.scalars.get("validation", {}).get(tag)) for run in runs]
    found = [(run, series) for run, series in found if series]
    if not found:
        return None
    steps = [series.steps for _, series in found]
    xs = [x_values(run, series, x, seconds) for run, series in found]
    values = [finite(series.values) for _, series in found]
    return curves.mean_and_band(steps, xs).mean, curves.mean_and_band(steps, values).mean


def x_values(run, series, x, seconds):
    """float64 [n]: steps, time since the run began in units of so many seconds, or days."""
    if x == "step":
        return series.steps.astype(np.float64)
    if x == "relative":
        return (finite(series.wall_times) - began(run)) / seconds
    # matplotlib has no dates after 9999, and no event file is older than 1970.
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


def finite(values):
    """The values, with nan for what is not finite."""
    return np.where(np.isfinite(values), values, np.nan)


def title_of(plot):
    if plot.network is None:
        return plot.tag
    network = NETWORKS.get(plot.network, plot.network)
    return network if plot.tag == "loss" else f"{network}: {plot.tag}"


def y_label_of(plot):
    if plot.tag == "accuracy":
        return "Training accuracy (fraction)"
    if plot.tag != "loss":
        return plot.tag
    kinds = {str(run.flags.get("loss")) for run, _ in plot.curves}
    if kinds <= {"sigmoid", "softmax"}:
        return f"Training loss ({' or '.join(sorted(kinds))} cross-entropy, nats)"
    return "Training loss"


def notes_of(lines, smoothing, samples):
    """The legend's explanations, see figures.draw."""
    notes = []
    if smoothing:
        light = len(lines) <= figures.MANY_LINES and any(line.raw is not None for line in lines)
        notes.append(("line", "before smoothing") if light else ("none", "lines are smoothed"))
        notes[-1] = (notes[-1][0], f"{notes[-1][1]} ({smoothing:g})")
    if any(line.low is not None for line in lines):
        notes.append(("band", f"mean of n {samples}, smallest to largest"))
    if any(line.markers is not None for line in lines):
        notes.append(("marker", "validation"))
    return notes
