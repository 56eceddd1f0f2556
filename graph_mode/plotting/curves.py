"""From the scalars of runs to the lines of a figure: smoothing, and mean and band over seeds."""

import collections
import itertools

import numpy as np

Band = collections.namedtuple("Band", "steps mean low high counts")
Band.__doc__ = """Several runs of one scalar, at every step that any of them has: steps int64
[n]; mean, low (the smallest) and high (the largest) float64 [n]; counts int64 [n], how many runs
have a finite value there. Without any, mean, low and high are nan."""


def smooth(values, weight):
    """TensorBoard's debiased exponential moving average.

    s[t] = weight * s[t-1] + (1 - weight) * x[t], divided by 1 - weight**t, which is what the
    weights of the t values so far add up to. Values that are not finite stay as they are and count
    for nothing.

    Args:
        values: float64 [n].
        weight: 0 (no smoothing) up to, but not including, 1.

    Returns:
        float64 [n].

    Source: TensorBoard, vz_line_chart2/line-chart.ts, resmoothDataset.
    """
    smoothed = np.array(values, np.float64)
    finite = np.isfinite(smoothed)
    if weight == 0 or not finite.any():
        return smoothed
    # Differences from the first value, so that a constant comes out as exactly that constant.
    first = smoothed[finite][0]
    gain = 1 - weight
    steps = (gain * (smoothed[finite] - first)).tolist()
    sums = np.fromiter(
        itertools.accumulate(steps, lambda total, step: weight * total + step), np.float64
    )
    smoothed[finite] = first + sums / -np.expm1(np.log(weight) * np.arange(1, len(sums) + 1))
    return smoothed


def mean_and_band(all_steps, all_values):
    """The Band of several runs.

    Args:
        all_steps: for each run int64 [its n], rising.
        all_values: for each run float64 [its n].
    """
    steps = all_steps[0]
    if any(not np.array_equal(steps, other) for other in all_steps[1:]):
        steps = np.unique(np.concatenate(all_steps))
    table = np.full((len(all_steps), len(steps)), np.nan)
    for row, own_steps, values in zip(table, all_steps, all_values):
        row[np.searchsorted(steps, own_steps)] = values
    finite = np.isfinite(table)
    counts = finite.sum(axis=0)
    some = counts > 0
    mean = np.where(finite, table, 0).sum(axis=0) / np.maximum(counts, 1)
    low = np.where(finite, table, np.inf).min(axis=0)
    high = np.where(finite, table, -np.inf).max(axis=0)
    return Band(steps, *(np.where(some, column, np.nan) for column in (mean, low, high)), counts)
