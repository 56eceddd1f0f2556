"""Measures this project beside what a user would pick instead, and each of its ideas.

python benchmarks/run.py                       every table (three hours on 2 cores)
python benchmarks/run.py --only steps,events   these tables
python benchmarks/run.py --page                docs/*.md alone, from the stored measurements

Each contestant of benchmarks/peers/__init__.py gets a virtual environment of its own with the real
released packages. Contestants take turns (A B A B), each time as a process of its own. A table in
benchmarks/results/ changes when all of it is measured.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time

import environments
import page
import results
import tables
from tqdm import tqdm

BENCHMARKS = environments.PROJECT / "benchmarks"
LONGEST_SECONDS = 1200


def measure(table, groups):
    """Measures the [Group] of a table and stores the results; what fails is told and left out."""
    ready = []
    for environment in dict.fromkeys(c.environment for group in groups for c in group.contestants):
        reason = environments.set_up(environment)
        if reason:
            print(f"{environment.folder} is left out: {reason}", file=sys.stderr)
        else:
            ready.append(environment)
    here, measurements = results.machine(), []
    total = sum(group.rounds * len(group.contestants) for group in groups)
    with tqdm(total=total, unit="process") as progress:
        for group in groups:
            with tempfile.TemporaryDirectory() as folder:
                if group.data:
                    # In another process: the memory of this one would count as that of the
                    # programs it starts.
                    script = [sys.executable, str(BENCHMARKS / "made_data.py")]
                    subprocess.run([*script, *map(str, group.data), folder], check=True)
                for number, contestant in itertools.product(range(group.rounds), group.contestants):
                    progress.set_description(f"{table}: {group.label}: {contestant.name}")
                    key = {"label": group.label, "contestant": contestant.name, "round": number}
                    if contestant.environment in ready:
                        measurements += [
                            {**key, **m} for m in run(contestant, group, number, folder)
                        ]
                    progress.update()
    results.store(table, here, measurements)


def run(contestant, group, seed, data_dir):
    """What one process of the contestant reports, in a list; empty if it fails."""
    python = environments.python_of(contestant.environment)
    command = [python, str(BENCHMARKS / "peers" / contestant.file), "--mode", contestant.mode]
    command += [*map(str, group.arguments), *(["--data-dir", data_dir] if group.data else [])]
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
            return []
        seconds = time.time() - started
    measurement = json.loads(result.stdout.decode().strip().splitlines()[-1])
    return [dict(measurement, process_seconds=round(seconds, 3))]


def main():
    raw, names = argparse.RawDescriptionHelpFormatter, ", ".join(tables.TABLES)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--only", metavar="TABLE,...", help=f"some of {names}")
    parser.add_argument("--rounds", type=int, default=5, help="processes a figure (default: 5)")
    parser.add_argument("--page", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else list(tables.TABLES)
    unknown = [table for table in chosen if table not in tables.TABLES]
    if unknown:
        parser.error(f"found table {unknown[0]!r}, expected one of {names}")
    if not arguments.page:
        for table in chosen:
            measure(table, list(tables.TABLES[table](arguments.rounds)))
    page.write()


if __name__ == "__main__":
    main()
