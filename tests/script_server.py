"""Runs scripts of this project in forks of one process that has imported TensorFlow already.

Importing it takes seconds, and most tests of a training process need many short ones. A fork is a
process like another: it has its own signals, limits and exit code. ScriptServer is the tests' side;
run as a program, this file is the other: a line of JSON for each script to start, on standard
input; on standard output its process number, and later that number with the exit code.
"""

import json
import os
import queue
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from helpers import ROOT

PATIENCE_SECONDS = 120


class ScriptServer:
    """Starts scripts; what still runs when it is closed is killed."""

    def __init__(self):
        path = [ROOT, os.path.join(ROOT, "tests"), os.environ.get("PYTHONPATH")]
        self._server = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, path))),
            universal_newlines=True,
        )
        # Two lines may come at once: select() would not see the one that waits in Python's buffer.
        self._lines = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._outputs = tempfile.TemporaryDirectory()
        self._codes = {}
        self._started = []

    def start(self, folder, script, *arguments, path=(), cores=None):
        """A Process of this script, in this current folder; imports look into `path` first.

        cores: the only ones that the process may use, a list.
        """
        # Not in the folder: tests fill its disk, or look at what is there.
        process = Process(self, os.path.join(self._outputs.name, str(len(self._started))))
        arguments = [os.path.join(ROOT, script)] + [str(each) for each in arguments]
        request = [arguments, str(folder), [str(each) for each in path], cores]
        request += [process.stdout_path, process.stderr_path]
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        process.pid = self._read(lambda words: words[0] if len(words) == 1 else None)
        self._started.append(process)
        return process

    def run(self, *arguments, **keywords):
        """Runs the script to its end: (exit code, standard output, standard error)."""
        return self.start(*arguments, **keywords).wait()

    def code_of(self, pid):
        """Waits until the process ends, and gives its exit code: below 0 for a signal."""
        if pid not in self._codes:
            self._read(lambda words: self._codes.get(pid))
        return self._codes[pid]

    def close(self):
        for process in self._started:
            if process.pid not in self._codes:
                os.kill(process.pid, signal.SIGKILL)
                self.code_of(process.pid)
        self._server.stdin.close()
        self._server.wait()
        self._outputs.cleanup()

    def _listen(self):
        for line in self._server.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _read(self, wanted):
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE_SECONDS)
            except queue.Empty:
                raise AssertionError("a script does not end") from None
            words = [int(word) for word in line.split()]
            assert words, "the server of scripts has ended"
            if len(words) == 2:
                self._codes[words[0]] = words[1]
            found = wanted(words)
            if found is not None:
                return found


class Process:
    """A script that runs in a fork."""

    def __init__(self, server, path):
        self._server = server
        self.stdout_path = f"{path}.stdout"
        self.stderr_path = f"{path}.stderr"
        for path in (self.stdout_path, self.stderr_path):
            open(path, "x").close()
        self.pid = None

    def wait(self):
        """(exit code, standard output, standard error), once it has ended."""
        code = self._server.code_of(self.pid)
        return code, self.stdout(), _text(self.stderr_path)

    def stdout(self):
        """What it has printed so far."""
        return _text(self.stdout_path)

    def wait_for(self, text):
        """Waits until it has printed this text."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.stdout():
            assert time.monotonic() < deadline, _text(self.stderr_path)
            time.sleep(0.002)

    def send_signal(self, number):
        os.kill(self.pid, number)


def _text(path):
    with open(path) as file:
        return file.read()


def serve():
    from graph_mode import tensorflow1  # noqa: F401
    from graph_mode.train import trainer  # noqa: F401

    tensorflow1.version()
    from tensorboard.plugins.hparams import summary  # noqa: F401
    from tensorboard.plugins.text import summary as text  # noqa: F401

    running = set()
    while True:
        if select.select([0], [], [], 0.01)[0]:
            request = sys.stdin.readline()
            if not request:
                return
            pid = os.fork()
            if pid == 0:
                run_script(*json.loads(request))
            running.add(pid)
            print(pid, flush=True)
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                running.discard(pid)
                code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                print(pid, code, flush=True)


def run_script(arguments, folder, path, cores, stdout_path, stderr_path):
    """Becomes the script: never returns."""
    code = 1
    try:
        os.chdir(folder)
        if cores:
            os.sched_setaffinity(0, cores)
        for name, descriptor in ((os.devnull, 0), (stdout_path, 1), (stderr_path, 2)):
            os.dup2(os.open(name, os.O_RDWR), descriptor)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = arguments
        sys.path[:0] = path
        hidden = {name for each in path for name in os.listdir(each)}
        for name in [name for name in sys.modules if name.split(".")[0] in hidden]:
            del sys.modules[name]
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
