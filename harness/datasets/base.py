"""A dataset: two tables of one schema, and what is known to hold in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from harness.dependencies.values import FunctionalDependency
from harness.table import Schema


@dataclass(frozen=True, eq=False)
class Dataset:
    """Train and test rows in canonical form (:mod:`harness.table`), never changed after construction.

    Attributes:
        name: folder-safe name.
        schema: shared by both tables; inferred on train.
        train: rows generators may see (after ``max_train_rows``).
        test: held-out rows; only the evaluator sees them.
        checksum: SHA-256 over schema, train and test content: equal content, equal checksum.
        rules: declarative domain rules, as in the dataset's YAML (:mod:`harness.datasets.rules` reads them).
        fds: curated functional dependencies that hold in the real table.
        condition: the column whose categories condition the ``conditional`` metrics, or ``None``.
        resources: files rules and figures need (e.g. ``{"us_states": path of the .shp}``).
        notes: one-sentence facts for the record (dropped rows, licence, subsampling).
    """

    name: str
    schema: Schema
    train: pd.DataFrame
    test: pd.DataFrame
    checksum: str
    rules: tuple[Mapping[str, Any], ...] = ()
    fds: tuple[FunctionalDependency, ...] = ()
    condition: str | None = None
    resources: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of the tables ``train`` and ``test``."""
        return {"train": len(self.train), "test": len(self.test)}
