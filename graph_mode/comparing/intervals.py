"""Mean, spread and the confidence interval of a mean, over the seeds of a setting."""

import math
import typing
from statistics import mean, stdev

# The t for which a Student variable of 1, 2, 3, ... degrees of freedom lies in [-t, t] with a
# probability of 95 %; the normal distribution's for more.
T_95 = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
    *(2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)
Z_95 = 1.9600


class Interval(typing.NamedTuple):
    mean: float
    low: float
    high: float
    n: int


def standard_deviation(values):
    """Of a sample, with n - 1; nan for fewer than two values."""
    return stdev(values) if len(values) > 1 else math.nan


def confidence_interval(values):
    """The Interval of 95 % of the mean of independent values: mean -+ t * s / sqrt(n).

    For differences of pairs (the same seed with and without something) this is the paired t
    interval. low and high are nan for fewer than two values.
    """
    degrees = len(values) - 1
    t = T_95[degrees - 1] if degrees <= len(T_95) else Z_95
    half = t * standard_deviation(values) / math.sqrt(len(values))
    return Interval(mean(values), mean(values) - half, mean(values) + half, len(values))
