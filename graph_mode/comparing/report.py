"""The report of a comparison: Markdown, CSV files and figures, from the run folders alone."""

import csv
import math
import os

from graph_mode.comparing import report_figures, report_tables, run_results
from graph_mode.comparing.grid import PLACE_FLAGS
from graph_mode.comparing.report_tables import BATCH_NORM, SEED
from graph_mode.output_file import output_file
from graph_mode.plotting.run_lines import NETWORKS

REPORT = "report.md"


def write(folders, log_dir, output_dir, say):
    """Writes the report of ended runs and returns the path of its Markdown.

    folders: the runs' folders, below log_dir; say: called with one line for what a reader should
    know besides.
    """
    results = run_results.read(folders, log_dir, say)
    by_network = {}
    for result in results:
        by_network.setdefault(result.run.network, []).append(result)
    settings = {network: report_tables.settings_of(some) for network, some in by_network.items()}
    flat = [setting for some in settings.values() for setting in some]
    for name, rows in (
        ("runs.csv", report_tables.run_rows(results)),
        ("accuracy.csv", report_tables.accuracy_rows(flat)),
        ("speed.csv", report_tables.speed_rows(flat)),
    ):
        write_csv(list(rows), os.path.join(output_dir, name))
    diagnostic_rows = list(report_tables.diagnostic_rows(flat))
    if diagnostic_rows:
        write_csv(diagnostic_rows, os.path.join(output_dir, "diagnostics.csv"))
    lines = ["# Without and with batch normalization", ""] + introduction(results)
    for network, some in settings.items():
        figures = report_figures.write(network, by_network[network], some, output_dir, say)
        lines += network_section(network, some, figures)
    lines += troubles(results)
    path = os.path.join(output_dir, REPORT)
    with output_file(path) as file:
        file.write("\n".join(lines) + "\n")
    return path


def write_csv(rows, path):
    """Rows {column: value}; the columns are those of all rows, in the order of their coming."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with output_file(path, newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def introduction(results):
    """What was run: how many runs, on what, and the flags that all of them share."""
    counts = {
        status: sum(result.status == status for result in results)
        for status in ("finished", "diverged", "failed")
    }
    versions = sorted({result.versions.get("tensorflow", "") for result in results} - {""})
    shared = []
    for name in sorted({name for result in results for name in result.run.flags}):
        values = {report_tables.frozen(result.run.flags.get(name)) for result in results}
        if len(values) == 1 and name not in (BATCH_NORM, SEED) + PLACE_FLAGS:
            value = results[0].run.flags[name]
            shared.append(f"`{name}` {text_of(value)}")
    return [
        f"{len(results)} runs: {counts['finished']} finished, {counts['diverged']} diverged, "
        f"{counts['failed']} failed. TensorFlow {', '.join(versions) or 'unknown'}.",
        "",
        f"The same in all runs: {', '.join(shared)}.",
        "",
        "Test accuracy is that at the end of training; nothing was chosen by it. ± is the standard "
        "deviation over seeds, n their number. The difference is the mean, over the seeds, of "
        "with minus without, in percentage points, with the paired t interval of 95 % "
        "(mean ∓ t · s / √n, t of n − 1 degrees of freedom): the two runs of a seed see the same "
        "batches in the same order. Every number here is in `accuracy.csv`, `speed.csv` or "
        "`runs.csv`; what `--diagnostics` recorded is in `diagnostics.csv`.",
        "",
    ]


def network_section(network, settings, figures):
    """The tables and figures of one network."""
    flags = list(settings[0].values)
    lines = [f"## {NETWORKS.get(network, network)}", "", "### Test accuracy", ""]
    heads = [flag.replace("_", " ") for flag in flags]
    columns = heads + ["without batch norm (%)", "with (%)", "difference [95 %]"]
    rows = [
        [text_of(setting.values[flag]) for flag in flags]
        + [summary_text(setting.without), summary_text(setting.with_norm)]
        + [difference_text(report_tables.difference(setting))]
        for setting in settings
    ]
    lines += table(columns, rows)
    lines += ["", "### Training steps until a validation accuracy", "", SPEED_NOTE, ""]
    targets = [f"{100 * target:g} %" for target in run_results.ACCURACIES]
    rows = []
    for setting in settings:
        for name, side in (("without", setting.without), ("with", setting.with_norm)):
            if side:
                cells = [speed_text(side, target) for target in run_results.ACCURACIES]
                rows.append([text_of(setting.values[flag]) for flag in flags] + [name] + cells)
    lines += table(heads + ["batch norm"] + targets, rows) + [""]
    for caption, path in figures:
        lines += [f"![{caption}]({path})", "", f"*{caption}*", ""]
    return lines


SPEED_NOTE = (
    "Median over the seeds of the training steps, and of the seconds of training (evaluations left "
    "out), up to the first evaluation with this accuracy on the validation set. A run that never "
    "reached it counts as longer than all others; how many did reach it is said unless all did."
)


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def text_of(value):
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return "none" if value is None else str(value)


def summary_text(side):
    numbers = report_tables.summary(side)
    if not side:
        return "–"
    notes = [f"n = {numbers.n}"]
    for status in ("diverged", "failed"):
        count = sum(result.status == status for result in side.values())
        notes += [f"{count} {status}"] if count else []
    if not numbers.n:
        return f"– ({', '.join(notes[1:])})"
    deviation = "" if math.isnan(numbers.deviation) else f" ± {100 * numbers.deviation:.2f}"
    return f"{100 * numbers.mean:.2f}{deviation} ({', '.join(notes)})"


def difference_text(interval):
    if interval is None:
        return "–"
    if math.isnan(interval.low):
        return f"{100 * interval.mean:+.2f}"
    return f"{100 * interval.mean:+.2f} [{100 * interval.low:+.2f}, {100 * interval.high:+.2f}]"


def speed_text(side, target):
    steps, reached = report_tables.median_over_seeds(side, lambda r: r.steps_to[target])
    seconds, _ = report_tables.median_over_seeds(side, lambda r: run_results.seconds_to(r, target))
    text = "–" if math.isinf(steps) else f"{steps} ({seconds:.1f} s)"
    return text if reached in (0, len(side)) else f"{text}, {reached} of {len(side)}"


def troubles(results):
    """What diverged or failed, run by run, and why."""
    bad = [result for result in results if result.status != "finished"]
    if not bad:
        return ["## Diverged and failed runs", "", "None."]
    rows = [[result.run.name, result.status, result.reason] for result in bad]
    return ["## Diverged and failed runs", ""] + table(["run", "what", "why"], rows)
