"""The two training scripts as a user runs them: processes, their output, what they leave behind."""

import concurrent.futures
import contextlib
import os
import re
import shutil
import struct

import pytest
from helpers import read_events, read_scalars, tree

import conv_train
import fc_train
from graph_mode import flags as flag_table
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.runs import record
from graph_mode.runs.folder import SPLITS, Run
from mnist_data import DataError

SCRIPTS = {"fc_train.py": fc_train, "conv_train.py": conv_train}
STEPS, BAD_INPUT = 620, 2
BATCH_LINE = r"Batch: {:>2}: {} loss: \d\.\d{{5}}, {} accuracy: [01]\.\d{{5}}\n"
FINAL_LINES = r"Final validation accuracy: ([01]\.\d{5})\nFinal test accuracy: ([01]\.\d{5})\n"


def expected_output(num_batches):
    """A pattern for all that a run prints to standard output."""
    lines = []
    for step in range(0, num_batches, 100):
        part = "Training" if step % 500 else "Validation"
        lines.append(BATCH_LINE.format(step, part, part))
    return "".join(lines) + FINAL_LINES


@pytest.fixture(scope="module")
def finished(script_server, small, tmp_path_factory):
    """A run, to be read only: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    flags = ["--batch-norm", "--seed=3", "--optimizer=rmsprop", "--schedule=cosine"]
    flags += [f"--num-batches={STEPS}", "--run-name=own"]
    code, stdout, stderr = script_server.run(folder, "fc_train.py", *small, *flags)
    assert (code, stderr) == (0, "")
    return str(folder / "runs" / "fc" / "own"), stdout


def test_standard_output_is_the_documented_lines_alone(finished):
    run, stdout = finished
    final = re.fullmatch(expected_output(STEPS), stdout)
    assert final, stdout
    result = record.read_json(os.path.join(run, "result.json"))
    assert list(final.groups()) == [f"{result[f'{s}_accuracy']:.5f}" for s in SPLITS[1:]]
    with open(os.path.join(run, "accuracy_by_class.csv")) as file:
        correct = [int(line.split(",")[2]) for line in file.readlines()[1:]]
    assert sum(correct) / 200 == pytest.approx(result["test_accuracy"])
    for step, loss in read_scalars(os.path.join(run, "validation"), "loss").items():
        if step % 500 == 0:
            assert f"Batch: {step:>2}: Validation loss: {loss:.5f}, " in stdout


def test_the_default_data_is_the_one_beside_the_script(script_server, tmp_path):
    code, stdout, stderr = script_server.run(tmp_path, "conv_train.py", "--num-batches=2")
    assert (code, stderr, os.listdir(str(tmp_path))) == (0, "", ["runs"])
    assert re.fullmatch(expected_output(2), stdout)


def test_a_run_holds_every_scalar_the_result_says_the_last_ones_and_nothing_is_unfinished(finished):
    train, validation, test = (os.path.join(finished[0], split) for split in SPLITS)
    for tag in ("loss", "learning_rate"):
        assert sorted(read_scalars(train, tag)) == list(range(STEPS))
    assert sorted(read_scalars(train, "accuracy")) == [100, 200, 300, 400, 600]
    result = record.read_json(os.path.join(finished[0], "result.json"))
    for tag in ("loss", "accuracy", "loss_population", "accuracy_population"):
        assert sorted(read_scalars(validation, tag)) == [0, 10, 20, 50, 100, 200, 500, STEPS]
        assert sorted(read_scalars(test, tag)) == [STEPS]
        for split in ("validation", "test"):
            last = read_scalars(os.path.join(finished[0], split), tag)[STEPS]
            assert result.pop(f"{split}_{tag}") == pytest.approx(last, rel=1e-6)
    assert result.pop("seconds") > STEPS / result.pop("steps_per_second") > 0
    assert result == {"steps": STEPS}
    measured = [
        e for e in read_events(train) if {"loss", "accuracy"} & {v.tag for v in e.summary.value}
    ]
    times = [event.wall_time for event in measured]
    assert times == sorted(times)
    assert not [path for path in tree(finished[0]) if ".part" in path or "tmp" in path]


def test_settings_name_every_flag_the_versions_and_the_data(finished, small_mnist):
    settings = record.read_settings(finished[0])
    flags, versions = settings["flags"], settings["versions"]
    assert {name for name in fc_train.script.table if flag_table.is_recorded(name)} == set(flags)
    given = {"batch_norm": True, "optimizer": "rmsprop", "seed": 3, "num_batches": STEPS}
    assert {**flags, **given, "learning_rate": 0.002} == flags
    names = "python tensorflow numpy code numbers processor onednn script environment"
    assert set(versions) == set(names.split())
    assert re.fullmatch("[0-9a-f]{12}(-changed)?|unknown", versions["code"])
    assert versions["tensorflow"] == tf.VERSION
    assert settings["resolved"]["slices"] == 2 and settings["resolved"]["operation_threads"] >= 1
    assert (settings["network"], settings["data"]) == ("fc", tree(small_mnist))


def test_folders_claimed_at_the_same_instant_differ_and_a_stray_file_stays(tmp_path):
    (tmp_path / "fc").mkdir()
    (tmp_path / "fc" / "adam").write_text("a note")
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        claim = [threads.submit(Run.create, str(tmp_path), "fc", "adam", {}) for _ in range(40)]
    runs = [each.result() for each in claim]
    for each in runs:
        each.close()
    assert {os.path.basename(run.folder) for run in runs} == {f"adam-{i}" for i in range(2, 42)}
    assert (tmp_path / "fc" / "adam").read_text() == "a note"


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_help_names_every_flag_and_its_default(name, script_server, without_tensorflow, tmp_path):
    path = list(without_tensorflow.values())
    code, stdout, stderr = script_server.run(tmp_path, name, "--help", path=path)
    assert (code, stderr) == (0, "")
    text = " ".join(stdout.split())
    for flag, (_, _, default, *_) in SCRIPTS[name].script.table.items():
        assert f" --{flag.replace('_', '-')}" in text
        if type(default) in (int, float, str) and flag != "data_dir":
            assert f"(default: {default})" in text, flag
    assert "(default: None)" not in text


# A wrong command line, and what the line on standard error must speak of.
WRONG_FLAGS = [
    ("fc --learning 0.1", "--learning"),
    ("fc --optimizer adamw", "adamw momentum"),
    ("fc --learning-rate nan", "--learning-rate nan"),
    ("fc --learning-rate 0", "--learning-rate 0"),
    ("fc --batch-norm-momentum 1", "--batch-norm-momentum 1"),
    ("fc --batch-size=-128", "--batch-size -128"),
    ("fc --seed=-1", "--seed -1"),
    ("fc --seed 2147483648", "--seed 2147483648 2147483647"),
    ("fc --run-name=", "--run-name"),
    (f"fc --run-name {'x' * 241}", "--run-name 240"),
    ("fc --lr 0.1", "--lr did mean --learning-rate"),
    ("fc --batchnorm", "did mean --batch-norm?"),
    ("fc --epochs 3", "did mean --num-batches 430 128"),
    ("fc train", "train"),
    ("fc --hidden-units 64,,32", "--hidden-units"),
    ("fc --layers 3 --hidden-units 64,32", "--layers 3 --hidden-units 2"),
    ("fc --kernel-size 3", "--kernel-size"),
    ("fc --batch-norm --batch-norm-position after --manual-gradients", "--manual before"),
    ("conv --hidden-units 3", "--hidden-units"),
]


def assert_one_line_of_error(code, stdout, stderr, words):
    """Exit code 2 and one line, which is what the user sees, and the only thing."""
    assert (code, stdout) == (BAD_INPUT, ""), stderr
    (message,) = re.fullmatch(r".+: error: (.+)\n", stderr).groups()
    assert [word for word in words.split() if word not in message] == []


@pytest.mark.parametrize("command, words", WRONG_FLAGS)
def test_a_wrong_flag_is_one_line(command, words, capsys):
    name, *arguments = command.split()
    with pytest.raises(SystemExit) as ended:
        SCRIPTS[f"{name}_train.py"].parse_flags(arguments)
    assert_one_line_of_error(ended.value.code, *capsys.readouterr(), words)


@pytest.fixture
def wrong_folders(small_mnist, tmp_path):
    """A file in the place of a folder, and a data set with a wrong file; what is in tmp_path."""
    (tmp_path / "a_file").write_text("not a folder")
    shutil.copytree(small_mnist, str(tmp_path / "wrong"))
    (tmp_path / "wrong" / "t10k-labels-idx1-ubyte").write_bytes(b"<html>")
    return tree(tmp_path)


@pytest.mark.parametrize("flag", ["--bach-norm", "--data-dir=wrong"])
def test_bad_input_ends_a_script_before_tensorflow_is_loaded(
    flag, script_server, small, tmp_path, without_tensorflow, wrong_folders
):
    path = list(without_tensorflow.values())
    result = script_server.run(tmp_path, "conv_train.py", *small, flag, path=path)
    assert_one_line_of_error(*result, flag.split("=")[-1])
    assert tree(tmp_path) == wrong_folders


@pytest.mark.parametrize(
    "flag, words",
    [
        ("--validation-size=601", "601 600"),
        ("--validation-size=600", "--validation-size 600"),
        ("--batch-size=501", "--batch-size 501 500"),
        ("--data-dir=wrong", "wrong/t10k-labels-idx1-ubyte"),
        ("--log-dir=a_file/runs", "--log-dir a_file/runs"),
        ("--log-dir=/proc/runs", "--log-dir /proc/runs"),
        ("--xla", "--xla TensorFlow 2.5 1.15"),
    ],
)
def test_what_cannot_be_trained_is_told(flag, words, small, tmp_path, wrong_folders, monkeypatch):
    if flag == "--xla" and tf.version() >= (2, 5):
        pytest.skip("this TensorFlow compiles with XLA; see test_training.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises((CommandError, DataError)) as refused:
        fc_train.main([*small, flag])
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words.split())
    assert tree(tmp_path) == wrong_folders


def test_progress_is_shown_on_a_terminal_and_wiped_away(script_server, small, tmp_path):
    pty, fcntl, termios = map(pytest.importorskip, ("pty", "fcntl", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    streams = [os.devnull, str(tmp_path / "stdout"), os.ttyname(theirs)]
    flags = [*small, "--num-batches=220", "--run-name=own"]
    process = script_server.start(tmp_path, "fc_train.py", *flags, streams=streams)
    shown = os.read(ours, 1)
    os.close(theirs)
    with contextlib.suppress(OSError):  # when the process ends
        while True:
            shown += os.read(ours, 4096)
    os.close(ours)
    assert process.wait()[0] == 0
    assert re.fullmatch(expected_output(220), (tmp_path / "stdout").read_text())
    table, _, progress = shown.decode().partition("244,394\r\n")
    assert table.startswith("Training the fc network (no batch norm, adam, learning rate 0.002)")
    assert re.search(r"\ndense +256 +200,704\r\n", table)
    progress, _, last = progress.partition("Wrote runs")
    assert "/220" in progress and "batch/s" in progress and "\n" not in progress
    # The bar is overwritten with spaces before the words that stay.
    assert progress.rstrip("\r").split("\r")[-1].strip() == ""
    assert last.startswith("/fc/own\r\n")
