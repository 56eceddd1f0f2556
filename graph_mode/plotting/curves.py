"""From the scalars of runs to the lines of a figure: smoothing, and mean and band over seeds."""

import functools
import typing

import numpy as np

FEW_POINTS = 60  # Fewer than this are shown as they are.
LARGEST = 1e100  # Of more than this no mean and no picture can be made.


class Band(typing.NamedTuple):
    """Several runs of one scalar, at the steps that all of them have."""

    steps: np.ndarray  # int64 [n]
    mean: np.ndarray  # float64 [n], over the runs with a finite value there; nan without any
    low: np.ndarray
    high: np.ndarray


def smooth(values, weight, steps=None):
    """The values float64 [n] at rising steps [n] (None: one apart), each replaced by the middle of
    a line through its neighbours, within the smallest and the largest value.

    The line is fitted by least squares, in which a value k places away counts weight**k: with 0.95,
    about 20 on either side; near the beginning fewer, one eighth of the places passed, so a falling
    curve is followed without delay. Values that are not finite stay and count for nothing.
    """
    smoothed = np.array(values, np.float64)
    known = np.isfinite(finite(smoothed))
    count = known.sum()
    if weight == 0 or count < FEW_POINTS:
        return smoothed
    values, links = smoothed[known], links_of(count, weight)
    distances = np.ones(count - 1) if steps is None else np.diff(steps[known])
    distances = distances / distances.mean()
    sums, moments, _ = _around(values, links, distances)
    ones, firsts, squares = _around(np.ones(count), links, distances)
    fitted = (squares * sums - firsts * moments) / (squares * ones - firsts**2)
    smoothed[known] = np.clip(fitted, values.min(), values.max())
    return smoothed


def links_of(count, weight):
    """float64 [n - 1]: by what a value's weight shrinks from each place to the next."""
    neighbours = np.maximum(np.arange(1, count) / 8, 1.25)
    return np.minimum(1 - 1 / neighbours, weight)


def _around(values, links, distances):
    """For each place t, the sums over i of w(i, t) * x[i] * (i's distance)**p, p = 0 to 2."""
    before = _one_sided(values, links, distances)
    behind = _one_sided(values[::-1], links[::-1], distances[::-1])[:, ::-1]
    return before[0] + behind[0] - values, behind[1] - before[1], before[2] + behind[2]


def _one_sided(values, links, distances):
    """As _around, over the places up to t."""
    sums = moments = squares = 0.0
    found = []
    steps = zip([0.0, *links.tolist()], [0.0, *distances.tolist()])
    for value, (link, distance) in zip(values.tolist(), steps):
        squares = link * (squares + 2 * distance * moments + distance**2 * sums)
        moments = link * (moments + distance * sums)
        sums = link * sums + value
        found.append((sums, moments, squares))
    return np.array(found).T


def mean_and_band(all_steps, all_values):
    """The Band of several runs: of each, its rising steps int64 [n] and its values float64 [n]."""
    # Where a run ends, or was not measured, the mean of the others would jump.
    steps = functools.reduce(np.intersect1d, all_steps)
    table = [values[np.isin(own, steps)] for own, values in zip(all_steps, all_values)]
    known = np.isfinite(table)
    mean = np.where(known, table, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    low = np.where(known, table, np.inf).min(axis=0)
    high = np.where(known, table, -np.inf).max(axis=0)
    return Band(steps, *(np.where(known.any(axis=0), ends, np.nan) for ends in (mean, low, high)))


def finite(values):
    """The values, with nan for what is not finite or beyond LARGEST."""
    return np.where(np.abs(np.nan_to_num(values)) <= LARGEST, values, np.nan)
