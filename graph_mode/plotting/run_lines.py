"""From runs to the lines, labels and legend of a figure."""

import typing

import numpy as np

from graph_mode import names
from graph_mode.flags import frozen
from graph_mode.plotting import curves, figures, run_groups
from graph_mode.plotting.curves import finite

NETWORKS = {"fc": "Fully connected network", "conv": "Convolutional network"}
SPLIT_NAMES = {"train": "Training", "validation": "Validation", "test": "Test"}
MOST_ENTRIES = 8  # of a legend, if it can be shorter
LARGEST_FRACTION = 1.001  # which float32 may have rounded up; percent are far above
X_LABELS = {"step": "Iteration (batch)", "relative": "Time since the run began (min)"}
# The labels of MNIST's training images, and the loss, in nats, of a network that answers how
# frequent their classes are, whatever it sees.
MNIST_LABELS = "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
FREQUENCIES_LOSS = {"sigmoid": 0.32492, "softmax": 2.30116}


class Plot(typing.NamedTuple):
    """What one figure shows."""

    file_name: str  # Without its ending.
    network: typing.Optional[str]
    tag: str
    split: str  # a key of SPLIT_NAMES
    curves: list  # [(run, Series)], the scalar of each run that has it there


def plots_of(runs, wanted):
    """[Plot], one for each network and wanted tag; the tag fc_loss of another program comes to the
    tag loss of network fc. A tag that no training has is the validation's, or else the test's."""
    found = {}
    for split in SPLIT_NAMES:
        before = set(found)
        for run in runs:
            for tag, series in scalars_of(run, split).items():
                name = f"{run.network}_{tag}" if run.network else tag
                if wanted(tag) and name not in before:
                    plot = found.setdefault(name, Plot(name, run.network, tag, split, []))
                    plot.curves.append((run, series))
    plots, taken = [], set()
    for name, plot in sorted(found.items()):
        network = next((run.network for run, _ in plot.curves if run.network), None)
        # "Loss" is taken by "loss": many file systems take them for one.
        free = next(each for each in names.numbered(names.safe(name)) if each.lower() not in taken)
        taken.add(free.lower())
        plots.append(plot._replace(file_name=free, network=network))
    return plots


def scalars_of(run, split):
    """{tag: Series} of a split, accuracies as fractions; to training belong those beside it."""
    beside = run.scalars.get("", {}) if split == "train" else {}
    scalars = {**beside, **run.scalars.get(split, {})}
    for tag in filter(is_accuracy, scalars):
        values = finite(scalars[tag].values)
        if np.any(np.nan_to_num(values) > LARGEST_FRACTION):
            scalars[tag] = scalars[tag]._replace(values=values / 100)
    return scalars


def rows_of(plot, say, **look):
    """The panels_of() a Plot as one row; as one for each optimizer, on the same scales, if the
    legend would have more than MOST_ENTRIES."""
    whole = panels_of(plot, say, **look)
    runs = [run for run, _ in plot.curves]
    optimizers = list(dict.fromkeys(map(run_groups.optimizer_of, runs)))
    if len(figures.legend_entries(whole)) <= MOST_ENTRIES or len(optimizers) == 1:
        return [whole]
    limits, rows = [tuple(figures.shown_values(panel)) for panel in whole], []
    for optimizer in optimizers:
        some = [each for each in plot.curves if run_groups.optimizer_of(each[0]) == optimizer]
        row = panels_of(plot._replace(curves=some), lambda line: None, **look)
        row = [
            panel._replace(scale=of_all.scale, limits=(min(values), max(values)), x_label="")
            for panel, of_all, values in zip(row, whole, limits)
        ]
        rows.append([row[0]._replace(title=str(optimizer)), *row[1:]])
    rows[-1] = [panel._replace(x_label=whole[0].x_label) for panel in rows[-1]]
    return rows


def panels_of(plot, say, with_accuracy=False, group_by=None, x="step", **look):
    """[figures.Panel] of a Plot: its scalar, and beside it, if asked for, validation accuracy. say
    is called with a line for what a person should know; group_by: see run_groups.group_runs; x:
    "step" or "relative"; look: smoothing and log_y, None for what fits."""
    runs = [run for run, _ in plot.curves]
    series_of = {run.name: series for run, series in plot.curves}
    groups = run_groups.group_runs(runs, group_by)
    for group in groups:
        if len({frozen(run.versions.get("code")) for run in group.runs}) > 1:
            say(f"{group.label}: the mean of runs that different versions of the code trained")
        ends = {int(series_of[run.name].steps[-1]) for run in group.runs}
        if len(ends) > 1:
            say(f"{group.label}: the mean ends at step {min(ends)}, where the first run ends")
    shown, accuracies = [plot], having(runs, "accuracy")
    if with_accuracy and accuracies:
        shown.append(plot._replace(tag="accuracy", split="validation", curves=accuracies))
    return [panel_of(each, groups, say, x, **look) for each in shown]


