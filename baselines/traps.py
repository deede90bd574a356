"""Reference generators that show the ends and traps of every scale: what a score must not take for a good table.

Each copies in its own way; none is for use. :mod:`baselines.resampling` has the plain ends, ``copy`` and ``independent``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from baselines.resampling import not_empty
from harness.errors import TabOrderError
from harness.generator import Sample, Yield
from harness.seeding import rng
from harness.table import Column, Schema


class _Rows:
    """What these share: they keep the training rows.

    Args:
        max_train_seconds: accepted like every generator's budget; fitting takes no time.
    """

    version = "1"

    def __init__(self, *, max_train_seconds: float | None = None) -> None:
        self.max_train_seconds = max_train_seconds

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Keep the rows."""
        self._train, self._schema = not_empty(train, schema), schema

    def sample(self, n: int, *, seed: int) -> Sample:
        """``n`` rows."""
        return Sample(self._draw(n, seed).reset_index(drop=True), Yield(attempted=n, accepted=n))

    def _draw(self, n: int, seed: int) -> pd.DataFrame:
        """``n`` canonical rows in any index."""
        raise NotImplementedError


class Bootstrap(_Rows):
    """Training rows drawn with replacement: perfect relations, nothing new."""

    def _draw(self, n: int, seed: int) -> pd.DataFrame:
        return self._train.iloc[rng(seed, "rows").integers(0, len(self._train), n)]


class NoisyCopy(_Rows):
    """A bootstrap whose numbers are jittered, so that no row is an exact copy, and some of whose cells are exchanged.

    A number cell is moved, with probability ``share``, by a normal step of ``noise`` ranges of its column, and stays in that range.
    Then ``exchanged`` cells of each row, in columns drawn for it, take the value of another training row.

    Args:
        noise: standard deviation of the step, in ranges of the column; at least 0.
        share: of number cells that are moved, in [0, 1].
        exchanged: cells of each row that are exchanged, at least 0.
        max_train_seconds: accepted like every generator's budget.
    """

    def __init__(
        self, *, noise: float = 0.01, share: float = 0.5, exchanged: int = 0, max_train_seconds: float | None = None
    ) -> None:
        super().__init__(max_train_seconds=max_train_seconds)
        if noise < 0 or not 0 <= share <= 1:
            raise TabOrderError(f"noise={noise}, share={share}: give noise of at least 0 and a share in [0, 1].")
        if isinstance(exchanged, bool) or not isinstance(exchanged, int) or exchanged < 0:
            raise TabOrderError(f"exchanged={exchanged!r}: give a whole number of at least 0.")
        self.noise, self.share, self.exchanged = noise, share, exchanged

    def _draw(self, n: int, seed: int) -> pd.DataFrame:
        made = self._train.iloc[rng(seed, "rows").integers(0, len(self._train), n)].reset_index(drop=True)
        for column in self._schema.columns:
            if column.numeric:
                made[column.name] = self._jittered(made[column.name], column, rng(seed, "noise", column.name))
        turn, names = rng(seed, "exchanged"), self._schema.names
        chosen = turn.random((n, len(names))).argsort(axis=1)[:, : self.exchanged]
        for place, name in enumerate(names):
            rows = np.flatnonzero((chosen == place).any(axis=1))
            other = self._train[name].array.take(turn.integers(0, len(self._train), len(rows)))
            made.loc[rows, name] = pd.Series(other, index=rows)
        return made

    def _jittered(self, values: pd.Series[Any], column: Column, random: np.random.Generator) -> Any:
        low, high = number_range(self._train[column.name])
        moved = random.random(len(values)) < self.share
        step = random.normal(size=len(values)) * self.noise * (high - low)
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        return as_cells(np.where(moved, np.clip(numbers + step, low, high), numbers), column)


class TypicalRows(_Rows):
    """The most typical training rows, over and over: realistic row by row, without diversity.

    A cell is the more typical the more frequent its category is, or the nearer its number is to the median (in ranges of the
    column); a row as typical as its cells on average.

    Args:
        share: of the training rows that are repeated, in (0, 1].
        max_train_seconds: accepted like every generator's budget.
    """

    def __init__(self, *, share: float = 0.1, max_train_seconds: float | None = None) -> None:
        super().__init__(max_train_seconds=max_train_seconds)
        if not 0 < share <= 1:
            raise TabOrderError(f"share={share}: give a share above 0 and at most 1.")
        self.share = share

    def _draw(self, n: int, seed: int) -> pd.DataFrame:
        typical = sum(typicality(self._train[column.name], column) for column in self._schema.columns)
        kept = np.argsort(-np.asarray(typical), kind="stable")[: max(1, round(self.share * len(self._train)))]
        return self._train.iloc[rng(seed, "rows").permutation(np.resize(kept, n))]


def typicality(values: pd.Series[Any], column: Column) -> np.ndarray[Any, Any]:
    """Of each cell, in [0, 1]: the share of rows with its category, or 1 − distance from the median in ranges; shape (rows,)."""
    if not column.numeric:
        shares = values.value_counts(normalize=True, dropna=False)
        return values.map(shares).fillna(float(values.isna().mean())).to_numpy(dtype=float)
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    low, high = number_range(values)
    if not high > low:
        return np.ones(len(values))
    return np.asarray(np.nan_to_num(1 - np.abs(numbers - np.nanmedian(numbers)) / (high - low)))


def number_range(values: pd.Series[Any]) -> tuple[float, float]:
    """Least and greatest present number; 0 and 0 where there is none."""
    numbers = values.dropna().to_numpy(dtype=float)
    return (float(numbers.min()), float(numbers.max())) if len(numbers) else (0.0, 0.0)


def as_cells(numbers: np.ndarray[Any, Any], column: Column) -> Any:
    """Numbers (NaN where missing) as canonical cells of a number column: rounded to integers or to the column's decimals."""
    if column.kind == "integer":
        whole = np.where(np.isnan(numbers), 0.0, np.round(numbers)).astype(np.int64)
        return pd.arrays.IntegerArray(whole, np.isnan(numbers))
    return numbers if column.decimals is None else np.round(numbers, column.decimals)
