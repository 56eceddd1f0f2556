"""The two training scripts as a user runs them: processes, their output, what they leave behind."""

import json
import os
import re
import shutil
import signal
import struct
import threading

import pytest
from helpers import ROOT, read_events, read_scalars, tree

import conv_train
import fc_train
from graph_mode import flags as flag_table
from graph_mode import tensorflow1 as tf
from graph_mode.runs.folder import SPLITS, Run

SCRIPTS = {"fc_train.py": fc_train, "conv_train.py": conv_train}
BAD_INPUT, INTERRUPTED = 2, 130
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


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory, small_mnist):
    """A run of 620 batches in this process: its folder. For tests that only read it."""
    log_dir = tmp_path_factory.mktemp("runs")
    flags = small(small_mnist, "--num-batches=620", "--batch-norm", f"--log-dir={log_dir}")
    return fc_train.main(flags + ["--seed=3", "--optimizer=rmsprop", "--schedule=cosine"])


@pytest.mark.parametrize("name, num_batches", [("fc_train.py", 601), ("conv_train.py", 30)])
def test_standard_output_is_the_documented_lines_alone(
    name, num_batches, run_script, small_mnist, tmp_path
):
    flags = small(small_mnist, f"--num-batches={num_batches}")
    code, stdout, stderr = run_script(name, *flags)
    assert (code, stderr) == (0, "")
    final = re.fullmatch(expected_output(num_batches), stdout)
    assert final, stdout
    (run,) = (tmp_path / "runs" / name.split("_")[0]).iterdir()
    with open(str(run / "result.json")) as file:
        result = json.load(file)
    assert final.groups() == (
        f"{result['validation_accuracy']:.5f}",
        f"{result['test_accuracy']:.5f}",
    )
    for step, loss in read_scalars(str(run / "validation"), "loss").items():
        if step % 500 == 0:
            assert f"Batch: {step:>2}: Validation loss: {loss:.5f}, " in stdout


def test_the_default_data_is_the_one_beside_the_script(run_script, tmp_path):
    code, stdout, stderr = run_script("fc_train.py", "--num-batches=2")
    assert (code, stderr) == (0, "")
    assert re.fullmatch(expected_output(2), stdout)
    assert [entry.name for entry in tmp_path.iterdir()] == ["runs"]


def test_a_run_holds_the_scalars_of_every_step_and_evaluation(finished_run):
    train, validation, test = (os.path.join(finished_run, split) for split in SPLITS)
    assert sorted(read_scalars(train, "loss")) == list(range(620))
    assert sorted(read_scalars(train, "accuracy")) == [100, 200, 300, 400, 600]
    assert sorted(read_scalars(train, "learning_rate")) == list(range(620))
    for tag in ("loss", "accuracy", "loss_population", "accuracy_population"):
        assert sorted(read_scalars(validation, tag)) == [0, 10, 20, 50, 100, 200, 500, 620]
        assert sorted(read_scalars(test, tag)) == [620]
    assert read_events(finished_run) == []


def test_the_events_of_a_run_are_in_the_order_of_time(finished_run):
    events = read_events(os.path.join(finished_run, "train"))
    tags = {"loss", "accuracy"}
    times = [e.wall_time for e in events if tags & {value.tag for value in e.summary.value}]
    assert len(times) == 625
    assert times == sorted(times)


def test_settings_name_every_flag_the_versions_and_the_data(finished_run, small_mnist):
    with open(os.path.join(finished_run, "settings.json")) as file:
        settings = json.load(file)
    assert settings["network"] == "fc"
    flags = settings["flags"]
    assert {name for name in fc_train.script.table if flag_table.is_recorded(name)} == set(flags)
    assert (flags["batch_norm"], flags["optimizer"], flags["seed"]) == (True, "rmsprop", 3)
    assert (flags["num_batches"], flags["learning_rate"]) == (620, 0.002)
    assert set(settings["versions"]) == {
        *("python", "tensorflow", "numpy", "code", "numbers", "processor", "onednn", "script"),
        "environment",
    }
    assert re.fullmatch("[0-9a-f]{12}(-changed)?|unknown", settings["versions"]["code"])
    assert settings["resolved"]["slices"] == 2
    assert settings["resolved"]["operation_threads"] >= 1
    assert settings["versions"]["tensorflow"] == tf.VERSION
    assert settings["data"] == tree(small_mnist)


