"""Intervals, levels and chances for few tables and few training seeds.

What is stated here was measured by simulation (``tests/harness/ranking/test_intervals.py``): 3, 4, 6 and 10 tables, 3 and 5
seeds, table effects normal or as skewed as an exponential's. Tables and seeds are the replicates, never single rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from harness.ranking.statistics import LEVEL, ROUNDING, Array, Estimate

Bounds = tuple[float | None, float | None]

LEAST_TABLES = 3
"""Below this many tables nothing is said about other tables: no interval, no rank, no chance."""

TABLES_LEVEL = 0.99
"""Nominal level of Student's t over table means. At 95 % it covers 85 to 91 % where table effects are skewed (in the simulation
exponential or log-normal), because a mean of few such values is skewed itself; at 99 % it covers 93 % or more in all of them, and
99 % where they are normal. Few tables cannot say which it is, so the wider one is stated, as an interval of at least 95 %."""

LEAST_FOR_CHANCES = 10
"""Tables from which :func:`chances` are calibrated within .05 (simulation), whatever the size of differences between generators."""

PRIOR_VARIANCE = 0.36
"""Of a mean difference in units of the differences' own spread between tables (:func:`chances`)."""


def cut(found: Estimate, bounds: Bounds) -> Estimate:
    """The interval cut at the least and greatest possible value."""
    if found.low is None or found.high is None:
        return found
    least, most = bounds
    low = found.low if least is None else max(found.low, least)
    return Estimate(found.value, low, found.high if most is None else min(found.high, most))


def t_quantile(level: float, freedom: float) -> float:
    """Half width of a two-sided interval of that level in standard errors, by Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def t_intervals(values: Array, level: float) -> tuple[Array, Array, Array]:
    """Mean, low and high of Student's t over the last axis, ``(…, n) → (…)``; low and high are NaN where values do not vary."""
    count = values.shape[-1]
    mean = values.mean(axis=-1)
    if count < 2:
        return mean, np.full(mean.shape, np.nan), np.full(mean.shape, np.nan)
    spread = values.std(axis=-1, ddof=1)
    half = np.where(spread > ROUNDING, t_quantile(level, count - 1) * spread / np.sqrt(count), np.nan)
    return mean, mean - half, mean + half


def over_seeds(values: Sequence[float], bounds: Bounds = (None, None)) -> Estimate:
    """Mean over the seeds of one table with Student's t interval of 95 %, cut at the metric's bounds.

    There is no interval from a single seed or from equal values.
    """
    return _estimate(values, LEVEL, bounds)


def over_tables(values: Sequence[float], bounds: Bounds = (None, None)) -> Estimate:
    """Mean over tables (each value a table's mean over seeds) with an interval that covers at least 95 %.

    Student's t at :data:`TABLES_LEVEL`, cut at the bounds; no interval below :data:`LEAST_TABLES` or from equal values.
    """
    return _estimate(values, TABLES_LEVEL, bounds) if len(values) >= LEAST_TABLES else Estimate(fmean(values))


def _estimate(values: Sequence[float], level: float, bounds: Bounds) -> Estimate:
    mean, low, high = (float(part) for part in t_intervals(np.array(values, dtype=float), level))
    return Estimate(mean) if np.isnan(low) else cut(Estimate(mean, low, high), bounds)


def p_over_seeds(values: Sequence[float]) -> float | None:
    """Two-sided p of a mean of 0 over the seeds of one table (paired differences, Student's t); ``None`` without spread."""
    from scipy.special import stdtr

    numbers = np.array(values, dtype=float)
    if len(numbers) < 2 or (spread := float(numbers.std(ddof=1))) <= ROUNDING:
        return None
    t = abs(float(numbers.mean())) / (spread / np.sqrt(len(numbers)))
    return float(2 * stdtr(len(numbers) - 1, -t))


def p_over_tables(values: Sequence[float]) -> float | None:
    """Likewise over tables: below .05 exactly where the interval of :func:`over_tables` excludes 0.

    Student's p times (1 − .95)/(1 − :data:`TABLES_LEVEL`), at most 1.
    """
    found = p_over_seeds(values) if len(values) >= LEAST_TABLES else None
    return None if found is None else min(1.0, found * (1 - LEVEL) / (1 - TABLES_LEVEL))


