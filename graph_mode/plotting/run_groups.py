"""Which runs become one curve, and what the curve is called and looks like."""

import collections
import typing

from graph_mode.flags import deciding, frozen, words
from graph_mode.plotting import figures
from graph_mode.runs.recorded import natural_order

OPTIMIZER_COLORS = {
    "adam": figures.BLUE, "sgd": figures.BLACK, "momentum": figures.ORANGE,
    "nesterov": figures.VERMILION, "rmsprop": figures.GREEN, "adagrad": figures.PURPLE,
    "adadelta": figures.SKY_BLUE, "ftrl": figures.GREY,
}  # fmt: skip
BATCH_NORM = "batch_norm"


class Group(typing.NamedTuple):
    """One curve: the mean of these runs."""

    runs: list
    label: str
    color: str
    dashed: bool


def group_runs(runs, names=None):
    """Groups of runs that differ only in their seed; with names of flags, of runs with the same
    values of these and of batch norm.

    Runs without a seed differ by chance, as if each had another one. A run with the same settings
    and the same seed as another is no further sample: it begins a group of its own. So does each
    run of which the settings are not known. Names that none of these runs recorded are left out.
    """
    recorded = {name for run in runs for name in run.flags}
    names = [name for name in names or () if name in recorded]
    both = len({frozen(run.flags[BATCH_NORM]) for run in runs if BATCH_NORM in run.flags}) > 1
    if names and both and BATCH_NORM not in names:
        # The mean of runs with batch norm and without is a curve of neither.
        names.append(BATCH_NORM)
    found, times_seen = {}, collections.Counter()
    for run in runs:
        known = run.flags and all(name in run.flags for name in names)
        settings = {name: run.flags[name] for name in names if known}
        settings = settings or (settings_of(run) if known else None)
        key = frozen(run.name if settings is None else settings)
        if not names:
            seed = run.flags.get("seed")
            sample = (key, frozen(seed))
            key = (key, times_seen[sample])
            times_seen[sample] += seed is not None
        found.setdefault(key, (settings, []))[1].append(run)
    settings, groups = zip(*found.values())
    runs, labels = [group[0] for group in groups], []
    for run, some in zip(runs, settings):
        named = ", ".join(words(*flag) for flag in some.items()) if names and some else run.name
        labels.append(named if names else label_of(run, runs))
    labels = [
        f"{label} ({run.name})" if labels.count(label) > 1 else label
        for run, label in zip(runs, labels)
    ]
    return with_styles(labels, groups, settings, by_optimizer=not names or "optimizer" in names)


def settings_of(run):
    """What decides a run's numbers but the seed, {flag: value}, the data by its checksums."""
    return {**deciding(run.flags, without=("seed",)), "data": run.data}


def optimizer_of(run):
    optimizer = run.flags.get("optimizer")
    return None if optimizer is None else str(optimizer)


def label_of(run, runs):
    """The optimizer if the runs have several, with or without batch norm, and what else differs."""
    if optimizer_of(run) is None:
        return run.name
    first = [optimizer_of(run)] * (len(set(map(optimizer_of, runs))) > 1)
    first += [words(BATCH_NORM, run.flags[BATCH_NORM])] * (BATCH_NORM in run.flags)
    found = dict.fromkeys([*first, *differences(run, runs)])
    return ", ".join(found) or optimizer_of(run)


def differences(run, runs):
    """The settings of a run, as words, in which it differs from any of the runs."""
    others = list(map(settings_of, runs))
    return [
        words(name, run.flags.get("data_dir", "") if name == "data" else value)
        for name, value in settings_of(run).items()
        if any(frozen(other.get(name)) != frozen(value) for other in others)
    ]


def with_styles(labels, groups, settings, by_optimizer):
    """The Groups, in the order in which people count their labels.

    Colour tells the optimizer where there are several; else the settings besides batch norm and its
    own flags (None: not known), grey for a run without batch norm that has no partner with it; else
    batch norm. The line style tells batch norm where colour does not. Groups of one look get
    different shades.
    """
    in_order = sorted(zip(labels, groups, settings), key=lambda part: natural_order(part[0]))
    runs, keys = [group[0] for _, group, _ in in_order], []
    for run, (_, _, some) in zip(runs, in_order):
        others = {k: v for k, v in (some or {}).items() if not k.startswith(BATCH_NORM)}
        others.pop("optimizer", None)
        # Nothing known of a run is no reason to give two such runs one colour.
        keys.append(frozen(run.name if some is None else others))
    order, optimizers = list(dict.fromkeys(keys)), list(map(optimizer_of, runs))
    sides = [run.flags.get(BATCH_NORM) for run in runs]
    both = len({bool(side) for side in sides if side is not None}) > 1
    if by_optimizer and len(set(optimizers)) > 1:
        colors = [OPTIMIZER_COLORS.get(optimizer, figures.GREY) for optimizer in optimizers]
    elif len(order) == 1 and None not in sides:
        both, colors = False, [figures.BATCH_NORM_COLORS[bool(side)] for side in sides]
    else:
        colors = [figures.PALETTE[order.index(key) % len(figures.PALETTE)] for key in keys]
        partners = {key for key, side in zip(keys, sides) if side}
        alone = [both and side is False and key not in partners for key, side in zip(keys, sides)]
        colors = [figures.GREY if grey else color for color, grey in zip(colors, alone)]
    dashed = [both and side is not None and not side for side in sides]
    looks = list(zip(colors, dashed))
    shades = {look: iter(figures.shades(look[0], looks.count(look))) for look in looks}
    return [
        Group(group, label, next(shades[look]), look[1])
        for (label, group, _), look in zip(in_order, looks)
    ]
