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
# System: uv's name for it, and the Pythons that TensorFlow has no package for.
SYSTEMS = {
    "Linux, x86-64": ("x86_64-unknown-linux-gnu", ("3.14",)),
    "Linux, ARM": ("aarch64-unknown-linux-gnu", ("3.7", "3.14")),
    "Windows, x86-64": ("x86_64-pc-windows-msvc", ("3.14",)),
    "macOS, Apple processor": ("aarch64-apple-darwin", ("3.7", "3.14")),
    "macOS, Intel processor": ("x86_64-apple-darwin", ("3.13", "3.14")),
    "Alpine Linux, x86-64": ("x86_64-unknown-linux-musl", PYTHONS),
}
# TensorFlow 1.15.5 needs these two, which come as source in plain Python only.
FROM_SOURCE = ("--no-binary", "gast", "--no-binary", "termcolor")


def versions_for(platform, python):
    """Returns {package: version} of what is installed there, and what uv says otherwise."""
    # With --python: else uv looks for this version on the machine, and would fetch it, each time.
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"]
    command += ["--python", sys.executable, "--no-python-downloads"]
    command += ["--no-annotate", "--only-binary", ":all:", "--python-platform", platform]
    command += ["--python-version", python, *(FROM_SOURCE if python == "3.7" else ())]
    done = subprocess.run([*command, REQUIREMENTS], capture_output=True, text=True)
    return dict(re.findall(r"^([\w-]+)==([\w.]+)", done.stdout, re.MULTILINE)), done.stderr


def _minor(version):
    return version and version.split(".")[:2]


def main():
    print(f"{'':24}" + "".join(f"{python:>9}" for python in PYTHONS))
    problems = []
    # Each waits for the index most of the time.
    with concurrent.futures.ThreadPoolExecutor(len(PYTHONS)) as threads:
        answers = {
            (system, python): threads.submit(versions_for, platform, python)
            for system, (platform, _) in SYSTEMS.items()
            for python in PYTHONS
        }
        for system, (_, without) in SYSTEMS.items():
            print(f"{system:24}", end="", flush=True)
            for python in PYTHONS:
                versions, problem = answers[system, python].result()
                version, keras = versions.get("tensorflow"), versions.get("tf-keras")
                print(f"{version or '-':>9}", end="", flush=True)
                # TensorFlow 1 has the Keras of its time.
                expected = None if version is None or python == "3.7" else _minor(version)
                if (version is None) != (python in without) or _minor(keras) != expected:
                    found = f"found tensorflow {version} and tf-keras {keras}"
                    problems.append(f"{system}, Python {python}: {found}\n{problem}")
            print()
    print("".join(f"\n{problem}" for problem in problems), end="")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
