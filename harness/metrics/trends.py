"""Trends of all pairs of columns at once: sdmetrics' Column Pair Trends by matrix products and counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.metrics.base import EvalInput, Role
from harness.metrics.encoding import Floats, Ints, codes, floats

SIDES: tuple[Role, Role] = ("test", "synthetic")
DENSE = 4
"""Tables of at most this many cells a row are counted in place, larger ones by sorting."""


@dataclass(frozen=True, eq=False)
class Trends:
    """Scores of all pairs i < j.

    Attributes:
        scores: shape (pairs,), in [0, 1]; 0 where a pair cannot be scored.
        counted: whether the pair reaches the thresholds, shape (pairs,); true where it cannot be scored.
    """

    scores: Floats
    counted: np.ndarray[Any, np.dtype[np.bool_]]


def pair_trends(data: EvalInput, min_correlation: float, min_association: float) -> Trends:
    """``1 − |r − r'|/2`` with Pearson's r for two number columns, 1 − TVD of the contingency table for others.

    Numbers beside categories are in ten bins of equal width of *their own* table, a missing number in the last of them, as in
    sdmetrics. A missing category is a value.

    Args:
        data: test rows are the real ones.
        min_correlation: pairs of numbers whose real ``|r|`` is not above this are not counted; 0 counts all.
        min_association: likewise for Cramér's V of the others.
    """
    columns = data.schema.columns
    numeric = np.array([column.numeric for column in columns])
    place = {int(column): k for k, column in enumerate(np.flatnonzero(numeric))}
    similar, reached = _correlations(data, [c.name for c in columns if c.numeric], min_correlation)
    tables = [_counted_columns(data, role) for role in SIDES]
    scores, counted = [], []
    for i in range(len(columns)):
        for j in range(i + 1, len(columns)):
            if numeric[i] and numeric[j]:
                scores.append(similar[place[i], place[j]])
                counted.append(reached[place[i], place[j]])
                continue
            score, enough = _contingency((tables[0][i], tables[0][j]), (tables[1][i], tables[1][j]), min_association)
            scores.append(score)
            counted.append(enough)
    return Trends(np.array(scores), np.array(counted, dtype=bool))


@dataclass(frozen=True, eq=False)
class _Counted:
    """A column as integers in [0, size), or ``None`` where sdmetrics cannot bin it."""

    values: Ints | None
    size: int


def _counted_columns(data: EvalInput, role: Role) -> list[_Counted]:
    found = []
    for column in data.schema.columns:
        if column.numeric:
            found.append(_binned(floats(data, role, column.name)))
        else:
            coded = codes(data, column.name)
            found.append(_Counted(np.where(coded.of(role) < 0, coded.size, coded.of(role)), coded.size + 1))
    return found


def _binned(values: Floats) -> _Counted:
    try:
        edges = np.histogram_bin_edges(values[~np.isnan(values)])
        return _Counted(np.digitize(values, bins=edges).astype(np.int64), len(edges) + 1)
    except ValueError:  # a range without ten numbers in it
        return _Counted(None, 0)


def _contingency(real: tuple[_Counted, _Counted], made: tuple[_Counted, _Counted], least: float) -> tuple[float, bool]:
    """Score of a pair of columns, and whether it is counted."""
    width, keys = max(real[1].size, made[1].size), []
    size = max(real[0].size, made[0].size) * width
    for left, right in (real, made):
        if left.values is None or right.values is None:
            return 0.0, True
        keys.append(left.values * width + right.values)
    if least > 0 and not _cramers_v(keys[0], width) > least:
        return 0.0, False
    if size > DENSE * (len(keys[0]) + len(keys[1])):
        _, dense = np.unique(np.concatenate(keys), return_inverse=True)
        keys, size = [dense[: len(keys[0])], dense[len(keys[0]) :]], int(dense.max()) + 1
    shares = [np.bincount(key, minlength=size) / len(key) for key in keys]
    return 1 - float(np.abs(shares[0] - shares[1]).sum()) / 2, True


def _cramers_v(keys: Ints, width: int) -> float:
    """Cramér's V of the pairs that are numbered left · width + right; NaN where a side has one value."""
    pairs, counts = np.unique(keys, return_counts=True)
    rows, columns = (np.unique(side, return_inverse=True)[1] for side in (pairs // width, pairs % width))
    low = min(rows.max(), columns.max())
    if low < 1:
        return float("nan")
    totals = [np.bincount(side, weights=counts) for side in (rows, columns)]
    square = float(np.sum(counts * (counts / (totals[0][rows] * totals[1][columns])))) - 1
    return float(np.sqrt(max(square, 0.0) / low))


def _correlations(data: EvalInput, names: list[str], least: float) -> tuple[Floats, Any]:
    """Scores and whether they are counted, shapes (number columns, number columns)."""
    if not names:
        return np.empty((0, 0)), np.empty((0, 0), dtype=bool)
    tables = [np.column_stack([floats(data, role, name) for name in names]) for role in SIDES]
    real, made = (pearson(table) for table in tables)
    constant = np.logical_or(*(np.array([_constant(column) for column in table.T]) for table in tables))
    failed = constant[:, None] | constant[None, :]
    for table in tables:
        present = (~np.isnan(table)).astype(float)
        failed |= present.T @ present < 2
    scores = 1 - np.abs(real - made) / 2
    reached = failed | (np.abs(real) > least) if least > 0 else np.ones_like(failed)
    return np.where(failed | np.isnan(scores), 0.0, scores), reached


def _constant(values: Floats) -> bool:
    present = values[~np.isnan(values)]
    return not len(present) or bool((present == present[0]).all())


def pearson(table: Floats) -> Floats:
    """Pearson's r of all pairs of columns over the rows that have both cells.

    Args:
        table: shape (rows, columns), NaN where missing.

    Returns:
        Shape (columns, columns); NaN where a column is constant over these rows or there are none.
    """
    with np.errstate(all="ignore"):
        scaled = table / np.where(np.nanmax(np.abs(table), axis=0) > 0, np.nanmax(np.abs(table), axis=0), 1.0)
        scaled = scaled - np.nanmean(scaled, axis=0)
        spread = np.nanstd(scaled, axis=0)
        scaled = scaled / np.where(spread > 0, spread, 1.0)
        present = (~np.isnan(scaled)).astype(float)
        filled = np.nan_to_num(scaled)
        rows, sums, squares = present.T @ present, filled.T @ present, (filled**2).T @ present
        within = squares - sums**2 / rows  # of the column that gives the row, over the rows that both have
        both = within * within.T
        r = (filled.T @ filled - sums * sums.T / rows) / np.sqrt(both)
        flat = within <= 1e-18 * np.maximum(squares, 1e-300)
        return np.where(flat | flat.T | (rows < 2), np.nan, np.clip(r, -1.0, 1.0))
