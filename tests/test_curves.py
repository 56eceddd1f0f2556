import warnings

import numpy as np
import pytest

from graph_mode.plotting import curves

NAN = float("nan")


def fitted(values, weight):
    """What smooth() says it gives, point by point by numpy.polyfit."""
    places = np.arange(len(values))
    logs = np.append(0, np.cumsum(np.log(curves.links_of(len(values), weight))))
    return [
        np.polyfit(places - t, values, 1, w=np.sqrt(np.exp(-np.abs(logs - logs[t]))))[1]
        for t in places
    ]


@pytest.mark.parametrize("weight", [0.1, 0.6, 0.95, 0.999])
def test_each_point_is_that_of_a_line_fitted_to_its_neighbours(weight):
    values = np.random.RandomState(0).normal(size=500)
    np.testing.assert_allclose(curves.smooth(values, weight), fitted(values, weight), atol=1e-9)


def test_near_the_beginning_fewer_neighbours_count():
    # One, five, and 20 on either side; never more than the weight says.
    np.testing.assert_allclose(curves.links_of(500, 0.95)[[0, 39, 400]], [0.2, 0.8, 0.95])
    assert curves.links_of(500, 0.1).max() == 0.1


@pytest.mark.parametrize("weight", [0.9, 0.95])
def test_a_falling_curve_is_followed_without_delay_from_its_first_value_to_its_last(weight):
    falling = 0.02 + 0.7 * np.exp(-np.arange(3000) / 300)
    np.testing.assert_allclose(curves.smooth(falling, weight), falling, rtol=0.06)
    straight = 5 - 0.001 * np.arange(3000)
    np.testing.assert_allclose(curves.smooth(straight, weight), straight, rtol=1e-9)


def test_noise_becomes_less():
    noise = np.random.RandomState(0).normal(size=3000)
    assert curves.smooth(noise, 0.95)[300:].std() < 0.2


def test_smoothing_passes_over_values_that_are_not_finite():
    values = np.random.RandomState(0).normal(size=200)
    with_gaps = np.insert(values, [0, 50, 200], [NAN, np.inf, NAN])
    smoothed = curves.smooth(with_gaps, 0.9)
    np.testing.assert_array_equal(smoothed[[0, 51, 202]], [NAN, np.inf, NAN])
    np.testing.assert_array_equal(smoothed[np.isfinite(smoothed)], curves.smooth(values, 0.9))


def test_a_constant_stays_exactly_that_constant_however_it_is_smoothed():
    assert set(curves.smooth(np.full(1000, 0.1), 0.999)) == {0.1}


@pytest.mark.parametrize(
    "count, weight, same", [(59, 0.95, True), (60, 0.95, False), (99, 0, True)]
)
def test_few_points_and_no_weight_return_the_values(count, weight, same):
    values = np.random.RandomState(0).normal(size=count)
    values[3] = NAN  # which is no point
    smoothed = curves.smooth(np.append(values, 1.0), weight)[:-1]
    assert (np.nansum(np.abs(smoothed - values)) == 0) == same


def test_the_band_reaches_from_the_smallest_to_the_largest_of_the_runs_that_have_the_step():
    all_steps = [np.array([0, 1, 2]), np.array([0, 2, 4, 6])]
    band = curves.mean_and_band(all_steps, [np.array([1.0, 1, 2]), np.array([3.0, 8, 3, 3])])
    assert band.steps.tolist() == [0, 1, 2, 4, 6]
    assert band.mean.tolist() == [2, 1, 5, 3, 3]
    assert band.low.tolist() == [1, 1, 2, 3, 3]
    assert band.high.tolist() == [3, 1, 8, 3, 3]
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
