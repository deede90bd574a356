"""The two anchors as generators: rows of the training table, and columns resampled independently of each other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.generator import Incompatible, Sample, Yield
from harness.seeding import rng
from harness.table import Schema


class Copy:
    """Deliver training rows in a random order: perfect fidelity, no privacy.

    Every training row appears ⌊n/rows⌋ times, and ``n mod rows`` of them, drawn without replacement, once more.

    Args:
        max_train_seconds: accepted like every generator's budget; fitting takes no time.
    """

    version = "1"

    def __init__(self, *, max_train_seconds: float | None = None) -> None:
        self.max_train_seconds = max_train_seconds

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Keep the rows."""
        self._train = not_empty(train, schema)

    def sample(self, n: int, *, seed: int) -> Sample:
        """``n`` rows of train."""
        random, rows = rng(seed, "rows"), len(self._train)
        extra = random.permutation(rows)[: n % rows]
        picked = random.permutation(np.concatenate([np.tile(np.arange(rows), n // rows), extra]))
        return Sample(self._train.iloc[picked].reset_index(drop=True), Yield(attempted=n, accepted=n))


class Independent:
    """Draw each column on its own, with replacement, from its training values: right marginals, no dependence.

    Args:
        max_train_seconds: accepted like every generator's budget; fitting takes no time.
    """

    version = "1"

    def __init__(self, *, max_train_seconds: float | None = None) -> None:
        self.max_train_seconds = max_train_seconds

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Keep the columns."""
        self._train = not_empty(train, schema)

    def sample(self, n: int, *, seed: int) -> Sample:
        """``n`` rows; each column has its own stream of random numbers, named after it."""
        rows = len(self._train)
        columns = {
            name: self._train[name].iloc[rng(seed, "column", name).integers(0, rows, n)].reset_index(drop=True)
            for name in self._train.columns
        }
        return Sample(pd.DataFrame(columns), Yield(attempted=n, accepted=n))


def not_empty(train: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """A copy of the training rows.

    Raises:
        Incompatible: when there is none.
    """
    if train.empty:
        raise Incompatible("resampling needs at least one training row, got none.")
    return train[schema.names].copy()