def test_the_result_is_what_the_events_say(finished_run):
    with open(os.path.join(finished_run, "result.json")) as file:
        result = json.load(file)
    for split in ("validation", "test"):
        for tag in ("loss", "accuracy", "loss_population", "accuracy_population"):
            last = read_scalars(os.path.join(finished_run, split), tag)[620]
            assert result.pop(f"{split}_{tag}") == pytest.approx(last, rel=1e-6)
    assert result.pop("steps") == 620
    assert result.pop("seconds") > 620 / result.pop("steps_per_second") > 0
    assert result == {}


def test_a_run_leaves_no_temporary_file(finished_run):
    unfinished = [path for path in tree(finished_run) if ".writing" in path or "tmp" in path]
    assert unfinished == []


def test_runs_with_one_name_never_meet(script_server, small_mnist, tmp_path):
    """Two processes started at once, then a third: three folders, the earlier ones untouched."""
    flags = small(small_mnist, "--num-batches=5", "--run-name=twin")
    first, second = [script_server.start(tmp_path, "fc_train.py", *flags) for _ in range(2)]
    outputs = [process.wait() for process in (first, second)]
    # The same seed, in processes of their own, gives the same losses.
    assert outputs[0] == outputs[1]
    runs = tmp_path / "runs" / "fc"
    assert sorted(entry.name for entry in runs.iterdir()) == ["twin", "twin-2"]
    losses = [read_scalars(str(runs / name / "train"), "loss") for name in ("twin", "twin-2")]
    assert len(losses[0]) == 5
    assert losses[0] == losses[1]
    before = tree(runs)
    script_server.run(tmp_path, "fc_train.py", *flags)
    after = tree(runs)
    assert {path: after[path] for path in before} == before
    assert {path.split(os.sep)[0] for path in set(after) - set(before)} == {"twin-3"}


def test_folders_claimed_at_the_same_instant_differ(tmp_path):
    claimed, start = [], threading.Barrier(8)

    def claim():
        start.wait()
        for _ in range(10):
            created = Run.create(str(tmp_path / "runs"), "fc", "adam_batchnorm", {})
            created.close()
            claimed.append(created.folder)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(claimed)) == 80
    names = {os.path.basename(path) for path in claimed}
    assert names == {"adam_batchnorm"} | {f"adam_batchnorm-{i}" for i in range(2, 81)}


