"""Runs a program written for TensorFlow 1, unchanged, on the TensorFlow that is installed.

    python run_tf1.py old_program.py its arguments
    python run_tf1.py old_notebook.ipynb
    python run_tf1.py -m package.old_module       as python -m
    python run_tf1.py --check old_program.py      says whether all is there that it uses

The program gets the API of TensorFlow 1 in graph mode, with tf.layers, the recurrent cells, a part
of tf.contrib and MNIST; docs/tf1_programs.md says which. Its file is not changed. What is missing
ends in one sentence with the line that asks for it, and exit code 2.
"""

import os
import signal
import sys

FOLDER = os.path.dirname(os.path.realpath(__file__))
if os.path.realpath(sys.path[0]) != FOLDER:  # as after PYTHONSAFEPATH=1
    sys.path.insert(0, FOLDER)

from graph_mode import machine  # noqa: E402
from graph_mode.command_line import CommandError, OneLineParser, run  # noqa: E402


def main():
    parser = OneLineParser(
        description=__doc__, usage="%(prog)s [--check [-v]] [-m] PROGRAM [ARGUMENTS]"
    )
    parser.add_argument("--check", action="store_true", help="say what is missing, do not run")
    parser.add_argument("-v", action="store_true", help="with --check: list what is there, too")
    parser.add_argument("-m", action="store_true", help="PROGRAM is a module's name, with dots")
    parser.add_argument("program", metavar="PROGRAM", nargs="?", help="a file, .py or .ipynb")
    # All that follows the program is the program's own, also what looks like a flag.
    parser.add_argument("arguments", metavar="ARGUMENTS", nargs="...", help="the program's own")
    flags = parser.parse_args()
    if flags.program is None:
        parser.error("no program given, expected as in: python run_tf1.py old_program.py")
    # NumPy and TensorFlow take their time: not for --help.
    from graph_mode import tensorflow1 as tf
    from graph_mode.tf1 import HAS_TF_KERAS, addresses, check, program

    if tf.version() >= (2, 16) and not HAS_TF_KERAS:
        raise CommandError("no package tf-keras found: run pip install -r requirements.txt")
    try:
        path = program.path_of(flags.program) if flags.m else flags.program
        if not os.path.isfile(path):
            raise CommandError(f"{path}: no such file, expected a program or a notebook")
        loaded = program.Program(path, addresses.tell, flags.program if flags.m else None)
    except program.Unusable as error:
        raise CommandError(error) from None
    if flags.check:
        return check.check(loaded, flags.v)
    of_tensorflow_1 = tf.version() >= (2, 0)
    tf.disable_v2_behavior()
    addresses.serve_own_files()
    _leave_signals_to_the_program()
    return loaded.run(flags.arguments, of_tensorflow_1)


def _leave_signals_to_the_program():
    """The program finds them as Python leaves them, those that are ignored (nohup) too."""
    for number in machine.SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)


if __name__ == "__main__":
    run(main)
