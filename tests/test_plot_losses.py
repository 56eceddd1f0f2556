"""plot_losses.py: from the files of runs to figures, a table and CSV."""

import csv
import errno
import hashlib
import itertools
import json
import ntpath
import os
import pathlib
import re
import subprocess
import sys
import types
import xml.etree.ElementTree
from unittest import mock

import matplotlib
import numpy as np
import pytest
from helpers import ROOT
from made_runs import BEGAN, scalar_event, tensor_event, write_event_file, write_run, write_scalars
from matplotlib.backends import backend_agg

import plot_losses
from graph_mode import command_line
from graph_mode.plotting import curves, figures, run_lines
from graph_mode.runs import recorded

NAN = float("nan")
matplotlib.use("agg")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run_program(*arguments, **environment):
    """plot_losses.py as a person starts it, in the current folder; every warning is an error."""
    command = [sys.executable, "-W", "error", os.path.join(ROOT, "plot_losses.py"), *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **environment}
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)


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


def plot_of(*paths, tag="loss"):
    """The only figure that such tags of the runs make."""
    (plot,) = run_lines.plots_of(read_runs(*paths)[0], lambda name: name.endswith(tag))
    return plot


def panels_of(*paths, notes=None, tag="loss", with_accuracy=False, **look):
    """The figures.Panels of that figure."""
    say = (lambda note: None) if notes is None else notes.append
    plot = plot_of(*paths, tag=tag)
    return run_lines.panels_of(plot, say, with_accuracy, **{"smoothing": 0, **look})


def legend_of(panels):
    return [text for text, _ in figures.legend_entries(panels)]


def test_without_arguments_it_draws_each_network_and_prints_a_table(without_tensorflow):
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
    # The runs of a comparison are drawn only when named.
    heads, _, batchnorm, unfinished = (re.split(r"  +", line) for line in lines[4:])
    assert heads[:4] == ["run", "steps", "final loss", "best loss"]
    assert batchnorm == ["fc/adam_batchnorm", "3", "0.37500", "0.25000", "0.97000", "0.98000"]
    assert unfinished[-2:] == ["0.50000", "-"]


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


def test_csv_holds_every_point_exactly_and_stands_alone_on_standard_output(capsys):
    losses = np.random.RandomState(0).normal(size=30).astype(np.float32)
    losses[3:6] = [NAN, np.inf, -np.inf]
    write_run("runs/fc/a b", losses=losses)
    assert run_here("--csv", "-", "--format", "svg") == 0
    output = capsys.readouterr()
    assert "wrote " in output.err and "final loss" in output.err
    heads, *rows = csv.reader(output.out.splitlines())
    assert heads == ["run", "tag", "step", "wall_time", "value"]
    assert {row[0] for row in rows} == {f"fc/a b/{s}" for s in ("train", "validation", "test")}
    found = [row[1:] for row in rows if row[0] == "fc/a b/train"]
    for step, (row, value) in enumerate(itertools.zip_longest(found, losses)):
        assert row == ["loss", str(step), repr(BEGAN + 0.01 * step), repr(float(value))]


MISTAKES = """
no/*/where = found no event files in no/*/where
empty = found no scalars in the event files in empty
--smoothing 1 = expected a number from 0 to 0.999, found '1'
--smoothing nan = expected a number from 0 to 0.999, found 'nan'
--format png,jpg = expected png, svg, pdf, found 'jpg'
--log-y --linear-y = not allowed with
--tags , = expected at least one name
--tags no,such = no scalar no,such in
--tags accurac = name one of these with --tags: accuracy, loss
--group-by optimizer,speed = no run recorded speed; recorded are: batch_norm,
--output-dir runs/fc/a/settings.json = runs/fc/a/settings.json
--csv runs = runs: Is a directory
--show = --show needs a window: matplotlib's backend agg has none; leave out --show
"""


@pytest.mark.parametrize("case", MISTAKES.strip().splitlines())
def test_what_a_user_can_mend_is_one_line_and_exit_code_2(case, capsys):
    arguments, expected = case.split(" = ")
    write_run("runs/fc/a")
    write_event_file("empty/tfevents", [])
    assert run_here(*arguments.split()) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and expected in errors


# Which files are read as which runs, and what is said to be left out


