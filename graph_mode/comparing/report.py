"""The report of a comparison: Markdown, a row of CSV for each run, and figures."""

import csv
import json
import math
import os
from statistics import median_low

import numpy as np

from graph_mode import flags as flag_table
from graph_mode.comparing import intervals, report_figures, report_tables, run_results
from graph_mode.comparing.report_tables import BATCH_NORM, SEED, accuracies, difference
from graph_mode.comparing.run_results import ACCURACIES, BATCHES, MOVING, POPULATION
from graph_mode.output_file import output_file
from graph_mode.plotting import diagnostics
from graph_mode.plotting.diagnostics import ALONG, DEAD, INPUTS, LOW, NORM, UPPER
from graph_mode.plotting.run_lines import NETWORKS

REPORT = "report.md"
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
    "moving averages that training kept."
)
SPEED_NOTE = (
    "Median over the seeds of the training steps up to the first evaluation with this accuracy on "
    "the validation set. A run that never reached it counts as longer than all others; how many "
    "reached it is said unless all did."
)
LOSS_NOTE = "Mean over the seeds. It compares with other runs of the same loss function alone."
ON_THE_WAY_NOTE = (
    "Accuracy on the validation set after the batch of that number, counted from 0: mean over the "
    "seeds, in percent."
)
NOTHING = "–"


def write(folders, log_dir, output_dir, say):
    """Writes the report of ended runs and returns the path of its Markdown.

    folders: the runs' folders, below log_dir; say: called with one line for what a reader should
    know besides.
    """
    results = run_results.read(folders, log_dir, say)
    lines = ["# Without and with batch normalization", ""] + introduction(results)
    for network in dict.fromkeys(result.run.network for result in results):
        some = [result for result in results if result.run.network == network]
        settings = report_tables.settings_of(some)
        lines += [f"## {NETWORKS.get(network, network)}", ""]
        lines += accuracy_section(settings, some) + loss_section(settings)
        lines += on_the_way_section(settings)
        lines += speed_section(settings)
        lines += diagnostics_section(settings)
        for caption, path in report_figures.write(network, some, settings, output_dir, say):
            lines += [f"![{caption}]({path})", "", f"*{caption}*", ""]
    bad = [r for r in results if r.status != "finished"]
    rows = [[result.run.name, result.status, result.reason] for result in bad]
    lines += ["## Diverged and failed runs", ""]
    lines += table(["run", "what", "why"], rows) if bad else ["None."]
    write_csv(list(report_tables.run_rows(results)), os.path.join(output_dir, "runs.csv"))
    path = os.path.join(output_dir, REPORT)
    with output_file(path) as file:
        file.write("\n".join(lines) + "\n")
    return path


def write_csv(rows, path):
    """Rows {column: value}; empty where there is no value."""
    with output_file(path, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: cell(value) for name, value in row.items()})


def cell(value):
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return json.dumps(value).replace(" ", "") if isinstance(value, (bool, list)) else value


def introduction(results):
    """What was run: how many runs, by what, and the flags that all of them share."""
    counts = [
        f"{sum(result.status == status for result in results)} {status}"
        for status in ("finished", "diverged", "failed")
    ]
    tensorflow, code, processors = (
        sorted({str(result.versions[name]) for result in results if result.versions.get(name)})
        for name in ("tensorflow", "code", "processor")
    )
    shared = []
    for name in sorted({name for result in results for name in result.run.flags}):
        values = {report_tables.frozen(result.run.flags.get(name)) for result in results}
        told = flag_table.decides_numbers(name) and name not in (BATCH_NORM, SEED)
        if told and len(values) == 1:
            shared.append(f"`{name}` {text_of(results[0].run.flags[name])}")
    lines = [
        f"{len(results)} runs: {', '.join(counts)}. TensorFlow "
        f"{', '.join(tensorflow) or 'unknown'}; trained by code {', '.join(code) or 'unknown'}"
        f"{' on ' if processors else ''}{', '.join(processors)}.",
        "",
    ]
    if len(code) > 1:
        lines += [
            f"{len(code)} versions of the code trained these runs (see `runs.csv`): a difference "
            "between them can come from that.",
            "",
        ]
    return lines + [f"The same in all runs: {', '.join(shared)}.", ""]


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def heads_of(settings):
    """The first columns of a table of settings: the flags that tell them apart."""
    return [flag.replace("_", " ") for flag in settings[0].values]


def cells_of(setting):
    return [text_of(value) for value in setting.values.values()]


def text_of(value):
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return "none" if value is None else str(value)


def accuracy_section(settings, results):
    """Test accuracy of each setting without and with batch norm, and the paired difference."""
    heads = heads_of(settings) + ["without batch norm (%)"]
    statistics = report_tables.statistics_of(results)
    for words in ("", ", population")[: len(statistics)]:
        heads += [f"with{words} (%)", f"difference{words} [95 %]"]
    rows = []
    for setting in settings:
        row = cells_of(setting) + [side_text(setting.without, MOVING)]
        for each in statistics:
            before = accuracies(setting.without, each)
            interval = difference(before, accuracies(setting.with_norm, each))
            row += [side_text(setting.with_norm, each), difference_text(interval)]
        rows.append(row)
    lines = ["### Test accuracy", "", ACCURACY_NOTE, ""] + table(heads, rows) + [""]
    if POPULATION in statistics:
        lines += [POPULATION_NOTE, ""]
    lagging = sum(report_tables.lags(setting) for setting in settings)
    if lagging:
        lines += [
            f"In {lagging} of {len(settings)} rows the two differ by more than the seeds explain: "
            "there the moving averages do not fit the weights, so the accuracy by moving averages "
            "is not that of what the networks have learned.",
            "",
        ]
    return lines


