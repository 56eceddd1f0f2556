"""What --resume promises: a run that was stopped goes on as if it had never been."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers import ROOT, differences, read_checkpoint, read_scalars, run_contents

import conv_train
import fc_train
from graph_mode import commands, layers
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.runs import checkpoints, record
from graph_mode.train import training

RUN = os.path.join("runs", "fc", "own")
NUM_BATCHES = 302


@pytest.fixture(scope="module")
def flags(small):
    """So that the lowest validation loss is long before the end, and a checkpoint just before."""
    own = ["--run-name=own", "--batch-norm", "--learning-rate=1", "--hidden-units=16"]
    own += ["--validate-every=10", "--checkpoint-every=15", f"--num-batches={NUM_BATCHES}"]
    return small + own


@pytest.fixture(scope="module")
def whole(script_server, flags, tmp_path_factory):
    """A run that nobody stopped: its folder and what it printed. To be read only."""
    folder = tmp_path_factory.mktemp("whole")
    code, stdout, stderr = script_server.run(folder, "fc_train.py", *flags)
    assert (code, stderr) == (0, "")
    return str(folder / RUN), stdout


@pytest.mark.parametrize("number, name", [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_saves_and_nothing_is_lost(number, name, script_server, flags, tmp_path, whole):
    process = script_server.start(tmp_path, "fc_train.py", *flags)
    process.wait_for("Batch:  0")
    process.send_signal(number)
    code, before, stderr = process.wait()
    assert (code, record.has_result(str(tmp_path / RUN))) == (128 + number, False)
    line = rf"fc_train\.py: interrupted by {name} after batch (\d+); to continue: (.+)\n"
    step, command = re.fullmatch(line, stderr).groups()
    assert checkpoints.latest(str(tmp_path / RUN)).endswith(f"-{step}")
    _, script, *arguments = shlex.split(command)
    assert os.path.samefile(os.path.join(str(tmp_path), script), os.path.join(ROOT, "fc_train.py"))
    code, after, stderr = script_server.run(tmp_path, "fc_train.py", *arguments)
    assert (code, stderr) == (0, "")
    assert differences(run_contents(whole[0]), run_contents(str(tmp_path / RUN))) == []
    assert before + after == whole[1]


def test_a_second_signal_ends_the_process_at_once():
    program = """
import os, signal, time
from graph_mode.train.training import Interruption
with Interruption(lambda: time.sleep(60)):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    print("went on")
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stdout) == (130, b"")


# Script, flags, threads in an operation at first and when resumed; 0 is by the cores: there is one.
NETWORKS = [
    ("fc", "--batch-norm --validate-every=10", 8, 0),
    ("fc", "--batch-norm --xla --hidden-units=64", 2, 8),
    ("fc", "--manual-gradients", 8, 2),
    ("conv", "--batch-norm --layers=2", 2, 0),
]


def what_it_learned(folder):
    """{what: value} of the scalars, the result and the last checkpoint of a run."""
    contents = run_contents(folder)
    learned = {name: contents[name] for name in contents if re.match("events|result", name)}
    learned.update(read_checkpoint(checkpoints.latest(folder)))
    del learned["checkpoint/best_validation_loss"]  # measured where the first part ended
    return learned


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system pins no process")
@pytest.mark.parametrize("network, own, threads, other", NETWORKS)
def test_more_batches_with_other_cores_give_the_run_that_had_them_from_the_start(
    network, own, threads, other, script_server, small, tmp_path
):
    if "--xla" in own and tf.version() < (2, 5):
        pytest.skip("XLA compiles the training loop from TensorFlow 2.5 on")

    def train(run_name, num_batches, *words, cores=None):
        words = [f"--num-batches={num_batches}", f"--run-name={run_name}", *words]
        process = script_server.start(tmp_path, f"{network}_train.py", *words, cores=cores)
        code, _, stderr = process.wait()
        assert (code, stderr) == (0, "") or "batch norm: accuracy" in stderr, stderr
        return str(tmp_path / "runs" / network / run_name)

    own = [*small, *own.split(), f"--threads={threads}"]
    learned = what_it_learned(train("whole", 24, *own))
    folder = train("begun", 12, *own)
    resolved = record.read_settings(folder)["resolved"]
    cores = [min(os.sched_getaffinity(0))] if other == 0 else None
    train("begun", 24, f"--resume={folder}", f"--threads={other}", cores=cores)
    assert record.read_settings(folder)["resolved"] == resolved
    assert differences(learned, what_it_learned(folder)) == []


