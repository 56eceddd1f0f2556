import csv
import functools
import gzip
import hashlib
import io
import itertools
import json
import ntpath
import os
import re
import signal
import stat
import subprocess
import sys
import time
import types
import xml.etree.ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plot_losses
from graph_mode import command_line
from graph_mode.command_line import CommandError
from graph_mode.plotting import figures, run_groups, run_lines, saved_runs
from tests.made_runs import (
    BEGAN,
    restart_event,
    scalar_event,
    write_event_file,
    write_run,
    write_scalars,
)

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


def panels_of(runs, notes=None, with_accuracy=False, **view):
    """The figures.Panels of the only figure that the losses of the runs make."""
    (plot,) = run_lines.plots_of(runs, lambda tag: tag.endswith("loss"))
    view = run_lines.View(**{"smoothing": 0, **view})
    say = (lambda note: None) if notes is None else notes.append
    return run_lines.panels_of(plot, view, say, with_accuracy)


def lines_of(runs, **view):
    return panels_of(runs, **view)[0].lines


def texts_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


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
        (["--width", "1"], "expected a number from 2 to 20, found '1'"),
        (["--csv", "-", "--json", "-"], "--csv and --json name the same file, -"),
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

    def no_space(path, target):
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr("os.replace", no_space)
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
    assert re.search(rf"note: {re.escape(path)}: byte \d+: .*left out \d+ bytes\n", output.err)
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


def test_the_runs_of_a_comparison_are_drawn_only_when_named(capsys):
    write_run("runs/fc/a")
    write_run("runs/compare/fc/b")
    plot_losses.main([])
    assert "fc/b" not in capsys.readouterr().out
    plot_losses.main(["runs"])
    assert "compare/fc/b" in capsys.readouterr().out


