"""Every error message of the project, with the input that causes it."""

import argparse
import ast
import os
import re

import pytest
from error_messages import collect
from helpers import ROOT
from made_runs import write_event_file, write_run

import compare
import fc_train
import plot_losses
from graph_mode import (
    checkpoints,
    command_line,
    evaluation,
    event_writer,
    export,
    run_folder,
    training,
)
from graph_mode import tensorflow1 as tf
from graph_mode.comparing import comparison_folder, grid
from graph_mode.plotting import run_groups

TEST_DATA = os.path.join(ROOT, "tests", "data")
SCRIPTS = {"fc": fc_train}


# Each cause is called with an empty folder.


def flags(*arguments):
    return lambda folder: fc_train.parse_options(list(arguments))


def plot_flags(*arguments):
    return lambda folder: plot_losses.parse_arguments(list(arguments))


def grid_flags(*arguments):
    def cause(folder):
        grids = compare.grids_of(*compare.parse_arguments(list(arguments)))
        grid.expand(grids, SCRIPTS)

    return cause


def grid_file(content):
    def cause(folder):
        path = os.path.join(folder, "grids.json")
        with open(path, "w") as file:
            file.write(content)
        grid.read_config(path)

    return cause


def with_run(*arguments, **changed):
    """A run of fc_train.py, with some settings changed, is resumed with these arguments."""

    def cause(folder):
        recorded = vars(fc_train.parse_options([]))
        recorded = {k: v for k, v in recorded.items() if k not in run_folder.NOT_RECORDED}
        settings = {"network": "fc", "flags": recorded, "data": {}}
        settings.update(changed)
        run_folder.write_settings(folder, settings)
        fc_train.parse_options(["--resume", folder] + list(arguments))

    return cause


def with_a_file_for_a_folder(use):
    def cause(folder):
        path = os.path.join(folder, "file")
        open(path, "w").close()
        use(os.path.join(path, "below"))

    return cause


