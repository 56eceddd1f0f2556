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

import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from graph_mode import command_line, flags, machine

with command_line.loading():
    from graph_mode.comparing import comparison_folder, grid, ray_workers, report, workers
    from graph_mode.runs.record import RESULT, has_result, read_json

# What a process that trains the convolutional network takes, in bytes.
WORKER_MEMORY = 900 * 2**20
ALL_FAILED = 1
# (flag, the name of its value or None for a switch, help)
OWN_FLAGS = (
    ("--config", "FILE", 'JSON: {"grids": [{flag: values, ...}, ...]}; flags given besides replace '
     "theirs"),
    ("--jobs", "N", "runs side by side, each in a process with one thread (default: one for each "
     "core, as far as the free memory allows; with --device gpu, one for each GPU)"),
    ("--ray", "ADDRESS", "train on this Ray cluster (pip install ray), auto for the one that runs "
     "here; what is trained comes back to the log folder"),
    ("--log-dir", "FOLDER", "where the runs are written (default: runs/compare)"),
    ("--report-dir", "FOLDER", "where the report is written (default: report in the log folder)"),
    ("--report-only", None, "train nothing: write the report of the runs that have ended so far"),
    ("--retry-failed", None, "train again what failed or diverged; otherwise a failed run counts "
     "as a result"),
    ("--dry-run", None, "list the runs, train nothing"),
)  # fmt: skip


def main(arguments=None):
    arguments = command_line.own_arguments() if arguments is None else arguments
    if arguments == [workers.WORKER]:
        workers.serve()
    parser = command_line.OneLineParser(description=__doc__)
    for flag, metavar, text in OWN_FLAGS:
        options = {"metavar": metavar} if metavar else {"action": "store_true"}
        options.update({"type": flags.positive_integer} if metavar == "N" else {})
        options.update({"type": flags.path} if flag == "--log-dir" else {})
        parser.add_argument(flag, help=text, **options)
    parser.set_defaults(log_dir=os.path.join("runs", "compare"))
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
            raise command_line.CommandError(
                "interrupted; the same command continues where it was",
                128 + getattr(interrupt, "number", signal.SIGINT),
            ) from None
        return write_report(runs, own)


def print_plan(runs, own):
    """Lists the runs, and which of them have ended."""
    folders = comparison_folder.folders_of(runs, own.log_dir)
    for run, folder in zip(runs, folders):
        what = f"ended, {folder}" if folder else " ".join(run.arguments)
        command_line.print_line(f"{run.network}/{run.name}: {what}")
    print(f"{len(runs)} runs, {sum(map(bool, folders))} ended, --jobs {own.jobs or jobs_for(runs)}")


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
    done = len(runs) - len(missing)
    for number, folder in enumerate(workers.train_all(missing, trainers, own.log_dir), done + 1):
        command_line.print_line(f"[{number}/{len(runs)}] {folder}: {outcome(folder)}")


def start_trainers(runs, own):
    """What trains the runs: processes here, or tasks of a Ray cluster, one for each job."""
    if own.ray:
        ray, data = ray_workers.connect(own.ray, runs), {}
        jobs = own.jobs or max(1, int(ray.cluster_resources().get("CPU", 1)))
        return [ray_workers.Task(ray, data) for _ in runs[:jobs]]
    environments = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in workers.gpus()] or [{}]
    jobs = range(min(own.jobs or jobs_for(runs), len(runs)))
    return [workers.Process(environments[job % len(environments)]) for job in jobs]


def write_report(runs, own):
    """Writes the report of all runs of the grid that have ended, and says where it is; returns the
    exit code."""
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
        why = outcome(next(iter(ended)))
        raise command_line.CommandError(
            f"no run has a result, the first {why}; once that is mended, train them again with "
            "--retry-failed",
            ALL_FAILED,
        )
    return 0


def outcome(folder):
    """What became of a run, in a few words."""
    result = read_json(os.path.join(folder, RESULT))
    if result:
        return f"test accuracy {result['test_accuracy']:.5f}, {result['seconds']:.0f} s"
    failure = read_json(os.path.join(folder, comparison_folder.FAILURE))
    return f"{'diverged' if failure.get('diverged') else 'failed'}: {failure.get('reason')}"


if __name__ == "__main__":
    command_line.run(main)
