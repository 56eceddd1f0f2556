import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plot_losses
from graph_mode import command_line
from graph_mode.command_line import CommandError
from graph_mode.plotting import figures, run_groups, run_lines, saved_runs
from tests.made_runs import BEGAN, scalar_event, write_event_file, write_run, write_scalars

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAN = float("nan")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run_program(*arguments, **options):
    """plot_losses.py as a person starts it, in the current folder; every warning is an error."""
    command = [sys.executable, "-W", "error", os.path.join(ROOT, "plot_losses.py")]
    command += map(str, arguments)
    return subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"},
        **options,
    )


def run_here(*arguments):
    """The exit code of plot_losses.py, run in this process: quicker where that is enough."""
    with pytest.raises(SystemExit) as ended:
        command_line.run(lambda: plot_losses.main(list(arguments)))
    return ended.value.code


def read_runs(*paths):
    notes = []
    paths = list(paths) or ["runs"]
    return saved_runs.read_runs(saved_runs.find_event_files(paths), paths, notes.append), notes


def lines_of(runs, x="step", smoothing=0, group_by=None):
    """The figures.Lines of the only figure that the runs make."""
    (plot,) = run_lines.plots_of(runs, lambda tag: tag.endswith("loss"))
    return run_lines.panel_of(plot, x, smoothing, group_by, lambda note: None).lines


def texts_of(figure):
    axes = figure.axes[0]
    return [text.get_text() for text in axes.get_legend().get_texts()]


# The command, from its arguments to its files


def test_without_arguments_it_draws_each_network_and_prints_what_and_how_well(tmp_path):
    write_run("runs/fc/adam_batchnorm", losses=[0.5, 0.25, 0.375])
    write_run("runs/fc/sgd_no_batchnorm", optimizer="sgd", batch_norm=False, ended=False)
    write_run("runs/conv/adam_batchnorm", "conv")
    done = run_program()
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["wrote runs/figures/conv_loss.png", "wrote runs/figures/fc_loss.png"]
    rows = [re.split(r"  +", line) for line in lines[2:]]
    assert rows[0] == ["run", "steps"] + ["final loss", "best loss", "validation accuracy"] + [
        "test accuracy"
    ]
    assert rows[2] == ["fc/adam_batchnorm", "3", "0.37500", "0.25000", "0.97000", "0.98000"]
    assert rows[3][-2:] == ["0.50000", "-"]
    assert sorted(os.listdir("runs/figures")) == ["conv_loss.png", "fc_loss.png"]


def test_it_never_imports_tensorflow_and_no_matplotlib_before_the_arguments_are_right():
    write_run("runs/fc/adam_batchnorm")
    program = """
import sys
import plot_losses
assert "matplotlib" not in sys.modules
plot_losses.main(["runs", "--format", "png,svg,pdf", "--csv", "a.csv", "--json", "a.json"])
assert "matplotlib.figure" in sys.modules
assert "tensorflow" not in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": ROOT}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_same_input_same_bytes_whatever_the_time_and_the_settings_of_matplotlib(tmp_path):
    write_run("runs/fc/adam_batchnorm")
    write_run("runs/fc/adam_batchnorm-2", seed=1)
    write_run("runs/fc/sgd_batchnorm", optimizer="sgd")
    first = run_program("--format", "png,svg,pdf", "--output-dir", "first")
    assert (first.returncode, first.stderr) == (0, "")
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\nsvg.hashsalt: x\n")
    time.sleep(1.1)
    assert run_program("--format", "png,svg,pdf", "--output-dir", "second").returncode == 0
    for name in ("fc_loss.png", "fc_loss.svg", "fc_loss.pdf"):
        content = (tmp_path / "first" / name).read_bytes()
        assert content == (tmp_path / "second" / name).read_bytes()
        assert not re.search(rb"CreationDate|<dc:date>|Software|matplotlib v|Matplotlib v", content)


def test_exports_hold_every_point_exactly(tmp_path):
    losses = np.random.RandomState(0).normal(size=30).astype(np.float32)
    losses[3:6] = [NAN, np.inf, -np.inf]
    write_run("runs/fc/a b", losses=losses)
    assert run_here("--csv", "x/points.csv", "--json", "x/points.json") == 0
    with open("x/points.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["run", "tag", "step", "wall_time", "value"]
    train = [row for row in rows if row["run"] == "fc/a b/train"]
    assert [row["value"] for row in train] == [repr(float(value)) for value in losses]
    assert [float(row["wall_time"]) for row in train] == [BEGAN + 0.01 * n for n in range(30)]
    assert {row["run"] for row in rows} == {f"fc/a b/{s}" for s in ("train", "validation", "test")}
    with open("x/points.json", encoding="utf-8") as file:
        points = json.load(file, parse_constant=pytest.fail)
    assert [str(point["value"]).lower()[:3] for point in points] == [r["value"][:3] for r in rows]
    assert [p["value"] for p in points if p["run"] == "fc/a b/train"][2:6] == [
        float(losses[2]),
        "NaN",
        "Infinity",
        "-Infinity",
    ]


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ([], "found no event files in runs; expected what a training run writes"),
        (["--tags", "accurac"], "found no event files"),
        (["no/*/where"], "found no event files in no/*/where"),
        (["--smoothing", "1"], "expected a number from 0 to 0.999, found '1'"),
        (["--smoothing", "nan"], "expected a number from 0 to 0.999, found 'nan'"),
        (["--dpi", "0"], "expected a number from 20 to 1200, found '0'"),
        (["--format", "png,jpg"], "expected png, svg, pdf, found 'jpg'"),
        (["--x", "wall", "--group-by", "seed"], "--x wall shows each run by itself"),
        (["--log-y", "--linear-y"], "not allowed with"),
        (["--tags", ","], "expected at least one name"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, expected, capsys):
    os.mkdir("runs")
    assert run_here(*arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert expected in output.err
    assert output.err.count("\n") == 1
    assert os.listdir("runs") == []


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--tags", "accurac"], "name one of these with --tags: accuracy, loss"),
        (["--group-by", "speed"], "no run recorded speed; recorded are: batch_norm, "),
        (["--output-dir", "runs/fc/a/settings.json"], "runs/fc/a/settings.json"),
        (["--csv", "runs"], "runs: Is a directory"),
    ],
)
def test_what_does_not_fit_the_runs_is_one_line_and_exit_code_2(arguments, expected, capsys):
    write_run("runs/fc/a")
    assert run_here(*arguments) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert expected in errors


def test_a_figure_that_cannot_be_written_leaves_the_old_one_and_no_other_file(monkeypatch):
    write_run("runs/fc/a")
    plot_losses.main(["runs"])
    with open("runs/figures/fc_loss.png", "rb") as file:
        before = file.read()

    def no_space(self, path, **options):
        with open(path, "wb") as file:
            file.write(b"half a figure")
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", no_space)
    with pytest.raises(OSError) as error:
        plot_losses.main(["runs"])
    assert error.value.filename == os.path.join("runs", "figures", "fc_loss.png")
    assert os.listdir("runs/figures") == ["fc_loss.png"]
    with open("runs/figures/fc_loss.png", "rb") as file:
        assert file.read() == before


def test_nan_and_infinite_values_are_counted_and_said(capsys):
    write_run("runs/fc/a", losses=[1.0, NAN, 0.5, np.inf, 0.25, 0.1])
    plot_losses.main(["runs"])
    expected = "note: fc/a: loss: 2 of 6 values are nan or infinite: gaps in the curve"
    assert expected in capsys.readouterr().err


def test_values_that_a_logarithmic_axis_cannot_show_are_counted_and_said(capsys):
    write_run("runs/fc/a", losses=[1.0, 0.0, -2.0, 0.5])
    plot_losses.main(["runs"])
    assert "not above 0" not in capsys.readouterr().err
    plot_losses.main(["runs", "--log-y"])
    assert "loss: 2 of 4 values are not above 0" in capsys.readouterr().err


def test_damage_is_named_by_file_and_offset_and_the_rest_is_drawn(capsys):
    folder = write_run("runs/fc/a", losses=np.linspace(1, 0.1, 50))
    path = os.path.join(folder, "train", os.listdir(os.path.join(folder, "train"))[0])
    with open(path, "r+b") as file:
        file.seek(500)
        file.write(b"\xff\xff")
    assert run_here() == 0
    output = capsys.readouterr()
    assert re.search(rf"^note: {re.escape(path)}: byte \d+: .*left out \d+ bytes$", output.err)
    assert output.out.startswith("wrote runs/figures/fc_loss.png")


@pytest.mark.parametrize("ended", [True, False])
def test_a_file_cut_off_is_worth_a_word_only_if_the_run_has_ended(ended, capsys):
    folder = write_run("runs/fc/a", ended=ended)
    path = os.path.join(folder, "train", os.listdir(os.path.join(folder, "train"))[0])
    os.truncate(path, os.path.getsize(path) - 5)
    assert run_here() == 0
    errors = capsys.readouterr().err
    said = "stops inside a record, though the run has ended" in errors
    assert said == ended == bool(errors)


def test_unreadable_settings_are_reported_and_the_run_is_drawn(capsys):
    folder = write_run("runs/fc/a")
    for content, expected in (("{", "not readable as JSON"), ("[1]", "expected a JSON object")):
        with open(os.path.join(folder, "settings.json"), "w") as file:
            file.write(content)
        plot_losses.main(["runs"])
        assert expected in capsys.readouterr().err


def test_watching_redraws_when_a_run_has_written_more_and_stops_with_the_interrupt():
    folder = write_run("runs/fc/a", ended=False)
    command = [sys.executable, os.path.join(ROOT, "plot_losses.py"), "--watch"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    try:
        first = [process.stdout.readline() for _ in range(3)]
        assert first[2].split()[:2] == ["fc/a", "20"]
        write_scalars(os.path.join(folder, "train"), "loss", np.ones(30))
        second = [process.stdout.readline() for _ in range(3)]
        assert second[2].split()[:2] == ["fc/a", "30"]
        # Nothing changes now: the next line would be a redraw for nothing.
        time.sleep(plot_losses.WATCH_SECONDS + 1)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (rest, process.returncode) == ("", 130)
    assert errors.count("\n") == 1


def test_watching_waits_for_the_first_run(monkeypatch, capsys):
    waits = []

    def run_begins_or_person_leaves(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt
        write_run("runs/fc/a")

    monkeypatch.setattr(plot_losses.time, "sleep", run_begins_or_person_leaves)
    with pytest.raises(KeyboardInterrupt):
        plot_losses.main(["--watch"])
    output = capsys.readouterr()
    assert "found no event files in runs" in output.err and "waiting" in output.err
    assert "wrote " in output.out


# Which files are read as which runs


def test_of_a_run_with_settings_only_the_scalars_of_its_parts_are_read():
    folder = write_run("runs/fc/a")
    write_scalars(folder, "loss", [9.0])
    write_scalars(os.path.join(folder, "images"), "loss", [9.0])
    ((folder, parts),) = saved_runs.find_event_files(["runs"]).items()
    assert folder == os.path.join("runs", "fc", "a")
    assert sorted(parts) == ["test", "train", "validation"]


def test_event_files_of_other_programs_are_drawn_by_their_tag():
    write_scalars("logs/one fc", "fc_loss", [1.0, 0.5])
    write_scalars("logs/deep/er/conv", "conv_loss", [1.0, 0.5])
    write_scalars("logs/deep/other", "gloss", [1.0, 0.5])
    done = run_program("logs")
    assert done.stdout.splitlines()[:2] == [
        "wrote runs/figures/conv_loss.png",
        "wrote runs/figures/fc_loss.png",
    ]
    assert "one fc" in done.stdout and "gloss" not in done.stdout


def test_a_resumed_run_shows_the_later_points():
    folder = write_run("runs/fc/a", losses=[5.0, 4.0, 3.0, 2.0])
    # Named so that the alphabet would put it first.
    later = [scalar_event(step, BEGAN + 100 + step, loss=0.5) for step in (2, 3, 4)]
    write_event_file(os.path.join(folder, "train", "a.tfevents.0"), later, BEGAN + 100)
    (run,), notes = read_runs()
    assert run.scalars["train"]["loss"].values.tolist() == [5.0, 4.0, 0.5, 0.5, 0.5]
    assert notes == []


@pytest.mark.parametrize(
    "paths, names",
    [
        (["runs"], ["conv/x", "fc/a-2", "fc/a-10"]),
        (["runs/fc/*"], ["a-2", "a-10"]),
        (["runs/fc/a-2"], ["a-2"]),
        (["runs/fc/a-2", "runs/conv"], ["conv/x", "fc/a-2"]),
        (["runs/fc/a-2/train"], ["a-2"]),
        (["**/x"], ["x"]),
        (["runs", "runs/fc/a-2"], ["conv/x", "fc/a-2", "fc/a-10"]),
    ],
)
def test_runs_are_found_by_folder_and_pattern_and_named_by_their_path(paths, names):
    for name in ("fc/a-10", "fc/a-2", "conv/x"):
        write_run(os.path.join("runs", name), network=name.split("/")[0])
    runs, _ = read_runs(*paths)
    assert [run.name.replace(os.sep, "/") for run in runs] == names


def test_a_file_that_cannot_be_opened_is_reported_and_the_others_are_read():
    write_run("runs/fc/a")
    write_run("runs/fc/b")

    def read(path):
        if "a" in path.split(os.sep):
            raise PermissionError(13, "Permission denied", path)
        return saved_runs.read_event_file(path)

    notes = []
    found = saved_runs.find_event_files(["runs"])
    runs = saved_runs.read_runs(found, ["runs"], notes.append, read)
    assert [bool(run.scalars["train"]) for run in runs] == [False, True]
    assert len(notes) == 3 and "Permission denied" in notes[0]


# Which runs become one curve, and how it looks


def test_runs_that_differ_only_in_seed_become_one_line_with_its_band_and_count():
    for seed, losses in enumerate([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]]):
        # Where it was written and how many threads there were is no difference.
        write_run(f"runs/fc/a-{seed}", seed=seed, losses=losses, run_name=str(seed), threads=seed)
    write_run("runs/fc/b", batch_norm=False)
    with_band, alone = lines_of(read_runs()[0])
    assert with_band.label == "adam, batch norm (n = 3)"
    assert with_band.y.tolist() == [3, 2]
    assert (with_band.low.tolist(), with_band.high.tolist()) == ([1, 2], [5, 2])
    assert alone.label == "adam, no batch norm" and alone.low is None


def test_the_same_seed_twice_is_not_a_sample_more():
    for name, seed in (("a", 0), ("b", 1), ("c", 0)):
        write_run(f"runs/fc/{name}", seed=seed)
    groups = run_groups.group_by_seed(read_runs()[0])
    assert [[run.name for run in group.runs] for group in groups] == [["fc/a", "fc/b"], ["fc/c"]]
    assert [group.label for group in groups] == [
        "adam, batch norm (fc/a)",
        "adam, batch norm (fc/c)",
    ]
    assert groups[0].color != groups[1].color


def test_runs_of_unequal_length_say_how_many_seeds_the_mean_has():
    write_run("runs/fc/a", seed=0, losses=[1.0, 1.0, 1.0])
    write_run("runs/fc/b", seed=1, losses=[3.0])
    (line,) = lines_of(read_runs()[0])
    assert line.label == "adam, batch norm (n = 1 to 2)"
    assert line.y.tolist() == [2, 1, 1]


def test_a_label_names_the_settings_that_tell_a_curve_from_its_rivals():
    write_run("runs/fc/a", learning_rate=0.1, hidden_units=[8, 4])
    write_run("runs/fc/b", learning_rate=0.2, hidden_units=[8, 4], data_dir="elsewhere")
    write_run("runs/fc/c", optimizer="sgd", learning_rate=0.3, hidden_units=[8])
    labels = [group.label for group in run_groups.group_by_seed(read_runs()[0])]
    assert labels == [
        "adam, batch norm, learning rate 0.1",
        "adam, batch norm, learning rate 0.2",
        "sgd, batch norm",
    ]


def test_an_optimizer_has_one_colour_and_batch_norm_a_style_in_every_figure():
    for optimizer in run_groups.OPTIMIZER_COLORS:
        for batch_norm in (True, False):
            write_run(f"all/fc/{optimizer}{batch_norm}", "fc", optimizer, batch_norm, losses=[1.0])
    write_run("one/fc/x", "fc", "adagrad", False)
    lines = lines_of(read_runs("all")[0])
    looks = {(line.color, line.dashed) for line in lines}
    assert len(looks) == len(lines) == 16
    assert len({line.color for line in lines}) == 8
    by_label = {line.label: (line.color, line.dashed) for line in lines}
    (alone,) = lines_of(read_runs("one")[0])
    assert (alone.color, alone.dashed) == by_label[alone.label] == (figures.PURPLE, True)


def test_forty_runs_have_forty_looks_and_labels():
    for optimizer in ("adam", "sgd", "momentum", "rmsprop", "ftrl"):
        for batch_norm in (True, False):
            for rate in (0.1, 0.2, 0.3, 0.4):
                name = f"runs/fc/{optimizer}{batch_norm}{rate}"
                write_run(name, "fc", optimizer, batch_norm, losses=[1.0], learning_rate=rate)
    lines = lines_of(read_runs()[0])
    assert len({(line.color, line.dashed) for line in lines}) == 40
    assert len({line.label for line in lines}) == 40


def test_group_by_draws_the_mean_of_all_runs_with_the_same_values():
    for number, (optimizer, rate) in enumerate([("adam", 0.1), ("sgd", 0.1), ("sgd", 0.2)]):
        write_run(f"runs/fc/{number}", optimizer=optimizer, learning_rate=rate, losses=[number])
    write_scalars("runs/other", "fc_loss", [7.0])
    lines = lines_of(read_runs()[0], group_by=["learning_rate"])
    assert [(line.label, line.y.tolist()) for line in lines] == [
        ("learning rate 0.1 (n = 2)", [0.5]),
        ("learning rate 0.2", [2]),
        ("other", [7]),
    ]
    assert len({line.color for line in lines}) == 3


def test_runs_on_the_clock_are_drawn_one_by_one():
    for seed in (0, 1):
        write_run(f"runs/fc/{seed}", seed=seed, began=BEGAN + 86400 * seed, losses=[1.0, 0.5])
    lines = lines_of(read_runs()[0], x="wall")
    assert [line.label for line in lines] == [f"adam, batch norm, seed {seed}" for seed in (0, 1)]
    assert lines[1].x[0] - lines[0].x[0] == 1.0


def test_relative_time_begins_with_the_run_and_has_a_unit_that_fits():
    write_run("runs/fc/a", losses=[1.0] * 5)
    (plot,) = run_lines.plots_of(read_runs()[0], lambda tag: tag == "loss")
    panel = run_lines.panel_of(plot, "relative", 0, None, lambda note: None)
    assert panel.x_label == "Time since the run began (s)"
    np.testing.assert_allclose(panel.lines[0].x, [0, 0.01, 0.02, 0.03, 0.04], atol=1e-6)
    long = [scalar_event(step, BEGAN + 3600 * step, loss=1.0) for step in range(5)]
    write_event_file("logs/a/x.tfevents", long)
    (plot,) = run_lines.plots_of(read_runs("logs")[0], lambda tag: tag == "loss")
    panel = run_lines.panel_of(plot, "relative", 0, None, lambda note: None)
    assert panel.x_label == "Time since the run began (h)"
    assert panel.lines[0].x.tolist() == [0, 1, 2, 3, 4]


def test_validation_is_drawn_as_markers_where_it_was_measured():
    write_run("runs/fc/a", losses=np.full(1002, 2.0))
    (line,) = lines_of(read_runs()[0])
    assert line.markers[0].tolist() == [0, 500, 1000, 1001]
    assert line.markers[1].tolist() == pytest.approx([2.2] * 4)


@pytest.mark.parametrize(
    "values, logarithmic",
    [([1.0, 0.09], True), ([1.0, 0.2], False), ([1.0, 0.0], False), ([NAN, NAN], False)],
)
def test_the_axis_is_logarithmic_where_the_losses_span_a_decade(values, logarithmic):
    write_run("runs/fc/a", losses=values)
    assert figures.spans_decade(lines_of(read_runs()[0])) == logarithmic


# The picture


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("name", ["a", "a very long name of a run, " * 5])
def test_nothing_is_clipped_and_the_legend_is_beside_the_curves(count, name):
    x = np.arange(5.0)
    line = figures.Line(name, figures.BLUE, False, x, x * 1e7, x * 1e7, None, None, (x, x))
    figure = figures.draw([line] * count, "A title " * 12, "x", "y", notes=[("marker", "m")])
    axes = figure.axes[0]
    renderer = figure.canvas.get_renderer()
    legend = axes.get_legend().get_window_extent(renderer)
    assert legend.x0 > axes.get_window_extent(renderer).x1
    everything = axes.get_tightbbox(renderer)
    assert everything.x0 >= 0 and everything.y0 >= 0
    assert everything.x1 <= figure.bbox.x1 and everything.y1 <= figure.bbox.y1
    assert len(texts_of(figure)) == count + 1


def test_names_are_shown_as_they_are_in_any_alphabet_without_a_warning():
    names = ["_a b", "$x$ $y", "тест", "试验", "a\nb\x1b[1m", r"\alpha", "a" * 300, "", "%s {0}"]
    for name in names[:-2]:
        write_scalars(os.path.join("logs", name)[:200], "fc_loss", [1.0, 0.5])
    done = run_program("logs", "--title", "$ 损失 _{", "--csv", "points.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    with open("points.csv", newline="", encoding="utf-8") as file:
        assert {row["run"][:5] for row in csv.DictReader(file)} == {n[:5] for n in names[:-2]}
    x = np.arange(2.0)
    lines = [figures.Line(n, figures.BLUE, False, x, x, None, None, None, None) for n in names]
    shown = texts_of(figures.draw(lines, "title", "x", "y"))
    assert len(set(shown)) == len(names)
    assert shown[0] == " _a b" and shown[1] == r"\$x\$ \$y"


def test_without_a_screen_show_says_so():
    write_run("runs/fc/a")
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    command = [sys.executable, os.path.join(ROOT, "plot_losses.py"), "--show"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--show needs a screen" in done.stderr


def test_a_long_curve_keeps_its_extremes_its_end_and_its_gaps():
    values = np.random.RandomState(0).normal(size=200001)
    values[1000] = 50
    values[150000] = -50
    values[100000:110000] = NAN
    shown = figures.extremes(values, values)
    assert len(shown) <= figures.MAX_POINTS
    assert np.all(np.diff(shown) >= 0)
    assert {1000, 150000, 200000} <= set(shown)
    assert np.isnan(values[shown]).any()
    assert not np.isnan(values[shown][(shown < 99000) | (shown > 111000)]).any()
    assert figures.extremes(values[:20000], values[:20000]).tolist() == list(range(20000))


def test_svg_figures_are_well_formed():
    write_scalars("logs/<&>\x01", "fc_loss", [1.0, 0.5])
    assert run_here("logs", "--format", "svg") == 0
    xml.etree.ElementTree.parse("runs/figures/fc_loss.svg")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("x", ["step", "relative", "wall"])
@pytest.mark.parametrize(
    "messages",
    [
        [scalar_event(0, loss=NAN)],
        [scalar_event(0, loss=1.0)],
        [scalar_event(0, 0.0, loss=0.0), scalar_event(1, NAN, loss=1.0)],
        [scalar_event(step, 1e300 * step, loss=3e38 * (-1) ** step) for step in range(4)],
        [scalar_event(step, -1e9, loss=1e-40 * step) for step in range(4)],
        [scalar_event(2**62 * step, loss=step) for step in (0, 1)],
    ],
)
def test_strange_values_draw_without_an_error_or_a_warning(messages, x, capsys):
    write_event_file("runs/a/tfevents", messages)
    for scale in ("--log-y", "--linear-y"):
        assert run_here("--x", x, scale, "--output-dir", "out") == 0
        assert all(line.startswith("note: ") for line in capsys.readouterr().err.splitlines())


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
FLAGS = st.dictionaries(
    st.sampled_from(["optimizer", "batch_norm", "seed", "loss", "learning_rate", "data_dir", "x"]),
    JSON,
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({"network": JSON, "flags": FLAGS | JSON, "data": JSON}),
        min_size=1,
        max_size=4,
    )
)
def test_any_settings_are_drawn(tmp_path_factory, all_settings):
    folder = tmp_path_factory.mktemp("runs")
    for number, content in enumerate(all_settings):
        run = folder / str(number)
        write_scalars(run / "train", "loss", [1.0, 0.5])
        (run / "settings.json").write_text(json.dumps(content), encoding="utf-8")
    runs, _ = read_runs(str(folder))
    for plot in run_lines.plots_of(runs, lambda tag: True):
        for group_by in (["optimizer"], ["batch_norm", "x"], None):
            try:
                panel = run_lines.panel_of(plot, "step", 0.5, group_by, lambda note: None)
            except CommandError:
                continue
            assert len(panel.lines) >= 1
        figures.draw(panel.lines, panel.title, panel.x_label, panel.y_label)