def panel_of(plot, groups, say, x, smoothing=0.95, log_y=None):
    series_of = {run.name: series for run, series in plot.curves}

    def mean_of(found, weight=0):
        """x, and the curves.Band of [(run, Series)]."""
        steps = [series.steps for _, series in found]
        xs = [x_values(x, *each) for each in found]
        values = [finite(curves.smooth(one.values, weight, one.steps)) for _, one in found]
        return curves.mean_and_band(steps, xs).mean, curves.mean_and_band(steps, values)

    lines = [line_of(group, series_of, plot, smoothing, mean_of) for group in groups]
    lines = list(filter(None, lines))
    percent = is_accuracy(plot.tag)
    # The smoothed curves: a single batch with an odd loss does not decide.
    fits_log = figures.spans_decade(np.concatenate([line.y for line in lines]))
    scale = "log" if (fits_log if log_y is None else log_y) else "linear"
    scale = "accuracy" if percent and log_y is None else scale
    for run, series in plot.curves:
        values = finite(series.values)
        shown = np.nan_to_num(values) > 0 if scale == "log" else np.isfinite(values)
        if not shown.all():
            lost = f"{np.count_nonzero(~shown)} of {len(values)} values leave gaps"
            why = "nan, infinite, too large, or not above 0 on a logarithmic axis"
            say(f"{run.name}: {plot.tag}: {lost}: {why}")
    look = {"percent": percent, "level": frequencies_loss(plot)}
    return figures.Panel(lines, X_LABELS[x], y_label_of(plot), scale, **look)


def line_of(group, series_of, plot, smoothing, mean_of):
    """The figures.Line of a run_groups.Group; None if none of its runs has the scalar."""
    found = [(run, series_of[run.name]) for run in group.runs if run.name in series_of]
    if not found:
        return None
    # A validation is one number over many images: there is nothing to smooth.
    x, band = mean_of(found, smoothing if plot.split == "train" else 0)
    label, look = group.label, {}
    beside = {"train": plot.tag, "validation": "accuracy_population"}.get(plot.split)
    beside = having(group.runs, beside)
    other_x, other = mean_of(beside) if beside else (None, None)
    if plot.split == "train" and other:
        look["markers"] = other_x, other.mean
    elif plot.tag == "accuracy" and other and len(other_x) == len(x):
        look["dotted"] = other_x, other.mean
    if len(found) > 1:
        label += f" (n = {len(found)})"
        look.update(low=band.low, high=band.high)
    else:
        values = finite(found[0][1].values)
        look["raw"] = values if np.nansum(np.abs(values - band.mean)) > 0 else None
    return figures.Line(label, group.color, group.dashed, x, band.mean, **look)


def having(runs, tag):
    """[(run, Series)] of the runs that have the scalar of the validation."""
    found = [(run, scalars_of(run, "validation").get(tag)) for run in runs]
    return [(run, series) for run, series in found if series]


def x_values(x, run, series):
    """float64 [n]: steps, or minutes since the run began."""
    if x == "step":
        return series.steps.astype(np.float64)
    of_all = [one.wall_times for tags in run.scalars.values() for one in tags.values()]
    return (finite(series.wall_times) - np.fmin.reduce(finite(np.concatenate(of_all)))) / 60


def is_accuracy(tag):
    return "accuracy" in tag


def title_of(plot):
    """What all the runs of a Plot share: network, optimizer, batches and seeds; and the tag, unless
    it is the loss."""
    words = [plot.tag] if plot.tag != "loss" or not plot.network else []
    return ", ".join(([shared_by([run for run, _ in plot.curves])] if plot.network else []) + words)


def shared_by(runs):
    """The network of the runs, and in words which optimizer, batches and seeds they share."""
    network, words = runs[0].network, []
    for name, kind, form in (("optimizer", str, "{}"), ("num_batches", int, "{:,} batches")):
        values = [run.flags.get(name) for run in runs]
        if type(values[0]) is kind and all(value == values[0] for value in values):
            words.append(form.format(values[0]))
    seeds = sorted({run.flags.get("seed") for run in runs if type(run.flags.get("seed")) is int})
    if seeds:
        together = len(seeds) > 1 and seeds[-1] - seeds[0] == len(seeds) - 1
        text = f"{seeds[0]} to {seeds[-1]}" if together else ", ".join(map(str, seeds[:5]))
        words.append(f"seed{'s' * (len(seeds) > 1)} {text}")
    return ", ".join([NETWORKS.get(network, network), *words])


def losses_of(plot):
    """The functions of a loss whose values a Plot shows, sorted; none where one is not known."""
    kinds = {str(run.flags.get("loss")) for run, _ in plot.curves}
    return sorted(kinds) if plot.tag == "loss" and kinds <= set(FREQUENCIES_LOSS) else []


def y_label_of(plot):
    label = plot.tag
    if plot.tag in ("loss", "accuracy"):
        label = f"{SPLIT_NAMES[plot.split]} {plot.tag}"
    kinds = f" ({' or '.join(losses_of(plot))} cross-entropy, nats)" if losses_of(plot) else ""
    return label + kinds + " (%)" * is_accuracy(plot.tag)


def frequencies_loss(plot):
    """The loss of answering the frequencies of MNIST's classes; None if the runs have no such."""
    of_mnist = all(MNIST_LABELS in run.data.values() for run, _ in plot.curves)
    kinds = losses_of(plot)
    return FREQUENCIES_LOSS[kinds[0]] if of_mnist and len(kinds) == 1 else None
