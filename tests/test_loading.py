"""While a script loads: Ctrl-C, and packages that are missing."""

import os
import re
import signal
import time

import pytest
from helpers import ROOT, read_events, tree
from made_runs import write_run

SCRIPTS = {
    "fc_train.py": ["--num-batches=1"],
    "conv_train.py": ["--num-batches=1"],
    "compare.py": ["--dry-run"],
    "plot_losses.py": ["--csv=points.csv"],
    "gradient_check.py": [],
    "mnist_data.py": ["--check", os.path.join(ROOT, "MNIST_data")],
}


def assert_one_line(process, name, number):
    stdout, stderr = process.communicate(timeout=60)
    by = "" if number == signal.SIGINT else " by SIGTERM"
    assert (process.returncode, stdout, stderr) == (128 + number, "", f"{name}: interrupted{by}\n")


@pytest.mark.parametrize(
    "name, number",
    # mnist_data.py is one file, which stands alone.
    [(name, signal.SIGINT) for name in sorted(SCRIPTS) if name != "mnist_data.py"],
)
def test_a_signal_while_a_script_loads_numpy_is_one_line(name, number, start_script, tmp_path):
    package = tmp_path / "packages" / "numpy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import os, time\nos.mkdir(os.path.join(os.path.dirname(__file__), 'loading'))\n"
        "while True:\n    time.sleep(0.01)\n"
    )
    environment = {"PYTHONPATH": str(package.parent)}
    process = start_script(name, *SCRIPTS[name], environment=environment)
    while process.poll() is None and not (package / "loading").exists():
        time.sleep(0.001)
    process.send_signal(number)
    assert_one_line(process, name, number)


@pytest.fixture
def without(tmp_path):
    """without(name) makes a folder for PYTHONPATH in which the package cannot be imported."""

    def make(name):
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True)
        error = f"ModuleNotFoundError(\"No module named '{name}'\", name='{name}')"
        (folder / "__init__.py").write_text(f"raise {error}\n")
        return str(folder.parent)

    return make


@pytest.mark.parametrize(
    "script, package",
    [
        ("fc_train.py", "numpy"),
        ("fc_train.py", "tqdm"),
        ("conv_train.py", "tensorboard"),
        ("fc_train.py", "tensorflow"),
        ("compare.py", "tqdm"),
        ("gradient_check.py", "numpy"),
        ("plot_losses.py", "numpy"),
        ("plot_losses.py", "matplotlib"),
        ("mnist_data.py", "numpy"),
    ],
)
def test_a_missing_package_is_one_line_that_says_how_to_get_it(
    script, package, run_script, without, tmp_path
):
    environment = {"PYTHONPATH": without(package)}
    write_run(tmp_path / "runs" / "fc" / "a")
    before = tree(tmp_path)
    code, stdout, stderr = run_script(script, *SCRIPTS[script], environment=environment)
    assert (code, stdout) == (2, ""), stderr
    line = (
        rf"{script}: error: .*No module named '{package}'.*: run pip install -r requirements.txt\n"
    )
    assert re.fullmatch(line, stderr), stderr
    after = {name: digest for name, digest in tree(tmp_path).items() if "pycache" not in name}
    assert after == before


@pytest.mark.parametrize("package", ["PIL", "matplotlib"])
def test_a_run_without_what_only_its_pictures_need_has_all_the_rest(
    package, script_server, without, small_mnist, tmp_path
):
    flags = [f"--data-dir={small_mnist}", "--validation-size=100", "--num-batches=3"]
    path = [without(package)]
    code, stdout, stderr = script_server.run(tmp_path, "fc_train.py", *flags, path=path)
    assert code == 0, stderr
    assert stdout.count("Final ") == 2
    (run,) = (tmp_path / "runs" / "fc").iterdir()
    assert (run / "result.json").exists()
    tags = {value.tag for event in read_events(str(run / "train")) for value in event.summary.value}
    assert "_hparams_/session_end_info" in tags
    # Matplotlib only brings the font, which the system may have too.
    if package == "PIL" or "confusion_matrix" not in tags:
        note = r"fc_train\.py: note: no pictures \(.+\): run pip install -r requirements\.txt\n"
        assert re.fullmatch(note, stderr), stderr
        assert "confusion_matrix" not in tags
