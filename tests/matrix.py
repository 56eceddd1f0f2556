"""Trains both networks on the TensorFlow releases of docs/matrix.md; prints its table anew.

python tests/matrix.py --only 2.3,2.15 -- --xla

Each release is installed under the Python of its row (in pyenv or on PATH). The whole table takes
an hour and downloads 10 GB. Ends with exit code 1 if any failed."""

import glob
import json
import os
import re
import subprocess
import sys
import tempfile

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, PROJECT)

from graph_mode.command_line import OneLineParser, run  # noqa: E402


def main():
    parser = OneLineParser(description=__doc__)
    parser.add_argument("--only", metavar="X.Y,...", help="these minor releases (default: all)")
    parser.add_argument("flags", nargs="*", help="further flags for both scripts, after --")
    options = parser.parse_args()
    with open(os.path.join(PROJECT, "docs", "matrix.md"), encoding="utf-8") as file:
        page = file.read()
    releases = re.findall(r"^\| (\d+\.\d+)(\.\d+) \| (3\.\d+) \|", page, re.MULTILINE)
    print("\n".join(re.findall(r"^\| (?:TensorFlow|---) .*$", page, re.MULTILINE)), flush=True)
    failures = 0
    for minor, patch, python in releases:
        if options.only is None or minor in options.only.split(","):
            cells, passed = try_release(minor + patch, python, options.flags)
            print(f"| {' | '.join(cells)} |", flush=True)
            failures += not passed
    return 1 if failures else 0


def try_release(version, python_version, flags):
    """Installs one release and runs both scripts; returns its cells and whether all went well."""
    cells, noise = [version, python_version], []
    pyenv = glob.glob(os.path.expanduser(f"~/.pyenv/versions/{python_version}.*/bin/python"))
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        python = os.path.join(folder, "bin", "python")
        try:
            finish([*(pyenv or [f"python{python_version}"])[:1], "-m", "venv", folder])
            finish([python, "-m", "pip", "install", "--no-cache-dir"] + requirements(version))
            numpy = finish([python, "-c", "import numpy; print(numpy.__version__)"])
            cells.append(numpy.stdout.strip())
            for network in ("fc", "conv"):
                command = [python, os.path.join(PROJECT, f"{network}_train.py"), "--batch-norm"]
                command += ["--num-batches=200", f"--log-dir={folder}", "--run-name=run"]
                lines = finish(command + flags).stderr.splitlines()
                # After so few batches, moving averages lag, of which a note tells.
                noise += [line for line in lines if ": note: " not in line]
                with open(os.path.join(folder, network, "run", "result.json")) as file:
                    result = json.load(file)
                for name in ("test_accuracy", "test_accuracy_population"):
                    cells.append(f"{result[name]:.4f}")
        except (OSError, subprocess.CalledProcessError) as error:
            last = (getattr(error, "stderr", "").strip().splitlines() or [str(error)])[-1]
            return [*cells, f"failed: {last.replace('|', '/')}"] + [""] * (7 - len(cells)), False
    print("".join(f"on standard error: {line}\n" for line in noise), end="", file=sys.stderr)
    return [*cells, str(len(noise))], not noise


def requirements(version):
    """What pip has to install: requirements.txt, with this TensorFlow."""
    with open(os.path.join(PROJECT, "requirements.txt"), encoding="utf-8") as file:
        packages = re.findall(r"^(?!tensorflow|tf-)\w.*$", file.read(), re.MULTILINE)
    if tuple(map(int, version.split(".")[:2])) < (2, 12):
        # These releases were built before NumPy 2 and protobuf 4, and not all of them say so.
        packages += ["numpy<1.24", "protobuf<3.21"]
    return [*packages, f"tensorflow=={version}"]


def finish(command):
    # What quietens TensorFlow must be our code, not a variable of whoever runs this.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "PYTHON"))}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=True)


if __name__ == "__main__":
    run(main)