def test_a_complete_run_asks_for_more_batches_and_names_its_script(whole):
    with pytest.raises(CommandError, match=f"{NUM_BATCHES}.*--num-batches"):
        fc_train.main(["--resume", whole[0]])
    with pytest.raises(CommandError, match=r"the fc network: use its script, fc_train\.py"):
        conv_train.parse_flags(["--resume", whole[0]])


def refused(run, given, recorded):
    with pytest.raises(CommandError, match=f"^{given} contradicts .* {recorded}: leave"):
        fc_train.parse_flags(["--resume", run, given])


def test_a_flag_that_contradicts_the_run_is_refused_by_name_and_others_are_taken(whole):
    refused(whole[0], "--no-batch-norm", "--batch-norm")
    refused(whole[0], "--validate-every=11", "--validate-every=10")
    refused(whole[0], "--hidden-units=32,17", "--hidden-units=16")
    refused(whole[0], "--hidden-bias", "the default")
    refused(whole[0], "--run-name=other", "--run-name=own")
    same = ["--batch-norm", "--seed=0", "--num-batches=999", "--threads=1"]
    given = fc_train.parse_flags(["--resume", whole[0], *same])
    assert (given.batch_norm, given.num_batches, given.threads) == (True, 999, 1)
    assert (given.learning_rate, given.hidden_units) == (1.0, [16])


def test_older_runs_lack_flags_and_a_schedule_is_not_stretched(whole, tmp_path):
    """A flag that was added later has its default. Batches had their rate by the schedule."""
    settings, run = record.read_settings(whole[0]), str(tmp_path)
    for name in ("batch_norm_epsilon", "checkpoint_every", "slices"):
        del settings["flags"][name]
    settings["flags"]["schedule"] = "cosine"
    record.write_json(os.path.join(run, record.SETTINGS), settings)
    for mode in ("--resume", "--evaluate"):
        found = fc_train.parse_flags([mode, run])
        assert (found.batch_norm_epsilon, found.checkpoint_every, found.slices) == (0.001, None, 2)
    refused(run, "--batch-norm-epsilon=0.1", "--batch-norm-epsilon=0.001")
    refused(run, "--num-batches=999", "--num-batches=302")


def test_a_resume_says_which_batches_something_else_computed(script_server, flags, tmp_path):
    assert script_server.run(tmp_path, "fc_train.py", *flags, "--num-batches=20")[0] == 0
    settings = record.read_settings(str(tmp_path / RUN))
    then = {**settings["versions"], "processor": "another one", "code": "0123456789ab"}
    record.write_json(str(tmp_path / RUN / record.SETTINGS), {**settings, "versions": then})
    more = ["--resume", RUN, "--num-batches=30"]
    code, _, stderr = script_server.run(tmp_path, "fc_train.py", *more)
    note = stderr.splitlines()[0]
    assert (code, note.count("before 20"), note.count("processor another one")) == (0, 1, 1)
    assert record.read_settings(str(tmp_path / RUN))["versions"] == settings["versions"]


