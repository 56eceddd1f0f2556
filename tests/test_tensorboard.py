"""A real TensorBoard, asked over HTTP for everything that a run writes for it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import pytest

FC, CONV = "fc/own", "conv/own"
SECONDS_TO_WAIT = 180


@pytest.fixture(scope="module")
def log_dir(script_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensorboard")
    for script, *flags in (
        ("fc_train.py", "--batch-norm", "--histograms", "--diagnostics"),
        ("conv_train.py",),
    ):
        flags += ["--num-batches=3", "--run-name=own"]
        assert script_server.run(folder, script, *flags)[0] == 0
    return str(folder / "runs")


@pytest.fixture(scope="module")
def tensorboard(log_dir):
    """A function that gets a path below /data of a TensorBoard that has loaded both runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", log_dir]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def get(path, body=None, **query):
        url = f"http://127.0.0.1:{port}/data/{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, headers={"Content-Type": "application/json"})
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=60) as response:
            return response.read()

    try:
        wait_for_images(server, get)
        yield get
    finally:
        server.kill()
        server.wait()


def wait_for_images(server, get):
    """Waits until TensorBoard has read to the end of both runs: images come last in their files."""
    deadline = time.time() + SECONDS_TO_WAIT
    while time.time() < deadline:
        assert server.poll() is None, "TensorBoard did not start"
        try:
            tags = json.loads(get("plugin/images/tags"))
            scalars = json.loads(get("plugin/scalars/tags"))
            if all(tags.get(f"{r}/train") and scalars.get(f"{r}/test") for r in (FC, CONV)):
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"TensorBoard did not load the runs in {SECONDS_TO_WAIT} seconds")


def get_json(tensorboard, path, body=None, **query):
    return json.loads(tensorboard(path, body, **query))


@pytest.mark.parametrize("run", [FC, CONV])
def test_every_step_has_its_training_loss(tensorboard, run):
    path = "plugin/scalars/scalars"
    points = get_json(tensorboard, path, run=f"{run}/train", tag="loss")
    assert [step for _, step, _ in points] == [0, 1, 2]
    for split in ("validation", "test"):
        for tag in ("loss", "accuracy"):
            points = get_json(tensorboard, path, run=f"{run}/{split}", tag=tag)
            assert points[-1][1] == 3


def test_a_run_is_three_entries(tensorboard):
    runs = json.loads(tensorboard("runs"))
    assert sorted(runs) == sorted(
        f"{run}/{split}" for run in (FC, CONV) for split in ("train", "validation", "test")
    )


@pytest.mark.parametrize(
    ("run", "layers"),
    [
        (FC, {"dense": 6, "batch_normalization": 5, "relu": 5}),
        (CONV, {"conv2d": 5, "dense": 2, "relu": 6}),
    ],
)
def test_the_graph_has_a_box_for_each_layer_and_few_others(tensorboard, run, layers):
    query = {"run": f"{run}/train", "limit_attr_size": 1024, "large_attrs_key": "_too_large_attrs"}
    graph = tensorboard("plugin/graphs/graph", **query).decode()
    graph = graph.split("\nlibrary {")[0]
    names = re.findall('^  name: "(.*)"$', graph, re.MULTILINE)
    top_level = {name.split("/")[0] for name in names}
    expected = {
        layer if number == 0 else f"{layer}_{number}"
        for layer, count in layers.items()
        for number in range(count)
    }
    expected |= {"evaluation", "scale", "flatten", "loss", "training_input", "training_loop"}
    # Neither checkpoints nor what --histograms and --diagnostics measure.
    assert top_level == expected | {"global_step", "beta1_power", "beta2_power"}


def test_hparams_shows_what_is_compared_before_what_else_decides_the_numbers(tensorboard):
    experiment = get_json(tensorboard, "plugin/hparams/experiment", {"experimentName": ""})
    shown = [info["name"] for info in experiment["hparamInfos"]]
    assert {"batch_size", "loss", "seed"} <= set(shown)
    assert not {"log_dir", "data_dir", "allow_nonfinite", "histograms"} & set(shown)
    # TensorBoard's page shows the first five.
    assert set(shown[:5]) == {"network", "batch_norm", "optimizer", "learning_rate", "layers"}


