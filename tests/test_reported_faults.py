"""Situations in which people lost work or were misled: each ends as it should."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT, read_scalars, tree, write_small_mnist
from idx_files import image_set, write_set
from PIL import Image, ImageDraw
from test_compare import own_terminal

import conv_train
import fc_train
from graph_mode import machine
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.runs import checkpoints
from graph_mode.train import evaluation

OLD_RUNS = os.path.join(ROOT, "tests", "data", "old_runs")
SCRIPTS = ("fc_train.py", "conv_train.py", "compare.py", "plot_losses.py", "gradient_check.py")
SMALL = ["--validation-size=100", "--batch-size=32", "--hidden-units=8", "--validate-every=10"]
UNITS = 8
NAMES = {
    "dense/kernel": (784, UNITS),
    "dense_1/kernel": (UNITS, 10),
    "dense_1/bias": (10,),
}


def words_of(command):
    """The words of a command line, as a shell reads them."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], stdout=subprocess.PIPE)
    return [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]]


ODD_NAMES = ["r[a]", "a\\b", "-two  spaces", "st*r?", "new\nline", "\x1b[31mü"]


@pytest.mark.parametrize(
    "name", [n for n in ODD_NAMES if not (machine.WINDOWS and machine.refused_by_windows(n))]
)
def test_a_run_in_a_folder_of_any_name_is_kept_continued_and_used(
    name, script_server, small_mnist, tmp_path
):
    flags = SMALL + [f"--data-dir={small_mnist}", f"--log-dir={name}", f"--run-name={name}"]
    process = script_server.start(tmp_path, "fc_train.py", "--num-batches=100000", *flags)
    process.wait_for("Batch: 60")
    process.send_signal(signal.SIGINT)
    code, _, stderr = process.wait()
    assert (code, stderr.count("\n")) == (130, 1), stderr
    run = os.path.join(name, "fc", name)
    folder = tmp_path / run
    last = checkpoints.latest(str(folder))
    assert len(os.listdir(str(folder / "checkpoints"))) == 2 * checkpoints.KEPT + 2
    words = words_of(stderr.split("to continue: ")[1].rstrip("\n"))[2:]
    steps = int(last.rsplit("-", 1)[1]) + 5
    code, stdout, stderr = script_server.run(
        tmp_path, "fc_train.py", *words, f"--num-batches={steps}"
    )
    assert (code, stderr) == (0, "")
    final = stdout.splitlines()[-1].split()[-1]
    for what in (run, os.path.join(run, "checkpoints"), checkpoints.latest(str(folder)) + ".index"):
        code, stdout, stderr = script_server.run(
            tmp_path, "fc_train.py", f"--evaluate={what}", f"--export=exported/{len(what)}{name}"
        )
        assert (code, stderr) == (0, "")
        assert stdout.splitlines()[-1].endswith(f"Test accuracy: {final}")
    assert len(os.listdir(str(tmp_path / "exported"))) == 3


def test_training_goes_on_when_its_reader_leaves(start_script, small_mnist, tmp_path):
    flags = SMALL + [f"--data-dir={small_mnist}", "--num-batches=300", "--run-name=own"]
    process = start_script("fc_train.py", *flags)
    assert process.stdout.readline().startswith("Batch:  0")
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait() == 0
    assert stderr.count("\n") == 1 and "continuing without it" in stderr
    assert (tmp_path / "runs" / "fc" / "own" / "result.json").exists()


