"""Runs scripts of this project in forks of one process that has imported TensorFlow already.
A fork is a process like another: it has its own signals, limits and exit code."""

import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import signal
import sys
import tempfile
import time
import traceback
from unittest import mock

from helpers import ROOT

PATIENCE_SECONDS = 120


class ScriptServer:
    """Starts scripts; what still runs when it is closed is killed."""

    def __init__(self):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["preloaded"])
        path = [ROOT, os.path.join(ROOT, "tests"), os.environ.get("PYTHONPATH")]
        with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, path))):
            multiprocessing.forkserver.ensure_running()
        # Not in the folder of a script: tests fill its disk, or look at what is there.
        self._outputs = tempfile.TemporaryDirectory()
        self._started = []

    def start(self, folder, script, *arguments, **options):
        """A Process of this script, in this current folder. options: those of run_script()."""
        place = os.path.join(self._outputs.name, str(len(self._started)))
        options.setdefault("streams", [os.devnull, f"{place}.stdout", f"{place}.stderr"])
        words = [os.path.join(ROOT, script)] + [str(each) for each in arguments]
        fork = self._context.Process(target=run_script, args=(words, str(folder)), kwargs=options)
        fork.start()
        self._started.append(Process(script, fork, place))
        return self._started[-1]

    def run(self, *arguments, **keywords):
        """Runs the script to its end: (exit code, standard output, standard error)."""
        return self.start(*arguments, **keywords).wait()

    def close(self):
        for process in self._started:
            process.fork.kill()
        self._outputs.cleanup()


class Process:
    """A script that runs in a fork."""

    def __init__(self, script, fork, place):
        self.script, self.fork, self.pid, self._place = script, fork, fork.pid, place

    def wait(self):
        """(exit code, below 0 for a signal, standard output, standard error) at its end."""
        self.fork.join(PATIENCE_SECONDS)
        code, stdout, stderr = self.fork.exitcode, self._read("stdout"), self._read("stderr")
        assert code is not None, f"{self.script} does not end: {stderr}"
        if code != 0:  # for pytest to show if the test fails
            print(f"{self.script}: exit code {code}: {stderr}", file=sys.stderr)
        return code, stdout, stderr

    def wait_for(self, text):
        """Waits until it has printed this text."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self._read("stdout"):
            assert self.fork.is_alive() and time.monotonic() < deadline, self._read("stderr")
            time.sleep(0.002)

    def _read(self, stream):
        with contextlib.suppress(FileNotFoundError), open(f"{self._place}.{stream}") as file:
            return file.read()
        return ""

    def send_signal(self, number):
        os.kill(self.pid, number)


def run_script(arguments, folder, streams, path=(), nohup=False, cores=None):
    """Becomes the script: never returns. streams: the files, pipes or the terminal to be standard
    input, output and error; path: folders where imports look first; nohup: whether the end of its
    terminal is ignored; cores: the only ones to be used, a list."""
    code = 1
    try:
        multiprocessing.set_start_method("fork", force=True)  # as of a process of its own
        os.chdir(folder)
        if cores:
            os.sched_setaffinity(0, cores)
        os.setsid()  # A terminal that is opened then is the one of the process.
        for descriptor, name in enumerate(streams):
            mode = os.O_WRONLY | os.O_CREAT if descriptor else os.O_RDONLY
            os.dup2(os.open(name, mode), descriptor)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)
        os.environ["PYTHONPATH"] = os.pathsep.join([*path, os.environ["PYTHONPATH"]])
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
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
