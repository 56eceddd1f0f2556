"""What a run records of itself, as JSON: settings.json and result.json."""

import glob
import hashlib
import inspect
import json
import math
import os
import platform
import subprocess

from graph_mode import flags, machine
from graph_mode.command_line import CommandError
from graph_mode.output_file import output_file

SETTINGS = "settings.json"
RESULT = "result.json"
# The version of a run's numbers: one more with every change of the code that changes them by more
# than rounding, as tests/test_numbers.py sees. Runs of different versions are not compared.
NUMBERS = 1
# Of the versions in settings.json, those that decide the digits of a run, and what they are.
DIGITS = {
    "tensorflow": "TensorFlow",
    "numbers": "code with numbers",
    "processor": "the processor",
    "onednn": "oneDNN",
}
LARGEST_SETTINGS = 1 << 16  # bytes; real ones have about 2000
LARGEST_THREADS = 1 << 12
PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def settings_of(network, given, known, checksums, resolved, versions):
    """What settings.json holds: flags, versions, the SHA-256 of each data file, and `resolved`.

    versions: {name: value} of what is not known here, as of TensorFlow.
    """
    return {
        "network": network,
        "flags": {name: getattr(given, name) for name in known if flags.is_recorded(name)},
        "versions": {
            "python": platform.python_version(),
            **versions,
            "code": code_version(),
            "numbers": NUMBERS,
            "processor": machine.processor(),
        },
        "data": checksums,
        "resolved": resolved,
    }


def checksum_of(path):
    """The first 12 digits of a file's SHA-256."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


def source_of(function):
    """The checksum of the file that defines the function; None if there is none, as for a cell of
    a notebook or a functools.partial."""
    try:
        return checksum_of(inspect.getfile(function))
    except (TypeError, OSError):
        return None


def code_version(project=PROJECT):
    """The version of this project's code: git's commit, "-changed" behind it if the sources are not
    as committed; where git does not know, "sources-" and a checksum of them."""
    git = ["git", "-C", project]
    paths = ["--", "*.py"]
    try:
        top = _output(git + ["rev-parse", "--show-toplevel"])
        if os.path.samefile(top, project):
            commit = _output(git + ["rev-parse", "--short=12", "HEAD"])
            changed = _output(git + ["status", "--porcelain"] + paths)
            return commit + ("-changed" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        pass
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(glob.escape(project), "*.py"))) + sorted(
        glob.glob(os.path.join(glob.escape(project), "graph_mode", "**", "*.py"), recursive=True)
    ):
        with open(path, "rb") as file:
            digest.update(file.read())
    return f"sources-{digest.hexdigest()[:12]}"


def _output(command):
    found = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        check=True,
    )  # fmt: skip
    return found.stdout.decode(errors="replace").strip()


def read_settings(folder):
    """A run's settings, whose flags are unchecked yet. Raises CommandError where there are none.

    The file is data from who knows where: its size is limited, and its parts are of the types that
    settings_of() gives.
    """
    path = os.path.join(folder, SETTINGS)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LARGEST_SETTINGS + 1)
        if len(text) > LARGEST_SETTINGS:
            found = f"more than {LARGEST_SETTINGS} characters"
        elif _are_settings(json.loads(text)):
            return json.loads(text)
        else:
            found = "something else"
    except OSError as error:
        found = error.strerror
    except (ValueError, RecursionError):
        found = "something else"
    raise CommandError(f"{path}: expected the settings of a run, found {found}")


def _are_settings(value):
    return (
        isinstance(value, dict)
        and isinstance(value.get("network"), str)
        and all(isinstance(value.get(key), dict) for key in ("flags", "data"))
        and _is_history(value.get("earlier", []))
        and ("resolved" not in value or _are_resolved(value["resolved"], value["flags"]))
    )


def _are_resolved(value, given):
    """Whether trainer.resolve() may have given this for a run of the flags `given`."""
    if not isinstance(value, dict) or value.get("device") not in ("cpu", "gpu"):
        return False
    most = {"slices": given.get("batch_size"), "operation_threads": LARGEST_THREADS}
    return all(
        type(value.get(name)) is type(largest) is int and 1 <= value[name] <= largest
        for name, largest in most.items()
    )


def history(settings, first_step, versions):
    """What else than `versions` trained the batches before first_step, from the settings so far:
    [{"batches": how many were done, "versions": {...}}], for settings.json, "earlier"."""
    last = {"batches": first_step, "versions": settings.get("versions")}
    kept, done = [], 0
    for span in settings.get("earlier", []) + [last]:
        batches = min(span["batches"], first_step)
        if batches > done:
            if kept and kept[-1]["versions"] == span["versions"]:
                kept.pop()
            kept.append({"batches": batches, "versions": span["versions"]})
            done = batches
    if kept and kept[-1]["versions"] == versions:
        kept.pop()
    return kept


def other_arithmetic(earlier, versions):
    """How what trained the batches so far, history(), gives other digits than `versions`, in words;
    "" if it does not."""
    found = {}
    for span in earlier:
        for name, words in DIGITS.items():
            before = _dictionary(span["versions"])
            if name in before and before[name] != versions[name]:
                found[name] = f"{words} {before[name]}, now {versions[name]}"
    return ", ".join(found.values())


def has_these_numbers(settings):
    """Whether this code would give the run of a settings.json the same numbers again."""
    earlier = settings.get("earlier", [])
    return _is_history(earlier) and all(
        _dictionary(span.get("versions")).get("numbers") == NUMBERS for span in [settings] + earlier
    )


def _is_history(value):
    return isinstance(value, list) and all(
        isinstance(span, dict) and type(span.get("batches")) is int and "versions" in span
        for span in value
    )


def _dictionary(value):
    return value if isinstance(value, dict) else {}


def has_result(folder):
    """Whether the run came to its end."""
    return os.path.exists(os.path.join(folder, RESULT))


def read_json(path, say=None):
    """The dictionary in a JSON file; {} where there is no such file or nothing usable in it, of
    which `say` is told in one line."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        problem = f"expected an object of JSON, found {type(content).__name__}"
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        content, problem = None, f"not readable as JSON ({error})"
    if say and not isinstance(content, dict):
        say(f"{path}: {problem}; left out")
    return _dictionary(content)


def write_json(path, value):
    """Writes a JSON file, whole or not at all."""
    with output_file(path) as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")


def is_json(value):
    return not isinstance(value, float) or math.isfinite(value)
