"""What a run records of itself, as JSON: settings.json and result.json."""

import ast
import contextlib
import hashlib
import inspect
import json
import os
import platform
import re
import subprocess

from graph_mode import flags as flag_table
from graph_mode import machine
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import OWN_MODULES, CommandError
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
    "environment": "the environment",
}
# Variables of the environment by which TensorFlow and its libraries compute otherwise. Not all of
# TF_: that is Terraform's prefix too, and may hold secrets. What "onednn" tells is left out.
LIBRARY_VARIABLES = re.compile(
    "TF_(ALLOW|AUTO|CUBLAS|CUDA|CUDNN|DETERMINISTIC|DISABLE|ENABLE|FORCE|GPU|JIT|MKL|NUM|ONEDNN|"
    "OVERRIDE|SET|XLA)_(?!ONEDNN_OPTS)|(XLA|ONEDNN|DNNL|OMP|KMP|MKL|NVIDIA_TF32)_"
)


def settings_of(script, flags, resolved):
    """The content of settings.json for a run of the commands.Script with these flags, and with what
    trainer.resolve() made of them."""
    import numpy as np  # not for --help

    import mnist_data

    recorded = filter(flag_table.is_recorded, script.table)
    return {
        "network": script.name,
        "flags": {name: getattr(flags, name) for name in recorded},
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.VERSION,
            "numpy": np.__version__,
            "onednn": tf.has_onednn(),
            "script": source_of(script.network),
            "code": code_version(),
            "numbers": NUMBERS,
            "processor": machine.processor(),
            "environment": environment(),
        },
        "data": mnist_data.checksums(flags.data_dir),
        "resolved": resolved,
    }


def source_of(function):
    """The source_checksum() of the file that defines the function; None if there is none, as for a
    cell of a notebook or a functools.partial."""
    try:
        return source_checksum(inspect.getfile(function))
    except (TypeError, OSError):
        return None


def source_checksum(path):
    """The first 12 digits of the SHA-256 of a script, and of the modules in its folder that it or
    they import, but for this project's own."""
    script = os.path.realpath(path)
    with open(script, "rb") as source:
        content = source.read()
    digest = hashlib.sha256(content)
    for file, module in modules_of([content], {os.path.dirname(script)}, OWN_MODULES):
        digest.update(b"" if file == script else module)
    return digest.hexdigest()[:12]


def modules_of(sources, folders, ignored):
    """Yields (file, its bytes) of each module that these sources import from the folders, and of
    those that they import from there or from beside them, but for packages that are `ignored`."""
    found, waiting = set(), sum((_imported(source, folders, ignored) for source in sources), [])
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            with open(file, "rb") as source:
                content = source.read()
            yield file, content
            waiting += _imported(content, {*folders, os.path.dirname(file)}, ignored)


def _imported(content, folders, ignored):
    """The files below the folders, sorted, that the source of a module may import."""
    names = set()
    with contextlib.suppress(SyntaxError, ValueError):
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                module = getattr(node, "module", None) or ""
                names |= {f"{module}.{each.name}".strip(".") for each in node.names}
    files = set()
    for parts in (name.split(".") for name in names):
        for length in range(1, len(parts) + 1) if parts[0] not in ignored else ():
            for path in (os.path.join(folder, *parts[:length]) for folder in folders):
                files.update([f"{path}.py", os.path.join(path, "__init__.py")])
    return sorted(os.path.realpath(file) for file in files if os.path.isfile(file))


def environment():
    """What is set of the variables by which TensorFlow and its libraries compute otherwise."""
    found = filter(LIBRARY_VARIABLES.match, sorted(os.environ))
    return " ".join(f"{name}={os.environ[name]}" for name in found)


def code_version(project=machine.PROJECT):
    """The version of this project's code: git's commit, with "-changed" behind it if a Python file
    that git knows is not as committed; "unknown" where git does not know."""
    try:
        top = _output("git", "-C", project, "rev-parse", "--show-toplevel")
        if os.path.samefile(top, project):
            commit = _output("git", "-C", project, "rev-parse", "--short=12", "HEAD")
            status = ("status", "--porcelain", "--untracked-files=no", "--", "*.py")
            return commit + ("-changed" if _output("git", "-C", project, *status) else "")
    except (OSError, subprocess.CalledProcessError):
        pass
    return "unknown"


def _output(*command):
    found = subprocess.check_output(command, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return found.decode(errors="replace").strip()


def other_arithmetic(before, now):
    """In words, which versions decide a run's digits and differ between two dictionaries of
    versions; "" if none does."""
    return ", ".join(
        f"{words} {before[name]}, now {now[name]}"
        for name, words in DIGITS.items()
        if name in before and before[name] != now[name]
    )


def read_settings(folder):
    """A run's settings, whose flags are unchecked yet. Raises CommandError where there are none.

    The file is data from who knows where: its parts are of the types that settings_of() gives.
    """
    path = os.path.join(folder, SETTINGS)
    settings = read_json(path)
    if not _are_settings(settings):
        found = "something else" if os.access(path, os.R_OK) else "no file that can be read"
        raise CommandError(f"{path}: expected the settings of a run, found {found}")
    return {**settings, "data": contents_of(settings["data"])}


def contents_of(data):
    """A run's {file: SHA-256} as mnist_data.checksums gives it. An older run has the names of its
    files, and of packed ones the SHA-256 of those: what is in MNIST's is known."""
    import mnist_data

    return {
        name.replace(".idx", "-idx").split(".gz")[0]: mnist_data.UNPACKED.get(str(digest), digest)
        for name, digest in data.items()
    }


def _are_settings(value):
    types = {"network": str, "flags": dict, "data": dict, "versions": dict}
    found = {"versions": {}, **value}
    return all(isinstance(found.get(key), kind) for key, kind in types.items()) and (
        "resolved" not in found or _are_resolved(found["resolved"], found["flags"])
    )


def _are_resolved(value, flags):
    """Whether trainer.resolve() may have given this for a run of these flags."""
    if not isinstance(value, dict) or value.get("device") not in ("cpu", "gpu"):
        return False
    most = {"slices": flags.get("batch_size"), "operation_threads": flag_table.LARGEST_THREADS}
    return all(
        type(value.get(name)) is type(largest) is int and 1 <= value[name] <= largest
        for name, largest in most.items()
    )


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
    return content if isinstance(content, dict) else {}


def write_json(path, value):
    """Writes a JSON file, whole or not at all."""
    with output_file(path) as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")
