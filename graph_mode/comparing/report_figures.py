"""The figures of a report, drawn like those of plot_losses.py."""

import collections
import os

import numpy as np

from graph_mode import flags, names
from graph_mode.comparing.results import MOVING, POPULATION, accuracies, pair_of
from graph_mode.plotting import diagnostics, figures, run_lines

DPI = 120
FEWEST_VALUES = 3  # of a flag, for a curve of accuracy over it


def write(network, results, settings, output_dir, say):
    """Draws the figures of one network; yields (caption, file name)."""
    for caption, words, figure in draw_all(network, results, settings, say):
        name = f"{names.safe('_'.join([network, *words]).replace(',', '_'))}.png"
        figures.save(figure, os.path.join(output_dir, name), "png", DPI)
        yield caption, name


def draw_all(network, results, settings, say):
    """Yields (caption, [word of the file's name], Figure)."""
    telling = list(settings[0].values)
    # Runs of one figure differ in the first flag at most, and in batch norm and seed.
    parts = collections.defaultdict(list)
    for result in results:
        values = {flag: result.run.flags.get(flag) for flag in telling[1:]}
        parts[tuple(words_of(values))].append(result.run)
    for words, runs in parts.items():
        for plot in run_lines.plots_of(runs, lambda tag: tag == "loss"):
            rows = run_lines.rows_of(plot, say, with_accuracy=True)
            caption = ", ".join(["Loss and validation accuracy", *words])
            yield caption, ["loss", *words], figures.draw(rows, run_lines.title_of(plot))
    for flag in telling:
        numeric = [setting for setting in settings if type(setting.values[flag]) in (int, float)]
        values = sorted({setting.values[flag] for setting in numeric})
        if len(values) >= FEWEST_VALUES:
            caption = f"Test accuracy by {flag.replace('_', ' ')}"
            figure = by_flag_figure(network, numeric, flag, values)
            yield caption, ["test_accuracy_by", flag], figure
    for setting in settings:
        words = words_of(setting.values)
        pair = pair_of(setting, ", ".join(words))
        for name, caption, figure in diagnostics.draw_all(pair):
            yield ": ".join([pair.label] * bool(words) + [caption]), [name, *words], figure


def words_of(values):
    return [flags.words(flag, value) for flag, value in values.items()]


def by_flag_figure(network, settings, flag, values):
    """Test accuracy over these values of a flag, mean and band over seeds."""
    parts = collections.defaultdict(list)
    for setting in settings:
        others = {name: value for name, value in setting.values.items() if name != flag}
        parts[", ".join(words_of(others))].append(setting)
    lines = []
    for number, (label, some) in enumerate(parts.items()):
        for with_norm, color in figures.BATCH_NORM_COLORS.items():
            words = ", ".join([label] * bool(label) + [flags.words("batch_norm", with_norm)])
            if len(parts) > 1:
                color = figures.PALETTE[number % len(figures.PALETTE)]
            x, y, *band = points_over(flag, some, with_norm, MOVING)
            dotted = points_over(flag, some, with_norm, POPULATION)[:2]
            dotted = tuple(dotted) if with_norm and dotted.size else None
            line = figures.Line(words, color, not with_norm, x, y, None, *band, dotted=dotted)
            lines += [line] * bool(len(x))
    x_label = flag.replace("_", " ").capitalize()
    panel = figures.Panel(lines, x_label, "Test accuracy (%)", "accuracy")
    sides = [side for setting in settings for side in setting.sides.values()]
    runs = [result.run for side in sides for result in side.values()]
    figure = figures.draw([[panel]], run_lines.shared_by(runs))
    axes = figure.axes[0]
    if figures.spans_decade(np.array(values, float)):
        axes.set_xscale("log")
        axes.set_xticks([], minor=True)
    axes.set_xticks(values, [f"{value:g}" for value in values])
    return figure


def points_over(flag, settings, with_norm, statistics):
    """float64 [4, n]: the flag's value, mean, lowest and highest test accuracy of each setting."""
    points = {}
    for setting in settings:
        found = accuracies(setting.sides[with_norm], statistics).values()
        if found:
            points[setting.values[flag]] = (np.mean(list(found)), min(found), max(found))
    return np.array([(x, *ends) for x, ends in sorted(points.items())], float).reshape(-1, 4).T
