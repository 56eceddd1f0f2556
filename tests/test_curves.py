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


def test_a_value_is_forgotten_with_its_weight_however_large_it_is():
    values = np.full(1000, 0.1)
    values[0] = 1e17
    assert curves.smooth(values, 0.9)[500:] == pytest.approx(0.1, rel=1e-12)
    values[[3, 4]] = [1.7e308, -1.7e308]  # too large for any mean: they count for nothing
    assert curves.smooth(values, 0.9)[500:] == pytest.approx(0.1, rel=1e-12)


def test_a_line_over_uneven_steps_stays_a_line():
    steps = np.array([0, 10, 20, 50, 100, 200, *range(500, 50000, 500)])
    np.testing.assert_allclose(curves.smooth(9 - steps / 1e4, 0.95, steps), 9 - steps / 1e4)


@pytest.mark.parametrize(
    "all_steps, all_values, expected",
    [
        # Where a run ends or has no value, the mean of the others would jump.
        ([[0, 1, 2], [0, 2, 4]], [[1, 1, 2], [3, 8, 3]], ([0, 2], [2, 5], [1, 2], [3, 8])),
        ([[0], [1]], [[1], [3]], ([], [], [], [])),
        (
            [[0, 1, 2]] * 2,
            [[1, NAN, NAN], [3, 5, np.inf]],
            ([0, 1, 2], [2, 5, NAN], [1, 5, NAN], [3, 5, NAN]),
        ),
    ],
)
@pytest.mark.filterwarnings("error")
def test_mean_and_band_are_over_the_finite_values_at_the_steps_of_all(
    all_steps, all_values, expected
):
    steps = [np.array(each) for each in all_steps]
    band = curves.mean_and_band(steps, [np.array(each, float) for each in all_values])
    for column, numbers in zip(band, expected):
        np.testing.assert_array_equal(column, numbers)
