"""Kills training at random instants, resumes it, and compares with a run that was left alone.

    python tests/kills.py 30 [SEED]

Both networks, without and with batch normalization, on a small part of MNIST. The instants are
spread evenly over the life of a process: imports, training, checkpoints, the last writes. In the
end every scalar, printed line and tensor of a checkpoint must be, bit for bit, that of the run
which nobody killed; the exit code is 1 if one is not. The seed makes the same instants again.
"""

import contextlib
import json
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
from tqdm import tqdm  # noqa: E402

from graph_mode.runs import checkpoints, record  # noqa: E402

NUM_BATCHES = 200
FLAGS = f"--num-batches={NUM_BATCHES} --validate-every=20 --checkpoint-every=7 --batch-size=32"
FLAGS = FLAGS.split(" ") + ["--validation-size=100"]


def latest_run(folder, network):
    """The path of the latest run below the folder, and the steps that its last checkpoint holds;
    (None, 0) without a checkpoint."""
    parent = os.path.join(folder, "runs", network)
    with contextlib.suppress(FileNotFoundError):
        run = max((os.path.join(parent, name) for name in os.listdir(parent)), key=os.path.getmtime)
        if checkpoints.latest(run):
            return run, int(checkpoints.latest(run).split("-")[-1]) + 1
    return None, 0


def train(folder, network, flags, kill_after=None):
    """Goes on with the latest run below the folder, or begins one; returns whether it came to its
    end by itself. The process is killed after so many seconds. Raises AssertionError if it failed.
    """
    command = [sys.executable, os.path.join(ROOT, f"{network}_train.py")]
    run, _ = latest_run(folder, network)
    command += ["--resume", os.path.relpath(run, folder)] if run else flags + FLAGS
    printed, errors = os.path.join(folder, "printed"), os.path.join(folder, "errors")
    with open(printed, "ab") as stdout, open(errors, "wb") as stderr:
        process = subprocess.Popen(command, cwd=folder, stdout=stdout, stderr=stderr)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(kill_after)
        process.kill()
        code = process.wait()
    with open(errors) as file:
        # A note, such as that moving averages lag, is part of a run that goes well.
        said = "".join(line for line in file if ": note: " not in line)
    assert code == 0 or (code == -9 and kill_after is not None), f"exit code {code}: {said}"
    assert said == "", said
    return code == 0


def contents(folder, network):
    """What the latest run holds, and every line that was printed."""
    with open(os.path.join(folder, "printed")) as file:
        return dict(run_contents(latest_run(folder, network)[0]), printed=sorted(set(file)))


def try_network(network, flags, folder, kills, chance, progress):
    """Kills training so many times. Returns how many runs ended equal to the one left alone.

    Raises AssertionError for one that did not.
    """

    def start_over():
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)

    start_over()
    started = time.monotonic()
    train(folder, network, flags)
    life = time.monotonic() - started
    with open(os.path.join(latest_run(folder, network)[0], record.RESULT)) as file:
        training = json.load(file)["seconds"]
    expected = contents(folder, network)
    start_over()
    fractions = [(number + chance.random()) / kills for number in range(kills)]
    chance.shuffle(fractions)
    compared, instants = 0, []
    while True:
        instant = None
        if fractions:
            remaining = 1 - latest_run(folder, network)[1] / NUM_BATCHES
            instant = fractions.pop() * (life - training + training * remaining)
            instants.append(f"{instant:.2f}")
        if not train(folder, network, flags, instant):
            progress.update()
        elif instant is not None:
            # It ended before its kill: another instant takes the place of that one.
            fractions.append(chance.random())
        run, _ = latest_run(folder, network)
        if run and record.has_result(run):
            found = differences(expected, contents(folder, network))
            assert not found, f"after {', '.join(instants)} s differ: {'; '.join(found[:8])}"
            compared += 1
            if not fractions:
                return compared
            start_over()
            instants = []


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
    print(f"{kills} kills, seed {seed}", flush=True)
    chance = random.Random(seed)
    place = tempfile.mkdtemp(prefix="kills-")
    data_dir = write_small_mnist(os.path.join(place, "data"))
    networks = [(n, b) for n in ("fc", "conv") for b in ("--no-batch-norm", "--batch-norm")]
    failures = 0
    with tqdm(total=kills, unit="kill", leave=False, disable=None) as progress:
        for number, (network, batch_norm) in enumerate(networks):
            share = (kills + number) // len(networks)
            folder, flags = os.path.join(place, network + batch_norm), ["--data-dir", data_dir]
            if share == 0:
                continue
            try:
                flags += [batch_norm]
                runs = try_network(network, flags, folder, share, chance, progress)
                line = f"{share} kills, {runs} runs, each equal to the one left alone"
            except AssertionError as problem:
                failures += 1
                line = f"FAILED: {problem}; see {folder}"
            tqdm.write(f"{network} {batch_norm}: {line}")
    if failures == 0:
        shutil.rmtree(place)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
