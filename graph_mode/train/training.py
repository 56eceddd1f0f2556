"""Calls of the training loop. What happens between two calls plugs in as a Hook.

A session call trains up to STEPS_PER_CALL steps. It ends early wherever a hook is due, so that what
is printed, written, measured and saved sees the network after exactly that step.
"""

import collections
import concurrent.futures
import contextlib
import os
import signal
import sys
import threading
import time
import warnings

from graph_mode import command_line, machine
from graph_mode.command_line import Stopped
from graph_mode.train import evaluation
from graph_mode.train.program import STEPS_PER_CALL

with warnings.catch_warnings():
    # In a notebook without ipywidgets it draws its bar as text, and would advise to install them.
    warnings.simplefilter("ignore")
    from tqdm.auto import tqdm

# How long a signal may go unheard while a session call runs, in seconds.
HEARD_WITHIN = 0.1

TRAINING = "session loop inference population data flags run checkpoints"


class Training(collections.namedtuple("Training", TRAINING)):
    """A run while it trains, which its hooks work with.

    loop: the program.Loop; inference: the program.FedTower with moving averages; population: the
    evaluation.Population, or None without batch norm; data: mnist_data.Datasets; run: the
    folder.Run; checkpoints: its Checkpoints.
    """

    def measure(self, split, indices=slice(None), with_population=True, take=True):
        """The evaluation.Measured of a split, or of its examples with these indices; take: see
        evaluation.measure."""
        examples = getattr(self.data, split)
        images, labels = examples.images[indices], examples.labels[indices]
        population = self.population if with_population else None
        return evaluation.measure(self.session, self.inference, population, images, labels, take)


class Call(collections.namedtuple("Call", "first last batch scalars started ended")):
    """A session call that has ended.

    first, last: the steps that it trained, both included; batch: the indices of the last step's
    images; scalars: {name: float32 [last + 1 - first]}; started, ended: seconds since the epoch.
    """


class Hook:
    """Something that happens between calls."""

    def is_due(self, step):
        """Whether a call must end after this step, counted from 0."""
        return False

    def after_call(self, call):
        """Called after each Call, hooks in their order. An exception ends the training."""


def train_batches(training, first_step, hooks, interruption=None):
    """Trains from `first_step` to flags.num_batches, or until the Interruption has a signal, which
    ends it after the step at hand; returns the last step done."""
    step, num_batches = first_step, training.flags.num_batches
    hidden = not (sys.stderr.isatty() or machine.ipython())
    progress = tqdm(
        total=num_batches, initial=first_step, unit="batch", leave=False, disable=hidden
    )
    with progress, concurrent.futures.ThreadPoolExecutor(1) as thread:
        while step < num_batches:
            last = _end_of_call(step, num_batches, hooks)
            # In a thread of its own: a signal is handled while the call goes on.
            call = _result(thread.submit(_call, training, step, last))
            if call.last < call.first:  # asked to stop before its first step
                break
            progress.update(call.last + 1 - call.first)
            step = call.last + 1
            for hook in hooks:
                hook.after_call(call)
            if interruption and interruption.signal is not None:
                break
    return step - 1


def _end_of_call(first, num_batches, hooks):
    """The last step of the call that begins with `first`."""
    steps = range(first, min(first + STEPS_PER_CALL, num_batches))
    due = (step for step in steps if any(hook.is_due(step) for hook in hooks))
    return next(due, steps[-1])


def _call(training, first, last):
    examples, batch_size = training.data.train, training.flags.batch_size
    before = examples.state()
    batches = [examples.next_indices(batch_size) for _ in range(last + 1 - first)]
    started = time.time()
    done, scalars = training.loop.run(training.session, batches)
    ended = time.time()
    if done < len(batches):
        # Only what was trained counts as seen, so that a resumed run goes on with the next batch.
        examples.restore(before)
        batches = [examples.next_indices(batch_size) for _ in range(done)]
    batch = batches[-1] if batches else None
    return Call(first, first + int(done) - 1, batch, scalars, started, ended)


def _result(future):
    """The future's result, waited for in small portions: on Windows, Ctrl-C is heard in between."""
    while True:
        with contextlib.suppress(concurrent.futures.TimeoutError):
            return future.result(HEARD_WITHIN)


def print_line(text):
    """Prints a line to standard output at once, above the progress bar where there is one."""
    with tqdm.external_write_mode():
        command_line.print_line(text)


class Interruption:
    """While entered, the first signal calls `request_stop()` and is kept in `signal`.

    A second one ends the process at once, but in a notebook, whose state is the user's. A signal
    that is ignored stays so, as Ctrl-C in a job that a shell runs in the background; and outside
    the main thread, none can be handled.
    """

    def __init__(self, request_stop):
        self._request_stop = request_stop
        self._former = {}
        self.signal = None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in machine.SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_):
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def stopped(self, where):
        """The Stopped that says by what the training was interrupted, and where."""
        return Stopped(f"interrupted by {machine.SIGNALS[self.signal]} {where}", 128 + self.signal)

    def _handle(self, number, _frame):
        if self.signal is not None and not machine.ipython():
            # The session call may hold up the interpreter's exit; a second request means now.
            os._exit(128 + number)
        self.signal = number
        # In a thread: where the request has to wait, a second signal still gets through.
        threading.Thread(target=self._request, daemon=True).start()

    def _request(self):
        # RuntimeError: the session is closed, so there is nothing left to stop.
        with contextlib.suppress(RuntimeError):
            self._request_stop()
