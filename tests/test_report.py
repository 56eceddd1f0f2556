"""The report of a comparison: what it says of runs whose numbers are known."""

import csv
import json
import math
import os

import made_runs
import numpy as np
import pytest

from graph_mode.comparing import intervals, report, report_tables, run_results


@pytest.mark.parametrize("count", [2, 5, 31, 40])
def test_an_interval_covers_the_mean_as_often_as_it_says(count):
    random = np.random.RandomState(0)
    found = [intervals.confidence_interval(random.normal(3, 2, count)) for _ in range(1000)]
    assert np.mean([i.low < 3 < i.high for i in found]) == pytest.approx(0.95, abs=0.025)


def test_one_value_has_a_mean_but_no_spread():
    interval = intervals.confidence_interval([0.5])
    assert interval.mean == 0.5 and math.isnan(interval.low)
    assert math.isnan(intervals.standard_deviation([0.5]))


def write_run(
    log_dir,
    name,
    test_accuracy,
    validation=(0.5,),
    losses=None,
    failure=None,
    population=None,
    code="abc",
    processor="a processor",
    **flags,
):
    """A run that was evaluated every 100 steps with these validation accuracies.

    population: (test accuracy, [validation accuracy]) with population statistics.
    """
    losses = made_runs.made_losses(301, 0) if losses is None else losses
    folder = made_runs.write_run(log_dir / "fc" / name, losses=losses, ended=False, **flags)
    scalars = [{"accuracy": accuracy} for accuracy in validation]
    result = {"test_accuracy": test_accuracy, "steps": 301, "steps_per_second": 50.0, "seconds": 8}
    if population:
        result["test_accuracy_population"] = population[0]
        for each, accuracy in zip(scalars, population[1]):
            each["accuracy_population"] = accuracy
    events = [made_runs.scalar_event(100 * i, **each) for i, each in enumerate(scalars)]
    path = os.path.join(folder, "validation", "events.out.tfevents.1700000000.host")
    made_runs.write_event_file(path, events)
    path = os.path.join(folder, "settings.json")
    with open(path, encoding="utf-8") as file:
        settings = json.load(file)
    made_runs.write_json(
        path,
        {**settings, "versions": {"tensorflow": "2.21.0", "code": code, "processor": processor}},
    )
    if failure:
        made_runs.write_json(os.path.join(folder, "failure.json"), failure)
    else:
        made_runs.write_json(os.path.join(folder, "result.json"), result)
    return folder


@pytest.fixture
def folders(tmp_path):
    """Runs of two learning rates, without and with batch norm, two seeds each."""
    found = []
    for rate, accuracies in (
        (0.1, {False: (0.95, 0.97), True: (0.98, 0.99)}),
        (0.2, {False: (0.10, None), True: (0.96, 0.94)}),
    ):
        for batch_norm, values in accuracies.items():
            for seed, accuracy in enumerate(values):
                found.append(
                    write_run(
                        tmp_path,
                        f"{rate}-{batch_norm}-{seed}",
                        accuracy,
                        (0.1, 0.94, 0.96 if seed else 0.955, 0.985 if batch_norm else 0.96),
                        losses=[0.6] + [1.5, 1.7] * 100 if rate == 0.2 and not batch_norm else None,
                        failure=None if accuracy else {"reason": "nan at 7", "diverged": True},
                        optimizer="sgd",
                        batch_norm=batch_norm,
                        learning_rate=rate,
                        seed=seed,
                    )
                )
    return found


@pytest.fixture
def written(folders, tmp_path):
    notes = []
    path = report.write(folders, str(tmp_path), str(tmp_path / "report"), notes.append)
    assert notes == []
    return os.path.dirname(path)


