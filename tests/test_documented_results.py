"""What README and docs/results.md say of experiments is what their committed runs say."""

import csv
import glob
import itertools
import json
import os
import re
import statistics
import sys

import pytest
from helpers import ROOT, text_of

import conv_train
import fc_train
from graph_mode.comparing import report, results
from graph_mode.flags import deciding
from graph_mode.runs import recorded

sys.path.insert(0, os.path.join(ROOT, "docs"))
import stale_results

RESULTS = os.path.join(ROOT, "docs", "results")
EXPERIMENTS = sorted(name[:-5] for name in os.listdir(RESULTS) if name.endswith(".json"))


def value_of(cell):
    try:
        return json.loads(cell)
    except ValueError:
        return cell or None


def results_of(experiment):
    """{network: [results.RunResult]} of the rows of the experiment's runs.csv."""
    found = {}
    for row in csv.DictReader(text_of("docs", "results", experiment, "runs.csv").splitlines()):
        row = {name: value_of(cell) for name, cell in row.items()}
        names = list(row)
        flags = {n: row[n] for n in names[names.index("network") + 1 : names.index("status")]}
        numbers = {name: value for name, value in row.items() if value is not None}
        run = recorded.Run(row["run"], row["network"], flags, {}, {}, numbers, {})
        result = results.RunResult(run, row["status"], row["reason"], numbers)
        found.setdefault(row["network"], []).append(result)
    return found


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_tables_of_a_report_are_computed_from_its_runs(experiment):
    written = text_of("docs", "results", experiment, "report.md")
    for some in results_of(experiment).values():
        for block in report.sections(results.group_by_setting(some), some):
            assert block in written


def sections_of_the_page():
    """{experiment: text} of docs/results.md."""
    parts = re.split(r"--config docs/results/(\w+)\.json", text_of("docs", "results.md"))
    return dict(zip(parts[1::2], parts[2::2]))


def test_every_experiment_is_on_the_page_and_of_this_code():
    assert sorted(sections_of_the_page()) == EXPERIMENTS
    assert list(stale_results.stale(RESULTS)) == []


