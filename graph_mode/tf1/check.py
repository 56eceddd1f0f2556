"""Lists the TensorFlow names that a program uses, with their lines, without running it."""

import ast
import sys

from graph_mode import command_line
from graph_mode.tf1 import importing, missing


def check(program):
    """Prints a line for each name of a Program: there or missing. Returns 2 if missing.

    Names that the program reaches in other ways, by getattr() for one, are not seen.
    """
    gone = 0
    for name, source in program.pieces:
        for line, path in sorted(set(uses(source))):
            verdict = _verdict(path)
            gone += verdict.startswith("missing")
            use = f"{name}, line {line}: {importing.shown(path)}: {verdict}"
            print(command_line.printable(use, sys.stdout))
    return 2 if gone else 0


def uses(source):
    """Yields (line, path) of each TensorFlow name in a program, such as (3, tensorflow.matmul)."""
    tree = ast.parse(source)
    paths = {}  # of the program's names for TensorFlow and for what is in it
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported = [(alias.name, alias.asname) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported = [(f"{node.module}.{a.name}", a.asname or a.name) for a in node.names]
        else:
            continue
        for path, name in imported:
            if path.split(".")[0] == "tensorflow":
                path = path.replace(".*", "")
                paths[name or "tensorflow"] = path if name else "tensorflow"
                yield node.lineno, path
    for node in ast.walk(tree):
        # slim = tf.contrib.slim
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            path = _path(node.value, paths)
            if path is not None:
                paths[node.targets[0].id] = path
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            path = _path(node, paths)
            if path is not None:
                yield node.lineno, path


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
