"""A column of two tables as shares of the same bins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.table import Column

BINS = 24


CATEGORIES = 12


OTHER = "other ("
"""How the bin of rarer categories is called, before their number."""


Shares = np.ndarray[Any, np.dtype[np.float64]]


def shares(column: Column, real: pd.Series[Any], synthetic: pd.Series[Any]) -> tuple[Shares, Shares, list[str]]:
    """Shares of rows per bin, real and synthetic, and names of the first and last bin (of every category).

    Numbers: 24 equal bins between the real 0.5 % and 99.5 % quantiles, values beyond fall into the end bins. Categories: the
    12 most frequent real ones, then ``other`` (known but rarer), ``unseen`` (not in the real column). A last bin holds missing
    cells where either column has some.
    """
    if column.numeric:
        first, second, names = _numbers(real, synthetic)
    else:
        first, second, names = _categories(real, synthetic)
    lacking = int(real.isna().sum()), int(synthetic.isna().sum())
    if any(lacking):
        first, second, names = np.append(first, lacking[0]), np.append(second, lacking[1]), [*names, "missing"]
    return first / max(1, len(real)), second / max(1, len(synthetic)), names


def _numbers(real: pd.Series[Any], synthetic: pd.Series[Any]) -> tuple[Shares, Shares, list[str]]:
    values = [series.dropna().to_numpy(dtype=float) for series in (real, synthetic)]
    if not len(values[0]):
        return np.zeros(1), np.array([float(len(values[1]))]), ["no value"]
    low, high = np.quantile(values[0], [0.005, 0.995])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    counts = [np.histogram(np.clip(found, low, high), edges)[0].astype(float) for found in values]
    return counts[0], counts[1], [readable(low), readable(high)]


def readable(value: float) -> str:
    """A number of about four digits without an exponent where people would not write one: ``0.125``, ``75.5``, ``556,700``."""
    if value != 0 and not 1e-3 <= abs(value) < 1e9:
        return f"{value:.3g}"
    rounded = float(f"{value:.4g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"


def _categories(real: pd.Series[Any], synthetic: pd.Series[Any]) -> tuple[Shares, Shares, list[str]]:
    known = real.value_counts()
    known = known.loc[sorted(known.index, key=lambda name: (-known[name], str(name)))]
    made = synthetic.value_counts()
    top = list(known.index[:CATEGORIES])
    first = [float(known[name]) for name in top]
    second = [float(made.get(name, 0)) for name in top]
    names = [str(name) for name in top]
    if len(known) > len(top):
        first.append(float(known.iloc[CATEGORIES:].sum()))
        second.append(float(made.reindex(known.index[CATEGORIES:]).fillna(0).sum()))
        names.append(f"{OTHER}{len(known) - CATEGORIES})")
    unseen = float(made.sum() - made.reindex(known.index).fillna(0).sum())
    if unseen:
        first, second, names = [*first, 0.0], [*second, unseen], [*names, "unseen"]
    return (np.array(first), np.array(second), names) if names else (np.zeros(1), np.zeros(1), ["no value"])
