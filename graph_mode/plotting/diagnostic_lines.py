"""From runs with --diagnostics to what a figure or a table shows of them: pairs, layers, means."""

import collections
import os

from graph_mode.plotting import curves, run_groups, saved_runs
from graph_mode.plotting.run_lines import finite, scalars_of

INPUTS, NORM = "activation_inputs", "gradient_norm"
DEAD, ALONG = "dead_units", "loss_along_gradient"
# Of the inputs to an activation, as graph_mode/train/diagnostics.py measures them.
LOW, MIDDLE, UPPER = 15, 50, 85
BATCH_NORM = "batch_norm"
# In front of each tag.
PREFIX = "diagnostics/"

Pair = collections.namedtuple("Pair", "network label sides")
Pair.__doc__ = """Runs that differ in batch norm and seed alone. label: what tells them from other
pairs; sides: {batch norm: [Run]}, without before with, a side without any run left out."""


def tags_of(run):
    """The tags of a run that --diagnostics has written, in the order in which people count."""
    tags = [tag[len(PREFIX) :] for tag in scalars_of(run, "train") if tag.startswith(PREFIX)]
    return sorted(tags, key=saved_runs.natural_order)


def pairs_of(runs):
    """[Pair] of the runs that have diagnostics; a setting and a seed count once."""
    found = {}
    for run in runs:
        if run.network and tags_of(run):
            bare = run._replace(flags={k: v for k, v in run.flags.items() if k != BATCH_NORM})
            key = run_groups.frozen([run.network, run_groups.settings_of(bare)])
            representative, sides = found.setdefault(key, (bare, {False: {}, True: {}}))
            sides[bool(run.flags.get(BATCH_NORM))].setdefault(run.flags.get("seed"), run)
    representatives = [bare for bare, _ in found.values()]
    pairs = []
    for bare, sides in found.values():
        rivals = [other for other in representatives if other.network == bare.network]
        words = run_groups.differences(bare, rivals, with_seed=False)
        optimizer = str(run_groups.optimizer_of(bare))
        label = ", ".join([optimizer] + [word for word in words if word != optimizer])
        pairs.append(pair_of(bare.network, label, sides[False].values(), sides[True].values()))
    return pairs


def pair_of(network, label, without, with_norm):
    """The Pair of some runs, of which those that have no diagnostics are left out."""
    sides = {False: list(filter(tags_of, without)), True: list(filter(tags_of, with_norm))}
    return Pair(network, label, {side: some for side, some in sides.items() if some})


def layers_of(pair, kind):
    """The layers that every run of the pair has a diagnostic of, in their order in the network.

    Batch normalization has layers of its own, which the side without it has not. They are left out
    where there is no such side, too: by its name, one would be the first layer.
    """
    layers = None
    for run in (run for side in pair.sides.values() for run in side):
        tags = [os.path.split(tag) for tag in tags_of(run) if tag.startswith(f"{kind}/")]
        if kind == INPUTS:
            names = [os.path.basename(head) for head, _ in tags if head.count("/") == 1]
        else:
            names = [tail for _, tail in tags]
        names = list(dict.fromkeys(names))
        layers = names if layers is None else [layer for layer in layers if layer in names]
    return [layer for layer in layers or [] if not layer.startswith("batch_normalization")]


def over_seeds(runs, tag, split="train"):
    """The curves.Band of a diagnostic of several runs, or None if none of them has it.

    Of a split other than "train", of a scalar.
    """
    tag = PREFIX + tag if split == "train" else tag
    found = [scalars_of(run, split).get(tag) for run in runs]
    found = [series for series in found if series is not None]
    if not found:
        return None
    return curves.mean_and_band(
        [series.steps for series in found], [finite(series.values) for series in found]
    )
