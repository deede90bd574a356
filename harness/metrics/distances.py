"""Distances between two samples of one column. Missing cells must be left out before; 0 means equal."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.metrics.base import NotComputable
from harness.metrics.encoding import Floats, Ints


def one_empty(real: Floats | Ints, synthetic: Floats | Ints) -> float | None:
    """The bounded distances where a side has no value: 0 when both lack any, 1 when one does; ``None`` when neither."""
    if len(real) and len(synthetic):
        return None
    return float(len(real) != len(synthetic))


def ks(real: Floats, synthetic: Floats) -> float:
    """Kolmogorov–Smirnov statistic: the greatest difference of the two empirical distribution functions."""
    real, synthetic = np.sort(real), np.sort(synthetic)
    points = np.concatenate([real, synthetic])
    below = [np.searchsorted(sample, points, side="right") / len(sample) for sample in (real, synthetic)]
    return float(np.abs(below[0] - below[1]).max())


def shares(values: np.ndarray[Any, Any], size: int) -> Floats:
    """The share of each code in [0, size)."""
    return np.bincount(values, minlength=size) / len(values)


def tvd(real: Floats, synthetic: Floats) -> float:
    """Total variation distance of two vectors of shares."""
    return float(np.abs(real - synthetic).sum() / 2)


def js(real: Floats, synthetic: Floats) -> float:
    """Jensen–Shannon distance (square root of the divergence to base 2) of two vectors of shares."""
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(real, synthetic, base=2))


def wasserstein(real: Floats, synthetic: Floats) -> float:
    """1-Wasserstein distance in standard deviations of the real values."""
    from scipy.stats import wasserstein_distance

    if not len(real) or not len(synthetic):
        raise NotComputable(f"the {'synthetic' if len(real) else 'real'} column has no present value.")
    scale = float(np.std(real))
    if scale == 0:
        raise NotComputable("the real column is constant, so it has no standard deviation to measure in.")
    return float(wasserstein_distance(real, synthetic)) / scale
