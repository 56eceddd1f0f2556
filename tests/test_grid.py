"""The grid of a comparison: from flags and files to runs."""

import io
import itertools
import json
import os
import sys

import pytest
from helpers import ROOT, write_small_mnist

import compare
from graph_mode import command_line, machine
from graph_mode.comparing import grid


def runs_of(*command_lines):
    """The runs of command lines, each a grid, of the fully connected network."""
    return grid.expand([grid.grid_of_arguments(["--networks=fc", *each]) for each in command_lines])


def flags_of(runs, *names):
    return [tuple(run.settings["flags"][name] for name in names) for run in runs]


@pytest.fixture
def refusal(capsys):
    """refusal(*arguments) is the line with which compare.py refuses to begin."""

    def refused(*arguments):
        with pytest.raises(SystemExit) as ended:
            command_line.run(lambda: compare.main(list(arguments)))
        output, errors = capsys.readouterr()
        assert (ended.value.code, output, errors.count("\n")) == (2, "", 1), errors
        assert ": error: " in errors
        return errors

    return refused


# arguments: flag, the values of its runs
VALUES = """
--layers 3,5: layers [3, 5]
--layers=3 --layers=5 --layers=3: layers [3, 5]
--optimizer sgd --optimizers=adam: optimizer ["sgd", "adam"]
--seeds 2: seed [0, 1]
--seeds 4,7: seed [4, 7]
--hidden-units 30,20 --hidden-units 10: hidden_units [[30, 20], [10]]
--hidden-bias: hidden_bias [true]
--hidden-bias=both: hidden_bias [false, true]
--batch-norm false: batch_norm [false]
--batch-norm=true --xla: batch_norm [true]
--layers=2 --hidden-units=256,128: layers [2]
"""


@pytest.mark.parametrize("case", VALUES.strip().split("\n"))
def test_each_flag_takes_several_values(case):
    arguments, values = case.split(": ")
    name, values = values.split(" ", 1)
    assert flags_of(runs_of(arguments.split()), name) == [(each,) for each in json.loads(values)]


def test_only_a_switch_takes_true_false_and_both_for_its_own(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import fc_train\nfrom graph_mode import commands, flags\nNETWORK = 'mine'\n"
        "FLAGS = [*fc_train.FLAGS, flags.Flag('sides', str, 'a', '', choices=('both', 'true'))]\n"
        "script = commands.Script(NETWORK, fc_train.network, FLAGS, '', fc_train.complete)\n"
        "parse_flags, main = script.parse_flags, script.main\n"
    )
    given = ["--networks", str(tmp_path / "mine.py"), "--sides=both,true", "--xla=both"]
    found = flags_of(grid.expand([grid.grid_of_arguments(given)]), "sides", "xla")
    assert found == [("both", False), ("both", True), ("true", False), ("true", True)]


def test_every_combination_is_a_run_and_the_first_seed_of_all_comes_first():
    runs = runs_of(["--optimizers", "sgd,adam", "--batch-norm", "both", "--seeds", "2"])
    expected = itertools.product((0, 1), ("sgd", "adam"), (False, True))
    assert flags_of(runs, "seed", "optimizer", "batch_norm") == list(expected)


def test_runs_that_compute_the_same_are_one_run_however_they_are_asked_for():
    runs = runs_of(["--layers=3,5"], ["--hidden-units=256,128,64"], [])
    assert flags_of(runs, "layers") == [(3,), (5,)]


def test_names_tell_the_settings_that_vary_and_are_names_on_every_system(tmp_path):
    names = [run.name for run in runs_of(["--learning-rate=0.1,0.01", "--batch-norm"])]
    assert names == [f"adam_batchnorm_learning-rate-{rate}_seed-0" for rate in (0.1, 0.01)]
    folders = [str(tmp_path / name) for name in ('a[b]<>:"|?* c.', "d")]
    for folder in folders:
        os.symlink(os.path.join(ROOT, "MNIST_data"), folder)
    # A flag of many values makes a name that no file system takes.
    long_lists = [f"--hidden-units={','.join(['7'] * count)}" for count in (90, 91)]
    runs = runs_of(long_lists + [f"--data-dir={folder}" for folder in folders])
    assert len({run.name for run in runs}) == len(runs) == 2
    for run in runs:
        assert not machine.WINDOWS_REFUSED.search(run.name) and len(run.name) < 200
        assert not set(run.name) & set("[]*? ")


def test_the_default_grid_is_both_networks_four_optimizers_and_five_seeds():
    runs = grid.expand([grid.DEFAULTS])
    assert len(runs) == len({run.key for run in runs}) == 2 * 4 * 2 * 5
    assert [run.network for run in grid.expand([{"optimizer": ["sgd"]}])] == ["fc", "conv"]


def test_what_makes_another_run():
    settings = runs_of([])[0].settings
    for flags, is_another in (({"seed": 1}, True), ({"log_dir": "x", "run_name": "y"}, False)):
        changed = {**settings, "flags": {**settings["flags"], **flags}}
        assert (grid.key_of(settings) != grid.key_of(changed)) == is_another


