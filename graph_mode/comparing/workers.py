"""Trains the runs of a comparison side by side: gives them out, and notices what has died.

A trainer is what trains one run at a time: a process on this machine (Process below) or a task on a
Ray cluster (ray_workers.py). Each is called in a thread of its own; a queue holds what they answer.
"""

import collections
import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading

from graph_mode import machine
from graph_mode.command_line import CommandError
from graph_mode.comparing import comparison_folder, scripts

# A run whose process dies is tried again: it may have been killed for another's sake.
ATTEMPTS = 3
# TensorFlow keeps the graph of every network with a tf.custom_gradient, 10 MB a run, until the
# process ends. So it ends now and then.
RUNS_A_PROCESS = 20
TICK_SECONDS = 1.0
GOODBYE_SECONDS = 10
WORKER = "--worker"


def train_all(runs, trainers, log_dir):
    """Trains the runs, the first runs first; then stops the trainers.

    Yields (run, folder) for each run that has ended, and (None, None) about once a second. Raises
    CommandError if a trainer cannot start.
    """
    waiting, answers = queue.Queue(), queue.Queue()
    for run in runs:
        waiting.put(run)
    folders = comparison_folder.unfinished_folders(log_dir)
    deaths = collections.Counter()
    threads = [
        threading.Thread(target=work, args=(trainer, waiting, folders, answers), daemon=True)
        for trainer in trainers
    ]
    left = len(runs)
    try:
        for thread in threads:
            thread.start()
        while left:
            try:
                # Not for ever, which on Windows would keep Ctrl-C out.
                run, unfinished, answer = answers.get(timeout=TICK_SECONDS)
            except queue.Empty:
                yield None, None
                continue
            if "cannot_start" in answer:
                raise CommandError(f"a worker cannot start: {answer['cannot_start']}")
            failure = answer.get("failure")
            if "died" in answer:
                deaths[run.key] += 1
                shutil.rmtree(unfinished, ignore_errors=True)
                if deaths[run.key] < ATTEMPTS:
                    waiting.put(run)
                    continue
                failure = {"reason": f"{answer['died']} ({ATTEMPTS} times)", "diverged": False}
            left -= 1
            yield run, comparison_folder.settle(log_dir, unfinished, run, failure)
    finally:
        for trainer in trainers:
            trainer.stop()
            waiting.put(None)
        for thread in threads:
            thread.join(GOODBYE_SECONDS)


def work(trainer, waiting, folders, answers):
    """Trains one waiting run after the other, until there comes a None."""
    for run in iter(waiting.get, None):
        folder = next(folders)
        try:
            answer = trainer.train(run, folder)
        except Exception as error:
            # A thread that ends without an answer would be waited for.
            answer = {"cannot_start": f"{type(error).__name__}: {error}"}
        answers.put((run, folder, answer))


class Process:
    """Trains runs in a process of worker.py, which is started with the first of them."""

    def __init__(self, environment=None):
        """environment: {name: value}, to be added to this process's own."""
        self.environment = {**os.environ, **(environment or {})}
        self.lock = threading.Lock()
        self.stopped = False
        self.process = self.log = None
        self.trained = 0

    def train(self, run, folder):
        """Trains a run below `folder`; returns its answer.

        That is {}, {"failure": see comparison_folder.settle}, {"died": why} where the process ended
        without one, or {"cannot_start": why}.
        """
        if self.process is None or self.trained == RUNS_A_PROCESS:
            self.end()
            if not self.start():
                return {"died": "it was stopped"}
            if self.read() is None:
                return {"cannot_start": self.end()}
        arguments = run.arguments + [f"--log-dir={folder}", f"--run-name={run.name}"]
        order = {"script": run.script, "arguments": arguments, "folder": folder}
        try:
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()
            answer = self.read()
        except OSError:
            answer = None
        self.trained += 1
        return {"died": self.end()} if answer is None else answer

    def start(self):
        """Starts a process; returns whether it has, which it has not after stop()."""
        with self.lock:
            if self.stopped:
                return False
            self.log = tempfile.TemporaryFile()
            self.trained = 0
            self.process = subprocess.Popen(
                [sys.executable, os.path.join(scripts.ROOT, "compare.py"), WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log,
                env=self.environment,
                **machine.worker_process_options(),
            )
            return True

    def read(self):
        """The next answer of the process; None if it has ended."""
        line = self.process.stdout.readline()
        return json.loads(line.decode()) if line.endswith(b"\n") else None

    def end(self):
        """Ends the process, if there is one; returns what its end and its last line say."""
        if self.process is None:
            return ""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            code = self.process.wait(GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        self.process = None
        with self.log:
            self.log.seek(0)
            lines = self.log.read().decode("utf-8", "replace").splitlines()
        said = [line.strip() for line in lines if line.strip()][-1:]
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return ": ".join([f"its process ended with {how}"] + said)

    def stop(self):
        """For another thread: ends the process, whatever it does, and lets no other start."""
        with self.lock:
            self.stopped = True
            process = self.process
        if process:
            process.kill()


def gpus():
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip()]
    if not shutil.which("nvidia-smi"):
        return []
    found = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    lines = found.stdout.decode("utf-8", "replace").splitlines()
    return [str(number) for number, _ in enumerate(x for x in lines if x.startswith("GPU "))]
