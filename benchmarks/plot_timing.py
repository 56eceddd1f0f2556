"""What the benchmarks of plot_losses.py share: 100 runs, and whole processes timed in turn."""

import itertools
import os
import platform
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from tests.made_runs import made_losses, write_run  # noqa: E402

NUM_RUNS, NUM_STEPS = 100, 3000
OPTIMIZERS = ("adam", "sgd", "momentum", "rmsprop", "adagrad")


def write_runs(folder):
    """100 runs of 3,000 steps: 2 networks, 5 optimizers, with and without batch norm, 5 seeds.

    Returns:
        {network: [float32 [3000]]}, the losses that were written.
    """
    losses = {"fc": [], "conv": []}
    settings = itertools.product(losses, OPTIMIZERS, (True, False), range(NUM_RUNS // 20))
    for number, (network, optimizer, batch_norm, seed) in enumerate(settings):
        losses[network].append(made_losses(NUM_STEPS, number))
        name = f"{optimizer}_{'batchnorm' if batch_norm else 'no_batchnorm'}-{seed}"
        run = os.path.join(folder, network, name)
        write_run(run, network, optimizer, batch_norm, seed, losses[network][-1])
    return losses


def plot_command(runs, output):
    return [sys.executable, os.path.join(ROOT, "plot_losses.py"), runs, "--output-dir", output]


def time_in_turn(commands, rounds):
    """Seconds of each command as a whole process: {name: [seconds of each round]}.

    The commands take turns, so that a busy moment of the machine falls on all of them. A first
    round, which fills the file cache and matplotlib's font cache, does not count.
    """
    seconds = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def print_times(seconds, packages):
    versions = ", ".join(f"{package.__name__} {package.__version__}" for package in packages)
    print(f"{NUM_RUNS} runs of {NUM_STEPS:,} steps; {os.cpu_count()} cores; ", end="")
    print(f"Python {platform.python_version()}, {versions}")
    for name, times in seconds.items():
        spread = f"{min(times):.2f} to {max(times):.2f}, n = {len(times)}"
        print(f"{name}: {statistics.median(times):.2f} s (median; {spread})")


def ratio(seconds, first, second):
    return statistics.median(seconds[first]) / statistics.median(seconds[second])