@pytest.mark.parametrize("heard", [True, False])
def test_a_terminal_that_goes_away_loses_nothing(heard, start_script, small_mnist, tmp_path):
    """Its signal stops the run, which is saved; under nohup the run goes on to its end."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()

    def begin():
        own_terminal(theirs)
        signal.signal(signal.SIGHUP, signal.SIG_DFL if heard else signal.SIG_IGN)

    steps = 100000 if heard else 300
    flags = SMALL + [f"--data-dir={small_mnist}", f"--num-batches={steps}", "--run-name=own"]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = start_script("fc_train.py", *flags, preexec_fn=begin, **streams)
    os.close(theirs)
    seen = b""
    while b"Batch:  0" not in seen:
        seen += os.read(ours, 1000)
    os.close(ours)
    assert process.wait(100) == (128 + signal.SIGHUP if heard else 0)
    run = str(tmp_path / "runs" / "fc" / "own")
    losses = read_scalars(os.path.join(run, "train"), "loss")
    if heard:
        assert checkpoints.latest(run).endswith(f"-{max(losses)}")
    else:
        assert sorted(losses) == list(range(300))
        assert os.path.exists(os.path.join(run, "result.json"))


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing_of_a_run(closed, small_mnist, tmp_path):
    flags = SMALL + [f"--data-dir={small_mnist}", "--num-batches=20", "--run-name=own"]
    done = shell(["fc_train.py"] + flags, closed, tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"Final test accuracy" in done.stdout) == (">&-" not in closed.split())
    run = tmp_path / "runs" / "fc" / "own"
    assert json.loads((run / "result.json").read_text())["steps"] == 20
    # Nothing that is printed went to a file.
    for folder, _, files in os.walk(str(run)):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                assert b"Final test accuracy" not in file.read()


def test_closed_streams_change_nothing_of_a_comparison_and_of_a_check(small_mnist, tmp_path):
    grid = ["--networks=fc", "--optimizers=sgd", "--seeds=1", "--jobs=1", "--num-batches=20"]
    done = shell(
        ["compare.py", f"--data-dir={small_mnist}"] + grid + SMALL, ">&- <&- 2>&-", tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / "runs" / "compare" / "report" / "report.md").exists()
    done = shell(["gradient_check.py"], ">&- 2>&-", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def shell(words, redirections, folder):
    """The script as a process that a POSIX shell started with these redirections."""
    command = f'exec "$@" {redirections}'
    words = ["sh", "-c", command, "sh", sys.executable, os.path.join(ROOT, words[0])] + words[1:]
    return subprocess.run(words, cwd=str(folder), capture_output=True, timeout=300)


IN_A_THREAD = """
import sys, threading
sys.path.insert(0, {root!r})
import compare, conv_train, fc_train, mnist_data, plot_losses
failed = []
def work():
    try:
        fc_train.main(["--num-batches=20"] + sys.argv[1:])
        assert mnist_data.main(["--check", {data!r}]) == 0
        plot_losses.main(["runs"])
        compare.main(["--networks=fc", "--optimizers=sgd", "--seeds=1", "--jobs=1",
                      "--num-batches=20"] + sys.argv[1:])
    except BaseException as error:
        failed.append(error)
        raise
thread = threading.Thread(target=work)
thread.start()
thread.join()
sys.exit(bool(failed))
"""


def test_every_script_works_in_a_thread(small_mnist, tmp_path):
    program = IN_A_THREAD.format(root=ROOT, data=small_mnist)
    done = subprocess.run(
        [sys.executable, "-c", program, f"--data-dir={small_mnist}"] + SMALL,
        cwd=str(tmp_path), capture_output=True, timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert (tmp_path / "runs" / "compare" / "report" / "report.md").exists()


@pytest.mark.parametrize("script", SCRIPTS + ("mnist_data.py",))
def test_a_script_starts_from_anywhere(script, tmp_path, without_tensorflow):
    """By a link, and where Python leaves the script's folder out of its path (-I, -P)."""
    (tmp_path / "link.py").symlink_to(os.path.join(ROOT, script))
    for words in (["-I", os.path.join(ROOT, script)], ["-I", "link.py"], ["link.py"]):
        done = subprocess.run(
            [sys.executable] + words + ["--help"],
            cwd=str(tmp_path), capture_output=True,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    module = os.path.splitext(script)[0]
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert done.returncode == 0


@pytest.mark.parametrize("value", ["0", "-1", "1.5", ""])
def test_a_comparison_of_no_runs_is_refused(value, run_script, without_tensorflow):
    code, stdout, stderr = run_script(
        "compare.py", f"--seeds={value}", "--dry-run", environment=without_tensorflow
    )
    assert (code, stdout, stderr.count("\n")) == (2, "", 1), stderr


# What --evaluate is given.


@pytest.fixture(scope="module")
def flags(small_mnist):
    return SMALL + [f"--data-dir={small_mnist}"]


@pytest.fixture(scope="module")
def saved(flags, tmp_path_factory):
    """A folder where a tf.layers program saved, and the lines of the network. To be copied."""
    folder = tmp_path_factory.mktemp("saved")
    save(str(folder / "net.ckpt"), NAMES)
    return str(folder)


def save(path, names, dtype=np.float32, scope="", partitioned=False):
    """A tf.train.Saver's checkpoint with a state file; the same values at every call."""
    random = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        for name, shape in names.items():
            value = random.normal(0, 0.1, shape).astype(dtype)
            partitioner = None
            if partitioned:
                partitioner = tf.fixed_size_partitioner(2)
            tf.get_variable(
                scope + name, shape, dtype, partitioner=partitioner,
                initializer=lambda shape, dtype=None, partition_info=None, value=value: (
                    tf.constant(value[part_of(partition_info, shape)])
                ),
            )  # fmt: skip
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, path, 7)


