"""A real TensorBoard, asked over HTTP for everything that a run writes for it."""

import contextlib
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

from graph_mode.runs import record

RUN = "fc/own"


@pytest.fixture(scope="module")
def log_dir(script_server, small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensorboard")
    flags = [*small, "--num-batches=3", "--run-name=own", "--batch-norm", "--histograms"]
    assert script_server.run(folder, "fc_train.py", *flags, "--diagnostics")[0] == 0
    return str(folder / "runs")


@pytest.fixture(scope="module")
def tensorboard(log_dir):
    """tensorboard(path, **query) asks a TensorBoard that has loaded the run for what is below
    /data: JSON as what it means, anything else as bytes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", log_dir]
    command += ["--host", "127.0.0.1", "--port", str(port)]

    def get(path, body=None, **query):
        url = f"http://127.0.0.1:{port}/data/{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, headers={"Content-Type": "application/json"})
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=60) as response:
            content = response.read()
            return json.loads(content) if "json" in response.headers["Content-Type"] else content

    def is_loaded():
        with contextlib.suppress(OSError):
            # Images come last in the files of a run.
            return RUN + "/train" in get("plugin/images/tags") and len(get("runs")) == 3
        return False

    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        deadline = time.time() + 180
        try:
            while not is_loaded():
                assert server.poll() is None and time.time() < deadline
                time.sleep(0.2)
            yield get
        finally:
            server.kill()


def test_a_run_is_three_entries_and_every_step_has_its_training_loss(tensorboard):
    assert sorted(tensorboard("runs")) == [f"{RUN}/{s}" for s in ("test", "train", "validation")]
    last = [("validation", "loss"), ("validation", "accuracy"), ("test", "loss")]
    steps = {("train", "loss"): [0, 1, 2], **dict.fromkeys([*last, ("test", "accuracy")], [3])}
    for (split, tag), expected in steps.items():
        points = tensorboard("plugin/scalars/scalars", run=f"{RUN}/{split}", tag=tag)
        assert [step for _, step, _ in points][-len(expected) :] == expected


def test_the_graph_has_a_box_for_each_layer_and_few_others(tensorboard):
    query = {"run": f"{RUN}/train", "limit_attr_size": 1024, "large_attrs_key": "_too_large_attrs"}
    graph = tensorboard("plugin/graphs/graph", **query).decode().split("\nlibrary {")[0]
    found = {name.split("/")[0] for name in re.findall('^  name: "(.*)"$', graph, re.MULTILINE)}
    # Neither checkpoints nor what --histograms and --diagnostics measure.
    expected = {"evaluation", "scale", "flatten", "loss", "training_input", "training_loop"}
    expected |= {"global_step", "beta1_power", "beta2_power", "dense_5"}
    for kind in ("dense", "batch_normalization", "relu"):
        expected |= {kind} | {f"{kind}_{i}" for i in range(1, 5)}
    assert found == expected


def test_hparams_has_every_flag_what_is_compared_first_and_the_final_metrics(tensorboard, log_dir):
    experiment = tensorboard("plugin/hparams/experiment", {"experimentName": ""})
    shown = [info["name"] for info in experiment["hparamInfos"]]
    assert {"batch_size", "loss", "seed"} <= set(shown)
    assert not {"log_dir", "data_dir", "allow_nonfinite", "histograms"} & set(shown)
    # TensorBoard's page shows the first five.
    first = {"network", "batch_norm", "optimizer", "learning_rate", "other flags"}
    assert set(shown[:5]) == first
    names = [info["displayName"] for info in experiment["metricInfos"]]
    measured = ("accuracy", "accuracy, population", "loss")
    assert sorted(names) == [f"{s} {name}" for s in ("test", "validation") for name in measured]
    statuses = [f"STATUS_{name}" for name in ("UNKNOWN", "SUCCESS", "FAILURE", "RUNNING")]
    body = {"experimentName": "", "allowedStatuses": statuses, "startIndex": 0, "sliceSize": 100}
    body["colParams"] = []
    (group,) = tensorboard("plugin/hparams/session_groups", body)["sessionGroups"]
    (session,) = group["sessions"]
    assert (session["name"], session["status"]) == (f"{RUN}/train", "STATUS_SUCCESS")
    run = os.path.join(log_dir, RUN)
    assert set(record.read_settings(run)["flags"]) | first == set(group["hparams"])
    others = group["hparams"]["other flags"].split(", ")
    assert sorted(others) == ["batch size 32", "num batches 3", "validation size 100"]
    result = record.read_json(os.path.join(run, "result.json"))
    for value in group["metricValues"]:
        metric, split = value["name"]["tag"].split("/")[1:]
        assert value["value"] == pytest.approx(result[f"{split}_{metric}"], rel=1e-6)


def test_histograms_of_weights_gradients_and_activations_of_each_layer(tensorboard):
    tags = tensorboard("plugin/histograms/tags")[f"{RUN}/train"]
    kinds = ("activations", "activation_inputs")
    expected = {f"{kind}/layer_{i}" for kind in kinds for i in range(1, 6)} | {"activations/logits"}
    parts = ("dense/kernel", "dense_5/bias", "batch_normalization_4/gamma")
    expected |= {f"{kind}/{part}" for kind in ("weights", "gradients") for part in parts}
    expected |= {f"moving_averages/batch_normalization/moving_{m}" for m in ("mean", "variance")}
    assert expected <= set(tags)
    query = {"run": f"{RUN}/train", "tag": "gradients/dense/kernel"}
    points = tensorboard("plugin/histograms/histograms", **query)
    assert [point[1] for point in points] == [0, 3]
    assert sum(count for _, _, count in points[0][2]) == pytest.approx(784 * 256)


def test_the_mistakes_are_there_as_images(tensorboard):
    for tag in ("confusion_matrix", "misclassified"):
        images = tensorboard("plugin/images/images", run=f"{RUN}/train", tag=tag, sample=0)
        assert images[-1]["step"] == 3
        png = tensorboard(f"plugin/images/individualImage?{images[-1]['query']}&unused=")
        assert png.startswith(b"\x89PNG")


def test_the_settings_and_the_network_are_tables_under_text(tensorboard):
    run = f"{RUN}/train"
    network, settings = (
        tensorboard("plugin/text/text", run=run, tag=tag)[0]["text"]
        for tag in sorted(tensorboard("plugin/text/tags")[run])
    )
    assert "<td>200,704</td>" in network.replace(' align="right"', "")
    names = re.findall(r"<tr>\s*<td>(.*?)</td>", settings)
    assert names[:4] == ["network", "batch_norm", "learning_rate", "optimizer"]
    assert names[4:7] == ["activation", "allow_nonfinite", "batch_norm_epsilon"]
