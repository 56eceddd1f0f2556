"""The same gradient from several sources: differences, relative errors and the table of them."""

import itertools
import typing

import numpy as np

from graph_mode.show.tables import aligned

# In the order of the table. The first three are analytic and differ by rounding alone.
PAIRS = list(itertools.combinations(("hand", "nodes", "tf"), 2))
PAIRS += [(source, "diff") for source in ("hand", "nodes", "tf")]
ANALYTIC_LIMIT, DIFFERENCES_LIMIT = 1e-9, 1e-6
LIMITS = {pair: DIFFERENCES_LIMIT if "diff" in pair else ANALYTIC_LIMIT for pair in PAIRS}


class Comparison(typing.NamedTuple):
    """gradients: {source: array of float64}, as far as there are, all of one shape; but "diff" is
    {flat index into the others: float}."""

    name: str
    gradients: dict


def relative_error(first, second):
    """max |first - second| / max(|first|, |second|) over the whole array; 0 if both are zero, nan
    where either has a nan or an infinity, and where there is nothing to compare."""
    if first.size == 0:
        return np.nan
    scale = np.abs([first, second]).max()
    with np.errstate(invalid="ignore"):
        return float(np.abs(first - second).max() / scale) if scale else 0.0


def central_differences(function, point, elements):
    """{element: (F(x + h) - F(x - h)) / 2h} for these elements x of the array `point`.

    function: array like `point` -> (F, *which ReLUs are on); element: a flat index. Where a step
    takes a ReLU across its kink, a tenth and a hundredth of it are tried; else it is left out.
    """
    # Rounding of F costs |F| eps / h, its cut-off series h squared: alike at the cube root.
    step = (np.finfo(np.float64).eps * max(1, abs(function(point)[0]))) ** (1 / 3)
    found = {}
    for element in elements:
        for fraction in (1, 0.1, 0.01):
            ahead, behind = point.copy(), point.copy()
            ahead.flat[element] += step * fraction
            behind.flat[element] -= step * fraction
            (after, *relus_after), (before, *relus_before) = function(ahead), function(behind)
            if all(map(np.array_equal, relus_after, relus_before)):
                # The step as it was taken: x + h is rounded.
                found[element] = (after - before) / (ahead - behind).flat[element]
                break
    return found


def report(sections):
    """Prints the table of `sections`, (title, comparisons) pairs; returns the exit code, 0 or 1."""
    largest, failed = {ANALYTIC_LIMIT: 0.0, DIFFERENCES_LIMIT: 0.0}, []
    for title, comparisons in sections:
        rows = [["gradient", "shape", *map("-".join, PAIRS), ""]]
        for comparison in comparisons:
            gradients, found = comparison.gradients, {}
            for pair in [pair for pair in PAIRS if set(pair) <= set(gradients)]:
                first, second = (gradients[source] for source in pair)
                if "diff" in pair:
                    first, second = first.flat[list(second)], np.array(list(second.values()))
                found[pair] = relative_error(first, second)
                largest[LIMITS[pair]] = np.fmax(largest[LIMITS[pair]], found[pair])
            # Not "above the limit": a nan must fail too.
            bad = [pair for pair, error in found.items() if not error <= LIMITS[pair]]
            failed += [f"{comparison.name} ({first}, {second})" for first, second in bad]
            shape = "x".join(map(str, next(iter(gradients.values())).shape))
            cells = [f"{found[pair]:.1e}" if pair in found else "-" for pair in PAIRS]
            rows.append([comparison.name, shape, *cells, "FAILED" if bad else ""])
        print(f"\n{title}\n{aligned(rows, numbers=range(1, len(PAIRS) + 2))}", flush=True)
    print(
        f"\nLargest relative error: {largest[ANALYTIC_LIMIT]:.1e} between hand, nodes and tf "
        f"(limit {ANALYTIC_LIMIT:.0e}), {largest[DIFFERENCES_LIMIT]:.1e} against diff "
        f"(limit {DIFFERENCES_LIMIT:.0e})"
    )
    wrong = f"FAILED, above the limit or not a number: {', '.join(failed)}"
    print(wrong if failed else "Passed: all agree")
    return 1 if failed else 0
