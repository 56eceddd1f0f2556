"""What --evaluate is given: checkpoints of other programs, old runs, one's own digits."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from helpers import ROOT, tree, write_small_mnist
from idx_files import image_set, write_set
from PIL import Image, ImageDraw

import conv_train
import fc_train
import plot_losses
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.runs import checkpoints
from graph_mode.train import evaluation

OLD_RUNS = os.path.join(ROOT, "tests", "data", "old_runs")
SMALL = ["--validation-size=100", "--batch-size=32", "--hidden-units=8", "--validate-every=10"]
SHAPES = {"dense/kernel": (784, 8), "dense_1/kernel": (8, 10), "dense_1/bias": (10,)}


@pytest.fixture(scope="module")
def flags(small_mnist):
    return SMALL + [f"--data-dir={small_mnist}"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder where a tf.layers program saved."""
    return save(tmp_path_factory.mktemp("saved"))


def save(folder, dtype=np.float32, scope="", parts=None):
    """Writes a tf.train.Saver's checkpoint, the same values at every call; returns the folder."""
    random = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        for name, shape in SHAPES.items():
            value = random.normal(0, 0.1, shape).astype(dtype)

            def initial(shape, dtype=None, partition_info=None, value=value):
                starts = partition_info.var_offset if partition_info else [0] * len(shape)
                return tf.constant(value[tuple(slice(s, s + n) for s, n in zip(starts, shape))])

            partitioner = tf.fixed_size_partitioner(parts) if parts else None
            tf.get_variable(
                scope + name, shape, dtype, initializer=initial, partitioner=partitioner
            )
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, os.path.join(str(folder), "net.ckpt"), 7)
    return str(folder)


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
        ("there [a-z]", "/on/another machine/net.ckpt-7"),
        ("windows", "C:\\\\models\\\\net.ckpt-7"),
        ("octal", "/m\\303\\274ller/net.ckpt-7"),
    ):
        folder = shutil.copytree(saved, str(tmp_path / name))
        with open(os.path.join(folder, "checkpoint"), "w") as file:
            file.write(f'model_checkpoint_path: "{state}"\n')
        assert evaluated(capsys, folder, *flags) == expected


def test_partitioned_variables_and_a_scope_are_read(saved, flags, tmp_path, capsys):
    for name in ("parts", "scope"):
        (tmp_path / name).mkdir()
    expected = evaluated(capsys, saved, *flags)
    assert evaluated(capsys, save(tmp_path / "parts", parts=2), *flags) == expected
    scoped = save(tmp_path / "scope", scope="a/net/")
    for scope in ("a/net", "a/net/"):
        assert evaluated(capsys, scoped, f"--checkpoint-scope={scope}", *flags) == expected
    for wrong in ([], ["--checkpoint-scope=net"]):
        assert "--checkpoint-scope a/net" in refusal(scoped, *flags, *wrong)
    assert "--checkpoint-scope" in refusal(saved, "--checkpoint-scope=net", *flags)


def test_a_saved_model_is_evaluated(saved, flags, tmp_path, capsys):
    expected = evaluated(capsys, saved, *flags)
    exported = str(tmp_path / "exported")
    assert evaluated(capsys, saved, f"--export={exported}", *flags) == expected
    for path in (exported, os.path.join(exported, "saved_model.pb")):
        assert evaluated(capsys, path, *flags) == expected


def test_a_checkpoint_of_another_type_or_of_objects_is_refused(flags, tmp_path):
    assert "dense/kernel" in refusal(save(tmp_path, np.float64), *flags)
    with tf.Graph().as_default(), tf.Session() as session:
        weight = tf.get_variable("w", [3])
        session.run(weight.initializer)
        path = tf.train.Checkpoint(weight=weight).save(str(tmp_path / "object"), session=session)
    assert path in refusal(path, *flags)


