"""Measures this project beside what a user would pick instead, and writes docs/benchmarks.md.

python benchmarks/run.py                    everything, in somewhat over an hour on 2 cores
python benchmarks/run.py steps render       one part, and the page again

Every part stores its measurements in benchmarks/results/<part>.json; render makes the page and its
figures from whatever is stored, so a part can be measured again alone.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import environments  # noqa: E402
import growth  # noqa: E402
import limits  # noqa: E402
import readers  # noqa: E402
import render  # noqa: E402
import steps  # noqa: E402
import time_to_accuracy  # noqa: E402
import whole  # noqa: E402

PARTS = {
    "setup": "the virtual environments, .venv-benchmark-<peer>/",
    "steps": "milliseconds a training step",
    "whole": "whole processes, start-up and memory",
    "accuracy": "time to a test accuracy",
    "readers": "loading MNIST and reading event files",
    "growth": "batch size, layers, training images",
    "limits": "floor and profile of a step",
    "render": "docs/benchmarks.md from what is stored",
}


def set_up():
    for name in environments.ENVIRONMENTS:
        reason = environments.set_up(name)
        if reason:
            print(f"benchmarks: {name} is left out: {reason}", file=sys.stderr)


def measure(part):
    print(f"benchmarks: {part}: {PARTS[part]}", file=sys.stderr)
    if part == "setup":
        set_up()
    elif part == "steps":
        steps.measure()
    elif part == "whole":
        whole.measure()
    elif part == "accuracy":
        time_to_accuracy.measure()
    elif part == "readers":
        readers.measure()
    elif part == "growth":
        growth.measure()
    elif part == "limits":
        limits.measure()
    elif part == "render":
        render.write_page()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    lines = ", ".join(f"{part} ({meaning})" for part, meaning in PARTS.items())
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"default: all of {lines}")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.parts) - set(PARTS))
    if unknown:
        parser.error(f"found part {unknown[0]!r}, expected one of {', '.join(PARTS)}")
    for part in arguments.parts or PARTS:
        measure(part)
    return 0


if __name__ == "__main__":
    sys.exit(main())
