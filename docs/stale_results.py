"""Lists the experiments whose runs this code would give other numbers: make results-stale."""

import csv
import glob
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from graph_mode.machine import PROJECT
from graph_mode.runs.record import NUMBERS


def stale(folder):
    """Yields a line for each such experiment in `folder`, NAME.json with its report in NAME/."""
    for config in sorted(glob.glob(os.path.join(glob.escape(folder), "*.json"))):
        name, found = os.path.splitext(config)[0], {"none"}
        if os.path.exists(os.path.join(name, "runs.csv")):
            with open(os.path.join(name, "runs.csv"), encoding="utf-8", newline="") as file:
                found = {row.get("numbers") or "none" for row in csv.DictReader(file)}
        if found != {str(NUMBERS)}:
            words = f"trained by code with numbers {', '.join(sorted(found))}, expected {NUMBERS}"
            yield f"{os.path.basename(name)}: {words}: make results"


if __name__ == "__main__":
    for line in stale(os.path.join(PROJECT, "docs", "results")):
        print(line)
