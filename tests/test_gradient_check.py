"""The check of gradients passes on the right formulas and fails on the well-known wrong ones."""

import inspect
import types
from unittest import mock

import numpy as np
import pytest
from helpers import read_scalars

import fc_train
import gradient_check
from graph_mode import fast
from graph_mode import tensorflow1 as tf
from graph_mode.gradients import backpropagation, comparison, manual_gradients

# Slips of the pencil: what it is: the right text in backpropagation.py => the wrong one.
SLIPS = """
the Jacobian has a diagonal only: -np.einsum("im,jm->mij" => -0 * np.einsum("im,jm->mij"
dL/do is not averaged over the batch: - labels) / labels.shape[1] => - labels)
dL/do has the wrong sign: np.exp(log_softmax) - labels => labels - np.exp(log_softmax)
a bias gets one example's: gradient["h1"].sum(axis=1, keepdims=True) => gradient["h1"][:, :1]
W is not transposed: value["W2"].T @ gradient => value["W2"][:, ::-1].T @ gradient
the sigmoid's derivative is a: delta2 * first * (1 - first) => delta2 * first
the tanh's derivative is 1 - a: delta3 * (1 - second**2) => delta3 * (1 - second)
the mean is a constant: x_by_2 + x_by_1 => x_by_2
the variance is a constant: centered_by_7 + centered_by_3 => centered_by_7
the closed form has the mean as a constant: dy - dy.mean(axis=0) - => dy -
the closed form has the variance as a constant: - xhat * projection => - 0 * xhat
the variance is unbiased: x.var(axis=0) => x.var(axis=0) * 8 / 7
epsilon is outside the root: np.sqrt(x.var(axis=0) + EPSILON) => x.std(axis=0)
gamma is forgotten: value["gamma"] / std => 1 / std
dF/dgamma is of x: gradient["scaled"] * value["xhat"] => gradient["scaled"]
""".strip().split("\n")

SMALL = {
    "fc": ["--hidden-units", "8,6"],
    "conv": ["--layers", "2", "--filters-step", "2", "--dense-units", "6"],
}


@pytest.mark.parametrize("seed", ["0", "1"])
def test_every_formula_of_the_three_problems_agrees_with_every_source(capsys, tmp_path, seed):
    assert gradient_check.main(["--seed", seed, "--logdir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.startswith(("dL/", "dF/"))]
    names = ("do", "dW3", "db3", "dW2", "db2", "dW1", "db1")
    assert [row[0] for row in rows[:7]] == [f"dL/{name}" for name in names]
    assert [row[0] for row in rows[-3:]] == ["dF/dgamma", "dF/dbeta", "dF/dx"]
    # All six pairs of the four sources, in every row: none is passed over.
    assert all("-" not in row for row in rows)
    assert lines[-1] == "Passed: all agree"
    for folder, node in (("network", b"layer_2/6_tanh"), ("batch_norm", b"normalization/9_add")):
        (path,) = (tmp_path / folder).iterdir()
        assert node in path.read_bytes()


@pytest.fixture(scope="module")
def values():
    """[(names of edges, names of two functions for their gradients, the value on each edge)]"""
    found = []
    for build, _, names, *functions, cases in gradient_check.PROBLEMS.values():
        with tf.Graph().as_default(), tf.quiet_session() as session:
            edge = build()
            for _, given in cases(np.random.RandomState(0)):
                feed = {edge[name]: array for name, array in given.items()}
                found.append((names, functions, session.run(edge, feed)))
    return found


def with_a_slip(module, right, wrong):
    """The module again, with one text in it replaced by another."""
    source = inspect.getsource(module)
    assert source.count(right) == 1
    mutant = types.ModuleType("mutant")
    exec(source.replace(right, wrong), mutant.__dict__)
    return mutant


@pytest.mark.parametrize("slip", SLIPS)
def test_a_wrong_formula_fails(values, capsys, slip):
    mutant = with_a_slip(backpropagation, *slip.split(": ", 1)[1].split(" => "))
    comparisons = []
    with np.errstate(all="ignore"):
        for names, functions, value in values:
            found = [getattr(mutant, function)(value) for function in functions]
            for name in names:
                sources = {source: each[name] for source, each in zip(("hand", "nodes"), found)}
                comparisons.append(comparison.Comparison(name, sources))
        assert comparison.report([("", comparisons)]) == 1
    assert "FAILED" in capsys.readouterr().out


@pytest.fixture
def check(monkeypatch):
    """check(network, *flags) is the exit code for one small variant of a training network."""

    def check(network, *flags):
        script, backward, _ = gradient_check.TRAINING_NETWORKS[network]
        small = (script, backward, [" ".join([*SMALL[network], *flags])])
        monkeypatch.setitem(gradient_check.TRAINING_NETWORKS, network, small)
        return gradient_check.main(["--network", network])

    return check


@pytest.mark.parametrize("network", sorted(SMALL))
def test_a_network_agrees_unless_a_custom_gradient_is_wrong(network, check, capsys, monkeypatch):
    assert check(network, "--batch-norm") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "kernel" in line]
    assert rows and all(row[-1] != "-" for row in rows)
    right = "normalize_by(x, *moments, scale * d_gamma"
    mutant = with_a_slip(fast, right, right.replace("scale", "0"))
    monkeypatch.setattr(fast, "normalize", mutant.normalize)
    assert check(network, "--batch-norm") == 1


@pytest.mark.parametrize("flags", gradient_check.FC_VARIANTS[1:])
def test_the_backward_pass_by_hand_is_checked_for_every_choice(flags, check, monkeypatch):
    assert check("fc", flags) == 0
    activation = fc_train.parse_flags(flags.split()).activation
    monkeypatch.setitem(manual_gradients.ACTIVATIONS, activation, lambda outputs: 0.9 - outputs)
    assert check("fc", flags) == 1


def test_the_script_trains_by_hand_with_the_same_losses(small_mnist, tmp_path, monkeypatch):
    by_hand = mock.Mock(wraps=manual_gradients.backward)
    monkeypatch.setattr(manual_gradients, "backward", by_hand)
    # A smooth activation: a ReLU within rounding of its kink would part the two runs.
    given = ["--batch-norm", "--activation=tanh", "--hidden-units=48,32", "--validation-size=100"]
    given += ["--num-batches=100", "--batch-size=32", "--data-dir", small_mnist]
    losses = []
    for flags in ([], ["--manual-gradients"]):
        folder = fc_train.main([*given, "--log-dir", str(tmp_path), *flags])
        losses.append(list(read_scalars(f"{folder}/train", "loss").values()))
    assert by_hand.call_count == 1 and len(losses[0]) == 100
    np.testing.assert_allclose(*losses, rtol=2e-5)


def test_a_nan_nothing_to_compare_or_more_than_the_limit_is_a_failure(capsys):
    nodes = [np.array([1, 1, np.nan]), np.array([1, 1, 1 + 2e-9])]
    wrong = [*(("nodes", each) for each in nodes), ("diff", {0: 1, 2: 1 + 2e-6}), ("diff", {})]
    for source, values in wrong:
        sources = {"tf": np.ones(3), source: values}
        assert comparison.report([("title", [comparison.Comparison("dx", sources)])]) == 1
        assert "FAILED" in capsys.readouterr().out


def test_a_difference_never_crosses_a_kink():
    def with_kink_at(place):
        return lambda x: (float(np.maximum(x - place, 0).sum()), x > place)

    assert comparison.central_differences(with_kink_at(1e-7), np.zeros(1), [0]) == {0: 0}
    assert comparison.central_differences(with_kink_at(0), np.zeros(1), [0]) == {}
