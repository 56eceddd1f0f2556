"""What --diagnostics recorded: the runs that belong together, and figures of their means, without
batch norm beside with it, on the same scales."""

import os
import typing

import numpy as np

from graph_mode.flags import frozen
from graph_mode.plotting import curves, figures, run_groups
from graph_mode.plotting.run_groups import BATCH_NORM
from graph_mode.plotting.run_lines import NETWORKS, scalars_of
from graph_mode.runs.recorded import natural_order

PREFIX = "diagnostics/"  # of each tag
INPUTS, NORM = f"{PREFIX}activation_inputs", f"{PREFIX}gradient_norm"
WEIGHTS, DEAD = f"{PREFIX}weight_norm", f"{PREFIX}dead_units"
# Of the inputs to an activation, as graph_mode/train/diagnostics.py measures them.
LOW, MIDDLE, UPPER = 15, 50, 85
PERCENTILES = f"{LOW}th, {MIDDLE}th and {UPPER}th percentile"
SIDES = {False: "without batch norm", True: "with batch norm"}
# Of a panel with its labels, and of one of the rows of inputs to activations.
PANEL_INCHES, ROW_INCHES = (3.5, 3.7), (4.3, 1.6)
X_LABEL = "Iteration (batch)"
# Of more layers than these, each has a shade of blue.
LAYER_COLORS = (figures.BLUE, figures.GREEN, figures.ORANGE, figures.PURPLE)
INPUTS_CAPTION = (
    f"{PERCENTILES} of the inputs to the activations of each layer, over all its units, mean over "
    "seeds"
)
# kind: its figure's name with a line for each layer, its caption, its y label; the panels' look.
BY_LAYER = {
    NORM: ("gradient_norms", "Norm of the gradient of each layer's weights, mean over seeds",
           "Gradient norm (nats per unit of weight)", {"scale": "log"}),
    DEAD: ("dead_units",
           "Share of ReLU units that no image of the sample turns on, mean over seeds",
           "Dead ReLU units (%)", {"percent": True, "limits": (0, 1)}),
    WEIGHTS: ("weight_norms", "Norm (length) of each layer's weights, mean over seeds",
              "Norm of the weights", {"scale": "log"}),
}  # fmt: skip


class Pair(typing.NamedTuple):
    """Runs that differ in batch norm and seed alone."""

    network: str
    label: str  # What tells them from other pairs.
    sides: dict  # {batch norm: [Run]}, without before with; a side without any run is left out.


def tags_of(run):
    tags = [tag for tag in scalars_of(run, "train") if tag.startswith(PREFIX)]
    return sorted(tags, key=natural_order)


def pairs_of(runs):
    """[Pair] of the runs that have diagnostics; a setting and a seed count once."""
    found = {}
    for run in runs:
        if run.network and tags_of(run):
            bare = run._replace(flags={k: v for k, v in run.flags.items() if k != BATCH_NORM})
            key = frozen([run.network, run_groups.settings_of(bare)])
            _, sides = found.setdefault(key, (bare, {False: {}, True: {}}))
            sides[bool(run.flags.get(BATCH_NORM))].setdefault(frozen(run.flags.get("seed")), run)
    pairs = []
    for bare, sides in found.values():
        rivals = [other for other, _ in found.values() if other.network == bare.network]
        optimizer = str(run_groups.optimizer_of(bare))
        words = dict.fromkeys([optimizer, *run_groups.differences(bare, rivals)])
        runs = {side: list(some.values()) for side, some in sides.items() if some}
        pairs.append(Pair(bare.network, ", ".join(words), runs))
    return pairs


def layers_of(pair, kind):
    """The layers that every run of the pair has a diagnostic of, in their order in the network, but
    for those of batch normalization itself, which one side has not."""
    found = []
    for run in sum(pair.sides.values(), []):
        layers = [tag[len(kind) + 1 :] for tag in tags_of(run) if tag.startswith(f"{kind}/")]
        # layer_1/percentile_15, layer_1/first_unit/percentile_15, ...
        found.append([layer.split("/")[0] for layer in layers] if kind == INPUTS else layers)
    found = [layer for layer in dict.fromkeys(sum(found, [])) if all(layer in x for x in found)]
    return [x for x in found if not os.path.basename(x).startswith("batch_normalization")]


def over_seeds(runs, tag, split="train"):
    """The curves.Band of a scalar of several runs; None if none of them has it."""
    found = [scalars_of(run, split).get(tag) for run in runs]
    found = [(one.steps, curves.finite(one.values)) for one in found if one]
    return curves.mean_and_band(*zip(*found)) if found else None


