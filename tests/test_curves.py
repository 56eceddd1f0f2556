"""Smoothing a curve, and the mean and band of several."""

import numpy as np
import pytest

from graph_mode.plotting import curves

NAN = float("nan")
NOISE = np.random.RandomState(0).normal(size=500)


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
    np.testing.assert_allclose(curves.smooth(NOISE, weight), fitted(NOISE, weight), atol=1e-9)
    # Near the beginning fewer count: one, five, and 20 on either side.
    np.testing.assert_allclose(curves.links_of(500, 0.95)[[0, 39, 400]], [0.2, 0.8, 0.95])


def test_a_falling_curve_is_followed_without_delay_and_a_line_also_over_uneven_steps():
    falling = 0.02 + 0.7 * np.exp(-np.arange(3000) / 300)
    np.testing.assert_allclose(curves.smooth(falling, 0.95), falling, rtol=0.06)
    steps = np.array([0, 10, 20, 50, 100, 200, *range(500, 50000, 500)])
    np.testing.assert_allclose(curves.smooth(9 - steps / 1e4, 0.95, steps), 9 - steps / 1e4)


def test_values_that_are_not_finite_stay_and_count_for_nothing():
    with_gaps = np.insert(NOISE, [0, 50, 500], [NAN, np.inf, NAN])
    smoothed = curves.smooth(with_gaps, 0.9)
    np.testing.assert_array_equal(smoothed[[0, 51, 502]], [NAN, np.inf, NAN])
    np.testing.assert_array_equal(smoothed[np.isfinite(smoothed)], curves.smooth(NOISE, 0.9))


def test_a_constant_stays_and_an_odd_value_is_forgotten_however_large_it_is():
    values = np.full(1000, 0.1)
    assert set(curves.smooth(values, 0.999)) == {0.1}
    values[0] = 1e17
    values[[3, 4]] = [1.7e308, -1.7e308]  # too large for any mean: they count for nothing
    assert curves.smooth(values, 0.9)[500:] == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize("count, weight", [(59, 0.95), (99, 0)])
def test_few_points_and_no_weight_return_the_values(count, weight):
    values = np.append(NOISE[:count], NAN)  # which is no point
    np.testing.assert_array_equal(curves.smooth(values, weight), values)
    assert (curves.smooth(NOISE[:60], 0.95) != NOISE[:60]).all()


@pytest.mark.parametrize(
    "all_steps, all_values, expected",
    [
        # Where a run ends or has no value, the mean of the others would jump.
        ([[0, 1, 2], [0, 2, 4]], [[1, 1, 2], [3, 8, 3]], ([0, 2], [2, 5], [1, 2], [3, 8])),
        ([[0], [1]], [[1], [3]], ([], [], [], [])),
        ([[0, 1]] * 2, [[1, NAN], [NAN, np.inf]], ([0, 1], [1, NAN], [1, NAN], [1, NAN])),
    ],
)
@pytest.mark.filterwarnings("error")
def test_mean_and_band_are_over_finite_values_at_the_steps_of_all(all_steps, all_values, expected):
    steps = [np.array(each) for each in all_steps]
    band = curves.mean_and_band(steps, [np.array(each, float) for each in all_values])
    for column, numbers in zip(band, expected):
        np.testing.assert_array_equal(column, numbers)
