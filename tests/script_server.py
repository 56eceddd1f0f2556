"""Runs scripts of this project in forks of one process that has imported TensorFlow already.

Importing it takes seconds, and most tests of a training process need many short ones. A fork is a
process like another: it has its own signals, limits and exit code. ScriptServer is the tests' side;
run as a program, this file is the other: it reads a line of JSON for each script to start, answers
with its process number, and writes its exit code to a file when it ends.
"""

import contextlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
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
        # Not in the folder of a script: tests fill its disk, or look at what is there.
        self._outputs = tempfile.TemporaryDirectory()
        self._started = []

    def start(
        self,
        folder,
        script,
        *arguments,
        path=(),
        environment=(),
        streams=None,
        nohup=False,
        cores=None,
    ):
        """A Process of this script, in this current folder.

        path: folders where imports look first; environment: {name: value} of further variables;
        streams: the files, pipes or the terminal to be standard input, output and error; nohup:
        whether the end of its terminal is ignored; cores: the only ones to be used, a list.
        """
        place = os.path.join(self._outputs.name, str(len(self._started)))
        request = {
            "arguments": [os.path.join(ROOT, script)] + [str(each) for each in arguments],
            "folder": str(folder),
            "path": [str(each) for each in path],
            "environment": dict(environment),
            "streams": streams or [os.devnull, f"{place}.stdout", f"{place}.stderr"],
            "nohup": nohup,
            "cores": cores,
        }
        self._server.stdin.write(json.dumps([place, request]) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        assert answer, "the server of scripts has ended"
        process = Process(script, int(answer), place)
        self._started.append(process)
        return process

    def run(self, *arguments, **keywords):
        """Runs the script to its end: (exit code, standard output, standard error)."""
        return self.start(*arguments, **keywords).wait()

    def close(self):
        for process in self._started:
            if process.code() is None:
                process.send_signal(signal.SIGKILL)
        self._server.stdin.close()
        self._server.wait()
        self._outputs.cleanup()


class Process:
    """A script that runs in a fork."""

    def __init__(self, script, pid, place):
        self.script, self.pid, self._place = script, pid, place

    def wait(self):
        """(exit code, standard output, standard error), once it has ended.

        pytest shows a failing test what its scripts said that failed.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.code() is None:
            assert time.monotonic() < deadline, f"{self.script} does not end: {self.stderr()}"
            time.sleep(0.002)
        if self.code() != 0:
            print(f"{self.script}: exit code {self.code()}: {self.stderr()}", file=sys.stderr)
        return self.code(), self.stdout(), self.stderr()

    def code(self):
        """The exit code, below 0 for a signal; None while it runs."""
        code = _text(f"{self._place}.code")
        return int(code) if code else None

    def stdout(self):
        """What it has printed so far."""
        return _text(f"{self._place}.stdout")

    def stderr(self):
        """What it has said so far."""
        return _text(f"{self._place}.stderr")

    def wait_for(self, text):
        """Waits until it has printed this text."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.stdout():
            assert self.code() is None and time.monotonic() < deadline, self.stderr()
            time.sleep(0.002)

    def send_signal(self, number):
        os.kill(self.pid, number)


def _text(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def serve():
    from graph_mode import tensorflow1  # noqa: F401
    from graph_mode.train import trainer  # noqa: F401

    tensorflow1.version()
    from tensorboard.plugins.hparams import summary  # noqa: F401
    from tensorboard.plugins.text import summary as text  # noqa: F401

    running = {}
    while True:
        if select.select([0], [], [], 0.005)[0]:
            request = sys.stdin.readline()
            if not request:
                return
            place, request = json.loads(request)
            pid = os.fork()
            if pid == 0:
                run_script(**request)
            running[pid] = place
            print(pid, flush=True)
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                with open(f"{running.pop(pid)}.code", "w") as file:
                    file.write(str(code))


def run_script(arguments, folder, path, environment, streams, nohup, cores):
    """Becomes the script: never returns."""
    code = 1
    try:
        os.chdir(folder)
        if cores:
            os.sched_setaffinity(0, cores)
        os.setsid()  # A terminal that is opened then is the one of the process.
        for descriptor, name in enumerate(streams):
            mode = os.O_WRONLY | os.O_CREAT if descriptor else os.O_RDONLY
            os.dup2(os.open(name, mode), descriptor)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)
        os.environ.update(environment)
        os.environ["PYTHONPATH"] = os.pathsep.join(path + [os.environ["PYTHONPATH"]])
        sys.argv = arguments
        sys.path[:0] = path
        # What lies there is imported from there, and this project finds it.
        hidden = {os.path.splitext(name)[0] for each in path for name in os.listdir(each)}
        hidden |= {"graph_mode", "mnist_data"} if hidden else set()
        for name in [name for name in sys.modules if name.split(".")[0] in hidden]:
            del sys.modules[name]
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            if isinstance(code, str):
                print(code, file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(1 if isinstance(code, str) else code)


if __name__ == "__main__":
    serve()
