"""A process that trains run after run, so that TensorFlow is imported once for many runs.

It reads a run as one line of JSON from its standard input and answers with one line when the run
has ended. When the input ends, because compare.py has ended or was killed, it stops at once.
"""

import json
import os
import queue
import signal
import threading
import traceback
from contextlib import redirect_stderr, redirect_stdout

from graph_mode import machine
from graph_mode.command_line import CommandError, Stopped
from graph_mode.comparing import comparison_folder, scripts


def serve():
    """Trains the runs it is told of until its input ends."""
    # On Windows, loading NumPy waits while a thread reads what is standard input (numpy#24290).
    lines, answers = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    from graph_mode import tensorflow1 as tf

    # Ctrl-C goes to every process of the terminal, and is for compare.py, which ends its workers.
    for number in set(machine.SIGNALS) - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    orders = queue.Queue()
    threading.Thread(target=read_orders, args=[lines, orders], daemon=True).start()
    tf.version()  # Imports TensorFlow: where that is impossible, no run shall be blamed.
    # What C++ prints goes where Python's errors go, never among the answers.
    os.dup2(2, 1)
    answers.write(b"{}\n")
    while True:
        try:
            answer = {"failure": train(**orders.get())}
        except Stopped as stop:
            os._exit(stop.exit_code)
        answers.write(json.dumps(answer).encode() + b"\n")


def read_orders(lines, orders):
    """Puts each of the lines into `orders`; ends the process when there are no more."""
    for line in lines:
        orders.put(json.loads(line.decode()))
    os._exit(0)


def train(script, arguments, folder):
    """Trains one run below `folder`, what it prints going to a file there; returns its failure, as
    for comparison_folder.settle. Raises Stopped where a signal has stopped the training, for which
    the run is not to blame."""
    from graph_mode.train.hooks import NONFINITE

    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, comparison_folder.OUTPUT)
    with open(path, "w", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        try:
            scripts.load(script).main(arguments)
        except Stopped:
            raise
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            is_expected = isinstance(error, (CommandError, OSError))
            reason = f"{error}" if is_expected else f"{type(error).__name__}: {error}"
            diverged = getattr(error, "exit_code", None) == NONFINITE
            return {"reason": " ".join(reason.split()), "diverged": diverged}
    return None
