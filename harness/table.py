"""Columns, schemas and the canonical form of a table.

Canonical frames hold, column by column and in schema order:

========== ==================== =========
kind       pandas dtype         missing
========== ==================== =========
categorical ``object`` of ``str`` ``None``
integer    ``Int64``            ``pd.NA``
float      ``float64``          ``NaN``
========== ==================== =========

Big integers, ids with leading zeros and anything else that would not come back exactly from a number are categorical.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from harness.errors import TabOrderError, choices

Kind = Literal["categorical", "integer", "float"]
Task = Literal["classification", "regression"]

INTEGER_TEXT = r"[+-]?(?:0|[1-9][0-9]{0,17})"
FLOAT_TEXT = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: as in the table's header.
        kind: ``categorical``, ``integer`` or ``float``.
        decimals: digits after the point that write every training value of a float column exactly; ``None`` for other
            kinds, and for float columns that need more than 9 (then 17 significant digits are used).
    """

    name: str
    kind: Kind
    decimals: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise TabOrderError(f"column '{self.name}': {choices(self.kind, get_args(Kind), 'kind')}")

    @property
    def numeric(self) -> bool:
        """Whether values are numbers."""
        return self.kind != "categorical"


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in order, and what is predicted from them.

    Attributes:
        columns: in table order.
        target: the label column of the downstream task, or ``None``.
        task: ``classification`` or ``regression``; ``None`` exactly when there is no target.
    """

    columns: tuple[Column, ...]
    target: str | None = None
    task: Task | None = None

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names):
            repeated = sorted({name for name in names if names.count(name) > 1})
            raise TabOrderError(
                f"the table has more than one column named {repeated}: rename them so that each name is unique."
            )
        if self.target is not None and self.target not in names:
            raise TabOrderError(choices(self.target, names, "target column"))
        if (self.target is None) != (self.task is None):
            raise TabOrderError(f"target '{self.target}' and task '{self.task}' go together: give both or neither.")
        if self.task is not None and self.task not in get_args(Task):
            raise TabOrderError(choices(self.task, get_args(Task), "task"))

    @property
    def names(self) -> list[str]:
        """Column names in table order."""
        return [column.name for column in self.columns]

    @property
    def categorical(self) -> list[str]:
        """Names of the categorical columns."""
        return [column.name for column in self.columns if not column.numeric]

    @property
    def numeric(self) -> list[str]:
        """Names of the integer and float columns."""
        return [column.name for column in self.columns if column.numeric]

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise TabOrderError(choices(name, self.names, "column"))

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form; :meth:`from_json` reverses it."""
        return {
            "columns": [{"name": c.name, "kind": c.kind, "decimals": c.decimals} for c in self.columns],
            "target": self.target,
            "task": self.task,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schema:
        """Read what :meth:`to_json` wrote."""
        return cls(tuple(Column(**column) for column in data["columns"]), data["target"], data["task"])


def infer_column(name: str, text: pd.Series[str], kind: Kind | None = None) -> Column:
    """Infer a column from its cells as written (``None`` where missing), or describe it under a given kind.

    A column is ``integer`` when every present cell is a plain integer of at most 18 digits without leading zeros, ``float``
    when every present cell is a finite number and at least one has a point or exponent, else ``categorical`` (also when all
    cells are missing).
    """
    present = text.dropna()
    if kind is None:
        unique = pd.Series(present.unique(), dtype=object)
        kind = "categorical"
        if len(unique) and unique.str.fullmatch(INTEGER_TEXT).all():
            kind = "integer"
        elif len(unique) and unique.str.fullmatch(FLOAT_TEXT).all():
            leading_zero = unique.str.fullmatch(r"[+-]?0[0-9]+.*").any()
            finite = bool(np.isfinite(pd.to_numeric(unique)).all())
            too_long = unique.str.fullmatch(r"[+-]?[0-9]{19,}").any()
            kind = "float" if finite and not leading_zero and not too_long else "categorical"
    decimals = float_decimals(pd.to_numeric(present, errors="coerce").to_numpy(float)) if kind == "float" else None
    return Column(name, kind, decimals)


def float_decimals(values: np.ndarray[Any, Any]) -> int | None:
    """The least number of digits after the point (at most 9) that writes every finite value exactly, or ``None``."""
    left = np.unique(values[np.isfinite(values)])
    for decimals in range(10):
        left = left[np.round(left, decimals) != left]
        if not len(left):
            return decimals
    return None


def format_cell(column: Column, value: Any) -> str | None:
    """Write one canonical cell as text, reversibly; ``None`` where missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if column.kind == "categorical":
        return str(value)
    if column.kind == "integer":
        return str(int(value))
    return f"{value:.{column.decimals}f}" if column.decimals is not None else repr(float(value))


def _as_text(value: Any) -> str | None:
    """A category as text: numbers that equal an integer lose their point, so that 1, 1.0 and "1" are one category."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)):
        if math.isnan(value):
            return None
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    return str(value)


def _conform_column(column: Column, values: pd.Series[Any]) -> tuple[pd.Series[Any], int]:
    values = values.reset_index(drop=True)
    if column.kind == "categorical":
        try:
            codes, unique = pd.factorize(values.astype(object), use_na_sentinel=True)
        except TypeError:  # unhashable cells, e.g. lists
            codes, unique = pd.factorize(values.map(str), use_na_sentinel=True)
        texts = np.array([*(_as_text(value) for value in unique), None], dtype=object)
        return pd.Series(texts[codes], dtype=object, name=column.name), 0
    missing = values.isna()
    if column.kind == "integer" and pd.api.types.is_integer_dtype(values.dtype):
        return values.astype("Int64").rename(column.name), 0
    if values.dtype == object or pd.api.types.is_string_dtype(values.dtype):
        text = values.map(_as_text, na_action="ignore")
        missing = missing | (text == "")
        if column.kind == "integer":
            plain = text.where(text.astype("string").str.fullmatch(INTEGER_TEXT).fillna(False).astype(bool))
            exact = pd.to_numeric(plain, errors="coerce").astype("Int64") if plain.notna().any() else None
            if exact is not None and plain.notna().sum() == (~missing).sum():
                return exact.rename(column.name), 0
        numbers = pd.to_numeric(text, errors="coerce")
    else:
        numbers = pd.to_numeric(values, errors="coerce")
    floats = numbers.astype("float64")
    valid = np.isfinite(floats)
    if column.kind == "integer":
        valid &= (floats == np.floor(floats)) & (floats.abs() < 2.0**63)
    invalid = int((~valid & ~missing).sum())
    floats = floats.where(valid & ~missing)
    if column.kind == "float":
        return floats.rename(column.name), invalid
    return floats.astype("Int64").rename(column.name), invalid


def conform(frame: pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, dict[str, int]]:
    """Bring a frame to the canonical form of ``schema`` without mending it.

    Args:
        frame: any frame that has all of the schema's columns, in any order; it is not changed. Extra columns are refused.
        schema: what the columns should be.

    Returns:
        The canonical frame (fresh 0..n-1 index), and per column the number of *invalid cells*: present cells that are not a
        value of the column's kind (text or infinity in a number column, 1.5 in an integer column). They become missing.

    Raises:
        TabOrderError: when columns are missing, unexpected or repeated.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TabOrderError(f"expected a pandas DataFrame, got {type(frame).__name__}.")
    names = [str(name) for name in frame.columns]
    if sorted(names) != sorted(schema.names):
        lacking = [name for name in schema.names if name not in names]
        extra = [name for name in names if name not in schema.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        parts = [
            f"{label} {value}"
            for label, value in (("missing", lacking), ("unexpected", extra), ("repeated", twice))
            if value
        ]
        raise TabOrderError(
            f"the table's columns do not match the schema: {'; '.join(parts)} (expected {schema.names})."
        )
    columns: dict[str, pd.Series[Any]] = {}
    invalid: dict[str, int] = {}
    for column in schema.columns:
        series, bad = _conform_column(column, frame.iloc[:, names.index(column.name)])
        columns[column.name] = series
        if bad:
            invalid[column.name] = bad
    return pd.DataFrame(columns, columns=pd.Index(schema.names)), invalid


def infer_task(column: Column, values: Sequence[Any]) -> Task:
    """Classification for categories and for integers with at most 20 distinct values, else regression."""
    if column.kind == "categorical":
        return "classification"
    distinct = pd.Series(values).nunique()
    return "classification" if column.kind == "integer" and distinct <= 20 else "regression"
