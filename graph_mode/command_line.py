"""How every command of this project reads its arguments and reports what went wrong.

One line on standard error says what was found, what was expected and what to do; the exit code is 2
for bad input, 130 after Ctrl-C and 143 after SIGTERM. Never a traceback for something a user can
cause.
"""

import argparse
import contextlib
import functools
import os
import signal
import sys

from graph_mode import start
from graph_mode.start import BAD_INPUT, SIGNALS

INTERRUPTED = 130


class CommandError(Exception):
    """A mistake that the user can mend. The message is one line; `exit_code` ends the process."""

    def __init__(self, message, exit_code=BAD_INPUT):
        super().__init__(message)
        self.exit_code = exit_code


class Stopped(CommandError):
    """The user stopped the command, and nothing is wrong: the line says how to go on."""


class _Signalled(KeyboardInterrupt):
    """Ctrl-C or SIGTERM, where nothing handles them better."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


class OneLineParser(argparse.ArgumentParser):
    """argparse, with errors of one line and the defaults shown in --help."""

    def __init__(self, **kwargs):
        kwargs.setdefault("formatter_class", HelpFormatter)
        # An abbreviated flag would change its meaning as soon as a second flag shares the prefix.
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(**kwargs)

    def error(self, message):
        self.exit(BAD_INPUT, f"{self.prog}: error: {message} (--help lists the flags)\n")


class HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, except where there is none or the help text already speaks of it."""

    def _get_help_string(self, action):
        nothing = action.default is None or action.default is False
        if nothing or "default" in (action.help or ""):
            return action.help
        return super()._get_help_string(action)


def run(main):
    """Calls `main()` and exits with its return code, turning errors into one line each.

    Expected errors are CommandError, ValueError subclasses that carry `one_line = True` (bad data),
    OSError (files and disks) and ImportError (packages); anything else is a bug and keeps its
    traceback.
    """
    _handle_signals()
    try:
        code = main()
        sys.stdout.flush()
    except Stopped as stop:
        code = tell(stop, stop.exit_code)
    except CommandError as error:
        code = tell(f"error: {error}", error.exit_code)
    except KeyboardInterrupt as interrupt:
        number = getattr(interrupt, "number", signal.SIGINT)
        code = tell(start.interrupted_by(number), 128 + number)
    except BrokenPipeError:
        # The reader of our output left (`| head`): nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except ImportError as error:
        message = start.missing_package(error)
        if message is None:
            raise
        code = tell(f"error: {message}", BAD_INPUT)
    except OSError as error:
        code = tell(f"error: {describe_os_error(error)}", BAD_INPUT)
    except ValueError as error:
        if not getattr(error, "one_line", False):
            raise
        code = tell(f"error: {error}", BAD_INPUT)
    _give_up_standard_output_if_full()
    sys.exit(code)


def _handle_signals():
    """Ctrl-C and SIGTERM raise KeyboardInterrupt, unless they are ignored or handled already."""
    for number in SIGNALS:
        if start.is_unhandled(number):
            signal.signal(number, _raise_signalled)


def _raise_signalled(number, _frame):
    raise _Signalled(number)


@contextlib.contextmanager
def signals_end_the_process(descriptor):
    """While entered, the signals that run() handles print to `descriptor` and end the process.

    For where an exception would be lost or show a traceback: inside the import of a large library.
    """
    numbers = [n for n in SIGNALS if signal.getsignal(n) is _raise_signalled]
    for number in numbers:
        signal.signal(number, functools.partial(start.end, descriptor=descriptor))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, _raise_signalled)


def _give_up_standard_output_if_full():
    """Python flushes it once more at its end, and would say in two lines that it cannot."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(message, exit_code):
    """Prints `program: message` as one line on standard error and returns `exit_code`."""
    sys.stderr.write(start.line(message))
    return exit_code


def describe_os_error(error):
    """An OSError as 'path: what is wrong'."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason
