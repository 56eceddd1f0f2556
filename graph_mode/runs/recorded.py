"""Finds and reads runs, without TensorFlow: folders with settings.json, whose scalars are in
train/, validation/ and test/, and all other folders with event files, of any program."""

import glob
import os
import pathlib
import re
import typing

from graph_mode.runs.event_files import CUT_OFF, Points, read_event_file
from graph_mode.runs.folder import SPLITS
from graph_mode.runs.record import RESULT, SETTINGS, contents_of, read_json


class Run(typing.NamedTuple):
    """One run, as its files tell it."""

    name: str  # its path below the folder that was searched
    network: typing.Optional[str]  # "fc", "conv", or None for another program's run
    flags: dict  # {flag: value}
    data: dict  # {file: SHA-256}
    versions: dict  # as in settings.json
    result: dict  # result.json, {} while the run goes on
    scalars: dict  # {one of SPLITS, or "" for the run's folder itself: {tag: event_files.Series}}


def find_event_files(paths, say, left_out=None):
    """{run folder: {split: [event file]}} of the runs below folders, event files or glob patterns
    (** for any depth), in the order in which people count: a-2, a-10. Links are followed; what has
    several names is found once. say is called with one line for what cannot be read."""
    found, missing, seen = {}, [], set()
    for path in paths:
        # The shortest first: a link can lead from the longer ones back to it.
        matches = [path] if os.path.exists(path) else _matches(path)
        missing += [] if matches else [path]
        for match in sorted(matches, key=lambda match: (len(match), match)):
            for file in sorted(_event_files(match, seen, say, left_out)):
                # ('runs/a', 'train') of 'runs/a/train', and ('runs/a', '') of 'runs/a'.
                folder, split = os.path.split(os.path.dirname(file) or os.curdir)
                if split not in SPLITS:
                    folder, split = os.path.join(folder, split), ""
                found.setdefault(folder or os.curdir, {}).setdefault(split, []).append(file)
    for path in missing if found else ():
        say(f"{path}: no such file or folder; left out")
    return {folder: found[folder] for folder in sorted(found, key=natural_order)}


def _matches(pattern):
    """What a glob pattern names; ** does not pass through links, which may lead in circles."""
    parts = pathlib.Path(pattern)
    if "**" not in parts.parts:
        return glob.glob(pattern)
    return list(map(str, pathlib.Path(parts.anchor).glob(str(parts.relative_to(parts.anchor)))))


def _event_files(start, seen, say, left_out):
    """Yields the event files below a folder, or `start` itself if it is one; not those whose real
    paths are in `seen`, which grows."""

    def is_new(path):
        before = len(seen)
        seen.add(os.path.realpath(path))
        return len(seen) > before

    def tell(error):
        say(f"{error.filename}: {error.strerror}; left out")

    if not os.path.isdir(start):
        if "tfevents" in os.path.basename(start) and is_new(start):
            yield os.path.normpath(start)
        return
    above = set(map(str, pathlib.Path(os.path.realpath(start)).parents))
    for folder, subfolders, names in os.walk(start, onerror=tell, followlinks=True):
        if os.path.realpath(folder) in above or not is_new(folder):
            subfolders.clear()
        elif {"network", "flags"} <= set(read_json(os.path.join(folder, SETTINGS))):
            # What lies beside a run's settings is never scalars, but can be big images.
            subfolders[:] = [name for name in subfolders if name in SPLITS]
        else:
            paths = {name: os.path.join(folder, name) for name in subfolders + names}
            # Folders before links to them.
            subfolders.sort(key=lambda name: os.path.islink(paths[name]))
            subfolders[:] = [name for name in subfolders if paths[name] != left_out]
            for path in (paths[name] for name in names if "tfevents" in name):
                if (os.path.isfile(path) or not os.path.exists(path)) and is_new(path):
                    yield os.path.normpath(path)


def natural_order(name):
    """A key that sorts names as people count: a-2 before a-10, rate-5e-05 before rate-0.002."""
    parts = re.split(r"([0-9]+(?:[.][0-9]+)?(?:e-[0-9]{2,})?)", name)
    return [float(part) if i % 2 else part for i, part in enumerate(parts)]


def names_of(folders, paths):
    """{folder: name}: the path of each run below what all the searched paths have in common, or the
    whole path where they are on several drives."""
    folders = {folder: os.path.abspath(folder) for folder in folders}
    searched = map(os.path.abspath, filter(os.path.isdir, paths))
    roots = [os.path.dirname(path) if path in folders.values() else path for path in searched]
    try:
        base = os.path.commonpath(roots + [os.path.dirname(path) for path in folders.values()])
    except ValueError:
        return folders
    return {folder: os.path.relpath(path, base) for folder, path in folders.items()}


def read_runs(found, paths, say):
    """The [Run] of what find_event_files found in the paths, in that order. say is called with one
    line for everything that could not be used."""
    names = names_of(found, paths) if found else {}
    runs = []
    for folder, splits in found.items():
        settings = read_json(os.path.join(folder, SETTINGS), say)
        parts = [settings.get(key) for key in ("flags", "data", "versions")]
        flags, data, versions = (part if isinstance(part, dict) else {} for part in parts)
        result = read_json(os.path.join(folder, RESULT), say)
        scalars = {split: _read_scalars(files, say, result) for split, files in splits.items()}
        network = settings.get("network")
        network = network if isinstance(network, str) and network else None
        given = flags, contents_of(data), versions, result, scalars
        runs.append(Run(names[folder], network, *given))
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
        damages = [damage for damage in damages if ended or damage.reason != CUT_OFF]
        for first in damages[:1]:
            lost = sum(damage.end - damage.offset for damage in damages)
            places = f" in {len(damages)} places" * (len(damages) > 1)
            say(f"{file}: byte {first.offset}: {first.reason}; left out {lost} bytes{places}")
    return points.series()
