"""How far two tables' pairs of columns lie apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.table import Column, Schema

BINS = 8


CHUNK = 65_536
"""Rows counted at once."""


Matrix = np.ndarray[Any, np.dtype[np.float64]]


def _codes(
    column: Column, real: pd.Series[Any], other: pd.Series[Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Bin both columns alike: real quantiles for numbers, most frequent real categories; a last bin for missing cells."""
    if column.numeric:
        values = real.dropna().to_numpy(dtype=float)
        edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1])) if len(values) else np.array([0.0])

        def coded(series: pd.Series[Any]) -> np.ndarray[Any, Any]:
            numbers = series.to_numpy(dtype=float, na_value=np.nan)
            return np.where(np.isnan(numbers), BINS + 1, np.searchsorted(edges, numbers, side="left"))

        return coded(real), coded(other)
    counts = real.value_counts()
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    place = {name: rank for rank, (name, _) in enumerate(ordered[: BINS - 1])}
    known = set(counts.index)

    def ranked(series: pd.Series[Any]) -> np.ndarray[Any, Any]:
        found, unique = pd.factorize(series)
        table = [place.get(name, BINS - 1 if name in known else BINS) for name in unique]
        return np.array([*table, BINS + 1])[found]

    return ranked(real), ranked(other)


def _joint(codes: list[np.ndarray[Any, Any]]) -> Matrix:
    """All joint shares at once: ``(columns·bins, columns·bins)`` from one product of one-hot matrices."""
    width = BINS + 2
    rows, found = len(codes[0]), np.zeros((len(codes) * width,) * 2)
    for start in range(0, rows, CHUNK):  # counts stay exact in single precision, memory small
        part = [column[start : start + CHUNK] for column in codes]
        hot = np.zeros((len(part[0]), len(codes) * width), dtype=np.float32)
        for index, column in enumerate(part):
            hot[np.arange(len(column)), index * width + column] = 1.0
        found += hot.T @ hot
    return found / max(1, rows)


def distances(schema: Schema, real: pd.DataFrame, synthetic: pd.DataFrame) -> tuple[list[str], Matrix]:
    """Total variation distance of every pair of columns' joint distribution, on at most 10 × 10 bins.

    Returns:
        The names of the columns (the first 24) and the symmetric ``(columns, columns)`` distances in [0, 1]; the diagonal is
        the distance of the single columns. 0 is best.
    """
    columns = schema.columns[:MOST_COLUMNS]
    coded = [_codes(column, real[column.name], synthetic[column.name]) for column in columns]
    gap = np.abs(_joint([first for first, _ in coded]) - _joint([second for _, second in coded]))
    width = BINS + 2
    blocks = gap.reshape(len(columns), width, len(columns), width)
    return [column.name for column in columns], 0.5 * blocks.sum(axis=(1, 3))


MOST_COLUMNS = 24
