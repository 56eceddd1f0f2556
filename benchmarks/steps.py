"""Milliseconds a training step, start-up and memory: fc and conv, with and without batch norm."""

import processes
import results

# Enough windows for a median, few enough that the slowest program is done in half a minute.
STEPS = {"fc": (1000, 100), "conv": (125, 25)}
ROUNDS = 3
# A convolution compiled into a loop by XLA takes a quarter of a second a step: once will do.
ONCE_ON_CONV = ["this project, TensorFlow 2.21, --xla", "JAX 0.10, scan over steps"]

NETWORKS = [
    ("fc, batch norm", "fc", ["--batch-norm"]),
    ("fc", "fc", []),
    ("conv, batch norm", "conv", ["--batch-norm"]),
    ("conv", "conv", []),
]


def measure():
    """Runs every contestant on every network, interleaved, and stores the measurements."""
    machine = results.machine()
    measurements = []
    for label, network, flags in NETWORKS:
        steps, window = STEPS[network]
        arguments = ["--network", network, "--steps", steps, "--window", window]
        arguments += ["--no-evaluation"] + flags
        once = ONCE_ON_CONV if network == "conv" else []
        contestants = processes.ready_contestants()
        jobs = [(label, c, arguments, False) for c in contestants if c not in once]
        measurements += processes.interleaved(jobs, ROUNDS)
        jobs = [(label, c, arguments, False) for c in contestants if c in once]
        measurements += processes.interleaved(jobs, 1)
        results.save("steps", {"measurements": measurements}, machine)


def step_times(measurements):
    """Milliseconds a step of one program: the median window of each process, after the first.

    The first window holds compilation and the filling of caches.
    """
    windows = [m["windows_ms"][1:] for m in measurements if "error" not in m]
    return [results.spread(w)["median"] for w in windows if w]
