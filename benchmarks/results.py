"""The stored measurements: benchmarks/results/<table>.json, one measurement a line."""

import datetime
import json
import os
import platform

from environments import PROJECT

from graph_mode.machine import processor

FOLDER = PROJECT / "benchmarks" / "results"
UNFINISHED = FOLDER / "unfinished"


def load(table, folder=FOLDER):
    """{"machine": {...}, "measurements": [{...}]} of a table, or None where it is not measured."""
    path = folder / f"{table}.json"
    return json.loads(path.read_text()) if path.exists() else None


def begin(table):
    """What an interrupted measuring of the table left on this machine, or an empty start."""
    here, stored = machine(), load(table, UNFINISHED)
    if stored and all(stored["machine"][key] == here[key] for key in ("processor", "cores")):
        return stored
    return {"machine": here, "measurements": []}


def keep(table, content):
    """Writes what is measured so far, whole or not at all."""
    UNFINISHED.mkdir(parents=True, exist_ok=True)
    path = UNFINISHED / f"{table}.json"
    lines = ",\n".join(map(json.dumps, content["measurements"]))
    text = f'{{"machine": {json.dumps(content["machine"])},\n"measurements": [\n{lines}\n]}}\n'
    path.with_suffix(".partial").write_text(text)
    path.with_suffix(".partial").replace(path)


def finish(tables):
    """Puts the tables, measured to their end, in the place of those measured before."""
    for table in tables:
        (UNFINISHED / f"{table}.json").replace(FOLDER / f"{table}.json")


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
