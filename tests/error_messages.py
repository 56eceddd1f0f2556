"""Finds every error message in the source of the project."""

import ast
import glob
import os

from helpers import ROOT

RAISED = ("CommandError", "DataError", "ArgumentTypeError", "Stopped")


def sources():
    """The project's own programs and modules."""
    paths = glob.glob(os.path.join(ROOT, "*.py"))
    return sorted(paths + glob.glob(os.path.join(ROOT, "graph_mode", "**", "*.py"), recursive=True))


def collect():
    """{(file, message)} with {} in the message for what is known only when it is raised."""
    found = set()
    for path in sources():
        with open(path, encoding="utf-8") as file:
            module = ast.parse(file.read())
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and _is_error(node.func):
                found.add((os.path.relpath(path, ROOT), _template(node.args[0])))
    return found


def _is_error(function):
    name = getattr(function, "id", None) or getattr(function, "attr", None)
    return name in RAISED or (name == "error" and isinstance(function, ast.Attribute))


def _template(node):
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(part) for part in node.values)
    # Python 3.7 has ast.Str with `s`, later ones ast.Constant with `value`.
    text = getattr(node, "value", getattr(node, "s", None))
    return text if isinstance(text, str) else "{}"