def draw_all(pair):
    """Yields (name, caption, Figure) of everything that the runs of a Pair recorded."""
    if layers_of(pair, INPUTS):
        yield ("figure_1", *figure_1(pair))
        yield "activation_inputs", INPUTS_CAPTION, activation_inputs(pair)
    for kind, (name, caption, y_label, look) in BY_LAYER.items():
        if layers_of(pair, kind):
            yield name, caption, by_layer(pair, kind, y_label, look)


def figure_1(pair):
    """(caption, Figure): validation accuracy; then one unit's inputs, in a panel for each side."""
    layer = layers_of(pair, INPUTS)[-1]
    seed = next(iter(pair.sides.values()))[0].flags.get("seed")
    accuracies, inputs = [], []
    for side, runs in pair.sides.items():
        band = over_seeds(runs, "accuracy", "validation")
        if band:
            label = f"{SIDES[side]} (n = {len(runs)})"
            accuracies.append(line_of(side, band.steps, band.low, band.mean, band.high, label))
        # One unit of one network: the mean of several units would be no unit's.
        same = [run for run in runs if run.flags.get("seed") == seed] or runs
        inputs.append(band_panel(same[:1], f"{layer}/first_unit", side))
    label = f"Input to the first unit of {words(layer)}\n({PERCENTILES})"
    inputs[0] = inputs[0]._replace(y_label=label)
    panels = [figures.Panel(accuracies, X_LABEL, "Validation accuracy (%)", "accuracy")]
    titles = ["(a) validation accuracy"]
    titles += [f"({letter}) {SIDES[side]}" for letter, side in zip("bc", pair.sides)]
    panels = titled(panels + on_one_scale(inputs), titles)
    caption = (
        "As figure 1 of Ioffe and Szegedy (2015): validation accuracy, mean and range over seeds; "
        f"{PERCENTILES} of the inputs to the first unit of the last hidden layer, seed {seed}"
    )
    entries = [(line.label, figures.look_of(line)) for line in accuracies]
    look = {"size": PANEL_INCHES, "entries": entries}
    return caption, figures.draw([panels], title_of(pair), **look)


def activation_inputs(pair):
    """A row for each layer, from the first to the last."""
    rows = []
    for layer in layers_of(pair, INPUTS):
        rows = [[panel._replace(x_label="") for panel in row] for row in rows]
        row = [band_panel(runs, layer, side) for side, runs in pair.sides.items()]
        rows.append([row[0]._replace(y_label=words(layer).capitalize()), *row[1:]])
    y_label = f"Input to the activation ({PERCENTILES})"
    return draw(pair, rows, ROW_INCHES, y_label=y_label, entries=[])


def by_layer(pair, kind, y_label, look):
    """A line for each layer; look: of the figures.Panel."""
    layers, panels = layers_of(pair, kind), []
    many = len(layers) > len(LAYER_COLORS)
    colors = figures.shades(figures.BLUE, len(layers)) if many else LAYER_COLORS
    for runs in pair.sides.values():
        lines = []
        for layer, color in zip(layers, colors):
            steps, mean, *_ = over_seeds(runs, f"{kind}/{layer}")
            lines.append(figures.Line(words(layer), color, False, steps.astype(float), mean))
        panels.append(figures.Panel(lines, X_LABEL, "" if panels else y_label, **look))
    return draw(pair, [panels], PANEL_INCHES)


def draw(pair, rows, size, **look):
    """The Figure of rows of a panel for each side, each row on one scale."""
    rows = [on_one_scale(row) for row in rows]
    titles = [f"{SIDES[side].capitalize()} (n = {len(pair.sides[side])})" for side in pair.sides]
    rows[0] = titled(rows[0], titles)
    return figures.draw(rows, title_of(pair), size=size, **look)


def titled(panels, titles):
    return [panel._replace(title=title) for panel, title in zip(panels, titles)]


def band_panel(runs, layer, side):
    """The Panel of the percentiles of a layer's inputs: a line in a band."""
    tags = [f"{INPUTS}/{layer}/percentile_{percent}" for percent in (LOW, MIDDLE, UPPER)]
    bands = [over_seeds(runs, tag) for tag in tags]
    line = line_of(side, bands[0].steps, *(band.mean for band in bands))
    return figures.Panel([line], X_LABEL, "")


def line_of(side, steps, low, middle, high, label=""):
    color = figures.BATCH_NORM_COLORS[side]
    return figures.Line(label, color, False, steps.astype(float), middle, low=low, high=high)


def on_one_scale(panels):
    """The panels with limits of y that hold the values of all of them."""
    values = np.concatenate([figures.shown_values(panel) for panel in panels])
    limits = (values.min(), values.max()) if len(values) else ()
    return [panel._replace(limits=limits) for panel in panels]


def title_of(pair):
    return f"{NETWORKS.get(pair.network, pair.network)}, {pair.label}"


def words(layer):
    """'layer 3' of 'layer_3'; names of variables stay as they are."""
    return layer.replace("_", " ") if layer.startswith("layer_") else layer
