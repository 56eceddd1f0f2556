"""Shows which TensorFlow requirements.txt installs on each system and Python, from packages alone.

    python tests/check_requirements.py        (needs uv; downloads only descriptions of packages)

pip would judge the markers in requirements.txt by the system that it runs on; uv resolves for
others. The exit code is 1 if a system that should have a TensorFlow has none.
"""

import concurrent.futures
import os
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


def tensorflow_for(platform, python):
    """Returns the version of TensorFlow that is installed there, or None with what uv says."""
    # With --python: else uv looks for this version on the machine, and would fetch it, each time.
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"]
    command += ["--python", sys.executable, "--no-python-downloads"]
    command += ["--no-annotate", "--only-binary", ":all:", "--python-platform", platform]
    command += ["--python-version", python, *(FROM_SOURCE if python == "3.7" else ())]
    done = subprocess.run([*command, REQUIREMENTS], capture_output=True, text=True)
    versions = [line[12:] for line in done.stdout.splitlines() if line.startswith("tensorflow==")]
    return (versions[0], "") if versions else (None, done.stderr)


def main():
    print(f"{'':24}" + "".join(f"{python:>9}" for python in PYTHONS))
    problems = []
    # Each waits for the index most of the time.
    with concurrent.futures.ThreadPoolExecutor(len(PYTHONS)) as threads:
        answers = {
            (system, python): threads.submit(tensorflow_for, platform, python)
            for system, (platform, _) in SYSTEMS.items()
            for python in PYTHONS
        }
        for system, (_, without) in SYSTEMS.items():
            print(f"{system:24}", end="", flush=True)
            for python in PYTHONS:
                version, problem = answers[system, python].result()
                print(f"{version or '-':>9}", end="", flush=True)
                if (version is None) != (python in without):
                    problems.append(f"{system}, Python {python}: found {version}\n{problem}")
            print()
    print("".join(f"\n{problem}" for problem in problems), end="")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