def side_text(side, statistics):
    """'97.79 ± 0.24 (n = 5)', with what diverged or failed."""
    found = list(accuracies(side, statistics).values())
    counts = {s: sum(r.status == s for r in side.values()) for s in ("diverged", "failed")}
    notes = [f"n = {len(found)}"] if found else []
    notes += [f"{count} {status}" for status, count in counts.items() if count]
    notes = f" ({', '.join(notes)})" if notes else ""
    if not found:
        return NOTHING + notes
    deviation = 100 * intervals.standard_deviation(found)
    spread = "" if math.isnan(deviation) else f" ± {deviation:.2f}"
    return f"{100 * intervals.mean(found):.2f}{spread}{notes}"


def difference_text(interval):
    if interval is None:
        return NOTHING
    ends = "" if interval.n == 1 else f" [{100 * interval.low:+.2f}, {100 * interval.high:+.2f}]"
    return f"{100 * interval.mean:+.2f}{ends}"


def loss_section(settings):
    """The loss on the test set at the end, in nats, mean over the seeds that have one."""

    def text(results, statistics, name):
        found = [run_results.final(result, name, statistics) for result in results]
        found = [value for value in found if value is not None]
        return f"{intervals.mean(found):.4f}" if found else NOTHING

    head = ["### Loss at the end, in nats", "", LOSS_NOTE, ""]
    columns = ("test_loss", "validation_loss")
    return head + table_of_sides(settings, columns, text, lambda name: name.replace("_", " "))


def on_the_way_section(settings):
    """Validation accuracy after BATCHES, of which some run has it; nothing where none has."""
    batches = [
        batch
        for batch in BATCHES
        if any(
            (MOVING, batch) in result.accuracy_after
            for setting in settings
            for _, side in report_tables.sides(setting)
            for result in side.values()
        )
    ]
    if not batches:
        return []

    def text(results, statistics, batch):
        found = [r.accuracy_after.get((statistics, batch)) for r in results]
        return NOTHING if None in found else f"{100 * intervals.mean(found):.2f}"

    head = ["### Validation accuracy on the way", "", ON_THE_WAY_NOTE, ""]
    return head + table_of_sides(settings, batches, text)


def speed_section(settings):
    """Median training steps to each validation accuracy."""
    head = ["### Training steps until a validation accuracy", "", SPEED_NOTE, ""]
    return head + table_of_sides(settings, ACCURACIES, speed_text, lambda a: f"{100 * a:g} %")


def table_of_sides(settings, columns, text, head_of=str):
    """A row for each setting and side, by each of its statistics, of text(results, statistics,
    column)."""
    rows = []
    for setting in settings:
        for name, side in report_tables.sides(setting):
            both = report_tables.statistics_of(side.values()) if name == "with" else (MOVING,)
            for each in both:
                words = f"{name}, population" if each == POPULATION else name
                cells = [text(list(side.values()), each, column) for column in columns]
                rows.append(cells_of(setting) + [words] + cells)
    heads = heads_of(settings) + ["batch norm"] + [head_of(column) for column in columns]
    return table(heads, rows) + [""]


def speed_text(results, statistics, target):
    steps = [result.steps_to[statistics, target] for result in results]
    median, reached = median_low(steps), sum(map(math.isfinite, steps))
    text = str(median) if math.isfinite(median) else NOTHING
    return text if reached in (0, len(results)) else f"{text}, {reached} of {len(results)}"


def diagnostics_section(settings):
    """What --diagnostics recorded, mean over the seeds, without and with batch norm; or nothing.

    Of each layer the inputs to its activation, the gradient norm and the dead units at the last
    evaluation; of the loss along the gradient the mean over all evaluations.
    """
    layers, along = [], []
    for setting in settings:
        pair = report_tables.pair_of(setting)
        runs = [pair.sides.get(side, []) for side in (False, True)]
        kernels = [n for n in diagnostics.layers_of(pair, NORM) if "batch_norm" not in n]
        for number, kernel in enumerate(kernels, 1):
            row = cells_of(setting) + [str(number)]
            for side in runs:
                name = f"{INPUTS}/layer_{number}/percentile_"
                ends = [last(side, f"{name}{percent}", ".2f") for percent in (LOW, UPPER)]
                row.append(NOTHING if NOTHING in ends else " to ".join(ends))
            row += [last(side, f"{NORM}/{kernel}", ".2g") for side in runs]
            row += [last(side, f"{DEAD}/layer_{number}", ".1%") for side in runs]
            layers.append(row)
        for name, side in zip(("without", "with"), runs):
            tags = [f"{ALONG}/{end}" for end in ("start", "smallest", "largest")]
            if side:
                cells = [mean_text(side, tag, np.mean, ".4f") for tag in tags]
                along.append(cells_of(setting) + [name] + cells)
    if not along:
        return []
    names = (f"inputs, {LOW}th to {UPPER}th percentile", "gradient norm", "dead units")
    heads = ["layer"] + [f"{name}, {side}" for name in names for side in ("without", "with")]
    lines = ["### What --diagnostics recorded at the last evaluation", ""]
    lines += table(heads_of(settings) + heads, layers)
    lines += ["", "### The loss along the gradient, mean over all evaluations", ""]
    heads = ["batch norm", "before the step", "smallest after", "largest after"]
    return lines + table(heads_of(settings) + heads, along) + [""]


def last(runs, tag, form):
    return mean_text(runs, tag, lambda values: values[-1], form)


def mean_text(runs, tag, measure, form):
    """The mean over the runs of measure(values of a diagnostic); a dash where none has it."""
    band = diagnostics.over_seeds(runs, tag)
    return NOTHING if band is None else format(float(measure(band.mean)), form)
