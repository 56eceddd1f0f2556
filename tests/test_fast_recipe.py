"""--fast: a recipe of flags, which what is given besides overrides."""

import importlib
import os
import sys

import pytest
from helpers import ROOT

import conv_train
import fc_train
from graph_mode import machine
from graph_mode.command_line import CommandError
from graph_mode.runs import record


@pytest.mark.parametrize("script", [fc_train, conv_train])
def test_fast_is_the_recipe_and_a_flag_given_besides_wins(script):
    def own_values(*arguments):
        flags = vars(script.parse_flags(list(arguments)))
        return {name: flags[name] for name in recipe}

    recipe = script.fast([])
    assert own_values("--fast") == recipe != own_values()
    given = own_values("--fast", "--no-batch-norm", "--num-batches", "3")
    assert given == {**recipe, "batch_norm": False, "num_batches": 3}


@pytest.mark.parametrize(
    "flag, units", [("--fast", [256, 128]), ("--hidden-units=9,9", [9, 9]), ("--layers=1", [256])]
)
def test_sizes_given_besides_fast_win(flag, units):
    assert fc_train.parse_flags(["--fast", flag]).hidden_units == units


def test_settings_hold_what_fast_stands_for_and_the_folder_is_named_by_it(small_mnist, tmp_path):
    arguments = ["--fast", "--num-batches", "2", "--validation-size", "50"]
    arguments += ["--data-dir", small_mnist, "--log-dir", str(tmp_path)]
    folder = fc_train.main(arguments)
    assert os.path.basename(folder).startswith("adam_batchnorm_fast_num-batches-2")
    flags = record.read_settings(folder)["flags"]
    assert (flags["learning_rate"], flags["schedule"], flags["num_batches"]) == (
        0.02,
        "one-cycle",
        2,
    )
    assert "fast" not in flags
    with pytest.raises(CommandError, match="leave out --fast"):
        fc_train.parse_flags(["--resume", folder, "--fast"])


@pytest.mark.skipif(machine.WINDOWS, reason="the benchmarks measure memory by a module of Unix")
@pytest.mark.parametrize("network, script", [("fc", fc_train), ("conv", conv_train)])
def test_the_benchmark_gives_every_contestant_this_recipe(network, script, monkeypatch):
    monkeypatch.syspath_prepend(os.path.join(ROOT, "benchmarks", "peers"))
    measuring = importlib.import_module("measuring")
    monkeypatch.setattr(sys, "argv", ["measured", "--network", network, "--fast"])
    arguments = measuring.parse_arguments("", ["default"])
    flags = script.parse_flags(["--fast"])
    shared = ("batch_norm", "learning_rate", "batch_size")
    assert [getattr(arguments, n) for n in shared] == [getattr(flags, n) for n in shared]
    assert (arguments.steps, arguments.momentum) == (flags.num_batches, flags.batch_norm_momentum)
    recipe = measuring.network_of(arguments)
    if network == "fc":
        assert list(recipe.hidden_units) == flags.hidden_units
    else:
        filters = [flags.filters_step * i for i in range(1, flags.layers + 1)]
        assert list(recipe.convolutions) == [(each, 2) for each in filters]
        assert (recipe.kernel_size, flags.stride_every) == (flags.kernel_size, 1)
        assert list(recipe.hidden_units) == [flags.dense_units]
