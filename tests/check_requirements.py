"""Shows which TensorFlow requirements.txt installs on each system and Python, from packages alone.

    python tests/check_requirements.py        (needs uv; downloads only descriptions of packages)

pip would judge the markers in requirements.txt by the system that it runs on; uv resolves for
others. The exit code is 1 if a system that should have a TensorFlow has none, or if its tf-keras
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
# TensorFlow 1.15.5 needs these two, which come as source in plain Python only.
FROM_SOURCE = ["--no-binary", "gast", "--no-binary", "termcolor"]


def tensorflow_for(system, python):
    """Returns the version of TensorFlow that is installed there, or "-", and that of tf-keras."""
    # With --python: else uv looks for this version on the machine, and would fetch it, each time.
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"]
    command += ["--python", sys.executable, "--no-python-downloads", "--no-annotate"]
    command += ["--only-binary", ":all:", "--python-platform", system, "--python-version", python]
    command += (FROM_SOURCE if python == "3.7" else []) + [REQUIREMENTS]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    versions = dict(re.findall(r"^([\w-]+)==([\w.]+)", done.stdout, re.MULTILINE))
    return versions.get("tensorflow", "-"), versions.get("tf-keras")


def is_wrong(version, keras, python, without):
    if (version == "-") != (python in without):
        return True
    # TensorFlow 1 has the Keras of its time.
    return (
        version != "-"
        and python != "3.7"
        and (keras or "").split(".")[:2] != version.split(".")[:2]
    )


def main():
    print(f"{'':28}" + "".join(f"{python:>9}" for python in PYTHONS))
    bad = 0
    # Each waits for the index most of the time.
    with concurrent.futures.ThreadPoolExecutor(len(PYTHONS)) as threads:
        for system, without in SYSTEMS.items():
            found = list(threads.map(tensorflow_for, [system] * len(PYTHONS), PYTHONS))
            print(f"{system:28}" + "".join(f"{version:>9}" for version, _ in found), flush=True)
            bad += sum(is_wrong(*each, p, without) for p, each in zip(PYTHONS, found))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
