"""The two training scripts as a user runs them: processes, their output, what they leave behind."""

import contextlib
import json
import os
import re
import shutil
import struct
import threading

import pytest
from helpers import read_events, read_scalars, tree

import conv_train
import fc_train
from graph_mode import flags as flag_table
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.runs.folder import SPLITS, Run
from mnist_data import DataError

SCRIPTS = {"fc_train.py": fc_train, "conv_train.py": conv_train}
BAD_INPUT = 2
BATCH_LINE = r"Batch: {:>2}: {} loss: \d\.\d{{5}}, {} accuracy: [01]\.\d{{5}}\n"
FINAL_LINES = r"Final validation accuracy: ([01]\.\d{5})\nFinal test accuracy: ([01]\.\d{5})\n"


def small(data, *flags):
    """Flags for a run of seconds on the small MNIST."""
    return [f"--data-dir={data}", "--validation-size=100", "--batch-size=32"] + list(flags)


def expected_output(num_batches):
    """A pattern for all that a run prints to standard output."""
    lines = []
    for step in range(0, num_batches, 100):
        part = "Training" if step % 500 else "Validation"
        lines.append(BATCH_LINE.format(step, part, part))
    return "".join(lines) + FINAL_LINES


STEPS = 620


@pytest.fixture(scope="module")
def finished(script_server, small_mnist, tmp_path_factory):
    """A run, to be read only: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    flags = ["--batch-norm", "--seed=3", "--optimizer=rmsprop", "--schedule=cosine"]
    flags = small(small_mnist, f"--num-batches={STEPS}", "--run-name=own", *flags)
    code, stdout, stderr = script_server.run(folder, "fc_train.py", *flags)
    assert (code, stderr) == (0, "")
    return str(folder / "runs" / "fc" / "own"), stdout


def read_json(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return json.load(file)


def test_standard_output_is_the_documented_lines_alone(finished):
    run, stdout = finished
    final = re.fullmatch(expected_output(STEPS), stdout)
    assert final, stdout
    result = read_json(run, "result.json")
    assert list(final.groups()) == [f"{result[f'{s}_accuracy']:.5f}" for s in SPLITS[1:]]
    for step, loss in read_scalars(os.path.join(run, "validation"), "loss").items():
        if step % 500 == 0:
            assert f"Batch: {step:>2}: Validation loss: {loss:.5f}, " in stdout


def test_the_default_data_is_the_one_beside_the_script(script_server, tmp_path):
    code, stdout, stderr = script_server.run(tmp_path, "conv_train.py", "--num-batches=2")
    assert (code, stderr) == (0, "")
    assert re.fullmatch(expected_output(2), stdout)
    assert [entry.name for entry in tmp_path.iterdir()] == ["runs"]


def test_a_run_holds_the_scalars_of_every_step_and_evaluation_and_nothing_unfinished(finished):
    train, validation, test = (os.path.join(finished[0], split) for split in SPLITS)
    assert sorted(read_scalars(train, "loss")) == list(range(STEPS))
    assert sorted(read_scalars(train, "accuracy")) == [100, 200, 300, 400, 600]
    assert sorted(read_scalars(train, "learning_rate")) == list(range(STEPS))
    for tag in ("loss", "accuracy", "loss_population", "accuracy_population"):
        assert sorted(read_scalars(validation, tag)) == [0, 10, 20, 50, 100, 200, 500, STEPS]
        assert sorted(read_scalars(test, tag)) == [STEPS]
    tags = {"loss", "accuracy"}
    times = [
        e.wall_time for e in read_events(train) if tags & {each.tag for each in e.summary.value}
    ]
    assert times == sorted(times)
    assert not [path for path in tree(finished[0]) if ".part" in path or "tmp" in path]


def test_settings_name_every_flag_the_versions_and_the_data(finished, small_mnist):
    settings = read_json(finished[0], "settings.json")
    assert settings["network"] == "fc"
    flags = settings["flags"]
    assert {name for name in fc_train.script.table if flag_table.is_recorded(name)} == set(flags)
    assert (flags["batch_norm"], flags["optimizer"], flags["seed"]) == (True, "rmsprop", 3)
    assert (flags["num_batches"], flags["learning_rate"]) == (STEPS, 0.002)
    assert set(settings["versions"]) == {
        *("python", "tensorflow", "numpy", "code", "numbers", "processor", "onednn", "script"),
        "environment",
    }
    assert re.fullmatch("[0-9a-f]{12}(-changed)?|unknown", settings["versions"]["code"])
    assert settings["resolved"]["slices"] == 2
    assert settings["resolved"]["operation_threads"] >= 1
    assert settings["versions"]["tensorflow"] == tf.VERSION
    assert settings["data"] == tree(small_mnist)


def test_the_result_is_what_the_events_say(finished):
    result = read_json(finished[0], "result.json")
    for split in ("validation", "test"):
        for tag in ("loss", "accuracy", "loss_population", "accuracy_population"):
            last = read_scalars(os.path.join(finished[0], split), tag)[STEPS]
            assert result.pop(f"{split}_{tag}") == pytest.approx(last, rel=1e-6)
    assert result.pop("steps") == STEPS
    assert result.pop("seconds") > STEPS / result.pop("steps_per_second") > 0
    assert result == {}


def test_runs_with_one_name_never_meet(script_server, small_mnist, tmp_path):
    """Two processes started at once: two folders, with the same losses since the seed is one."""
    flags = small(small_mnist, "--num-batches=5", "--run-name=twin")
    twins = [script_server.start(tmp_path, "fc_train.py", *flags) for _ in range(2)]
    outputs = [process.wait() for process in twins]
    assert outputs[0] == outputs[1]
    runs = tmp_path / "runs" / "fc"
    assert sorted(entry.name for entry in runs.iterdir()) == ["twin", "twin-2"]
    losses = [read_scalars(str(runs / name / "train"), "loss") for name in ("twin", "twin-2")]
    assert len(losses[0]) == 5
    assert losses[0] == losses[1]


def test_folders_claimed_at_the_same_instant_differ_and_a_stray_file_stays(tmp_path):
    (tmp_path / "fc").mkdir()
    (tmp_path / "fc" / "adam").write_text("a note")
    claimed, start = [], threading.Barrier(8)

    def claim():
        start.wait()
        for _ in range(5):
            created = Run.create(str(tmp_path), "fc", "adam", {})
            created.close()
            claimed.append(os.path.basename(created.folder))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 40
    assert set(claimed) == {f"adam-{i}" for i in range(2, 42)}
    assert (tmp_path / "fc" / "adam").read_text() == "a note"


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_help_names_every_flag_and_its_default_at_once(name, run_script, without_tensorflow):
    code, stdout, stderr = run_script(name, "--help", environment=without_tensorflow)
    assert (code, stderr) == (0, "")
    text = " ".join(stdout.split())
    for flag, (_, _, default, *_) in SCRIPTS[name].script.table.items():
        assert f" --{flag.replace('_', '-')}" in text
        if type(default) in (int, float, str) and flag != "data_dir":
            assert f"(default: {default})" in text, flag
    assert "(default: None)" not in text


# A wrong command line, and what the line on standard error must speak of.
WRONG_FLAGS = [
    ("fc --bach-norm", "--batch-norm"),
    ("fc --learning 0.1", "--learning"),
    ("fc --optimizer adamw", "adamw momentum"),
    ("fc --loss hinge", "hinge softmax"),
    ("fc --learning-rate nan", "--learning-rate nan"),
    ("fc --learning-rate 0", "--learning-rate 0"),
    ("fc --batch-norm-momentum 1", "--batch-norm-momentum 1"),
    ("fc --batch-size=-128", "--batch-size -128"),
    ("fc --validation-size 0", "--validation-size 0"),
    ("fc --seed=-1", "--seed -1"),
    ("fc --seed 2147483648", "--seed 2147483648 2147483647"),
    ("fc --run-name=", "--run-name"),
    (f"fc --run-name {'x' * 241}", "--run-name 240"),
    ("fc --lr 0.1", "--lr did mean --learning-rate"),
    ("fc --batchnorm", "did mean --batch-norm?"),
    ("fc --epochs 3", "did mean --num-batches 430 128"),
    ("fc train", "train"),
    ("fc --hidden-units 64,,32", "--hidden-units"),
    ("fc --hidden-units many", "--hidden-units many"),
    ("fc --layers 3 --hidden-units 64,32", "--layers 3 --hidden-units 2"),
    ("fc --log-dir \udcff", "--log-dir UTF-8"),
    ("fc --resume \udce9", "--resume UTF-8"),
    ("fc --activation gelu", "gelu tanh"),
    ("fc --kernel-size 3", "--kernel-size"),
    ("fc --batch-norm --batch-norm-position after --manual-gradients", "--manual before"),
    ("conv --dense-units=-5", "--dense-units -5"),
    ("conv --hidden-units 3", "--hidden-units"),
]


def assert_one_line_of_error(name, code, stdout, stderr, words):
    """Exit code 2 and one line, which is what the user sees, and the only thing."""
    assert (code, stdout) == (BAD_INPUT, ""), stderr
    assert re.fullmatch(rf"{name}: error: .+\n", stderr), stderr
    for word in words.split():
        assert word in stderr.split("error: ")[1]


@pytest.mark.parametrize("command, words", WRONG_FLAGS)
def test_a_wrong_flag_is_one_line(command, words, capsys):
    name, *arguments = command.split()
    with pytest.raises(SystemExit) as ended:
        SCRIPTS[f"{name}_train.py"].parse_flags(arguments)
    assert_one_line_of_error(".*", ended.value.code, *capsys.readouterr(), words)


@pytest.fixture
def wrong_folders(small_mnist, tmp_path):
    """A file in the place of a folder, and two data sets with a wrong file; what is in tmp_path."""
    (tmp_path / "a_file").write_text("not a folder")
    for name in ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        shutil.copytree(small_mnist, str(tmp_path / name))
        (tmp_path / name / name).write_bytes(b"<html>")
    return tree(tmp_path)


EARLY = ("--bach-norm", "--data-dir=t10k-labels-idx1-ubyte", "--batch-size=501")


@pytest.mark.parametrize("flag", EARLY)
def test_bad_input_ends_a_script_before_tensorflow_is_loaded(
    flag, run_script, small_mnist, tmp_path, without_tensorflow, wrong_folders
):
    flags = small(small_mnist, flag)
    result = run_script("conv_train.py", *flags, environment=without_tensorflow)
    assert_one_line_of_error("conv_train.py", *result, flag.split("=")[-1])
    assert tree(tmp_path) == wrong_folders


@pytest.mark.parametrize(
    "flag, words",
    [
        ("--validation-size=601", "601 600"),
        ("--validation-size=600", "--validation-size 600"),
        ("--batch-size=501", "--batch-size 501 500"),
        ("--data-dir=train-images-idx3-ubyte", "train-images-idx3-ubyte"),
        ("--log-dir=a_file/runs", "--log-dir a_file/runs"),
        ("--log-dir=/proc/runs", "--log-dir /proc/runs"),
        ("--xla", "--xla TensorFlow 2.5 1.15"),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_leaves_nothing(
    flag, words, small_mnist, tmp_path, wrong_folders, monkeypatch
):
    if flag == "--xla" and tf.version() >= (2, 5):
        pytest.skip("this TensorFlow compiles with XLA; see test_training.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises((CommandError, DataError)) as refused:
        fc_train.main(small(small_mnist, flag))
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words.split())
    assert tree(tmp_path) == wrong_folders


def read_terminal(descriptor, parts):
    """Adds to the parts all that is written to a terminal, until its other end is closed."""
    with contextlib.suppress(OSError):
        while not parts or parts[-1]:
            parts.append(os.read(descriptor, 4096))


def test_progress_is_shown_on_a_terminal_and_wiped_away(start_script, small_mnist):
    pty, fcntl, termios = map(pytest.importorskip, ("pty", "fcntl", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    process = start_script(
        "fc_train.py", *small(small_mnist, "--num-batches=220", "--run-name=own"), stderr=theirs
    )
    os.close(theirs)
    parts = []
    reader = threading.Thread(target=read_terminal, args=(ours, parts))
    reader.start()
    stdout, _ = process.communicate(timeout=300)
    reader.join()
    os.close(ours)
    assert re.fullmatch(expected_output(220), stdout)
    table, _, progress = b"".join(parts).decode().partition("244,394\r\n")
    assert table.startswith("Training the fc network (no batch norm, adam, learning rate 0.002)")
    assert re.search(r"\ndense +256 +200,704\r\n", table)
    progress, _, last = progress.partition("Wrote runs")
    assert "/220" in progress
    assert "batch/s" in progress
    assert "\n" not in progress
    # The bar is overwritten with spaces before the words that stay.
    assert progress.rstrip("\r").split("\r")[-1].strip() == ""
    assert last.startswith("/fc/own\r\n")
