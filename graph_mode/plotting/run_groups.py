"""Which runs become one curve, and what the curve is called and looks like."""

import collections
import typing

from graph_mode.command_line import CommandError
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
    """One curve."""

    runs: list  # Whose mean it is.
    label: str
    color: str
    dashed: bool


def group_runs(runs, names=None, apart=False):
    """Groups of runs that differ only in their seed, or of one run each if they shall stay apart;
    with names of flags, of runs with the same values of these and of batch norm.

    Runs without a seed differ by chance, as if each had another one. A run with the same settings
    and the same seed as another is no further sample: it begins a group of its own. So does each
    run of which the settings are not known. Raises CommandError if no run recorded any of `names`.
    """
    names = names and with_batch_norm(runs, names)
    found, times_seen = {}, collections.Counter()
    for run in runs:
        if names:
            known = all(name in run.flags for name in names)
            settings = {name: run.flags[name] for name in names} if known else None
        else:
            settings = settings_of(run, with_seed=apart) if run.flags else None
        key = frozen(run.name if apart or settings is None else settings)
        if not names:
            seed = run.flags.get("seed")
            sample = (key, frozen(seed))
            key = (key, times_seen[sample])
            times_seen[sample] += seed is not None
        found.setdefault(key, (settings, []))[1].append(run)
    settings, groups = zip(*found.values())
    first_runs = [group[0] for group in groups]
    if names:
        labels = [
            ", ".join(words(*flag) for flag in some.items()) if some else run.name
            for run, some in zip(first_runs, settings)
        ]
    else:
        labels = seed_labels(first_runs, apart)
    return with_styles(labels, groups, settings, by_optimizer=not names or "optimizer" in names)


def with_batch_norm(runs, names):
    """The flags to group by: the mean of runs with batch norm and without is a curve of neither."""
    if not any(name in run.flags for run in runs for name in names):
        known = ", ".join(sorted({name for run in runs for name in run.flags}))
        raise CommandError(
            f"--group-by: no run recorded {', '.join(names)}; recorded are: {known or 'no flags'}"
        )
    both = len({frozen(run.flags[BATCH_NORM]) for run in runs if BATCH_NORM in run.flags}) > 1
    return names + [BATCH_NORM] if both and BATCH_NORM not in names else names


def settings_of(run, with_seed=False):
    """What decides a run's numbers, {flag: value}, with the data by its checksums."""
    return {**deciding(run.flags, () if with_seed else ("seed",)), "data": run.data}


def optimizer_of(run):
    """The optimizer's name, or None if the run did not record one."""
    optimizer = run.flags.get("optimizer")
    return None if optimizer is None else str(optimizer)


def seed_labels(runs, with_seed):
    """A different label for each run: the optimizer if there are several, and what differs."""
    several = len(set(map(optimizer_of, runs))) > 1
    bases = [base_label(run, several) for run in runs]
    labels = []
    for run, base in zip(runs, bases):
        rivals = [rival for rival, other in zip(runs, bases) if other == base]
        labels.append(", ".join([base, *differences(run, rivals, with_seed)]))
    return [
        f"{label} ({run.name})" if labels.count(label) > 1 else label
        for run, label in zip(runs, labels)
    ]


def base_label(run, with_optimizer):
    optimizer = optimizer_of(run)
    if optimizer is None:
        return run.name
    if BATCH_NORM not in run.flags:
        return optimizer
    side = words(BATCH_NORM, run.flags[BATCH_NORM])
    return f"{optimizer}, {side}" if with_optimizer else side


def differences(run, rivals, with_seed=False):
    """The settings of a run, as words, in which it differs from any of its rivals."""
    others = [settings_of(rival, with_seed) for rival in rivals]
    return [
        words(name, run.flags.get("data_dir", "") if name == "data" else value)
        for name, value in settings_of(run, with_seed).items()
        if any(frozen(other.get(name)) != frozen(value) for other in others)
    ]


def with_styles(labels, groups, settings, by_optimizer):
    """The Groups, in the order in which people count their labels, in colours that tell what
    differs between them.

    Colour tells the optimizer where there are several; else the other settings (None: nothing is
    known of the run); else batch norm, as in the figures of the diagnostics. The line style tells
    batch norm where colour does not. Groups of one look get different shades.
    """
    in_order = sorted(zip(labels, groups, settings), key=lambda part: natural_order(part[0]))
    labels, groups, settings = zip(*in_order)
    optimizers = [optimizer_of(group[0]) for group in groups]
    sides = [group[0].flags.get(BATCH_NORM) for group in groups]
    # Nothing known of a run is no reason to give two such runs one colour.
    keys = [
        group[0].name
        if some is None
        else frozen({name: some[name] for name in some if name not in (BATCH_NORM, "optimizer")})
        for group, some in zip(groups, settings)
    ]
    several = by_optimizer and len(set(optimizers)) > 1
    by_side = not several and len(set(keys)) == 1 and None not in sides
    if by_side:
        colors = [figures.BATCH_NORM_COLORS[bool(side)] for side in sides]
    else:
        colors = colors_of([several and opt or key for opt, key in zip(optimizers, keys)])
    both = len({bool(side) for side in sides if side is not None}) > 1
    dashed = [both and not by_side and side is not None and not side for side in sides]
    looks = list(zip(colors, dashed))
    shades = {look: iter(figures.shades(look[0], looks.count(look))) for look in looks}
    return [
        Group(group, label, next(shades[look]), look[1])
        for group, label, look in zip(groups, labels, looks)
    ]


def colors_of(keys):
    """A colour for each key: an optimizer's own, or else one that no optimizer here has."""
    taken = {OPTIMIZER_COLORS.get(key) for key in keys}
    free = [color for color in figures.PALETTE if color not in taken] or figures.PALETTE
    others = dict.fromkeys(key for key in keys if key not in OPTIMIZER_COLORS)
    colors = {key: free[index % len(free)] for index, key in enumerate(others)}
    return [{**colors, **OPTIMIZER_COLORS}[key] for key in keys]
