"""What limits a step: the work counted from the network's shapes, against what the machine can do.

The floor of a step is the sum over its operations of the longer of two times: its floating-point
operations at this machine's matrix-multiply speed, its bytes at this machine's copy speed.
"""

import json
import os
import subprocess
import sys

import environments
import processes
import results

BATCH = 128
FLOAT_BYTES = 4
CLASSES = 10
# Passes over a hidden layer's values: ReLU forward (read, write) and backward (two reads, write).
RELU_PASSES = 5
# Forward: read for the statistics; read and write to normalize. Backward: two reads for the sums;
# two reads and a write for the gradient.
BATCH_NORM_PASSES = 8
# Adam reads gradient, parameter and both moments, and writes all but the gradient.
ADAM_PASSES = 7


def layers_of(network):
    """The layers as dicts: kind, inputs and outputs of a batch, parameters, flops forward."""
    layers = []
    units, inputs = [256, 128, 64, 32, 16], 28 * 28
    if network == "conv":
        size, channels = 28, 1
        for index in range(1, 6):
            filters, stride = 4 * index, 2 if index % 3 == 0 else 1
            outputs_size = -(-size // stride)
            parameters = 3 * 3 * channels * filters
            layers.append(
                {
                    "kind": f"conv {channels}->{filters}, {outputs_size}x{outputs_size}",
                    "inputs": BATCH * size * size * channels,
                    "outputs": BATCH * outputs_size**2 * filters,
                    "parameters": parameters,
                    "flops": 2 * BATCH * outputs_size**2 * parameters,
                }
            )
            size, channels = outputs_size, filters
        units, inputs = [100], size * size * channels
    for outputs in units + [CLASSES]:
        layers.append(
            {
                "kind": f"dense {inputs}->{outputs}",
                "inputs": BATCH * inputs,
                "outputs": BATCH * outputs,
                "parameters": inputs * outputs + (CLASSES if outputs == CLASSES else 0),
                "flops": 2 * BATCH * inputs * outputs,
            }
        )
        inputs = outputs
    return layers


def operations(network, batch_norm):
    """(name, flops, bytes) of every operation of a training step, the least that each must do."""
    found = []
    layers = layers_of(network)
    for index, layer in enumerate(layers):
        # Forward, kernel gradient and, but for the first layer, input gradient: each reads two of
        # inputs, outputs and parameters, and writes the third.
        moved = FLOAT_BYTES * (layer["inputs"] + layer["outputs"] + layer["parameters"])
        multiplications = 3 if index else 2
        found.append((layer["kind"], multiplications * layer["flops"], multiplications * moved))
        if index < len(layers) - 1:
            values = FLOAT_BYTES * layer["outputs"]
            found.append(("ReLU", 0, RELU_PASSES * values))
            if batch_norm:
                found.append(("batch norm", 0, BATCH_NORM_PASSES * values))
    parameters = sum(layer["parameters"] for layer in layers)
    found.append(("Adam", 0, ADAM_PASSES * FLOAT_BYTES * parameters))
    return found


def floor_milliseconds(network, batch_norm, speed):
    """{'flops', 'bytes', 'parameters', 'floor_ms', 'groups': {name: ms}} for measured `speed`."""
    groups = {}
    flops_a_ms = speed["matmul_gigaflops"] * 1e6
    bytes_a_ms = speed["copy_gigabytes"]["cached"] * 1e6
    counted = operations(network, batch_norm)
    for name, flops, moved in counted:
        group = name.split(" ")[0] if name[:4] in ("conv", "dens") else name
        groups[group] = groups.get(group, 0) + max(flops / flops_a_ms, moved / bytes_a_ms)
    return {
        "megaflops": sum(flops for _, flops, _ in counted) / 1e6,
        "megabytes": sum(moved for _, _, moved in counted) / 1e6,
        "parameters": sum(layer["parameters"] for layer in layers_of(network)),
        "floor_ms": sum(groups.values()),
        "groups": groups,
    }


def measure():
    machine = results.machine()
    speed = run_script("machine_speed.py", [])
    profiles = {
        f"{network}{', batch norm' if flags else ''}": run_script(
            "profile_step.py", ["--network", network] + flags
        )
        for network in ("fc", "conv")
        for flags in (["--batch-norm"], [])
    }
    results.save("limits", {"speed": speed, "profiles": profiles}, machine)


def run_script(script, arguments):
    """The JSON line of peers/`script` in this project's TensorFlow 2 environment."""
    path = os.path.join(processes.PEERS, script)
    command = [environments.python_of("tensorflow2"), path] + arguments
    result = subprocess.run(command, stdout=subprocess.PIPE, cwd=str(environments.PROJECT))
    if result.returncode:
        sys.exit(f"benchmarks: {script} failed with exit code {result.returncode}")
    return json.loads(result.stdout.decode().strip().splitlines()[-1])
