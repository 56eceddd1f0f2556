"""From the scalars of runs to the lines of a figure: smoothing, and mean and band over seeds."""

import typing

import numpy as np

# Fewer points than this are shown as they are.
FEW_POINTS = 60


class Band(typing.NamedTuple):
    """Several runs of one scalar, at every step that any of them has."""

    steps: np.ndarray  # int64 [n]
    # Float64 [n], over the runs with a finite value there; nan where there are none.
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray  # int64 [n], how many runs these are


def smooth(values, weight):
    """The values float64 [n], each replaced by the middle of a line through its neighbours.

    The straight line is fitted by least squares, in which a value k places away counts weight**k:
    with 0.95, about 20 on either side. Near the beginning, where a loss falls fastest, it is fewer:
    one eighth of the places passed. So a falling curve is followed without delay, from its first
    value to its last. Values that are not finite stay as they are and count for nothing.
    """
    smoothed = np.array(values, np.float64)
    finite = np.isfinite(smoothed)
    count = finite.sum()
    if weight == 0 or count < FEW_POINTS:
        return smoothed
    # Differences from the first value, so that a constant comes out as exactly that constant.
    first = smoothed[finite][0]
    links = links_of(count, weight)
    sums, moments, _ = _around(smoothed[finite] - first, links)
    ones, distances, squares = _around(np.ones(count), links)
    smoothed[finite] = first + (squares * sums - distances * moments) / (
        squares * ones - distances**2
    )
    return smoothed


def links_of(count, weight):
    """float64 [n - 1]: by what a value's weight shrinks from each place to the next."""
    neighbours = np.clip(np.arange(1, count) / 8, 1.25, 1 / (1 - weight))
    return np.minimum(1 - 1 / neighbours, weight)


def _around(values, links):
    """For each place t, the sums over i of w(i, t) * x[i] * (i - t)**p, for p = 0, 1 and 2."""
    before = _one_sided(values, links)
    behind = _one_sided(values[::-1], links[::-1])[:, ::-1]
    return before[0] + behind[0] - values, behind[1] - before[1], before[2] + behind[2]


def _one_sided(values, links):
    """For each place t, the sums over k >= 0 of w * x[t - k] * k**p, for p = 0, 1 and 2."""
    sums = moments = squares = 0.0
    found = []
    for value, link in zip(values.tolist(), [0.0, *links.tolist()]):
        # A step on, each distance k becomes k + 1.
        squares = link * (squares + 2 * moments + sums)
        moments = link * (moments + sums)
        sums = link * sums + value
        found.append((sums, moments, squares))
    return np.array(found).T


def mean_and_band(all_steps, all_values):
    """The Band of several runs: of each, its rising steps int64 [n] and its values float64 [n]."""
    steps = np.unique(np.concatenate(all_steps))
    table = np.full((len(all_steps), len(steps)), np.nan)
    for row, own_steps, values in zip(table, all_steps, all_values):
        row[np.searchsorted(steps, own_steps)] = values
    finite = np.isfinite(table)
    counts = finite.sum(axis=0)
    mean = np.where(finite, table, 0).sum(axis=0) / np.maximum(counts, 1)
    low = np.where(finite, table, np.inf).min(axis=0)
    high = np.where(finite, table, -np.inf).max(axis=0)
    ends = (np.where(counts > 0, column, np.nan) for column in (mean, low, high))
    return Band(steps, *ends, counts)


def finite(values):
    """The values, with nan for what is not finite."""
    return np.where(np.isfinite(values), values, np.nan)
