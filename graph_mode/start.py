"""What a script loads first, within milliseconds, so that loading the rest shows no traceback.

NumPy and TensorBoard take tenths of a second: long enough for Ctrl-C, and the place where a package
that is not installed comes to light.
"""

import os
import signal
import sys

BAD_INPUT = 2
SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
OWN_MODULES = ("graph_mode", "mnist_data", "fc_train", "conv_train")


def program():
    """From here on, a signal and a missing package end the process with one line.

    command_line.run() takes the signals over.
    """
    for number in SIGNALS:
        if is_unhandled(number):
            signal.signal(number, end)
    sys.excepthook = _tell


def is_unhandled(number):
    """Whether nothing ignores this signal or handles it better than end()."""
    return signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, end)


def end(number, _frame, descriptor=2):
    """A signal's handler: writes one line to `descriptor` and ends the process at once."""
    os.write(descriptor, line(interrupted_by(number)).encode())
    os._exit(128 + number)


def interrupted_by(number):
    return "interrupted" if number == signal.SIGINT else f"interrupted by {SIGNALS[number]}"


def line(message):
    """`program: message` as one line."""
    name = os.path.basename(sys.argv[0])
    return f"{name}: {' '.join(str(message).split())}\n"


def missing_package(error):
    """What to say of an ImportError; None if it is about a module of this project: a bug."""
    if (error.name or "").split(".")[0] in OWN_MODULES:
        return None
    return f"a package is missing or broken ({error}): run pip install -r requirements.txt"


def _tell(kind, error, traceback):
    message = missing_package(error) if isinstance(error, ImportError) else None
    if message is None:
        sys.__excepthook__(kind, error, traceback)
    else:
        sys.stderr.write(line(f"error: {message}"))
        sys.stderr.flush()
        os._exit(BAD_INPUT)
