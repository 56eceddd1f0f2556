"""--evaluate and --export: checkpoints of other programs, old runs, one's own digits."""

import importlib
import os
import re
import shutil
import sys

import numpy as np
import pytest
from helpers import ROOT, Trained, read_scalars, tree
from idx_files import image_set, write_set
from PIL import Image, ImageDraw

import conv_train
import fc_train
import plot_losses
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.runs import checkpoints, record
from graph_mode.runs.folder import SPLITS
from graph_mode.train import evaluation

OLD_RUNS = os.path.join(ROOT, "tests", "data", "old_runs")
SHAPES = {"dense/kernel": (784, 8), "dense_1/kernel": (8, 10), "dense_1/bias": (10,)}


@pytest.fixture(scope="module")
def flags(small):
    return [*small, "--hidden-units=8"]


def save(folder, dtype=np.float32, scope=""):
    """Writes a tf.train.Saver's checkpoint, the same values at every call; returns the folder."""
    os.makedirs(str(folder), exist_ok=True)
    with tf.Graph().as_default(), tf.Session() as session:
        for number, (name, shape) in enumerate(SHAPES.items()):
            value = np.random.RandomState(number).normal(0, 0.1, shape).astype(dtype)
            tf.get_variable(scope + name, initializer=value)
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, os.path.join(str(folder), "net.ckpt"), 7)
    return str(folder)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder where a tf.layers program saved."""
    return save(tmp_path_factory.mktemp("saved"))


def evaluated(capsys, path, *further):
    """What --evaluate prints."""
    fc_train.main(["--evaluate", str(path), *further])
    stdout, stderr = capsys.readouterr()
    assert stderr == "" and stdout.count("\n") in (2, 4)
    return stdout


def numbers(text):
    return [float(number) for number in re.findall(r"\d\.\d+", text)]


def refusal(path, *further):
    with pytest.raises(CommandError) as error:
        fc_train.main(["--evaluate", str(path), *further])
    return str(error.value)


def test_every_file_of_a_checkpoint_means_the_checkpoint(saved, flags, tmp_path, capsys):
    expected = evaluated(capsys, saved, *flags)
    for name in [*os.listdir(saved), "net.ckpt-7"]:
        assert evaluated(capsys, os.path.join(saved, name), *flags) == expected
    # Moved from another machine, whose paths the state file still names.
    for state in ("/on/another machine/net.ckpt-7", "C:\\\\models\\\\net.ckpt-7"):
        folder = shutil.copytree(saved, str(tmp_path / f"there [a-z] {len(state)}"))
        with open(os.path.join(folder, "checkpoint"), "w") as file:
            file.write(f'model_checkpoint_path: "{state}"\n')
        assert evaluated(capsys, folder, *flags) == expected
    scoped = save(tmp_path / "scope", scope="a/net/")
    for scope in ("a/net", "a/net/"):
        assert evaluated(capsys, scoped, f"--checkpoint-scope={scope}", *flags) == expected
    for wrong in ([], ["--checkpoint-scope=net"]):
        assert "a/net/" in refusal(scoped, *flags, *wrong)
    assert "--checkpoint-scope" in refusal(saved, "--checkpoint-scope=net", *flags)


def test_a_checkpoint_of_another_type_or_of_objects_is_refused(flags, tmp_path):
    assert "dense/kernel" in refusal(save(tmp_path, np.float64), *flags)
    with tf.Graph().as_default(), tf.Session() as session:
        weight = tf.get_variable("w", [3])
        session.run(weight.initializer)
        path = tf.train.Checkpoint(weight=weight).save(str(tmp_path / "object"), session=session)
    assert path in refusal(path, *flags)


def test_what_is_no_whole_checkpoint_is_named(saved, flags, tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty").mkdir()
    for name in ("notes.txt", "empty", "mis[s]ing/x"):
        assert str(tmp_path / name) in refusal(tmp_path / name, *flags)
    assert OLD_RUNS in refusal(OLD_RUNS, *flags)
    path = os.path.join(shutil.copytree(saved, str(tmp_path / "copy")), "net.ckpt-7")
    data = f"{path}.data-00000-of-00001"
    os.truncate(data, 100)
    assert path in refusal(path, *flags)
    os.remove(f"{path}.index")
    for each in (path, data):
        assert path in refusal(each, *flags)


def test_old_runs_are_evaluated_and_drawn(tmp_path, monkeypatch, capsys):
    """Runs of the version before settings.json had "resolved", and before some flags."""
    data = write_set(tmp_path / "set", image_set(), packed=False)
    shutil.copytree(OLD_RUNS, str(tmp_path / "runs"))
    before = tree(tmp_path)
    monkeypatch.chdir(tmp_path)
    for script in (fc_train, conv_train):
        run = os.path.join("runs", script.NETWORK, "old")
        result = record.read_json(os.path.join(run, "result.json"))
        expected = [result[f"{s}_{tag}"] for s in SPLITS[1:] for tag in ("loss", "accuracy")]
        for path in (run, checkpoints.latest(run)):
            script.main(["--evaluate", path, f"--data-dir={data}"])
            lines = capsys.readouterr().out.splitlines()
            found = numbers("".join(line for line in lines if not line.startswith("With")))
            assert found == pytest.approx(expected, abs=1e-5)
    assert tree(tmp_path) == before
    plot_losses.main(["runs"])
    stdout, stderr = capsys.readouterr()
    assert len(re.findall(r"(fc|conv)/old +60 ", stdout)) == 2 and stderr == ""
    path = tmp_path / "runs" / "fc" / "old" / "settings.json"
    path.write_text(path.read_text().replace('"seed"', '"residual"'))
    assert "'residual'" in refusal("runs/fc/old")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A one and a seven, drawn."""
    folder, paths = tmp_path_factory.mktemp("pictures"), []
    for points in ([(60, 20), (60, 180)], [(30, 30), (160, 30), (80, 180)]):
        image = Image.new("L", (200, 200), 240)
        ImageDraw.Draw(image).line(points, fill=10, width=16)
        paths.append(str(folder / f"{len(points)}.png"))
        image.save(paths[-1])
    return paths


