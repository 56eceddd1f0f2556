"""How every command of this project reads its arguments and reports what went wrong.

One line on standard error says what was found, what was expected and what to do; the exit code is 2
for bad input, and 128 plus the signal's number after a signal (130 after Ctrl-C).
"""

import argparse
import contextlib
import difflib
import gc
import os
import signal
import sys

from graph_mode import machine

BAD_INPUT = 2
OWN_MODULES = ("graph_mode", "mnist_data", "fc_train", "conv_train")


class CommandError(Exception):
    """A mistake that the user can mend. The message is one line; `exit_code` ends the process."""

    def __init__(self, message, exit_code=BAD_INPUT):
        super().__init__(message)
        self.exit_code = exit_code

    def _render_traceback_(self):
        """What IPython shows in place of a traceback."""
        return [one_line(f"error: {self}")]


class Stopped(CommandError):
    """The user stopped the command, and nothing is wrong: the line says how to continue."""


class StoppedInNotebook(KeyboardInterrupt):
    """A Stopped in IPython, where a loop over several runs has to end with it."""

    def _render_traceback_(self):
        return [one_line(self)]


class Namespace(argparse.Namespace):
    """The flags of a command, which know of no others."""

    def __getattr__(self, name):
        raise UndeclaredFlag(
            f"flags.{name} is used, and no flag of this name is declared: "
            f"add Flag({name!r}, ...) to the script's FLAGS"
        )


class UndeclaredFlag(AttributeError):
    one_line = True


class OneLineParser(argparse.ArgumentParser):
    """argparse, with errors of one line, the defaults shown in --help, and the nearest flag named;
    other_names: {word: text}, what to say to who types --word."""

    def __init__(self, other_names=None, **kwargs):
        # An abbreviated flag would change its meaning as soon as a second flag shares the prefix.
        super().__init__(formatter_class=HelpFormatter, allow_abbrev=False, **kwargs)
        self._other_names = other_names or {}

    def parse_args(self, args=None, namespace=None):
        arguments = own_arguments() if args is None else args
        found, rest = self.parse_known_args(arguments, namespace or Namespace())
        if rest:
            self.error(self.unknown(rest))
        return found

    def format_help(self):
        return printable(super().format_help(), sys.stdout, keep="\n")

    def unknown(self, words):
        """What to say of words that are no flags of this command."""
        flags = [word.split("=")[0] for word in words if word.startswith("-")]
        if not flags:
            return f"found {' '.join(words)}, expected only flags"
        name = flags[0].lstrip("-").replace("_", "-")
        close = difflib.get_close_matches(f"--{name}", self._option_string_actions, 1, 0.6)
        meant = self._other_names.get(name) or (close[0] if close else None)
        return f"unknown flag {flags[0]}" + (f": did you mean {meant}?" if meant else "")

    def error(self, message):
        message = f"{message} (--help lists the flags)"
        if machine.ipython():
            raise CommandError(message)
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")


def own_arguments():
    """The arguments of the script; none where IPython runs no script: those are its own."""
    script = getattr(sys.modules["__main__"], "__file__", None) or ""
    is_run = os.path.abspath(script) == os.path.abspath(sys.argv[0])
    return sys.argv[1:] if is_run or not machine.ipython() else []


class HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, except where there is none or the help text already speaks of it."""

    def _get_help_string(self, action):
        nothing = action.default is None or action.default is False
        if nothing or "default" in (action.help or ""):
            return action.help
        return super()._get_help_string(action)


def run(main):
    """Calls `main()` and exits with its return code, turning the errors of explained() into one
    line each. In IPython nothing exits, and the signals are left alone."""
    if machine.ipython():
        with one_line_errors():
            main()
        return
    if sys.stdout is None or sys.stderr is None:
        problem = "standard output or standard error is closed: redirect it, as to a file"
        sys.exit(tell_error(CommandError(problem)))
    for number in machine.SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _interrupt)
    code = exit_code_of(main)
    try:
        # Python flushes it once more at its end, and would say in two lines that it cannot.
        sys.stdout.flush()
    except (OSError, ValueError):
        _discard_standard_output()
    # At its end, Python would search all that TensorFlow made for garbage: nearly a second.
    gc.freeze()
    sys.exit(code)


def exit_code_of(main):
    """Calls `main()`; returns the exit code, after one line on standard error if it failed."""
    try:
        result = main()  # of a training script, the run's folder
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, OSError) and machine.reader_has_left(error):
            # Nobody is there to be told (`| head`).
            _discard_standard_output()
            return 0
        return tell_error(error)


@contextlib.contextmanager
def one_line_errors():
    """In IPython, has what explained() knows shown as one line there, without a traceback."""
    try:
        yield
    except StoppedInNotebook:
        raise
    except (Exception, KeyboardInterrupt) as error:
        found = explained(error)
        if found is None or not machine.ipython():
            raise
        raise StoppedInNotebook(found) if isinstance(found, Stopped) else found from None
    except SystemExit as end:  # argparse, after --help
        if end.code or not machine.ipython():
            raise


@contextlib.contextmanager
def loading():
    """For imports of a script outside its main(): a missing package ends in one line too."""
    try:
        yield
    except (CommandError, ImportError, KeyboardInterrupt) as error:
        sys.exit(tell_error(error))


def explained(error):
    """The CommandError that says in one line what went wrong, of an error that a user can cause;
    None of any other: a bug. Bad data raises errors that carry `one_line = True`."""
    if isinstance(error, CommandError):
        return error
    if isinstance(error, KeyboardInterrupt):
        before = error.__context__
        while before and not isinstance(before, Stopped):
            before = before.__context__
        if before:  # a second signal, while the command was about to end
            return before
        number = error.args[0] if error.args else signal.SIGINT
        by = "" if number == signal.SIGINT else f" by {machine.SIGNALS[number]}"
        return Stopped(f"interrupted{by}", 128 + number)
    if isinstance(error, ImportError):
        if (error.name or "").split(".")[0] in OWN_MODULES:
            return None
        return CommandError(f"a package is missing or broken ({error}): {machine.how_to_install()}")
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return CommandError(f"{error.filename}: {reason}" if error.filename else reason)
    return CommandError(error) if getattr(error, "one_line", False) else None


def _interrupt(number, _frame):
    raise KeyboardInterrupt(number)


def print_line(text):
    """Prints to standard output at once. Long work is not lost because a reader left, a terminal
    closed or a disk is full: it says so and goes on."""
    try:
        print(printable(text, sys.stdout), flush=True)
    except (OSError, ValueError) as error:
        _discard_standard_output()
        reason = explained(error) or error
        say(f"standard output cannot be written ({reason}): continuing without it")


def show(text):
    """Prints what helps a person who looks on, at a terminal or in IPython."""
    with contextlib.suppress(OSError, ValueError):
        if machine.ipython():
            print(text)
        elif sys.stderr.isatty():
            print(printable(text, sys.stderr, keep="\n"), file=sys.stderr)


def printable(text, stream=None, keep=""):
    """The text with each character escaped that cannot be shown, as a name may hold any: control
    characters but those in `keep`, bytes that are no text, and what the stream's encoding lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    shown = "".join(
        character if character.isprintable() or character in keep else ascii(character)[1:-1]
        for character in text
    )
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def one_line(message):
    """`program: message` as one line; in IPython, which is then the program, the message."""
    # Not every space: paths and commands may hold several in a row.
    text = printable(" ".join(part.strip() for part in str(message).splitlines()), sys.stderr)
    return text if machine.ipython() else f"{os.path.basename(sys.argv[0])}: {text}"


def tell_error(error):
    """Says what explained() does, and returns the exit code. Raises the error if it is a bug."""
    found = explained(error)
    if found is None:
        raise error
    say(found, "" if isinstance(found, Stopped) else "error: ")
    return found.exit_code


def say(text, kind="note: "):
    """Prints `program: note: text` as one line on standard error."""
    # OSError: standard error is gone, as when a terminal closes. AttributeError: it is None.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(one_line(f"{kind}{text}") + "\n")
        sys.stderr.flush()


def _discard_standard_output():
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")
