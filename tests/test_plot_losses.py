"""plot_losses.py: from the files of runs to figures, a table and CSV."""

import csv
import gzip
import hashlib
import itertools
import json
import ntpath
import os
import re
import subprocess
import sys
import types
import xml.etree.ElementTree

import matplotlib
import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given
from hypothesis import strategies as st
from made_runs import BEGAN, scalar_event, tensor_event, write_event_file, write_run, write_scalars
from matplotlib.backends import backend_agg

import plot_losses
from graph_mode import command_line
from graph_mode.plotting import curves, figures, run_groups, run_lines
from graph_mode.runs import recorded

NAN = float("nan")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run_program(*arguments, **environment):
    """plot_losses.py as a person starts it, in the current folder; every warning is an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", os.path.join(ROOT, "plot_losses.py"), *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )


def run_here(*arguments):
    """The exit code of plot_losses.py, run in this process: quicker where that is enough."""
    with pytest.raises(SystemExit) as ended:
        command_line.run(lambda: plot_losses.main(list(arguments)))
    return ended.value.code


def read_runs(*paths):
    """The runs, and what was said of them."""
    notes, paths = [], list(paths) or ["runs"]
    found = recorded.find_event_files(paths, notes.append)
    return recorded.read_runs(found, paths, notes.append), notes


def names_of(*paths):
    return [run.name.replace(os.sep, "/") for run in read_runs(*paths)[0]]


def panels_of(*paths, notes=None, tag="*loss", with_accuracy=False, **look):
    """The figures.Panels of the only figure that such tags of the runs make."""
    (plot,) = run_lines.plots_of(read_runs(*paths)[0], lambda name: name.endswith(tag[1:]))
    notes = [] if notes is None else notes
    look = {"smoothing": 0, **look}
    return run_lines.panels_of(plot, notes.append, with_accuracy, **look)


def looks_of(*paths, **look):
    return {line.label: (line.color, line.dashed) for line in panels_of(*paths, **look)[0].lines}


def legend_of(figure):
    return [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]


# The command, from its arguments to its files


def test_without_arguments_it_draws_each_network_without_tensorflow_and_prints_a_table(
    without_tensorflow,
):
    write_run("runs/fc/adam_batchnorm", losses=[0.5, 0.25, 0.375])
    write_run("runs/fc/sgd_no_batchnorm", optimizer="sgd", batch_norm=False, ended=False)
    write_run("runs/conv/adam_batchnorm", "conv")
    write_run("runs/compare/fc/a")
    # The backend matters only for --show.
    done = run_program("--format", "png,svg", MPLBACKEND="nonsense", **without_tensorflow)
    assert (done.returncode, done.stderr) == (0, "")
    names = [f"{network}_loss.{ending}" for network in ("conv", "fc") for ending in ("png", "svg")]
    lines = done.stdout.splitlines()
    assert lines[:4] == [f"wrote {os.path.join('runs', 'figures', name)}" for name in names]
    assert sorted(os.listdir("runs/figures")) == names
    xml.etree.ElementTree.parse("runs/figures/fc_loss.svg")
    rows = [re.split(r"  +", line) for line in lines[4:]]
    accuracies = ["validation accuracy", "test accuracy"]
    assert rows[0] == ["run", "steps", "final loss", "best loss", *accuracies]
    assert rows[2] == ["fc/adam_batchnorm", "3", "0.37500", "0.25000", "0.97000", "0.98000"]
    assert rows[3][-2:] == ["0.50000", "-"]
    assert len(rows) == 4  # The runs of a comparison are drawn only when named.


def test_same_input_same_bytes_whatever_the_settings_of_matplotlib(tmp_path, monkeypatch):
    write_run("runs/fc/adam_batchnorm")
    for folder, size in (("first", 10), ("second", 30)):
        monkeypatch.setitem(matplotlib.rcParams, "font.size", size)
        monkeypatch.setitem(matplotlib.rcParams, "svg.hashsalt", folder)
        assert run_here("--format", "png,svg,pdf", "--output-dir", folder) == 0
    for name in ("fc_loss.png", "fc_loss.svg", "fc_loss.pdf"):
        content = (tmp_path / "first" / name).read_bytes()
        assert content == (tmp_path / "second" / name).read_bytes()
        assert not re.search(rb"CreationDate|<dc:date>|Software|matplotlib v|Matplotlib v", content)


def test_csv_holds_every_point_exactly(capsys):
    losses = np.random.RandomState(0).normal(size=30).astype(np.float32)
    losses[3:6] = [NAN, np.inf, -np.inf]
    write_run("runs/fc/a b", losses=losses)
    assert run_here("--csv", "points.csv") == 0
    with open("points.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["run", "tag", "step", "wall_time", "value"]
    train = [row for row in rows if row["run"] == "fc/a b/train"]
    assert [row["value"] for row in train] == [repr(float(value)) for value in losses]
    assert [float(row["wall_time"]) for row in train] == [BEGAN + 0.01 * n for n in range(30)]
    assert {row["run"] for row in rows} == {f"fc/a b/{s}" for s in ("train", "validation", "test")}
    capsys.readouterr()
    # On standard output it stands alone.
    assert run_here("--csv", "-") == 0
    output = capsys.readouterr()
    assert output.out.startswith("run,tag,step") and output.out.count("\n") == 1 + len(rows)
    assert "wrote " in output.err and "final loss" in output.err


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["no/*/where"], "found no event files in no/*/where"),
        (["--smoothing", "1"], "expected a number from 0 to 0.999, found '1'"),
        (["--smoothing", "nan"], "expected a number from 0 to 0.999, found 'nan'"),
        (["--format", "png,jpg"], "expected png, svg, pdf, found 'jpg'"),
        (["--x", "wall", "--group-by", "seed"], "--x wall shows each run by itself"),
        (["--log-y", "--linear-y"], "not allowed with"),
        (["--tags", ","], "expected at least one name"),
        (["--tags", "accurac"], "name one of these with --tags: accuracy, loss"),
        (["--group-by", "optimizer,speed"], "no run recorded speed; recorded are: batch_norm, "),
        (["--output-dir", "runs/fc/a/settings.json"], "runs/fc/a/settings.json"),
        (["--csv", "runs"], "runs: Is a directory"),
        (["empty"], "found no scalars in the event files in empty"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_exit_code_2(arguments, expected, capsys):
    write_run("runs/fc/a")
    write_event_file("empty/tfevents", [])
    assert run_here(*arguments) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and expected in errors


@pytest.mark.parametrize("backend", ["nonsense", "agg"])
def test_without_a_window_show_is_refused_in_one_line(backend):
    done = run_program("--show", MPLBACKEND=backend)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--show needs a window" in done.stderr and "leave out --show" in done.stderr


def test_values_that_the_figure_cannot_show_are_counted_and_said():
    write_run("runs/fc/a", losses=[1.0, NAN, 0.0, np.inf, -0.25, 0.1])
    for log_y, said in ((None, ["infinite"]), (True, ["infinite", "not above 0"])):
        notes = []
        panels_of(notes=notes, log_y=log_y)
        assert len(notes) == len(said)
        for note, words in zip(notes, said):
            assert note.startswith("fc/a: loss: 2 of 6 ") and words in note


# What is left out is said


def test_damage_is_named_by_file_and_offset_and_the_rest_is_read():
    folder = write_run("runs/fc/a", losses=np.linspace(1, 0.1, 200))
    (name,) = os.listdir(os.path.join(folder, "train"))
    path = os.path.join(folder, "train", name)
    with open(path, "r+b") as file:
        for place in (500, 1500):
            file.seek(place)
            file.write(b"\xff\xff")
    (run,), (note,) = read_runs()
    assert len(run.scalars["train"]["loss"].steps) > 195
    assert re.fullmatch(rf"{re.escape(path)}: byte \d+: .*left out \d+ bytes in 2 places", note)


@pytest.mark.parametrize("ended", [True, False])
def test_a_file_cut_off_is_worth_a_word_only_if_the_run_has_ended(ended):
    folder = write_run("runs/fc/a", ended=ended)
    path = os.path.join(folder, "train", os.listdir(os.path.join(folder, "train"))[0])
    os.truncate(path, os.path.getsize(path) - 5)
    assert ["stops inside a record" in note for note in read_runs()[1]] == [True] * ended


@pytest.mark.parametrize(
    "content, expected", [("{", "not readable as JSON"), ("[1]", "found list")]
)
def test_unreadable_settings_are_reported_and_the_run_is_drawn(content, expected, tmp_path):
    folder = write_run("runs/fc/a")
    (tmp_path / folder / "settings.json").write_text(content)
    (run,), (note,) = read_runs()
    assert run.flags == {} and "settings.json" in note and expected in note


@pytest.mark.parametrize("module, name", [(os, "scandir"), (recorded, "read_event_file")])
def test_what_cannot_be_read_is_named_and_the_rest_is_drawn(module, name, monkeypatch):
    for run in ("a", "b"):
        write_scalars(f"logs/{run}", "loss", [1.0])
    function = getattr(module, name)

    def refuse_one(path, *rest):
        if "a" in path.split(os.sep):
            raise PermissionError(13, "Permission denied", path)
        return function(path, *rest)

    monkeypatch.setattr(module, name, refuse_one)
    runs, notes = read_runs("logs", "nothing")
    assert runs[-1].name == "b" and runs[-1].scalars[""]
    assert ["Permission denied" in note for note in sorted(notes)] == [True, False]
    assert any("nothing: no such file" in note for note in notes)


# Which files are read as which runs


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
    assert names_of(*paths) == names


def test_links_are_followed_and_what_has_two_names_is_one_run():
    write_run("elsewhere/a")
    write_run("runs/fc/b")
    links = {"fc/linked": "elsewhere/a", "again": "runs/fc/b", "loop": "runs", "above": "."}
    for name, target in links.items():
        os.symlink(os.path.abspath(target), os.path.join("runs", name))
    assert names_of() == ["fc/b", "fc/linked"]
    assert names_of("runs/**/b") == ["b"]


def test_runs_on_several_drives_of_windows_are_named_by_their_whole_paths(monkeypatch):
    monkeypatch.setattr(recorded, "os", types.SimpleNamespace(path=ntpath))
    for folders, names in (
        (["C:\\runs\\fc\\a", "D:\\runs\\fc\\a"], ["C:\\runs\\fc\\a", "D:\\runs\\fc\\a"]),
        (["C:\\runs\\fc\\a", "c:\\Runs\\fc\\b"], ["a", "b"]),
    ):
        assert recorded.names_of(folders, folders) == dict(zip(folders, names))


def test_beside_the_settings_of_a_run_nothing_is_read_but_those_of_others_hide_nothing(tmp_path):
    folder = write_run("runs/fc/a")
    for beside in (folder, f"{folder}/images", "runs/other", "runs/other/below"):
        write_scalars(beside, "loss", [9.0])
    (tmp_path / "runs/settings.json").write_text('{"editor.fontSize": 12}')
    (tmp_path / "runs/other/settings.json").write_text('{"network": {"proxy": ""}}')
    runs, notes = read_runs()
    assert [run.name for run in runs] == ["fc/a", "other", "other/below"] and notes == []
    assert sorted(runs[0].scalars) == ["test", "train", "validation"]


def test_event_files_of_other_programs_are_drawn_by_their_tag_in_files_of_different_names():
    write_run("logs/run", losses=[1.0])
    write_scalars("logs/one fc", "fc_loss", [1.0, 0.5])
    write_scalars("logs/deep/er/conv", "conv_loss", [1.0, 0.5])
    for number, tag in enumerate(["Loss", "other_LOSS", "aux"]):
        write_scalars(f"logs/{number}", tag, [1.0, 0.5])
    write_scalars("logs/3", "loss", [1.0])
    plots = run_lines.plots_of(read_runs("logs")[0], lambda tag: "acc" not in tag)
    assert {plot.file_name: [run.name for run, _ in plot.curves] for plot in plots} == {
        "Loss": ["0"],
        "aux_": ["2"],  # Windows has a device of this name.
        "conv_loss": ["deep/er/conv"],
        "fc_loss": ["one fc", "run"],
        "loss-2": ["3"],
        "other_LOSS": ["1"],
    }


@pytest.mark.parametrize(
    "split, tag, arguments, expected",
    [
        ("train", "accuracy", "accuracy", ["0.70000", "0.90000"]),
        ("validation", "accuracy_population", "*_population", ["0.70000", "0.90000"]),
        ("train", "rate", "no,rate", ["0.70000", "-"]),
        ("train", "other_loss", "other_loss", ["0.70000", "0.50000"]),
        ("test", "only_here", "only_here", ["0.70000", "-"]),
        ("train", "a [train]", "a [train]", ["0.70000", "-"]),
        ("train", "a, b,c", "x,a, b,c", ["0.70000", "-"]),
        ("train", " α", "α", ["0.70000", "-"]),
    ],
)
def test_a_scalar_that_is_named_is_drawn_with_its_last_and_best_value(
    split, tag, arguments, expected, capsys
):
    folder = write_run("runs/fc/a")
    write_scalars(f"{folder}/{split}", tag, [0.5, 0.9, 0.7], began=1.8e9)
    plot_losses.main(["--tags", arguments, "--format", "svg"])
    assert re.split(r"  +", capsys.readouterr().out.splitlines()[2])[2:4] == expected


# Which runs become one curve, and how it looks


def test_runs_that_differ_only_in_seed_become_one_line_with_its_band_and_count():
    for seed, losses in enumerate([[1.0, 2.0, 9.0], [3.0, 2.0], [5.0, 5.0]]):
        # Where it was written and how it ran besides is no difference; the code's version is said.
        besides = {"run_name": str(seed), "threads": seed, "validate_every": 7 + seed}
        write_run(f"runs/fc/a-{seed}", seed=seed, losses=losses, code=str(seed), **besides)
    write_run("runs/fc/b", batch_norm=False)
    notes = []
    with_band, alone = panels_of(notes=notes)[0].lines
    assert with_band.label == "with batch norm (n = 3)"
    # The mean ends where the first run ends.
    assert (with_band.x.tolist(), with_band.y.tolist()) == ([0, 1], [3, 3])
    assert (with_band.low.tolist(), with_band.high.tolist()) == ([1, 2], [5, 5])
    assert alone.label == "without batch norm" and alone.low is None
    assert "different versions of the code" in notes[0] and "ends at step 1" in notes[1]


def test_the_same_seed_twice_is_not_a_sample_more():
    for name, seed in (("a", 0), ("b", 1), ("c", 0)):
        write_run(f"runs/fc/{name}", seed=seed)
    groups = run_groups.group_runs(read_runs()[0])
    assert [[run.name for run in group.runs] for group in groups] == [["fc/a", "fc/b"], ["fc/c"]]
    assert [group.label for group in groups] == [f"with batch norm (fc/{n})" for n in "ac"]
    assert groups[0].color != groups[1].color


def test_a_label_names_the_settings_that_differ():
    write_run("runs/fc/a", learning_rate=0.1, hidden_units=[8, 4])
    write_run("runs/fc/b", learning_rate=0.2, hidden_units=[8, 4], data_dir="elsewhere")
    write_run("runs/fc/c", optimizer="sgd", learning_rate=0.3, hidden_units=[8, 4])
    assert [group.label for group in run_groups.group_runs(read_runs()[0])] == [
        "adam, with batch norm, learning rate 0.1",
        "adam, with batch norm, learning rate 0.2",
        "sgd, with batch norm, learning rate 0.3",
    ]


@pytest.mark.parametrize(
    "group_by, words", [(None, ""), (["learning_rate"], "learning rate 0.1, ")]
)
def test_batch_norm_is_blue_its_absence_orange_and_they_are_never_averaged(group_by, words):
    for seed, batch_norm in itertools.product((0, 1), (True, False)):
        name = f"runs/fc/{batch_norm}{seed}"
        write_run(name, seed=seed, batch_norm=batch_norm, learning_rate=0.1)
    assert looks_of(group_by=group_by) == {
        f"{words}with batch norm (n = 2)": (figures.BLUE, False),
        f"{words}without batch norm (n = 2)": (figures.VERMILION, False),
    }


def test_of_one_optimizer_with_several_rates_each_rate_has_its_colour_in_order():
    rates = (0.2, 0.002, 5e-05, 0.02)
    for rate, batch_norm in itertools.product(rates, (True, False)):
        name = f"runs/fc/{batch_norm}{rate}"
        write_run(name, batch_norm=batch_norm, learning_rate=rate, losses=[1.0])
    assert list(looks_of().items()) == [
        (f"{side} batch norm, learning rate {rate}", (color, side == "without"))
        for side in ("with", "without")
        for rate, color in zip(sorted(rates), figures.PALETTE)
    ]


def test_eighty_runs_have_eighty_looks_and_an_optimizer_its_colour():
    optimizers = list(run_groups.OPTIMIZER_COLORS)
    for optimizer, norm, rate in itertools.product(optimizers, (True, False), range(1, 6)):
        name = f"runs/fc/{optimizer}{norm}{rate}"
        write_run(name, optimizer=optimizer, batch_norm=norm, losses=[1.0], learning_rate=rate)
    looks = looks_of()
    assert len(set(looks.values())) == len(looks) == 80
    looks = looks_of(*(f"runs/fc/*{norm}1" for norm in (True, False)))
    assert looks["adam, with batch norm"] == (figures.BLUE, False)
    assert looks["sgd, without batch norm"] == (figures.BLACK, True)
    assert figures.shades(figures.BLUE, 2) == [figures.BLUE, "#B2D5E8"]


def test_group_by_draws_the_mean_of_all_runs_with_the_same_values(capsys):
    for number, (optimizer, rate) in enumerate([("adam", 0.1), ("sgd", 0.1), ("sgd", 0.2)]):
        write_run(f"runs/fc/{number}", optimizer=optimizer, learning_rate=rate, losses=[number])
    write_scalars("runs/other", "fc_loss", [7.0])
    # A network that has no such flag is grouped by the others, or by its seeds.
    (panel,) = panels_of(group_by=["learning_rate", "hidden_units"])
    assert [(line.label, line.y.tolist()) for line in panel.lines] == [
        ("learning rate 0.1 (n = 2)", [0.5]),
        ("learning rate 0.2", [2]),
        ("other", [7]),
    ]
    assert len({line.color for line in panel.lines}) == 3
    assert "mean of n runs, smallest to largest" in legend_of(figures.draw([panel]))
    for seed in (0, 1):
        write_run(f"runs/conv/{seed}", "conv", seed=seed)
        write_run(f"runs/fc/units{seed}", seed=seed, hidden_units=[seed])
    assert list(looks_of("runs/conv", group_by=["hidden_units"])) == ["with batch norm (n = 2)"]
    assert run_here("--group-by", "hidden_units", "--format", "svg") == 0


# What is drawn of a curve


def test_runs_on_the_clock_are_drawn_one_by_one_and_relative_time_begins_with_each():
    for seed in (0, 1):
        write_run(f"runs/fc/{seed}", seed=seed, began=BEGAN + 86400 * seed, losses=[1.0] * 601)
    lines = panels_of(x="wall")[0].lines
    assert [line.label for line in lines] == [f"with batch norm, seed {seed}" for seed in (0, 1)]
    assert lines[1].x[0] - lines[0].x[0] == 1.0 and lines[0].x[0] == BEGAN / 86400
    (line,) = panels_of(x="relative")[0].lines
    np.testing.assert_allclose(line.x[[0, -1]], [0, 0.1], atol=1e-6)


@pytest.mark.parametrize("count", [curves.FEW_POINTS - 1, curves.FEW_POINTS])
def test_single_batches_are_drawn_beside_a_curve_that_is_smoothed(count):
    losses = np.random.RandomState(0).normal(1, 0.1, count).astype(np.float32)
    write_run("runs/fc/a", losses=losses)
    for weight, smoothed in ((0.9, count >= curves.FEW_POINTS), (0, False)):
        panels = panels_of(smoothing=weight)
        (line,) = panels[0].lines
        assert (line.raw is not None) == smoothed
        assert ("single batches" in legend_of(figures.draw(panels))) == smoothed
        assert (line.y.tolist() == losses.tolist()) == (not smoothed)


def test_validation_accuracy_stands_beside_the_loss_with_population_statistics_where_they_differ():
    steps = [0, 10, 20, 50, 100, 200, 500, 1000, 1001]
    for name, population in (("a", 0.56), ("b", 0.54)):
        folder = write_run(f"runs/{name}/a", losses=np.full(1002, 2.0))
        events = [scalar_event(step, accuracy_population=population) for step in steps]
        write_event_file(f"{folder}/validation/events.out.tfevents.1800000000.host", events)
    for name, shown in (("a", True), ("b", False)):
        loss, accuracy = panels_of(f"runs/{name}", tag="*loss", with_accuracy=True)
        assert loss.y_label == "Training loss (sigmoid cross-entropy, nats)"
        assert loss.lines[0].markers[0].tolist() == steps
        assert loss.lines[0].markers[1].tolist() == pytest.approx([2.2] * len(steps))
        assert (accuracy.y_label, accuracy.scale) == ("Validation accuracy (%)", "accuracy")
        assert accuracy.lines[0].y.tolist() == [0.5] * len(steps)
        assert (accuracy.lines[0].dotted is not None) == shown


def test_the_loss_of_answering_the_class_frequencies_of_mnist_is_marked():
    with open(os.path.join(ROOT, "MNIST_data", "train-labels-idx1-ubyte.gz"), "rb") as file:
        content = file.read()
    counts = np.bincount(np.frombuffer(gzip.decompress(content), np.uint8)[8:])
    p = counts / counts.sum()
    expected = {
        "softmax": -(p * np.log(p)).sum(),
        "sigmoid": -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean(),
    }
    for loss, data in itertools.product(expected, (hashlib.sha256(content).hexdigest(), "00")):
        write_run("runs/fc/a", loss=loss, data={"train-labels": data})
        level = panels_of()[0].level
        assert level == (None if data == "00" else pytest.approx(expected[loss], abs=1e-5))


@pytest.mark.parametrize(
    "values, logarithmic",
    [([1.0, 0.1], True), ([1.0, 0.11], False), ([1.0, 0.0], False), ([NAN, NAN], False)],
)
def test_the_axis_is_logarithmic_where_the_losses_span_a_decade(values, logarithmic):
    assert figures.spans_decade(np.array(values)) == logarithmic
    write_run("runs/fc/a", losses=np.array(values) - 1e-6)
    for log_y, expected in ((None, logarithmic), (True, True), (False, False)):
        assert panels_of(log_y=log_y)[0].scale == ("log" if expected else "linear")


# The picture


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("name", ["a", "a very long name of a run, " * 5])
def test_nothing_is_clipped_and_nothing_overlaps(count, name):
    x = np.arange(5.0)
    lines = [
        figures.Line(name, color, False, x, x * 1e7, markers=(x, x))
        for color in figures.shades(figures.BLUE, count)
    ]
    figure = figures.draw([figures.Panel(lines, "x", f"the axis {n}") for n in "ab"], "A title")
    canvas = backend_agg.FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    for box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    assert len(legend_of(figure)) == count + 1
    assert figure.axes[0].bbox.width > 0.8 * figures.PANEL_INCHES[0] * figure.dpi


def test_a_single_training_point_is_not_taken_for_one_of_the_validation():
    write_run("runs/fc/a", losses=[2.0])
    figure = figures.draw(panels_of())
    markers = [line.get_marker() for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert markers == ["s", "o"]


@pytest.mark.parametrize("factor", [1, 100])
@pytest.mark.parametrize("log_y", [None, True, False])
def test_accuracies_are_shown_in_percent_however_they_were_logged(factor, log_y):
    values = np.array([0.1, 0.9, 0.985, 0.99])
    write_scalars("runs/a", "accuracy", values * factor)
    panels = panels_of(tag="*accuracy", log_y=log_y)
    np.testing.assert_allclose(panels[0].lines[0].y, values, rtol=1e-6)
    figure = figures.draw(panels)
    figures.image(figure, "png", 50)
    axes = figure.axes[0]
    assert axes.get_ylabel() == "Training accuracy (%)"
    shown = {tick.get_text() for tick in axes.get_yticklabels()}
    assert (shown & {"10", "100", "90"}) and "0.9" not in shown
    if log_y is None:
        # The rise from chance and the differences at the end are both to be seen.
        heights = axes.transData.transform(np.stack([values, values], axis=1))[:, 1]
        assert (heights[3] - heights[2]) / axes.bbox.height > 0.05
        assert {"10", "90", "98", "99"} <= shown


@pytest.mark.filterwarnings("error")
def test_names_are_shown_as_they_are_in_any_alphabet_without_a_warning(capsys):
    names = ["_a b", "$x$ $y", "тест", "试验", "a\nb\x1b[1m", r"\alpha", "%s {0}"]
    for name in names:
        write_scalars(os.path.join("logs", name), "fc_loss", [1.0, 0.5])
    assert run_here("logs", "--title", "$ 损失 _{", "--csv", "points.csv", "--format", "svg") == 0
    xml.etree.ElementTree.parse("runs/figures/fc_loss.svg")
    output = capsys.readouterr()
    assert output.err == "" and "\x1b" not in output.out and "试验" in output.out
    with open("points.csv", newline="", encoding="utf-8") as file:
        assert {row["run"] for row in csv.DictReader(file)} == set(names)
    shown = legend_of(figures.draw(panels_of("logs")))
    assert len(set(shown)) == len(names)
    assert {" _a b", r"\$x\$ \$y"} <= set(shown)


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are Unicode there")
@pytest.mark.parametrize("utf8", ["0", "1"])
def test_names_that_the_locale_or_utf_8_cannot_hold_are_drawn(utf8):
    for name in ("тест".encode(), b"\xff\xfe"):
        write_scalars(os.path.join("logs", os.fsdecode(name)), "потеря" * 20, [1.0, 0.5])
    environment = {"LC_ALL": "C", "PYTHONUTF8": utf8, "PYTHONCOERCECLOCALE": "0"}
    options = ["--format", "svg", "--csv", "points.csv", "--title", os.fsdecode(b"\xff")]
    done = run_program("logs", "--tags", "пот*", *options, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(os.listdir("runs/figures")) == 1 and os.path.getsize("points.csv") > 500


def test_a_long_curve_keeps_its_first_and_last_point():
    x = np.arange(200001.0)
    line = figures.thinned(figures.Line("a", figures.BLUE, False, x, -x, raw=x, low=x, high=x))
    assert [len(column) for column in (line.x, line.y, line.raw, line.low)] == [20000] * 4
    assert (line.x[[0, -1]].tolist(), line.y[-1]) == ([0, 200000], -200000)
    assert len(figures.thinned(line).x) == 20000


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "messages",
    [
        [scalar_event(0, loss=NAN)],
        [scalar_event(0, NAN, loss=1.0)],
        [scalar_event(0, 0.0, loss=0.0), scalar_event(1, NAN, loss=1.0)],
        [scalar_event(step, 1e300 * step, loss=3e38 * (-1) ** step) for step in range(4)],
        [tensor_event(step, "loss", 1.7e308 * (-1) ** step) for step in range(70)],
        [tensor_event(step, "loss", (1e-320, 1e99, -1e99)[step % 3]) for step in range(70)],
        [scalar_event(step, -1e9, loss=1e-40 * step) for step in range(4)],
        [scalar_event(2**62 * step, loss=step) for step in (0, 1)],
    ],
)
def test_strange_values_draw_without_an_error_or_a_warning(messages, capsys):
    write_event_file("runs/a/tfevents", messages)
    for x, scale in (("step", "--log-y"), ("relative", "--linear-y"), ("wall", "--log-y")):
        assert run_here("--x", x, scale) == 0
        assert all(": note: " in line for line in capsys.readouterr().err.splitlines())


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
NAMES = ["optimizer", "batch_norm", "seed", "loss", "learning_rate", "data_dir", "x"]
FLAGS = JSON | st.dictionaries(st.sampled_from(NAMES), JSON)
SETTINGS = st.fixed_dictionaries({"network": JSON, "flags": FLAGS, "data": JSON})


@given(st.lists(SETTINGS, min_size=1, max_size=4))
def test_any_settings_are_drawn(tmp_path_factory, all_settings):
    folder = tmp_path_factory.mktemp("runs")
    for number, content in enumerate(all_settings):
        run = folder / str(number)
        write_scalars(run / "train", "loss", [1.0, 0.5])
        (run / "settings.json").write_text(json.dumps(content), encoding="utf-8")
    runs, _ = read_runs(str(folder))
    for plot in run_lines.plots_of(runs, lambda tag: True):
        for group_by in (["optimizer"], ["batch_norm", "x"], None):
            assert run_lines.panels_of(plot, lambda note: None, group_by=group_by)[0].lines
        assert run_lines.title_of(plot)
