"""Trains the runs of a comparison side by side. A trainer trains one at a time, in a thread of its
own: a process on this machine (Process below) or a task on a Ray cluster (ray_workers.py)."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent import futures
from contextlib import redirect_stderr, redirect_stdout

from graph_mode import machine
from graph_mode.command_line import CommandError, Stopped
from graph_mode.comparing import comparison_folder, grid

ATTEMPTS = 3  # A run whose process dies may have been killed for another's sake.
# TensorFlow keeps the graph of every network with a tf.custom_gradient, 10 MB a run, until the
# process ends. So it ends now and then.
RUNS_A_PROCESS = 20
LAST_LINES = 3  # that are told of what a process wrote before it died
WORKER = "--worker"


class Died(Exception):
    """A trainer has ended without an answer."""


def train_all(runs, trainers, log_dir):
    """Trains the runs, the first runs first, and yields the folder of each that has ended; then
    stops the trainers. Raises CommandError if a trainer cannot start."""
    idle = list(trainers)

    def train(run, folder):
        trainer = idle.pop()
        try:
            return trainer.train(run, folder)
        finally:
            idle.append(trainer)

    pool = futures.ThreadPoolExecutor(len(trainers))
    folders = comparison_folder.unfinished_folders(log_dir)
    waiting = {pool.submit(train, *pair): (*pair, 1) for pair in zip(runs, folders)}
    try:
        while waiting:
            # A second, not for ever, which on Windows would keep Ctrl-C out.
            for future in futures.wait(waiting, 1, futures.FIRST_COMPLETED).done:
                run, folder, attempt = waiting.pop(future)
                try:
                    failure = future.result()
                except Died as death:
                    if attempt < ATTEMPTS:
                        shutil.rmtree(folder, ignore_errors=True)
                        waiting[pool.submit(train, run, folder)] = run, folder, attempt + 1
                        continue
                    failure = {"reason": f"{death} ({ATTEMPTS} times)", "diverged": False}
                yield comparison_folder.settle(log_dir, folder, run, failure)
    finally:
        for future in waiting:
            future.cancel()
        for trainer in trainers:
            trainer.stop()
        pool.shutdown()


class Process:
    """Trains runs in a process that serves (see below), so that TensorFlow is imported once for
    many. A run goes there as one line of JSON, and one line comes back when it has ended."""

    def __init__(self, environment):
        """environment: {name: value}, to be added to this process's own."""
        self.environment = {**os.environ, **environment}
        self.stopped, self.process = False, None

    def train(self, run, folder):
        """Trains a run below `folder`; returns its failure, as for comparison_folder.settle. Raises
        Died where the process ends without an answer, CommandError where none can start."""
        if self.process is None or self.trained == RUNS_A_PROCESS:
            self.end()
            self.start()
            if not self.process.stdout.readline():
                raise CommandError(f"a worker cannot start: {self.end()}")
        arguments = run.arguments + [f"--log-dir={folder}", f"--run-name={run.name}"]
        order = {"script": run.script, "arguments": arguments, "folder": folder}
        self.trained, answer = self.trained + 1, ""
        with contextlib.suppress(OSError):
            self.process.stdin.write(f"{json.dumps(order)}\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        if not answer.endswith("\n"):
            raise Died(self.end())
        return json.loads(answer)

    def start(self):
        self.log, self.trained = tempfile.TemporaryFile(), 0
        options = {"stderr": self.log, "env": self.environment, **machine.WORKER_OPTIONS}
        options.update(stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
        command = [sys.executable, os.path.join(machine.PROJECT, "compare.py"), WORKER]
        self.process = subprocess.Popen(command, **options)
        if self.stopped:  # meanwhile
            self.process.kill()

    def end(self):
        """Ends the process, if there is one; returns what its end and its last lines say."""
        if self.process is None:
            return ""
        with contextlib.suppress(OSError):
            self.process.stdin.close()  # Which ends it, if it has not ended.
        code = self.process.wait()
        self.process.stdout.close()
        self.process = None
        with self.log:
            for _ in range(20):  # Its last words may be written a moment after its end.
                self.log.seek(0)
                lines = self.log.read().decode("utf-8", "replace").split("\n")
                if code >= 0 or lines != [""] or self.stopped:
                    break
                time.sleep(0.1)
        said = [" ".join(line.split()) for line in lines if line.strip()][-LAST_LINES:]
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"its process ended with {how}" + ": " * bool(said) + " | ".join(said)

    def stop(self):
        """For another thread: ends the process, whatever it does, and any that starts later."""
        self.stopped, process = True, self.process
        if process:
            process.kill()


def serve():
    """What a Process runs: trains the runs that standard input names, until that ends."""
    # On Windows, loading NumPy waits while a thread reads what is standard input (numpy#24290).
    lines, answers = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # What C++ prints is never among the answers.
    from graph_mode import tensorflow1 as tf

    # Ctrl-C goes to every process of the terminal, and is for compare.py, which ends its workers.
    for number in set(machine.SIGNALS) - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    orders = queue.Queue()

    def read_orders():
        for line in lines:
            orders.put(json.loads(line.decode()))
        os._exit(0)  # At once: compare.py has ended or was killed.

    threading.Thread(target=read_orders, daemon=True).start()
    tf.version()  # Imports TensorFlow: where that is impossible, no run shall be blamed.
    answers.write(b"\n")
    while True:
        try:
            failure = train_here(**orders.get())
        except Stopped as stop:
            os._exit(stop.exit_code)
        answers.write(json.dumps(failure).encode() + b"\n")


def train_here(script, arguments, folder):
    """Trains one run below `folder`, what it prints going to a file there; returns its failure, as
    for settle. Raises Stopped after a signal, for which the run is not to blame."""
    from graph_mode.train.hooks import NONFINITE

    os.makedirs(folder, exist_ok=True)
    with comparison_folder.open_output(folder, "w") as file, redirect_stdout(file):
        try:
            with redirect_stderr(file):
                grid.load(script).main(arguments)
            return None
        except Stopped:
            raise
        except (Exception, SystemExit) as error:
            traceback.print_exc(file=file)
            is_expected = isinstance(error, (CommandError, OSError))
            reason = f"{error}" if is_expected else f"{type(error).__name__}: {error}"
            diverged = getattr(error, "exit_code", None) == NONFINITE
            return {"reason": " ".join(reason.split()), "diverged": diverged}


def gpus():
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None and shutil.which("nvidia-smi"):
        found = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE)
        visible = ",".join(map(str, range(found.stdout.count(b"GPU "))))
    return [name for name in (visible or "").split(",") if name.strip()]
