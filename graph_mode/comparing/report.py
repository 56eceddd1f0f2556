"""The report of a comparison: Markdown, a row of CSV for each run, and figures."""

import csv
import json
import math
import os
from statistics import mean, median_low, stdev

from graph_mode.comparing import report_figures, results
from graph_mode.comparing.results import MOVING, POPULATION, statistics_of
from graph_mode.flags import frozen
from graph_mode.output_file import output_file
from graph_mode.plotting import diagnostics
from graph_mode.plotting.diagnostics import DEAD, INPUTS, LOW, NORM, UPPER, WEIGHTS
from graph_mode.plotting.run_lines import NETWORKS
from graph_mode.show.tables import markdown

REPORT = "report.md"
BAD = ("diverged", "failed")
SIDES = {False: "without", True: "with"}
ACCURACY_NOTE = (
    "Test accuracy is that at the end of training; nothing was chosen by it. ± is the standard "
    "deviation over seeds, n their number. The difference is the mean, over the seeds, of with "
    "minus without, in percentage points, with the paired t interval of 95 % (mean ∓ t · s / √n, t "
    "of n − 1 degrees of freedom): the two runs of a seed see the same batches in the same order. "
    "The numbers of each run are in `runs.csv`."
)
POPULATION_NOTE = (
    "With batch norm, *population* means the same weights evaluated with the mean and variance of "
    "each layer's inputs taken afresh from training images; everything else is evaluated with the "
    "moving averages that training kept. Where the two differ, these do not fit the weights."
)
SPEED_NOTE = (
    "Median over the seeds (of an even number of them, the lower of the two in the middle) of the "
    "training steps up to the first evaluation with this accuracy on the validation set. A run "
    "that never reached it counts as longer than all others; how many reached it is said unless "
    "all did."
)
LOSS_NOTE = "Mean over the seeds. It compares with other runs of the same loss function alone."
ON_THE_WAY_NOTE = (
    "Accuracy on the validation set after the batch of that number, counted from 0: mean over the "
    "seeds, in percent."
)
LOSSES = {"test loss": "test_loss", "validation loss": "validation_loss"}
NOTHING = "–"


def write(folders, log_dir, output_dir, say):
    """Writes the report of ended runs, given as to results.read; returns its path."""
    found = list(results.read(folders, log_dir, say))
    blocks = ["# Without and with batch normalization", *introduction(found)]
    for network in dict.fromkeys(result.run.network for result in found):
        some = [result for result in found if result.run.network == network]
        settings = results.group_by_setting(some)
        blocks += [f"## {NETWORKS.get(network, network)}", *sections(settings, some)]
        for caption, path in report_figures.write(network, some, settings, output_dir, say):
            blocks += [f"![{caption}]({path})", f"*{caption}*"]
    bad = [[r.run.name, r.status, r.reason] for r in found if r.status != "finished"]
    blocks += ["## Diverged and failed runs"]
    blocks += [markdown(["run", "what", "why"], bad) if bad else "None."]
    with output_file(os.path.join(output_dir, "runs.csv"), newline="") as file:
        rows = list(results.run_rows(found))
        cells = (map(cell, row.values()) for row in rows)
        csv.writer(file, lineterminator="\n").writerows([rows[0], *cells])
    path = os.path.join(output_dir, REPORT)
    with output_file(path) as file:
        file.write("\n\n".join(blocks) + "\n")
    return path


def cell(value):
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return json.dumps(value).replace(" ", "") if isinstance(value, (bool, list)) else value


def introduction(found):
    statuses = [result.status for result in found]
    counts = [f"{statuses.count(status)} {status}" for status in ("finished", *BAD)]
    versions = [result.run.versions for result in found]
    tensorflow, code, processors = (
        ", ".join(sorted({str(each[name]) for each in versions if each.get(name)})) or "unknown"
        for name in ("tensorflow", "code", "processor")
    )
    yield (
        f"{len(found)} runs: {', '.join(counts)}. TensorFlow {tensorflow}; trained by code {code} "
        f"on {processors}."
    )
    flags, shared = list(map(results.setting_of, found)), []
    for name in sorted(set().union(*flags)):
        if len({frozen(each.get(name)) for each in flags}) == 1:
            shared.append(f"`{name}` {text_of(flags[0].get(name))}")
    yield f"The same in all runs: {', '.join(shared)}."


def sections(settings, found):
    """Yields the blocks of text and tables on one network; found: the results of the settings."""
    yield from accuracy_section(settings, statistics_of(found))
    speeds = {f"{100 * a:g} %": results.steps_to(a) for a in results.ACCURACIES}
    after = {batch: results.accuracy_after(batch) for batch in results.BATCHES}
    after = {b: name for b, name in after.items() if any(name in r.numbers for r in found)}
    for title, note, columns, text in (
        ("Loss at the end, in nats", LOSS_NOTE, LOSSES, loss_text),
        ("Validation accuracy on the way", ON_THE_WAY_NOTE, after, on_the_way_text),
        ("Training steps until a validation accuracy", SPEED_NOTE, speeds, speed_text),
    ):
        if columns:
            yield from (f"### {title}", note, table_of_sides(settings, columns, text))
    yield from diagnostics_section(settings)


