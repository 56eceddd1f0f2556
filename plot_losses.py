"""Draws the losses of training runs from their event files, without TensorFlow.

    python plot_losses.py                               everything under runs/, into runs/figures/
    python plot_losses.py runs/fc/adam* --format pdf    some runs, as vector graphics
    python plot_losses.py --watch                       again whenever a run has written more

One figure for each network: training loss of each batch (light) and smoothed, validation loss as
markers, one colour for each optimizer, solid with batch normalization and dashed without. Runs that
differ only in their seed are drawn as their mean, with a band from the smallest to the largest.
"""

import collections
import fnmatch
import json
import os
import re
import sys

import numpy as np

from graph_mode import command_line, curves, figures, saved_runs

OPTIMIZER_COLORS = {
    "adam": figures.BLUE,
    "sgd": figures.BLACK,
    "momentum": figures.ORANGE,
    "nesterov": figures.VERMILION,
    "rmsprop": figures.GREEN,
    "adagrad": figures.PURPLE,
    "adadelta": figures.SKY_BLUE,
    "ftrl": figures.GREY,
}
NOT_TRAINING = {"seed", "run_name", "log_dir", "data_dir"}


def main(arguments=None):
    flags = parse_arguments(arguments)
    runs = saved_runs.read_runs(flags.paths, report)
    selected = select_tags(runs, flags.tags)
    if not selected:
        raise command_line.CommandError(f"no losses in {' '.join(flags.paths)}: expected runs")
    for name, run_tags in by_figure(selected).items():
        lines = [line_of(group, flags) for group in grouped(run_tags)]
        tag = run_tags[0][1]
        figure = figures.draw(lines, flags.title or name, "Iteration (batch)", tag, flags.log_y)
        for image_format in flags.format:
            path = os.path.join(flags.output_dir, f"{file_name(name)}.{image_format}")
            figures.save(figure, path, image_format, flags.dpi)
            print(f"wrote {path}")
    print_table(selected)
    return 0


def parse_arguments(arguments):
    parser = command_line.OneLineParser(description=__doc__)
    parser.add_argument("paths", nargs="*", default=["runs"], help="folders or patterns of runs")
    parser.add_argument("--tags", default="loss,*_loss", help="scalars to draw, with commas")
    parser.add_argument("--smoothing", type=float, default=0.9)
    parser.add_argument("--title")
    parser.add_argument("--dpi", type=int, default=150)
    parser.add_argument("--format", default="png")
    parser.add_argument("--output-dir", default=os.path.join("runs", "figures"))
    parser.add_argument("--log-y", action="store_true", default=None)
    parser.add_argument("--linear-y", dest="log_y", action="store_false")
    flags = parser.parse_args(arguments)
    flags.format = flags.format.split(",")
    flags.tags = flags.tags.split(",")
    return flags


def report(line):
    print(f"note: {line}", file=sys.stderr)


def training_scalars(run):
    """The scalars of training: those in train/, or those beside it in another program's run."""
    return {**run.scalars.get("", {}), **run.scalars.get("train", {})}


def select_tags(runs, patterns):
    """[(run, tag)] of the training scalars whose tag is matched by one of the patterns."""
    return [
        (run, tag)
        for run in runs
        for tag in training_scalars(run)
        if any(fnmatch.fnmatchcase(tag, pattern) for pattern in patterns)
    ]


def by_figure(selected):
    found = collections.defaultdict(list)
    for run, tag in selected:
        found[f"{run.network}_{tag}" if run.network else tag].append((run, tag))
    return {name: found[name] for name in sorted(found)}


def grouped(run_tags):
    """Lists of (run, tag) that differ only in the seed; the same seed again begins a list anew."""
    groups = collections.defaultdict(list)
    times_seen = collections.Counter()
    for run, tag in run_tags:
        trained = {flag: value for flag, value in run.flags.items() if flag not in NOT_TRAINING}
        settings = json.dumps([trained, run.data], sort_keys=True) if run.flags else run.name
        seed = run.flags.get("seed")
        twin = (settings, tag, seed)
        groups[settings, tag, times_seen[twin]].append((run, tag))
        if seed is not None:
            times_seen[twin] += 1
    return list(groups.values())


def line_of(group, flags):
    series = [training_scalars(run)[tag] for run, tag in group]
    smoothed = [curves.smooth(one.values, flags.smoothing) for one in series]
    band = curves.mean_and_band([one.steps for one in series], smoothed)
    run, tag = group[0]
    several = len(group) > 1
    validation = [run.scalars.get("validation", {}).get(tag) for run, tag in group]
    validation = [one for one in validation if one]
    markers = None
    if validation:
        means = curves.mean_and_band(*zip(*((one.steps, one.values) for one in validation)))
        markers = (means.steps, means.mean)
    label = run.name
    if run.flags:
        batch_norm = "batch norm" if run.flags.get("batch_norm") else "no batch norm"
        label = f"{run.flags.get('optimizer')}, {batch_norm}"
    if several:
        label += f" (mean, min to max of n = {len(group)})"
    return figures.Line(
        label=label,
        color=OPTIMIZER_COLORS.get(run.flags.get("optimizer"), figures.BLUE),
        dashed=not run.flags.get("batch_norm", True),
        x=band.steps,
        smoothed=band.mean,
        raw=None if several else np.where(np.isfinite(series[0].values), series[0].values, np.nan),
        low=band.low if several else None,
        high=band.high if several else None,
        markers=markers,
    )


def file_name(name):
    return re.sub(r"[^\w.-]+", "_", name)


def print_table(selected):
    rows = [("run", "steps", "final loss", "best loss", "validation accuracy", "test accuracy")]
    for run, tag in selected:
        series = training_scalars(run)[tag]
        rows.append(
            (
                run.name,
                str(len(series.steps)),
                f"{series.values[-1]:.5f}",
                f"{np.nanmin(series.values):.5f}",
                *(
                    f"{run.result[f'{split}_accuracy']:.5f}" if run.result else "-"
                    for split in ("validation", "test")
                ),
            )
        )
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    for row in rows:
        print(
            "  ".join(
                cell.rjust(w) if i else cell.ljust(w)
                for i, (cell, w) in enumerate(zip(row, widths))
            )
        )


if __name__ == "__main__":
    command_line.run(main)
