"""Shows which TensorFlow requirements.txt installs on each system and Python, from packages alone.

Needs uv. The exit code is 1 if a system that should have a TensorFlow has none, or if its tf-keras
belongs to another.
"""

import concurrent.futures
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


def tensorflow_for(system, python):
    """Returns the version of TensorFlow that is installed there, or "-", and that of tf-keras."""
    # With --python: else uv looks for this version on the machine, and would fetch it, each time.
    command = "-m uv pip compile --quiet --no-header --no-python-downloads --no-annotate --python"
    command = [sys.executable, *command.split(), sys.executable, "--only-binary", ":all:"]
    command += ["--python-platform", system, "--python-version", python]
    command += (FROM_SOURCE if python == "3.7" else []) + [REQUIREMENTS]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    versions = dict(re.findall(r"^([\w-]+)==([\w.]+)", done.stdout, re.MULTILINE))
    return versions.get("tensorflow", "-"), versions.get("tf-keras", "")


def main():
    print(f"{'':28}" + "".join(f"{python:>9}" for python in PYTHONS))
    bad = 0
    # Each waits for the index most of the time.
    with concurrent.futures.ThreadPoolExecutor(len(PYTHONS)) as threads:
        for system, without in SYSTEMS.items():
            found = list(threads.map(tensorflow_for, [system] * len(PYTHONS), PYTHONS))
            print(f"{system:28}" + "".join(f"{version:>9}" for version, _ in found), flush=True)
            for python, (version, keras) in zip(PYTHONS, found):
                # TensorFlow 1 has the Keras of its time.
                fits = python == "3.7" or keras.split(".")[:2] == version.split(".")[:2]
                bad += (version == "-") != (python in without) or (version != "-" and not fits)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
