"""Shows which TensorFlow requirements.txt installs on each system and Python, from packages alone.
Needs uv. The exit code is 1 if a system that should have a TensorFlow has none, or if its tf-keras
belongs to another."""

import os
import re
import subprocess
import sys

REQUIREMENTS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "requirements.txt")
PYTHONS = ("3.7", "3.10", "3.11", "3.12", "3.13", "3.14")
# uv's name for a system: the Pythons that TensorFlow has no package for.
SYSTEMS = {
    "x86_64-unknown-linux-gnu": ("3.14",),
    "aarch64-unknown-linux-gnu": ("3.7", "3.14"),
    "x86_64-pc-windows-msvc": ("3.14",),
    "aarch64-apple-darwin": ("3.7", "3.14"),
    "x86_64-apple-darwin": ("3.13", "3.14"),
    "x86_64-unknown-linux-musl": PYTHONS,
}
# TensorFlow 1.15.5 needs these two, which come as source only.
FROM_SOURCE = ["--no-binary", "gast", "--no-binary", "termcolor"]


def installed(system, python):
    """(TensorFlow's version, or "-", tf-keras's) of what is installed there."""
    # With --python: else uv looks for this version on the machine, and would fetch it, each time.
    command = "-m uv pip compile --quiet --no-header --no-python-downloads --no-annotate --python"
    command = [sys.executable, *command.split(), sys.executable, "--only-binary", ":all:"]
    command += ["--python-platform", system, "--python-version", python]
    command += (FROM_SOURCE if python == "3.7" else []) + [REQUIREMENTS]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    versions = dict(re.findall(r"^([\w-]+)==([\w.]+)", done.stdout, re.MULTILINE))
    return versions.get("tensorflow", "-"), versions.get("tf-keras", "")


def main():
    bad = 0
    for system, without in SYSTEMS.items():
        for python in PYTHONS:
            version, keras = installed(system, python)
            print(f"{system:28} Python {python:6}{version:8}", flush=True)
            # TensorFlow 1 has the Keras of its time.
            fits = python == "3.7" or keras.split(".")[:2] == version.split(".")[:2]
            bad += (version == "-") != (python in without) or (version != "-" and not fits)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
