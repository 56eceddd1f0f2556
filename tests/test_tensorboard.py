"""A real TensorBoard, asked over HTTP for everything that a run writes for it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FC, CONV = "fc/adam_batchnorm", "conv/adam_no_batchnorm"
SECONDS_TO_WAIT = 180


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("tensorboard") / "runs")
    train("fc_train.py", folder, "--batch-norm", "--histograms")
    train("conv_train.py", folder)
    return folder


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


def train(script, log_dir, *flags):
    command = [sys.executable, os.path.join(ROOT, script), "--log-dir", log_dir]
    subprocess.run(command + ["--num-batches", "3", *flags], check=True, stdout=subprocess.DEVNULL)


def wait_for_images(server, get):
    """Waits until TensorBoard has read to the end of both runs: images come last in their files."""
    deadline = time.time() + SECONDS_TO_WAIT
    while time.time() < deadline:
        assert server.poll() is None, "TensorBoard did not start"
        try:
            tags = json.loads(get("plugin/images/tags"))
            scalars = json.loads(get("plugin/scalars/tags"))
            if all(tags.get(run) and scalars.get(f"{run}/test") for run in (FC, CONV)):
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
    for part in ("validation", "test"):
        for tag in ("loss", "accuracy"):
            points = get_json(tensorboard, path, run=f"{run}/{part}", tag=tag)
            assert points[-1][1] == 2


@pytest.mark.parametrize(
    ("run", "boxes"),
    [
        (FC, ["dense", "dense_5", "batch_normalization", "batch_normalization_4"]),
        (CONV, ["conv2d", "conv2d_4", "dense", "dense_1"]),
    ],
)
def test_the_graph_has_a_box_for_each_layer_and_few_others(tensorboard, run, boxes):
    query = {"run": run, "limit_attr_size": 1024, "large_attrs_key": "_too_large_attrs"}
    graph = tensorboard("plugin/graphs/graph", **query).decode()
    graph = graph.split("\nlibrary {")[0]
    lines = [line.strip() for line in graph.splitlines()]
    names = [line[len('name: "') : -1] for line in lines if line.startswith('name: "')]
    top_level = {name.split("/")[0] for name in names}
    assert set(boxes) <= top_level
    assert {"training_loop", "checkpoint", "loss", "scale"} <= top_level
    assert not [name for name in top_level if name.startswith(("Placeholder", "Const", "save"))]


def test_hparams_shows_every_flag_and_the_final_metrics_of_every_run(tensorboard, log_dir):
    experiment = get_json(tensorboard, "plugin/hparams/experiment", {"experimentName": ""})
    shown = {info["name"] for info in experiment["hparamInfos"]}
    metrics = {(info["name"]["group"], info["name"]["tag"]) for info in experiment["metricInfos"]}
    assert {(p, t) for p in ("validation", "test") for t in ("loss", "accuracy")} <= metrics
    statuses = [f"STATUS_{name}" for name in ("UNKNOWN", "SUCCESS", "FAILURE", "RUNNING")]
    body = {"experimentName": "", "allowedStatuses": statuses, "startIndex": 0, "sliceSize": 100}
    groups = get_json(tensorboard, "plugin/hparams/session_groups", dict(body, colParams=[]))
    sessions = {group["sessions"][0]["name"]: group for group in groups["sessionGroups"]}
    assert set(sessions) == {FC, CONV}
    for run, group in sessions.items():
        with open(os.path.join(log_dir, run, "settings.json")) as file:
            flags = json.load(file)["flags"]
        assert set(flags) | {"network"} == set(group["hparams"])
        assert set(flags) <= shown
        assert group["sessions"][0]["status"] == "STATUS_SUCCESS"
        with open(os.path.join(log_dir, run, "result.json")) as file:
            result = json.load(file)
        values = {
            f"{value['name']['group']}_{value['name']['tag']}": value["value"]
            for value in group["metricValues"]
        }
        for name in ("validation_accuracy", "validation_loss", "test_accuracy", "test_loss"):
            assert values[name] == pytest.approx(result[name], rel=1e-6)


def test_histograms_of_weights_gradients_and_activations_of_each_layer(tensorboard):
    tags = get_json(tensorboard, "plugin/histograms/tags")
    expected = {f"activations/layer_{i}" for i in range(1, 6)} | {"activations/logits"}
    for kind in ("weights", "gradients"):
        expected |= {f"{kind}/dense/kernel", f"{kind}/dense_5/bias"}
        expected |= {f"{kind}/batch_normalization_4/{name}" for name in ("gamma", "beta")}
    assert expected <= set(tags[FC])
    assert not tags.get(CONV)
    path = "plugin/histograms/histograms"
    points = get_json(tensorboard, path, run=FC, tag="gradients/dense/kernel")
    assert [point[1] for point in points] == [0]
    assert sum(count for _, _, count in points[0][2]) == pytest.approx(784 * 256)


@pytest.mark.parametrize("tag", ["confusion_matrix", "misclassified"])
def test_the_mistakes_are_there_as_images(tensorboard, tag):
    images = get_json(tensorboard, "plugin/images/images", run=CONV, tag=tag, sample=0)
    assert images[-1]["step"] == 2
    png = tensorboard(f"plugin/images/individualImage?{images[-1]['query']}&unused=")
    assert png.startswith(b"\x89PNG")


def test_the_settings_are_a_table_under_text(tensorboard):
    tags = get_json(tensorboard, "plugin/text/tags")
    assert len(tags[FC]) == 1
    text = get_json(tensorboard, "plugin/text/text", run=FC, tag=tags[FC][0])[0]["text"]
    assert "<table>" in text
    assert "<td>batch_norm</td>" in text


def test_custom_scalars_overlay_training_and_validation_loss(tensorboard):
    layout = get_json(tensorboard, "plugin/custom_scalars/layout")
    charts = {chart["title"]: chart for chart in layout["category"][0]["chart"]}
    assert charts["Loss"]["multiline"]["tag"] == ["^loss$"]
    for part in ("train", "validation"):
        points = get_json(
            tensorboard, "plugin/custom_scalars/scalars", run=f"{FC}/{part}", tag="^loss$"
        )
        assert points["tag_to_events"]["loss"]