def test_a_stray_file_with_the_name_of_a_run_stays(tmp_path):
    (tmp_path / "fc").mkdir()
    (tmp_path / "fc" / "mine").write_text("a note")
    created = Run.create(str(tmp_path), "fc", "mine", {})
    created.close()
    assert created.folder.endswith("mine-2")
    assert (tmp_path / "fc" / "mine").read_text() == "a note"


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
    ("fc --learning-rate inf", "--learning-rate inf"),
    ("fc --learning-rate 0", "--learning-rate 0"),
    ("fc --learning-rate=-1", "--learning-rate -1"),
    ("fc --learning-rate fast", "--learning-rate fast"),
    ("fc --batch-norm-momentum 1", "--batch-norm-momentum 1"),
    ("fc --num-batches 0", "--num-batches 0"),
    ("fc --num-batches 2.5", "--num-batches 2.5"),
    ("fc --batch-size=-128", "--batch-size -128"),
    ("fc --validation-size 0", "--validation-size 0"),
    ("fc --threads=-1", "--threads -1"),
    ("fc --seed=-1", "--seed -1"),
    ("fc --seed 2147483648", "--seed 2147483648 2147483647"),
    ("fc --run-name ../mine", "--run-name ../mine"),
    ("fc --run-name=", "--run-name"),
    (f"fc --run-name {'x' * 241}", "--run-name 240"),
    ("fc --run-name ..", "--run-name"),
    ("fc --layers 0", "--layers 0"),
    ("fc --lr 0.1", "--lr did mean --learning-rate"),
    ("fc --bn", "--bn did mean --batch-norm"),
    ("fc --batchnorm", "did mean --batch-norm?"),
    ("fc --epochs 3", "did mean --num-batches 430 128"),
    ("fc --seed", "--seed"),
    ("fc train", "train"),
    ("fc --hidden-units=", "--hidden-units"),
    ("fc --hidden-units 64,,32", "--hidden-units"),
    ("fc --hidden-units 64,0", "--hidden-units 0"),
    ("fc --hidden-units many", "--hidden-units many"),
    ("fc --layers 3 --hidden-units 64,32", "--layers 3 --hidden-units 2"),
    ("fc --activation gelu", "gelu tanh"),
    ("fc --kernel-size 3", "--kernel-size"),
    ("fc --batch-norm --batch-norm-position after --manual-gradients", "--manual before"),
    ("conv --kernel-size 0", "--kernel-size 0"),
    ("conv --stride-every 0", "--stride-every 0"),
    ("conv --filters-step 0", "--filters-step 0"),
    ("conv --dense-units=-5", "--dense-units -5"),
    ("conv --hidden-units 3", "--hidden-units"),
]


def assert_one_line_of_error(name, code, stdout, stderr, words):
    """Exit code 2 and one line, which is what the user sees, and the only thing."""
    assert (code, stdout) == (BAD_INPUT, ""), stderr
    assert re.fullmatch(rf"{name}: error: .+\n", stderr), stderr
    for word in words:
        assert word in stderr


@pytest.mark.parametrize("command, words", WRONG_FLAGS)
def test_a_wrong_flag_is_one_line(command, words, capsys):
    name, *arguments = command.split()
    with pytest.raises(SystemExit) as ended:
        SCRIPTS[f"{name}_train.py"].parse_flags(arguments)
    stdout, stderr = capsys.readouterr()
    assert (ended.value.code, stdout, stderr.count("\n")) == (BAD_INPUT, "", 1)
    for word in words.split():
        assert word in stderr.split("error: ")[1]


def test_a_wrong_flag_ends_a_script_before_anything_is_loaded_or_written(
    run_script, tmp_path, without_tensorflow
):
    result = run_script("conv_train.py", "--bach-norm", environment=without_tensorflow)
    assert_one_line_of_error("conv_train.py", *result, words=["--bach-norm"])
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_wrong_data_is_one_line_at_once(
    name, run_script, small_mnist, tmp_path, without_tensorflow
):
    folder = tmp_path / "data"
    shutil.copytree(small_mnist, str(folder))
    (folder / name).write_bytes(b"<html>")
    before = tree(tmp_path)
    result = run_script("fc_train.py", *small(folder), environment=without_tensorflow)
    assert_one_line_of_error("fc_train.py", *result, words=[name])
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--batch-size=501"], ["--batch-size", "501", "500"]),
        (["--validation-size=601"], ["601", "600"]),
        (["--validation-size=600"], ["--validation-size", "600"]),
    ],
)
def test_sizes_that_the_data_does_not_have_are_one_line(
    flags, words, run_script, small_mnist, tmp_path, without_tensorflow
):
    flags = small(small_mnist) + flags
    result = run_script("fc_train.py", *flags, environment=without_tensorflow)
    assert_one_line_of_error("fc_train.py", *result, words=words)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("log_dir", ["a_file/runs", "/proc/runs"])
