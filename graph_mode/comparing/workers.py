"""The worker processes of a comparison: gives out the runs, and notices who has died."""

import collections
import contextlib
import json
import os
import selectors
import subprocess

from graph_mode.command_line import CommandError
from graph_mode.comparing import comparison_folder

# A run whose process dies is tried again: it may have been killed for another's sake.
ATTEMPTS = 3
# TensorFlow keeps the graph of every network with a tf.custom_gradient, 10 MB a run, until the
# process ends. So it ends now and then.
RUNS_A_WORKER = 20
TICK_SECONDS = 1.0
GOODBYE_SECONDS = 10


def train_all(runs, jobs, workers, log_dir):
    """Trains the runs in `jobs` of the workers, the first runs first; ends the workers.

    workers: Workers, or those of ray_workers.py. Yields (run, folder) for each run that has ended,
    and (None, runs at work) about once a second. Raises CommandError if a worker cannot start.
    """
    waiting = collections.deque(runs)
    deaths = collections.Counter()
    try:
        for _ in range(min(jobs, len(runs))):
            workers.start()
        while waiting or workers.at_work():
            for worker, run, answer in workers.answers():
                if answer is None:
                    workers.end(worker)
                    if not worker.ready:
                        raise CommandError(f"a worker cannot start: {worker.why_it_died()}")
                    folder = run and after_death(worker, run, deaths, log_dir)
                    if run and not folder:
                        waiting.appendleft(run)
                else:
                    folder = run and after_answer(worker, run, answer, log_dir)
                    if waiting and worker.trained < RUNS_A_WORKER:
                        worker.train(waiting.popleft())
                    else:
                        workers.end(worker)
                if waiting and len(workers.all) < jobs:
                    workers.start()
                if folder:
                    yield run, folder
            yield None, workers.at_work()
    finally:
        workers.end_all()
        comparison_folder.clean(log_dir)


def after_answer(worker, run, answer, log_dir):
    """Moves the run that a worker has told of to its place; returns its folder there."""
    if "failure" in answer:
        return comparison_folder.record_failure(log_dir, worker.folder, run, answer["failure"])
    return comparison_folder.settle(log_dir, worker.folder)


def after_death(worker, run, deaths, log_dir):
    """The folder of the run whose worker died, or None if it shall be tried again."""
    folder = comparison_folder.settle(log_dir, worker.folder)
    if folder:
        return folder
    deaths[run.key] += 1
    if deaths[run.key] < ATTEMPTS:
        return None
    failure = {"reason": f"{worker.why_it_died()} ({ATTEMPTS} times)", "diverged": False}
    return comparison_folder.record_failure(log_dir, worker.folder, run, failure)


class Workers:
    """The processes of one comparison, each an instance of Worker, and what they say."""

    def __init__(self, command, log_dir, lock):
        self.command, self.log_dir, self.lock = command, log_dir, lock
        self.all = set()
        self.started = 0
        self.selector = selectors.DefaultSelector()

    def start(self):
        worker = Worker(self.command, self.log_dir, self.started, self.lock)
        self.started += 1
        self.all.add(worker)
        self.selector.register(worker.process.stdout, selectors.EVENT_READ, worker)

    def at_work(self):
        """The runs that are being trained."""
        return [worker.run for worker in self.all if worker.run]

    def answers(self):
        """Waits a second at most; yields (worker, its run or None, its answer, None if it died)."""
        for event, _ in self.selector.select(TICK_SECONDS):
            yield (event.data,) + event.data.answer()

    def end(self, worker):
        self.all.remove(worker)
        self.selector.unregister(worker.process.stdout)
        worker.end()

    def end_all(self):
        for worker in list(self.all):
            self.end(worker)
        self.selector.close()


class Worker:
    """A process, the run that it trains (None: it waits), and the folder in which it trains."""

    def __init__(self, command, log_dir, number, lock):
        self.folder = comparison_folder.unfinished_folder(log_dir, number)
        self.log_path = f"{self.folder}.log"
        self.run = None
        self.ready = False
        self.trained = 0
        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        with open(self.log_path, "wb") as log:
            # Not in our process group: Ctrl-C is for compare.py, which then ends its workers.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[lock],
                start_new_session=True,
            )

    def train(self, run):
        self.run = run
        arguments = run.arguments + [f"--log-dir={self.folder}", f"--run-name={run.name}"]
        order = {"network": run.network, "arguments": arguments, "folder": self.folder}
        # A worker that has just died is noticed where its answers are read.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()

    def answer(self):
        """(run or None, answer): a dictionary, the first when it is ready; None if it has died."""
        line = self.process.stdout.readline()
        run, self.run = self.run, None
        if not line.endswith(b"\n"):
            return run, None
        self.ready = True
        self.trained += run is not None
        return run, json.loads(line.decode())

    def why_it_died(self):
        """What its end and the last line that it wrote say."""
        code = self.process.wait()
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            said = [line.strip() for line in log if line.strip()][-1:]
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return ": ".join([f"its process ended with {how}"] + said)

    def end(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
