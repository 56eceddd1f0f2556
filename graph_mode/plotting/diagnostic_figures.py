"""Draws what --diagnostics recorded: without batch norm beside with it, on the same scales."""

import numpy as np

from graph_mode.plotting import figures, run_lines
from graph_mode.plotting.diagnostic_lines import (
    ALONG,
    DEAD,
    INPUTS,
    LOW,
    MIDDLE,
    NORM,
    UPPER,
    layers_of,
    over_seeds,
)
from graph_mode.plotting.figure_text import plain

SIDES = {False: "without batch norm", True: "with batch norm"}
COLUMN_INCHES, ROW_INCHES, INPUTS_ROW_INCHES = 3.9, 3.3, 1.5
X_LABEL = "Iteration (batch)"
PERCENTILES = f"{LOW}th, {MIDDLE}th and {UPPER}th percentile"
BESIDE = {"loc": "upper left", "bbox_to_anchor": (1.03, 1.0), "borderaxespad": 0}
# Of more layers than this the first, the middle and the last have a colour, the others are grey.
MANY_LAYERS = 4
LAYER_COLORS = (figures.BLUE, figures.GREEN, figures.ORANGE, figures.PURPLE)


def draw_all(pair):
    """Yields (name, caption, Figure) of everything that the runs of a Pair recorded."""
    if layers_of(pair, INPUTS):
        yield "figure_1", figure_1_caption(pair), figure_1(pair)
        yield "activation_inputs", INPUTS_CAPTION, activation_inputs(pair)
    if layers_of(pair, NORM):
        yield "gradient_norms", NORMS_CAPTION, by_layer(pair, NORM, 1, NORM_LABEL, log_y=True)
    if layers_of(pair, DEAD):
        yield "dead_units", DEAD_CAPTION, by_layer(pair, DEAD, 100, "Dead ReLU units (%)")
    if layers_of(pair, ALONG):
        yield "loss_along_gradient", ALONG_CAPTION, loss_along_gradient(pair)


NORM_LABEL = "Gradient norm (nats per unit of weight)"
INPUTS_CAPTION = (
    f"{PERCENTILES} of the inputs to the activations of each layer, over all its units, mean over "
    "seeds"
)
NORMS_CAPTION = "Norm of the gradient of each layer's weights, mean over seeds"
DEAD_CAPTION = "Share of ReLU units that no image of the sample turns on, mean over seeds"
ALONG_CAPTION = (
    "Loss of the sample before a step against its gradient, and the smallest and the largest "
    "loss after steps of 0.05, 0.1, 0.2 and 0.4 times the gradient, mean over seeds"
)


STEPS_NOTE = "after steps of 0.05,\n0.1, 0.2 and 0.4\ngradients"


def figure_1_caption(pair):
    return (
        "As figure 1 of Ioffe and Szegedy (2015): validation accuracy, mean and range over seeds; "
        f"{PERCENTILES} of the inputs to the first unit of the last hidden layer, "
        f"seed {first_run(pair).flags.get('seed')}"
    )


def first_run(pair):
    return next(iter(pair.sides.values()))[0]


def figure_1(pair):
    """(a) validation accuracy; then one unit's inputs, in a panel for each side."""
    layer = layers_of(pair, INPUTS)[-1]
    figure, panels = start(pair, 1, 1 + len(pair.sides), ROW_INCHES)
    accuracy, inputs = panels[0][0], panels[0][1:]
    accuracy.set_title("(a) validation accuracy", loc="left", fontsize=10)
    accuracy.set_ylabel("Validation accuracy (%)")
    values = np.array([])
    for side, runs in pair.sides.items():
        band = over_seeds(runs, "accuracy", "validation")
        if band:
            draw_band(accuracy, band.steps, band.low, band.mean, band.high, side)
            accuracy.lines[-1].set_label(f"{SIDES[side]} (n = {len(runs)})")
            values = np.concatenate([values, band.low, band.high])
    values = values[np.isfinite(values)]
    figures.scale_accuracy(accuracy, values)
    if len(values):
        figures.set_limits(accuracy, values.min(), values.max())
    handles, labels = accuracy.get_legend_handles_labels()
    panels[0][-1].legend(handles, labels, frameon=False, fontsize=9, **BESIDE)
    seed = first_run(pair).flags.get("seed")
    for letter, (side, runs), axes in zip("bc", pair.sides.items(), inputs):
        axes.set_title(f"({letter}) {SIDES[side]}", loc="left", fontsize=10)
        same = [run for run in runs if run.flags.get("seed") == seed] or runs
        draw_percentiles(axes, same[:1], f"{INPUTS}/{layer}/first_unit", side)
    share_y(inputs)
    inputs[0].set_ylabel(f"Input to the first unit of {words(layer)}\n({PERCENTILES})")
    return figure


