"""Features for the classifiers and regressors that metrics train: encoders know only the table they are fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.metrics.base import EvalInput, Role
from harness.metrics.encoding import Floats, Ints, codes, floats

MAX_CATEGORIES = 254
"""Categories a column keeps (scikit-learn's histogram boosting takes 255); the rarer ones share one more."""
HUGE = 1e30
"""Models compute in float32 or with squares: greater numbers, which are out of all proportion, count as this one."""


@dataclass(frozen=True, eq=False)
class Features:
    """Feature columns in the order of their names, so that models do not depend on the order of the table's columns.

    Attributes:
        names: the columns.
        categorical: which of them are categories, shape (columns,).
    """

    names: tuple[str, ...]
    categorical: np.ndarray[Any, np.dtype[np.bool_]]

    def matrix(self, data: EvalInput, role: Role, fitted_on: tuple[Role, ...]) -> Floats:
        """Numbers as they are, up to ±:data:`HUGE`; categories as ranks by frequency in the tables fitted on (0 = most frequent).

        Missing cells, and categories those tables do not have, are NaN. Shape (rows, columns).
        """
        columns = []
        for name, category in zip(self.names, self.categorical, strict=True):
            if category:
                coded = codes(data, name)
                rank = ranks(np.concatenate([coded.of(r) for r in fitted_on]), coded.size)
                columns.append(np.append(rank, np.nan)[coded.of(role)])
            else:
                columns.append(np.clip(floats(data, role, name), -HUGE, HUGE))
        return np.column_stack(columns) if columns else np.empty((len(data.table(role)), 0))


def train_matrix(data: EvalInput, role: Role, columns: Features) -> Floats:
    """Like ``columns.matrix(data, role, ("train",))``, but no other table has a say in which of equally frequent categories is first.

    Shape (rows, columns).
    """

    def ranked(name: str) -> tuple[pd.Index[Any], Floats]:
        alone = EvalInput(data.train, data.train, data.train, data.schema, data.dataset, data.seed)
        coded = codes(alone, name)
        return pd.Index(coded.labels), ranks(coded.train, coded.size)

    made = []
    for name, category in zip(columns.names, columns.categorical, strict=True):
        if category:
            labels, rank = data.cached(f"ranks in train of {name}", lambda n=name: ranked(n), of_train=True)  # type: ignore[misc]
            made.append(np.append(rank, np.nan)[labels.get_indexer(data.table(role)[name])])
        else:
            made.append(np.clip(floats(data, role, name), -HUGE, HUGE))
    return np.column_stack(made) if made else np.empty((len(data.table(role)), 0))


def features(data: EvalInput, without: str | None = None) -> Features:
    """All columns but one."""
    names = tuple(sorted(name for name in data.schema.names if name != without))
    return Features(names, np.array([not data.schema[name].numeric for name in names], dtype=bool))


def ranks(values: Ints, size: int) -> Floats:
    """Per code its rank by frequency, NaN for codes that do not occur; from ``MAX_CATEGORIES`` on they share one rank.

    Ties go by the order of the values, so nothing depends on the order of rows.
    """
    counts = np.bincount(values[values >= 0], minlength=size)
    rank = np.empty(size)
    rank[np.argsort(-counts, kind="stable")] = np.minimum(np.arange(size), MAX_CATEGORIES)
    return np.where(counts > 0, rank, np.nan)


def row_order(matrix: Floats) -> Ints:
    """An order of rows that depends on their values only, so that seeded models do not depend on the table's row order."""
    return np.lexsort(matrix.T[::-1]).astype(np.int64)


def filled(matrix: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which columns have any value: estimators fitted on this matrix can use these only."""
    return np.asarray(~np.isnan(matrix).all(axis=0), dtype=bool)


def linear_preprocessor(categorical: np.ndarray[Any, np.dtype[np.bool_]]) -> Any:
    """Scaled numbers (medians for missing ones, with an indicator) and one-hot categories, as a scikit-learn transformer."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers, categories = np.flatnonzero(~categorical), np.flatnonzero(categorical)
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    encoded = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-1), OneHotEncoder(handle_unknown="ignore", sparse_output=True)
    )
    return ColumnTransformer([("numbers", scaled, numbers), ("categories", encoded, categories)])
