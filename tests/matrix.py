"""Trains both networks on the TensorFlow releases of docs/matrix.md; prints its table anew.

python tests/matrix.py
python tests/matrix.py --only 2.3,2.15
python tests/matrix.py --only 2.21 -- --xla

Each release is installed under the Python of its row (in pyenv or on PATH) into an environment of
its own, which is deleted before the next one is made. Needs Python 3.7 or later and no package; the
whole table takes about an hour and downloads about 10 GB. Ends with exit code 1 if any failed.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, PROJECT)

from graph_mode.command_line import CommandError, OneLineParser, run  # noqa: E402

NETWORKS = ("fc", "conv")
NUM_BATCHES = 200
# So long one installation or one training run may take.
LONGEST_SECONDS = 1800
DOCUMENTED_LINE = re.compile(
    r"Batch: [ \d]\d+: (Validation|Training) loss: \d\.\d{5}, \1 accuracy: \d\.\d{5}"
    r"|Final (validation|test) accuracy: \d\.\d{5}"
)
# On standard error: after so few batches, moving averages lag.
DOCUMENTED_NOTE = re.compile(r"(fc|conv)_train\.py: note: batch norm: accuracy .*")


class StepError(Exception):
    """What went wrong with one release, as one line."""


def main():
    parser = OneLineParser(description=__doc__)
    parser.add_argument("--only", metavar="X.Y,...", help="these minor releases (default: all)")
    parser.add_argument("flags", nargs="*", help="further flags for both scripts, after --")
    options = parser.parse_args()
    with open(os.path.join(PROJECT, "docs", "matrix.md"), encoding="utf-8") as file:
        page = file.read()
    releases = re.findall(r"^\| (\d+\.\d+)(\.\d+) \| (3\.\d+) \|", page, re.MULTILINE)
    only = options.only.split(",") if options.only else [minor for minor, _, _ in releases]
    unknown = sorted(set(only) - {minor for minor, _, _ in releases})
    if unknown:
        raise CommandError(f"--only: found {unknown[0]}, expected releases of docs/matrix.md")
    print("\n".join(re.findall(r"^\| (?:TensorFlow|---) .*$", page, re.MULTILINE)), flush=True)
    failures = 0
    for minor, patch, python in releases:
        if minor in only:
            cells, passed = try_release(minor + patch, python, options.flags)
            print(f"| {' | '.join(cells)} |", flush=True)
            failures += not passed
    return 1 if failures else 0


def try_release(version, python_version, flags):
    """Installs one release and runs both scripts; returns its cells and whether all went well."""
    first = [version, python_version]
    numpy, measured, noise, passed = "", [], [], True
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        python = os.path.join(folder, "environment", "bin", "python")
        try:
            output_of(
                [interpreter(python_version), "-m", "venv", os.path.join(folder, "environment")]
            )
            output_of([python, "-m", "pip", "install", "--no-cache-dir"] + requirements(version))
            numpy = output_of([python, "-c", "import numpy; print(numpy.__version__)"]).strip()
        except StepError as error:
            return first + ["", f"not installed: {error}", "", "", "", ""], False
        for network in NETWORKS:
            try:
                accuracies, lines = train(python, network, folder, flags)
                measured += [f"{accuracy:.4f}" for accuracy in accuracies]
                noise += lines
            except StepError as error:
                measured += [f"failed: {error}", ""]
                passed = False
    print("".join(f"on standard error: {line}\n" for line in noise), end="", file=sys.stderr)
    return first + [numpy] + measured + [str(len(noise))], passed and not noise


def interpreter(version):
    """The path of this Python, such as 3.8. Raises StepError if it is not at hand."""
    # In pyenv first: on PATH, a shim may stand for an interpreter that is not there.
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    found = glob.glob(os.path.join(pyenv, "versions", f"{version}.*", "bin", "python"))
    path = found[0] if found else shutil.which(f"python{version}")
    if path is None:
        raise StepError(f"found no Python {version}, expected it in pyenv or on PATH")
    return path


def requirements(version):
    """What pip has to install: requirements.txt, with this TensorFlow."""
    with open(os.path.join(PROJECT, "requirements.txt"), encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    packages = [line for line in lines if line and not re.match("#|tensorflow[=<>]|tf-keras", line)]
    if tuple(map(int, version.split(".")[:2])) < (2, 12):
        # These releases were built before NumPy 2 and protobuf 4, and not all of them say so.
        packages += ["numpy<1.24", "protobuf<3.21"]
    return packages + [f"tensorflow=={version}"]


def train(python, network, folder, flags):
    """Runs one script: its test accuracies, with moving averages and with population statistics,
    and the lines on standard error that no one documented.

    Raises StepError if it fails or prints anything but the documented lines.
    """
    command = [python, os.path.join(PROJECT, f"{network}_train.py"), "--batch-norm"]
    command += ["--num-batches", str(NUM_BATCHES), "--log-dir", folder, "--run-name", "run"]
    finished = finish(command + flags)
    for line in finished.stdout.splitlines():
        if not DOCUMENTED_LINE.fullmatch(line):
            raise StepError(f"printed {line!r}")
    with open(os.path.join(folder, network, "run", "result.json"), encoding="utf-8") as file:
        result = json.load(file)
    accuracies = [result["test_accuracy"], result["test_accuracy_population"]]
    lines = finished.stderr.splitlines()
    return accuracies, [line for line in lines if not DOCUMENTED_NOTE.fullmatch(line)]


def finish(command):
    """Runs `command`; raises StepError with its last line if it fails."""
    # What quietens TensorFlow must be our code, not a variable of whoever runs this.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "PYTHON"))}
    try:
        finished = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=LONGEST_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StepError(str(error)) from None
    if finished.returncode:
        lines = finished.stderr.strip().splitlines() or ["it said nothing"]
        raise StepError(f"exit code {finished.returncode}: {lines[-1].replace('|', '/')}")
    return finished


def output_of(command):
    return finish(command).stdout


if __name__ == "__main__":
    run(main)
