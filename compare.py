"""Trains a grid of flags over several seeds and reports what batch normalization changed.

    python compare.py                                   the default grid, 80 runs
    python compare.py --networks conv --optimizers adam --layers 2,3,5,8 --batch-norm both
    python compare.py --learning-rate 0.0002,0.002,0.02 --seeds 3 --dry-run
    python compare.py --networks fc,my_train.py         a training script of your own
    python compare.py --config my_grid.json             several grids in one comparison
    python compare.py --ray auto                        on a Ray cluster

--networks takes fc, conv and paths of training scripts, --seeds N means the seeds 0 to N-1, and
every flag that describes a run can be given, with commas between several values; a switch takes
true, false or both. --threads and --device take one value; --hidden-units, whose value has commas
itself, is repeated. The default grid is: both networks; sgd, momentum, rmsprop and adam; without
and with batch norm; seeds 0 to 4.

Interrupted, killed or without its terminal, it stops, and the same command continues: what has
ended is never trained again. The exit code is 1 where no run came to its end.
"""

import itertools
import os
import shutil
import sys
import time
from statistics import mean

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from graph_mode import command_line, flags, machine

with command_line.loading():
    from graph_mode.comparing import comparison_folder, grid, ray_workers, report, workers
    from graph_mode.runs.record import RESULT, has_result, read_json

WORKER_MEMORY = 900 * 2**20  # bytes that a process takes to train the convolutional network
ALL_FAILED = 1


def main(arguments=None):
    arguments = command_line.own_arguments() if arguments is None else arguments
    if arguments == [workers.WORKER]:
        workers.serve()
    parser = command_line.OneLineParser(description=__doc__)
    add = parser.add_argument
    # fmt: off
    add("--config", metavar="FILE", help='JSON: {"grids": [{flag: values, ...}, ...]}; flags given '
        "besides replace theirs")
    add("--jobs", metavar="N", type=flags.positive_integer, help="runs side by side, each in a "
        "process with one thread (default: one for each core, as far as the free memory allows; "
        "with --device gpu, one for each GPU)")
    add("--ray", metavar="ADDRESS", help="train on this Ray cluster (pip install ray), auto for "
        "the one that runs here; what is trained comes back to the log folder")
    add("--log-dir", metavar="FOLDER", type=flags.path, default=os.path.join("runs", "compare"),
        help="where the runs are written (default: runs/compare)")
    add("--report-dir", metavar="FOLDER", help="default: report in the log folder")
    add("--report-only", action="store_true", help="write the report of what has ended so far")
    add("--retry-failed", action="store_true", help="train again what failed or diverged, which "
        "otherwise counts as a result")
    add("--dry-run", action="store_true", help="list the runs, train nothing")
    # fmt: on
    own, rest = parser.parse_known_args(arguments)
    given = grid.grid_of_arguments(rest)
    grids = grid.read_config(own.config) if own.config else [grid.DEFAULTS]
    runs = grid.expand([{**one, **given} for one in grids])
    if own.dry_run:
        print_plan(runs, own)
        return 0
    if own.report_only:  # of a folder that may be another's, or at work
        return write_report(runs, own)
    with comparison_folder.locked(own.log_dir):
        try:
            train_missing(runs, own)
        except KeyboardInterrupt as interrupt:
            stopped = command_line.explained(interrupt)
            words = f"{stopped}; the same command continues where it was"
            raise command_line.Stopped(words, stopped.exit_code) from None
        return write_report(runs, own)


def print_plan(runs, own):
    folders = comparison_folder.folders_of(runs, own.log_dir)
    for run, folder in zip(runs, folders):
        what = f"ended, {folder}" if folder else " ".join(run.arguments)
        command_line.print_line(f"{run.network}/{run.name}: {what}")
    jobs = own.jobs or jobs_for(runs)
    left = minutes_left(runs, folders, jobs)
    words = "how long they take is told after the first"
    words = words if left is None else f"about {left:.0f} minutes left"
    print(f"{len(runs)} runs, {sum(map(bool, folders))} ended, --jobs {jobs}, {words}")


