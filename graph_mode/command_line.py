"""How every command of this project reads its arguments and reports what went wrong.

One line on standard error says what was found, what was expected and what to do; the exit code is 2
for bad input, and 128 plus the signal's number after a signal (130 after Ctrl-C). Never a traceback
for something a user can cause.
"""

import argparse
import contextlib
import difflib
import os
import signal
import sys

from graph_mode import machine

BAD_INPUT = 2
INTERRUPTED = 130
OWN_MODULES = ("graph_mode", "mnist_data", "fc_train", "conv_train")


class CommandError(Exception):
    """A mistake that the user can mend. The message is one line; `exit_code` ends the process."""

    def __init__(self, message, exit_code=BAD_INPUT):
        super().__init__(message)
        self.exit_code = exit_code

    def _render_traceback_(self):
        """What a notebook shows in place of a traceback (a protocol of IPython)."""
        return [one_line(f"error: {self}")]


class Stopped(CommandError):
    """The user stopped the command, and nothing is wrong: the line says how to continue."""


class StoppedInNotebook(KeyboardInterrupt):
    """A Stopped in a notebook, where a loop over several runs has to end with it."""

    def _render_traceback_(self):
        return [one_line(self)]


class Signalled(KeyboardInterrupt):
    """Ctrl-C or another signal that asks the process to end, where nothing handles it better."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


class OneLineParser(argparse.ArgumentParser):
    """argparse, with errors of one line, the defaults shown in --help, and the nearest flag named.

    other_names: {word: text}, what to say to who types --word.
    """

    def __init__(self, other_names=None, **kwargs):
        kwargs.setdefault("formatter_class", HelpFormatter)
        # An abbreviated flag would change its meaning as soon as a second flag shares the prefix.
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(**kwargs)
        self._other_names = other_names or {}

    def parse_args(self, args=None, namespace=None):
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            self.error(self.unknown(rest))
        return found

    def format_help(self):
        return printable(super().format_help(), sys.stdout)

    def unknown(self, words):
        """What to say of words that are no flags of this command."""
        flags = [word.split("=")[0] for word in words if word.startswith("-")]
        if not flags:
            return f"found {' '.join(words)}, expected only flags"
        name = flags[0].lstrip("-").replace("_", "-")
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        close = difflib.get_close_matches(f"--{name}", known, 1, 0.6)
        meant = self._other_names.get(name) or (close[0] if close else None)
        return f"unknown flag {flags[0]}" + (f": did you mean {meant}?" if meant else "")

    def error(self, message):
        message = f"{message} (--help lists the flags)"
        if machine.in_notebook():
            raise CommandError(message)
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")


class HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, except where there is none or the help text already speaks of it."""

    def _get_help_string(self, action):
        nothing = action.default is None or action.default is False
        if nothing or "default" in (action.help or ""):
            return action.help
        return super()._get_help_string(action)


def run(main):
    """Calls `main()` and exits with its return code, turning errors into one line each.

    Anything but the errors of explained() is a bug and keeps its traceback. In a notebook the
    kernel goes on: nothing exits, and the signals are left alone.
    """
    machine.open_closed_streams()
    if machine.in_notebook():
        with one_line_errors():
            main()
        return
    _handle_signals()
    code = exit_code_of(main)
    _flush_standard_output()
    sys.exit(code)


def exit_code_of(main):
    """Calls `main()`; returns the exit code, after one line on standard error if it failed."""
    try:
        result = main()
        sys.stdout.flush()
        # A training script's main() returns the run's folder, for who calls it from Python.
        return result if isinstance(result, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, OSError) and machine.reader_has_left(error):
            # Nobody is there to be told (`| head`).
            _discard_standard_output()
            return 0
        found = explained(error)
        if found is None:
            raise
        return tell(found if isinstance(found, Stopped) else f"error: {found}", found.exit_code)


@contextlib.contextmanager
def one_line_errors():
    """In a notebook, has what explained() knows shown as one line there, without a traceback."""
    if not machine.in_notebook():
        yield
        return
    try:
        yield
    except StoppedInNotebook:
        raise
    except (Exception, KeyboardInterrupt) as error:
        found = explained(error)
        if found is None:
            raise
        raise StoppedInNotebook(found) if isinstance(found, Stopped) else found from None
    except SystemExit as end:  # argparse, after --help
        if end.code:
            raise


