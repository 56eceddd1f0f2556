"""Which runs become one curve, and what the curve is called and looks like."""

import collections
import json

from graph_mode.command_line import CommandError
from graph_mode.plotting import figures

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
# Flags that say where things lie, how fast or what else is written, not what the training computes.
# Data counts by its checksums.
OTHER_FLAGS = {
    *("run_name", "log_dir", "data_dir", "threads"),
    *("resume", "checkpoint_every", "validate_every", "allow_nonfinite"),
    *("histograms", "evaluate", "export"),
}

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
    hues = hues_of([optimizer_of(group[0]) for group in groups])
    dashed = [not group[0].flags.get("batch_norm", True) for group in groups]
    return with_styles(groups, seed_labels(groups, apart), hues, dashed)


def group_by_flags(runs, names):
    """Groups of runs with the same values of some flags, whatever else differs.

    Each run that did not record all of these flags is a group of its own.

    Raises:
        CommandError: no run recorded any of them.
    """
    if not any(name in run.flags for run in runs for name in names):
        recorded = sorted({name for run in runs for name in run.flags})
        raise CommandError(
            f"--group-by: no run recorded {', '.join(names)}; recorded are: "
            f"{', '.join(recorded) or 'no flags at all'}"
        )
    groups = collections.defaultdict(list)
    for run in runs:
        known = all(name in run.flags for name in names)
        groups[frozen([run.flags[name] for name in names] if known else run.name)].append(run)
    recorded = [all(name in group[0].flags for name in names) for group in groups.values()]
    labels = [
        ", ".join(words(name, group[0].flags[name]) for name in names) if known else group[0].name
        for group, known in zip(groups.values(), recorded)
    ]
    if "optimizer" in names:
        hues = hues_of([optimizer_of(group[0]) for group in groups.values()])
    else:
        others = [name for name in names if name != "batch_norm"]
        hues = hues_of(
            [
                frozen([group[0].flags[name] for name in others] if known else group[0].name)
                for group, known in zip(groups.values(), recorded)
            ]
        )
    dashed = [
        known and "batch_norm" in names and not group[0].flags["batch_norm"]
        for group, known in zip(groups.values(), recorded)
    ]
    return with_styles(list(groups.values()), labels, hues, dashed)


def settings_of(run, with_seed=False):
    """What a run computes, {flag: value}, with the data by its checksums."""
    left_out = OTHER_FLAGS if with_seed else OTHER_FLAGS | {"seed"}
    settings = {name: value for name, value in run.flags.items() if name not in left_out}
    return {**settings, "data": run.data}


def optimizer_of(run):
    """The optimizer's name, or None if the run did not record one."""
    optimizer = run.flags.get("optimizer")
    return None if optimizer is None else str(optimizer)


def frozen(value):
    """A hashable stand-in for what JSON can hold, the same for equal values."""
    return json.dumps(value, sort_keys=True)


def seed_labels(groups, with_seed):
    """A different label for each group: optimizer, batch norm, and the settings that differ."""
    bases = [base_label(group[0]) for group in groups]
    labels = []
    for group, base in zip(groups, bases):
        rivals = [other[0] for other, others_base in zip(groups, bases) if others_base == base]
        labels.append(", ".join([base] + differences(group[0], rivals, with_seed)))
    return [
        f"{label} ({group[0].name})" if labels.count(label) > 1 else label
        for group, label in zip(groups, labels)
    ]


def base_label(run):
    optimizer = optimizer_of(run)
    if optimizer is None:
        return run.name
    if "batch_norm" not in run.flags:
        return optimizer
    return f"{optimizer}, {words('batch_norm', run.flags['batch_norm'])}"


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
    """A flag as a person says it: 'no batch norm', 'learning rate 0.002', 'adam'."""
    name = name.replace("_", " ")
    if isinstance(value, bool):
        return name if value else f"no {name}"
    if isinstance(value, (list, tuple)):
        value = ",".join(str(item) for item in value)
    return str(value) if name == "optimizer" else f"{name} {value}"


def hues_of(keys):
    """A colour for each key: an optimizer's own, or else one that no optimizer here has."""
    taken = [OPTIMIZER_COLORS[key] for key in keys if key in OPTIMIZER_COLORS]
    free = [color for color in figures.PALETTE if color not in taken] or figures.PALETTE
    hues = []
    others = {}
    for index, key in enumerate(keys):
        # Nothing known of a run is no reason to give two such runs one colour.
        key = index if key is None else key
        if key not in OPTIMIZER_COLORS:
            others.setdefault(key, free[len(others) % len(free)])
        hues.append(OPTIMIZER_COLORS.get(key) or others[key])
    return hues


def with_styles(groups, labels, hues, dashed):
    """The Groups; those of one hue and one line style get different shades of it."""
    looks = list(zip(hues, dashed))
    shades = {look: iter(figures.shades(look[0], looks.count(look))) for look in looks}
    return [
        Group(group, label, next(shades[look]), look[1])
        for group, label, look in zip(groups, labels, looks)
    ]
