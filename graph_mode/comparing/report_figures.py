"""The figures of a report, drawn like those of plot_losses.py."""

import collections
import os

import numpy as np

from graph_mode import flags as flag_table
from graph_mode import names
from graph_mode.comparing import report_tables
from graph_mode.comparing.run_results import MOVING, POPULATION
from graph_mode.plotting import diagnostics, figures, run_lines

DPI = 120
# A curve of accuracy over a flag needs this many values of it.
FEWEST_VALUES = 3


def write(network, results, settings, output_dir, say):
    """Draws the figures of one network; returns [(caption, file name)]."""
    drawn = []
    for words, some in split(results, list(settings[0].values)):
        for plot in run_lines.plots_of([result.run for result in some], lambda tag: tag == "loss"):
            panels = run_lines.panels_of(plot, run_lines.View(), say, with_accuracy=True)
            caption = ", ".join(["Loss and validation accuracy"] + words)
            figure = figures.draw(panels, run_lines.title_of(plot))
            drawn.append((caption, "_".join([network, "loss"] + words), figure))
    for flag in settings[0].values:
        values = {setting.values[flag] for setting in settings if is_number(setting.values[flag])}
        if len(values) >= FEWEST_VALUES:
            caption = f"Test accuracy by {flag.replace('_', ' ')}"
            figure = by_flag_figure(network, settings, flag)
            drawn.append((caption, f"{network}_test_accuracy_by_{flag}", figure))
    for setting in settings:
        words = [flag_table.words(flag, value) for flag, value in setting.values.items()]
        pair = report_tables.pair_of(setting, ", ".join(words))
        for name, caption, figure in diagnostics.draw_all(pair):
            caption = ": ".join([pair.label] * bool(words) + [caption])
            drawn.append((caption, "_".join([network, name] + words), figure))
    written = []
    for caption, name, figure in drawn:
        file_name = f"{names.safe(name.replace(',', ' '))}.png"
        figures.save(figure, os.path.join(output_dir, file_name), "png", DPI)
        written.append((caption, file_name))
    return written


def split(results, flags):
    """Yields (words, results): the runs of a figure differ in the first flag at most, and in batch
    norm and seed; those that differ in another flag, which the words name, get another figure.
    """
    parts = collections.defaultdict(list)
    for result in results:
        words = [flag_table.words(flag, result.run.flags.get(flag)) for flag in flags[1:]]
        parts[tuple(words)].append(result)
    for words, some in parts.items():
        yield list(words), some


def by_flag_figure(network, settings, flag):
    """Test accuracy over the values of a flag that is a number, mean and band over seeds."""
    parts = collections.defaultdict(list)
    for setting in settings:
        others = {name: value for name, value in setting.values.items() if name != flag}
        if is_number(setting.values[flag]):
            words = [flag_table.words(name, value) for name, value in others.items()]
            parts[", ".join(words)].append(setting)
    is_shared = all(name.startswith(report_tables.BATCH_NORM) or name == flag for name in others)
    lines = []
    for number, (label, some) in enumerate(parts.items()):
        for batch_norm, color in figures.BATCH_NORM_COLORS.items():
            if len(parts) > 1:
                color = figures.PALETTE[number % len(figures.PALETTE)]
            words = [label] * bool(label) + [flag_table.words("batch_norm", batch_norm)]
            if not batch_norm and len(parts) > 1 and is_shared:
                # How batch norm is done means nothing without it: one line for all parts.
                if number:
                    continue
                words, color = words[1:], figures.PALETTE[len(parts) % len(figures.PALETTE)]
            look = {"label": ", ".join(words), "color": color, "dashed": not batch_norm}
            lines += lines_over(flag, some, batch_norm, look)
    panel = figures.Panel(
        lines, flag.replace("_", " ").capitalize(), "Test accuracy (%)", "accuracy"
    )
    figure = figures.draw([panel], run_lines.NETWORKS.get(network, network))
    values = sorted(
        {setting.values[flag] for setting in settings if is_number(setting.values[flag])}
    )
    axes = figure.axes[0]
    if figures.spans_decade(np.array(values, float)):
        axes.set_xscale("log")
        axes.set_xticks([], minor=True)
    axes.set_xticks(values)
    axes.set_xticklabels([f"{value:g}" for value in values])
    return figure


def lines_over(flag, settings, batch_norm, look):
    """The figures.Line of one side of the settings, in a list; empty without any accuracy."""
    points = {statistics: {} for statistics in (MOVING, POPULATION)}
    for setting in settings:
        for statistics, found in points.items():
            side = setting.with_norm if batch_norm else setting.without
            accuracies = list(report_tables.accuracies(side, statistics).values())
            if accuracies:
                ends = (np.mean(accuracies), min(accuracies), max(accuracies))
                found[setting.values[flag]] = ends
    if not points[MOVING]:
        return []
    (x, y, low, high), other = (
        np.array([(value, *ends) for value, ends in sorted(found.items())], float).reshape(-1, 4).T
        for found in points.values()
    )
    dotted = (other[0], other[1]) if batch_norm and len(other[0]) else None
    return [figures.Line(x=x, y=y, low=low, high=high, dotted=dotted, **look)]


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
