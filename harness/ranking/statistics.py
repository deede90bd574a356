"""Statistics for few datasets and few seeds: intervals and probabilities rather than p-values.

Arrays are ``(datasets, generators, seeds)`` or ``(datasets, generators)``; NaN marks absent values; **higher is better**
everywhere. Nothing here reads records.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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


def resampled_runs(values: Array, draws: int, rng: np.random.Generator) -> Iterator[Array]:
    """Resample datasets, then seeds inside each (dataset, generator): blocks ``(n, D, L, S, …)`` of ``(D, L, S, …)``.

    Every draw holds D datasets drawn with replacement, the same ones for all generators (so that differences stay paired),
    and for each pair as many runs as it has, drawn with replacement; absent ones are NaN and come last. With one dataset only
    seeds vary, with one seed only datasets. Further axes are values of the same run and are drawn together: they must be
    absent together.
    """
    n_datasets, n_labels, n_seeds = values.shape[:3]
    absent = np.isnan(values.reshape(n_datasets, n_labels, n_seeds, -1)[..., 0])
    counts = n_seeds - absent.sum(axis=2)
    order = np.argsort(absent, axis=2, kind="stable")
    packed = np.take_along_axis(values, order.reshape(*order.shape, *[1] * (values.ndim - 3)), axis=2)
    packed = packed.reshape(n_datasets * n_labels * n_seeds, *values.shape[3:])
    full = not absent.any()
    offsets = np.arange(n_labels)[:, None] * n_seeds
    block = max(1, BLOCK // max(1, values.size))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        chosen = rng.integers(0, n_datasets, (size, n_datasets))
        have, shape = counts[chosen][..., None], (size, n_datasets, n_labels, n_seeds)
        pick = rng.integers(0, n_seeds, shape, dtype=np.int32) if full else (rng.random(shape) * have).astype(np.intp)
        drawn = packed.take(pick + (offsets + (chosen * n_labels * n_seeds)[:, :, None, None]), axis=0)
        if not full:
            drawn[np.arange(n_seeds) >= have] = np.nan
        yield drawn


def hierarchical_bootstrap(values: Array, draws: int, rng: np.random.Generator) -> Array:
    """Means over the seeds of :func:`resampled_runs`: ``(D, L, S, …) → (draws, D, L, …)``, NaN where a pair has no run."""
    full = not np.isnan(values).any()
    return np.concatenate(
        [
            runs.mean(axis=3) if full else seed_means(np.moveaxis(runs, 3, -1))
            for runs in resampled_runs(values, draws, rng)
        ]
    )


def interval(samples: Array, level: float = LEVEL) -> tuple[float, float] | None:
    """Percentile interval of bootstrap samples ``(draws,)``; ``None`` when they do not vary or are absent."""
    known = samples[~np.isnan(samples)]
    if not len(known) or np.ptp(known) <= ROUNDING:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def estimate(value: float, samples: Array) -> Estimate:
    """A value with the percentile interval of its bootstrap samples."""
    bounds = interval(samples)
    return Estimate(value) if bounds is None else Estimate(value, *bounds)


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


@dataclass(frozen=True)
class SignedRank:
    """Posterior probabilities that the first is better, that both are practically equal, that the second is better."""

    first: float
    equal: float
    second: float


def posterior_weights(count: int, rng: np.random.Generator, draws: int = 5000) -> Array:
    """Dirichlet draws ``(draws, count + 1)`` for :func:`bayesian_signed_rank` of ``count`` differences.

    The first weight is the prior's: one pseudo-observation of strength 0.5.
    """
    return rng.dirichlet(np.concatenate([[0.5], np.ones(count)]), draws)


def bayesian_signed_rank(differences: Array, rope: float, weights: Array) -> SignedRank:
    """Bayesian signed-rank test with a Dirichlet-process prior (Benavoli et al. 2014; 2017, JMLR 18(77), section 4.1).

    Args:
        differences: ``(D,)`` first − second, one per dataset (mean over seeds).
        rope: differences within ±rope count as practically equal.
        weights: :func:`posterior_weights` of D.

    Returns:
        The shares of posterior draws in which each outcome carries the most weight. The prior sits at a difference of 0. Weights
        are put on all Walsh averages (dᵢ + dⱼ)/2; one that lies exactly on the region's edge counts half on either side.
    """
    points = np.concatenate([[0.0], differences])
    average = (points[:, None] + points[None, :]) / 2

    def beyond(side: Array) -> Array:
        over = (side > rope) + 0.5 * (side == rope)
        return np.asarray(((weights @ over) * weights).sum(axis=1))

    above, below = beyond(average), beyond(-average)
    outcome = np.stack([above, 1 - above - below, below])
    best = outcome >= outcome.max(axis=0) - 1e-12
    shares = (best / best.sum(axis=0)).mean(axis=1)
    return SignedRank(*(float(share) for share in shares))


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
