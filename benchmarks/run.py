"""Measures this project beside what a user would pick instead, and writes docs/benchmarks.md.

python benchmarks/run.py                       every table (an hour or two on 2 cores)
python benchmarks/run.py --only steps,events   these tables, and the page again
python benchmarks/run.py --page                the page alone, from the stored measurements

Each contestant of benchmarks/peers/__init__.py gets a virtual environment of its own with the real
released packages. Contestants take turns (A B A B), each time as a process of its own. A run that
was interrupted goes on where it stopped; benchmarks/results/ changes when all of it is measured.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import environments  # noqa: E402
import page  # noqa: E402
import results  # noqa: E402
import tables  # noqa: E402
from tqdm import tqdm  # noqa: E402

PEERS = environments.PROJECT / "benchmarks" / "peers"
LONGEST_SECONDS = 1200


def measure(groups_of):
    """Measures {table: [Group]} and stores the results; what fails is told and left out."""
    contestants = [c for groups in groups_of.values() for g in groups for c in g.contestants]
    ready = set_up(contestants)
    total = sum(g.rounds for groups in groups_of.values() for g in groups for _ in g.contestants)
    with tqdm(total=total, unit="process") as progress:
        for table, groups in groups_of.items():
            content = results.begin(table)
            for group in groups:
                measure_group(group, table, content, ready, progress)
            results.keep(table, content)
    results.finish(groups_of)


def set_up(contestants):
    """The environments, of those that `contestants` need, that are there or could be made."""
    ready = set()
    for environment in dict.fromkeys(contestant.environment for contestant in contestants):
        reason = environments.set_up(environment)
        if reason:
            tqdm.write(f"{environment.folder} is left out: {reason}", file=sys.stderr)
        else:
            ready.add(environment)
    return ready


def measure_group(group, table, content, ready, progress):
    """Adds to content["measurements"] what is missing of the group, and stores it each time."""
    done = {(m["label"], m["contestant"], m["round"]) for m in content["measurements"]}
    with contextlib.ExitStack() as stack:
        data = None
        for number in range(group.rounds):
            for contestant in group.contestants:
                progress.set_description(f"{table}: {group.label}: {contestant.name}")
                key = {"label": group.label, "contestant": contestant.name, "round": number}
                if tuple(key.values()) not in done and contestant.environment in ready:
                    if group.fill and data is None:
                        data = stack.enter_context(tempfile.TemporaryDirectory())
                        group.fill(data)
                    measurement = run(contestant, group, number, data)
                    if measurement:
                        content["measurements"].append({**key, **measurement})
                        results.keep(table, content)
                progress.update()


def run(contestant, group, seed, data):
    """What one process of the contestant reports, or None if it fails."""
    command = [environments.python_of(contestant.environment), str(PEERS / contestant.file)]
    command += ["--mode", contestant.mode] + list(map(str, group.arguments))
    command += ["--data-dir", data] if data else []
    with tempfile.TemporaryDirectory() as folder:
        if group.arguments:
            command += ["--seed", str(seed), "--log-dir", folder]
        started = time.time()
        try:
            result = subprocess.run(
                command,
                capture_output=True,
                timeout=LONGEST_SECONDS,
                env=dict(os.environ, BENCHMARK_STARTED=str(started)),
                cwd=str(environments.PROJECT),
                check=True,
            )
        except subprocess.SubprocessError as error:
            output = (error.stderr or b"").decode(errors="replace").strip()[-2000:]
            tqdm.write(f"{contestant.name}: {error}\n{output}", file=sys.stderr)
            return None
        seconds = time.time() - started
    measurement = json.loads(result.stdout.decode().strip().splitlines()[-1])
    return dict(measurement, process_seconds=round(seconds, 3))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(tables.TABLES)
    parser.add_argument("--only", metavar="TABLE,...", help=f"some of {names}")
    parser.add_argument("--rounds", type=int, default=5, help="processes a figure (default: 5)")
    parser.add_argument("--page", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else list(tables.TABLES)
    unknown = [table for table in chosen if table not in tables.TABLES]
    if unknown:
        parser.error(f"found table {unknown[0]!r}, expected one of {names}")
    if not arguments.page:
        measure({table: list(tables.TABLES[table](arguments.rounds)) for table in chosen})
    page.write()


if __name__ == "__main__":
    main()
