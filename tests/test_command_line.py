"""How errors reach the user: one line, an exit code, and a traceback only for a bug."""

import io
import os
import re
import subprocess
import sys

import pytest
from helpers import ROOT, read_events, tree
from made_runs import write_run

from graph_mode import command_line

PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from graph_mode import command_line

stack = command_line.contextlib.ExitStack()
stack.callback(command_line.os.kill, command_line.os.getpid(), 15)

def main():
    {body}

command_line.run(main)
"""
SCRIPTS = {
    "fc_train.py": ["--num-batches=1"],
    "conv_train.py": ["--num-batches=1"],
    "run_tf1.py": [],
    "compare.py": ["--dry-run"],
    "plot_losses.py": ["--csv=points.csv"],
    "gradient_check.py": [],
    "mnist_data.py": ["--check", os.path.join(ROOT, "MNIST_data")],
}


def run_main(body, **keywords):
    """Runs a program whose main() is `body`: (exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(root=ROOT, body=body)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **keywords},
        timeout=60,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


ONE_LINE = r"""
raise command_line.CommandError('found 3, expected 4') = 2: error: found 3, expected 4
raise command_line.CommandError('too\nlate', exit_code=3) = 3: error: too late
raise command_line.CommandError('\x1b[31m \udc80') = 2: error: \x1b[31m \udc80
raise KeyboardInterrupt = 130: interrupted
import os; os.kill(os.getpid(), 15) = 143: interrupted by SIGTERM
open('/no/such/file') = 2: error: /no/such/file: No such file or directory
raise OSError('the disk is gone') = 2: error: the disk is gone
import mnist_data; raise mnist_data.DataError('cut off') = 2: error: cut off
with stack: raise command_line.Stopped('to continue: x', 130) = 130: to continue: x
"""


@pytest.mark.parametrize("case", ONE_LINE.strip().splitlines())
def test_what_a_user_can_cause_is_one_line(case):
    body, code, message = re.fullmatch(r"(.*) = (\d+): (.*)", case).groups()
    assert run_main(body) == (int(code), "", f"-c: {message}\n")


def test_main_returns_the_exit_code_and_a_bug_keeps_its_traceback():
    assert run_main("return 4") == (4, "", "")
    for body in ("raise ValueError('a bug')", "import graph_mode.no_such"):
        code, _, stderr = run_main(body)
        assert code == 1 and stderr.startswith("Traceback")


def test_a_reader_that_leaves_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    keywords = {"stdout": writer, "env": {**os.environ, "PYTHONUNBUFFERED": ""}}
    assert run_main("print('a line')", **keywords)[::2] == (0, "")
    body = "print(1); raise command_line.CommandError('no')"
    assert run_main(body, **keywords)[::2] == (2, "-c: error: no\n")
    os.close(writer)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_a_full_disk_behind_standard_output_is_one_line():
    for print_and_end, code in (("print(1)", 2), ("command_line.print_line('1'); return 7", 7)):
        with open("/dev/full", "w") as full:
            found, _, stderr = run_main(print_and_end, stdout=full)
        assert (found, stderr.count("\n")) == (code, 1) and "No space left on device" in stderr


@pytest.mark.skipif(os.name == "nt", reason="a shell of Unix")
def test_a_closed_standard_output_is_one_line_before_anything_is_done():
    program = PROGRAM.format(root=ROOT, body="sys.stderr.write('work')")
    command = ["sh", "-c", '"$@" >&-', "sh", sys.executable, "-c", program]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "work" not in done.stderr


def test_what_cannot_be_shown_is_escaped():
    found = command_line.printable("gr\xfc\xdfe \x1b[1m\n\udc80")
    assert found == "gr\xfc\xdfe " + r"\x1b[1m\n\udc80"
    few = io.TextIOWrapper(io.BytesIO(), "ascii")
    assert command_line.printable("gr\xfc\n", few, keep="\n") == "gr\\xfc\n"
    command = [sys.executable, os.path.join(ROOT, "fc_train.py"), "--help"]
    environment = dict(os.environ, PYTHONIOENCODING="ascii")
    shown = subprocess.check_output(command, env=environment).decode("ascii")
    assert "usage:" in shown and shown.count("\n") > 20


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_script_starts_from_anywhere(script, tmp_path):
    """By a link, and where Python leaves the script's folder out of its path (-I, -P)."""
    (tmp_path / "link.py").symlink_to(os.path.join(ROOT, script))
    command = [sys.executable, "-I", "link.py", "--help"]
    done = subprocess.run(command, cwd=str(tmp_path), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def without(name, folder):
    """Makes a folder in which imports look first and the package cannot be imported; a list."""
    error = f"ModuleNotFoundError(\"No module named '{name}'\", name='{name}')"
    (folder / "packages").mkdir()
    (folder / "packages" / f"{name}.py").write_text(f"raise {error}\n")
    return [str(folder / "packages")]


CASES = "fc_train numpy;fc_train tqdm;conv_train tensorboard;fc_train tensorflow;compare numpy"
CASES += ";gradient_check numpy;gradient_check tensorflow;plot_losses matplotlib;mnist_data numpy"


@pytest.mark.parametrize("case", CASES.split(";"))
def test_a_missing_package_is_one_line_that_says_how_to_get_it(case, script_server, tmp_path):
    script, package = case.replace(" ", ".py ").split()
    write_run(tmp_path / "runs" / "fc" / "a")
    path = without(package, tmp_path)
    before = tree(tmp_path)
    code, stdout, stderr = script_server.run(tmp_path, script, *SCRIPTS[script], path=path)
    assert (code, stdout, stderr.count("\n")) == (2, "", 1), stderr
    assert f"'{package}'" in stderr and "pip install -r requirements.txt" in stderr
    assert {name for name in tree(tmp_path) if "pycache" not in name} == set(before)


def test_a_run_without_what_only_its_pictures_need_has_all_the_rest(script_server, small, tmp_path):
    command = ["fc_train.py", *small, "--num-batches=3"]
    code, stdout, stderr = script_server.run(tmp_path, *command, path=without("PIL", tmp_path))
    assert (code, stdout.count("Final ")) == (0, 2), stderr
    assert re.fullmatch(r".*no pictures .*pip install -r requirements\.txt\n", stderr), stderr
    (run,) = (tmp_path / "runs" / "fc").iterdir()
    assert (run / "result.json").exists()
    tags = {value.tag for event in read_events(str(run / "train")) for value in event.summary.value}
    assert "_hparams_/session_end_info" in tags and "confusion_matrix" not in tags


def test_what_tensorflow_says_when_its_import_ends_the_process_is_shown(start_script, tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os; os.write(2, b'no AVX\\n'); os.abort()")
    for command in (["fc_train.py"], ["compare.py", "--seeds=1"]):
        process = start_script(*command, environment={"PYTHONPATH": str(tmp_path)})
        assert "no AVX\n" in process.communicate()[1] and process.returncode != 0
