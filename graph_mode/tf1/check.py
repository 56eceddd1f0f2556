"""Says which TensorFlow names a program uses that are missing here, without running it."""

import ast
import contextlib
import os
import sys

from graph_mode import command_line, machine
from graph_mode.runs import record
from graph_mode.tf1 import importing, missing


def check(program, verbose=False):
    """Prints whether all names of a Program and its own modules are there, then what is missing.

    `verbose`: then what is there, too. Returns 2 if something is missing. Names that the program
    reaches in other ways, by getattr() for one, are not seen.
    """
    uses = sorted(set(_uses_of_all(program)))
    paths = {path for _, _, path in uses}
    verdicts = {path: _verdict(path) for path in paths}
    gone = sum(verdict != "there" for verdict in verdicts.values())
    found = f"{gone} of {len(paths)} names {'is' if gone == 1 else 'are'} missing"
    lines = [found if gone else f"all {len(paths)} names are there"]
    for place, line, path in uses:
        if verbose or verdicts[path] != "there":
            lines.append(f"{place}, line {line}: {importing.shown(path)}: {verdicts[path]}")
    print(command_line.printable("\n".join(lines), sys.stdout, keep="\n"))
    return 2 if gone else 0


def _uses_of_all(program):
    """Yields (file or cell, line, path) of the program and of the modules that lie beside it."""
    yield from uses(program.pieces)
    sources = [source for _, source in program.pieces]
    folders = {os.path.dirname(os.path.realpath(program.path))}
    folders |= {os.curdir} if program.module is not None else set()  # as of `python -m`
    for file, source in record.modules_of(sources, folders, ["tensorflow"]):
        if os.path.samefile(file, program.path):
            continue
        shown = file if os.path.isabs(program.path) else machine.relative(file)
        with contextlib.suppress(SyntaxError, ValueError):  # of which importing it will tell
            yield from uses([(shown, source)])


def uses(pieces):
    """Yields (name, line, path) of each TensorFlow name, such as (old.py, 3, tensorflow.matmul).

    `pieces`: (name, source) of parts of one program, which share their names.
    """
    paths = {}  # of the program's names for TensorFlow and for what is in it
    nodes = [(name, node) for name, source in pieces for node in ast.walk(ast.parse(source))]
    for name, node in nodes:
        if isinstance(node, ast.Import):
            imported = [(alias.name, alias.asname) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported = [(f"{node.module}.{a.name}", a.asname or a.name) for a in node.names]
        else:
            continue
        for path, own in imported:
            if path.split(".")[0] == "tensorflow":
                path = path.replace(".*", "")
                paths[own or "tensorflow"] = path if own else "tensorflow"
                yield name, node.lineno, path
    for _, node in nodes:
        # slim = tf.contrib.slim
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            path = _path(node.value, paths)
            if path is not None:
                paths[node.targets[0].id] = path
    inner = {id(node.value) for _, node in nodes if isinstance(node, ast.Attribute)}
    for name, node in nodes:
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            path = _path(node, paths)
            if path is not None:
                yield name, node.lineno, path


def _path(node, paths):
    """The path of a name with its attributes, tensorflow.nn.relu; None if not of TensorFlow."""
    if isinstance(node, ast.Name):
        return paths.get(node.id)
    if isinstance(node, ast.Attribute):
        path = _path(node.value, paths)
        return path and f"{path}.{node.attr}"
    return None


def _verdict(path):
    found = importing.root()
    for name in path.split(".")[1:]:
        if not isinstance(found, importing.StandIn):
            break
        try:
            found = getattr(found, name)
        except missing.MissingName as error:
            return f"missing: {error}"
    return "there"