def activation_inputs(pair):
    """A row for each layer, from the first to the last."""
    layers = layers_of(pair, INPUTS)
    figure, panels = start(pair, len(layers), len(pair.sides), INPUTS_ROW_INCHES)
    for layer, row in zip(layers, panels):
        for (side, runs), axes in zip(pair.sides.items(), row):
            draw_percentiles(axes, runs, f"{INPUTS}/{layer}", side)
        share_y(row)
        row[0].set_ylabel(words(layer).capitalize())
    title_columns(panels, pair)
    figure.align_ylabels()
    figure.supylabel(f"Input to the activation ({PERCENTILES})", fontsize=10)
    return figure


def by_layer(pair, kind, scale, y_label, log_y=False):
    """A line for each layer; scale: what the values are multiplied by."""
    layers = layers_of(pair, kind)
    figure, panels = start(pair, 1, len(pair.sides), ROW_INCHES)
    for (_, runs), axes in zip(pair.sides.items(), panels[0]):
        for layer, look in zip(layers, layer_looks(layers)):
            band = over_seeds(runs, f"{kind}/{layer}")
            axes.plot(band.steps, scale * band.mean, **look)
            if look["color"] != figures.GREY:
                axes.lines[-1].set(marker=figures.marker(len(band.steps)), markersize=3.5)
        if log_y:
            figures.scale_log(axes, np.array([]))
        else:
            axes.set_ylim(-2, 102)
    title_columns(panels, pair)
    share_y(panels[0])
    panels[0][0].set_ylabel(y_label)
    handles, labels = panels[0][0].get_legend_handles_labels()
    panels[0][-1].legend(handles, labels, frameon=False, fontsize=9, **BESIDE)
    return figure


def layer_looks(layers):
    """How plot() draws the line of each layer."""
    if len(layers) <= MANY_LAYERS:
        return [{"color": c, "label": words(n)} for n, c in zip(layers, LAYER_COLORS)]
    looks = [{"color": figures.GREY, "linewidth": 0.7, "zorder": 1.9} for _ in layers]
    looks[1]["label"] = "the layers between"
    for number, color in zip((0, len(layers) // 2, len(layers) - 1), LAYER_COLORS):
        looks[number] = {"color": color, "label": words(layers[number])}
    return looks


def loss_along_gradient(pair):
    figure, panels = start(pair, 1, len(pair.sides), ROW_INCHES)
    losses = []
    for (side, runs), axes in zip(pair.sides.items(), panels[0]):
        bands = [over_seeds(runs, f"{ALONG}/{name}") for name in ("smallest", "start", "largest")]
        draw_band(axes, bands[0].steps, *[band.mean for band in bands], side=side)
        losses += [band.mean for band in bands]
    losses = np.concatenate(losses)
    losses = losses[np.isfinite(losses)]
    if figures.spans_decade(losses):
        for axes in panels[0]:
            figures.scale_log(axes, losses)
    title_columns(panels, pair)
    share_y(panels[0])
    panels[0][0].set_ylabel("Loss along the gradient (nats)")
    line = figures.note_handle("before the step", linewidth=1.4)
    handles = [line, figures.band_handle(STEPS_NOTE)]
    panels[0][-1].legend(handles=handles, frameon=False, fontsize=9, **BESIDE)
    return figure


def start(pair, rows, columns, row_inches):
    """(Figure, [[axes]]) with the pair's name above."""
    with figures.style():
        size = (columns * COLUMN_INCHES + 0.8, rows * row_inches + 0.8)
        figure = figures.new_figure(figsize=size, constrained_layout=True)
        network = run_lines.NETWORKS.get(pair.network, pair.network)
        figure.suptitle(plain(f"{network}, {pair.label}", set()), x=0.01, ha="left", fontsize=12)
        panels = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for axes in panels[-1]:
        axes.set_xlabel(X_LABEL)
        axes.margins(x=0.02)
    return figure, panels.tolist()


def title_columns(panels, pair):
    for side, axes in zip(pair.sides, panels[0]):
        title = f"{SIDES[side].capitalize()} (n = {len(pair.sides[side])})"
        axes.set_title(title, loc="left", fontsize=10)


def draw_percentiles(axes, runs, tag, side):
    bands = [over_seeds(runs, f"{tag}/percentile_{percent}") for percent in (LOW, MIDDLE, UPPER)]
    draw_band(axes, bands[0].steps, *[band.mean for band in bands], side=side)
    axes.axhline(0, color=figures.GREY, linewidth=0.6, zorder=1)


def draw_band(axes, x, low, middle, high, side):
    """A line with a band around it, the edges of which are lines too where the band is wide."""
    color = figures.BATCH_NORM_COLORS[side]
    axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    for edge in (low, high):
        axes.plot(x, edge, color=color, linewidth=0.7, alpha=0.7)
    axes.plot(x, middle, color=color, linewidth=1.4, marker=figures.marker(len(x)), markersize=3)


def share_y(panels):
    """Gives panels side by side the limits that hold all of them."""
    limits = [axes.get_ylim() for axes in panels]
    for axes in panels:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def words(layer):
    """'layer 3' of 'layer_3'; names of variables stay as they are."""
    return layer.replace("_", " ") if layer.startswith("layer_") else layer
