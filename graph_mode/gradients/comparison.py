"""The same gradient from several sources: differences, relative errors and the table of them."""

import collections
import itertools

import numpy as np

# In the order of the table. The first three are analytic and differ by rounding alone.
SOURCES = ("hand", "nodes", "tf", "diff")
PAIRS = sorted(itertools.combinations(SOURCES, 2), key=lambda pair: "diff" in pair)
ANALYTIC_LIMIT = 1e-9
DIFFERENCES_LIMIT = 1e-6

# gradients: {source: array of float64}; not every source is always there. All are of one shape, but
# where `elements` is given, "diff" is only there for these elements, flat indices into the others.
Comparison = collections.namedtuple("Comparison", "name gradients elements")
Comparison.__new__.__defaults__ = (None,)


def relative_error(first, second):
    """max |first - second| / max(|first|, |second|) over the whole array; 0 if both are zero.

    Relative to the largest element, not to each: an element that is zero but for rounding has no
    digits of its own that could agree. nan where either array has a nan or an infinity, and where
    there is nothing to compare.
    """
    if first.size == 0:
        return np.nan
    scale = max(np.abs(first).max(), np.abs(second).max())
    if scale == 0:
        return 0.0
    with np.errstate(invalid="ignore"):
        return float(np.abs(first - second).max() / scale)


def central_differences(function, point):
    """(function(x + h) - function(x - h)) / 2h for each element x of the array `point`.

    function: array like `point` -> scalar. Two calls an element.
    """
    step = step_size(function(point))
    differences = np.empty_like(point)
    for index in np.ndindex(*point.shape):
        ahead, behind = point.copy(), point.copy()
        ahead[index] += step
        behind[index] -= step
        # The step as it was taken: x + h is rounded.
        taken = ahead[index] - behind[index]
        differences[index] = (function(ahead) - function(behind)) / taken
    return differences


def step_size(value):
    """h for central differences of a function near `value`, whose argument is of order one.

    Rounding of the function costs |value| eps / h, cutting off its series h squared: both are alike
    at the cube root.
    """
    return (np.finfo(np.float64).eps * max(1, abs(value))) ** (1 / 3)


def errors(comparison):
    """{(source, source): relative error} for each pair of sources that the comparison has."""
    gradients, found = comparison.gradients, {}
    for first, second in PAIRS:
        if first in gradients and second in gradients:
            values = gradients[first]
            if second == "diff" and comparison.elements is not None:
                values = values.flat[comparison.elements]
            found[first, second] = relative_error(values, gradients[second])
    return found


def limit(pair):
    return DIFFERENCES_LIMIT if "diff" in pair else ANALYTIC_LIMIT


def report(sections):
    """Prints the table of `sections`, (title, comparisons) pairs; returns the exit code, 0 or 1."""
    largest = {ANALYTIC_LIMIT: 0.0, DIFFERENCES_LIMIT: 0.0}
    failed = []
    for title, comparisons in sections:
        print(f"\n{title}\n{heading()}")
        for comparison in comparisons:
            found = errors(comparison)
            # Not "above the limit": a nan must fail too.
            bad = [pair for pair, error in found.items() if not error <= limit(pair)]
            print(row(comparison, found) + ("   FAILED" if bad else ""), flush=True)
            failed += [f"{comparison.name} ({first}, {second})" for first, second in bad]
            for pair, error in found.items():
                largest[limit(pair)] = np.fmax(largest[limit(pair)], error)
    print(
        f"\nLargest relative error: {largest[ANALYTIC_LIMIT]:.1e} between hand, nodes and tf "
        f"(limit {ANALYTIC_LIMIT:.0e}), {largest[DIFFERENCES_LIMIT]:.1e} against diff "
        f"(limit {DIFFERENCES_LIMIT:.0e})"
    )
    if failed:
        print(f"FAILED, above the limit or not a number: {', '.join(failed)}")
        return 1
    print("Passed: all agree")
    return 0


def heading():
    columns = "".join(f"{first + '-' + second:>11}" for first, second in PAIRS)
    return f"  {'gradient':<27}{'shape':>9}{columns}"


def row(comparison, found):
    """One line of the table: the gradient's name, its shape and its errors."""
    shape = "x".join(map(str, next(iter(comparison.gradients.values())).shape))
    columns = "".join(f"{found[pair]:>11.1e}" if pair in found else f"{'-':>11}" for pair in PAIRS)
    return f"  {comparison.name:<27}{shape:>9}{columns}"
