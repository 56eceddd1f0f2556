"""The stored measurements, one JSON file a part, and the statistics the tables are made of."""

import datetime
import json
import os
import platform
import statistics
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "results"


def machine():
    """What the figures depend on, for the head of each table."""
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.platform(),
        "date": datetime.date.today().isoformat(),
        # How busy the machine was with other work before the part began.
        "load_average": round(os.getloadavg()[0], 2),
    }


def processor_name():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def save(part, content, machine_description):
    """Writes results/<part>.json whole or not at all."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{part}.json"
    temporary = path.with_suffix(".partial")
    text = json.dumps(dict(content, machine=machine_description), indent=1)
    temporary.write_text(text + "\n")
    temporary.replace(path)


def load(part):
    """The stored content of a part, or None where it was never measured."""
    path = FOLDER / f"{part}.json"
    return json.loads(path.read_text()) if path.exists() else None


def spread(values):
    """{'median', 'low', 'high', 'n'} of a list of numbers, or None where there are none."""
    if not values:
        return None
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "n": len(values),
    }