def rows_of(text):
    """The rows of the tables in Markdown, each a list of cells, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [i for i, row in enumerate(rows) if not set("".join(row)) - set("-: ")]
    return [row for i, row in enumerate(rows) if i not in rules and i + 1 not in rules]


def known_rows(experiment):
    """The rows of the report, those of a network also with its name before them."""
    known, folder = [], os.path.join(RESULTS, experiment)
    if os.path.exists(os.path.join(folder, "by_batches.md")):
        known += rows_of(text_of(folder, "by_batches.md"))
    for part in text_of(folder, "report.md").split("\n## ")[1:]:
        name = part.split("\n")[0].lower().replace(" network", "")
        known += [[*names, *row] for row in rows_of(part) for names in ([], [name])]
    return known


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_tables_and_percentages_of_the_page_stand_in_the_report(experiment):
    text, known = sections_of_the_page()[experiment], known_rows(experiment)
    assert [row for row in rows_of(text) if row not in known] == []
    assert unknown(text, reports(experiment)) == []


PERCENT = r"%|percentage|points? higher|±|\[[+-]"
TIME_OR_MEMORY = r"(?:ms|s|seconds|MiB|MB)\b"


def unknown(text, written, unit=PERCENT):
    """The numbers before the unit, in the text without its tables, that none written rounds to."""
    with_unit = rf"(?: (?:to|and|or|against|beside|instead of) [\d.]+)? ?(?:{unit})"
    words = re.sub(r"\s+", " ", re.sub(r"(?m)^\|.*", "", text))
    known = {float(number) for number in re.findall(r"\d+\.\d+|\d{3}", written)}
    return [
        number
        for number in re.findall(rf"(?<![\w.,^-])(?<!= )(\d+(?:\.\d+)?)(?={with_unit})", words)
        if not any(f"{each:.{len(number.partition('.')[2])}f}" == number for each in known)
    ]


def reports(experiments):
    return "".join(map(text_of, glob.glob(os.path.join(RESULTS, experiments, "*.md"))))


PAGES = [
    os.path.relpath(path, ROOT)
    for pattern in ("*.md", "docs/*.md", "*.py", "graph_mode/**/*.py", "docs/*.py")
    for path in glob.glob(os.path.join(ROOT, pattern), recursive=True)
]


@pytest.mark.parametrize("page", PAGES)
def test_every_measured_number_is_that_of_a_table(page):
    text, measured = text_of(page), text_of("docs", "benchmarks.md")
    assert unknown(text, reports("*")) == []
    if page != os.path.join("docs", "tried.md"):  # which holds what was measured by hand
        assert unknown(text, measured, TIME_OR_MEMORY) == []


def test_the_percentages_of_the_notebook_are_those_of_its_outputs():
    cells = json.loads(text_of("exercise_solution.ipynb"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    outputs = ["".join(o.get("text", "")) for cell in cells for o in cell.get("outputs", [])]
    known = re.findall(r"\d+\.\d+", "".join(outputs))
    known += [f"{100 * float(number):.3f}" for number in known]  # accuracies
    assert unknown("\n".join(texts), " ".join(known)) == []


def test_the_figures_of_the_page_on_speed_are_medians_of_the_benchmarks():
    measured = text_of("docs", "benchmarks.md")
    page = text_of("docs", "speed.md")
    rows = rows_of(page.split("## What makes")[0])
    cells = [cell for row in rows if re.match("this|the published", row[0]) for cell in row[1:]]
    assert len(cells) == 32
    cells += re.findall(r"\b\d+\.\d+\b|\b\d{3}\b", page.split("## Where others")[1])
    assert [cell for cell in cells if not re.search(rf"\| {cell}[ ,]", measured)] == []
    seconds = {}
    for each in json.loads(text_of("benchmarks", "results", "whole.json"))["measurements"]:
        contestant = re.sub(" with tf-keras", "", each["contestant"]).split(" TensorFlow ")
        seconds.setdefault((*contestant, each["label"]), []).append(each["process_seconds"])
    for version in ("2.21", "1.15.5"):
        ratios = [
            statistics.median(seconds["this project,", version, label])
            / statistics.median(seconds["published program,", version, label])
            for label in ("fc, batch norm", "fc", "conv, batch norm", "conv")
        ]
        assert [f"measured, TensorFlow {version}", *(f"{r:.2f}" for r in ratios)] in rows


def test_the_results_in_readme_are_those_of_the_page():
    """Population statistics, without the number of runs."""
    before, after = text_of("README.md").split("## Results")
    means = " ".join(re.findall(r"[\d.]+(?= ±)", reports("learning_rate")))
    assert unknown(before.split("## Run")[0], means) == []
    rows = rows_of(after.split("`--fast`")[0])
    known = [
        [", ".join(row[:2]), *(row[i].replace(" (n = 5)", "") for i in (2, -2, -1))]
        for row in known_rows("exercise")
        if len(row) == 7
    ]
    assert len(rows) == 8
    assert [row for row in rows if row not in known] == []


def test_the_experiment_fast_is_that_of_the_flag():
    grids = json.loads(text_of("docs", "results", "fast.json"))["grids"]
    for given, script in zip(grids, (fc_train, conv_train)):
        given = {name.replace("-", "_"): value for name, value in given.items()}
        own = {"network": script.NETWORK, "seeds": 10, "batch_norm": "both"}
        assert deciding(given) == {**script.fast([]), **own}


def test_what_is_said_of_fast_is_in_its_report_and_in_the_benchmark():
    measured = json.loads(text_of("benchmarks", "results", "accuracy.json"))["measurements"]
    claims = re.findall(r"\| (\d\d\.\d\d ± \d\.\d\d) \| (\d\.\d) \|", text_of("README.md"))
    for network, (accuracy, claim) in itertools.zip_longest(("fc", "conv"), claims):
        assert f"{accuracy} (n = 10)" in text_of("docs", "results", "fast", "report.md")
        seconds = statistics.median(
            each["training_seconds"]
            for each in measured
            if each["contestant"].startswith("this project") and each["label"].startswith(network)
        )
        told = re.sub(r"\s+", " ", text_of(f"{network}_train.py"))
        assert claim == f"{seconds:.1f}" and accuracy in told and f"in {claim} s of" in told


def test_readme_counts_the_programs_of_tensorflow_1_as_their_list_does():
    rows = [row for row in rows_of(text_of("docs", "tf1_programs.md")) if len(row) == 8][:60]
    run, as_it_is, _, now = (sum(row[i] == "runs" for row in rows) for i in (3, 4, 5, 6))
    said = re.search(r"Of 60 .* (\d+) run on 1.*\n.* and (\d+) this way", text_of("README.md"))
    assert (len(rows), as_it_is, *map(int, said.groups())) == (60, 0, run, now)