@pytest.mark.parametrize(
    "ended, settings, said", [(True, "{", "not readable as JSON"), (False, "[1]", "found list")]
)
def test_what_is_damaged_is_named_and_the_rest_is_read(ended, settings, said, tmp_path):
    write_run("runs/fc/a", losses=np.linspace(1, 0.1, 200), ended=ended)
    damaged, cut_off = (next(tmp_path.glob(f"**/{split}/*")) for split in ("train", "validation"))
    content = bytearray(damaged.read_bytes())
    content[500:502] = content[1500:1502] = b"\xff\xff"
    damaged.write_bytes(content)
    cut_off.write_bytes(cut_off.read_bytes()[:-5])
    (tmp_path / "runs/fc/a/settings.json").write_text(settings)
    (run,), notes = read_runs()
    assert run.flags == {} and len(run.scalars["train"]["loss"].steps) > 195
    assert "settings.json" in notes[0] and said in notes[0]
    assert re.search(r"train.*: byte \d+: .*left out \d+ bytes in 2 places", notes[1])
    # While a run goes on, its last record may be half written.
    assert ["stops inside a record" in note for note in notes[2:]] == [True] * ended


def test_what_cannot_be_read_is_named_and_the_rest_is_drawn(monkeypatch):
    write_scalars("logs/a", "loss", [1.0])
    os.symlink("nowhere", "logs/a/tfevents")
    (run,), notes = read_runs("logs", "nothing")
    assert run.scalars[""]["loss"].values.tolist() == [1.0]
    assert "nothing: no such file" in notes[0] and "a/tfevents: No such file" in notes[1]
    refused = PermissionError(errno.EACCES, "Permission denied", "logs")
    monkeypatch.setattr(os, "scandir", mock.Mock(side_effect=refused))
    assert read_runs("logs") == ([], ["logs: Permission denied; left out"])


# paths: the names of their runs
FOUND = """
runs: conv/x fc/a-2 fc/a-10
runs/fc/*: a-2 a-10
runs/fc/a-2: a-2
runs/fc/a-2 runs/conv: conv/x fc/a-2
runs/fc/a-2/train: a-2
runs/**/a-2: a-2
runs runs/fc/a-2: conv/x fc/a-2 fc/a-10
"""


@pytest.mark.parametrize("case", FOUND.strip().splitlines())
def test_runs_are_found_by_folder_pattern_and_link_once_and_named_by_their_path(case):
    paths, names = map(str.split, case.split(":"))
    for name in ("runs/fc/a-10", "runs/fc/a-2", "elsewhere/x"):
        write_run(name)
    links = {"conv": "elsewhere", "again": "runs/fc/a-2", "loop": "runs", "above": "."}
    for name, target in links.items():
        os.symlink(os.path.abspath(target), os.path.join("runs", name))
    assert [run.name.replace(os.sep, "/") for run in read_runs(*paths)[0]] == names


def test_runs_on_several_drives_of_windows_are_named_by_their_whole_paths(monkeypatch):
    monkeypatch.setattr(recorded, "os", types.SimpleNamespace(path=ntpath))
    paths = ["C:\\fc\\a", "c:\\Fc\\b", "D:\\fc\\a"]
    assert list(recorded.names_of(paths, paths).values()) == paths
    assert list(recorded.names_of(paths[:2], paths[:2]).values()) == ["a", "b"]


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
    tags = {"0": "Loss", "1": "other_LOSS", "3": "loss", "one fc": "fc_loss"}
    for name, tag in tags.items():
        write_scalars(f"logs/{name}", tag, [1.0, 0.5])
    plots = run_lines.plots_of(read_runs("logs")[0], lambda tag: "acc" not in tag)
    found = {plot.file_name: " ".join(run.name for run, _ in plot.curves) for plot in plots}
    assert found == {"Loss": "0", "fc_loss": "one fc run", "loss-2": "3", "other_LOSS": "1"}


# split: tag: arguments: the best value
NAMED = """
train:accuracy:accuracy:0.90000
validation:accuracy_population:*_population:0.90000
train:other_loss:other_loss:0.50000
test:a [train]:a [train]:-
train:a, b,c:x,a, b,c:-
train: α:α:-
"""


@pytest.mark.parametrize("case", NAMED.strip().splitlines())
def test_a_scalar_that_is_named_is_drawn_with_its_last_and_best_value(case, capsys):
    split, tag, arguments, best = case.split(":")
    write_scalars(write_run("runs/fc/a") + f"/{split}", tag, [0.5, 0.9, 0.7], began=1.8e9)
    plot_losses.main(["--tags", arguments, "--format", "svg"])
    table = capsys.readouterr().out.splitlines()[1:]
    assert re.split(r"  +", table[1])[2:4] == ["0.70000", best]


# Which runs become one curve, and how it looks

