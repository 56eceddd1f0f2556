"""Runs the measured programs as processes of their own, interleaved: A B A B, never A A B B."""

import json
import os
import subprocess
import sys
import tempfile
import time

import environments
from tqdm import tqdm

PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")

# Name in the tables: (environment, script in peers/, its mode).
CONTESTANTS = {
    "this project, TensorFlow 2.21": ("tensorflow2", "ours.py", "loop"),
    "this project, TensorFlow 2.21, --xla": ("tensorflow2", "ours.py", "xla"),
    "this project, TensorFlow 1.15.5": ("tensorflow1", "ours.py", "loop"),
    "published program, TensorFlow 1.15.5": ("tensorflow1", "published.py", "feed"),
    "published program, TensorFlow 2.21 with tf-keras": ("tf-keras", "published.py", "feed"),
    "Keras 3 fit, TensorFlow 2.21": ("tensorflow2", "keras_fit.py", "fit"),
    "PyTorch 2.13, eager": ("pytorch", "pytorch.py", "eager"),
    "PyTorch 2.13, torch.compile": ("pytorch", "pytorch.py", "compile"),
    "JAX 0.10, jit a step": ("jax", "jax_train.py", "jit"),
    "JAX 0.10, scan over steps": ("jax", "jax_train.py", "scan"),
}
# For the longer parts: variants that differ in the step alone stand once, at their best.
MAIN = [
    "this project, TensorFlow 2.21",
    "this project, TensorFlow 1.15.5",
    "published program, TensorFlow 1.15.5",
    "published program, TensorFlow 2.21 with tf-keras",
    "Keras 3 fit, TensorFlow 2.21",
    "PyTorch 2.13, eager",
]
MAIN_OF = {
    "fc": MAIN + ["JAX 0.10, scan over steps"],
    "conv": MAIN + ["JAX 0.10, jit a step"],
}
LONGEST_SECONDS = 1200


def run(contestant, arguments, log=False):
    """One process of `contestant`; returns what it reported, with `process_seconds` added.

    `arguments` are command line arguments shared by all programs; `log` lets it write the loss of
    every step as event files (the published program and this project always do).
    """
    environment, script, mode = CONTESTANTS[contestant]
    python = environments.python_of(environment)
    command = [python, os.path.join(PEERS, script), "--mode", mode] + list(map(str, arguments))
    with tempfile.TemporaryDirectory() as folder:
        if log or script in ("published.py", "ours.py"):
            command += ["--log-dir", folder]
        started = time.time()
        variables = dict(os.environ, BENCHMARK_STARTED=str(started))
        result = subprocess.run(
            command,
            capture_output=True,
            timeout=LONGEST_SECONDS,
            env=variables,
            cwd=str(environments.PROJECT),
        )
        seconds = time.time() - started
    if result.returncode:
        reason = result.stderr.decode(errors="replace").strip()[-2000:]
        raise RuntimeError(f"{' '.join(command)} failed with {result.returncode}:\n{reason}")
    measurement = json.loads(result.stdout.decode().strip().splitlines()[-1])
    for folder in ("log_dir", "data_dir"):  # temporary ones, of this machine
        measurement["arguments"].pop(folder, None)
    return dict(measurement, contestant=contestant, process_seconds=round(seconds, 3))


def interleaved(jobs, rounds):
    """Runs every (label, contestant, arguments, log) of `jobs` once a round, `rounds` times.

    Returns the measurements as a list of dicts with `label` and `round`; a program that fails is
    reported on standard error and leaves a measurement with only `error`.
    """
    measurements = []
    tasks = [(number, job) for number in range(rounds) for job in jobs]
    for number, (label, contestant, arguments, log) in tqdm(tasks, disable=None, leave=False):
        try:
            measurement = run(contestant, arguments, log)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"{contestant}: {error}", file=sys.stderr)
            measurement = {"contestant": contestant, "error": str(error).splitlines()[-1][:200]}
        measurements.append(dict(measurement, label=label, round=number))
    return measurements


def ready_contestants(names=tuple(CONTESTANTS)):
    """Those of `names` that are set up, in table order."""
    return [
        name
        for name, (environment, _, _) in CONTESTANTS.items()
        if name in names and environments.python_of(environment)
    ]
