"""Columns as the leaves of a mixture see them: a level for every row, and a number where the level is "another value".

A category's levels are its values. A number of few values has them as levels; of another, those that make up at least
:data:`ATOM` of the rows are levels (the zeros of an amount, a cap), and the rest share one, beside which stands the
normal score of the value. A missing cell is a level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from harness.dependencies import IntArray, encode_column
from harness.table import Column

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

FEW = 64
"""Numbers of at most so many different values are levels throughout."""

ATOM = 0.01
"""Share of the rows that makes a single value of another number a level."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """A column coded.

    Attributes:
        column: its name and kind.
        levels: (rows,) the level of each row.
        values: the cell of each level as it stands in train; the level ``other`` stands for none.
        other: the level "another value", the last one; ``None`` where levels say all.
        known: (values,) the distinct other values in order; empty without ``other``.
        heights: (values,) their mid-rank in (0, 1).
        scores: (rows,) normal scores, 0 for rows of other levels.
    """

    column: Column
    levels: IntArray
    values: pd.Series[Any]
    other: int | None
    known: FloatArray
    heights: FloatArray
    scores: FloatArray

    @property
    def size(self) -> int:
        """Number of levels."""
        return len(self.values) + (self.other is not None)

    def cells(self, levels: IntArray, scores: FloatArray) -> pd.Series[Any]:
        """The cells that levels and scores stand for: within train's range, as exact as the column is written.

        Args:
            levels: (rows,) levels drawn.
            scores: (rows,) normal scores, used where the level is ``other``.
        """
        if self.other is None:
            return self.values.take(levels).reset_index(drop=True)
        drawn = np.interp(ndtr(scores), self.heights, self.known)
        fixed = self.values.to_numpy(float, na_value=np.nan)
        numbers = np.where(levels == self.other, drawn, np.append(fixed, 0.0)[levels])
        if self.column.kind == "integer":
            return pd.Series(pd.array(np.round(numbers), dtype="Float64")).mask(np.isnan(numbers)).astype("Int64")
        return pd.Series(np.round(numbers, self.column.decimals) if self.column.decimals is not None else numbers)


def code(column: Column, cells: pd.Series[Any]) -> Leaf:
    """Code a column of train (canonical)."""
    codes = encode_column(column, cells)
    counts = np.bincount(codes.values, minlength=codes.size)
    cell_of = cells.iloc[np.unique(codes.values, return_index=True)[1]].reset_index(drop=True)
    none = np.empty(0)
    if not column.numeric or codes.size <= FEW:
        return Leaf(column, codes.values, cell_of, None, none, none, np.zeros(len(cells)))
    alone = (counts >= ATOM * len(cells)) | cell_of.isna().to_numpy()
    level_of = np.where(alone, np.cumsum(alone) - 1, alone.sum())
    levels = level_of[codes.values]
    rows = ~alone[codes.values]
    numbers = cell_of.to_numpy(float, na_value=np.nan)[~alone]  # in order, as codes are
    weight = counts[~alone]
    heights = (np.cumsum(weight) - weight / 2) / weight.sum()
    scores = np.zeros(len(cells))
    scores[rows] = ndtri(heights)[(np.cumsum(~alone) - 1)[codes.values[rows]]]
    return Leaf(column, levels, cell_of[alone].reset_index(drop=True), int(alone.sum()), numbers, heights, scores)
