"""Kills training at random instants, resumes it, and compares with a run that was left alone.

    python tests/kills.py 30 [SEED]

Both networks, without and with batch normalization, on a small part of MNIST. The instants are
anywhere in the life of a process: imports, training, checkpoints, the last writes. In the end, each
scalar and tensor must be, bit for bit, that of the run which nobody killed; else it ends with an
AssertionError. The seed makes the same instants again."""

import contextlib
import glob
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]

from helpers import differences, run_contents, write_small_mnist  # noqa: E402

from graph_mode.runs import checkpoints, record  # noqa: E402

FLAGS = "--num-batches=200 --validate-every=20 --checkpoint-every=7 --batch-size=32"
FLAGS = FLAGS.split() + ["--validation-size=100"]


def latest_run(folder):
    """The path of the latest run below the folder that has a checkpoint; None if there is none."""
    found = glob.glob(os.path.join(folder, "runs", "*", "*"))
    return max(filter(checkpoints.latest, found), key=os.path.getmtime, default=None)


def train(folder, network, flags, kill_after=None):
    """Goes on with the latest run below the folder, or begins one, until it is killed after so many
    seconds; returns whether it came to its end. Raises AssertionError if it failed."""
    os.makedirs(folder, exist_ok=True)
    command = [sys.executable, os.path.join(ROOT, f"{network}_train.py")]
    run = latest_run(folder)
    command += ["--resume", os.path.relpath(run, folder)] if run else flags
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=stderr)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(kill_after)
        process.kill()
        code = process.wait()
        stderr.seek(0)
        # A note, such as that moving averages lag, is part of a run that goes well.
        said = [line for line in stderr.read().decode().splitlines() if ": note: " not in line]
    # Killed in TensorFlow's import, a process shows the lines that are dropped otherwise.
    assert code == -9 or (code == 0 and not said), f"exit code {code}: {said}"
    return code == 0


def try_network(network, flags, folder, kills, chance):
    """Kills training so many times. Returns how many runs ended equal to the one left alone."""
    alone, killed = os.path.join(folder, "alone"), os.path.join(folder, "killed")
    started = time.monotonic()
    train(alone, network, flags)
    life, expected = time.monotonic() - started, run_contents(latest_run(alone))
    compared = 0
    while kills or os.path.exists(killed):
        kills -= not train(killed, network, flags, chance.uniform(0, life) if kills else None)
        run = latest_run(killed)
        if run and record.has_result(run):
            found = differences(expected, run_contents(run))
            assert not found, f"differ: {'; '.join(found[:8])}; see {killed}"
            compared += 1
            shutil.rmtree(killed)
    return compared


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
    print(f"{kills} kills, seed {seed}", flush=True)
    chance = random.Random(seed)
    place = tempfile.mkdtemp(prefix="kills-")
    flags = FLAGS + ["--data-dir", write_small_mnist(os.path.join(place, "data"))]
    networks = [(n, b) for n in ("fc", "conv") for b in ("--no-batch-norm", "--batch-norm")]
    for number, (network, batch_norm) in enumerate(networks):
        share = (kills + number) // len(networks)
        folder = os.path.join(place, network + batch_norm)
        runs = try_network(network, [*flags, batch_norm], folder, share, chance)
        print(f"{network} {batch_norm}: {share} kills, {runs} runs equal to the one left alone")
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