def minutes_left(runs, folders, jobs):
    """What the runs that have not ended will take, by the steps of those that have, of the same
    network where there are such; None if none has ended."""
    rates, seconds = {}, 0.0
    for run, folder in zip(runs, folders):
        result = read_json(os.path.join(folder, RESULT)) if folder else {}
        if result.get("steps"):
            rates.setdefault(run.network, []).append(result["seconds"] / result["steps"])
    for run in (run for run, folder in zip(runs, folders) if rates and not folder):
        known = rates.get(run.network) or sum(rates.values(), [])
        seconds += mean(known) * run.settings["flags"]["num_batches"] / jobs
    return seconds / 60 if rates else None


def jobs_for(runs):
    """How many runs this machine trains side by side, if the user does not say."""
    wanted = [run.settings["flags"] for run in runs]
    if any(one.get("device") == "gpu" for one in wanted):
        return max(1, len(workers.gpus()))
    cores, memory = machine.cores(), machine.free_memory()
    jobs = cores // max(one["threads"] or cores for one in wanted)
    return max(1, jobs if memory is None else min(jobs, memory // WORKER_MEMORY))


def train_missing(runs, own):
    """Trains what has not ended yet, and prints a line for each run that ends."""
    missing = []
    for run, folder in zip(runs, comparison_folder.folders_of(runs, own.log_dir)):
        if folder and own.retry_failed and not has_result(folder):
            shutil.rmtree(folder)
            folder = None
        missing += [] if folder else [run]
    if not missing:
        return
    trainers = start_trainers(missing, own)
    done, started = len(runs) - len(missing), time.time()
    for number, folder in enumerate(workers.train_all(missing, trainers, own.log_dir), 1):
        left = (time.time() - started) / 60 / number * (len(missing) - number)
        where = f"{done + number}/{len(runs)}, about {left:.0f} min left"
        command_line.print_line(f"[{where}] {folder}: {outcome(folder)}")


def start_trainers(runs, own):
    """What trains the runs: processes here, or tasks of a Ray cluster, one for each job."""
    if own.ray:
        ray, data = ray_workers.connect(own.ray, runs)
        jobs = own.jobs or max(1, int(ray.cluster_resources().get("CPU", 1)))
        return [ray_workers.Task(ray, data) for _ in runs[:jobs]]
    environments = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in workers.gpus()] or [{}]
    jobs = min(own.jobs or jobs_for(runs), len(runs))
    return list(map(workers.Process, itertools.islice(itertools.cycle(environments), jobs)))


def write_report(runs, own):
    """Reports all runs of the grid that have ended; returns the exit code."""
    folders = comparison_folder.folders_of(runs, own.log_dir)
    ended = {folder: run.settings["flags"] for run, folder in zip(runs, folders) if folder}
    if not ended:
        raise command_line.CommandError(
            f"{own.log_dir}: none of the {len(runs)} runs has ended with these flags and this "
            "version of the scripts: leave out --report-only to train them"
        )
    output_dir = own.report_dir or os.path.join(own.log_dir, "report")
    path = report.write(ended, own.log_dir, output_dir, command_line.say)
    command_line.print_line(f"wrote {path}")
    if not any(map(has_result, ended)):
        why = f"no run has a result, the first {outcome(next(iter(ended)))}"
        words = f"{why}; once that is mended, train them again with --retry-failed"
        raise command_line.CommandError(words, ALL_FAILED)
    return 0


def outcome(folder):
    result = read_json(os.path.join(folder, RESULT))
    if result:
        return f"test accuracy {result['test_accuracy']:.5f}, {result['seconds']:.0f} s"
    failure = read_json(os.path.join(folder, comparison_folder.FAILURE))
    return f"{'diverged' if failure.get('diverged') else 'failed'}: {failure.get('reason')}"


if __name__ == "__main__":
    command_line.run(main)