def part_of(partition_info, shape):
    offsets = partition_info.var_offset if partition_info else [0] * len(shape)
    return tuple(slice(start, start + size) for start, size in zip(offsets, shape))


def evaluated(capsys, path, *further):
    """What --evaluate prints."""
    fc_train.main(["--evaluate", str(path)] + list(further))
    stdout, stderr = capsys.readouterr()
    assert stderr == "" and stdout.count("\n") == 2
    return stdout


def refusal(path, *further):
    with pytest.raises(CommandError) as error:
        fc_train.main(["--evaluate", str(path)] + list(further))
    assert error.value.exit_code == 2
    return str(error.value)


def test_every_file_of_a_checkpoint_means_the_checkpoint(saved, flags, tmp_path, capsys):
    expected = evaluated(capsys, os.path.join(saved, "net.ckpt-7"), *flags)
    for name in os.listdir(saved) + [""]:
        assert evaluated(capsys, os.path.join(saved, name), *flags) == expected
    # Moved from another machine, whose paths the state file still names.
    for name, state in (
        ("there", "/on/another machine/net.ckpt-7"),
        ("windows", "C:\\\\\\\\models\\\\net.ckpt-7".replace("\\\\\\\\", "\\\\")),
        ("m\\303\\274ller", "/m\\303\\274ller/net.ckpt-7"),
    ):
        folder = shutil.copytree(saved, str(tmp_path / name))
        with open(os.path.join(folder, "checkpoint"), "w") as file:
            file.write(f'model_checkpoint_path: "{state}"\n')
        assert evaluated(capsys, folder, *flags) == expected


def test_partitioned_variables_and_a_scope_are_read(saved, flags, tmp_path, capsys):
    expected = evaluated(capsys, saved, *flags)
    save(str(tmp_path / "parts" / "net.ckpt"), NAMES, partitioned=True)
    assert evaluated(capsys, tmp_path / "parts", *flags) == expected
    save(str(tmp_path / "scope" / "net.ckpt"), NAMES, scope="a/net/")
    for scope in ("a/net", "a/net/"):
        scoped = flags + [f"--checkpoint-scope={scope}"]
        assert evaluated(capsys, tmp_path / "scope", *scoped) == expected
    text = "net.ckpt-7: its variables are in the scope a/net: add --checkpoint-scope a/net"
    for wrong in (flags, flags + ["--checkpoint-scope=net"]):
        assert refusal(tmp_path / "scope", *wrong).endswith(text)
    text = refusal(saved, "--checkpoint-scope=net", *flags)
    assert text.endswith("its variables are in no scope: leave --checkpoint-scope out")