def restore(shape, checkpoint):
    """Restores a network of one variable of this shape."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("dense/kernel", shape)
        evaluation.restore(session, checkpoint)


def no_checkpoint(folder):
    restore([2], folder)


def other_network(folder):
    restore([2], os.path.join(TEST_DATA, "fc.ckpt"))


def damaged_checkpoint(folder):
    path = os.path.join(folder, "model")
    with tf.Graph().as_default(), tf.Session() as session:
        kernel = tf.get_variable("dense/kernel", [3, 2])
        session.run(kernel.initializer)
        tf.train.Saver().save(session, path, write_meta_graph=False)
    with open(path + ".data-00000-of-00001", "r+b") as file:
        file.write(bytes(8))
    restore([3, 2], path)


def damaged_events(folder):
    path = write_event_file(os.path.join(folder, "events.out.tfevents.1.host"), [b"", b""])
    with open(path, "r+b") as file:
        file.seek(5)
        file.write(b"damage")
    event_writer.drop_events_after(path, 10)


def locked_twice(folder):
    with run_folder.lock(folder):
        run_folder.lock(folder)


def taken_export(folder):
    open(os.path.join(folder, "file"), "w").close()
    export.check_folder(folder)


def other_data(folder):
    run = write_run(os.path.join(folder, "run"))
    training.resume(None, None, run, {"data": {}}, argparse.Namespace(data_dir="other"))


def missing_group(folder):
    run_groups.group_by_flags([], ["speed"])


MNIST = "test_mnist_data.py::test_"
DAMAGE = "test_mnist_data_damage.py::test_"
BAD_FILE = DAMAGE + "a_bad_file_is_named_with_what_was_found_and_expected"
DOWNLOAD = "test_mnist_download.py::test_"
COMPARE = "test_compare.py::test_"
FAULTS = "test_faults.py::test_"
RESUME = "test_resume.py::test_"
UNWRITABLE = FAULTS + "a_run_that_cannot_be_written_ends_with_one_line_and_can_go_on"

# (file, message): its cause, or the test of another file that has it.
MESSAGES = {
    "compare.py": {
        "interrupted; the same command goes on where it was": COMPARE
        + "ctrl_c_ends_the_workers_and_the_next_start_goes_on",
        "{}: none of the {} runs has ended yet: leave out --report-only": COMPARE
        + "a_report_alone_trains_nothing",
    },
    "fc_train.py": {
        "--layers {} contradicts --hidden-units, which names {} layers: leave one of them "
        "out": flags("--layers=3", "--hidden-units=64,32"),
    },
    "graph_mode/checkpoints.py": {
        "{}: a checkpoint cannot be written: {}; those before it are intact: mend that, then go on "
        "with --resume": UNWRITABLE,
        "{}: expected a checkpoint to go on from, found {}: start a new run": lambda folder: (
            checkpoints.Checkpoints.restore(None, None, folder)
        ),
    },
    "graph_mode/comparing/comparison_folder.py": {
        "cannot write to {}: {}; name another folder with --log-dir": with_a_file_for_a_folder(
            lambda path: comparison_folder.locked(path).__enter__()
        ),
        "{}: another compare.py is at work there: let it end, or name another folder with "
        "--log-dir": COMPARE + "two_comparisons_never_work_in_one_folder",
    },
    "graph_mode/evaluation.py": {
        "{}: expected a checkpoint, found none that can be read": no_checkpoint,
        "{}: expected {} of shape {}, found it {}: give the flags that it was trained "
        "with": other_network,
        "{}: the checkpoint is damaged; take an earlier one": damaged_checkpoint,
    },
    "graph_mode/event_writer.py": {
        "{}: damaged at byte {}, expected an event: move the file away to go on without what it "
        "holds": damaged_events,
        "{}: events cannot be written: {}; the last checkpoint is intact: mend that, then go on "
        "with --resume": UNWRITABLE,
    },
    "graph_mode/export.py": {
        "--export {}: found it taken, expected a new folder": taken_export,
        "--export {}: the model cannot be written: {}; the run and its checkpoints are intact: "
        "export it with --evaluate and another folder": "test_export.py::"
        "test_an_export_that_cannot_be_written_is_one_line_and_leaves_nothing",
    },
    "graph_mode/plotting/figures.py": {
        "--show needs a screen, and matplotlib found none; the figures are files too: leave out "
        "--show": "test_plot_losses.py::test_without_a_screen_show_says_so",
    },
    "graph_mode/comparing/grid.py": {
        "--threads takes one value: a process keeps those it started with": grid_flags(
            "--threads=1,2"
        ),
        "--{} is for a single run: leave it out of a comparison": grid_flags("--run-name=x"),
        "found both --{} and --{}: leave one of them out": grid_flags(
            "--optimizers=sgd", "--optimizer=adam"
        ),
        "found network {}, expected {}": grid_flags("--networks=fc,mlp"),
        "found {}, expected a flag; --help lists them": grid_flags("stray"),
        '{}: expected an object {"grids": [...]} and nothing besides': grid_file("[]"),
        "{}: grids: expected a list of objects {flag: values}": grid_file('{"grids": [5]}'),
        "{}: not readable as JSON: {}": grid_file("{"),
    },
    "graph_mode/options.py": {
        "found a name of {} bytes, expected at most {}": flags("--run-name=" + "x" * 241),
        "found {}, expected a finite number above 0": flags("--learning-rate=-1"),
        "found {}, expected a whole number of at least 1": flags("--num-batches=0"),
        "found {}, expected the name of one folder": flags("--run-name=../x"),
        "found {}, expected {}": flags("--seed=-1"),
        "{} contradicts {}, which has {}: leave it out": with_run("--batch-size=3"),
        "{}: a run of the {} network: use {}": with_run(network="conv"),
        "{}: expected the flags of a run of this script, found that {}": with_run(flags={}),
    },
    "graph_mode/run_folder.py": {
        "cannot write runs to {}: {}; name another folder with --log-dir": with_a_file_for_a_folder(
            lambda path: run_folder.create(path, "fc", "run")
        ),
        "{}: another process is writing this run: wait until it ends, or stop it": locked_twice,
        "{}: expected the settings of a run, found {}": lambda folder: run_folder.read_settings(
            folder
        ),
    },
    "graph_mode/plotting/run_groups.py": {
        "--group-by: no run recorded {}; recorded are: {}": missing_group,
    },
    "graph_mode/tensorflow1.py": {
        "--xla needs TensorFlow 2.5 or later, found {}: leave --xla out": "test_scripts.py::"
        "test_xla_is_one_line_where_tensorflow_cannot",
        "TensorFlow cannot be imported ({}): run pip install -r requirements.txt": "test_start.py::"
        "test_a_missing_package_is_one_line_that_says_how_to_get_it",
    },
    "graph_mode/training.py": {
        "--batch-size {} is larger than the training set of {} images, which --validation-size {} "
        "leaves: make one of the two smaller": "test_scripts.py::"
        "test_sizes_that_the_data_does_not_have_are_one_line",
        "interrupted by {} after batch {}; to go on: {}": RESUME
        + "a_signal_saves_and_the_printed_command_goes_on_bit_for_bit",
        "interrupted by {} after the last batch; the run is complete: {}": RESUME
        + "a_signal_after_the_last_batch_leaves_a_complete_run",
        "interrupted by {} before the first batch": RESUME
        + "a_signal_before_the_first_batch_leaves_nothing",
        "{} at batch {}; last good checkpoint: {}; try a smaller --learning-rate or --batch-norm, "
        "or go on with --allow-nonfinite": FAULTS
        + "a_loss_that_is_not_finite_ends_the_run_within_an_evaluation_interval",
        "{}: all of its {} batches are trained: name more with --num-batches": RESUME
        + "more_batches_give_the_run_that_had_them_from_the_start",
        "{}: the files in {} are not those that the run began with: name their folder with "
        "--data-dir": other_data,
    },
    "graph_mode/comparing/ray_workers.py": {
        "--ray needs Ray ({}): pip install ray": COMPARE
        + "without_ray_one_line_says_what_to_install",
        "found no Ray cluster at {}: {}; start one with: ray start --head": "test_compare_ray.py::"
        "test_where_there_is_no_cluster_one_line_says_so",
    },
    "graph_mode/comparing/workers.py": {
        "a worker cannot start: {}": COMPARE + "without_tensorflow_no_run_is_blamed",
    },
    "mnist_data.py": {
        "Validation size should be between 0 and {}. Received: {}.": DAMAGE
        + "a_validation_set_larger_than_the_training_set_is_refused",
        "a batch of {} examples from a data set that has none": MNIST
        + "negative_batches_and_batches_of_nothing_are_refused",
        "a batch of {} examples, expected 0 or more": MNIST
        + "negative_batches_and_batches_of_nothing_are_refused",
        "found {}, expected the file of MNIST": DOWNLOAD
        + "in_the_end_one_line_says_why_and_nothing_is_written",
        "images of shape {}, expected [n, rows, columns, 1] to flatten them; reshape=False leaves "
        "them as they are": DAMAGE + "images_with_colours_are_flattened_by_nobody",
        "images.shape: {} labels.shape: {}": DAMAGE
        + "images_and_labels_of_different_number_make_no_data_set",
        "more than {} bytes": DOWNLOAD + "downloads_stop_at_a_largest_size",
        "not a state of a data set: {}": MNIST
        + "a_state_that_does_not_fit_is_refused_and_changes_nothing",
        "the state of a data set of {} examples, expected one of {}, with all its parts": MNIST
        + "a_state_that_does_not_fit_is_refused_and_changes_nothing",
        "{}": MNIST + "check_reports_every_bad_file_in_one_line",
        "{}: a folder or a device, expected a file": DAMAGE + "a_folder_is_no_file",
        "{}: a set of {}, expected at least one example": BAD_FILE,
        "{}: an empty file, {}; get the file again": BAD_FILE,
        "{}: cannot be read ({}), expected a file": DAMAGE + "a_link_to_nowhere_is_reported",
        "{}: cannot be written ({}); name a folder that can be": DOWNLOAD
        + "a_disk_that_is_full_is_reported_and_no_half_file_left",
        "{}: cut off after {} of the {} bytes that its header promises ({}); get the file "
        "again": BAD_FILE,
        "{}: cut off within its header; get the file again": BAD_FILE,
        "{}: cut off, the gzip data does not end; get the file again": BAD_FILE,
        "{}: damaged gzip data ({}); get the file again": BAD_FILE,
        "{}: images of {}, but those of {} are {}: not of one set; put the four files of one set "
        "there": BAD_FILE,
        "{}: label {} at position {}, expected 0 to {}; with more classes, give their number as "
        "num_classes": DAMAGE + "labels_beyond_the_classes_are_refused",
        "{}: more data after the end of the gzip data; get it again": BAD_FILE,
        "{}: more data than the {} bytes that its header promises ({}): the file is damaged; get "
        "it again": BAD_FILE,
        "{}: no such file, and it cannot be downloaded: {}; connect to the network, or copy the "
        "file there by hand": DOWNLOAD + "in_the_end_one_line_says_why_and_nothing_is_written",
        "{}: no {}.gz in it, and {} is not of MNIST, so MNIST's cannot stand in; put the file of "
        "that set there": DAMAGE + "files_of_mnist_do_not_complete_another_set",
        "{}: {} bytes of gzip that unpack to {} and more, expected at most {} times as many: a "
        "gzip bomb; get the file elsewhere": DAMAGE
        + "a_gzip_bomb_is_refused_before_it_is_unpacked",
        "{}: {} labels, expected {}, one for each image of {}: not of one set; put the four files "
        "of one set there": BAD_FILE,
        "{}: {}, expected a folder to read from": DAMAGE + "a_file_is_no_folder",
        "{}: {}, expected the four IDX files of an image set; name their folder, or fetch MNIST: "
        "python mnist_data.py --download FOLDER": DAMAGE
        + "a_missing_folder_is_reported_and_not_made",
        "{}: {}, {}; get the file again": BAD_FILE,
    },
    "plot_losses.py": {
        "--x wall shows each run by itself: leave out --group-by, or use --x relative": plot_flags(
            "--x=wall", "--group-by=seed"
        ),
        "expected a number from {} to {}, found {}": plot_flags("--dpi=0"),
        "expected at least one name": plot_flags("--tags=,"),
        "expected {}, found {}": plot_flags("--format=jpg"),
        "{}": "test_plot_losses.py::test_bad_input_is_one_line_and_exit_code_2",
    },
}
LISTED = {(file, text): cause for file, texts in MESSAGES.items() for text, cause in texts.items()}


def test_every_message_in_the_source_is_listed_here_and_no_other():
    assert collect() == set(LISTED)


@pytest.mark.parametrize(
    "message, cause", [(text, cause) for (_, text), cause in LISTED.items() if callable(cause)]
)
def test_a_message_is_one_line_and_exit_code_2(message, cause, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        command_line.run(lambda: cause(str(tmp_path)))
    assert end.value.code == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    text = ".+".join(map(re.escape, message.split("{}")))
    line = rf"\S+: error: (argument \S+: )?{text}( \(--help lists the flags\))?\n"
    assert re.fullmatch(line, stderr), stderr


@pytest.mark.parametrize(
    "test", sorted({cause for cause in LISTED.values() if not callable(cause)})
)
def test_a_test_that_has_a_message_is_there(test):
    file, name = test.split("::")
    with open(os.path.join(ROOT, "tests", file), encoding="utf-8") as source:
        module = ast.parse(source.read())
    assert name in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