def test_a_run_is_resumed_by_one_process_while_that_lives(script_server, tmp_path, whole):
    shutil.copytree(whole[0], str(tmp_path / RUN))
    arguments = ["fc_train.py", "--resume", RUN, "--num-batches=1000000"]
    first = script_server.start(tmp_path, *arguments)
    first.wait_for("Batch: ")
    for number in (signal.SIGSTOP, signal.SIGCONT):
        code, stdout, stderr = script_server.run(tmp_path, *arguments)
        assert (code, stdout) == (2, "")
        assert re.fullmatch(r"fc_train\.py: error: .+another process is writing .+\n", stderr)
        first.send_signal(number)
    first.send_signal(signal.SIGKILL)
    first.wait()
    after_kill = script_server.start(tmp_path, *arguments)
    after_kill.wait_for("Batch: ")
    after_kill.send_signal(signal.SIGTERM)
    assert after_kill.wait()[0] == 143
    steps = sorted(read_scalars(str(tmp_path / RUN / "train"), "loss"))
    assert steps == list(range(len(steps)))


def indexes(folder):
    return {name for name in os.listdir(folder) if "index" in name}


def test_the_last_three_checkpoints_and_the_best_are_kept(whole):
    losses = read_scalars(os.path.join(whole[0], "validation"), "loss")
    best = min(losses, key=losses.get)
    assert best < 285
    assert indexes(checkpoints.best_folder(whole[0])) == {f"model-{best}.index"}
    last = {f"model-{step}.index" for step in (285, 300, 301)}
    assert indexes(checkpoints.folder(whole[0])) == last


def test_a_signal_before_the_first_batch_leaves_nothing(script_server, flags, tmp_path):
    process = script_server.start(tmp_path, "fc_train.py", *flags)
    while not (tmp_path / RUN / "settings.json").exists():
        time.sleep(0.0005)
    process.send_signal(signal.SIGINT)
    code, stdout, stderr = process.wait()
    assert (code, stdout) == (130, "")
    assert stderr == "fc_train.py: interrupted by Ctrl-C before the first batch\n"
    assert not (tmp_path / RUN).exists()


def test_a_signal_after_the_last_batch_leaves_a_complete_run(script_server, flags, tmp_path):
    process = script_server.start(tmp_path, "fc_train.py", *flags, "--num-batches=1")
    process.wait_for("Batch:  0")
    process.send_signal(signal.SIGTERM)
    code, stdout, stderr = process.wait()
    assert (code, stdout.count("Final ")) == (143, 2)
    complete = f"interrupted by SIGTERM after the last batch; the run is complete: {RUN}"
    assert stderr == f"fc_train.py: {complete}\n"
    assert record.has_result(str(tmp_path / RUN))


def test_a_resumed_network_drops_what_one_that_never_stopped_drops(small, tmp_path):
    def dropping(images, training, classes, flags):
        return layers.dense(layers.dropout(layers.flatten(images), training=training), classes)

    script = commands.Script("dropping", dropping, [], "A network with dropout.")
    given = [*small, f"--log-dir={tmp_path}"]
    whole = script.main(given + ["--num-batches=8", "--run-name=whole"])
    parts = script.main(given + ["--num-batches=4", "--run-name=parts"])
    script.main(["--resume", parts, "--num-batches=8"])
    losses = [read_scalars(os.path.join(each, "train"), "loss") for each in (whole, parts)]
    assert losses[0] == losses[1] and len(set(losses[0].values())) == 8


def test_all_batches_are_saved_before_the_last_files_are_written(flags, tmp_path):
    """Once: with the validation loss of the end, which is the lowest here."""
    folder = str(tmp_path / "fc" / "own")

    class FullDisk(training.Hook):
        def after_call(self, call):
            os.makedirs(os.path.join(folder, "accuracy_by_class.csv"), exist_ok=True)

    given = [*flags, f"--log-dir={tmp_path}", "--num-batches=16", "--learning-rate=0.001"]
    with pytest.raises(OSError):
        fc_train.script.run(fc_train.parse_flags(given), [FullDisk()])
    # The validation after batch 10 was the best until then, but no checkpoint was due.
    assert indexes(checkpoints.folder(folder)) == {"model-0.index", "model-15.index"}
    losses = read_scalars(os.path.join(folder, "validation"), "loss")
    assert losses[16] == min(losses.values())
    reader = tf.train.NewCheckpointReader(checkpoints.latest(folder))
    assert reader.get_tensor("checkpoint/best_validation_loss") == pytest.approx(losses[16])
