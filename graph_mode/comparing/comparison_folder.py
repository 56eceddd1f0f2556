"""The folder of a comparison: which runs have ended is what lies on the disk, nothing else.

A run is trained in a folder of its own below .unfinished and moved, in one rename, to
log_dir/<network>/<name> once it has ended, with a result.json, or with a failure.json that says why
there is none. Whatever is killed in between, a run is there whole or not at all.
"""

import contextlib
import glob
import itertools
import os
import shutil
import uuid

from graph_mode import machine, names
from graph_mode.command_line import CommandError
from graph_mode.comparing import grid
from graph_mode.runs import record

UNFINISHED = ".unfinished"
FAILURE, OUTPUT = "failure.json", "output.txt"


@contextlib.contextmanager
def locked(log_dir):
    """Holds the folder for this process, and removes what a comparison that was killed has left.

    Raises CommandError if another comparison holds the folder, or if it cannot be written.
    """
    try:
        os.makedirs(log_dir, exist_ok=True)
        lock = machine.lock(os.path.join(log_dir, ".lock"))
    except OSError as error:
        raise CommandError(
            f"cannot write to {log_dir}: {error.strerror}; name another folder with --log-dir"
        ) from None
    except machine.Locked:
        raise CommandError(
            f"{log_dir}: another compare.py is at work there: let it end, or name another folder "
            "with --log-dir"
        ) from None
    try:
        remove_unfinished(log_dir)
        yield
    finally:
        remove_unfinished(log_dir)
        lock.release()


def remove_unfinished(log_dir):
    shutil.rmtree(os.path.join(log_dir, UNFINISHED), ignore_errors=True)


def unfinished_folders(log_dir):
    """Yields folders to train one run in each.

    Their names are of this process alone: a worker whose compare.py was killed, and which has not
    noticed yet, never writes into a folder of the next compare.py.
    """
    # Short, for Windows: below it, TensorFlow makes files of long names.
    own = os.path.join(log_dir, UNFINISHED, uuid.uuid4().hex[:8])
    return (os.path.join(own, str(number)) for number in itertools.count())


def folders_of(runs, log_dir):
    """For each grid.Run the folder of a run below log_dir that has ended and has all that it asks
    for, one with a result before others; None if there is none.

    Runs whose numbers the code of today would not give again do not count. A flag that is newer
    than a run has its default there.
    """
    defaults = {run.network: grid.defaults_of(run.script) for run in runs}
    ended = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(log_dir), "*", "*", record.SETTINGS))):
        folder = os.path.dirname(path)
        with contextlib.suppress(CommandError):  # What is there may be no run.
            settings = record.read_settings(folder)
            is_ended = record.has_result(folder) or os.path.exists(os.path.join(folder, FAILURE))
            has_these_numbers = settings.get("versions", {}).get("numbers") == record.NUMBERS
            if is_ended and has_these_numbers and settings["network"] in defaults:
                settings["flags"] = {**defaults[settings["network"]], **settings["flags"]}
                ended.setdefault(grid.key_of(settings), []).append((folder, settings["flags"]))

    def fitting(run):
        wanted = run.settings["flags"]
        return [folder for folder, had in ended.get(run.key, []) if grid.fulfils(had, wanted)]

    return [min(fitting(run), key=lambda f: not record.has_result(f), default=None) for run in runs]


def settle(log_dir, unfinished, run, failure=None):
    """Moves the run that ended in an unfinished folder to its place; returns its folder there.

    failure: None, or {"reason": one line, "diverged": bool} for a run without a result.
    """
    folder = os.path.join(unfinished, run.network, run.name)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, record.SETTINGS)
    written = record.read_json(path) or {**run.settings, "versions": {"numbers": record.NUMBERS}}
    # The file that compare.py was given, wherever the script has its network from.
    versions = {**written["versions"], **run.settings["versions"]}
    record.write_json(path, {**written, "versions": versions})
    if failure:
        record.write_json(os.path.join(folder, FAILURE), failure)
    if os.path.exists(os.path.join(unfinished, OUTPUT)):
        os.replace(os.path.join(unfinished, OUTPUT), os.path.join(folder, OUTPUT))
    os.makedirs(os.path.join(log_dir, run.network), exist_ok=True)
    # The lock is ours, so nobody else takes the name before it is used.
    places = (os.path.join(log_dir, run.network, name) for name in names.numbered(run.name))
    place = next(path for path in places if not os.path.lexists(path))
    try:
        os.rename(folder, place)
    except PermissionError:  # Windows, while a program as TensorBoard reads a file in it.
        copy = f"{folder}.copy"
        shutil.copytree(folder, copy)
        os.rename(copy, place)
    return place
