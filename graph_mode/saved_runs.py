"""Finds the runs that training left in a folder and reads what they recorded. No TensorFlow.

A run is a folder with settings.json, whose scalars are in train/, validation/ and test/. A folder
of event files that another program wrote is a run too: then every event file in it is read.
"""

import collections
import glob
import json
import os
import re

from graph_mode.event_files import merge_series, read_event_file

SPLITS = ("train", "validation", "test")
SETTINGS = "settings.json"

Run = collections.namedtuple("Run", "name network flags data result scalars")
Run.__doc__ = """One run. name: its path below the folder that was searched; network: "fc", "conv",
or None for another program's run; flags: {flag: value} and data: {file: SHA-256} of settings.json;
result: result.json or {}; scalars: {split: {tag: Series}}, where split is one of SPLITS, or "" for
event files that lie in the run's folder itself."""


def find_event_files(paths):
    """Finds the runs below some paths.

    Args:
        paths: folders, event files or glob patterns (** for any depth).

    Returns:
        {run folder: {split: [event file]}}, both in the order in which people count: a-2, a-10.
    """
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in paths:
        matches = [path] if os.path.exists(path) else glob.glob(path, recursive=True)
        for file in sorted({file for match in matches for file in event_files_below(match)}):
            folder, split = run_and_split(os.path.dirname(file))
            if file not in found[folder][split]:
                found[folder][split].append(file)
    return {folder: found[folder] for folder in sorted(found, key=natural_order)}


def event_files_below(path):
    """Yields the event files below a folder; `path` itself if it is one."""
    if os.path.isfile(path) and is_event_file(path):
        yield os.path.normpath(path)
    for folder, subfolders, names in os.walk(path):
        if SETTINGS in names:
            subfolders[:] = [name for name in subfolders if name in SPLITS]
            continue  # What lies beside the settings is never scalars, but can be big images.
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
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name)]


def names_of(folders, paths):
    """{folder: name}: the path of each run below what all the searched paths have in common."""
    folders = {folder: os.path.abspath(folder) for folder in folders}
    searched = [os.path.abspath(path) for path in paths if os.path.isdir(path)]
    roots = [os.path.dirname(path) if path in folders.values() else path for path in searched]
    base = os.path.commonpath(roots + [os.path.dirname(path) for path in folders.values()])
    return {folder: os.path.relpath(path, base) for folder, path in folders.items()}


def read_runs(paths, report, read=read_event_file):
    """Reads every run below some paths.

    Args:
        paths: see find_event_files.
        report: called with one line for everything that could not be used.
        read: what reads an event file.

    Returns:
        [Run], in natural order of their folders.
    """
    found = find_event_files(paths)
    names = names_of(found, paths) if found else {}
    runs = []
    for folder, splits in found.items():
        settings = read_json(os.path.join(folder, SETTINGS), report)
        flags, data = (dictionary(settings.get(key)) for key in ("flags", "data"))
        result = read_json(os.path.join(folder, "result.json"), report)
        scalars = {
            split: read_scalars(files, report, read, ended=bool(result))
            for split, files in splits.items()
        }
        runs.append(Run(names[folder], settings.get("network"), flags, data, result, scalars))
    return runs


def read_scalars(files, report, read, ended):
    """{tag: Series} of the event files of one folder, later points in place of earlier ones."""
    contents = []
    for file in files:
        try:
            content = read(file)
        except OSError as error:
            report(f"{file}: {error.strerror}; left out")
            continue
        for damage in content.damage:
            report(
                f"{file}: byte {damage.offset:,}: {damage.reason}; "
                f"left out {damage.end - damage.offset:,} bytes"
            )
        if content.cut_off and ended:
            report(f"{file}: stops inside a record, though the run has ended")
        if content.scalars:
            contents.append((first_wall_time(content), file, content.scalars))
    contents.sort(key=lambda entry: entry[:2])
    tags = sorted({tag for _, _, scalars in contents for tag in scalars})
    return {tag: merge_series([s[tag] for _, _, s in contents if tag in s]) for tag in tags}


def first_wall_time(content):
    return min(float(series.wall_times[0]) for series in content.scalars.values())


def read_json(path, report):
    """The dictionary in a JSON file; {} if there is no such file, or nothing usable in it."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        report(f"{path}: not readable as JSON ({error}); left out")
        return {}
    if not isinstance(content, dict):
        report(f"{path}: expected a JSON object, found {type(content).__name__}; left out")
    return dictionary(content)


def dictionary(content):
    return content if isinstance(content, dict) else {}
