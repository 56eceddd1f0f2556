"""Mean, spread and the confidence interval of a mean, over the seeds of a setting."""

import collections
import math

Interval = collections.namedtuple("Interval", "mean low high n")


def mean(values):
    return math.fsum(values) / len(values)


def standard_deviation(values):
    """Of a sample, with n - 1; nan for fewer than two values."""
    if len(values) < 2:
        return math.nan
    center = mean(values)
    return math.sqrt(math.fsum((value - center) ** 2 for value in values) / (len(values) - 1))


def confidence_interval(values, confidence=0.95):
    """The Interval of the mean of independent values: mean -+ t * s / sqrt(n).

    t is the quantile of Student's distribution with n - 1 degrees of freedom. For differences of
    pairs (the same seed with and without something) this is the paired t interval. low and high are
    nan for fewer than two values.
    """
    half = math.nan
    if len(values) > 1:
        deviation = standard_deviation(values)
        half = t_quantile(confidence, len(values) - 1) * deviation / math.sqrt(len(values))
    center = mean(values)
    return Interval(center, center - half, center + half, len(values))


def t_quantile(confidence, degrees):
    """The t for which a Student variable lies in [-t, t] with this probability, by bisection."""
    low, high = 0.0, 1.0
    while t_probability(high, degrees) < confidence:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        if t_probability(middle, degrees) < confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def t_probability(t, degrees):
    """P(|T| < t) of Student's T with a whole number of degrees of freedom.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle = math.atan2(t, math.sqrt(degrees))
    cosine, odd = math.cos(angle), degrees % 2
    term, total = cosine if odd else 1.0, 0.0
    for i in range(1 + odd, degrees, 2):
        total += term
        term *= cosine**2 * i / (i + 1)
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
