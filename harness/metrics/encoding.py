"""Encodings of the three tables, made once per evaluation and shared by all metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.dependencies import encode_column
from harness.metrics.base import EvalInput, NotComputable, Role
from harness.table import Schema

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
ROLES: tuple[Role, ...] = ("train", "test", "synthetic")


@dataclass(frozen=True, eq=False)
class ColumnCodes:
    """One column of all three tables as integers: equal exactly where the values are equal, −1 where missing.

    Codes follow the order of the values (numbers by size, texts by code point), so they do not depend on the order of rows.

    Attributes:
        train: shape (n_train,).
        test: shape (n_test,).
        synthetic: shape (n_synthetic,).
        labels: the value of each code, shape (size,).
    """

    train: Ints
    test: Ints
    synthetic: Ints
    labels: np.ndarray[Any, Any]

    @property
    def size(self) -> int:
        """Number of distinct values over all three tables."""
        return len(self.labels)

    def of(self, role: Role) -> Ints:
        """The codes of one table."""
        return {"train": self.train, "test": self.test, "synthetic": self.synthetic}[role]


def codes(data: EvalInput, name: str) -> ColumnCodes:
    """Codes of a column; floats are compared at the decimals of the real column."""
    return data.cached(f"codes of {name}", lambda: _encode(data, name))  # type: ignore[no-any-return]


def _encode(data: EvalInput, name: str) -> ColumnCodes:
    cells = pd.concat([data.table(role)[name] for role in ROLES], ignore_index=True)
    coded = encode_column(data.schema[name], cells)
    missing = cells.isna().to_numpy()
    values = np.where(missing, -1, coded.values)
    size = coded.size - int(missing.any())
    labels = np.empty(size, dtype=object)
    labels[values[~missing]] = cells.to_numpy(object)[~missing]
    first, second = len(data.train), len(data.train) + len(data.test)
    return ColumnCodes(values[:first], values[first:second], values[second:], labels)


def floats(data: EvalInput, role: Role, name: str) -> Floats:
    """A numeric column as float64, NaN where missing; shape (rows,)."""
    make = lambda: data.table(role)[name].to_numpy(dtype=float, na_value=np.nan)  # noqa: E731
    return data.cached(f"floats of {role} {name}", make)  # type: ignore[no-any-return]


def row_ids(data: EvalInput) -> ColumnCodes:
    """Whole rows as integers: equal exactly where all cells are equal (floats at the real decimals, missing equals missing)."""
    return data.cached("row ids", lambda: _row_ids(data))  # type: ignore[no-any-return]


def _row_ids(data: EvalInput) -> ColumnCodes:
    joint, size = np.zeros(sum(len(data.table(role)) for role in ROLES), dtype=np.int64), 1
    for name in data.schema.names:
        column = codes(data, name)
        if size * (column.size + 1) >= 2**62:  # number the rows found so far afresh, from 0
            joint, found = pd.factorize(joint)
            joint, size = joint.astype(np.int64), len(found)
        joint = joint * (column.size + 1) + np.concatenate([column.of(role) for role in ROLES]) + 1
        size *= column.size + 1
    joint, found = pd.factorize(joint)
    first, second = len(data.train), len(data.train) + len(data.test)
    return ColumnCodes(joint[:first], joint[first:second], joint[second:], np.arange(len(found)))


def resample_columns(frame: pd.DataFrame, rows: int, generator: np.random.Generator) -> pd.DataFrame:
    """Draw every column on its own, with replacement: marginals kept, all relations gone. The *floor* anchor's table."""
    drawn = {name: frame[name].array.take(generator.integers(0, len(frame), rows)) for name in frame.columns}
    return pd.DataFrame(drawn, columns=frame.columns)


def require_rows(data: EvalInput) -> None:
    """Refuse an empty table with a sentence."""
    for role in ROLES:
        if not len(data.table(role)):
            raise NotComputable(f"the {role} table has no rows.")


def sdmetrics_metadata(schema: Schema) -> dict[str, Any]:
    """The schema in sdmetrics' words."""
    return {"columns": {c.name: {"sdtype": "numerical" if c.numeric else "categorical"} for c in schema.columns}}
