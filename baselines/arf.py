"""Adversarial random forests (arfpy), in an environment of its own: it needs ``numpy<2.4``.

Watson et al., "Adversarial random forests for density estimation and generative modeling", AISTATS 2023.
"""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd

from baselines.columns import complete, modelled
from harness.errors import Incompatible, TabOrderError
from harness.generator import Sample, Yield
from harness.seeding import global_seed
from harness.table import Schema


class ARF:
    """A forest that tells real rows from rows resampled within its leaves; its leaves then are the density.

    Missing numbers, which arfpy does not know, become a category of their own: a column that says which cells are missing.
    Numbers are rounded to the column's decimals, as arfpy leaves them unrounded.

    Args:
        trees: trees in each forest.
        max_iterations: adversarial rounds at most.
        delta: the forest's accuracy may exceed 0.5 by this much at the end.
        min_node_size: rows in a leaf at least.
        max_train_seconds: accepted like every generator's budget; fitting cannot stop half-way: overrunning is noted.
    """

    version = "1"

    def __init__(
        self,
        *,
        trees: int = 30,
        max_iterations: int = 10,
        delta: float = 0.0,
        min_node_size: int = 5,
        max_train_seconds: float | None = None,
    ) -> None:
        if trees < 1 or min_node_size < 1 or max_iterations < 0 or not 0 <= delta <= 0.5:
            raise TabOrderError(
                f"arf: trees={trees} and min_node_size={min_node_size} must be at least 1, max_iterations={max_iterations} at least 0, delta={delta} in [0, 0.5]."
            )
        self.trees, self.max_iterations, self.delta = trees, max_iterations, delta
        self.min_node_size, self.max_train_seconds = min_node_size, max_train_seconds
        self._notes: list[str] = []

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Grow the forests and estimate the density.

        Raises:
            Incompatible: with fewer than two leaves' worth of rows, or no column with a value.
        """
        if len(train) < 2 * self.min_node_size:
            raise Incompatible(f"ARF needs at least {2 * self.min_node_size} training rows, got {len(train)}.")
        self._schema = schema
        self._modelled, self._notes = modelled(train, schema, "ARF")
        encoded = self._encode(train)
        from arfpy.arf import arf

        started = time.monotonic()
        with _seeded(seed):
            self._model = arf(
                encoded,
                num_trees=self.trees,
                delta=self.delta,
                max_iters=self.max_iterations,
                min_node_size=self.min_node_size,
                verbose=False,
            )
            self._model.forde()
        self._notes.append(f"discriminator accuracy by round: {', '.join(f'{a:.3f}' for a in self._model.acc)}")
        seconds = time.monotonic() - started
        if self.max_train_seconds is not None and seconds > self.max_train_seconds:
            self._notes.append(
                f"fit took {seconds:.1f} s, more than max_train_seconds={self.max_train_seconds:g}: it cannot stop half-way"
            )

    def sample(self, n: int, *, seed: int) -> Sample:
        """Draw ``n`` rows; every row drawn is delivered."""
        with _seeded(seed):
            drawn = self._model.forge(n).reset_index(drop=True)
        frame = self._decode(drawn)
        return Sample(frame, Yield(attempted=n, accepted=len(frame)))

    def describe(self) -> Mapping[str, Any]:
        """Notes: columns without value, accuracy by round."""
        return {"notes": self._notes}

    def _encode(self, train: pd.DataFrame) -> pd.DataFrame:
        """Columns ``c0, c1, …`` as arfpy takes them: text as object, numbers as float, missing numbers told by ``m0, m1, …``."""
        columns: dict[str, Any] = {}
        for i, name in enumerate(self._modelled):
            values = train[name].reset_index(drop=True)
            if not self._schema[name].numeric:
                columns[f"c{i}"] = values
            else:
                numbers = values.astype("float64")
                columns[f"c{i}"] = numbers.fillna(numbers.median())
                if values.hasnans:
                    columns[f"m{i}"] = values.isna().map({True: "missing", False: "present"}).astype(object)
        return pd.DataFrame(columns)

    def _decode(self, drawn: pd.DataFrame) -> pd.DataFrame:
        columns: dict[str, pd.Series[Any]] = {}
        for i, name in enumerate(self._modelled):
            column, values = self._schema[name], drawn[f"c{i}"]
            if column.numeric:
                values = values.astype("float64")
                if column.kind == "integer" or column.decimals is not None:
                    values = values.round(column.decimals or 0)
                if f"m{i}" in drawn:
                    values = values.where(drawn[f"m{i}"] != "missing")
            columns[name] = values
        return complete(columns, self._schema, len(drawn))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """arfpy follows numpy's global state, and warns of deprecations row by row."""
    with global_seed(seed), warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield
