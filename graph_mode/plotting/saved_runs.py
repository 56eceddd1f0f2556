"""Finds the runs that training left in a folder and reads what they recorded. No TensorFlow.

A run is a folder with settings.json, whose scalars are in train/, validation/ and test/. A folder
of event files that another program wrote is a run too: then every event file in it is read.
"""

import collections
import contextlib
import glob
import itertools
import json
import os
import re

from graph_mode.plotting.event_files import merge_series, read_event_file
from graph_mode.runs.folder import SPLITS
from graph_mode.runs.record import RESULT, SETTINGS

MAX_DAMAGES_NAMED = 5

Run = collections.namedtuple("Run", "name network flags data versions result scalars")
Run.__doc__ = """One run. name: its path below the folder that was searched; network: "fc", "conv",
or None for another program's run; flags: {flag: value}, data: {file: SHA-256} and versions of
settings.json; result: result.json or {}; scalars: {split: {tag: Series}}, where split is one of
SPLITS, or "" for event files that lie in the run's folder itself."""


def find_event_files(paths, left_out=None):
    """Finds the runs below folders, event files or glob patterns (** for any depth).

    Returns {run folder: {split: [event file]}}, both in the order in which people count: a-2, a-10.
    The folder `left_out` is not looked into.
    """
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in paths:
        matches = [path] if os.path.exists(path) else glob.glob(path, recursive=True)
        files = {file for match in matches for file in event_files_below(match, left_out)}
        for file in sorted(files):
            folder, split = run_and_split(os.path.dirname(file))
            if file not in found[folder][split]:
                found[folder][split].append(file)
    return {folder: found[folder] for folder in sorted(found, key=natural_order)}


def event_files_below(path, left_out):
    """Yields the event files below a folder; `path` itself if it is one."""
    if os.path.isfile(path) and is_event_file(path):
        yield os.path.normpath(path)
    for folder, subfolders, names in os.walk(path):
        if SETTINGS in names:
            subfolders[:] = [name for name in subfolders if name in SPLITS]
            continue  # What lies beside the settings is never scalars, but can be big images.
        if left_out:
            subfolders[:] = [s for s in subfolders if os.path.join(folder, s) != left_out]
        for name in names:
            file = os.path.join(folder, name)
            if is_event_file(file) and os.path.isfile(file):
                yield os.path.normpath(file)


def is_event_file(path):
    return "tfevents" in os.path.basename(path)


def run_and_split(folder):
    """('runs/a', 'train') of 'runs/a/train', and ('runs/a', '') of 'runs/a'."""
    parent, name = os.path.split(folder or ".")
    return (parent or ".", name) if name in SPLITS else (folder or ".", "")


def natural_order(name):
    """A key that sorts names as people count: a-2 before a-10, rate-5e-05 before rate-0.002."""
    parts = re.split(r"([0-9]+(?:[.][0-9]+)?(?:e-[0-9]{2,})?)", name)
    return [float(part) if i % 2 else part for i, part in enumerate(parts)]


def file_states(found):
    """{file: (size, time of change)} of everything that read_runs would read."""
    files = [file for splits in found.values() for listed in splits.values() for file in listed]
    files += [os.path.join(folder, name) for folder in found for name in (SETTINGS, RESULT)]
    states = {}
    for file in files:
        with contextlib.suppress(OSError):
            status = os.stat(file)
            states[file] = (status.st_size, status.st_mtime_ns)
    return states


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


def read_runs(found, paths, say, read=read_event_file):
    """The [Run] of what find_event_files found in the paths, in that order.

    say is called with one line for everything that could not be used; read reads an event file.
    """
    names = names_of(found, paths) if found else {}
    runs = []
    for folder, splits in found.items():
        settings = read_json(os.path.join(folder, SETTINGS), say)
        parts = (dictionary(settings.get(key)) for key in ("flags", "data", "versions"))
        result = read_json(os.path.join(folder, RESULT), say)
        scalars = {
            split: read_scalars(files, say, read, ended=bool(result))
            for split, files in splits.items()
        }
        network = settings.get("network")
        network = network if isinstance(network, str) and network else None
        runs.append(Run(names[folder], network, *parts, result, scalars))
    return runs


def read_scalars(files, say, read, ended):
    """{tag: Series} of the event files of one folder, later points in place of earlier ones."""
    contents = []
    for file in files:
        try:
            content = read(file)
        except OSError as error:
            say(f"{file}: {error.strerror}; left out")
            continue
        say_damage(file, content.damage, say)
        if content.cut_off and ended:
            say(f"{file}: stops inside a record, though the run has ended")
        if content.scalars or content.restart is not None:
            contents.append((content.began, file, content))
    contents.sort(key=lambda entry: entry[:2])
    say_if_one_goes_back([entry[1:] for entry in contents], say)
    contents = [content for _, _, content in contents]
    tags = sorted({tag for content in contents for tag in content.scalars})
    merged = {tag: merge_series(contents, tag) for tag in tags}
    return {tag: series for tag, series in merged.items() if len(series.steps)}


def say_if_one_goes_back(contents, say):
    """Says of the first of the (file, EventFile), oldest first, that a later one stops before it.

    Without a SessionLog.START, nothing tells whether the later one took the rest back.
    """
    for (file, old), (later, new) in itertools.combinations(contents, 2):
        for tag, series in old.scalars.items():
            end = new.scalars[tag].steps.max(initial=-1) if tag in new.scalars else None
            unsaid = new.restart is None and not new.by_order
            if unsaid and end is not None and end < series.steps.max(initial=-1):
                say(
                    f"{later}: {tag} stops at step {end}, but the older {os.path.basename(file)} "
                    f"goes to step {series.steps.max()}, and no restart (SessionLog.START) is "
                    "recorded: both are drawn; if it was a restart, move the older file away"
                )
                return


def say_damage(file, damages, say):
    for damage in damages[:MAX_DAMAGES_NAMED]:
        count = damage.end - damage.offset
        say(f"{file}: byte {damage.offset}: {damage.reason}; left out {count} bytes")
    more = damages[MAX_DAMAGES_NAMED:]
    if more:
        count = sum(damage.end - damage.offset for damage in more)
        say(f"{file}: {len(more)} more such places; left out {count} bytes")


def read_json(path, say):
    """The dictionary in a JSON file; {} if there is no such file, or nothing usable in it."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        say(f"{path}: not readable as JSON ({error}); left out")
        return {}
    if not isinstance(content, dict):
        say(f"{path}: expected a JSON object, found {type(content).__name__}; left out")
    return dictionary(content)


def dictionary(content):
    return content if isinstance(content, dict) else {}
