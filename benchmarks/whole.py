"""Seconds of a whole process of 3,000 steps, with the loss of every step written and evaluations.

From the start of the interpreter to its end: importing, loading MNIST, compiling, training,
validation every 500 steps, validation and test at the end. And start-up alone: up to the end of the
first training step. And the largest resident memory of the process.
"""

import processes
import results

STEPS = 3000
# A conv run takes a minute or two, a fc run some seconds.
ROUNDS = {"fc": 3, "conv": 1}
# Two to five minutes each on conv, where the steps alone say how they compare.
LEFT_OUT_OF_CONV = ["Keras 3 fit, TensorFlow 2.21", "JAX 0.10, jit a step"]
NETWORKS = [("fc, batch norm", "fc"), ("conv, batch norm", "conv")]


def measure():
    machine = results.machine()
    startup, whole = [], []
    for label, network in NETWORKS:
        left_out = LEFT_OUT_OF_CONV if network == "conv" else []
        names = [name for name in processes.MAIN_OF[network] if name not in left_out]
        contestants = processes.ready_contestants(names)
        arguments = ["--network", network, "--batch-norm"]
        first_step = arguments + ["--steps", 1, "--no-evaluation"]
        jobs = [(label, contestant, first_step, False) for contestant in contestants]
        startup += processes.interleaved(jobs, ROUNDS["fc"])
        jobs = [(label, c, arguments + ["--steps", STEPS], True) for c in contestants]
        whole += processes.interleaved(jobs, ROUNDS[network])
        results.save("whole", {"startup": startup, "whole": whole}, machine)
