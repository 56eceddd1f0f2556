"""The table of runs that plot_losses.py prints."""

import numbers
import unicodedata

import numpy as np

from graph_mode.command_line import printable
from graph_mode.plotting.run_lines import is_accuracy


def table(plots):
    """A line for each run of the run_lines.Plots: its last and its best value, its accuracies.

    The best loss is the smallest, the best accuracy the largest. If there are several tags, a
    column says which.
    """
    tags = {plot.tag for plot in plots}
    kinds = {"accuracy" if is_accuracy(tag) else "loss" if is_loss(tag) else "" for tag in tags}
    what = f" {kinds.pop()}".rstrip() if len(kinds) == 1 else ""
    rows = [
        ("run", "tag", "steps", f"final{what}", f"best{what}")
        + ("validation accuracy", "test accuracy")
    ]
    for plot in plots:
        for run, series in plot.curves:
            rows.append(
                (
                    printable(run.name),
                    printable(plot.tag),
                    str(steps_of(series, plot.split)),
                    number(series.values[-1]),
                    number(best(plot.tag, series.values)),
                    number(final_accuracy(run, "validation")),
                    number(final_accuracy(run, "test")),
                )
            )
    if len(tags) == 1:
        rows = [row[:1] + row[2:] for row in rows]
    widths = [max(map(columns_of, column)) for column in zip(*rows)]
    return "\n".join(padded(row, widths) for row in rows)


def is_loss(tag):
    return "loss" in tag and not is_accuracy(tag)


def best(tag, values):
    """The best of the values, or None for a scalar of which neither more nor less is better."""
    values = values[np.isfinite(values)]
    if is_accuracy(tag):
        return np.max(values, initial=-np.inf)
    return np.min(values, initial=np.inf) if is_loss(tag) else None


def steps_of(series, split):
    """How many steps of training the run has gone, which may count from 0, as here, or from 1."""
    return int(series.steps[-1]) + int(series.steps[0] == 0 and split == "train")


def final_accuracy(run, split):
    """From result.json, or the last in the event files; None if there is neither."""
    accuracy = run.result.get(f"{split}_accuracy")
    if isinstance(accuracy, numbers.Real) and not isinstance(accuracy, bool):
        return accuracy
    series = run.scalars.get(split, {}).get("accuracy")
    return series.values[-1] if series else None


def number(value):
    """As the training scripts print it; with an exponent where that would show no digits."""
    if value is None:
        return "-"
    if value == 0 or not np.isfinite(value) or 1e-4 <= abs(value) < 1e7:
        return f"{value:.5f}"
    return f"{value:.4e}"


def padded(row, widths):
    spaces = [" " * (width - columns_of(cell)) for cell, width in zip(row, widths)]
    cells = "".join(f"  {space}{cell}" for cell, space in zip(row[1:], spaces[1:]))
    return row[0] + spaces[0] + cells


def columns_of(text):
    """How many columns of a terminal the text takes: two for a character of East Asian width."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    marks = sum(unicodedata.combining(character) > 0 for character in text)
    return len(text) + wide - marks
