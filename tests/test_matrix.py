"""Which TensorFlow releases the matrix tries, under which Python."""

import re

import numpy as np
import pytest

from graph_mode.command_line import CommandError
from graph_mode.train import evaluation
from tests import matrix
from tests.matrix import Release

INDEX = {
    (3, 7): [(2, 11, 0), (2, 2, 3), (2, 0, 4), (2, 0, 0), (1, 15, 5), (1, 15, 0), (1, 14, 0)],
    (3, 10): [(2, 21, 0), (2, 11, 1), (2, 11, 0)],
    (3, 8): [(2, 11, 1), (2, 2, 3), (2, 2, 10)],
    (3, 9): [],
}


def test_newest_patch_of_each_minor_release_under_the_newest_python_that_has_it():
    assert matrix.choose_releases(INDEX) == [
        Release((1, 15, 5), (3, 7)),
        Release((2, 0, 4), (3, 7)),
        Release((2, 2, 10), (3, 8)),
        Release((2, 11, 1), (3, 10)),
        Release((2, 21, 0), (3, 10)),
    ]


def test_only_takes_the_named_releases_oldest_first():
    chosen = matrix.choose_releases(INDEX, [(2, 11), (1, 15)])
    assert [release.version for release in chosen] == [(1, 15, 5), (2, 11, 1)]


def test_a_release_that_no_python_at_hand_can_have_is_named():
    with pytest.raises(CommandError, match=r"no TensorFlow 2\.3 .*1\.15, 2\.0, 2\.2, 2\.11, 2\.21"):
        matrix.choose_releases(INDEX, [(2, 2), (2, 3)])


def test_an_index_out_of_reach_is_said():
    with pytest.raises(CommandError, match="reachable"):
        matrix.choose_releases({(3, 7): []})


def test_release_candidates_and_post_releases_are_passed_over(tmp_path):
    pip = tmp_path / "python"
    pip.write_text(
        "#!/bin/sh\necho 'tensorflow (2.15.1)'\n"
        "echo 'Available versions: 2.16.0rc0, 2.15.1, 2.15.0.post1, 2.15.0'\n"
    )
    pip.chmod(0o755)
    assert matrix.list_versions(str(pip)) == [(2, 15, 1), (2, 15, 0)]


@pytest.mark.parametrize(
    "line, documented",
    [
        ("Batch:  0: Validation loss: 0.69016, Validation accuracy: 0.31800", True),
        ("Batch: 100: Training loss: 0.39585, Training accuracy: 0.09375", True),
        ("Final test accuracy: 0.98510", True),
        ("Batch:  0: Validation loss: 0.69016, Training accuracy: 0.31800", False),
        ("WARNING:tensorflow:From somewhere", False),
        ("", False),
    ],
)
def test_lines_that_no_one_documented_are_told_apart(line, documented):
    assert bool(matrix.DOCUMENTED_LINE.fullmatch(line)) == documented


def test_the_line_about_moving_averages_that_lag_is_documented():
    found = [
        evaluation.Evaluation(0.1, 0.9, np.eye(20)[labels]) for labels in ([0] * 20, range(20))
    ]
    note = evaluation.lag(*found, np.arange(20))
    assert matrix.DOCUMENTED_NOTE.fullmatch(f"fc_train.py: note: {note}")
    assert not matrix.DOCUMENTED_NOTE.fullmatch("WARNING:tensorflow:From somewhere")


def test_a_release_is_installed_with_all_that_the_requirements_name():
    packages = [re.split("[=<>;]", package)[0] for package in matrix.requirements((2, 21, 0))]
    assert {"filelock", "google-crc32c", "numpy", "tqdm", "tensorflow"} <= set(packages)
    assert packages.count("tensorflow") == 1


def test_a_failed_command_is_told_by_its_last_line():
    command = ["/bin/sh", "-c", "echo first >&2; echo 'the reason | here' >&2; exit 3"]
    with pytest.raises(matrix.StepError, match="^exit code 3: the reason / here$"):
        matrix.finish(command)
