"""Runs a program written for TensorFlow 1, as `python program.py arguments` would run it.

A notebook is run too: its code cells in order, without the lines that only IPython understands.
"""

import builtins
import contextlib
import json
import linecache
import os
import re
import sys
import textwrap
import tokenize
import traceback
import types
import warnings

from graph_mode.tf1 import behavior, importing, missing

# A line of a notebook that is not Python: %magic, !command, help? and x = !command.
NOT_PYTHON = re.compile(r"^\s*(%%?[A-Za-z]|!|\?|\w+\s*=\s*(!|%[A-Za-z])|[\w.]+\?{1,2}\s*$)")
CELL_OF_OTHER_LANGUAGE = re.compile(
    r"^\s*%%(bash|sh|html|javascript|js|latex|markdown|writefile|file|cmd|perl|ruby|svg)\b"
)


class Program:
    """The program at `path`: `pieces`, a list of (name, source), one for each cell of a notebook.

    `module`: its dotted name, for `python -m`. Raises OSError if it cannot be read, Unusable if it
    is not a program.
    """

    def __init__(self, path, say, module=None):
        self.path, self.module = path, module
        if path.endswith(".ipynb"):
            self.pieces = list(_cells(path, say))
        else:
            try:
                with tokenize.open(path) as file:
                    self.pieces = [(path, file.read())]
            except (SyntaxError, UnicodeDecodeError) as error:
                raise Unusable(f"{path}: not a program of Python ({error})") from None
        self.codes = [_compiled(name, source) for name, source in self.pieces]
        self.names = [name for name, _ in self.pieces]
        for name, source in self.pieces:
            if name != path:
                linecache.cache[name] = (len(source), None, source.splitlines(True), name)

    def run(self, arguments, of_tensorflow_1):
        """Executes it as __main__; `of_tensorflow_1`: whether it needs a stand-in for the API.

        Returns the exit code: 0, 1 after an error of the program, or 2 after one sentence about
        what it misses. SystemExit passes through.
        """
        library = _take_place_of_python(self.path, arguments)
        finder = importing.ProgramFinder(library)
        module = types.ModuleType("__main__")
        module.__file__ = os.path.abspath(self.path) if sys.version_info >= (3, 9) else self.path
        module.__builtins__ = builtins
        if self.module is not None:  # as of `python -m`
            sys.path[0] = os.getcwd()
            is_package = self.path.endswith("__main__.py")
            module.__package__ = self.module if is_package else self.module.rpartition(".")[0]
        if of_tensorflow_1:
            sys.meta_path.insert(0, finder)
            module.__builtins__ = importing.program_builtins()
            # `tf.layers.dense` is deprecated: the program is meant to use it.
            warnings.filterwarnings("ignore", r"`(tf|[Ll]ayer)\.")
        sys.modules["__main__"] = module
        try:
            with behavior.of_1_15() if of_tensorflow_1 else contextlib.ExitStack():
                for code in self.codes:
                    exec(code, module.__dict__)
        except Exception as error:
            sys.stdout.flush()
            return self._report(error, finder)
        return 0

    def _report(self, error, finder):
        """Says what went wrong on standard error and returns the exit code."""

        def is_own(file):
            return file in self.names or finder.is_own(file)

        frames = [f for f in traceback.extract_tb(error.__traceback__) if is_own(f.filename)]
        message = _sentence(error)
        if message is None:
            shown = traceback.TracebackException.from_exception(error)
            _keep_frames(shown, is_own)
            sys.stderr.write("".join(shown.format()))
            return 1
        if isinstance(error, SyntaxError):
            message = f"{error.filename}, line {error.lineno}: {message}"
        elif frames:
            message = f"{frames[-1].filename}, line {frames[-1].lineno}: {message}"
        sys.stderr.write(f"run_tf1.py: error: {message}\n")
        return 2


def path_of(module):
    """The file in the current folder that `python -m module` runs."""
    path = module.replace(".", os.sep)
    main = os.path.join(path, "__main__.py")
    return main if os.path.isfile(main) else f"{path}.py"


class Unusable(Exception):
    """What was given is not a program that can be run. The message is one sentence."""


def _take_place_of_python(path, arguments):
    """Sets sys.argv and sys.path[0] as Python itself does; returns the folders of its library."""
    sys.argv = [path] + arguments
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    own = {os.path.realpath(folder) for folder in named if folder}
    library = [folder for folder in sys.path[1:] if os.path.realpath(folder) not in own]
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    # The program's own module of this name comes before this project's.
    sys.modules.pop("mnist_data", None)
    return library


def _compiled(name, source):
    try:
        return compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        place = f"{name}, line {error.lineno}" if getattr(error, "lineno", None) else name
        raise Unusable(f"{place}: {syntax_sentence(error)}") from None


def syntax_sentence(error):
    """What to say of a SyntaxError: most are Python 2."""
    reason = getattr(error, "msg", None) or str(error)
    return (
        f"this is no Python {sys.version_info[0]} ({reason}); if it is Python 2, convert the"
        " program with 2to3 first (pip install 2to3, then 2to3 -w FILE)"
    )


def _cells(path, say):
    """Yields (name, source) of each code cell of a notebook."""
    with open(path, encoding="utf-8") as file:
        try:
            notebook = json.load(file)
            cells = notebook.get("cells") or notebook["worksheets"][0]["cells"]
            codes = [c.get("source", c.get("input")) for c in cells if c["cell_type"] == "code"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise Unusable(f"{path}: not a notebook of Jupyter, expected its JSON") from None
    for number, code in enumerate(codes, 1):
        source = textwrap.dedent("".join(code))
        name = f"{path}, cell {number}"
        left_out, source = without_magics(source)
        if left_out:
            say(f"{name}: left out, it is not Python: {'; '.join(left_out)}")
        yield name, source


def without_magics(source):
    """The lines that only IPython understands, and `source` with `pass` in their places."""
    try:
        compile(source, "cell", "exec", dont_inherit=True)
        return [], source
    except (SyntaxError, ValueError):
        pass
    lines = source.splitlines(True)
    other = CELL_OF_OTHER_LANGUAGE.match(source)
    if other:
        return [lines[0].strip()], ""
    left_out = []
    for number, line in enumerate(lines):
        if NOT_PYTHON.match(line):
            left_out.append(line.strip())
            indent = line[: len(line) - len(line.lstrip())]
            lines[number] = f"{indent}pass\n"
    return left_out, "".join(lines)


def _sentence(error):
    """What to say of an error that is not the program's own fault; None of any other."""
    if isinstance(error, (missing.MissingName, missing.MissingModule, missing.Refused)):
        return str(error)
    if isinstance(error, SyntaxError):
        return syntax_sentence(error)
    if getattr(error, "one_line", False):
        return str(error)
    if isinstance(error, AttributeError) and ("NumPy" in str(error) or "'numpy'" in str(error)):
        return str(error).split("\n")[0]
    if isinstance(error, ModuleNotFoundError) and error.name:
        return missing.module_sentence(error.name)
    return None


def _keep_frames(shown, is_own):
    """Takes out of a TracebackException, and of those it follows from, all but own frames."""
    while shown is not None:
        shown.stack[:] = [frame for frame in shown.stack if is_own(frame.filename)]
        if shown.__cause__ is not None:
            _keep_frames(shown.__cause__, is_own)
        shown = shown.__context__