# The flags of runs, what they are grouped by, and the lines: their colours, dashed if with --.
LOOKS = """
seed=0 | seed=1 | seed=0 =
BLUE with batch norm (0) (n = 2)
#B2D5E8 with batch norm (2)

learning_rate=0.1 | learning_rate=0.2 data_dir="elsewhere" | optimizer="sgd" learning_rate=0.3 =
BLUE adam, with batch norm, learning rate 0.1
#B2D5E8 adam, with batch norm, learning rate 0.2
BLACK sgd, with batch norm, learning rate 0.3

seed=1 | seed=2 | batch_norm=false seed=1 | batch_norm=false seed=2 = learning_rate
BLUE learning rate 0.002, with batch norm (n = 2)
VERMILION learning rate 0.002, without batch norm (n = 2)

learning_rate=0.2 | learning_rate=5e-05 | learning_rate=0.02 | learning_rate=0.02 batch_norm=false =
BLUE with batch norm, learning rate 5e-05
VERMILION with batch norm, learning rate 0.02
GREEN with batch norm, learning rate 0.2
VERMILION-- without batch norm, learning rate 0.02

learning_rate=0.1 | learning_rate=0.2 | learning_rate=0.3 batch_norm=false =
BLUE with batch norm, learning rate 0.1
VERMILION with batch norm, learning rate 0.2
#999999-- without batch norm, learning rate 0.3

optimizer="adam" | optimizer="sgd" batch_norm=false =
BLUE adam, with batch norm
BLACK-- sgd, without batch norm

learning_rate=0.1 | learning_rate=0.1 optimizer="sgd" | learning_rate=0.2 = learning_rate,units
BLUE learning rate 0.1 (n = 2)
VERMILION learning rate 0.2
"""


@pytest.mark.parametrize("case", LOOKS.strip().split("\n\n"))
def test_lines_are_named_by_what_differs_and_have_their_colours(case):
    first, *expected = case.split("\n")
    runs, group_by = first.split(" =")
    for number, run in enumerate(runs.split(" | ")):
        flags = (part.split("=") for part in run.split())
        write_run(f"runs/fc/{number}", **{name: json.loads(value) for name, value in flags})
    write_run("runs/conv/0", "conv", units=[8])
    names = {getattr(figures, color): color for color in ("BLUE", "VERMILION", "GREEN", "BLACK")}
    assert [
        names.get(line.color, line.color) + "--" * line.dashed + " " + line.label
        for line in panels_of("runs/fc", group_by=group_by.strip().split(","))[0].lines
    ] == expected


def test_runs_that_differ_only_in_seed_become_one_line_with_its_band_and_count():
    for seed, losses in enumerate([[1.0, 2.0, 9.0], [3.0, 2.0], [5.0, 5.0]]):
        # Where it was written and how it ran besides is no difference; the code's version is said.
        besides = {"run_name": str(seed), "threads": seed, "validate_every": 7 + seed}
        write_run(f"runs/fc/a-{seed}", seed=seed, losses=losses, code=str(seed), **besides)
    write_run("runs/fc/b", batch_norm=False)
    notes = []
    panels = panels_of(notes=notes)
    mean, alone = panels[0].lines
    assert (mean.label, alone.label) == ("with batch norm (n = 3)", "without batch norm")
    # The mean ends where the first run ends.
    found = [column.tolist() for column in (mean.x, mean.y, mean.low, mean.high)]
    assert found == [[0, 1], [3, 3], [1, 2], [5, 5]] and alone.low is None
    assert "mean of n runs, smallest to largest" in legend_of(panels)
    assert "different versions of the code" in notes[0] and "ends at step 1" in notes[1]


def test_relative_time_begins_with_each_run():
    for seed in (0, 1):
        write_run(f"runs/fc/{seed}", seed=seed, began=BEGAN + 86400 * seed, losses=[1.0] * 601)
    assert panels_of(x="relative")[0].lines[0].x[[0, -1]] == pytest.approx([0, 0.1], abs=1e-6)


@pytest.mark.parametrize("few", [True, False])
def test_single_batches_are_drawn_beside_a_curve_that_is_smoothed(few):
    losses = np.random.RandomState(0).normal(1, 0.1, curves.FEW_POINTS - few)
    write_run("runs/fc/a", losses=losses)
    panels = panels_of(smoothing=0.9)
    assert (panels[0].lines[0].raw is None) == few
    assert ("loss of each batch" in legend_of(panels)) != few


