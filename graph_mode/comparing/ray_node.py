"""What compare.py --ray runs on a node of the cluster. Nothing but the standard library: Ray sends
this file's code to nodes that have neither the project nor its data, and the project with it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile


def read_tree(folder):
    """{path below the folder: bytes} of every file in it."""
    files = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                files[os.path.relpath(path, folder)] = file.read()
    return files


def write_tree(folder, files):
    """Writes what read_tree has read, below the folder."""
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


class Trainer:
    """A process that trains run after run, as worker.py does on the caller's machine."""

    def __init__(self, project, script, word):
        """project: {path: bytes}; `python script word` is what serves runs there."""
        self.scratch = tempfile.mkdtemp(prefix="compare-")
        self.folder = os.path.join(self.scratch, "runs")
        self.log = tempfile.TemporaryFile()
        self.data_dirs = {}
        write_tree(os.path.join(self.scratch, "project"), project)
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(self.scratch, "project", script), word],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            start_new_session=True,
        )

    def answer(self):
        """Waits for the process to say something; {"died": why} if it has ended instead."""
        line = self.process.stdout.readline()
        return json.loads(line.decode()) if line.endswith(b"\n") else {"died": self.why_it_died()}

    def train(self, network, arguments, name, data_name, data):
        """Trains a run on data {file name: bytes}; the answer has its files, {path: bytes}."""
        if data_name not in self.data_dirs:
            data_dir = os.path.join(self.scratch, "data", str(len(self.data_dirs)))
            write_tree(data_dir, data)
            self.data_dirs[data_name] = data_dir
        arguments = arguments + [
            f"--data-dir={self.data_dirs[data_name]}",
            f"--log-dir={self.folder}",
            f"--run-name={name}",
        ]
        order = {"network": network, "arguments": arguments, "folder": self.folder}
        try:
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return {"died": self.why_it_died(), "files": {}}
        answer = self.answer()
        answer["files"] = read_tree(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        return answer

    def why_it_died(self):
        code = self.process.wait()
        self.log.seek(0)
        lines = self.log.read().decode("utf-8", "replace").splitlines()
        said = [line.strip() for line in lines if line.strip()][-1:]
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return ": ".join([f"its process ended with {how}"] + said)

    def end(self):
        """Stops the process, whatever it is at, and leaves nothing on the node."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)
