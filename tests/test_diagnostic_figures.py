"""Figures and tables of what --diagnostics records: which runs belong together, their numbers."""

import itertools
import math
import pathlib

import made_runs
import numpy as np
import pytest

import plot_losses
from graph_mode.comparing import report
from graph_mode.plotting import diagnostics
from graph_mode.runs import recorded

NAMES = ["figure_1", "activation_inputs", "gradient_norms", "dead_units", "weight_norms"]


def tags(batch_norm, layers):
    """The tags that a run of these hidden layers writes, with kernels of two."""
    found = []
    for layer, unit in itertools.product(layers, ("", "/first_unit")):
        inputs = f"activation_inputs/layer_{layer}{unit}"
        found += [f"dead_units/layer_{layer}", *(f"{inputs}/percentile_{p}" for p in (15, 50, 85))]
    layers = ["block/dense", "dense_1"] + ["batch_normalization"] * batch_norm
    norms = itertools.product(("gradient_norm", "weight_norm"), layers)
    return [f"diagnostics/{tag}" for tag in found + [f"{kind}/{layer}" for kind, layer in norms]]


def write_run(folder, values, batch_norm, layers=(2, 10), **flags):
    """A run whose every diagnostic has these values at the steps 0, 10, 20, ..."""
    made_runs.write_run(folder, batch_norm=batch_norm, diagnostics=True, validate_every=10, **flags)
    names = tags(batch_norm, layers)
    rows = [(10 * number, dict.fromkeys(names, value)) for number, value in enumerate(values)]
    made_runs.write_steps(folder / "train", made_runs.BEGAN + 1, rows)
    return str(folder)


def write_pair(folder, network="fc", **flags):
    """Two seeds without and with batch norm, whose means are 2, 4, 6 and 20, 40, 60."""
    folders = []
    for batch_norm, seed in itertools.product((False, True), (0, 1)):
        values = np.array([1, 2, 3]) * (1 + 2 * seed) * (10 if batch_norm else 1)
        place = folder / network / f"{batch_norm}-{seed}-{flags.get('learning_rate', '')}"
        folders.append(write_run(place, values, batch_norm, network=network, seed=seed, **flags))
    return folders


def pairs_below(folder):
    found = recorded.find_event_files([str(folder)], pytest.fail)
    return diagnostics.pairs_of(recorded.read_runs(found, [str(folder)], pytest.fail))


def legend_of(figure):
    return [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]


def drawn(folder):
    """{name: Figure} of the only pair below a folder."""
    (pair,) = pairs_below(folder)
    return {name: figure for name, _, figure in diagnostics.draw_all(pair)}


def curves_of(axes):
    """The y of the middle lines of a panel, between the edges of bands."""
    return [line.get_ydata().tolist() for line in axes.lines if line.get_linewidth() == 1.5]


def test_runs_that_differ_in_seed_and_batch_norm_alone_are_a_pair(tmp_path):
    write_pair(tmp_path, learning_rate=0.1)
    write_pair(tmp_path, learning_rate=0.2)
    write_pair(tmp_path, "conv", optimizer="sgd")
    made_runs.write_run(tmp_path / "fc" / "without_diagnostics", seed=7)
    found = pairs_below(tmp_path)
    labels = ["sgd", "adam, learning rate 0.1", "adam, learning rate 0.2"]
    assert [(pair.network, pair.label) for pair in found] == list(zip(["conv", "fc", "fc"], labels))
    assert all(len(pair.sides[side]) == 2 for pair in found for side in (False, True))


def test_each_panel_shows_the_mean_over_seeds_of_its_side_on_the_scale_of_both(tmp_path):
    write_pair(tmp_path)
    figures = drawn(tmp_path)
    assert list(figures) == NAMES
    without, with_norm, _ = figures["gradient_norms"].axes
    assert legend_of(figures["gradient_norms"]) == ["block/dense", "dense_1"]
    for axes, mean in ((without, [2, 4, 6]), (with_norm, [20, 40, 60])):
        assert curves_of(axes) == [mean, mean]
        assert axes.lines[0].get_xdata().tolist() == [0, 10, 20]
    low, high = without.get_ylim()
    assert with_norm.get_ylim() == (low, high) and low < 2 and high > 60
    assert legend_of(figures["dead_units"]) == ["layer 2", "layer 10"]
    assert curves_of(figures["dead_units"].axes[0])[0] == [2, 4, 6]
    accuracy, unit_without, unit_with, _ = figures["figure_1"].axes
    assert legend_of(figures["figure_1"])[-1] == "with batch norm (n = 2)"
    assert accuracy.get_ylabel() == "Validation accuracy (%)"
    # One unit of one network: the mean of several units would be no unit's.
    assert (curves_of(unit_without), curves_of(unit_with)) == ([[1, 2, 3]], [[10, 20, 30]])
    assert "layer 10" in unit_without.get_ylabel()
    rows = figures["activation_inputs"].axes
    assert [axes.get_ylabel() for axes in rows[:4:2]] == ["Layer 2", "Layer 10"]


def test_one_side_alone_of_many_layers_without_a_finite_value_can_be_drawn(tmp_path):
    write_run(tmp_path / "a", [math.nan, math.inf, math.nan], True, layers=range(1, 6))
    figures = drawn(tmp_path)
    for name, figure in figures.items():
        figure.savefig(str(tmp_path / f"{name}.png"), dpi=20)
        panels = {"figure_1": 2, "activation_inputs": 5}.get(name, 1)
        assert len(figure.axes) == panels + 1
    # Of batch norm alone the layers are those of the network without it.
    assert legend_of(figures["gradient_norms"]) == ["block/dense", "dense_1"]
    assert legend_of(figures["dead_units"]) == [f"layer {number}" for number in range(1, 6)]
    assert len({line.get_color() for line in figures["dead_units"].axes[0].lines}) == 5


def test_plot_losses_draws_them_where_runs_have_them(tmp_path):
    write_pair(tmp_path / "runs")
    plot_losses.main([str(tmp_path / "runs"), "--output-dir", str(tmp_path), "--format", "svg"])
    names = ["fc_loss.svg"] + [f"fc_{name}_adam.svg" for name in NAMES]
    assert {path.name for path in tmp_path.glob("*.*")} == set(names)


def test_the_report_has_the_figures_and_the_numbers_behind_them(tmp_path):
    folders = write_pair(tmp_path)
    folders.append(write_run(tmp_path / "fc" / "c", [1, math.inf, -math.inf], True, seed=2))
    output_dir = tmp_path / "report"
    path = report.write(dict.fromkeys(folders, {}), str(tmp_path), str(output_dir), pytest.fail)
    text = pathlib.Path(path).read_text(encoding="utf-8")
    assert all(f"](fc_{name}.png)" in text for name in NAMES)
    assert all((output_dir / f"fc_{name}.png").exists() for name in NAMES)
    # At the end the seeds' values are 3 and 9 without and 30 and 90 with batch norm, whose third
    # seed is not finite there.
    assert "| 2 | 6.00 to 6.00 | 60.00 to 60.00 | 6 | 60 | 6 | 60 |" in text