def rows_of(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_the_tables_have_accuracies_their_spread_the_paired_interval_and_the_steps(written):
    text = text_of(os.path.join(written, "report.md"))
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
    assert "population" not in text and "lag" not in text


def written_with_population(tmp_path, seeds, moving, population, code=("abc",)):
    """The report of a pair of runs for each seed, with batch norm with these test accuracies."""
    folders = []
    for seed in range(seeds):
        label = code[seed % len(code)]
        shared = {"optimizer": "adam", "seed": seed, "code": label}
        folders.append(write_run(tmp_path, f"a{seed}", 0.97, batch_norm=False, **shared))
        folders.append(
            write_run(
                tmp_path,
                f"b{seed}",
                moving + 0.001 * seed,
                (0.1, 0.2, 0.3, 0.96),
                population=(population + 0.002 * seed, (0.1, 0.95, 0.96, 0.97)),
                batch_norm=True,
                **shared,
            )
        )
    return report.write(folders, str(tmp_path), str(tmp_path / "report"), print)


def test_both_accuracies_of_batch_norm_are_in_every_table(tmp_path):
    path = written_with_population(tmp_path, 3, 0.25, 0.98)
    text = text_of(path)
    assert (
        "| 97.00 ± 0.00 (n = 3) | 25.10 ± 0.10 (n = 3) | -71.90 [-72.15, -71.65] "
        "| 98.20 ± 0.20 (n = 3) | +1.20 [+0.70, +1.70] |" in text
    )
    assert "| with | 301 | – | – | – |" in text
    assert "| with, population | 101 | 301 | – | – |" in text
    assert "In 1 of 1 rows the two differ by more than the seeds explain" in text
    rows = rows_of(os.path.dirname(path), "runs.csv")
    assert [row["test_accuracy_population"] for row in rows[:2]] == ["", "0.98"]
    assert [row["steps_to_0.95_population"] for row in rows[:2]] == ["", "101"]


@pytest.mark.parametrize(
    "seeds, population, lags",
    [(1, 0.98, False), (1, 0.96, True), (3, 0.9702, False), (3, 0.96, True)],
)
def test_that_moving_averages_lag_is_said_where_chance_does_not_explain_it(
    tmp_path, seeds, population, lags
):
    path = written_with_population(tmp_path, seeds, 0.9725, population)
    assert ("do not fit the weights" in text_of(path)) == lags


def test_a_report_says_when_different_code_trained_its_runs(tmp_path):
    text = text_of(written_with_population(tmp_path, 2, 0.97, 0.97, code=("abc", "def")))
    assert "trained by code abc, def on a processor." in text
    assert "2 versions of the code trained these runs" in text


def test_each_run_is_one_row(written):
    rows = rows_of(written, "runs.csv")
    assert len(rows) == 8 and len({row["run"] for row in rows}) == 8
    assert rows[0]["steps_to_0.95"] == "201" and rows[0]["steps_to_0.99"] == ""
    assert rows[0]["status"] == "finished" and json.loads(rows[0]["batch_norm"]) is False


def test_every_figure_that_the_report_shows_is_there(written):
    with open(os.path.join(written, "report.md"), encoding="utf-8") as file:
        shown = [line.split("](")[1][:-1] for line in file.read().splitlines() if line[:2] == "!["]
    assert "fc_loss.png" in shown
    for name in shown:
        with open(os.path.join(written, name), "rb") as file:
            assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    assert sorted(shown) == sorted(name for name in os.listdir(written) if name.endswith(".png"))


def test_a_loss_that_is_not_finite_is_told_with_its_step(tmp_path):
    folder = write_run(tmp_path, "a", 0.1, losses=[0.7, 0.6, math.nan, 0.5])
    (result,) = run_results.read([folder], str(tmp_path), print)
    assert (result.status, result.reason) == ("diverged", "loss nan at step 2")


def test_a_run_that_failed_before_it_began_is_in_the_report(tmp_path):
    folder = tmp_path / "fc" / "a"
    os.makedirs(str(folder))
    settings = {"network": "fc", "flags": {"seed": 0, "batch_norm": True}, "data": {}}
    made_runs.write_json(str(folder / "settings.json"), settings)
    made_runs.write_json(str(folder / "failure.json"), {"reason": "no space", "diverged": False})
    path = report.write([str(folder)], str(tmp_path), str(tmp_path / "report"), print)
    with open(path, encoding="utf-8") as file:
        assert "| fc/a | failed | no space |" in file.read()


def test_a_flag_that_varies_only_along_with_another_is_no_column(tmp_path):
    folders = [
        write_run(tmp_path, str(layers), 0.9, layers=layers, hidden_units=[9] * layers)
        for layers in (2, 3)
    ]
    results = run_results.read(folders, str(tmp_path), print)
    assert report_tables.telling_flags(results) == ["layers"]


def test_how_batch_norm_is_done_is_compared_with_the_one_run_without_it(tmp_path):
    folders = [write_run(tmp_path, "without", 0.9, batch_norm=False, batch_norm_momentum=0.99)]
    folders += [
        write_run(tmp_path, str(momentum), accuracy, batch_norm=True, batch_norm_momentum=momentum)
        for momentum, accuracy in ((0.9, 0.95), (0.99, 0.5))
    ]
    text = text_of(report.write(folders, str(tmp_path), str(tmp_path / "report"), print))
    assert "| 0.9 | 90.00 (n = 1) | 95.00 (n = 1) | +5.00 |" in text
    assert "| 0.99 | 90.00 (n = 1) | 50.00 (n = 1) | -40.00 |" in text


def test_validation_on_the_way_is_the_mean_over_the_seeds(tmp_path):
    folders = [
        write_run(tmp_path, str(seed), 0.9, (0.1, accuracy, 0.7), seed=seed, batch_norm=True)
        for seed, accuracy in enumerate((0.5, 0.6))
    ]
    text = text_of(report.write(folders, str(tmp_path), str(tmp_path / "report"), print))
    assert "| batch norm | test loss | validation loss |" in text
    assert "| batch norm | 100 | 200 |\n|---|---|---|\n| with | 55.00 | 70.00 |" in text


def test_the_median_counts_a_run_that_never_got_there_as_the_longest():
    def speed(*steps):
        results = [
            run_results.RunResult(None, "finished", "", {}, {("", 0.95): each}, {}, {})
            for each in steps
        ]
        return report.speed_text(results, "", 0.95)

    assert speed(math.inf, 700, 900) == "900, 2 of 3"
    assert speed(math.inf, 700) == "700, 1 of 2"


def test_the_evaluation_at_the_end_counts_the_steps_that_were_trained(tmp_path):
    folder = write_run(tmp_path, "a", 0.9, (0.1, 0.2, 0.3))
    made_runs.write_event_file(
        os.path.join(folder, "validation", "events.out.tfevents.1700000001.host"),
        [made_runs.scalar_event(301, accuracy=0.995)],
    )
    (result,) = run_results.read([folder], str(tmp_path), pytest.fail)
    by_moving_averages = {steps for (end, _), steps in result.steps_to.items() if end == ""}
    assert by_moving_averages == {301}
