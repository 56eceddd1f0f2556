"""The grid of a comparison: from flags and files to runs."""

import io
import json
import os
import sys

import pytest
from helpers import ROOT, write_small_mnist

import compare
from graph_mode import command_line, machine
from graph_mode.command_line import CommandError
from graph_mode.comparing import grid


def runs_of(*grids):
    return grid.expand([grid.normalized({"networks": "fc", **one}) for one in grids])


def flags_of(runs, *names):
    return [tuple(run.settings["flags"][name] for name in names) for run in runs]


@pytest.fixture
def refusal(capsys):
    """refusal(*arguments) is the line with which compare.py refuses to begin."""

    def refused(*arguments):
        try:
            code = command_line.exit_code_of(lambda: compare.main(list(arguments)))
        except SystemExit as end:
            code = end.code
        output, errors = capsys.readouterr()
        assert (code, output, errors.count("\n")) == (2, "", 1), errors
        assert ": error: " in errors
        return errors

    return refused


def test_values_come_with_commas_or_by_repeating_the_flag():
    assert grid.grid_of_arguments(
        ["--layers", "3,5", "--optimizer=sgd", "--optimizer", "adam", "--seeds", "2", "--xla"]
    ) == {"layers": ["3,5"], "optimizer": ["sgd", "adam"], "seed": ["0", "1"], "xla": [True]}


def test_every_combination_is_a_run_and_the_first_seed_of_all_comes_first():
    runs = runs_of({"optimizers": "sgd,adam", "batch-norm": "both", "seeds": 2})
    assert flags_of(runs, "seed", "optimizer", "batch_norm") == [
        (seed, optimizer, batch_norm)
        for seed in (0, 1)
        for optimizer in ("sgd", "adam")
        for batch_norm in (False, True)
    ]


def test_a_flag_with_a_list_for_a_value_takes_several_by_repeating_it():
    runs = runs_of({"hidden-units": ["30,20", "10"]})
    assert flags_of(runs, "hidden_units") == [([30, 20],), ([10],)]
    runs = runs_of({"hidden-units": [[30, 20], [10]]})
    assert flags_of(runs, "hidden_units") == [([30, 20],), ([10],)]


def test_a_switch_takes_true_false_and_both():
    assert flags_of(runs_of({"hidden-bias": True}), "hidden_bias") == [(True,)]
    assert flags_of(runs_of({"hidden-bias": False}), "hidden_bias") == [(False,)]
    assert flags_of(runs_of({"hidden-bias": "both"}), "hidden_bias") == [(False,), (True,)]
    assert flags_of(runs_of({"batch-norm": "true"}), "batch_norm") == [(True,)]
    assert flags_of(runs_of({"batch-norm": "false"}), "batch_norm") == [(False,)]


def test_runs_that_compute_the_same_are_one_run_however_they_are_asked_for():
    runs = runs_of({"layers": "3,5"}, {"hidden-units": ["256,128,64"]}, {})
    assert flags_of(runs, "layers") == [(3,), (5,)]


def test_names_tell_the_settings_that_vary():
    names = [run.name for run in runs_of({"learning-rate": "0.1,0.01", "batch-norm": True})]
    assert names == [
        "adam_batchnorm_learning-rate-0.1_seed-0",
        "adam_batchnorm_learning-rate-0.01_seed-0",
    ]


def test_names_of_folders_are_names_on_every_system_and_no_patterns(tmp_path):
    folder = tmp_path / 'a[b]<>:"|?* c.'
    os.makedirs(str(folder))
    for name in os.listdir(os.path.join(ROOT, "MNIST_data")):
        os.symlink(os.path.join(ROOT, "MNIST_data", name), str(folder / name))
    # A flag of many values makes a name that no file system takes.
    long_lists = [",".join(["7"] * count) for count in (90, 91)]
    runs = runs_of({"data-dir": [str(folder), str(tmp_path / "a[b]")[:-1] + ']<>:"|?* c.']})
    runs += runs_of({"hidden-units": long_lists})
    names = [run.name for run in runs]
    assert len(set(names)) == len(names) == 3
    for name in names:
        assert machine.refused_by_windows(name) is None and len(name) < 200
        assert not set(name) & set("[]*? ")


def test_what_is_written_besides_makes_no_other_run():
    (run,) = runs_of({}, {"diagnostics": True}, {})
    assert flags_of([run], "diagnostics") == [(True,)]
    both = runs_of({"histograms": True}, {"diagnostics": True})
    assert flags_of(both, "histograms", "diagnostics") == [(True, False), (False, True)]
    assert both[0].key == both[1].key == run.key


def test_the_default_grid_is_both_networks_four_optimizers_and_five_seeds():
    runs = grid.expand([grid.DEFAULTS])
    assert len(runs) == len({run.key for run in runs}) == 2 * 4 * 2 * 5


def test_where_a_run_lies_does_not_change_what_it_is():
    settings = runs_of({})[0].settings
    moved = {**settings, "flags": {**settings["flags"], "log_dir": "x", "run_name": "y"}}
    other = {**settings, "flags": {**settings["flags"], "seed": 1}}
    assert grid.key_of(settings) == grid.key_of(moved) != grid.key_of(other)


def test_a_script_of_ones_own_that_was_edited_gives_other_runs():
    settings = runs_of({})[0].settings
    own, edited = (
        {**settings, "network": "own", "versions": {"script": script}} for script in ("a", "b")
    )
    assert grid.key_of(own) != grid.key_of(edited)


