"""--fast: a recipe of flags, which what is given besides overrides."""

import importlib
import os
import sys

import pytest
from helpers import ROOT, SCRIPTS

import fc_train
from graph_mode import machine
from graph_mode.command_line import CommandError
from graph_mode.runs import record


@pytest.mark.parametrize("script", SCRIPTS.values())
def test_fast_is_the_recipe_and_a_flag_given_besides_wins(script):
    def own_values(*arguments):
        flags = vars(script.parse_flags(list(arguments)))
        return {name: flags[name] for name in recipe}

    recipe = script.fast([])
    assert own_values("--fast") == recipe != own_values()
    given = own_values("--fast", "--no-batch-norm", "--num-batches", "3")
    assert given == {**recipe, "batch_norm": False, "num_batches": 3}
    sizes = {"--fast": [256, 128], "--hidden-units=9,9": [9, 9], "--layers=1": [256]}
    for flag, units in sizes.items() if script is fc_train else ():
        assert fc_train.parse_flags(["--fast", flag]).hidden_units == units


def test_settings_hold_what_fast_stands_for_and_the_folder_is_named_by_it(small, tmp_path):
    folder = fc_train.main([*small, "--fast", "--num-batches=2", f"--log-dir={tmp_path}"])
    named = fc_train.parse_flags(["--fast", "--num-batches=2", "--loss=sigmoid"]).default_name
    assert named == "adam_batchnorm_fast_num-batches-2"
    assert os.path.basename(folder).startswith(named)
    flags = record.read_settings(folder)["flags"]
    expected = {"learning_rate": 0.02, "schedule": "one-cycle", "num_batches": 2}
    assert {**flags, **expected} == flags and "fast" not in flags
    with pytest.raises(CommandError, match="leave out --fast"):
        fc_train.parse_flags(["--resume", folder, "--fast"])


@pytest.mark.skipif(machine.WINDOWS, reason="the benchmarks measure memory by a module of Unix")
@pytest.mark.parametrize("network", SCRIPTS)
def test_the_benchmark_gives_every_contestant_this_recipe(network, monkeypatch):
    monkeypatch.syspath_prepend(os.path.join(ROOT, "benchmarks", "peers"))
    measuring = importlib.import_module("measuring")
    monkeypatch.setattr(sys, "argv", ["measured", "--network", network, "--fast"])
    arguments = measuring.parse_arguments("", ["default"])
    flags = SCRIPTS[network].parse_flags(["--fast"])
    shared = ("batch_norm", "learning_rate", "batch_size")
    assert [getattr(arguments, n) for n in shared] == [getattr(flags, n) for n in shared]
    assert (arguments.steps, arguments.momentum) == (flags.num_batches, flags.batch_norm_momentum)
    recipe = measuring.network_of(arguments)
    if network == "fc":
        assert list(recipe.hidden_units) == flags.hidden_units
    else:
        expected = [(flags.filters_step * (i + 1), 2) for i in range(flags.layers)]
        assert list(recipe.convolutions) == expected
        assert (recipe.kernel_size, flags.stride_every) == (flags.kernel_size, 1)
        assert list(recipe.hidden_units) == [flags.dense_units]
