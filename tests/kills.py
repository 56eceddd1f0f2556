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
import re
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

NETWORKS = [
    (network, batch_norm)
    for network in ("fc", "conv")
    for batch_norm in ("--no-batch-norm", "--batch-norm")
]
NUM_BATCHES = 200
FLAGS = f"--num-batches={NUM_BATCHES} --validate-every=20 --checkpoint-every=7 --batch-size=32"
FLAGS = FLAGS.split(" ") + ["--validation-size=100"]


class Trial:
    """Runs of one network with the same flags, below one folder."""

    def __init__(self, network, batch_norm, data_dir, folder):
        self.network = network
        self.folder = folder
        self.flags = ["--data-dir", data_dir, batch_norm] + FLAGS
        self.start_over()

    def start_over(self):
        """Forgets the runs so far."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)

    def run(self):
        """The path of the latest run, or None."""
        parent = os.path.join(self.folder, "runs", self.network)
        with contextlib.suppress(FileNotFoundError):
            return max((os.path.join(parent, name) for name in os.listdir(parent)), key=_age)

    def steps_done(self):
        """The steps of the latest run that its last checkpoint holds, or None without one."""
        run = self.run()
        checkpoint = run and checkpoints.latest(run)
        return int(checkpoint.split("-")[-1]) + 1 if checkpoint else None

    def train(self, kill_after=None):
        """Goes on with the latest run, or begins one; True if it came to its end by itself.

        The process is killed after so many seconds. Raises AssertionError if it failed.
        """
        command = [sys.executable, os.path.join(ROOT, f"{self.network}_train.py")]
        if self.steps_done() is None:
            command += self.flags
        else:
            command += ["--resume", os.path.relpath(self.run(), self.folder)]
        with open(os.path.join(self.folder, "printed"), "ab") as printed, tempfile.TemporaryFile(
            "w+"
        ) as errors:
            process = subprocess.Popen(command, cwd=self.folder, stdout=printed, stderr=errors)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(kill_after)
            process.kill()
            code = process.wait()
            errors.seek(0)
            # A note, such as that moving averages lag, is part of a run that goes well.
            said = "".join(line for line in errors if ": note: " not in line)
        assert code == 0 or (code == -9 and kill_after is not None), f"exit code {code}: {said}"
        assert said == "", said
        return code == 0

    def is_complete(self):
        run = self.run()
        return run is not None and record.has_result(run)

    def contents(self):
        """What the latest run holds, and every line that was printed."""
        with open(os.path.join(self.folder, "printed")) as file:
            return dict(run_contents(self.run()), printed=sorted(set(file)))


def _age(run):
    return int(re.search("-([0-9]+)$", run).group(1)) if re.search("-[0-9]+$", run) else 1


def try_network(trial, kills, chance, progress):
    """Kills training so many times. Returns how many runs ended equal to the one left alone.

    Raises AssertionError for one that did not.
    """
    started = time.monotonic()
    trial.train()
    life = time.monotonic() - started
    with open(os.path.join(trial.run(), record.RESULT)) as file:
        training = json.load(file)["seconds"]
    expected = trial.contents()
    trial.start_over()
    fractions = [(number + chance.random()) / kills for number in range(kills)]
    chance.shuffle(fractions)
    compared, instants = 0, []
    while True:
        instant = None
        if fractions:
            remaining = 1 - (trial.steps_done() or 0) / NUM_BATCHES
            instant = fractions.pop() * (life - training + training * remaining)
            instants.append(f"{instant:.2f}")
        if not trial.train(kill_after=instant):
            progress.update()
        elif instant is not None:
            # It ended before its kill: another instant takes the place of that one.
            fractions.append(chance.random())
        if trial.is_complete():
            found = differences(expected, trial.contents())
            assert not found, f"after {', '.join(instants)} s differ: {'; '.join(found[:8])}"
            compared += 1
            if not fractions:
                return compared
            trial.start_over()
            instants = []


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
    print(f"{kills} kills, seed {seed}", flush=True)
    chance = random.Random(seed)
    place = tempfile.mkdtemp(prefix="kills-")
    data_dir = write_small_mnist(os.path.join(place, "data"))
    failures = 0
    with tqdm(total=kills, unit="kill", leave=False, disable=None) as progress:
        for number, (network, batch_norm) in enumerate(NETWORKS):
            share = (kills + number) // len(NETWORKS)
            if share == 0:
                continue
            name = f"{network} {batch_norm}"
            trial = Trial(network, batch_norm, data_dir, os.path.join(place, name.replace(" ", "")))
            try:
                compared = try_network(trial, share, chance, progress)
                line = f"{name}: {share} kills, {compared} runs, each equal to the one left alone"
            except AssertionError as problem:
                failures += 1
                line = f"{name}: FAILED: {problem}; see {trial.folder}"
            tqdm.write(line)
            sys.stdout.flush()
    if failures == 0:
        shutil.rmtree(place)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
