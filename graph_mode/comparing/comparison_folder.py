"""The folder of a comparison: which runs have ended is what lies on the disk, nothing else.

A run is trained in an unfinished folder and moved, in one rename, to log_dir/<network>/<name> once
it has ended, with a result.json, or with a failure.json that says why there is none. Whatever is
killed in between, a run is there whole or not at all.
"""

import contextlib
import glob
import itertools
import json
import os
import shutil
import time

from graph_mode.command_line import CommandError
from graph_mode.comparing import grid
from graph_mode.output_file import output_file

UNFINISHED = ".unfinished"
SETTINGS, RESULT, FAILURE, OUTPUT = "settings.json", "result.json", "failure.json", "output.txt"
# A compare.py that was killed keeps its lock until the last of its workers has noticed.
LOCK_SECONDS = 5


@contextlib.contextmanager
def locked(log_dir):
    """Holds the folder for this process and yields the lock's file descriptor.

    Workers inherit the descriptor, so that the lock is free only once they all have ended. Raises
    CommandError if another comparison holds the folder, or if it cannot be written.
    """
    import fcntl

    try:
        os.makedirs(log_dir, exist_ok=True)
        lock = os.open(os.path.join(log_dir, ".lock"), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise CommandError(
            f"cannot write to {log_dir}: {error.strerror}; name another folder with --log-dir"
        ) from None
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"{log_dir}: another compare.py is at work there: let it end, or name "
                        "another folder with --log-dir"
                    ) from None
                time.sleep(0.1)
        yield lock
    finally:
        os.close(lock)


def ended_runs(log_dir):
    """{key: folder} of every run below log_dir that has ended, well or not."""
    found = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(log_dir), "*", "*", SETTINGS))):
        folder = os.path.dirname(path)
        settings = read_json(path)
        if settings and has_ended(folder):
            # A run that ended well stands before one of the same settings that did not.
            key = grid.key_of(settings)
            if key not in found or not os.path.exists(os.path.join(found[key], RESULT)):
                found[key] = folder
    return found


def has_ended(folder):
    return any(os.path.exists(os.path.join(folder, name)) for name in (RESULT, FAILURE))


def read_json(path):
    """The content of a JSON file, or None if there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def write_json(path, value):
    """Writes a JSON file, whole or not at all."""
    with output_file(path) as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")


def unfinished_folder(log_dir, worker):
    """The folder in which a worker, named by a number, trains one run at a time."""
    return os.path.join(log_dir, UNFINISHED, f"worker-{worker}")


def clean(log_dir):
    """Keeps the runs that ended just before a comparison was killed; removes the broken ones."""
    for folder in glob.glob(os.path.join(glob.escape(log_dir), UNFINISHED, "worker-*")):
        if os.path.isdir(folder):
            settle(log_dir, folder)
    shutil.rmtree(os.path.join(log_dir, UNFINISHED), ignore_errors=True)


def settle(log_dir, unfinished):
    """Moves the run that ended in a worker's folder to its place, and empties that folder.

    Returns the run's new folder, or None if no run has ended there.
    """
    moved = None
    for path in glob.glob(os.path.join(glob.escape(unfinished), "*", "*", SETTINGS)):
        folder = os.path.dirname(path)
        if has_ended(folder):
            output = os.path.join(unfinished, OUTPUT)
            if os.path.exists(output):
                os.replace(output, os.path.join(folder, OUTPUT))
            moved = move(folder, log_dir)
    shutil.rmtree(unfinished, ignore_errors=True)
    return moved


def move(folder, log_dir):
    """Renames .../network/name to log_dir/network/name, or name-2, -3, ... where that exists."""
    parent, name = os.path.split(folder)
    target = os.path.join(log_dir, os.path.basename(parent))
    os.makedirs(target, exist_ok=True)
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    # The lock is ours, so nobody else takes the name before it is used.
    path = next(p for p in (os.path.join(target, n) for n in names) if not os.path.lexists(p))
    os.rename(folder, path)
    return path


def record_failure(log_dir, unfinished, run, failure):
    """Leaves a folder for a run that ended without a result, and returns it.

    failure: {"reason": one line, "diverged": bool}.
    """
    folders = glob.glob(os.path.join(glob.escape(unfinished), "*", "*", SETTINGS))
    if folders:
        folder = os.path.dirname(folders[0])
    else:
        folder = os.path.join(unfinished, run.network, run.name)
        os.makedirs(folder, exist_ok=True)
        write_json(os.path.join(folder, SETTINGS), {**run.settings, "versions": {}})
    write_json(os.path.join(folder, FAILURE), failure)
    return settle(log_dir, unfinished)
