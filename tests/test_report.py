"""The report of a comparison: what it says of runs whose numbers are known."""

import csv
import json
import math
import os
import pathlib

import made_runs
import numpy as np
import pytest

from graph_mode.comparing import report, results
from graph_mode.runs import record

# By SciPy.
STUDENT = {1: 12.7062, 4: 2.7764, 20: 2.0860, 21: 2.0796, 30: 2.0423, 31: 2.0395, 60: 2.0003}


@pytest.mark.parametrize("degrees", STUDENT)
def test_an_interval_is_the_mean_and_t_standard_errors_on_both_sides(degrees):
    values = np.random.RandomState(0).normal(3, 2, degrees + 1)
    found = results.confidence_interval(values.tolist())
    half = STUDENT[degrees] * np.std(values, ddof=1) / math.sqrt(degrees + 1)
    np.testing.assert_allclose(found, [values.mean(), *(values.mean() + [-half, half])], rtol=5e-5)


def write_run(log_dir, name, accuracy, validation=(0.5,), population=None, **given):
    """A run that was evaluated at steps 0, 100, ... with these validation accuracies. population:
    (test accuracy, [validation accuracy]) with population statistics."""
    failure, code = given.pop("failure", None), given.pop("code", "abc")
    given.setdefault("losses", made_runs.made_losses(301, 0))
    result = {"test_accuracy": accuracy, "steps": given.pop("trained", 301), "seconds": 8}
    folder = made_runs.write_run(log_dir / "fc" / name, ended=False, **given)
    scalars = [{"accuracy": accuracy} for accuracy in validation]
    if population:
        result["test_accuracy_population"] = population[0]
        for each, accuracy in zip(scalars, population[1]):
            each["accuracy_population"] = accuracy
    rows = [(100 * number, each) for number, each in enumerate(scalars)]
    made_runs.write_steps(os.path.join(folder, "validation"), made_runs.BEGAN, rows)
    path = os.path.join(folder, "settings.json")
    versions = {"tensorflow": "2.21.0", "code": code, "processor": "a processor"}
    record.write_json(path, {**record.read_json(path), "versions": versions})
    name, content = ("failure.json", failure) if failure else ("result.json", result)
    made_runs.write_json(os.path.join(folder, name), content)
    return folder


def report_of(folders, tmp_path, say=pytest.fail):
    """The text of the report of these runs."""
    path = report.write(dict.fromkeys(folders, {}), str(tmp_path), str(tmp_path / "report"), say)
    return pathlib.Path(path).read_text(encoding="utf-8")


