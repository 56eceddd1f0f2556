"""Which runs become one curve, and what the curve is called and looks like."""

import collections
import json

from graph_mode.command_line import CommandError
from graph_mode.flags import decides_numbers
from graph_mode.plotting import figures, saved_runs

OPTIMIZER_COLORS = {
    "adam": figures.BLUE,
    "sgd": figures.BLACK,
    "momentum": figures.ORANGE,
    "nesterov": figures.VERMILION,
    "rmsprop": figures.GREEN,
    "adagrad": figures.PURPLE,
    "adadelta": figures.SKY_BLUE,
    "ftrl": figures.GREY,
}
BATCH_NORM = "batch_norm"

Group = collections.namedtuple("Group", "runs label color dashed")
Group.__doc__ = "One curve: the runs whose mean it is, its name, its colour, whether it is dashed."


def group_by_seed(runs, apart=False):
    """Groups of runs that differ only in their seed; of one run each if they shall stay apart.

    Runs without a seed differ by chance, as if each had another one. A run with the same settings
    and the same seed as another is no further sample: it begins a group of its own. So is each run
    of another program, of which no settings are known.
    """
    groups = collections.defaultdict(list)
    times_seen = collections.Counter()
    for run in runs:
        settings = frozen(settings_of(run)) if run.flags and not apart else run.name
        seed = run.flags.get("seed")
        groups[settings, times_seen[settings, frozen(seed)]].append(run)
        times_seen[settings, frozen(seed)] += seed is not None
    groups = list(groups.values())
    others = [other_settings(settings_of(group[0], apart)) for group in groups]
    others = [frozen(some) if group[0].flags else None for some, group in zip(others, groups)]
    return with_styles(groups, seed_labels(groups, apart), others)


def group_by_flags(runs, names):
    """Groups of runs with the same values of some flags and of batch norm, whatever else differs.

    Each run that did not record all of these flags is a group of its own. Raises CommandError if no
    run recorded any of them.
    """
    if not any(name in run.flags for run in runs for name in names):
        recorded = sorted({name for run in runs for name in run.flags})
        raise CommandError(
            f"--group-by: no run recorded {', '.join(names)}; recorded are: "
            f"{', '.join(recorded) or 'no flags at all'}"
        )
    # The mean of runs with batch norm and without would be a curve of neither.
    apart = len({frozen(run.flags[BATCH_NORM]) for run in runs if BATCH_NORM in run.flags}) > 1
    names = names + [BATCH_NORM] if apart and BATCH_NORM not in names else names
    groups = collections.defaultdict(list)
    for run in runs:
        known = all(name in run.flags for name in names)
        groups[frozen([run.flags[name] for name in names] if known else run.name)].append(run)
    labels, others = [], []
    for group in groups.values():
        flags = group[0].flags
        known = all(name in flags for name in names)
        labels.append(
            ", ".join(words(name, flags[name]) for name in names) if known else group[0].name
        )
        chosen = {name: flags[name] for name in names if name in flags}
        others.append(frozen(other_settings(chosen)) if known else None)
    return with_styles(list(groups.values()), labels, others, by_optimizer="optimizer" in names)


def settings_of(run, with_seed=False):
    """What decides a run's numbers, {flag: value}, with the data by its checksums."""
    settings = {
        name: value
        for name, value in run.flags.items()
        if decides_numbers(name) and (with_seed or name != "seed")
    }
    return {**settings, "data": run.data}


def other_settings(settings):
    """The settings but those that have a look of their own."""
    return {name: settings[name] for name in settings if name not in (BATCH_NORM, "optimizer")}


def optimizer_of(run):
    """The optimizer's name, or None if the run did not record one."""
    optimizer = run.flags.get("optimizer")
    return None if optimizer is None else str(optimizer)


def frozen(value):
    """A hashable stand-in for what JSON can hold, the same for equal values."""
    return json.dumps(value, sort_keys=True)


