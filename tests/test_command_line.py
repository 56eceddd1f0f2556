"""How errors reach the user: one line, an exit code, and a traceback only for a bug."""

import os
import subprocess
import sys

import pytest
from helpers import ROOT

PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from graph_mode import command_line

def main():
    {body}

command_line.run(main)
"""


def run_main(body, **keywords):
    """Runs a program whose main() is `body`: (exit code, stdout, stderr)."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(root=ROOT, body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        **keywords,
    )
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


@pytest.mark.parametrize(
    "body, code, message",
    [
        ("raise command_line.CommandError('found 3, expected 4')", 2, "error: found 3, expected 4"),
        ("raise command_line.CommandError('too late', exit_code=3)", 3, "error: too late"),
        ("raise command_line.CommandError('two\\nlines')", 2, "error: two lines"),
        ("raise KeyboardInterrupt", 130, "interrupted"),
        ("open('/no/such/file')", 2, "error: /no/such/file: No such file or directory"),
        ("raise OSError(28, 'No space left on device')", 2, "error: No space left on device"),
        ("raise OSError('the disk is gone')", 2, "error: the disk is gone"),
        (
            "import mnist_data; raise mnist_data.DataError('images: cut off')",
            2,
            "error: images: cut off",
        ),
    ],
)
def test_what_a_user_can_cause_is_one_line(body, code, message):
    assert run_main(body) == (code, "", f"-c: {message}\n")


@pytest.mark.parametrize("body", ["raise ValueError('a bug')", "[][0]", "assert False"])
def test_a_bug_keeps_its_traceback(body):
    code, _, stderr = run_main(body)
    assert code == 1
    assert stderr.startswith("Traceback")


@pytest.mark.parametrize("body, code", [("return None", 0), ("return 0", 0), ("return 4", 4)])
def test_main_returns_the_exit_code(body, code):
    assert run_main(body) == (code, "", "")


def test_a_reader_that_leaves_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(root=ROOT, body="print('a line')")],
        stdout=writer,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    os.close(writer)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")


def test_a_full_disk_behind_standard_output_is_one_line():
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full is Linux's")
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(root=ROOT, body="print('a line')")],
            stdout=full,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (2, "-c: error: No space left on device\n")


@pytest.mark.parametrize("name", ["fc_train.py", "conv_train.py", "plot_losses.py", "compare.py"])
def test_help_comes_through_a_stream_of_few_characters(name):
    environment = dict(os.environ, PYTHONIOENCODING="ascii")
    command = [sys.executable, os.path.join(ROOT, name), "--help"]
    shown = subprocess.check_output(command, env=environment).decode("ascii")
    assert "usage:" in shown and "--help" in shown
