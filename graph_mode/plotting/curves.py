"""From the scalars of runs to the lines of a figure: smoothing, and mean and band over seeds."""

import collections
import functools

import numpy as np

# Fewer points than this are shown as they are.
FEW_POINTS = 60

Band = collections.namedtuple("Band", "steps mean low high counts")
Band.__doc__ = """Several runs of one scalar, at every step that any of them has: steps int64
[n]; mean, low (the smallest) and high (the largest) float64 [n]; counts int64 [n], how many runs
have a finite value there. Without any, mean, low and high are nan."""


def smooth(values, weight):
    """The values float64 [n], each replaced by the middle of a line through its neighbours.

    The straight line is fitted by least squares, in which a value k places away counts weight**k:
    with 0.95, about 20 on either side. Near the beginning, where a loss falls fastest, it is fewer:
    one eighth of the places passed. So a falling curve is followed without delay, from its first
    value to its last. Values that are not finite stay as they are and count for nothing.
    """
    smoothed = np.array(values, np.float64)
    finite = np.isfinite(smoothed)
    if weight == 0 or finite.sum() < FEW_POINTS:
        return smoothed
    # Differences from the first value, so that a constant comes out as exactly that constant.
    first = smoothed[finite][0]
    sums, moments = around(smoothed[finite] - first, links_of(finite.sum(), weight))
    ones, distances, squares = weights_around(finite.sum(), weight)
    smoothed[finite] = first + (squares * sums - distances * moments) / (
        squares * ones - distances**2
    )
    return smoothed


def links_of(count, weight):
    """float64 [n - 1]: by what a value's weight shrinks from each place to the next."""
    neighbours = np.clip(np.arange(1, count) / 8, 1.25, 1 / (1 - weight))
    return np.minimum(1 - 1 / neighbours, weight)


def around(values, links):
    """For each place t, the sums over i of w(i, t) * x[i] and of w(i, t) * x[i] * (i-t)."""
    before, moment_before = one_sided(values, links)
    behind, moment_behind = (sums[::-1] for sums in one_sided(values[::-1], links[::-1]))
    return before + behind - values, moment_behind - moment_before


def one_sided(values, links):
    """For each place t, the sums over k >= 0 of w * x[t-k] and of w * x[t-k] * k."""
    sums = decaying(values, links)
    # A step on, each distance grows by one: the moments grow by the sums.
    return sums, decaying(np.append(0, links * sums[:-1]), links)


def decaying(values, links):
    """y[0] = x[0], y[t] = links[t-1] * y[t-1] + x[t]; in rows, in which few weights get tiny."""
    length = max(1, int(np.log(1e-3) / np.log(links.max())))
    padding = np.zeros(-len(values) % length)
    rows = np.concatenate([values, padding]).reshape(-1, length)
    factors = np.concatenate([[1], links, padding + 1]).reshape(-1, length)
    powers = np.cumprod(factors[:, 1:], axis=1)
    powers = np.concatenate([np.ones((len(rows), 1)), powers], axis=1)
    within = np.cumsum(rows / powers, axis=1) * powers
    ends, total = [], 0.0
    for end, shrunk in zip(within[:, -1].tolist(), (factors[:, 0] * powers[:, -1]).tolist()):
        ends.append(total)
        total = shrunk * total + end
    return (within + np.array(ends)[:, None] * factors[:, :1] * powers).ravel()[: len(values)]


@functools.lru_cache(maxsize=64)
def weights_around(count, weight):
    """For each place t, the sums over i of w(i, t) times 1, (i-t) and (i-t)**2."""
    ones, links = np.ones(count), links_of(count, weight)

    def squares(links):
        sums, moments = one_sided(ones, links)
        return decaying(np.append(0, links * (sums + 2 * moments)[:-1]), links)

    return around(ones, links) + (squares(links) + squares(links[::-1])[::-1],)


def mean_and_band(all_steps, all_values):
    """The Band of several runs: of each, its rising steps int64 [n] and its values float64 [n]."""
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
