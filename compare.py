"""Trains a grid of settings over several seeds and reports what batch normalization changed.

    python compare.py                                   the default grid, 80 runs
    python compare.py --networks conv --optimizers adam --layers 2,3,5,8 --batch-norm both
    python compare.py --learning-rate 0.0002,0.002,0.02 --seeds 3 --dry-run
    python compare.py --config my_grid.json             several grids in one comparison
    python compare.py --ray auto                        on a Ray cluster

Every flag of fc_train.py and conv_train.py can be given, with several values and commas between
them; a switch takes true, false or both. Not given, the grid is: both networks; sgd, momentum,
rmsprop and adam; without and with batch norm; seeds 0 to 4. Interrupted or killed, the same command
goes on where it was: what has finished is never trained again.
"""

if __name__ == "__main__":
    from graph_mode import start

    start.program()

import os
import shutil
import sys

from tqdm import tqdm

import conv_train
import fc_train
from graph_mode import command_line
from graph_mode.comparing import (
    comparison_folder,
    grid,
    ray_workers,
    report,
    run_time,
    worker,
    workers,
)

SCRIPTS = {"fc": fc_train, "conv": conv_train}
WORKER = "--worker"


def main():
    if sys.argv[1:] == [WORKER]:
        worker.serve(SCRIPTS)
    flags, grid_arguments = parse_arguments()
    runs = grid.expand(grids_of(flags, grid_arguments), SCRIPTS)
    if flags.dry_run:
        print_plan(runs, flags)
        return 0
    with comparison_folder.locked(flags.log_dir) as lock:
        comparison_folder.clean(flags.log_dir)
        if not flags.report_only:
            try:
                train_missing(runs, flags, lock)
            except KeyboardInterrupt:
                raise command_line.CommandError(
                    "interrupted; the same command goes on where it was", command_line.INTERRUPTED
                ) from None
        write_report(runs, flags)
    return 0


def parse_arguments(arguments=None):
    """The flags of compare.py itself, and the rest of the command line, which is the grid."""
    parser = command_line.OneLineParser(description=__doc__)
    parser.add_argument(
        "--networks", metavar="NAMES", help="fc, conv, or both with a comma (default: fc,conv)"
    )
    parser.add_argument("--optimizers", metavar="NAMES", help="the same as --optimizer")
    parser.add_argument(
        "--seeds", metavar="N", help="train each setting with the seeds 0 to N-1 (default: 5)"
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help='JSON: {"grids": [{flag: values, ...}, ...]}; flags given besides replace theirs',
    )
    parser.add_argument(
        "--jobs",
        type=positive_integer,
        metavar="N",
        help="runs side by side, each in a process with one thread (default: one a core)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="train on this Ray cluster (pip install ray), auto for the one that runs here; what "
        "is trained comes back to the log folder",
    )
    parser.add_argument(
        "--log-dir",
        default=os.path.join("runs", "compare"),
        metavar="FOLDER",
        help="where the runs are written",
    )
    parser.add_argument(
        "--report-dir",
        metavar="FOLDER",
        help="where the report is written (default: report in the log folder)",
    )
    parser.add_argument(
        "--report-only",
        action="store_true",
        help="train nothing: write the report of the runs that have ended so far",
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="train again what failed or diverged; else that is a result like another",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list the runs and the estimated time, train nothing"
    )
    flags, rest = parser.parse_known_args(arguments)
    for name in ("networks", "optimizers", "seeds"):
        if getattr(flags, name) is not None:
            rest += [f"--{name}", getattr(flags, name)]
    return flags, rest


def positive_integer(text):
    from graph_mode import options

    return options.positive_integer(text)


def cores():
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def grids_of(flags, grid_arguments):
    """The grids of the config file, or the default one, with the command line's values in place."""
    given = grid.grid_of_arguments(grid_arguments)
    grids = grid.read_config(flags.config) if flags.config else [grid.DEFAULTS]
    return [{**one, **given} for one in grids]


