"""Lists the experiments whose runs this code would give other numbers: one line each.

python docs/stale_results.py        or: make results-stale
"""

import csv
import glob
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from graph_mode.runs.record import NUMBERS, PROJECT


def stale(folder):
    """[line] for the experiments in `folder`, each a NAME.json with its report in NAME/."""
    lines = []
    for config in sorted(glob.glob(os.path.join(glob.escape(folder), "*.json"))):
        name = os.path.splitext(config)[0]
        path = os.path.join(name, "runs.csv")
        found = set()
        if os.path.exists(path):
            with open(path, encoding="utf-8", newline="") as file:
                found = {row.get("numbers") for row in csv.DictReader(file)}
        if found != {str(NUMBERS)}:
            versions = ", ".join(sorted(version or "none" for version in found)) or "none"
            lines.append(
                f"{os.path.basename(name)}: trained by code with numbers {versions}, expected "
                f"{NUMBERS}: make results"
            )
    return lines


if __name__ == "__main__":
    for line in stale(os.path.join(PROJECT, "docs", "results")):
        print(line)