def seed_labels(groups, with_seed):
    """A different label for each group: the optimizer if there are several, and what differs."""
    several = len({optimizer_of(group[0]) for group in groups}) > 1
    bases = [base_label(group[0], several) for group in groups]
    labels = []
    for group, base in zip(groups, bases):
        rivals = [other[0] for other, others_base in zip(groups, bases) if others_base == base]
        labels.append(", ".join([base] + differences(group[0], rivals, with_seed)))
    return [
        f"{label} ({group[0].name})" if labels.count(label) > 1 else label
        for group, label in zip(groups, labels)
    ]


def base_label(run, with_optimizer):
    optimizer = optimizer_of(run)
    if optimizer is None:
        return run.name
    if BATCH_NORM not in run.flags:
        return optimizer
    side = words(BATCH_NORM, run.flags[BATCH_NORM])
    return f"{optimizer}, {side}" if with_optimizer else side


def differences(run, rivals, with_seed):
    """The settings of a run, as words, in which it differs from any of its rivals."""
    others = [settings_of(rival, with_seed) for rival in rivals]
    different = [
        name
        for name, value in settings_of(run, with_seed).items()
        if any(frozen(other.get(name)) != frozen(value) for other in others)
    ]
    return [
        words(name, run.flags.get("data_dir", "") if name == "data" else run.flags[name])
        for name in different
    ]


def words(name, value):
    """A flag as a person says it: 'without batch norm', 'learning rate 0.002', 'adam'."""
    text = name.replace("_", " ")
    if isinstance(value, bool):
        without = "without" if name == BATCH_NORM else "no"
        with_word = "with " if name == BATCH_NORM else ""
        return f"{with_word}{text}" if value else f"{without} {text}"
    if isinstance(value, (list, tuple)):
        value = ",".join(str(item) for item in value)
    return str(value) if name == "optimizer" else f"{text} {value}"


def with_styles(groups, labels, others, by_optimizer=True):
    """The Groups, in colours that tell what differs between them.

    Colour tells the optimizer where there are several; else the other settings, of which others[i]
    is a key (None: nothing is known of the run); else batch norm, as in the figures of the
    diagnostics. The line style tells batch norm where colour does not. Groups of one look get
    different shades. They come in the order in which people count their labels.
    """
    in_order = sorted(range(len(groups)), key=lambda i: saved_runs.natural_order(labels[i]))
    groups, labels, others = [[some[i] for i in in_order] for some in (groups, labels, others)]
    optimizers = [optimizer_of(group[0]) for group in groups]
    sides = [group[0].flags.get(BATCH_NORM) for group in groups]
    several = by_optimizer and len(set(optimizers)) > 1
    by_side = not several and len(set(others)) == 1 and None not in sides
    if several:
        colors = colors_of([opt or other for opt, other in zip(optimizers, others)])
    elif by_side:
        colors = [figures.BATCH_NORM_COLORS[bool(side)] for side in sides]
    else:
        colors = colors_of(others)
    both = len({bool(side) for side in sides if side is not None}) > 1
    looks = [
        (color, both and not by_side and side is not None and not side)
        for color, side in zip(colors, sides)
    ]
    shades = {look: iter(figures.shades(look[0], looks.count(look))) for look in looks}
    return [
        Group(group, label, next(shades[look]), look[1])
        for group, label, look in zip(groups, labels, looks)
    ]


def colors_of(keys):
    """A colour for each key: an optimizer's own, or else one that no optimizer here has."""
    taken = [OPTIMIZER_COLORS[key] for key in keys if key in OPTIMIZER_COLORS]
    free = [color for color in figures.PALETTE if color not in taken] or figures.PALETTE
    others = {}
    for index, key in enumerate(keys):
        # Nothing known of a run is no reason to give two such runs one colour.
        if key not in OPTIMIZER_COLORS:
            others.setdefault(index if key is None else key, free[len(others) % len(free)])
    return [
        OPTIMIZER_COLORS.get(key) or others[index if key is None else key]
        for index, key in enumerate(keys)
    ]
