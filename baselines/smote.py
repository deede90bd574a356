"""SMOTE as a generator: rows between neighbouring training rows. A trap: close to train, and yet no copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from baselines.resampling import not_empty
from baselines.traps import as_cells, number_range
from harness.errors import Incompatible, TabOrderError
from harness.generator import Sample, Yield
from harness.seeding import rng
from harness.table import Column, Schema


class Smote:
    """SMOTE for numbers and categories (SMOTE-NC; Chawla et al., 2002), over all rows instead of a minority class.

    A training row and one of its nearest neighbours are drawn. Numbers lie on the line between them at one random place for the
    whole row, rounded to the column's decimals; a category is the most frequent one among all neighbours (of equally frequent ones
    that of the nearest). Distance: Euclidean, numbers in ranges of their column, 1 for categories that differ; missing is a
    category, and a number next to a missing one is taken from the drawn row.

    Args:
        neighbours: k, at least 1; at most one less than there are rows is used.
        max_train_seconds: accepted like every generator's budget; fitting takes no time.
    """

    version = "1"

    def __init__(self, *, neighbours: int = 5, max_train_seconds: float | None = None) -> None:
        if isinstance(neighbours, bool) or not isinstance(neighbours, int) or neighbours < 1:
            raise TabOrderError(f"neighbours={neighbours!r}: give a whole number of at least 1.")
        self.neighbours, self.max_train_seconds = neighbours, max_train_seconds

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Index the rows.

        Raises:
            Incompatible: with fewer than 2 rows.
        """
        if len(train) < 2:
            raise Incompatible(f"SMOTE needs at least 2 training rows, got {len(train)}.")
        self._train, self._schema = not_empty(train, schema).reset_index(drop=True), schema
        self._points = _points(self._train, schema)

    def sample(self, n: int, *, seed: int) -> Sample:
        """``n`` rows, every one between two training rows."""
        from sklearn.neighbors import NearestNeighbors

        random, rows = rng(seed, "rows"), len(self._train)
        base = random.integers(0, rows, n)
        k = min(self.neighbours, rows - 1)
        asked, back = np.unique(base, return_inverse=True)
        search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(self._points)
        found = _without_self(search.kneighbors(self._points[asked], return_distance=False), asked)[back]
        other, along = found[np.arange(n), random.integers(0, k, n)], random.random(n)
        cells = {c.name: self._column(c, base, other, found, along) for c in self._schema.columns}
        return Sample(pd.DataFrame(cells, columns=self._schema.names), Yield(attempted=n, accepted=n))

    def _column(self, column: Column, base: Any, other: Any, found: Any, along: Any) -> Any:
        values = self._train[column.name]
        if column.numeric:
            numbers = values.to_numpy(dtype=float, na_value=np.nan)
            between = numbers[base] + along * (numbers[other] - numbers[base])
            return as_cells(np.where(np.isnan(between), numbers[base], between), column)
        codes, labels = pd.factorize(values, use_na_sentinel=False)
        near = codes[found]
        votes = (near[:, :, None] == near[:, None, :]).sum(axis=1)
        winner = near[np.arange(len(near)), votes.argmax(axis=1)]
        return np.array([None if pd.isna(label) else label for label in labels], dtype=object)[winner]


def _without_self(found: Any, rows: Any) -> Any:
    """Neighbours without the row itself, nearest first: among equal rows it may be anywhere in the list, or not in it."""
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True
    return found[~own].reshape(len(found), -1)


def _points(train: pd.DataFrame, schema: Schema) -> Any:
    """Rows as sparse points, shape (rows, dimensions): numbers in ranges, a category as one entry of 1/√2."""
    from scipy.sparse import csr_matrix, hstack

    parts = []
    for column in schema.columns:
        values = train[column.name]
        missing = values.isna().to_numpy(dtype=bool)
        if column.numeric:
            low, high = number_range(values)
            numbers = values.to_numpy(dtype=float, na_value=np.nan)
            scaled = np.where(missing, 0.0, (numbers - low) / ((high - low) or 1.0))
            parts.append(csr_matrix(np.column_stack([scaled, missing.astype(float)])))
        else:
            codes, labels = pd.factorize(values, use_na_sentinel=False)
            entries = np.full(len(values), np.sqrt(0.5))
            parts.append(csr_matrix((entries, (np.arange(len(values)), codes)), shape=(len(values), len(labels))))
    return hstack(parts).tocsr()