def test_predict_answers_the_digit_that_is_shown(small, pictures, tmp_path, capsys):
    run = fc_train.main([*small, "--num-batches=200", f"--log-dir={tmp_path}"])
    capsys.readouterr()
    picture = os.path.join(run, "predictions.png")
    for is_writable in (True, False):
        fc_train.main(["--evaluate", run, "--predict"] + pictures)
        stdout, stderr = capsys.readouterr()
        shares = re.sub(r"0\.\d{3}|1\.000", "S", stdout)
        assert shares == "{}: 1 (share S)\n{}: 7 (share S)\n".format(*pictures)
        assert picture in stderr and ("directory" in stderr) != is_writable
        if is_writable:
            assert Image.open(picture).size[0] > 2 * 100
            os.remove(picture)
            os.mkdir(picture)


def test_a_bad_picture_does_not_stop_the_others(saved, flags, pictures, tmp_path, capsys):
    wrong, place = os.path.join(saved, "checkpoint"), shutil.copytree(saved, str(tmp_path / "copy"))
    assert wrong in refusal(place, *flags, "--predict", wrong)
    assert capsys.readouterr().out == ""
    assert "1 of 2 pictures" in refusal(place, *flags, "--predict", wrong, pictures[0])
    stdout, stderr = capsys.readouterr()
    assert stdout.startswith(f"{pictures[0]}: ") and f"{wrong}: not a picture" in stderr
    with pytest.raises(CommandError, match="--evaluate"):
        fc_train.main(["--predict", pictures[0]] + flags)


def test_class_shares_are_those_of_the_loss_and_add_up_to_1():
    logits = np.array([[0.0, 1.0, -1.0], [-900.0, -902.0, -950.0], [800.0, 0.0, 0.0]])
    e = np.exp(logits[0])
    for loss, expected in (("softmax", e), ("sigmoid", e / (1 + e))):
        found = evaluation.class_shares(logits, loss)
        np.testing.assert_allclose(found[0], expected / expected.sum())
        np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.fixture(scope="module")
def run(small, tmp_path_factory):
    """A run whose best checkpoint is not its last. To be read only."""
    flags = [*small, "--batch-norm", "--hidden-units=16", "--learning-rate=1", "--num-batches=200"]
    flags += ["--validate-every=10", f"--log-dir={tmp_path_factory.mktemp('runs')}"]
    return fc_train.main(flags)


def test_the_best_checkpoint_is_evaluated_and_nothing_is_changed(run, capsys):
    before = tree(run)
    lowest = min(read_scalars(os.path.join(run, "validation"), "loss").values())
    best, last = (numbers(evaluated(capsys, p)) for p in (f"{run}/checkpoints/best", run))
    assert best[0] == pytest.approx(lowest, abs=1e-5) and lowest < last[0]
    result = record.read_json(os.path.join(run, "result.json"))
    tags = ("loss", "accuracy", "loss_population", "accuracy_population")
    expected = [result[f"{split}_{tag}"] for split in SPLITS[1:] for tag in tags]
    assert last == pytest.approx(expected, abs=1e-5)
    assert tree(run) == before


def test_the_exported_model_gives_the_probabilities_of_the_network(run, small, tmp_path, capsys):
    softmax = fc_train.main([*small, "--loss=softmax", "--num-batches=5", f"--log-dir={tmp_path}"])
    for exported in (run, softmax):
        folder = str(tmp_path / os.path.basename(exported))
        capsys.readouterr()
        evaluated(capsys, exported, "--export", folder)
        with Trained(fc_train, "--evaluate", exported) as one, one.graph.as_default():
            checkpoint = checkpoints.latest(exported)
            checkpoints.restore_network(one.session, checkpoint, one.model_variables)
            logits = one.evaluate("test").logits.astype(np.float64)
            raw = one.data.test.images
        expected = 1 / (1 + np.exp(-logits))
        if exported == softmax:
            expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        # As another program would: with TensorFlow alone.
        with tf.Graph().as_default(), tf.Session() as session:
            signatures = tf.saved_model.load(session, ["serve"], folder).signature_def
            for name, images in (("serving_default", raw), ("float_images", raw / np.float32(255))):
                outputs = {key: tensor.name for key, tensor in signatures[name].outputs.items()}
                found = session.run(outputs, {signatures[name].inputs["images"].name: images})
                np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)
                assert found["classes"].tolist() == logits.argmax(axis=1).tolist()
                assert found["classes"].dtype == np.int64


def test_an_export_that_cannot_be_written_is_one_line_and_leaves_nothing(run, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    place = str(tmp_path / "file" / "exported")
    assert refusal(run, "--export", place).startswith(f"--export {place}: ")
    assert capsys.readouterr().out and list(tree(tmp_path)) == ["file"]


def test_a_network_is_also_measured_as_it_normalizes_in_training(flags, tmp_path, capsys):
    """Its moving averages have hardly moved, so by batches it has more of the test set right."""
    run = fc_train.main([*flags, "--batch-norm", "--num-batches=9", f"--log-dir={tmp_path}"])
    printed = capsys.readouterr().out
    sys.path.insert(0, os.path.join(ROOT, "docs"))
    importlib.import_module("normalized_by_batches").main([run, run])
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith("| 32 | 0.002 | 9 | ") and row.endswith(" ± 0.00 (n = 2) |")
    assert float(row.split()[7]) > 100 * numbers(printed)[-1]