@pytest.mark.parametrize(
    "name", ["model.h5", "model.keras", "notes.txt", "empty", "missing", "mis[s]ing/x", "runs"]
)
def test_what_is_no_checkpoint_is_named(name, flags, tmp_path):
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "model.keras").write_bytes(b"PK\3\4 and so on")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty").mkdir()
    (tmp_path / "runs").symlink_to(OLD_RUNS)
    assert str(tmp_path / name) in refusal(tmp_path / name, *flags)


def test_a_damaged_checkpoint_and_one_without_all_its_files_are_named(saved, flags, tmp_path):
    path = os.path.join(shutil.copytree(saved, str(tmp_path / "copy")), "net.ckpt-7")
    data = f"{path}.data-00000-of-00001"
    os.truncate(data, 100)
    assert path in refusal(path, *flags)
    os.remove(data)
    assert path in refusal(path, *flags)
    shutil.copy(os.path.join(saved, os.path.basename(data)), data)
    os.remove(f"{path}.index")
    for each in (path, data):
        assert path in refusal(each, *flags)


# Runs of the version before settings.json had "resolved", and before some flags.


@pytest.fixture
def old_runs(tmp_path):
    write_set(tmp_path / "set", image_set(), packed=False)
    shutil.copytree(OLD_RUNS, str(tmp_path / "runs"))
    return str(tmp_path)


@pytest.mark.parametrize("script", [fc_train, conv_train])
def test_an_old_run_is_evaluated(script, old_runs, capsys):
    run = os.path.join(old_runs, "runs", script.NETWORK, "old")
    before = tree(run)
    with open(os.path.join(run, "result.json")) as file:
        result = json.load(file)
    names = [f"{s}_{name}" for s in ("validation", "test") for name in ("loss", "accuracy")]
    for path in (run, checkpoints.latest(run)):
        script.main(["--evaluate", path, f"--data-dir={old_runs}/set"])
        found = [float(number) for number in re.findall(r"\d\.\d+", capsys.readouterr().out)]
        assert found == pytest.approx([result[name] for name in names], abs=1e-5)
    assert tree(run) == before


def test_an_old_run_with_an_unknown_flag_is_not_taken_for_another_network(old_runs):
    run = os.path.join(old_runs, "runs", "fc", "old")
    path = os.path.join(run, "settings.json")
    with open(path) as file:
        settings = json.load(file)
    settings["flags"]["residual"] = True
    with open(path, "w") as file:
        json.dump(settings, file)
    assert "'residual'" in refusal(run)


def test_old_runs_are_drawn(old_runs, monkeypatch, capsys):
    monkeypatch.chdir(old_runs)
    plot_losses.main(["runs"])
    stdout, stderr = capsys.readouterr()
    assert re.search(r"fc/old +60 ", stdout) and re.search(r"conv/old +60 ", stdout)
    assert stderr == ""


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
    fc_train.main(["--evaluate", folder, f"--loss={loss}", *flags, "--predict", *pictures])
    stdout, stderr = capsys.readouterr()
    for line, path in zip(stdout.splitlines(), pictures):
        assert re.fullmatch(rf"{re.escape(path)}: \d \([01]\.\d{{3}}\)", line)
    assert stdout.count("\n") == 2
    picture = os.path.join(folder, "predictions.png")
    assert picture in stderr
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
    assert wrong in refusal(saved, *flags, "--predict", pictures[0], wrong)
    assert capsys.readouterr().out == ""
    assert not os.path.exists(os.path.join(saved, "predictions.png"))
    with pytest.raises(CommandError, match="--evaluate"):
        fc_train.main(["--predict", pictures[0]] + flags)


def test_probabilities_are_those_of_the_loss_and_add_up_to_1():
    logits = np.array([[0.0, 1.0, -1.0], [-900.0, -902.0, -950.0], [800.0, 0.0, 0.0]])
    exponentials = np.exp(logits[0])
    of_first = {"softmax": exponentials, "sigmoid": exponentials / (1 + exponentials)}
    for loss, expected in of_first.items():
        found = evaluation.probabilities(logits, loss)
        np.testing.assert_allclose(found[0], expected / expected.sum())
        np.testing.assert_allclose(found.sum(axis=1), 1)