def test_a_saved_model_is_evaluated(saved, flags, tmp_path, capsys):
    expected = evaluated(capsys, saved, *flags)
    exported = str(tmp_path / "exported")
    assert evaluated(capsys, saved, f"--export={exported}", *flags) == expected
    for path in (exported, os.path.join(exported, "saved_model.pb")):
        assert evaluated(capsys, path, *flags) == expected


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_variables_of_another_type_are_named_not_called_damaged(dtype, flags, tmp_path):
    save(str(tmp_path / "net.ckpt"), NAMES, np.dtype(dtype).type)
    assert f"dense/kernel is {dtype}, expected float32: save it from" in refusal(tmp_path, *flags)


def test_a_checkpoint_of_objects_is_named(flags, tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        weight = tf.get_variable("w", [3])
        session.run(weight.initializer)
        tf.train.Checkpoint(weight=weight).save(str(tmp_path / "ckpt"), session=session)
    text = refusal(tmp_path, *flags)
    assert "written by tf.train.Checkpoint or Keras" in text
    assert "expected a checkpoint of tf.compat.v1.train.Saver" in text


def test_what_is_no_checkpoint_is_named(saved, flags, tmp_path, capsys):
    model_name = str(shutil.copytree(saved, str(tmp_path / "copy"))) + "/net.ckpt-7"
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "model.keras").write_bytes(b"PK\3\4 and so on")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty").mkdir()
    os.mkfifo(str(tmp_path / "pipe"))
    for name, text in (
        ("model.h5", "a file of Keras (HDF5), expected a checkpoint of"),
        ("model.keras", "a zip file, as Keras and NumPy write, expected a checkpoint of"),
        ("notes.txt", "a file of another kind, expected a checkpoint of"),
        ("pipe", "a file of another kind, expected a checkpoint of"),
        ("empty", "a folder without checkpoints, expected a checkpoint of"),
        ("missing", "no such file, expected a checkpoint of"),
        ("mis[s]ing/x", "no such file, expected a checkpoint of"),
    ):
        assert f"{name}: {text}" in refusal(tmp_path / name, *flags)
    assert "a folder of runs: name one of them" in refusal(OLD_RUNS, *flags)
    data = f"{model_name}.data-00000-of-00001"
    with open(data, "r+b") as file:
        file.truncate(100)
    assert "the checkpoint is damaged (" in refusal(model_name, *flags)
    os.remove(data)
    assert "the files .data-* are missing: copy them beside it" in refusal(model_name, *flags)
    shutil.copy(os.path.join(saved, os.path.basename(data)), data)
    os.remove(f"{model_name}.index")
    for name in (model_name, data):
        assert "net.ckpt-7.index is missing: copy it too" in refusal(name, *flags)


# Runs of the version before settings.json had "resolved", and before some flags.


@pytest.fixture
def old_runs(tmp_path):
    write_set(tmp_path / "set", image_set(), packed=False)
    shutil.copytree(OLD_RUNS, str(tmp_path / "runs"))
    return str(tmp_path)


@pytest.mark.parametrize("script", [fc_train, conv_train])
def test_an_old_run_is_evaluated_and_never_continued(script, old_runs, capsys):
    run = os.path.join(old_runs, "runs", script.NETWORK, "old")
    before = tree(run)
    with open(os.path.join(run, "result.json")) as file:
        result = json.load(file)
    where = [f"--data-dir={old_runs}/set"]
    expected = [
        result[f"{split}_{name}"]
        for split in ("validation", "test")
        for name in ("loss", "accuracy")
    ]
    for path in (run, checkpoints.latest(run)):
        script.main(["--evaluate", path] + where)
        found = [float(number) for number in re.findall(r"\d\.\d+", capsys.readouterr().out)]
        assert found == pytest.approx(expected, abs=1e-5)
    with pytest.raises(CommandError) as error:
        script.main(["--resume", run, "--num-batches=70"] + where)
    text = "'batch_norm_epsilon' is missing: the run cannot be continued here, only evaluated with"
    assert text in str(error.value)
    assert tree(run) == before


