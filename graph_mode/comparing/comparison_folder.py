"""The folder of a comparison: what has ended lies in log_dir/<network>/<name>, with a result.json,
or a failure.json that says why there is none. Until then it is trained below .unfinished."""

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
    Raises CommandError if another comparison holds it, or if it cannot be written."""
    try:
        os.makedirs(log_dir, exist_ok=True)
        lock = machine.lock(os.path.join(log_dir, ".lock"))
    except (OSError, machine.Locked) as error:
        found = "another compare.py is at work there: let it end"
        if isinstance(error, OSError):
            found = f"cannot be written ({error.strerror})"
        words = f"{log_dir}: {found}, or name another folder with --log-dir"
        raise CommandError(words) from None
    unfinished = os.path.join(log_dir, UNFINISHED)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        yield
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        lock.release()


def open_output(folder, mode="r"):
    """The file of what the run in this folder printed: any bytes pass through it."""
    options = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    return open(os.path.join(folder, OUTPUT), mode, **options)


def unfinished_folders(log_dir):
    """Yields folders to train one run in each, with names of this process alone: a worker that has
    not noticed yet that its compare.py was killed never writes into one of the next compare.py."""
    own = os.path.join(log_dir, UNFINISHED, uuid.uuid4().hex[:8])  # short, for Windows
    return (os.path.join(own, str(number)) for number in itertools.count())


def folders_of(runs, log_dir):
    """For each grid.Run the folder below log_dir of the same run if that has ended, with a result
    before others; else None. Runs whose numbers the code of today would not give again do not
    count. A flag that is newer than a run has its default there."""
    defaults = {run.network: grid.recorded(run.script) for run in runs}
    ended = {}
    for ending in (FAILURE, record.RESULT):
        for path in sorted(glob.glob(os.path.join(glob.escape(log_dir), "*", "*", ending))):
            with contextlib.suppress(CommandError):  # What is there may be no run.
                settings = record.read_settings(os.path.dirname(path))
                has_these_numbers = settings.get("versions", {}).get("numbers") == record.NUMBERS
                if has_these_numbers and settings["network"] in defaults:
                    settings["flags"] = {**defaults[settings["network"]], **settings["flags"]}
                    ended[grid.key_of(settings)] = os.path.dirname(path)
    return [ended.get(run.key) for run in runs]


def settle(log_dir, unfinished, run, failure=None):
    """Moves the run that ended in an unfinished folder to its place; returns its folder there.
    failure: None, or {"reason": one line, "diverged": bool} for a run without a result. What it and
    the run's output say of the unfinished folder, they say of the place."""
    folder = os.path.join(unfinished, run.network, run.name)
    parent = os.path.join(log_dir, run.network)
    for made in (folder, parent):
        os.makedirs(made, exist_ok=True)
    # The lock is ours, so nobody else takes the name before it is used.
    places = (os.path.join(parent, name) for name in names.numbered(run.name))
    place = next(path for path in places if not os.path.lexists(path))
    path = os.path.join(folder, record.SETTINGS)
    written = record.read_json(path) or {**run.settings, "versions": {"numbers": record.NUMBERS}}
    # The file that compare.py was given, wherever the script has its network from.
    versions = {**written["versions"], **run.settings["versions"]}
    record.write_json(path, {**written, "versions": versions})
    if failure:
        reason = failure["reason"].replace(folder, place)
        record.write_json(os.path.join(folder, FAILURE), {**failure, "reason": reason})
    with contextlib.suppress(FileNotFoundError), open_output(unfinished) as file:
        output = file.read().replace(folder, place)
        with open_output(folder, "w") as moved:
            moved.write(output)
    shutil.move(folder, place)  # Copied on Windows, while a program as TensorBoard reads in it.
    return place