def print_plan(runs, flags):
    """Lists the runs, which of them have ended, and how long the rest will take."""
    ended = comparison_folder.ended_runs(flags.log_dir)
    timings = known_timings(runs, ended)
    seconds = 0
    for run in runs:
        if run.key in ended:
            print(f"{run.network}/{run.name}: ended, {ended[run.key]}")
        else:
            seconds += run_time.estimate(run.settings, timings)
            print(f"{run.network}/{run.name}: {' '.join(run.arguments)}")
    basis = "from the runs that ended" if timings else "a guess, before any run has ended"
    jobs = flags.jobs or cores()
    print(
        f"{len(runs)} runs, {sum(run.key in ended for run in runs)} ended; estimated time with "
        f"--jobs {jobs}: {run_time.words(seconds / jobs)} ({basis})"
    )


def known_timings(runs, ended):
    found = (run_time.timing(run.settings, ended[run.key]) for run in runs if run.key in ended)
    return [timing for timing in found if timing]


def train_missing(runs, flags, lock):
    """Trains what has not ended yet, and prints a line for each run that ends."""
    ended = comparison_folder.ended_runs(flags.log_dir)
    if flags.retry_failed:
        for key in [run.key for run in runs if run.key in ended]:
            if not os.path.exists(os.path.join(ended[key], comparison_folder.RESULT)):
                shutil.rmtree(ended.pop(key))
    missing = [run for run in runs if run.key not in ended]
    if not missing:
        return
    timings = known_timings(runs, ended)
    processes, jobs = start_workers(flags, lock)
    failed = 0
    with tqdm(
        total=len(runs), initial=len(runs) - len(missing), unit="run", disable=not on_terminal()
    ) as progress:
        progress.bar_format = "{n_fmt}/{total_fmt} runs done{postfix}"
        for run, news in workers.train_all(missing, jobs, processes, flags.log_dir):
            if run:
                missing.remove(run)
                timing = run_time.timing(run.settings, news)
                timings += [timing] if timing else []
                failed += timing is None
                progress.update()
                number = len(runs) - len(missing)
                tqdm.write(f"[{number}/{len(runs)}] {news}: {outcome(news)}", file=sys.stdout)
                sys.stdout.flush()
            else:
                left = sum(run_time.estimate(other.settings, timings) for other in missing)
                progress.set_postfix_str(
                    f"{len(news)} running, {failed} failed, {run_time.words(left / jobs)} left"
                )


def start_workers(flags, lock):
    """(what trains runs, how many side by side): processes here, or actors of a Ray cluster."""
    script = os.path.abspath(__file__)
    if flags.ray:
        ray = ray_workers.connect(flags.ray)
        found = ray_workers.Workers(ray, script, WORKER, flags.log_dir)
        return found, flags.jobs or found.cores()
    command = [sys.executable, script, WORKER]
    return workers.Workers(command, flags.log_dir, lock), flags.jobs or cores()


def write_report(runs, flags):
    """Writes the report of all runs of the grid that have ended, and says where it is."""
    ended = comparison_folder.ended_runs(flags.log_dir)
    folders = [ended[run.key] for run in runs if run.key in ended]
    if not folders:
        raise command_line.CommandError(
            f"{flags.log_dir}: none of the {len(runs)} runs has ended yet: leave out --report-only"
        )
    output_dir = flags.report_dir or os.path.join(flags.log_dir, "report")
    print(f"wrote {report.write(folders, flags.log_dir, output_dir, say)}")


def say(line):
    print(f"note: {line}", file=sys.stderr)


def on_terminal():
    return sys.stderr.isatty()


def outcome(folder):
    """What became of a run, in a few words."""
    result = comparison_folder.read_json(os.path.join(folder, comparison_folder.RESULT))
    if result:
        return f"test accuracy {result['test_accuracy']:.5f}, {result['seconds']:.0f} s"
    failure = comparison_folder.read_json(os.path.join(folder, comparison_folder.FAILURE)) or {}
    return f"{'diverged' if failure.get('diverged') else 'failed'}: {failure.get('reason')}"


if __name__ == "__main__":
    command_line.run(main)
