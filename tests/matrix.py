"""Trains both networks on every TensorFlow release that pip can install here; prints a table.

python tests/matrix.py
python tests/matrix.py --only 2.3,2.15
python tests/matrix.py --only 2.21 -- --xla

Of each minor release from 1.15 on, the newest patch is taken, under the newest Python at hand (on
PATH or in pyenv) that it has a wheel for. Each is installed into an environment of its own, which
is deleted before the next one is made. Needs Python 3.7 or later and no package; the whole table
takes about an hour and downloads about 10 GB. Ends with exit code 1 if any release failed.
"""

import argparse
import collections
import contextlib
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, PROJECT)

from graph_mode.command_line import CommandError, OneLineParser, run  # noqa: E402

NETWORKS = ("fc", "conv")
NUM_BATCHES = 200
OLDEST = (1, 15)
OLDEST_PYTHON = (3, 7)
# So long one installation or one training run may take.
LONGEST_SECONDS = 1800
HEADER = (
    "| TensorFlow | Python | NumPy | fc: test accuracy | population | conv: test accuracy "
    "| population | lines on standard error |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
)
DOCUMENTED_LINE = re.compile(
    r"Batch: [ \d]\d+: (Validation|Training) loss: \d\.\d{5}, \1 accuracy: \d\.\d{5}"
    r"|Final (validation|test) accuracy: \d\.\d{5}"
)
# On standard error: after so few batches, moving averages lag.
DOCUMENTED_NOTE = re.compile(r"(fc|conv)_train\.py: note: batch norm: accuracy .*")

# A TensorFlow version, (2, 3, 4), and the Python version to run it under, (3, 8).
Release = collections.namedtuple("Release", "version python")


class StepError(Exception):
    """What went wrong with one release, as one line."""


def main():
    options = parse_options()
    pythons = find_pythons()
    index = {version: list_versions(python) for version, python in pythons.items()}
    releases = choose_releases(index, options.only)
    print(HEADER, flush=True)
    failures = 0
    for number, release in enumerate(releases, 1):
        names = f"TensorFlow {dotted(release.version)}, Python {dotted(release.python)}"
        progress(f"{number} of {len(releases)}: {names}")
        cells, passed = try_release(release, pythons[release.python], options.flags)
        print(f"| {' | '.join(cells)} |", flush=True)
        failures += not passed
    if failures:
        progress(f"{failures} of {len(releases)} releases failed")
    return 1 if failures else 0


def parse_options():
    parser = OneLineParser(description=__doc__)
    parser.add_argument(
        "--only", type=minor_releases, metavar="X.Y,...", help="these minor releases (default: all)"
    )
    parser.add_argument("flags", nargs="*", help="further flags for both scripts, after --")
    return parser.parse_args()


def minor_releases(text):
    """argparse type: '2.3,2.15' as [(2, 3), (2, 15)]."""
    if not re.fullmatch(r"\d+\.\d+(,\d+\.\d+)*", text):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected minor releases, like 2.3,2.15")
    return [numbers(part) for part in text.split(",")]


def numbers(text):
    return tuple(map(int, text.split(".")))


def dotted(version):
    return ".".join(map(str, version))


def progress(line):
    print(line, file=sys.stderr, flush=True)


def find_pythons():
    """{(3, 8): path} of the interpreters on PATH and in pyenv that can make environments."""
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    folders = os.get_exec_path() + sorted(glob.glob(os.path.join(pyenv, "versions", "*", "bin")))
    paths = [path for folder in folders for path in glob.glob(os.path.join(folder, "python3.*"))]
    found = {}
    for path in paths:
        if re.search(r"/python3\.\d+$", path):
            # A pyenv shim stands for an interpreter that may not be there: only a start tells.
            probe = "import ensurepip, sys; print(sys.executable, *sys.version_info[:2])"
            with contextlib.suppress(StepError):
                executable, *version = output_of([path, "-c", probe]).split()
                found.setdefault(tuple(map(int, version)), executable)
    return {version: path for version, path in found.items() if version >= OLDEST_PYTHON}


def list_versions(python):
    """The TensorFlow releases, as (2, 3, 4), that pip finds for `python`; none if it finds none."""
    try:
        listing = output_of([python, "-m", "pip", "index", "versions", "tensorflow"])
    except StepError as error:
        progress(f"{python}: no TensorFlow found: {error}")
        return []
    available = re.search("^Available versions: (.*)$", listing, re.MULTILINE).group(1)
    return [numbers(each) for each in available.split(", ") if re.fullmatch(r"[\d.]+", each)]


def choose_releases(index, only=None):
    """The Releases to try, oldest first.

    Args:
        index: {Python version: [TensorFlow version]}, all as tuples of numbers.
        only: the minor releases wanted; None takes all from OLDEST on.

    Raises:
        CommandError: there is none, or one of `only` is not among them.
    """
    newest = {}
    for python, versions in index.items():
        for version in versions:
            release = Release(version, python)
            if version[:2] >= OLDEST:
                newest[version[:2]] = max(release, newest.get(version[:2], release))
    if not newest:
        raise CommandError(
            "pip finds no TensorFlow for any Python at hand: is the index reachable?"
        )
    missing = sorted(set(only or ()) - set(newest))
    if missing:
        found = ", ".join(map(dotted, sorted(newest)))
        raise CommandError(
            f"no TensorFlow {dotted(missing[0])} for a Python at hand: found {found}"
        )
    return [newest[minor] for minor in sorted(only or newest)]


def requirements(version):
    """What pip has to install: requirements.txt, with this TensorFlow."""
    with open(os.path.join(PROJECT, "requirements.txt"), encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    packages = [line for line in lines if line and not re.match("#|tensorflow[=<>]|tf-keras", line)]
    packages.append(f"tensorflow=={dotted(version)}")
    if version < (2, 12):
        # These releases were built before NumPy 2 and protobuf 4, and not all of them say so.
        packages += ["numpy<1.24", "protobuf<3.21"]
    return packages


def try_release(release, python, flags):
    """Installs one release and runs both scripts; returns its cells and whether all went well."""
    first = [dotted(release.version), dotted(release.python)]
    numpy, measured, noise, passed = "", [], [], True
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        environment = os.path.join(folder, "environment")
        environment_python = os.path.join(environment, "bin", "python")
        install = [environment_python, "-m", "pip", "install", "--no-cache-dir"]
        try:
            output_of([python, "-m", "venv", environment])
            output_of(install + requirements(release.version))
            numpy = output_of([environment_python, "-c", "import numpy; print(numpy.__version__)"])
        except StepError as error:
            return first + ["", f"not installed: {error}", "", "", "", ""], False
        for network in NETWORKS:
            try:
                accuracies, lines = train(environment_python, network, folder, flags)
                measured += [f"{accuracy:.4f}" for accuracy in accuracies]
                noise += lines
            except StepError as error:
                measured += [f"failed: {error}", ""]
                passed = False
    for line in noise:
        progress(f"on standard error: {line}")
    return first + [numpy.strip()] + measured + [str(len(noise))], passed and not noise


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
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
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
