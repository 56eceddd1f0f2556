"""Finds the runs that training left in a folder and reads what they recorded. No TensorFlow.

A run is a folder with settings.json, whose scalars are in train/, validation/ and test/. A folder
of event files that another program wrote is a run too: then every event file in it is read.
"""

import collections
import glob
import os
import re
import typing

from graph_mode.runs.event_files import CUT_OFF, Points, read_event_file
from graph_mode.runs.folder import SPLITS
from graph_mode.runs.record import RESULT, SETTINGS, contents_of, read_json

MAX_DAMAGES_NAMED = 5


class Run(typing.NamedTuple):
    """One run, as its files tell it."""

    name: str  # its path below the folder that was searched
    network: typing.Optional[str]  # "fc", "conv", or None for another program's run
    flags: dict  # {flag: value}
    data: dict  # {file: SHA-256}
    versions: dict  # as in settings.json
    result: dict  # result.json, {} while the run goes on
    # {split: {tag: event_files.Series}}; a split is one of SPLITS, or "" for event files that lie
    # in the run's folder itself.
    scalars: dict


def find_event_files(paths, left_out=None):
    """Finds the runs below folders, event files or glob patterns (** for any depth).

    Returns {run folder: {split: [event file]}}, both in the order in which people count: a-2, a-10.
    The folder `left_out` is not looked into.
    """
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in paths:
        matches = [path] if os.path.exists(path) else glob.glob(path, recursive=True)
        for file in sorted({file for each in matches for file in _event_files(each, left_out)}):
            # ('runs/a', 'train') of 'runs/a/train', and ('runs/a', '') of 'runs/a'.
            folder, split = os.path.split(os.path.dirname(file) or os.curdir)
            if split not in SPLITS:
                folder, split = os.path.join(folder, split), ""
            files = found[folder or os.curdir][split]
            files += [file] * (file not in files)
    return {folder: found[folder] for folder in sorted(found, key=natural_order)}


def _event_files(path, left_out):
    """Yields the event files below a folder; `path` itself if it is one."""
    if os.path.isfile(path) and "tfevents" in os.path.basename(path):
        yield os.path.normpath(path)
    for folder, subfolders, names in os.walk(path):
        if SETTINGS in names:
            subfolders[:] = [name for name in subfolders if name in SPLITS]
            continue  # What lies beside the settings is never scalars, but can be big images.
        if left_out:
            subfolders[:] = [s for s in subfolders if os.path.join(folder, s) != left_out]
        for name in names:
            file = os.path.join(folder, name)
            if "tfevents" in name and os.path.isfile(file):
                yield os.path.normpath(file)


def natural_order(name):
    """A key that sorts names as people count: a-2 before a-10, rate-5e-05 before rate-0.002."""
    parts = re.split(r"([0-9]+(?:[.][0-9]+)?(?:e-[0-9]{2,})?)", name)
    return [float(part) if i % 2 else part for i, part in enumerate(parts)]


def names_of(folders, paths):
    """{folder: name}: the path of each run below what all the searched paths have in common, or the
    whole path where they are on several drives."""
    folders = {folder: os.path.abspath(folder) for folder in folders}
    searched = [os.path.abspath(path) for path in paths if os.path.isdir(path)]
    roots = [os.path.dirname(path) if path in folders.values() else path for path in searched]
    try:
        base = os.path.commonpath(roots + [os.path.dirname(path) for path in folders.values()])
    except ValueError:
        return folders
    return {folder: os.path.relpath(path, base) for folder, path in folders.items()}


def read_runs(found, paths, say):
    """The [Run] of what find_event_files found in the paths, in that order.

    say is called with one line for everything that could not be used.
    """
    names = names_of(found, paths) if found else {}
    runs = []
    for folder, splits in found.items():
        settings = read_json(os.path.join(folder, SETTINGS), say)
        parts = [settings.get(key) for key in ("flags", "data", "versions")]
        parts = [part if isinstance(part, dict) else {} for part in parts]
        parts[1] = contents_of(parts[1])
        result = read_json(os.path.join(folder, RESULT), say)
        scalars = {split: _read_scalars(files, say, result) for split, files in splits.items()}
        network = settings.get("network")
        network = network if isinstance(network, str) and network else None
        runs.append(Run(names[folder], network, *parts, result, scalars))
    return runs


def _read_scalars(files, say, ended):
    """{tag: Series} of the event files of one folder, later points in place of earlier ones."""
    points = Points()
    for file in files:
        try:
            damages = read_event_file(file, points)
        except OSError as error:
            say(f"{file}: {error.strerror}; left out")
            continue
        # While a run goes on, its last record may be half written.
        named = [damage for damage in damages if ended or damage.reason != CUT_OFF]
        for offset, end, reason in named[:MAX_DAMAGES_NAMED]:
            say(f"{file}: byte {offset}: {reason}; left out {end - offset} bytes")
        if len(named) > MAX_DAMAGES_NAMED:
            say(f"{file}: {len(named) - MAX_DAMAGES_NAMED} more such places")
    for tag, (steps, *_) in points.items():
        if steps and steps[-1] < max(steps):
            say(
                f"{os.path.dirname(file)}: {tag}: the last point is of step {steps[-1]}, an older "
                f"one of step {max(steps)}, and no restart (SessionLog.START) is recorded: both "
                "are drawn; if it was a restart, move the older file away"
            )
            break
    return points.series()
