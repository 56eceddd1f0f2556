"""Seconds of training until the test accuracy is 98 % (fc) or 99 % (conv), over several seeds.

The test set is looked at every 100 steps, and that look is not counted; compiling is. The learning
rate stays 0.002 throughout.
"""

import processes
import results

SEEDS = 5
# Left out for their time: how long their steps are, steps.py measures.
LEFT_OUT = ["this project, TensorFlow 1.15.5", "published program, TensorFlow 1.15.5"]
# A conv run of one of these takes minutes, five of them as long as all other parts.
LEFT_OUT_OF_CONV = ["Keras 3 fit, TensorFlow 2.21", "JAX 0.10, jit a step"]
# Network, its target, and after how many steps a run is given up.
TARGETS = [("fc, batch norm", "fc", 0.98, 10000), ("conv, batch norm", "conv", 0.99, 4000)]


def measure():
    machine = results.machine()
    measurements = []
    for label, network, target, most_steps in TARGETS:
        left_out = LEFT_OUT + (LEFT_OUT_OF_CONV if network == "conv" else [])
        names = [name for name in processes.MAIN_OF[network] if name not in left_out]
        contestants = processes.ready_contestants(names)
        for seed in range(SEEDS):
            arguments = ["--network", network, "--batch-norm", "--steps", most_steps]
            arguments += ["--target", target, "--seed", seed]
            jobs = [(label, contestant, arguments, False) for contestant in contestants]
            measurements += [dict(m, seed=seed) for m in processes.interleaved(jobs, 1)]
            results.save("time_to_accuracy", {"measurements": measurements}, machine)


def reached(measurement):
    """Whether the run came to its target rather than to its last step."""
    return "error" not in measurement and (
        measurement["accuracies"]["test"] >= measurement["arguments"]["target"]
    )