def test_hparams_has_every_flag_and_the_final_metrics_of_every_run(tensorboard, log_dir):
    experiment = get_json(tensorboard, "plugin/hparams/experiment", {"experimentName": ""})
    names = [info["displayName"] for info in experiment["metricInfos"]]
    measured = ("accuracy", "accuracy, population", "loss")
    assert sorted(names) == [
        f"{split} {name}" for split in ("test", "validation") for name in measured
    ]
    statuses = [f"STATUS_{name}" for name in ("UNKNOWN", "SUCCESS", "FAILURE", "RUNNING")]
    body = {"experimentName": "", "allowedStatuses": statuses, "startIndex": 0, "sliceSize": 100}
    groups = get_json(tensorboard, "plugin/hparams/session_groups", dict(body, colParams=[]))
    sessions = {group["sessions"][0]["name"]: group for group in groups["sessionGroups"]}
    assert set(sessions) == {f"{FC}/train", f"{CONV}/train"}
    for run, group in sessions.items():
        folder = os.path.join(log_dir, os.path.dirname(run))
        with open(os.path.join(folder, "settings.json")) as file:
            flags = json.load(file)["flags"]
        assert set(flags) | {"network"} == set(group["hparams"])
        assert group["sessions"][0]["status"] == "STATUS_SUCCESS"
        with open(os.path.join(folder, "result.json")) as file:
            result = json.load(file)
        values = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
        for split in ("validation", "test"):
            for name in ("accuracy", "loss"):
                found = values[f"final/{name}/{split}"]
                assert found == pytest.approx(result[f"{split}_{name}"], rel=1e-6)


def test_histograms_of_weights_gradients_and_activations_of_each_layer(tensorboard):
    tags = get_json(tensorboard, "plugin/histograms/tags")
    expected = {f"activations/layer_{i}" for i in range(1, 6)} | {"activations/logits"}
    for kind in ("weights", "gradients"):
        expected |= {f"{kind}/dense/kernel", f"{kind}/dense_5/bias"}
        expected |= {f"{kind}/batch_normalization_4/{name}" for name in ("gamma", "beta")}
    for layer in range(1, 6):
        expected.add(f"activation_inputs/layer_{layer}")
    expected |= {f"moving_averages/batch_normalization/moving_{m}" for m in ("mean", "variance")}
    assert expected <= set(tags[f"{FC}/train"])
    assert not tags.get(f"{CONV}/train")
    path = "plugin/histograms/histograms"
    points = get_json(tensorboard, path, run=f"{FC}/train", tag="gradients/dense/kernel")
    assert [point[1] for point in points] == [0, 3]
    assert sum(count for _, _, count in points[0][2]) == pytest.approx(784 * 256)


@pytest.mark.parametrize("tag", ["confusion_matrix", "misclassified"])
def test_the_mistakes_are_there_as_images(tensorboard, tag):
    images = get_json(tensorboard, "plugin/images/images", run=f"{CONV}/train", tag=tag, sample=0)
    assert images[-1]["step"] == 3
    png = tensorboard(f"plugin/images/individualImage?{images[-1]['query']}&unused=")
    assert png.startswith(b"\x89PNG")


def test_the_settings_and_the_network_are_tables_under_text(tensorboard):
    tags = get_json(tensorboard, "plugin/text/tags")[f"{FC}/train"]
    assert len(tags) == 2
    texts = [
        get_json(tensorboard, "plugin/text/text", run=f"{FC}/train", tag=tag)[0]["text"]
        for tag in sorted(tags)
    ]
    assert all("<table>" in text for text in texts)
    assert "<td>200,704</td>" in texts[0].replace(' align="right"', "")
    names = re.findall(r"<tr>\s*<td>(.*?)</td>", texts[1])
    assert names[:5] == ["network", "batch_norm", "layers", "learning_rate", "optimizer"]
    assert names[5:8] == ["activation", "allow_nonfinite", "batch_norm_epsilon"]
