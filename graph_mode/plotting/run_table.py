"""The table of runs that plot_losses.py prints."""

import numbers
import unicodedata

import numpy as np

from graph_mode.plotting.saved_runs import printable

HEADINGS = (
    "run",
    "tag",
    "steps",
    "final loss",
    "best loss",
    "validation accuracy",
    "test accuracy",
)


def table(plots):
    """A line for each run of the run_lines.Plots: its last and its smallest value, its accuracies.

    If there are several tags, a column says which.
    """
    tags = {plot.tag for plot in plots}
    rows = [HEADINGS]
    for plot in plots:
        for run, series in plot.curves:
            rows.append(
                (
                    printable(run.name),
                    printable(plot.tag),
                    str(steps_of(series)),
                    number(series.values[-1]),
                    number(np.min(series.values[np.isfinite(series.values)], initial=np.inf)),
                    number(final_accuracy(run, "validation")),
                    number(final_accuracy(run, "test")),
                )
            )
    if len(tags) == 1:
        rows = [row[:1] + row[2:] for row in rows]
    widths = [max(map(columns_of, column)) for column in zip(*rows)]
    return "\n".join(padded(row, widths) for row in rows)


def steps_of(series):
    """How many steps the run has gone. Steps may count from 0, as here, or from 1."""
    return int(series.steps[-1]) + int(series.steps[0] == 0)


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