def test_validation_accuracy_stands_beside_the_loss_with_population_statistics():
    steps = [0, 10, 20, 50, 100, 200, 500, 1000, 1001]
    folder = write_run("runs/fc/a", losses=np.full(1002, 2.0))
    events = [scalar_event(step, accuracy_population=0.54) for step in steps]
    write_event_file(f"{folder}/validation/events.out.tfevents.1800000000.host", events)
    loss, accuracy = panels_of(with_accuracy=True)
    assert loss.y_label == "Training loss (sigmoid cross-entropy, nats)"
    assert loss.lines[0].markers[0].tolist() == steps
    assert loss.lines[0].markers[1].tolist() == pytest.approx([2.2] * len(steps))
    assert (accuracy.y_label, accuracy.scale) == ("Validation accuracy (%)", "accuracy")
    assert accuracy.lines[0].y.tolist() == [0.5] * len(steps)
    assert accuracy.lines[0].dotted[1] == pytest.approx(0.54)


def test_runs_without_batch_norm_have_the_colour_of_those_with_it_whose_own_flags_make_shades():
    for number, (layers, momentum) in enumerate([(2, 0.9), (2, 0.99), (3, 0.9)]):
        settings = {"layers": layers, "batch_norm_momentum": momentum}
        write_run(f"runs/fc/{number}", batch_norm=True, **settings)
        write_run(f"runs/fc/{layers}-plain", batch_norm=False, layers=layers)
    looks = {("3 layers" in line.label, line.color, line.dashed) for line in panels_of()[0].lines}
    blue, red = figures.BLUE, figures.VERMILION
    two_layers = {(False, blue, False), (False, blue, True), (False, "#B2D5E8", False)}
    assert looks == {*two_layers, (True, red, False), (True, red, True)}


def test_many_curves_of_several_optimizers_are_a_row_of_panels_for_each_on_the_same_scale():
    for number, optimizer in enumerate(["adam", "sgd", "momentum", "ftrl"]):
        for norm in (False, True):
            flags = {"optimizer": optimizer, "batch_norm": norm}
            write_run(f"runs/fc/{number}{norm}", losses=np.full(30, 1 + number), **flags)
    plot = plot_of()
    assert len(run_lines.rows_of(plot, pytest.fail)) == 4
    figure = figures.draw(run_lines.rows_of(plot, pytest.fail, with_accuracy=True), "A title")
    rows = figure.axes[:8:2]
    assert {axes.get_title(loc="left") for axes in rows} == {"adam", "ftrl", "momentum", "sgd"}
    assert len({axes.get_ylim() for axes in rows}) == 1
    assert len(figure.axes[-1].get_legend().get_texts()) <= 4


def test_a_first_value_far_above_the_rest_does_not_squeeze_the_others():
    for values in ([1e4, 1, 2, 1.5], [10, 1, 2, 1.5]):
        line = figures.Line("a", "#000000", False, np.arange(4.0), np.array(values))
        axes = figures.draw([[figures.Panel([line], "x", "y")]]).axes[0]
        assert (axes.get_ylim()[1] < 3) == (values[0] == 1e4)


def test_a_title_names_what_the_runs_share():
    for seed in (0, 1, 2):
        write_run(f"runs/fc/{seed}", seed=seed, num_batches=3000)
    title = "Fully connected network, adam, 3,000 batches, seeds 0 to 2"
    assert run_lines.title_of(plot_of()) == title
    write_run("runs/fc/9", seed=9, num_batches=30, optimizer="sgd")
    assert run_lines.title_of(plot_of()) == "Fully connected network, seeds 0, 1, 2, 9"


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_the_loss_of_answering_the_class_frequencies_of_mnist_is_marked(loss):
    p = np.array([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]) / 60000
    sigmoid = -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean()
    expected = {"softmax": -(p * np.log(p)).sum(), "sigmoid": sigmoid}
    labels = pathlib.Path(ROOT, "MNIST_data", "train-labels-idx1-ubyte.gz").read_bytes()
    write_run("runs/fc/a", loss=loss, data={"labels": hashlib.sha256(labels).hexdigest()})
    assert panels_of()[0].level == pytest.approx(expected[loss], abs=1e-5)
    write_run("runs/fc/other_data", loss=loss)
    assert panels_of()[0].level is None


# losses: the scale of their axis, and how many it cannot show
SCALES = """
1 0.0999: log 0
1 0.1001: linear 0
1 nan 0 inf -0.25 0.1: linear 2
nan nan: linear 2
"""


