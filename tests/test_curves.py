import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from graph_mode.plotting import curves

NAN = float("nan")
VALUES = hypothesis_numpy.arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e6, 1e6))


def smooth_as_tensorboard(values, weight):
    """TensorBoard's loop, as it stands in its source, in Python."""
    last, smoothed, num_accumulated = 0.0, [], 0
    for value in values:
        if not np.isfinite(value):
            smoothed.append(value)
            continue
        last = last * weight + (1 - weight) * value
        num_accumulated += 1
        smoothed.append(last / (1 - weight**num_accumulated))
    return smoothed


@given(VALUES, st.sampled_from([0.1, 0.6, 0.9, 0.99, 0.999]))
def test_smoothing_is_that_of_tensorboard(values, weight):
    expected = smooth_as_tensorboard(values, weight)
    np.testing.assert_allclose(curves.smooth(values, weight), expected, rtol=1e-9, atol=1e-5)


def test_smoothing_passes_over_values_that_are_not_finite():
    smoothed = curves.smooth(np.array([NAN, 1.0, np.inf, 3.0, NAN]), 0.5)
    np.testing.assert_array_equal(smoothed[[0, 2, 4]], [NAN, np.inf, NAN])
    assert smoothed[[1, 3]].tolist() == pytest.approx([1.0, (0.5 * 1 + 3) / 1.5])


def test_a_constant_stays_exactly_that_constant_however_it_is_smoothed():
    assert set(curves.smooth(np.full(1000, 0.1), 0.999)) == {0.1}


def test_no_smoothing_returns_the_values():
    assert curves.smooth(np.array([3.0, 1.0, 2.0]), 0).tolist() == [3.0, 1.0, 2.0]


def test_the_band_reaches_from_the_smallest_to_the_largest_around_the_mean():
    steps = np.arange(3)
    values = [np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 7.0])]
    band = curves.mean_and_band([steps, steps], values)
    assert band.steps.tolist() == [0, 1, 2]
    assert band.mean.tolist() == [2, 2, 5]
    assert band.low.tolist() == [1, 2, 3]
    assert band.high.tolist() == [3, 2, 7]
    assert band.counts.tolist() == [2, 2, 2]


def test_runs_of_unequal_length_are_averaged_over_those_that_have_the_step():
    all_steps = [np.array([0, 1, 2]), np.array([0, 2, 4, 6])]
    band = curves.mean_and_band(all_steps, [np.array([1.0, 1, 1]), np.array([3.0, 3, 3, 3])])
    assert band.steps.tolist() == [0, 1, 2, 4, 6]
    assert band.mean.tolist() == [2, 1, 2, 3, 3]
    assert band.counts.tolist() == [2, 1, 2, 1, 1]


def test_a_value_that_is_not_finite_counts_for_nothing_in_the_band():
    steps = np.arange(3)
    values = [np.array([1.0, NAN, NAN]), np.array([3.0, 5.0, np.inf])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        band = curves.mean_and_band([steps, steps], values)
    np.testing.assert_array_equal(band.mean, [2, 5, NAN])
    np.testing.assert_array_equal(band.low, [1, 5, NAN])
    np.testing.assert_array_equal(band.high, [3, 5, NAN])
    assert band.counts.tolist() == [2, 1, 0]
