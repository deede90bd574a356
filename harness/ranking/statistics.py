"""Ranks, ratings and fronts of generators; their intervals are in :mod:`harness.ranking.intervals`.

Arrays are ``(datasets, generators, seeds)`` or ``(datasets, generators)``; NaN marks absent values; **higher is better**
everywhere. Nothing here reads records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

LEVEL = 0.95
ROUNDING = 1e-12
"""Differences up to this are rounding, not spread."""
BLOCK = 200_000
"""Resampled values held at a time: they stay in the processor's cache."""


@dataclass(frozen=True)
class Estimate:
    """A value with a 95 % interval; the bounds are ``None`` where the data cannot give one."""

    value: float
    low: float | None = None
    high: float | None = None


def present(values: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which pairs have at least one value, ``(D, L, S) → (D, L)``."""
    return np.asarray(np.sum(~np.isnan(values), axis=2) > 0)


def seed_means(values: Array) -> Array:
    """Mean over the last axis (seeds), ``(…, S) → (…)``; NaN where there is no value."""
    counts = np.sum(~np.isnan(values), axis=-1)
    sums = np.nansum(values, axis=-1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def ranks(means: Array) -> Array:
    """Rank generators within each dataset: ``(…, L) → (…, L)``, 1 is best, ties share their mean rank. No NaN allowed."""
    flat = means.reshape(-1, means.shape[-1])
    result = np.empty(flat.shape)
    block = max(1, BLOCK // max(1, flat.shape[1] ** 2))
    for start in range(0, len(flat), block):
        part = flat[start : start + block]
        better = np.count_nonzero(part[:, None, :] > part[:, :, None], axis=2)
        equal = np.count_nonzero(part[:, None, :] == part[:, :, None], axis=2)
        result[start : start + block] = better + (equal + 1) / 2
    return result.reshape(means.shape)


def iqm(values: Array) -> Array:
    """Interquartile mean over the last axis, ``(…, N) → (…)``: the mean of the middle half (Agarwal et al. 2021, rliable).

    Of n values that are not NaN, the lowest and highest ``floor(n/4)`` are left out, as ``scipy.stats.trim_mean(x, 0.25)`` does;
    NaN where there is none.
    """
    ordered = np.sort(values, axis=-1)  # NaN last
    known = values.shape[-1] - np.isnan(values).sum(axis=-1)
    cut = (known // 4)[..., None]
    place = np.arange(values.shape[-1])
    inside = (place >= cut) & (place < known[..., None] - cut)
    return np.where(known > 0, np.where(inside, ordered, 0.0).sum(axis=-1) / np.maximum(inside.sum(axis=-1), 1), np.nan)


def improvement_by_dataset(first: Array, second: Array) -> Array:
    """Chance, dataset by dataset, that a run of ``first`` beats a run of ``second``; ties count half.

    Args:
        first: ``(…, D, S1)`` values of one generator, NaN where absent.
        second: ``(…, D, S2)`` values of another.

    Returns:
        ``(…, D)`` P(first > second) + P(equal)/2 over all pairs of seeds, NaN where one has none. Its mean over datasets is the
        probability of improvement (Agarwal et al. 2021).
    """
    a, b = first[..., :, None], second[..., None, :]
    pairs = np.sum(~np.isnan(first), axis=-1) * np.sum(~np.isnan(second), axis=-1)
    won = np.count_nonzero(a > b, axis=(-2, -1)) + 0.5 * np.count_nonzero(a == b, axis=(-2, -1))
    return np.where(pairs > 0, won / np.maximum(pairs, 1), np.nan)


def studentized_range(probability: float, count: int) -> float:
    """Quantile of the range of ``count`` standard normal variables (Tukey's studentized range, infinite degrees of freedom).

    Solves k ∫ φ(x) (Φ(x) − Φ(x − q))^(k−1) dx = probability by bisection; ``scipy.stats`` has it too but takes a second to load.
    """
    from scipy.special import ndtr

    grid = np.linspace(-9.0, 30.0, 4001)
    density = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
    low, high = 0.0, 20.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        chance = count * float(np.trapezoid(density * (ndtr(grid) - ndtr(grid - middle)) ** (count - 1), grid))
        low, high = (middle, high) if chance < probability else (low, middle)
    return low


def critical_difference(n_labels: int, n_datasets: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks, q_α √(k(k+1)/(6N)) (Demšar 2006); two closer ranks are not told apart."""
    quantile = studentized_range(1 - alpha, n_labels) / math.sqrt(2)
    return quantile * math.sqrt(n_labels * (n_labels + 1) / (6 * n_datasets))


def cliques(mean_ranks: Sequence[float], distance: float) -> list[tuple[int, int]]:
    """Maximal groups (first, last index) of ascending mean ranks that lie within ``distance``; singletons are left out."""
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(mean_ranks):
        last = max(index for index, other in enumerate(mean_ranks) if other - rank <= distance)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def wins(means: Array) -> Array:
    """Count wins over datasets: ``(…, D, L) → (…, L, L)``, entry (i, j) = datasets on which i beats j, ties count half."""
    first, second = means[..., :, None], means[..., None, :]
    return np.asarray(np.count_nonzero(first > second, axis=-3) + 0.5 * np.count_nonzero(first == second, axis=-3))


def elo(won: Array, anchor: int | None, anchor_rating: float = 1000.0, steps: int = 200) -> Array:
    """Bradley–Terry strengths on the Elo scale, by minorise–maximise (Hunter 2004): ``(…, L, L) → (…, L)``.

    A difference of 400 means odds of 10 to 1. One virtual tie per pair keeps the rating of an always-winner finite, so
    ratings from few datasets stay close together. ``anchor`` (``None``: the mean of all) is pinned at
    ``anchor_rating``.
    """
    count = won.shape[-1]
    off = 1.0 - np.eye(count)
    won = (won + 0.5) * off
    games = won + np.swapaxes(won, -1, -2)
    total = won.sum(axis=-1)
    strength = np.ones(total.shape)
    for _ in range(steps):
        expected = (games / (strength[..., :, None] + strength[..., None, :])).sum(axis=-1)
        updated = total / np.maximum(expected, 1e-12) if count > 1 else strength
        updated = updated / np.exp(np.log(updated).mean(axis=-1, keepdims=True))
        if np.allclose(updated, strength, rtol=1e-5, atol=0):
            break
        strength = updated
    rating = 400.0 * np.log10(strength)
    pinned = rating.mean(axis=-1, keepdims=True) if anchor is None else rating[..., anchor : anchor + 1]
    return np.asarray(rating - pinned + anchor_rating)


def pareto(cost: Sequence[float | None], quality: Sequence[float | None]) -> list[bool]:
    """Which entries no other beats in both: lower ``cost`` and higher ``quality`` (one strictly); unknown is never on the front."""
    known = [(c, q) for c, q in zip(cost, quality, strict=True) if c is not None and q is not None]

    def beaten(c: float, q: float) -> bool:
        return any((oc <= c and oq >= q) and (oc < c or oq > q) for oc, oq in known)

    return [c is not None and q is not None and not beaten(c, q) for c, q in zip(cost, quality, strict=True)]
