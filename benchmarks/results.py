"""The stored measurements: benchmarks/results/<table>.json, one measurement a line."""

import datetime
import json
import os
import platform

from environments import PROJECT

from graph_mode.machine import processor

FOLDER = PROJECT / "benchmarks" / "results"


def load(table):
    """{"machine": {...}, "measurements": [{...}]} of a table, or None where it is not measured."""
    path = FOLDER / f"{table}.json"
    return json.loads(path.read_text()) if path.exists() else None


def store(table, here, measurements):
    """Writes a table that was measured to its end; here: machine() before it began."""
    lines = ",\n".join(map(json.dumps, measurements))
    text = f'{{"machine": {json.dumps(here)},\n"measurements": [\n{lines}\n]}}\n'
    (FOLDER / f"{table}.json").write_text(text)


def machine():
    """What the figures depend on, for the foot of each table."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gigabytes": round(memory / 2**30),
        "system": platform.platform(),
        "date": datetime.date.today().isoformat(),
        # How busy the machine was with other work before measuring began.
        "load_average": round(os.getloadavg()[0], 2),
    }
