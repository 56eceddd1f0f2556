"""A run has the numbers that runs of record.NUMBERS have, on every TensorFlow, up to rounding.
If the code shall give other numbers from now on, raise record.NUMBERS, write data/numbers.json anew
by `python tests/test_numbers.py`, and train again what `make results-stale` lists."""

import os
import tempfile

import numpy as np
import pytest
from helpers import ROOT, SCRIPTS, read_scalars

from graph_mode.runs import record

RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "numbers.json")
COMMANDS = (
    "fc",
    "fc --batch-norm --batch-norm-momentum 0.9 --batch-norm-position after --activation tanh",
    "fc --batch-norm --optimizer momentum --loss softmax --hidden-bias --schedule one-cycle",
    "conv",
    "conv --batch-norm --optimizer rmsprop --filters-step 8 --layers 2",
)


def numbers_of(command, folder):
    """The losses of the first 10 steps, and those of validation and test set."""
    network, *flags = command.split()
    flags += ["--num-batches=10", f"--log-dir={folder}"]
    written = SCRIPTS[network].main(flags)
    result = record.read_json(os.path.join(written, "result.json"))
    losses = list(read_scalars(os.path.join(written, "train"), "loss").values())
    return {"losses": losses, **{name: result[name] for name in result if "loss" in name}}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_has_the_recorded_numbers(command, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    recorded = record.read_json(RECORDED)
    assert recorded["numbers"] == record.NUMBERS
    found = numbers_of(command, tmp_path)
    assert set(found) == set(recorded[command])
    for name, expected in recorded[command].items():
        np.testing.assert_allclose(found[name], expected, rtol=3e-3, err_msg=name)


if __name__ == "__main__":
    numbers = {command: numbers_of(command, tempfile.mkdtemp()) for command in COMMANDS}
    record.write_json(RECORDED, {"numbers": record.NUMBERS, **numbers})