def table_of(rows):
    """A table of rows, (Setting, {head: cell}), after the flags that tell the settings apart."""
    flags = [flag.replace("_", " ") for flag in rows[0][0].values]
    lines = [[*map(text_of, s.values.values()), *cells.values()] for s, cells in rows]
    return markdown([*flags, *rows[0][1]], lines)


def text_of(value):
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)


def accuracy_section(settings, statistics):
    """Test accuracy of each setting without and with batch norm, and the paired difference."""
    rows = []
    for setting in settings:
        without, with_norm = setting.sides[False], setting.sides[True]
        cells = {"without batch norm (%)": side_text(without, MOVING)}
        for each, words in zip(statistics, ("", ", population")):
            sides = results.accuracies(without, MOVING), results.accuracies(with_norm, each)
            cells[f"with{words} (%)"] = side_text(with_norm, each)
            cells[f"difference{words} [95 %]"] = difference_text(results.difference(*sides))
        rows.append((setting, cells))
    yield from ("### Test accuracy", ACCURACY_NOTE, table_of(rows))
    if POPULATION in statistics:
        yield POPULATION_NOTE


def side_text(side, statistics):
    """'97.79 ± 0.24 (n = 5)', with what diverged or failed."""
    found = list(results.accuracies(side, statistics).values())
    counts = {status: [r.status for r in side.values()].count(status) for status in BAD}
    notes = [f"n = {len(found)}"] * bool(found)
    notes += [f"{count} {status}" for status, count in counts.items() if count]
    text = f"{100 * mean(found):.2f}" if found else NOTHING
    text += f" ± {100 * stdev(found):.2f}" if len(found) > 1 else ""
    return text + f" ({', '.join(notes)})" * bool(notes)


def difference_text(interval):
    if interval is None:
        return NOTHING
    middle, low, high = (f"{100 * value:+.2f}" for value in interval)
    return middle if low == "+nan" else f"{middle} [{low}, {high}]"


def table_of_sides(settings, columns, text):
    """A row for each setting, side and statistics, of text(a number of each run, None for none);
    columns: {head: name of the number}."""
    rows = []
    for setting in settings:
        for with_norm, side in setting.sides.items():
            found = list(side.values())
            for end in statistics_of(found) if found and with_norm else [MOVING] * bool(side):
                words = SIDES[with_norm] + (", population" if end == POPULATION else "")
                cells = {"batch norm": words}
                for head, name in columns.items():
                    cells[head] = text([result.numbers.get(name + end) for result in found])
                rows.append((setting, cells))
    return table_of(rows)


def loss_text(losses):
    found = [loss for loss in losses if loss is not None]
    return f"{mean(found):.4f}" if found else NOTHING


def on_the_way_text(found):
    return NOTHING if None in found else f"{100 * mean(found):.2f}"


def speed_text(steps):
    steps = [math.inf if each is None else each for each in steps]
    median, reached = median_low(steps), sum(map(math.isfinite, steps))
    text = str(median) if math.isfinite(median) else NOTHING
    return text if reached in (0, len(steps)) else f"{text}, {reached} of {len(steps)}"


def diagnostics_section(settings):
    """What --diagnostics recorded, mean over the seeds, without and with batch norm; or nothing."""
    rows = []
    for setting in settings:
        pair = results.pair_of(setting)
        for number, kernel in enumerate(diagnostics.layers_of(pair, NORM), 1):
            inputs = [f"{INPUTS}/layer_{number}/percentile_{end}" for end in (LOW, UPPER)]
            cells = {"layer": number}
            for head, form, *tags in (
                (f"inputs, {LOW}th to {UPPER}th percentile", ".2f", *inputs),
                ("gradient norm", ".2g", f"{NORM}/{kernel}"),
                ("norm of the weights", ".3g", f"{WEIGHTS}/{kernel}"),
                ("dead units", ".1%", f"{DEAD}/layer_{number}"),
            ):
                for side, words in SIDES.items():
                    cells[f"{head}, {words}"] = means_text(pair.sides.get(side, []), form, *tags)
            rows.append((setting, cells))
    if rows:
        yield "### What --diagnostics recorded at the last evaluation"
        yield table_of(rows)


def means_text(runs, form, *tags):
    """The mean over the runs of the last value of diagnostics; a dash where none has them."""
    bands = [diagnostics.over_seeds(runs, tag) for tag in tags]
    return NOTHING if None in bands else " to ".join(format(b.mean[-1], form) for b in bands)
