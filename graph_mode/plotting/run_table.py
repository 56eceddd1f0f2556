"""Runs as numbers: the table that plot_losses.py prints, and every point of them as CSV."""

import csv

import numpy as np

from graph_mode.output_file import output_file
from graph_mode.plotting.run_lines import is_accuracy, scalars_of
from graph_mode.show import tables


def table(plots):
    """A line for each run of the run_lines.Plots: its tag, if there are several, its last and its
    best value (the smallest loss, the largest accuracy), its accuracies."""
    tags = {plot.tag for plot in plots}
    kinds = {kind_of(tag) for tag in tags}
    what = f" {kinds.pop()}".rstrip() if len(kinds) == 1 else ""
    ends = ["validation accuracy", "test accuracy"]
    rows = [["run", "tag", "steps", f"final{what}", f"best{what}", *ends]]
    best = {"accuracy": np.max, "loss": np.min}
    for plot in plots:
        for run, series in plot.curves:
            # Steps count from 0, as here, or from 1.
            steps = int(series.steps[-1]) + int(series.steps[0] == 0 and plot.split == "train")
            values, kind = series.values[np.isfinite(series.values)], kind_of(plot.tag)
            found = [series.values[-1], best[kind](values) if kind and len(values) else None]
            found += [final_accuracy(run, split) for split in ("validation", "test")]
            rows.append([run.name, plot.tag, str(steps), *map(number, found)])
    if len(tags) == 1:
        rows = [row[:1] + row[2:] for row in rows]
    return tables.aligned(rows, numbers=range(1, len(rows[0])))


def kind_of(tag):
    """ "accuracy", of which more is better; "loss", of which less is; or ""."""
    return "accuracy" if is_accuracy(tag) else "loss" if "loss" in tag else ""


def final_accuracy(run, split):
    """From result.json, or the last in the event files; None if there is neither."""
    accuracy = run.result.get(f"{split}_accuracy")
    if type(accuracy) is float:
        return accuracy
    series = scalars_of(run, split).get("accuracy")
    return series.values[-1] if series else None


def number(value):
    """As the training scripts print it; with an exponent where that would show no digits."""
    if value is None:
        return "-"
    plain = value == 0 or not np.isfinite(value) or 1e-4 <= abs(value) < 1e7
    return f"{value:.5f}" if plain else f"{value:.4e}"


def write_csv(runs, wanted, path):
    """Writes the points whose tag is wanted, with all digits. A run has the name that TensorBoard
    gives it, such as a/b/train."""
    with output_file(path, newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("run", "tag", "step", "wall_time", "value"))
        for run in runs:
            for split, scalars in run.scalars.items():
                name = f"{run.name}/{split}" if split else run.name
                for tag in filter(wanted, scalars):
                    points = zip(*(column.tolist() for column in scalars[tag]))
                    writer.writerows((name, tag, *point) for point in points)
