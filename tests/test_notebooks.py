"""The scripts in notebooks: real kernels, whose state is the user's and outlives every call."""

import copy
import glob
import os
import re
import shutil
import time
import types

import pytest
from helpers import ROOT

from graph_mode import tensorflow1

pytest.importorskip("ipykernel")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
manager = pytest.importorskip("jupyter_client.manager")

SECONDS = 300


@pytest.fixture(scope="module")
def run_cell(tmp_path_factory):
    """run_cell(code, interrupt_after=None) runs a cell in a kernel whose folder is the project's,
    as that of a notebook which lies there. It returns `stdout` and `stderr`, the data that the cell
    `displayed`, and its `errors` as (name, text). interrupt_after: printed text at which the user
    presses Stop, twice."""
    folder = tmp_path_factory.mktemp("kernel")
    kernel = manager.KernelManager(connection_file=str(folder / "kernel.json"))
    environment = dict(os.environ, IPYTHONDIR=str(folder / "ipython"))
    # What other tests of this process have set, by importing TensorFlow.
    environment.pop(tensorflow1.LOG_LEVEL, None)
    kernel.start_kernel(cwd=ROOT, env=environment)
    client = kernel.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=SECONDS)

    def run(code, interrupt_after=None):
        shown = types.SimpleNamespace(stdout="", stderr="", displayed=[], errors=[])
        stops = [] if interrupt_after else [None, None]

        def add(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                vars(shown)[content["name"]] += content["text"]
            elif message["msg_type"] in ("display_data", "execute_result"):
                shown.displayed.append(content["data"])
            elif message["msg_type"] == "error":
                shown.errors.append((content["ename"], "\n".join(content["traceback"])))
            while len(stops) < 2 and interrupt_after in shown.stdout:
                stops.append(kernel.interrupt_kernel())
                time.sleep(0.01)

        client.execute_interactive(code, output_hook=add, timeout=SECONDS)
        return shown

    yield run
    client.stop_channels()
    kernel.shutdown_kernel(now=True)


def both_ways(script, words):
    """A cell that runs the script by %run, and one that calls its main()."""
    return " ".join(["%run", f"{script}.py", *words]), f"import {script}; {script}.main({words})"


def test_a_script_runs_twice_and_leaves_the_kernel_as_it_was(run_cell, small, tmp_path):
    words = ["--batch-norm", "--num-batches", "50", "--run-name", "mine", "--log-dir"]
    for cell in both_ways("fc_train", [*small, *words, str(tmp_path)]):
        shown = run_cell(cell)
        assert not shown.errors
        words = "Final test accuracy: 0.", "Training the fc network (batch norm, adam"
        assert all(each in shown.stdout for each in (*words, f"%run plot_losses.py {tmp_path}"))
        # The bar, which draws itself over and over, and notes; no warning, no log line.
        assert "batch/s]" in shown.stderr or "| 50/50 [" in shown.stderr
        notes = re.sub(r"\r[^\n]*", "", shown.stderr).splitlines()
        assert all(line.startswith("note: ") for line in notes)
    folder = str(tmp_path / "fc" / "mine-2")
    assert shown.displayed[0]["text/plain"] == repr(folder) and os.path.isdir(folder)
    words = [str(tmp_path), "--output-dir", str(tmp_path / "figures")]
    shown = run_cell(both_ways("plot_losses", words)[0])
    assert not shown.errors, shown.errors
    assert ["image/png" in data for data in shown.displayed] == [True]
    found = "'TF_CPP_MIN_LOG_LEVEL' in os.environ, {'keras', 'tf_keras'} & set(sys.modules)"
    keras = "import tensorflow as tf; print(tf.keras.layers.Dense(3).units)"
    after = run_cell(f"import os, sys; print({found})\n{keras}")
    assert (after.errors, after.stdout) == ([], "False set()\n3\n")


MISTAKES = "fc_train --optimizer adamw;fc_train --resume nowhere;plot_losses nowhere"


@pytest.mark.parametrize("words", MISTAKES.split(";"))
def test_a_mistake_is_answered_with_one_line(run_cell, words):
    script, *words = words.split()
    for cell in both_ways(script, words):
        shown = run_cell(cell)
        [(name, text)] = shown.errors
        assert name == "CommandError"
        assert text.startswith("error: ") and words[-1] in text and "\n" not in text
        assert (shown.stdout, shown.stderr) == ("", "")


def test_help_is_no_error_and_main_without_arguments_takes_none_of_the_kernels(run_cell):
    for cell in both_ways("fc_train", ["--help"]):
        shown = run_cell(cell)
        assert "--batch-norm-momentum" in shown.stdout
        assert (shown.errors, shown.stderr) == ([], "")
    shown = run_cell("import fc_train\nprint(fc_train.parse_flags().num_batches)")
    assert (shown.stdout, shown.errors) == ("3000\n", [])


def test_stop_saves_and_the_line_shown_continues(run_cell, small, tmp_path):
    run_cell("import signal; mine = 7; before = [signal.getsignal(n) for n in (2, 15)]")
    words = [*small, "--num-batches=1000000", "--run-name=stopped", f"--log-dir={tmp_path}"]
    code = f"import fc_train\ntry:\n    fc_train.main({words!r})\nexcept Exception:\n    pass"
    shown = run_cell(code, interrupt_after="Batch:  0:")
    hints = []
    for _ in range(2):
        [(name, text)] = shown.errors
        assert name == "StoppedInNotebook" and "\n" not in text
        hints.append(text.split("to continue: ")[1])
        state = run_cell("print(mine, before == [signal.getsignal(n) for n in (2, 15)])")
        assert state.stdout == "7 True\n"
        shown = run_cell(hints[0], interrupt_after="Validation loss")
    assert hints[0] == hints[1] == f"%run fc_train.py --resume {tmp_path / 'fc' / 'stopped'}"


@pytest.mark.skipif(
    "EXERCISE_NOTEBOOK" not in os.environ, reason="takes minutes: make test-notebook"
)
@pytest.mark.parametrize("name", ["exercise_solution.ipynb", "exercise.ipynb"])
def test_the_exercise_runs_from_start_to_end(name, tmp_path):
    """EXERCISE_NOTEBOOK=write keeps the outputs in exercise_solution.ipynb."""
    for path in glob.glob(os.path.join(ROOT, "*.py")) + [os.path.join(ROOT, "requirements.txt")]:
        shutil.copy(path, str(tmp_path))
    for folder in ("graph_mode", "MNIST_data"):
        shutil.copytree(os.path.join(ROOT, folder), str(tmp_path / folder))
    notebook = nbformat.read(os.path.join(ROOT, name), 4)
    place, of_notebook = {"metadata": {"path": str(tmp_path)}}, copy.deepcopy(notebook.metadata)
    options = {"timeout": 3600, "coalesce_streams": True, "record_timing": False}
    nbclient.NotebookClient(notebook, resources=place, **options).execute()
    for cell in [cell for cell in notebook.cells if cell.cell_type == "code"]:
        pictures = [one for one in cell.outputs if "image/png" in one.get("data", {})]
        assert len(pictures) == cell.source.count("plot_losses.main"), cell.source
        # The progress bar ends with an empty line.
        cell.outputs = [one for one in cell.outputs if one.get("text", "...").strip()]
    notebook.metadata = of_notebook  # without the release of Python
    text = nbformat.writes(notebook)
    assert "Passed: all agree" in text and str(tmp_path) not in text and len(text) < 2e6
    if os.environ["EXERCISE_NOTEBOOK"] == "write" and "solution" in name:
        with open(os.path.join(ROOT, name), "w", encoding="utf-8") as file:
            file.write(text + "\n")
