"""plot_losses.py on 100 runs, against tbparse reading the same files into a DataFrame.

    pip install tbparse
    python benchmarks/plot_against_tbparse.py

Both are whole processes. plot_losses.py also draws two figures; tbparse only reads. Exits with 1 if
plot_losses.py is not at least 3 times faster.
"""

import argparse
import os
import sys
import tempfile
from importlib import metadata

import numpy as np
from plot_timing import plot_command, print_times, ratio, time_in_turn, write_runs

LIMIT = 3
READ = """
import sys
from tbparse import SummaryReader

scalars = SummaryReader(sys.argv[1]).scalars
assert len(scalars) >= 300000, len(scalars)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    try:
        version = metadata.version("tbparse")
    except metadata.PackageNotFoundError:
        parser.error("tbparse is not installed: pip install tbparse")
    with tempfile.TemporaryDirectory() as folder:
        runs = os.path.join(folder, "runs")
        write_runs(runs)
        commands = {
            "plot_losses.py": plot_command(runs, os.path.join(folder, "figures")),
            "tbparse": [sys.executable, "-c", READ, runs],
        }
        seconds = time_in_turn(commands, rounds)
    print_times(seconds, [np])
    times = ratio(seconds, "tbparse", "plot_losses.py")
    print(f"plot_losses.py is {times:.2f} times faster than tbparse {version} (at least: {LIMIT})")
    return int(times < LIMIT)


if __name__ == "__main__":
    sys.exit(main())