def rows_of(tmp_path):
    text = (tmp_path / "report" / "runs.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_tables_rows_and_figures_of_two_learning_rates(tmp_path):
    folders = []
    for rate, batch_norm, accuracies in (
        *((0.1, False, (0.95, 0.97)), (0.1, True, (0.98, 0.99))),
        *((0.2, False, (0.10, None)), (0.2, True, (0.96, 0.94))),
    ):
        for seed, accuracy in enumerate(accuracies):
            validation = (0.1, 0.94, 0.96 if seed else 0.955, 0.985 if batch_norm else 0.96)
            flags = {"optimizer": "sgd", "batch_norm": batch_norm, "learning_rate": rate}
            if rate == 0.2 and not batch_norm:
                flags["losses"] = [0.6] + [1.5, 1.7] * 100
            if not accuracy:
                flags["failure"] = {"reason": "nan at 7", "diverged": True}
            name = f"{rate}-{batch_norm}-{seed}"
            folders.append(write_run(tmp_path, name, accuracy, validation, seed=seed, **flags))
    text = report_of(folders, tmp_path)
    # Differences 0.03 and 0.02: mean 0.025, s = 0.00707, half = 12.706 * s / sqrt(2).
    assert "| 0.1 | 96.00 ± 1.41 (n = 2) | 98.50 ± 0.71 (n = 2) | +2.50 [-3.85, +8.85] |" in text
    assert "| 0.2 | 10.00 (n = 1, 2 diverged) | 95.00 ± 1.41 (n = 2) | +86.00 |" in text
    assert "| 0.1 | without | 201 | – | – | – |" in text
    assert "| 0.1 | with | 201 | 301 | 301 | – |" in text
    assert "8 runs: 6 finished, 2 diverged, 0 failed" in text
    assert "| fc/0.2-False-1 | diverged | nan at 7 |" in text
    assert "| fc/0.2-False-0 | diverged | the loss rose from 0.6 to 1.6 |" in text
    assert "`optimizer` sgd" in text and "`learning_rate`" not in text
    assert "TensorFlow 2.21.0; trained by code abc on a processor." in text
    assert "population" not in text

    rows = rows_of(tmp_path)
    assert [row["run"] for row in rows] == [os.path.relpath(f, str(tmp_path)) for f in folders]
    assert rows[0]["steps_to_0.95"] == "201" and rows[0]["steps_to_0.99"] == ""
    assert rows[0]["status"] == "finished" and json.loads(rows[0]["batch_norm"]) is False

    shown = [line.split("](")[1][:-1] for line in text.splitlines() if line[:2] == "!["]
    assert {*shown, "report.md", "runs.csv"} == set(os.listdir(str(tmp_path / "report")))
    for name in [*shown, "fc_loss.png"]:
        assert (tmp_path / "report" / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_both_accuracies_of_batch_norm_are_in_every_table_and_every_code_is_named(tmp_path):
    folders = []
    for seed in range(3):
        shared = {"optimizer": "adam", "seed": seed, "code": ("abc", "def")[seed % 2]}
        folders.append(write_run(tmp_path, f"a{seed}", 0.97, batch_norm=False, **shared))
        shared["population"] = (0.98 + 0.002 * seed, (0.1, 0.95, 0.96, 0.97))
        moving = (0.25 + 0.001 * seed, (0.1, 0.2, 0.3, 0.96))
        folders.append(write_run(tmp_path, f"b{seed}", *moving, batch_norm=True, **shared))
    text = report_of(folders, tmp_path, say=print)
    assert (
        "| 97.00 ± 0.00 (n = 3) | 25.10 ± 0.10 (n = 3) | -71.90 [-72.15, -71.65] "
        "| 98.20 ± 0.20 (n = 3) | +1.20 [+0.70, +1.70] |" in text
    )
    assert "| with | 301 | – | – | – |" in text
    assert "| with, population | 101 | 301 | – | – |" in text
    assert "code abc, def on" in text
    rows = rows_of(tmp_path)
    assert [row["test_accuracy_population"] for row in rows[:2]] == ["", "0.98"]
    assert [row["steps_to_0.95_population"] for row in rows[:2]] == ["", "101"]


def test_a_loss_that_is_not_finite_is_told_with_its_step(tmp_path):
    folder = write_run(tmp_path, "a", 0.1, losses=[0.7, 0.6, math.nan, 0.5])
    (result,) = results.read({folder: {}}, str(tmp_path), print)
    assert (result.status, result.reason) == ("diverged", "loss nan at step 2")


def test_a_run_that_failed_before_it_began_is_in_the_report(tmp_path):
    folder = tmp_path / "fc" / "a"
    folder.mkdir(parents=True)
    settings = {"network": "fc", "flags": {"seed": 0, "batch_norm": True}, "data": {}}
    made_runs.write_json(str(folder / "settings.json"), settings)
    made_runs.write_json(str(folder / "failure.json"), {"reason": "no space", "diverged": False})
    assert "| fc/a | failed | no space |" in report_of([str(folder)], tmp_path)


def test_a_flag_that_varies_only_along_with_another_is_no_column(tmp_path):
    folders = [write_run(tmp_path, str(n), 0.9, layers=n, hidden_units=[9] * n) for n in (2, 3)]
    assert "\n| layers | without" in report_of(folders, tmp_path)


def test_how_batch_norm_is_done_is_compared_with_the_one_run_without_it(tmp_path):
    folders = [
        write_run(tmp_path, str(accuracy), accuracy, batch_norm=norm, batch_norm_momentum=momentum)
        for accuracy, norm, momentum in ((0.9, False, 0.99), (0.95, True, 0.9), (0.5, True, 0.99))
    ]
    text = report_of(folders, tmp_path)
    assert "| 0.9 | 90.00 (n = 1) | 95.00 (n = 1) | +5.00 |" in text
    assert "| 0.99 | 90.00 (n = 1) | 50.00 (n = 1) | -40.00 |" in text


def test_validation_on_the_way_is_the_mean_over_the_seeds(tmp_path):
    accuracies = ((0.1, 0.5, 0.7), (0.1, 0.6, 0.7))
    folders = [write_run(tmp_path, f"{i}", 0.9, a, seed=i) for i, a in enumerate(accuracies)]
    text = report_of(folders, tmp_path)
    assert "| batch norm | test loss | validation loss |" in text
    assert "| batch norm | 100 | 200 |\n|---|---|---|\n| with | 55.00 | 70.00 |" in text


def test_the_median_counts_a_run_that_never_got_there_as_the_longest():
    assert report.speed_text([None, 700, 900]) == "900, 2 of 3"
    assert report.speed_text([None, 700]) == "700, 1 of 2"


@pytest.mark.parametrize("trained", [200, 201])
def test_the_evaluation_at_the_end_counts_the_steps_that_were_trained(tmp_path, trained):
    folder = write_run(tmp_path, "a", 0.9, (0.1, 0.2, 0.995), trained=trained)
    (result,) = results.read({folder: {}}, str(tmp_path), pytest.fail)
    assert result.numbers["steps_to_0.95"] == result.numbers["steps_to_0.99"] == trained
    # The batch that is number 200, counted from 0, is the 201st.
    assert ("validation_accuracy_after_200" in result.numbers) == (trained == 201)
    assert "validation_accuracy_after_100" in result.numbers