def test_a_script_of_ones_own_that_was_edited_gives_other_runs(tmp_path):
    script, keys = tmp_path / "mine.py", set()
    text = "from fc_train import FLAGS, main, parse_flags\nNETWORK = 'mine'\n"
    for content in (text, text, text + "# edited\n"):
        script.write_text(content)
        keys.update(run.key for run in grid.expand([{"network": [str(script)]}]))
    assert len(keys) == 2


def test_a_config_file_says_in_json_what_a_command_line_says(tmp_path):
    path = tmp_path / "grids.json"
    one = {"networks": ["fc"], "seeds": 2, "batch-norm": "both", "hidden-units": [[9, 8], "7"]}
    two = {"network": "fc", "seed": [3], "batch-norm": True, "learning-rate": [0.1, 1]}
    # With a byte order mark, as editors on Windows write one.
    path.write_text(json.dumps({"grids": [one, two]}), encoding="utf-8-sig")
    same = "--seeds=2 --batch-norm=both --hidden-units=9,8 --hidden-units=7"
    same = [same.split(), ["--seed=3", "--batch-norm", "--learning-rate=0.1,1"]]
    assert grid.expand(grid.read_config(str(path))) == runs_of(*same)


# arguments: a part of what is said about them
REFUSED = f"""
--networks fc,mlp: found network mlp, expected fc, conv or the path of a
--networks: found network true
--networks {ROOT}/README.md: README.md, expected fc, conv
--seeds 0: --seeds: found 0
--seeds -1: --seeds: found -1
--seeds two: --seed: found 'two'
--seeds=: --seed: found an empty value
--optimizers sgd,: --optimizer: found an empty value
--optimizers sgd,lion: invalid choice: 'lion'
--layers 3,zero: --layers: found 'zero'
--nonsense 1: unknown flag --nonsense
--run-name x: --run-name is for a single run
--resume x: --resume is for a single run
--threads 1,2: --threads takes one value
--data-dir nowhere: nowhere: no such folder
--config nowhere.json: nowhere.json: No such file
--jobs 0: --jobs
--threads 4097: expected a whole number from 0 to 4096
--learning-rate 1e300: expected a number from 1e-37 to 1e+38
stray: found stray, expected a flag
"""


@pytest.mark.parametrize("case", REFUSED.strip().split("\n"))
def test_a_grid_that_cannot_be_is_refused_before_anything_is_written(tmp_path, refusal, case):
    log_dir = str(tmp_path / "runs")
    arguments, complaint = case.split(": ", 1)
    assert complaint in refusal("--log-dir", log_dir, *arguments.split())
    assert not os.path.exists(log_dir)


# flag: content of its file: a part of what is said about it
REFUSED_FILES = """
--networks# 1 +# SyntaxError
--networks# raise SystemExit(3)# SystemExit: 3
--networks# NETWORK = FLAGS = parse_flags = 1# has no attribute 'main'
--networks# NETWORK = FLAGS = parse_flags = main = 'a/b'# 'a/b'
--networks# NETWORK = FLAGS = parse_flags = main = 'a b'# 'a b'
--networks# from fc_train import *; NETWORK = "conv"# both name their network conv
--config# {# not readable as JSON
--config# []# expected {"grids"
--config# {"grids": [], "seeds": 5}# expected {"grids"
--config# {"grids": [5]}# expected {"grids"
--config# {"grids": []}# expected {"grids"
--config# {"grids": [{"optimizer": []}]}# --optimizer: found an empty
--config# {"grids": [{"seeds": 0}]}# --seeds: found 0
"""


@pytest.mark.parametrize("case", REFUSED_FILES.strip().split("\n"))
def test_a_file_of_another_form_is_refused(tmp_path, refusal, case):
    flag, content, complaint = case.split("# ")
    path = tmp_path / "mine.py"
    path.write_text(content)
    networks = "conv," if "both name" in complaint else ""
    assert complaint in refusal("--dry-run", flag, f"{networks}{path}")


def test_a_dry_run_lists_the_runs_in_any_encoding_and_writes_nothing(tmp_path, monkeypatch):
    data_dir, log_dir = write_small_mnist(tmp_path / "\u8bd5"), str(tmp_path / "runs")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "cp437"))
    given = ["--seeds=2", "--networks=fc", f"--data-dir={data_dir}"]
    compare.main(["--dry-run", "--log-dir", log_dir, *given])
    sys.stdout.flush()
    lines = sys.stdout.buffer.getvalue().decode().splitlines()
    assert len(lines) == 2 * 4 * 2 + 1
    assert lines[0].startswith("fc/sgd_no_batchnorm_seed-0: ") and "--optimizer=sgd" in lines[0]
    assert "\\u8bd5" in lines[0]
    assert "16 runs, 0 ended, --jobs " in lines[-1] and "after the first" in lines[-1]
    assert not os.path.exists(log_dir)
