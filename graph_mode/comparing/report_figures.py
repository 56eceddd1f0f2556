"""The figures of a report, drawn like those of plot_losses.py."""

import collections
import os
import re

import numpy as np

from graph_mode.comparing import report_tables, run_results
from graph_mode.comparing.run_results import MOVING, POPULATION
from graph_mode.plotting import (
    curves,
    diagnostic_figures,
    figures,
    run_groups,
    run_lines,
)

SMOOTHING = 0.95
DPI = 120
# A curve of accuracy over a flag needs this many values of it.
FEWEST_VALUES = 3


def write(network, results, settings, output_dir, say):
    """Draws the figures of one network; returns [(caption, file name)]."""
    written = []
    for suffix, words, some in split(results, list(settings[0].values)):
        runs = [result.run for result in some]
        for name, caption, figure in (
            ("loss", "Training loss", loss_figure(runs, say)),
            ("validation_error", "Validation error", error_figure(network, runs)),
        ):
            if figure:
                path = save(figure, f"{network}_{name}{suffix}", output_dir)
                written.append((f"{caption}{words}", path))
    for flag in settings[0].values:
        values = {setting.values[flag] for setting in settings if is_number(setting.values[flag])}
        if len(values) >= FEWEST_VALUES:
            figure = by_flag_figure(network, settings, flag)
            path = save(figure, f"{network}_test_error_by_{flag}", output_dir)
            written.append((f"Test error by {flag.replace('_', ' ')}", path))
    for setting in settings:
        written += diagnostics(network, setting, output_dir)
    return written


def diagnostics(network, setting, output_dir):
    """Draws what the runs of a setting recorded with --diagnostics; returns what write does."""
    label = ", ".join(run_groups.words(flag, value) for flag, value in setting.values.items())
    pair = report_tables.pair_of(setting, label)
    return [
        (f"{label}: {caption}" if label else caption, save(figure, "_".join(words), output_dir))
        for name, caption, figure in diagnostic_figures.draw_all(pair)
        for words in [[network, name] + ([label] if label else [])]
    ]


def save(figure, name, output_dir):
    file_name = re.sub(r"[^\w.-]+", "_", name) + ".png"
    figures.save(figure, os.path.join(output_dir, file_name), "png", DPI)
    return file_name


def split(results, flags):
    """Yields (end of file name, words, results): a figure's lines differ in one flag at most.

    That is the optimizer where it varies; runs that differ in another get a figure of their own.
    """
    others = flags[1:]
    parts = collections.defaultdict(list)
    for result in results:
        parts[tuple(report_tables.frozen(result.run.flags.get(f)) for f in others)].append(result)
    for some in parts.values():
        values = [run_groups.words(flag, some[0].run.flags.get(flag)) for flag in others]
        suffix = "".join(f"_{value.replace(' ', '_')}" for value in values)
        yield suffix, "".join(f", {value}" for value in values), some


def loss_figure(runs, say):
    """Training loss of each step, smoothed, mean and band over seeds; None where none is."""
    plots = run_lines.plots_of(runs, lambda tag: tag == "loss")
    if not plots:
        return None
    panel = run_lines.panel_of(plots[0], "step", SMOOTHING, None, say)
    return figures.draw(
        panel.lines,
        title=panel.title,
        x_label=panel.x_label,
        y_label=panel.y_label,
        log_y=figures.spans_decade(panel.lines),
        notes=panel.notes,
    )


def error_figure(network, runs):
    """1 - validation accuracy at each evaluation, mean and band over seeds; None where none is."""
    statistics = statistics_of(
        run_results.validation_accuracy(run, POPULATION) is not None for run in runs
    )
    lines = []
    for group in run_groups.group_by_seed(runs):
        series = [run_results.validation_accuracy(run, statistics) for run in group.runs]
        series = [one for one in series if one is not None]
        if series:
            band = curves.mean_and_band(
                [one.steps for one in series], [1 - one.values for one in series]
            )
            label = f"{group.label} (n = {len(series)})"
            low, high = (band.low, band.high) if len(series) > 1 else (None, None)
            look = group.color, group.dashed
            lines.append(
                figures.Line(label, *look, band.steps, band.mean, None, low, high, markers=None)
            )
    if not lines:
        return None
    return figures.draw(
        lines,
        title=run_lines.NETWORKS.get(network, network),
        x_label="Iteration (batch)",
        y_label=f"Validation error (fraction{WORDS[statistics]})",
        log_y=figures.spans_decade(lines),
        notes=[("band", "mean over seeds, smallest to largest")],
    )


def statistics_of(have_population):
    """By which statistics a figure shows accuracies: POPULATION where all runs have those."""
    return POPULATION if all(have_population) else MOVING


WORDS = {MOVING: "", POPULATION: "; batch norm by population statistics"}


def by_flag_figure(network, settings, flag):
    """1 - test accuracy over the values of a flag that is a number, mean and band over seeds."""
    statistics = statistics_of(
        run_results.test_accuracy(result, POPULATION) is not None
        for setting in settings
        for result in setting.with_norm.values()
        if result.numbers
    )
    lines = []
    parts = collections.defaultdict(list)
    for setting in settings:
        others = {name: value for name, value in setting.values.items() if name != flag}
        parts[report_tables.frozen(others)].append(setting)
    colors = dict(zip(parts, figures.PALETTE * len(parts)))
    for key, some in parts.items():
        others = {name: value for name, value in some[0].values.items() if name != flag}
        for batch_norm in (False, True):
            words = [run_groups.words(name, value) for name, value in others.items()]
            label = ", ".join(words + [run_groups.words("batch_norm", batch_norm)])
            line = error_over(flag, some, batch_norm, statistics, label, colors[key])
            lines += [line] if line else []
    figure = figures.draw(
        lines,
        title=run_lines.NETWORKS.get(network, network),
        x_label=flag.replace("_", " ").capitalize(),
        y_label=f"Test error (fraction{WORDS[statistics]})",
        log_y=figures.spans_decade(lines),
        notes=[("band", "mean over seeds, smallest to largest")],
    )
    values = np.array([setting.values[flag] for setting in settings], float)
    if values.min() > 0 and values.max() >= figures.LOG_SPAN * values.min():
        figure.axes[0].set_xscale("log")
    return figure


def error_over(flag, settings, batch_norm, statistics, label, color):
    """The figures.Line of one side of the settings; None if no run of it has a test accuracy."""
    points = {}
    for setting in settings:
        side = setting.with_norm if batch_norm else setting.without
        accuracies = [run_results.test_accuracy(result, statistics) for result in side.values()]
        errors = [1 - accuracy for accuracy in accuracies if accuracy is not None]
        if errors and is_number(setting.values[flag]):
            points[setting.values[flag]] = (np.mean(errors), min(errors), max(errors))
    if not points:
        return None
    x = np.array(sorted(points), float)
    y, low, high = np.array([points[value] for value in sorted(points)], float).T
    return figures.Line(label, color, not batch_norm, x, y, None, low, high, (x, y))


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
