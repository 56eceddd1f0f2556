"""plot_losses.py on 100 runs, against matplotlib drawing the same curves from arrays.

    python benchmarks/plot_against_matplotlib.py

Both are whole processes that end with two PNG figures of about the same size. The one of matplotlib
loads its curves with numpy.load and draws each with plot(). Exits with 1 if plot_losses.py takes
more than 5 times as long.
"""

import argparse
import os
import sys
import tempfile

import matplotlib
import numpy as np
from plot_timing import plot_command, print_times, ratio, time_in_turn, write_runs

LIMIT = 5
DRAW = """
import sys
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

for name in ("fc", "conv"):
    figure = Figure(figsize=(10.5, 5.5))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_yscale("log")
    for losses in np.load(sys.argv[1])[name]:
        axes.plot(losses, linewidth=1)
    figure.savefig(sys.argv[2] + name + ".png", dpi=150)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        runs, arrays = os.path.join(folder, "runs"), os.path.join(folder, "losses.npz")
        np.savez(arrays, **write_runs(runs))
        commands = {
            "plot_losses.py": plot_command(runs, os.path.join(folder, "figures")),
            "matplotlib": [sys.executable, "-c", DRAW, arrays, os.path.join(folder, "")],
        }
        seconds = time_in_turn(commands, rounds)
    print_times(seconds, [matplotlib, np])
    times = ratio(seconds, "plot_losses.py", "matplotlib")
    print(f"plot_losses.py takes {times:.2f} times as long as matplotlib alone (limit: {LIMIT})")
    return int(times > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