def test_an_unwritable_log_dir_is_one_line(log_dir, script_server, small_mnist, tmp_path):
    (tmp_path / "a_file").write_text("not a folder")
    before = tree(tmp_path)
    flags = small(small_mnist, "--log-dir", log_dir)
    result = script_server.run(tmp_path, "fc_train.py", *flags)
    assert_one_line_of_error("fc_train.py", *result, words=["--log-dir", log_dir])
    assert tree(tmp_path) == before


def test_xla_is_one_line_where_tensorflow_cannot(run_script, small_mnist, tmp_path):
    if tf.version() >= (2, 5):
        pytest.skip("this TensorFlow compiles with XLA; see test_training.py")
    result = run_script("fc_train.py", *small(small_mnist, "--xla"))
    assert_one_line_of_error("fc_train.py", *result, words=["--xla", "TensorFlow 2.5", "1.15"])
    assert tree(tmp_path) == {}


def test_control_c_ends_with_one_line_and_no_result(script_server, small_mnist, tmp_path):
    flags = small(small_mnist, "--num-batches=1000000", "--run-name=own")
    process = script_server.start(tmp_path, "fc_train.py", *flags)
    process.wait_for("Batch:  0")
    process.send_signal(signal.SIGINT)
    code, stdout, stderr = process.wait()
    assert code == INTERRUPTED
    assert re.fullmatch(r"fc_train.py: .*(interrupted|Ctrl-C).*\n", stderr)
    assert re.fullmatch(r"(Batch: .*\n)*", stdout)
    run = tmp_path / "runs" / "fc" / "own"
    assert not (run / "result.json").exists()
    # What was trained until then can be looked at: no event is lost or cut.
    assert 0 in read_scalars(str(run / "validation"), "accuracy")
    losses = read_scalars(str(run / "train"), "loss")
    assert sorted(losses) == list(range(len(losses)))


def read_terminal(descriptor):
    """All that was written to a terminal whose other end is closed."""
    content = b""
    while True:
        try:
            part = os.read(descriptor, 4096)
        except OSError:
            return content.decode()
        if not part:
            return content.decode()
        content += part


def test_progress_is_shown_on_a_terminal_and_wiped_away(start_script, small_mnist):
    pty, fcntl, termios = map(pytest.importorskip, ("pty", "fcntl", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    process = start_script(
        "fc_train.py", *small(small_mnist, "--num-batches=220", "--run-name=own"), stderr=theirs
    )
    os.close(theirs)
    terminal = []
    reader = threading.Thread(target=lambda: terminal.append(read_terminal(ours)))
    reader.start()
    stdout, _ = process.communicate(timeout=300)
    reader.join()
    os.close(ours)
    assert re.fullmatch(expected_output(220), stdout)
    table, _, progress = terminal[0].partition("244,394\r\n")
    assert table.startswith("Training the fc network (no batch norm, adam, learning rate 0.002)")
    assert re.search(r"\ndense +256 +200,704\r\n", table)
    progress, _, last = progress.partition("Wrote runs")
    assert "/220" in progress
    assert "batch/s" in progress
    assert "\n" not in progress
    # The bar is overwritten with spaces before the words that stay.
    assert progress.rstrip("\r").split("\r")[-1].strip() == ""
    assert last.startswith("/fc/own\r\n")


def test_scripts_run_from_the_folder_of_the_project(script_server, small_mnist, tmp_path):
    log_dir = tmp_path / "elsewhere"
    flags = small(small_mnist, "--num-batches=1", f"--log-dir={log_dir}", "--run-name=own")
    before = set(os.listdir(ROOT))
    code, stdout, stderr = script_server.run(ROOT, "fc_train.py", *flags)
    assert (code, stderr) == (0, "")
    assert re.fullmatch(expected_output(1), stdout)
    assert set(os.listdir(ROOT)) - before <= {"__pycache__"}
    assert os.listdir(str(log_dir / "fc")) == ["own"]