@pytest.mark.parametrize("case", SCALES.strip().splitlines())
def test_the_axis_is_logarithmic_for_a_decade_and_values_it_cannot_show_are_said(case):
    losses, expected = case.split(": ")
    values, (scale, lost), notes = [*map(float, losses.split())], expected.split(), []
    lost = int(lost)
    write_run("runs/fc/a", losses=values)
    assert panels_of(notes=notes)[0].scale == scale
    assert panels_of(notes=notes, log_y=False)[0].scale == "linear"
    assert panels_of(notes=notes, log_y=True)[0].scale == "log"
    said = [lost, lost, lost + 2 * (0.0 in values)] * bool(lost)
    assert len(notes) == len(said)
    for note, number in zip(notes, said):
        assert note.startswith(f"fc/a: loss: {number} of {len(values)} values leave gaps")


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("name", ["a", "a very long name of a run, " * 5])
def test_nothing_is_clipped_and_nothing_overlaps(count, name):
    x, shades = np.arange(5.0), figures.shades(figures.BLUE, count)
    lines = [figures.Line(name, shade, False, x, x * 1e7, markers=(x, x)) for shade in shades]
    figure = figures.draw([[figures.Panel(lines, "x", f"the axis {n}") for n in "ab"]], "A title")
    canvas = backend_agg.FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [axes.get_tightbbox(canvas.get_renderer()) for axes in figure.axes]
    for box in boxes:
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert len(figure.axes[-1].get_legend().get_texts()) == count + 1
    assert figure.axes[0].bbox.width > 0.8 * figures.PANEL_INCHES[0] * figure.dpi


def test_points_are_marked_where_they_are_few_and_not_taken_for_those_of_the_validation():
    for count, alone, beside_validation in ((1, "o", "s"), (2, "o", None), (40, "o", None)):
        x = np.arange(count)
        line = figures.Line("a", "#000000", False, x, x)
        assert figures.look_of(line).get("marker") == alone
        assert figures.look_of(line._replace(markers=(x, x))).get("marker") == beside_validation
    line = line._replace(x=np.arange(41))
    assert "marker" not in figures.look_of(line)


@pytest.mark.parametrize("factor", [1, 100])
def test_accuracies_are_shown_in_percent_however_they_were_logged(factor):
    values = np.array([0.1, 0.9, 0.985, 0.99])
    write_scalars("runs/a", "accuracy", values * factor)
    figure = figures.draw([panels_of(tag="accuracy")])
    figures.image(figure, "png", 50)
    axes = figure.axes[0]
    assert axes.get_ylabel().startswith("Training accuracy (%)")
    shown = {tick.get_text() for tick in axes.get_yticklabels()}
    assert {"10", "90", "98", "99"} <= shown and "0.9" not in shown
    # The rise from chance and the differences at the end are both to be seen.
    heights = axes.transData.transform([(0, value) for value in (0.1, 0.985, 0.99)])[:, 1]
    assert heights[2] - heights[1] > 0.05 * axes.bbox.height > axes.bbox.y0 - heights[0]


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are Unicode there")
@pytest.mark.parametrize("utf8", ["0", "1"])
def test_any_names_in_any_locale_are_shown_as_they_are_without_a_warning(utf8):
    names = ["_a b", "$x$ $y", "试验", "a\nb\x1b[1m", "%s {0}", os.fsdecode(b"\xff\xfe")]
    for name in names:
        write_scalars(os.path.join("logs", name), "потеря" * 20, [1.0, 0.5])
    environment = {"LC_ALL": "C", "PYTHONUTF8": utf8, "PYTHONCOERCECLOCALE": "0"}
    options = ["--format", "svg", "--csv", "points.csv", "--title", "$ _{" + names[-1]]
    done = run_program("logs", "--tags", "пот*", *options, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout and ("试验" in done.stdout) == (utf8 == "1")
    xml.etree.ElementTree.parse(next(pathlib.Path("runs/figures").iterdir()))
    with open("points.csv", newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert {row["run"] for row in csv.DictReader(file)} >= set(names[:-1])
    assert figures.plain("_a $x$") == r" _a \$x\$"


STRANGE = (
    [scalar_event(0, 0.0, loss=0.0), scalar_event(1, NAN, loss=1.0)],
    [scalar_event(step, 1e300 * step, loss=3e38 * (-1) ** step) for step in range(4)],
    [tensor_event(step, "loss", 1.7e308 * (-1) ** step) for step in range(70)],
    [scalar_event(2**62 * step, loss=step) for step in (0, 1)],
)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("messages", STRANGE)
def test_strange_values_draw_without_an_error_or_a_warning(messages, capsys):
    write_event_file("runs/a/tfevents", messages)
    for x, scale in (("step", "--log-y"), ("relative", "--linear-y")):
        assert run_here("--x", x, scale) == 0
        assert all(": note: " in line for line in capsys.readouterr().err.splitlines())