def welch(first: Sequence[float], second: Sequence[float]) -> tuple[Estimate, float | None]:
    """Difference of two generators' means on one table, with Welch's interval over seeds, and its two-sided p.

    Neither exists from a single seed on either side, or from equal values on both.
    """
    from scipy.special import stdtr

    value = fmean(first) - fmean(second)
    shares = [float(np.var(side, ddof=1)) / len(side) for side in (first, second) if len(side) > 1]
    error = sum(shares) ** 0.5
    if len(shares) < 2 or error <= ROUNDING:
        return Estimate(value), None
    freedom = error**4 / sum(share**2 / (len(side) - 1) for share, side in zip(shares, (first, second), strict=True))
    half = t_quantile(LEVEL, freedom) * error
    return Estimate(value, value - half, value + half), float(2 * stdtr(freedom, -abs(value) / error))


def share_over_tables(values: Sequence[float]) -> Estimate | None:
    """Mean over tables of shares in [0, 1] with Clopper and Pearson's 95 % interval; ``None`` below :data:`LEAST_TABLES`.

    A table counts as one trial, its share as that much of a success. Of all values in [0, 1] with one mean, those that are 0 or 1
    vary most, so the interval is wide enough for the others; and, unlike Student's, it is not empty where all tables agree.
    """
    from scipy.special import betaincinv

    count = len(values)
    if count < LEAST_TABLES:
        return None
    won, tail = float(sum(values)), (1 - LEVEL) / 2
    low = float(betaincinv(won, count - won + 1, tail)) if won > 0 else 0.0
    high = float(betaincinv(won + 1, count - won, 1 - tail)) if won < count else 1.0
    return Estimate(won / count, low, high)


def jackknife(statistic: Callable[[Array], Array], values: Array) -> list[Estimate | None]:
    """A statistic of all tables, with Student's t over its delete-one-table pseudo-values (Tukey, 1958).

    Args:
        statistic: of ``(tables, …)``, gives ``(n,)`` numbers.
        values: ``(tables, …)``.

    Returns:
        n estimates; ``None`` below :data:`LEAST_TABLES` tables, and where leaving a table out changes nothing.
    """
    count, whole = len(values), statistic(values)
    if count < LEAST_TABLES:
        return [None] * len(whole)
    without = np.stack([statistic(np.delete(values, table, axis=0)) for table in range(count)], axis=-1)
    _, low, high = t_intervals(count * whole[:, None] - (count - 1) * without, TABLES_LEVEL)
    middle, half = whole, (high - low) / 2
    return [
        None if np.isnan(reach) else Estimate(float(value), float(value - reach), float(value + reach))
        for value, reach in zip(middle, half, strict=True)
    ]


def holm(found: Sequence[float | None]) -> list[float | None]:
    """P-values of several questions, adjusted so that *any* false answer among them is as rare as one (Holm, 1979)."""
    known = sorted((p, index) for index, p in enumerate(found) if p is not None)
    adjusted: list[float | None] = [None] * len(found)
    least = 0.0
    for place, (p, index) in enumerate(known):
        least = max(least, min(1.0, (len(known) - place) * p))
        adjusted[index] = least
    return adjusted


@dataclass(frozen=True)
class Chances:
    """Posterior probabilities that the first is better, that both are practically equal, that the second is better."""

    first: float
    equal: float
    second: float


def chances(differences: Sequence[float], rope: float) -> Chances | None:
    """How likely it is, after these tables, that the mean difference over all tables lies above, within or below ±rope.

    The conjugate normal model of Bayesian t tests: differences ~ N(μ, σ²), μ ~ N(0, g σ²) with g = :data:`PRIOR_VARIANCE`,
    p(σ) ∝ 1/σ, so that μ's posterior is Student's t with n degrees of freedom. A flat prior on μ would be overconfident, since
    generators differ less on average than from table to table.

    Returns:
        ``None`` below :data:`LEAST_FOR_CHANCES` tables, where no such number is calibrated, and without spread.
    """
    from scipy.special import stdtr

    count, numbers = len(differences), np.array(differences, dtype=float)
    if count < LEAST_FOR_CHANCES or np.ptp(numbers) <= ROUNDING:
        return None
    mean, squares = float(numbers.mean()), float(((numbers - numbers.mean()) ** 2).sum())
    weight = count * PRIOR_VARIANCE / (1 + count * PRIOR_VARIANCE)
    scale = ((squares + mean**2 * count / (1 + count * PRIOR_VARIANCE)) / count * weight / count) ** 0.5
    first, second = (float(stdtr(count, (side * weight * mean - rope) / scale)) for side in (1, -1))
    return Chances(first, max(0.0, 1 - first - second), second)