def explained(error):
    """The CommandError that says in one line what went wrong; None if nobody expected it: a bug.

    Expected are CommandError, ValueError subclasses that carry `one_line = True` (bad data),
    OSError (files and disks), ImportError (packages) and KeyboardInterrupt.
    """
    if isinstance(error, CommandError):
        return error
    if isinstance(error, KeyboardInterrupt):
        number = getattr(error, "number", signal.SIGINT)
        return Stopped(interrupted_by(number), 128 + number)
    if isinstance(error, ImportError):
        message = missing_package(error)
        return CommandError(message) if message else None
    if isinstance(error, OSError):
        return CommandError(describe_os_error(error))
    return CommandError(error) if getattr(error, "one_line", False) else None


@contextlib.contextmanager
def loading():
    """For the imports of a script that take long: a package that is missing, or Ctrl-C, ends the
    process with one line."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(tell(interrupted_by(signal.SIGINT), 128 + signal.SIGINT))
    except ImportError as error:
        message = missing_package(error)
        if message is None:
            raise
        sys.exit(tell(f"error: {message}", BAD_INPUT))


def interrupted_by(number):
    return "interrupted" if number == signal.SIGINT else f"interrupted by {machine.SIGNALS[number]}"


def one_line(message):
    """`program: message` as one line; in a notebook, whose program is IPython, the message."""
    # Not every space: paths and commands may hold several in a row.
    text = " ".join(part.strip() for part in str(message).splitlines())
    return text if machine.in_notebook() else f"{os.path.basename(sys.argv[0])}: {text}"


def missing_package(error):
    """What to say of an ImportError; None if it is about a module of this project: a bug."""
    if (error.name or "").split(".")[0] in OWN_MODULES:
        return None
    return f"a package is missing or broken ({error}): run pip install -r requirements.txt"


def _handle_signals():
    """Signals raise KeyboardInterrupt, unless they are ignored or handled already."""
    for number in machine.SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _raise_signalled)


def _raise_signalled(number, _frame):
    raise Signalled(number)


@contextlib.contextmanager
def signals_raise_nothing(descriptor):
    """While entered, a signal prints to `descriptor` and ends the process. In a notebook, Ctrl-C
    waits, and raises KeyboardInterrupt at the end.

    For the import of a large library: an exception would be lost there or show a traceback, and in
    a notebook leave modules behind that are half imported. Only the signals that run() handles.
    """
    waiting = []

    def heard(number, _frame):
        if machine.in_notebook():
            waiting.append(number)
            return
        os.write(descriptor, f"{one_line(interrupted_by(number))}\n".encode())
        os._exit(128 + number)

    numbers = []
    usual = signal.default_int_handler if machine.in_notebook() else _raise_signalled
    if machine.in_main_thread():
        numbers = [number for number in machine.SIGNALS if signal.getsignal(number) is usual]
    for number in numbers:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, usual)
    if waiting:
        raise KeyboardInterrupt


def print_line(text):
    """Prints to standard output at once; where that has become impossible, says so and goes on.

    Long work is not lost because a reader left, a terminal closed or a disk is full.
    """
    try:
        print(printable(text, sys.stdout), flush=True)
    except (OSError, ValueError) as error:
        _discard_standard_output()
        reason = describe_os_error(error) if isinstance(error, OSError) else str(error)
        say(f"standard output cannot be written ({reason}): continuing without it")


def show(text):
    """Prints what helps a person who looks on: on a terminal to standard error, or in a notebook.

    Elsewhere nobody would read it.
    """
    with contextlib.suppress(OSError, ValueError):
        if machine.in_notebook():
            print(text)
        elif sys.stderr.isatty():
            print(text, file=sys.stderr)


def printable(text, stream):
    """The text with what the stream cannot show escaped: a file name may be any bytes."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def say(text):
    """Prints `program: note: text` as one line on standard error."""
    tell(f"note: {text}", 0)


def tell(message, exit_code):
    """Prints `program: message` as one line on standard error and returns `exit_code`."""
    # OSError: standard error is gone too, as when a terminal closes.
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{one_line(message)}\n")
        sys.stderr.flush()
    return exit_code


def _flush_standard_output():
    """Python flushes it once more at its end, and would say in two lines that it cannot."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _discard_standard_output()


def _discard_standard_output():
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")


def describe_os_error(error):
    """An OSError as 'path: what is wrong'."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason
