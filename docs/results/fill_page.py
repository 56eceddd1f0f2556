"""Puts the tables of docs/results.md between their markers, from the CSV files of the reports.

    python docs/results/fill_page.py

A marker names an experiment, which is a folder beside this file, and a table of TABLES below:

    <!-- table exercise accuracy -->
    <!-- end -->
"""

import csv
import json
import os
import re
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(FOLDER)))

from graph_mode import command_line  # noqa: E402
from graph_mode.comparing import report  # noqa: E402
from graph_mode.output_file import output_file  # noqa: E402
from graph_mode.plotting import saved_runs  # noqa: E402
from graph_mode.plotting.run_lines import NETWORKS  # noqa: E402

PAGE = os.path.join(os.path.dirname(FOLDER), "results.md")
MARKED = re.compile(r"(<!-- table (\w+) (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
NORM, DEAD, INPUTS, ALONG = "gradient_norm/", "dead_units/", "activation_inputs/", "loss_along_"


def main():
    with open(PAGE, encoding="utf-8") as file:
        text = filled(file.read(), FOLDER)
    with output_file(PAGE) as file:
        file.write(text)
    print(f"wrote {os.path.relpath(PAGE)}")
    return 0


def filled(text, folder):
    """The page with the tables that its markers ask for. Raises CommandError."""

    def table_of(match):
        begin, experiment, kind, end = match.groups()
        if kind not in TABLES:
            raise command_line.CommandError(
                f"found a marker for the table {kind}, expected one of {', '.join(TABLES)}"
            )
        file_name, make = TABLES[kind]
        rows = read(os.path.join(folder, experiment, file_name))
        return "\n".join([begin] + make(rows) + ["", end])

    return MARKED.sub(table_of, text)


def read(path):
    """The rows of a CSV file, [{column: text}]. Raises CommandError."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise command_line.CommandError(
            f"{path}: {error.strerror}; it is made by: make results"
        ) from None


def flags_before(column, rows):
    """The columns that tell settings apart, all before `column`; the network only if it varies."""
    columns = list(rows[0])
    found = columns[: columns.index(column)]
    return [name for name in found if name != "network" or len({r[name] for r in rows}) > 1]


def heads(flags):
    return [flag.replace("_", " ") for flag in flags]


def values(row, flags):
    return [NETWORKS_SHORT.get(row[flag], row[flag]) for flag in flags]


NETWORKS_SHORT = {key: name.rsplit(" ", 1)[0].lower() for key, name in NETWORKS.items()}


def runs_table(rows):
    """What was run, in a sentence."""
    counts = {status: sum(row["status"] == status for row in rows) for status in STATUSES}
    versions = sorted({row["tensorflow"] for row in rows if row["tensorflow"]})
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    return [f"{len(rows)} runs: {told}. TensorFlow {', '.join(versions)}."]


STATUSES = ("finished", "diverged", "failed")


def accuracy_table(rows):
    """Test accuracy of each setting without and with batch norm, and the paired difference."""
    flags = flags_before("without_runs", rows)
    lines = [
        values(row, flags) + [side(row, "without"), side(row, "with"), difference(row)]
        for row in rows
    ]
    columns = ["without batch norm (%)", "with (%)", "difference [95 %]"]
    return report.table(heads(flags) + columns, lines)


def side(row, name):
    """'97.79 ± 0.24 (n = 5)', with what diverged or failed."""
    notes = [f"n = {row[f'{name}_n']}"]
    for status in ("diverged", "failed"):
        notes += [f"{row[f'{name}_{status}']} {status}"] if int(row[f"{name}_{status}"]) else []
    if not row[f"{name}_mean"]:
        return f"– ({', '.join(notes[1:])})" if notes[1:] else "–"
    spread = f" ± {percent(row[f'{name}_std'])}" if row[f"{name}_std"] else ""
    return f"{percent(row[f'{name}_mean'])}{spread} ({', '.join(notes)})"


def percent(text, sign=""):
    return f"{100 * float(text):{sign}.2f}"


def difference(row):
    if not row["difference"]:
        return "–"
    ends = [
        percent(row[f"difference_{end}"], "+") for end in ("low", "high") if row["difference_low"]
    ]
    return percent(row["difference"], "+") + (f" [{', '.join(ends)}]" if ends else "")


def speed_table(rows):
    """Median training steps to each validation accuracy."""
    flags = flags_before("batch_norm", rows)
    targets = list(dict.fromkeys(row["validation_accuracy"] for row in rows))
    settings = {}
    for row in rows:
        key = tuple(values(row, flags) + [words_of_side(row)])
        settings.setdefault(key, {})[row["validation_accuracy"]] = steps(row)
    lines = [list(key) + [cells[target] for target in targets] for key, cells in settings.items()]
    columns = [f"{100 * float(target):g} %" for target in targets]
    return report.table(heads(flags) + ["batch norm"] + columns, lines)


def words_of_side(row):
    return "with" if json.loads(row["batch_norm"]) else "without"


def steps(row):
    text = row["median_steps"] or "–"
    reached, runs = int(row["reached"]), int(row["runs"])
    return text if reached in (0, runs) else f"{text}, {reached} of {runs}"


def layers_table(rows):
    """Inputs to the activations, dead units and gradient norms, layer by layer, at the end."""
    flags = flags_before("batch_norm", rows)
    settings = {}
    for row in rows:
        found = settings.setdefault(tuple(values(row, flags)), {})
        found[words_of_side(row), row["tag"]] = row["final_mean"]
    lines = []
    for key, found in settings.items():
        tags = sorted({tag for _, tag in found}, key=saved_runs.natural_order)
        norms = [tag for tag in tags if tag.startswith(NORM) and "batch_norm" not in tag]
        for number, norm in enumerate(norms, 1):
            cells = []
            for name in (f"{INPUTS}layer_{number}/percentile_", norm, f"{DEAD}layer_{number}"):
                cells += [cell(found, which, name) for which in ("without", "with")]
            lines.append(list(key) + [str(number)] + cells)
    columns = ["layer"] + [
        f"{name}, {which}"
        for name in ("inputs, 15th to 85th percentile", "gradient norm", "dead units (%)")
        for which in ("without", "with")
    ]
    # A network of sigmoids has no ReLU units.
    if not any(row["tag"].startswith(DEAD) for row in rows):
        columns, lines = columns[:-2], [line[:-2] for line in lines]
    return report.table(heads(flags) + columns, lines)


def cell(found, which, name):
    """The final value of a tag, as the table shows it; a dash where there is none."""
    if name.endswith("percentile_"):
        ends = [found.get((which, f"{name}{percentile}")) for percentile in (15, 85)]
        return " to ".join(f"{float(end):.2f}" for end in ends) if all(ends) else "–"
    value = found.get((which, name))
    if not value:
        return "–"
    return f"{100 * float(value):.1f}" if name.startswith(DEAD) else f"{float(value):.2g}"


def along_table(rows):
    """The loss along the gradient: how far it varied, at the evaluations of the whole training."""
    flags = flags_before("batch_norm", rows)
    settings = {}
    for row in rows:
        if row["tag"].startswith(ALONG):
            key = tuple(values(row, flags) + [words_of_side(row)])
            settings.setdefault(key, {})[row["tag"].split("/")[1]] = row["training_mean"]
    names = ("start", "smallest", "largest")
    lines = [
        list(key) + [f"{float(found[name]):.4f}" if found[name] else "–" for name in names]
        for key, found in settings.items()
    ]
    columns = ["batch norm", "before the step", "smallest after", "largest after"]
    return report.table(heads(flags) + columns, lines)


TABLES = {
    "runs": ("runs.csv", runs_table),
    "accuracy": ("accuracy.csv", accuracy_table),
    "speed": ("speed.csv", speed_table),
    "layers": ("diagnostics.csv", layers_table),
    "along": ("diagnostics.csv", along_table),
}


if __name__ == "__main__":
    command_line.run(main)