def test_a_config_file_holds_several_grids(tmp_path):
    path = tmp_path / "grids.json"
    path.write_text(json.dumps({"grids": [{"networks": "fc"}, {"network": ["conv"], "seeds": 3}]}))
    grids = grid.read_config(str(path))
    assert grids == [{"network": ["fc"]}, {"network": ["conv"], "seed": ["0", "1", "2"]}]


def test_a_grid_without_networks_has_both():
    assert [run.network for run in grid.expand([{"optimizer": ["sgd"]}])] == ["fc", "conv"]


@pytest.mark.parametrize(
    "content, complaint",
    [
        ("{", "not readable as JSON"),
        ("[]", "expected an object"),
        ('{"grids": [], "seeds": 5}', "nothing besides"),
        ('{"grids": [5]}', "expected a list of objects"),
        ('{"grids": []}', "expected a list of objects"),
        ('{"grids": [{"optimizer": []}]}', "--optimizer: found no value"),
        ('{"grids": [{"seeds": 0}]}', "--seeds: found 0, expected a number of seeds"),
    ],
)
def test_a_config_file_of_another_form_is_refused(tmp_path, content, complaint):
    path = tmp_path / "grids.json"
    path.write_text(content)
    with pytest.raises(CommandError, match=complaint):
        grid.read_config(str(path))


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--networks", "fc,mlp"], "found network mlp, expected fc, conv or the path of a"),
        (["--networks"], "found network True, expected fc, conv or the path"),
        (
            ["--networks", os.path.join(ROOT, "README.md")],
            "README.md, expected fc, conv or the path",
        ),
        (["--networks", ROOT], f"found network {ROOT}, expected fc, conv or the path"),
        (
            ["--networks", os.path.join(ROOT, "mnist_data.py")],
            "it does not define NETWORK, FLAGS, parse_flags",
        ),
        (["--seeds", "0"], "--seeds: found 0, expected a number of seeds of at least 1"),
        (["--seeds", "-1"], "--seeds: found -1, expected a number of seeds of at least 1"),
        (["--seeds", "two"], "argument --seed: found 'two'"),
        (["--seeds", ""], "--seeds: found no value"),
        (["--optimizers", "sgd,"], "--optimizer: found an empty value in 'sgd,'"),
        (["--optimizers", "sgd,lion"], "invalid choice: 'lion'"),
        (["--layers", "3,zero"], "argument --layers: found 'zero'"),
        (["--nonsense", "1"], "unknown flag --nonsense"),
        (["--optimizers", "sgd", "--optimizer", "adam"], "leave one of them out"),
        (["--run-name", "x"], "--run-name is for a single run"),
        (["--resume", "x"], "--resume is for a single run"),
        (["--threads", "1,2"], "--threads takes one value"),
        (["--data-dir", "nowhere"], "nowhere: no such folder"),
        (["--config", "nowhere.json"], "nowhere.json: No such file"),
        (["--jobs", "0"], "argument --jobs: found 0"),
        (["stray"], "found stray, expected a flag"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_in_one_line_before_anything_is_written(
    tmp_path, refusal, arguments, complaint
):
    log_dir = str(tmp_path / "runs")
    assert complaint in refusal("--log-dir", log_dir, *arguments)
    assert not os.path.exists(log_dir)


@pytest.mark.parametrize(
    "content, complaint",
    [
        ("1 +", "SyntaxError: "),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("NETWORK = 'a/b'; FLAGS = parse_flags = main = 1", "NETWORK is 'a/b', expected letters"),
        ("NETWORK = 'con'; FLAGS = parse_flags = main = 1", "NETWORK is 'con', expected letters"),
    ],
)
def test_a_file_that_is_no_training_script_is_refused(tmp_path, refusal, content, complaint):
    path = tmp_path / "mine.py"
    path.write_text(content)
    line = refusal("--dry-run", "--networks", str(path))
    assert f"{path}: expected a training script" in line and complaint in line


def test_two_scripts_never_share_a_network(tmp_path, refusal):
    content = "from fc_train import *\nNETWORK, FLAGS = 'fc', []\nparse_flags = main = print\n"
    (tmp_path / "mine.py").write_text(content)
    line = refusal("--dry-run", "--networks", f"fc,{tmp_path / 'mine.py'}")
    assert "both name their network fc: give one of them another NETWORK" in line


def test_a_config_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "grids.json"
    path.write_text('{"grids": [{"seed": 1}]}', encoding="utf-8-sig")
    assert grid.read_config(str(path)) == [{"seed": [1]}]


def test_a_dry_run_prints_what_the_encoding_of_standard_output_cannot(tmp_path, monkeypatch):
    data_dir = write_small_mnist(tmp_path / "\u8bd5")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "cp437"))
    compare.main(["--dry-run", f"--data-dir={data_dir}", "--seeds=1", "--networks=fc"])
    sys.stdout.flush()
    assert b"\\u8bd5" in sys.stdout.buffer.getvalue()


def test_a_dry_run_lists_the_runs_and_writes_nothing(tmp_path, capsys):
    log_dir = str(tmp_path / "runs")
    compare.main(["--dry-run", "--log-dir", log_dir, "--seeds", "2", "--networks", "fc"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 4 * 2 + 1
    assert lines[0].startswith("fc/sgd_no_batchnorm_seed-0: ") and "--optimizer=sgd" in lines[0]
    assert "16 runs, 0 ended, --jobs " in lines[-1]
    assert not os.path.exists(log_dir)