def test_an_old_run_with_an_unknown_flag_is_not_taken_for_another_network(old_runs):
    run = os.path.join(old_runs, "runs", "fc", "old")
    path = os.path.join(run, "settings.json")
    with open(path) as file:
        settings = json.load(file)
    settings["flags"]["residual"] = True
    with open(path, "w") as file:
        json.dump(settings, file)
    assert "found that 'residual' is unknown: use the version that trained it" in refusal(run)


def test_old_runs_are_drawn(old_runs, run_script):
    code, stdout, stderr = run_script("plot_losses.py", os.path.join(old_runs, "runs"))
    assert (code, stderr) == (0, "")
    assert re.search(r"fc/old +60 ", stdout) and re.search(r"conv/old +60 ", stdout)


# One's own digits.


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A one and a seven, drawn."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, points in (
        ("one", [(60, 20), (60, 180)]),
        ("seven", [(30, 30), (160, 30), (80, 180)]),
    ):
        image = Image.new("L", (200, 200), 240)
        ImageDraw.Draw(image).line(points, fill=10, width=16)
        image.save(str(folder / f"{name}.png"))
    return [str(folder / "one.png"), str(folder / "seven.png")]


@pytest.mark.parametrize("loss", ["sigmoid", "softmax"])
def test_predict_prints_a_line_for_each_picture(loss, saved, flags, pictures, tmp_path, capsys):
    folder = shutil.copytree(saved, str(tmp_path / "net"))
    chosen = flags + [f"--loss={loss}", "--predict"] + pictures
    fc_train.main(["--evaluate", folder] + chosen)
    stdout, stderr = capsys.readouterr()
    lines = stdout.splitlines()
    assert len(lines) == 2
    for line, path in zip(lines, pictures):
        assert re.fullmatch(rf"{re.escape(path)}: \d \([01]\.\d{{3}}\)", line)
    picture = os.path.join(folder, "predictions.png")
    assert stderr.endswith(f"note: what the network saw: {picture}\n")
    assert Image.open(picture).size[0] > 2 * 100


def test_predict_answers_the_digit_that_is_shown(pictures, tmp_path, capsys):
    data = write_small_mnist(tmp_path / "data")
    flags = ["--num-batches=200", "--batch-size=32", "--validation-size=100", "--hidden-units=64"]
    flags += [f"--data-dir={data}", f"--log-dir={tmp_path / 'runs'}"]
    run = fc_train.main(flags)
    capsys.readouterr()
    fc_train.main(["--evaluate", run, "--predict"] + pictures)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-2] for line in lines] == ["1", "7"]
    assert os.path.exists(os.path.join(run, "predictions.png"))


def test_predict_refuses_what_is_no_picture_before_it_prints(saved, flags, pictures, capsys):
    wrong = os.path.join(saved, "checkpoint")
    text = refusal(saved, *flags, "--predict", pictures[0], wrong)
    assert text.startswith(f"{wrong}: not a picture")
    assert capsys.readouterr().out == ""
    assert not os.path.exists(os.path.join(saved, "predictions.png"))
    with pytest.raises(CommandError, match="--predict goes with --evaluate"):
        fc_train.main(["--predict", pictures[0]] + flags)


def test_probabilities_are_those_of_the_loss_and_add_up_to_1():
    logits = np.array([[0.0, 1.0, -1.0], [-900.0, -902.0, -950.0], [800.0, 0.0, 0.0]])
    softmax = np.exp(logits[0]) / np.exp(logits[0]).sum()
    np.testing.assert_allclose(evaluation.probabilities(logits, "softmax")[0], softmax)
    sigmoid = 1 / (1 + np.exp(-logits[0]))
    np.testing.assert_allclose(
        evaluation.probabilities(logits, "sigmoid")[0], sigmoid / sigmoid.sum()
    )
    for loss in ("softmax", "sigmoid"):
        np.testing.assert_allclose(evaluation.probabilities(logits, loss).sum(axis=1), 1)
