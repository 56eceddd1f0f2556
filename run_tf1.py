"""Runs a program written for TensorFlow 1, unchanged, on the TensorFlow that is installed.

    python run_tf1.py old_program.py its arguments
    python run_tf1.py old_notebook.ipynb
    python run_tf1.py --check old_program.py      lists the TensorFlow names that it uses

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
        description=__doc__.split("\n")[0], usage="%(prog)s [--check] PROGRAM ..."
    )
    parser.add_argument("--check", action="store_true", help="list the names, do not run")
    parser.add_argument("program", metavar="PROGRAM", help="a .py file or a notebook, .ipynb")
    # All that follows the program is the program's own, also what looks like a flag.
    parser.add_argument("arguments", nargs="...", help="arguments for the program")
    flags = parser.parse_args()
    # NumPy and TensorFlow take their time: not for --help.
    from graph_mode import tensorflow1 as tf
    from graph_mode.tf1 import HAS_TF_KERAS, addresses, check, program

    if tf.version() >= (2, 16) and not HAS_TF_KERAS:
        raise CommandError("no package tf-keras found: run pip install -r requirements.txt")
    if not os.path.isfile(flags.program):
        raise CommandError(f"{flags.program}: no such file, expected a program or a notebook")
    try:
        loaded = program.Program(flags.program, addresses.tell)
    except program.Unusable as error:
        raise CommandError(error) from None
    if flags.check:
        return check.check(loaded)
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
