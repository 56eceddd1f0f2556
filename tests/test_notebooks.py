"""The scripts in notebooks: real kernels, whose state is the user's and outlives every call."""

import os
import queue
import re
import shutil
import time

import pytest
from helpers import ROOT

from graph_mode import tensorflow1

pytest.importorskip("ipykernel")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
manager = pytest.importorskip("jupyter_client.manager")

SECONDS = 300
EXERCISE = os.path.join(ROOT, "exercise.ipynb")


class Kernel:
    """A kernel whose folder is the project's, as that of a notebook which lies there."""

    def __init__(self, folder):
        self._manager = manager.KernelManager(connection_file=str(folder / "kernel.json"))
        environment = dict(os.environ, IPYTHONDIR=str(folder / "ipython"))
        # What other tests of this process have set, by importing TensorFlow.
        for name in tensorflow1.IMPORT_ENVIRONMENT:
            environment.pop(name, None)
        self._manager.start_kernel(cwd=ROOT, env=environment)
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=SECONDS)

    def run(self, code, interrupt_after=None):
        """Runs a cell and returns its Outputs.

        interrupt_after: printed text at which the user presses Stop, twice.
        """
        identity = self._client.execute(code)
        outputs = Outputs()
        deadline = time.time() + SECONDS
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=1)
            except queue.Empty:
                assert self._manager.is_alive(), "the kernel is dead"
                assert time.time() < deadline, outputs.__dict__
                continue
            if message["parent_header"].get("msg_id") != identity:
                continue
            content = message["content"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return outputs
            outputs.add(message["msg_type"], content)
            if interrupt_after and interrupt_after in outputs.stdout:
                interrupt_after = None
                for _ in range(2):
                    self._manager.interrupt_kernel()
                    time.sleep(0.05)

    def close(self):
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


class Outputs:
    """What a cell showed: text, pictures as the types of their data, errors as (name, text)."""

    def __init__(self):
        self.stdout, self.stderr, self.displayed, self.errors = "", "", [], []

    def add(self, kind, content):
        if kind == "stream":
            setattr(self, content["name"], getattr(self, content["name"]) + content["text"])
        elif kind in ("display_data", "execute_result"):
            self.displayed.append(content["data"])
        elif kind == "error":
            self.errors.append((content["ename"], "\n".join(content["traceback"])))


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    started = Kernel(tmp_path_factory.mktemp("kernel"))
    yield started
    started.close()


@pytest.fixture
def flags(small_mnist, tmp_path):
    """The flags with which a run is short, and written to a folder of the test."""
    return [
        *("--data-dir", str(small_mnist), "--validation-size", "100"),
        *("--log-dir", str(tmp_path), "--batch-size", "50"),
    ]


def both_ways(script, words):
    """A cell that runs the script by %run, and one that calls its main()."""
    return " ".join(["%run", f"{script}.py", *words]), f"import {script}; {script}.main({words})"


def test_a_script_runs_twice_and_leaves_keras_and_the_environment_as_they_were(
    kernel, flags, tmp_path
):
    kernel.run("import os, signal; handler = signal.getsignal(signal.SIGINT)")
    for _ in range(2):
        cell, _ = both_ways("fc_train", ["--batch-norm", "--num-batches", "50", *flags])
        shown = kernel.run(cell)
        assert not shown.errors
        assert "Final test accuracy: 0." in shown.stdout
        assert "Training the fc network (batch norm, adam" in shown.stdout
        assert f"%run plot_losses.py {tmp_path}" in shown.stdout
        # The bar, which draws itself over and over, and notes; no warning, no log line.
        assert "batch/s]" in shown.stderr or "| 50/50 [" in shown.stderr
        notes = re.sub(r"\r[^\n]*", "", shown.stderr).splitlines()
        assert all(line.startswith("note: ") for line in notes)
    assert len(os.listdir(str(tmp_path / "fc"))) == 2
    after = kernel.run(
        "print(signal.getsignal(signal.SIGINT) is handler)\n"
        "import sys\n"
        "print('TF_CPP_MIN_LOG_LEVEL' in os.environ, {'keras', 'tf_keras'} & set(sys.modules))\n"
        "import tensorflow as tf\n"
        "print(tf.keras.layers.Dense(3).units)"
    )
    assert (after.errors, after.stdout) == ([], "True\nFalse set()\n3\n")


@pytest.mark.parametrize(
    "script, words, expected",
    [
        ("fc_train", ["--optimizer", "adamw"], "adamw"),
        ("fc_train", ["--resume", "nowhere"], "nowhere"),
        ("fc_train", ["--data-dir", "nowhere"], "nowhere"),
        ("plot_losses", ["--dpi", "7"], "--dpi"),
        ("plot_losses", ["nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_answered_with_one_line(kernel, script, words, expected):
    for cell in both_ways(script, words):
        shown = kernel.run(cell)
        [(name, text)] = shown.errors
        assert name == "CommandError"
        assert text.startswith("error: ") and expected in text and "\n" not in text
        assert (shown.stdout, shown.stderr) == ("", "")


def test_help_is_no_error(kernel):
    for cell in both_ways("fc_train", ["--help"]):
        shown = kernel.run(cell)
        assert "--batch-norm-momentum" in shown.stdout
        assert (shown.errors, shown.stderr) == ([], "")


def test_main_returns_the_folder_of_the_run_and_its_figures_are_shown_inline(
    kernel, flags, tmp_path
):
    arguments = ["--num-batches", "20", "--run-name", "mine"] + flags
    shown = kernel.run(f"import fc_train\nprint('->', fc_train.main({arguments!r}))")
    assert not shown.errors
    assert shown.stdout.splitlines()[-1] == f"-> {tmp_path / 'fc' / 'mine'}"
    words = [str(tmp_path), "--output-dir", str(tmp_path / "figures")]
    shown = kernel.run(both_ways("plot_losses", words)[0])
    assert ["image/png" in data for data in shown.displayed] == [True]
    assert not shown.errors


def test_stop_saves_and_raises_keyboard_interrupt_and_the_line_shown_continues(
    kernel, flags, tmp_path
):
    kernel.run("import signal; mine = 7; before = [signal.getsignal(n) for n in (2, 15)]")
    arguments = ["--num-batches", "1000000", "--run-name", "stopped"] + flags
    code = f"import fc_train\ntry:\n    fc_train.main({arguments!r})\nexcept Exception:\n    pass"
    shown = kernel.run(code, interrupt_after="Batch:  0:")
    hints = []
    for _ in range(2):
        [(name, text)] = shown.errors
        assert name == "StoppedInNotebook" and "\n" not in text
        hints.append(text.split("to continue: ")[1])
        state = kernel.run("print(mine, before == [signal.getsignal(n) for n in (2, 15)])")
        assert state.stdout == "7 True\n"
        shown = kernel.run(hints[0], interrupt_after="Validation loss")
    assert hints[0] == hints[1] == f"%run fc_train.py --resume {tmp_path / 'fc' / 'stopped'}"


@pytest.mark.skipif(
    "EXERCISE_NOTEBOOK" not in os.environ, reason="takes minutes: make test-notebook"
)
def test_the_exercise_runs_from_start_to_end(tmp_path):
    """EXERCISE_NOTEBOOK=write keeps the outputs in exercise.ipynb."""
    for name in os.listdir(ROOT):
        if name.endswith(".py") or name == "requirements.txt":
            shutil.copy(os.path.join(ROOT, name), str(tmp_path))
    for name in ("graph_mode", "MNIST_data"):
        shutil.copytree(os.path.join(ROOT, name), str(tmp_path / name))
    notebook = nbformat.read(EXERCISE, 4)
    nbclient.NotebookClient(
        notebook,
        timeout=3600,
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        outputs = cell.outputs
        assert not [one for one in outputs if one.output_type == "error"], cell.source
        if "plot_losses.main" in cell.source:
            pictures = [one for one in outputs if "image/png" in one.get("data", {})]
            assert len(pictures) == 1, cell.source
        # The progress bar ends with an empty line.
        cell.outputs = [one for one in outputs if one.get("text", "...").strip()]
    text = nbformat.writes(notebook)
    assert "Passed: all agree" in text and str(tmp_path) not in text
    assert len(text) < 1.5e6
    if os.environ["EXERCISE_NOTEBOOK"] == "write":
        with open(EXERCISE, "w", encoding="utf-8") as file:
            file.write(text + "\n")


def test_the_links_of_the_exercise_lead_somewhere():
    text = "".join(cell.source for cell in nbformat.read(EXERCISE, 4).cells)
    links = re.findall(r"\]\((docs/[^)#]+)#?([^)]*)\)", text)
    assert len(links) > 5
    for page, anchor in links:
        with open(os.path.join(ROOT, page), encoding="utf-8") as file:
            headings = re.findall(r"^#+ (.*)$", file.read(), re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}
        assert not anchor or anchor in anchors, f"{page}#{anchor}"