def test_of_an_accuracy_the_largest_is_the_best(capsys):
    folder = write_run("runs/fc/a")
    write_scalars(f"{folder}/train", "accuracy", [0.5, 0.9, 0.7], began=1.8e9)
    plot_losses.main(["--tags", "accuracy"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "wrote runs/figures/fc_accuracy.png"
    rows = [re.split(r"  +", line) for line in lines[1:]]
    assert rows[0][2:4] == ["final accuracy", "best accuracy"]
    assert rows[1][2:4] == ["0.70000", "0.90000"]


def test_a_tag_that_only_the_validation_has_is_drawn_when_named(capsys):
    folder = write_run("runs/fc/a")
    write_scalars(f"{folder}/validation", "accuracy_population", [0.5, 0.9], began=1.8e9)
    plot_losses.main(["--tags", "*_population"])
    assert "wrote runs/figures/fc_accuracy_population.png\n" in capsys.readouterr().out


# Where it writes


def test_points_go_through_a_link_into_a_pipe_and_to_standard_output():
    write_run("runs/fc/a")
    assert run_here("--csv", "plain.csv") == 0
    with open("plain.csv", encoding="utf-8") as file:
        expected = file.read()
    os.symlink("target.csv", "link.csv")
    os.mkfifo("pipe")
    reader = subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE, encoding="utf-8")
    assert run_here("--csv", "link.csv", "--json", "pipe") == 0
    assert len(json.loads(reader.communicate(timeout=20)[0])) == expected.count("\n") - 1
    assert os.path.islink("link.csv") and os.path.exists("pipe")
    with open("target.csv", encoding="utf-8") as file:
        assert file.read() == expected
    for name in ("-", "/dev/stdout", "/proc/self/fd/1"):
        done = run_program("--csv", name)
        assert done.stdout == expected
        assert "wrote runs/figures/fc_loss.png\n" in done.stderr and "final loss" in done.stderr
    assert not os.path.exists("-")


def test_a_reader_that_has_enough_is_no_error():
    write_run("runs/fc/a", losses=np.ones(20000))
    program = f"{sys.executable} {os.path.join(ROOT, 'plot_losses.py')}"
    command = f"{program} --csv >(head -2 > first) && {program} --csv - 2> /dev/null | head -2"
    done = subprocess.run(["bash", "-c", command], capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert "final loss" in done.stdout
    assert done.stdout.splitlines()[-2] == "run,tag,step,wall_time,value"
    with open("first", encoding="utf-8") as file:
        assert file.read().count("\n") == 2


def test_a_device_stays_one_and_a_file_keeps_its_permissions():
    write_run("runs/fc/a")
    try:
        os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        open("null", "w").close()
    except OSError as error:
        pytest.skip(f"no device can be made here: {error}")
    open("private.json", "w").close()
    os.chmod("private.json", 0o600)
    assert run_here("--csv", "null", "--json", "private.json") == 0
    assert stat.S_ISCHR(os.stat("null").st_mode)
    assert stat.S_IMODE(os.stat("private.json").st_mode) == 0o600


def test_standard_output_need_not_be_a_file(monkeypatch):
    write_run("runs/fc/\u8bd5")
    output = io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    plot_losses.main(["runs"])
    assert "wrote runs/figures/fc_loss.png" in output.getvalue()
    plot_losses.main(["runs", "--csv", "-"])
    assert "run,tag,step" in output.getvalue()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    plot_losses.main(["runs"])
    assert b"\\u8bd5" in sys.stdout.buffer.getvalue()


def test_a_notebook_shows_the_figures_inline_and_keeps_its_streams():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    write_run("runs/fc/a")
    write_run("runs/conv/b", "conv")
    cells = [
        f"%run {os.path.join(ROOT, 'plot_losses.py')}",
        f"import sys; sys.path.insert(0, {ROOT!r}); import plot_losses; plot_losses.main([])",
        "print('still here', file=sys.stderr); print('and here')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    for cell in notebook.cells[:2]:
        shown = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert len(shown) == 2
        text = "".join(o.text for o in cell.outputs if o.output_type == "stream")
        assert "wrote runs/figures/fc_loss.png" in text and "Error" not in text
    kept = {output.name: output.text for output in notebook.cells[2].outputs}
    assert kept == {"stderr": "still here\n", "stdout": "and here\n"}


# Which files are read as which runs


def test_runs_on_several_drives_of_windows_are_named_by_their_whole_paths(monkeypatch):
    monkeypatch.setattr(saved_runs, "os", types.SimpleNamespace(path=ntpath))
    folders = ["C:\\runs\\fc\\a", "D:\\runs\\fc\\a"]
    assert saved_runs.names_of(folders, folders) == dict(zip(folders, folders))
    folders = ["C:\\runs\\fc\\a", "c:\\Runs\\fc\\b"]
    assert saved_runs.names_of(folders, folders) == dict(zip(folders, ["a", "b"]))


def test_names_of_figures_differ_where_case_does_not_count_and_are_no_devices():
    for number, tag in enumerate(["Loss", "loss", "aux"]):
        write_scalars(f"logs/{number}", tag, [1.0, 0.5])
    plot_losses.main(["logs", "--tags", "*"])
    assert sorted(os.listdir("runs/figures")) == ["Loss.png", "aux_.png", "loss-2.png"]


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


def test_a_later_file_that_stops_earlier_without_a_restart_is_said_once():
    folder = write_run("runs/fc/a", losses=np.ones(100))
    events = [scalar_event(step, BEGAN + 100, loss=0.5, accuracy=0.5) for step in (50, 60)]
    path = write_event_file(os.path.join(folder, "train", "tfevents.1"), events, BEGAN + 100)
    (run,), (note,) = read_runs()
    assert note.startswith(f"{path}: loss stops at step 60, but the older ")
    assert "goes to step 99, and no restart" in note
    assert len(run.scalars["train"]["loss"].steps) == 100
    restarted = [restart_event(50, BEGAN + 100)] + events
    write_event_file(os.path.join(folder, "train", "tfevents.1"), restarted, BEGAN + 100)
    (run,), notes = read_runs()
    assert notes == []
    assert run.scalars["train"]["loss"].steps.tolist() == [*range(50), 50, 60]


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
    assert with_band.label == "with batch norm (n = 3)"
    assert with_band.y.tolist() == [3, 2]
    assert (with_band.low.tolist(), with_band.high.tolist()) == ([1, 2], [5, 2])
    assert alone.label == "without batch norm" and alone.low is None


def test_the_same_seed_twice_is_not_a_sample_more():
    for name, seed in (("a", 0), ("b", 1), ("c", 0)):
        write_run(f"runs/fc/{name}", seed=seed)
    groups = run_groups.group_by_seed(read_runs()[0])
    assert [[run.name for run in group.runs] for group in groups] == [["fc/a", "fc/b"], ["fc/c"]]
    assert [group.label for group in groups] == [
        "with batch norm (fc/a)",
        "with batch norm (fc/c)",
    ]
    assert groups[0].color != groups[1].color


def test_runs_of_unequal_length_say_how_many_seeds_the_mean_has():
    write_run("runs/fc/a", seed=0, losses=[1.0, 1.0, 1.0])
    write_run("runs/fc/b", seed=1, losses=[3.0])
    (line,) = lines_of(read_runs()[0])
    assert line.label == "with batch norm (n = 1 to 2)"
    assert line.y.tolist() == [2, 1, 1]


def test_a_label_names_the_settings_that_tell_a_curve_from_its_rivals():
    write_run("runs/fc/a", learning_rate=0.1, hidden_units=[8, 4])
    write_run("runs/fc/b", learning_rate=0.2, hidden_units=[8, 4], data_dir="elsewhere")
    write_run("runs/fc/c", optimizer="sgd", learning_rate=0.3, hidden_units=[8])
    labels = [group.label for group in run_groups.group_by_seed(read_runs()[0])]
    assert labels == [
        "adam, with batch norm, learning rate 0.1",
        "adam, with batch norm, learning rate 0.2",
        "sgd, with batch norm",
    ]


def looks_of(runs, **view):
    return {line.label: (line.color, line.dashed) for line in lines_of(runs, **view)}


def test_of_one_optimizer_batch_norm_is_blue_and_its_absence_orange():
    for seed in (0, 1):
        write_run(f"runs/fc/with-{seed}", seed=seed)
        write_run(f"runs/fc/without-{seed}", seed=seed, batch_norm=False)
    assert looks_of(read_runs()[0]) == {
        "with batch norm (n = 2)": (figures.BLUE, False),
        "without batch norm (n = 2)": (figures.VERMILION, False),
    }


def test_of_several_optimizers_each_has_its_colour_and_batch_norm_a_line_style():
    for optimizer in run_groups.OPTIMIZER_COLORS:
        for batch_norm in (True, False):
            write_run(f"runs/fc/{optimizer}{batch_norm}", "fc", optimizer, batch_norm, losses=[1.0])
    looks = looks_of(read_runs()[0])
    assert len(set(looks.values())) == len(looks) == 16
    assert looks["adam, with batch norm"] == (figures.BLUE, False)
    assert looks["adam, without batch norm"] == (figures.BLUE, True)
    assert looks["sgd, without batch norm"] == (figures.BLACK, True)


def test_of_one_optimizer_with_several_rates_each_rate_has_its_colour():
    for rate in (0.1, 0.2):
        for batch_norm in (True, False):
            write_run(f"runs/fc/{batch_norm}{rate}", batch_norm=batch_norm, learning_rate=rate)
    assert looks_of(read_runs()[0]) == {
        "with batch norm, learning rate 0.1": (figures.BLUE, False),
        "without batch norm, learning rate 0.1": (figures.BLUE, True),
        "with batch norm, learning rate 0.2": (figures.VERMILION, False),
        "without batch norm, learning rate 0.2": (figures.VERMILION, True),
    }


def test_curves_come_in_the_order_of_the_values_that_tell_them_apart():
    for name, rate in (("a", 0.2), ("b", 0.002), ("c", 5e-05), ("d", 0.02)):
        write_run(f"runs/fc/{name}", learning_rate=rate)
    expected = [f"with batch norm, learning rate {rate}" for rate in ("5e-05", 0.002, 0.02, 0.2)]
    lines = lines_of(read_runs()[0])
    assert [line.label for line in lines] == expected
    assert [line.color for line in lines] == list(figures.PALETTE[:4])
    lines = lines_of(read_runs()[0], group_by=["learning_rate"])
    assert [line.label for line in lines] == [
        f"learning rate {r}" for r in (5e-05, 0.002, 0.02, 0.2)
    ]


def test_what_is_written_besides_and_how_it_ran_does_not_part_a_run_from_its_seeds():
    write_run("runs/fc/a", seed=0, diagnostics=True, histograms=True, threads=4, code="one")
    write_run("runs/fc/b", seed=1, diagnostics=False, validate_every=7, code="other")
    notes = []
    ((line,),) = [panel.lines for panel in panels_of(read_runs()[0], notes)]
    assert line.label == "with batch norm (n = 2)"
    (note,) = notes
    assert "different versions of the code" in note


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


def test_group_by_never_averages_runs_with_batch_norm_and_without():
    for optimizer in ("adam", "sgd"):
        for batch_norm in (True, False):
            write_run(f"runs/fc/{optimizer}{batch_norm}", "fc", optimizer, batch_norm)
    assert looks_of(read_runs()[0], group_by=["learning_rate"]) == {
        "learning rate 0.002, with batch norm (n = 2)": (figures.BLUE, False),
        "learning rate 0.002, without batch norm (n = 2)": (figures.VERMILION, False),
    }


def test_runs_on_the_clock_are_drawn_one_by_one():
    for seed in (0, 1):
        write_run(f"runs/fc/{seed}", seed=seed, began=BEGAN + 86400 * seed, losses=[1.0, 0.5])
    lines = lines_of(read_runs()[0], x="wall")
    assert [line.label for line in lines] == [f"with batch norm, seed {seed}" for seed in (0, 1)]
    assert lines[1].x[0] - lines[0].x[0] == 1.0


def test_relative_time_begins_with_the_run_and_has_a_unit_that_fits():
    write_run("runs/fc/a", losses=[1.0] * 5)
    (panel,) = panels_of(read_runs()[0], x="relative")
    assert panel.x_label == "Time since the run began (s)"
    np.testing.assert_allclose(panel.lines[0].x, [0, 0.01, 0.02, 0.03, 0.04], atol=1e-6)
    long = [scalar_event(step, BEGAN + 3600 * step, loss=1.0) for step in range(5)]
    write_event_file("logs/a/x.tfevents", long)
    (panel,) = panels_of(read_runs("logs")[0], x="relative")
    assert panel.x_label == "Time since the run began (h)"
    assert panel.lines[0].x.tolist() == [0, 1, 2, 3, 4]


def test_validation_is_drawn_as_markers_where_it_was_measured():
    write_run("runs/fc/a", losses=np.full(1002, 2.0))
    (line,) = lines_of(read_runs()[0])
    assert line.markers[0].tolist() == [0, 500, 1000, 1001]
    assert line.markers[1].tolist() == pytest.approx([2.2] * 4)


def test_a_single_training_point_is_not_taken_for_one_of_the_validation():
    write_run("runs/fc/a", losses=[2.0])
    panels = panels_of(read_runs()[0])
    figure = figures.draw(panels)
    markers = [line.get_marker() for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert markers == ["s", "o"]


def test_validation_accuracy_stands_beside_the_loss_with_population_statistics_where_they_differ():
    for name, population in (("a", 0.9), ("b", 0.52)):
        folder = write_run(f"runs/{name}/a", losses=np.full(1002, 2.0))
        write_scalars(f"{folder}/validation", "accuracy_population", [population] * 2, began=1.8e9)
    for name, shown in (("a", True), ("b", False)):
        loss, accuracy = panels_of(read_runs(f"runs/{name}")[0], with_accuracy=True)
        assert loss.y_label == "Training loss (sigmoid cross-entropy, nats)"
        assert accuracy.y_label == "Validation accuracy (%)"
        assert accuracy.lines[0].y.tolist() == [0.5] * 4
        assert (accuracy.lines[0].dotted is not None) == shown


MNIST = next(iter(run_lines.CLASS_COUNTS))


@pytest.mark.parametrize(
    "loss, data, frequencies, expected",
    [
        ("sigmoid", {"train-labels": MNIST}, None, 0.3249),
        ("softmax", {"train-labels": MNIST}, None, 2.3012),
        ("softmax", {}, [0.1] * 10, np.log(10)),
        ("sigmoid", {}, [0.1] * 10, 0.32508),
        ("sigmoid", {"train-labels": "00"}, None, None),
    ],
)
def test_the_loss_of_answering_the_class_frequencies_is_marked(loss, data, frequencies, expected):
    write_run("runs/fc/a", loss=loss, data=data, class_frequencies=frequencies)
    (panel,) = panels_of(read_runs()[0])
    assert panel.reference == (expected and pytest.approx(expected, abs=1e-4))


def test_the_counts_of_the_classes_are_those_of_mnist():
    path = os.path.join(ROOT, "MNIST_data", "train-labels-idx1-ubyte.gz")
    with open(path, "rb") as file:
        content = file.read()
    assert hashlib.sha256(content).hexdigest() == MNIST
    labels = np.frombuffer(gzip.decompress(content), np.uint8)[8:]
    assert np.bincount(labels).tolist() == list(run_lines.CLASS_COUNTS[MNIST])


@pytest.mark.parametrize(
    "values, logarithmic",
    [([1.0, 0.09], True), ([1.0, 0.2], False), ([1.0, 0.0], False), ([NAN, NAN], False)],
)
def test_the_axis_is_logarithmic_where_the_losses_span_a_decade(values, logarithmic):
    write_run("runs/fc/a", losses=values)
    assert panels_of(read_runs()[0])[0].scale == ("log" if logarithmic else "linear")


# The picture


@pytest.mark.parametrize("width", [None, 3.3, 6.5])
@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("name", ["a", "a very long name of a run, " * 5])
def test_nothing_is_clipped_and_nothing_overlaps(count, name, width):
    x = np.arange(5.0)
    lines = [
        figures.Line(name, color, False, x, x * 1e7, markers=(x, x))
        for color in figures.shades(figures.BLUE, count)
    ]
    panels = [figures.Panel(lines, "x", f"{which} of a long axis " * 2) for which in "ab"]
    figure = figures.draw(panels, "A title " * 12 if width is None else "", width)
    renderer = figure.canvas.get_renderer()
    legend = figure.legends[0].get_window_extent(renderer)
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes] + [legend]
    titles = [text.get_window_extent(renderer) for text in figure.texts if text.get_text() != " "]
    for box in boxes + titles:
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    assert len(texts_of(figure)) == count + 1
    assert width is None or figure.get_figwidth() == width


def test_the_axis_of_accuracies_shows_the_rise_from_chance_and_the_differences_at_the_end():
    x = np.arange(4.0)
    line = figures.Line("a", figures.BLUE, False, x, np.array([0.1, 0.9, 0.985, 0.99]))
    figure = figures.draw([figures.Panel([line], "x", "y", "accuracy")])
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    assert low < 0.1 and high > 0.99
    heights = axes.transData.transform(np.stack([x, line.y], axis=1))[:, 1]
    assert (heights[3] - heights[2]) / axes.bbox.height > 0.05
    shown = [tick.get_text() for tick in axes.get_yticklabels()]
    assert {"10", "90", "98", "99"} <= set(shown)


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
    colors = figures.shades(figures.BLUE, len(names))
    lines = [figures.Line(n, color, False, x, x) for n, color in zip(names, colors)]
    shown = texts_of(figures.draw([figures.Panel(lines, "x", "y")]))
    assert len(set(shown)) == len(names)
    assert shown[0] == " _a b" and shown[1] == r"\$x\$ \$y"


@pytest.mark.parametrize("backend", ["module://not.installed", "nonsense", "tkagg", ""])
def test_the_backend_matters_only_for_show_and_then_says_in_one_line(backend):
    write_run("runs/fc/a")
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    environment["MPLBACKEND"] = backend
    command = [sys.executable, "-W", "error", os.path.join(ROOT, "plot_losses.py")]
    run = functools.partial(subprocess.run, capture_output=True, encoding="utf-8", env=environment)
    done = run(command)
    assert (done.returncode, done.stderr) == (0, "")
    done = run(command[:1] + command[3:] + ["--show"])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--show needs a window" in done.stderr and "leave out --show" in done.stderr


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
        assert all(": note: " in line for line in capsys.readouterr().err.splitlines())


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
                view = run_lines.View(smoothing=0.5, group_by=group_by)
                panels = run_lines.panels_of(plot, view, lambda note: None)
            except CommandError:
                continue
            assert len(panels[0].lines) >= 1
        figures.draw(panels, run_lines.title_of(plot))


def test_names_are_sorted_as_people_count():
    names = ["a-10", "a-2", "rate-0.2", "rate-0.002", "rate-5e-05", "rate-0.02", "a"]
    assert sorted(names, key=saved_runs.natural_order) == [
        *("a", "a-2", "a-10", "rate-5e-05", "rate-0.002", "rate-0.02", "rate-0.2"),
    ]
