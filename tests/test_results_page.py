"""docs/results.md: its tables are what the CSV files of its experiments say."""

import glob
import importlib.util
import os
import re

import pytest
import test_diagnostic_figures
from helpers import ROOT

from graph_mode.command_line import CommandError
from graph_mode.comparing import report

RESULTS = os.path.join(ROOT, "docs", "results")


@pytest.fixture(scope="module")
def fill_page():
    spec = importlib.util.spec_from_file_location(
        "fill_page", os.path.join(RESULTS, "fill_page.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def experiments(tmp_path_factory):
    """A folder with the report of one experiment, `made`: two pairs of runs of two seeds."""
    folder = tmp_path_factory.mktemp("experiments")
    folders = test_diagnostic_figures.write_pair(folder / "runs", learning_rate=0.1)
    folders += test_diagnostic_figures.write_pair(folder / "runs", "conv", learning_rate=0.2)
    report.write(folders, str(folder / "runs"), str(folder / "made"), pytest.fail)
    return str(folder)


def marked(*kinds, content=""):
    return "\n".join(f"<!-- table made {kind} -->\n{content}<!-- end -->" for kind in kinds)


def test_every_kind_of_table_says_what_its_csv_says(fill_page, experiments):
    text = fill_page.filled(marked(*fill_page.TABLES), experiments)
    assert "8 runs: 8 finished, 0 diverged, 0 failed." in text
    assert "| network | without batch norm (%) | with (%) | difference [95 %] |" in text
    same = "98.00 ± 0.00 (n = 2)"
    assert f"| convolutional | {same} | {same} | +0.00 [+0.00, +0.00] |" in text
    assert "| fully connected | without | – | – | – | – |" in text
    # Of two seeds the final means are 6 without and 60 with batch norm, over the training 4 and 40.
    assert "| fully connected | 1 | – | – | 6 | 60 | – | – |" in text
    assert "| fully connected | with | 40.0000 | 40.0000 | 40.0000 |" in text


def test_a_table_is_replaced_and_the_words_around_it_stay(fill_page, experiments):
    page = f"Before.\n\n{marked('runs', content='old')}\n\nAfter."
    text = fill_page.filled(page, experiments)
    assert text.startswith("Before.\n\n<!--") and text.endswith("-->\n\nAfter.")
    assert "old" not in text and fill_page.filled(text, experiments) == text


def test_a_marker_that_nothing_fills_is_an_error(fill_page, experiments):
    with pytest.raises(CommandError, match="made by: make results"):
        fill_page.filled("<!-- table other runs -->\n<!-- end -->", experiments)
    with pytest.raises(CommandError, match="expected one of runs, accuracy"):
        fill_page.filled(marked("graph"), experiments)


def test_the_page_names_every_experiment_and_its_tables_are_up_to_date(fill_page):
    with open(fill_page.PAGE, encoding="utf-8") as file:
        page = file.read()
    for path in glob.glob(os.path.join(RESULTS, "*.json")):
        assert f"--config docs/results/{os.path.basename(path)}" in page
    if glob.glob(os.path.join(RESULTS, "*", "runs.csv")):
        assert fill_page.filled(page, RESULTS) == page
        for path in re.findall(r"\]\((results/\S+)\)", page):
            assert os.path.exists(os.path.join(ROOT, "docs", path)), path
