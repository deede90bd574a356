"""Columns, schemas and the canonical form of a table.

Canonical frames hold, column by column and in schema order:

=========== ===================== =========
kind        pandas dtype          missing
=========== ===================== =========
categorical ``object`` of ``str`` ``None``
integer     ``Int64``             ``pd.NA``
float       ``float64``           ``NaN``
=========== ===================== =========

Big integers, ids with leading zeros and anything else that would not come back exactly from a number are categorical.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import TabOrderError, choices
from harness.forms import Form, form_from_json, form_to_json

Kind = Literal["categorical", "integer", "float"]
Task = Literal["classification", "regression"]

INTEGER_TEXT = r"[+-]?(?:0|[1-9][0-9]{0,17})"
PLAIN_INTEGER = r"-?(?:0|[1-9][0-9]{0,17})"
FLOAT_TEXT = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"

TRUTH = {"true": "1", "false": "0"}
"""Truth values in a column of whole numbers."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: as in the table's header.
        kind: ``categorical``, ``integer`` or ``float``.
        decimals: digits after the point of a float column: those that write every training value exactly, or, where that
            takes more than 9, those that resolve them (:func:`resolution`). Scores, rules and dependencies compare at them.
            ``None`` for other kinds, and for numbers too large or too unlike for fixed decimals.
        form: how the table writes the cells where that is not the plain spelling; generators and metrics never see it.
    """

    name: str
    kind: Kind
    decimals: int | None = None
    form: Form | None = None

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
            "columns": [
                {"name": c.name, "kind": c.kind, "decimals": c.decimals}
                | ({"form": form_to_json(c.form)} if c.form is not None else {})
                for c in self.columns
            ],
            "target": self.target,
            "task": self.task,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schema:
        """Read what :meth:`to_json` wrote."""
        columns = [
            Column(**{**column, "form": form_from_json(column["form"])} if column.get("form") else column)
            for column in data["columns"]
        ]
        return cls(tuple(columns), data["target"], data["task"])


def infer_column(name: str, text: pd.Series[str], kind: Kind | None = None) -> Column:
    """Infer a column from its cells as written (``None`` where missing), or describe it under a given kind.

    A column is ``integer`` when every present cell is a plain integer of at most 18 digits without leading zeros or a plus
    sign, ``float`` when every present cell is a finite number of which at least one has a point or exponent (and none is a
    whole number too big for a float64), else ``categorical`` (also when all cells are missing).
    """
    cells = pa.array(text.dropna().unique(), pa.string())
    if kind is None:
        kind = "categorical"
        if len(cells) and _all_match(cells, PLAIN_INTEGER):
            kind = "integer"
        elif len(cells) and _all_match(cells, FLOAT_TEXT) and _exact_as_float(cells):
            kind = "float"
    if kind != "float":
        return Column(name, kind)
    numbers = parse_floats(cells.filter(_matches(cells, FLOAT_TEXT)))
    decimals = float_decimals(numbers)
    return Column(name, kind, resolution(numbers) if decimals is None else decimals)


def _matches(cells: Any, pattern: str) -> Any:
    return pc.match_substring_regex(cells, rf"\A(?:{pattern})\z")


def _all_match(cells: Any, pattern: str) -> bool:
    return bool(pc.all(_matches(cells, pattern), min_count=0).as_py())


def _exact_as_float(cells: Any) -> bool:
    """Whether numbers keep what is written: no leading zeros, no 17-digit id rounded, some point or exponent, no overflow."""
    if pc.any(_matches(cells, r"[+-]?0[0-9].*")).as_py() or not pc.any(_matches(cells, r".*[.eE].*")).as_py():
        return False
    long = cells.filter(_matches(cells, r"[+-]?[0-9]{16,}(?:\.[0-9]*)?")).to_pylist()
    exact = all(int(cell.split(".")[0]) == int(float(cell)) for cell in long)
    return exact and bool(np.isfinite(parse_floats(cells)).all())


def parse_floats(cells: Any) -> np.ndarray[Any, Any]:
    """Cells that match ``FLOAT_TEXT`` as correctly rounded float64 (``pandas.to_numeric`` is off by an ulp on some)."""
    return np.asarray(pc.cast(pc.utf8_ltrim(cells, "+"), pa.float64()).to_numpy(zero_copy_only=False))


def float_decimals(values: np.ndarray[Any, Any]) -> int | None:
    """The least number of digits after the point (at most 9) that writes every finite value exactly, or ``None``.

    Also ``None`` when a value reaches 1e15, where fixed-point text gets long and the test below is not exact.
    """
    left = np.unique(values[np.isfinite(values)])
    if len(left) and np.abs(left).max() >= 1e15:
        return None
    for decimals in range(10):
        left = left[np.round(left, decimals) != left]
        if not len(left):
            return decimals
    return None


def resolution(values: np.ndarray[Any, Any]) -> int | None:
    """Digits after the point that tell apart what numbers of more than 9 decimals say, so that they can be written in few.

    The least number d at which rounding moves no value by more than a millionth of the range, and 99 % of the values that
    are not 0 by no more than a thousandth of themselves. ``None`` where d digits would not be exact in a float64 (the
    largest value times 10^d reaches 2^53), and from 1e15 on: magnitudes so unlike need an exponent.
    """
    known = np.unique(values[np.isfinite(values)])
    if not len(known) or known[0] == known[-1] or np.abs(known).max() >= 1e15:
        return None
    largest, width = float(np.abs(known).max()), float(known[-1] - known[0])
    small = float(np.quantile(np.abs(known[known != 0]), 0.01))
    decimals = max(0, math.ceil(-math.log10(min(2e-6 * width, 2e-3 * small))))
    return decimals if decimals <= 22 and largest * 10.0**decimals < 2.0**53 else None


def write_cell(column: Column, value: Any) -> str | None:
    """One canonical cell as the training table writes it; ``None`` where missing."""
    text = format_cell(column, value)
    return text if text is None or column.form is None else column.form.write(text)


def format_cell(column: Column, value: Any) -> str | None:
    """Write one canonical cell as plain text; ``None`` where missing.

    The text reads back equal but in float columns whose decimals resolve the values without writing them exactly.
    """
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
    values = widened(values.reset_index(drop=True))
    if column.kind == "categorical":
        return _conform_categories(column, values).rename(column.name), 0
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_complex_dtype(values.dtype):
        numbers, invalid = _conform_numbers(column, values)
    else:  # text, categories, dates, anything: what counts is how the cell is written
        numbers, invalid = _conform_text(column, values)
    return numbers.rename(column.name), invalid


def widened(values: pd.Series[Any]) -> pd.Series[Any]:
    """Floats of 16 or 32 bits as the float64 of their own shortest decimals (4.2, not 4.199999809265137); others as is."""
    if not pd.api.types.is_float_dtype(values.dtype) or str(values.dtype).lower() not in ("float16", "float32"):
        return values
    narrow = values.to_numpy(str(values.dtype).lower(), na_value=np.nan)
    unique, codes = np.unique(narrow, return_inverse=True)
    return pd.Series(np.array([float(str(value)) for value in unique], dtype=float)[codes])


def factorize(values: pd.Series[Any]) -> tuple[np.ndarray[Any, Any], Any]:
    """Codes (-1 where missing) and distinct values in order of appearance, as ``pandas.factorize`` finds them.

    But for texts with a NUL: pandas takes those that are equal up to it for one.
    """
    if values.dtype != object or not any(isinstance(value, str) and "\0" in value for value in values):
        codes, unique = pd.factorize(values, use_na_sentinel=True)
        return codes, unique
    known: dict[Any, int] = {}
    missing = values.isna().to_numpy(dtype=bool)
    found = [-1 if gone else known.setdefault(value, len(known)) for value, gone in zip(values, missing, strict=True)]
    return np.array(found, dtype=np.intp), list(known)


def _factorize(values: pd.Series[Any]) -> tuple[np.ndarray[Any, Any], list[str | None]]:
    """Codes (-1 where missing) and the distinct cells as text."""
    try:
        codes, unique = factorize(values.astype(object))
    except TypeError:  # unhashable cells, e.g. lists
        codes, unique = factorize(values.map(str))
    return codes, [_as_text(value) for value in unique]


def _arrow(column: Column, texts: Sequence[str | None]) -> Any:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError as error:
        raise TabOrderError(
            f"column '{column.name}' holds {error.object!r}, which is no text (half of a character, a lone surrogate): "
            "mend the cell."
        ) from None


def _plain(column: Column, texts: list[str | None]) -> list[str | None]:
    """Cells of a column with a form: those already in the plain spelling stay, others are read in the form."""
    if column.form is None:
        return texts
    odd = [i for i, text in enumerate(texts) if text and not (column.numeric and re.fullmatch(FLOAT_TEXT, text))]
    read = list(texts)
    for i, text in zip(odd, column.form.plain([str(texts[i]) for i in odd]), strict=True):
        read[i] = texts[i] if text is None else text
    return read


def _conform_categories(column: Column, values: pd.Series[Any]) -> pd.Series[Any]:
    codes, texts = _factorize(values)
    texts = _plain(column, texts)
    _arrow(column, texts)
    return pd.Series(np.array([*texts, None], dtype=object)[codes], dtype=object)


def _conform_numbers(column: Column, values: pd.Series[Any]) -> tuple[pd.Series[Any], int]:
    if column.kind == "integer" and pd.api.types.is_integer_dtype(values.dtype):
        whole = values.astype("UInt64" if pd.api.types.is_unsigned_integer_dtype(values.dtype) else "Int64")
        too_big = (whole > np.iinfo(np.int64).max).fillna(False).astype(bool)
        return whole.mask(too_big).astype("Int64"), int(too_big.sum())
    floats = values.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    missing = values.isna().to_numpy(dtype=bool)
    valid = np.isfinite(floats)
    if column.kind == "float":
        return pd.Series(np.where(valid, floats, np.nan)), int((~valid & ~missing).sum())
    valid &= (floats == np.floor(floats)) & (np.abs(floats) < 2.0**63)
    digits = np.where(valid, floats, 0.0).astype(np.int64)
    return pd.Series(pd.arrays.IntegerArray(digits, ~valid)), int((~valid & ~missing).sum())


def _conform_text(column: Column, values: pd.Series[Any]) -> tuple[pd.Series[Any], int]:
    codes, texts = _factorize(values)
    texts = _plain(column, texts)
    cells = _arrow(column, texts)
    missing = np.array([text is None or text == "" for text in [*texts, None]])[codes]
    floats = np.full(len(texts) + 1, np.nan)
    is_number = np.append(np.asarray(pc.fill_null(_matches(cells, FLOAT_TEXT), False)), False).astype(bool)
    floats[is_number] = parse_floats(cells.filter(pa.array(is_number[:-1])))
    if column.kind == "float":
        floats[~np.isfinite(floats)] = np.nan
        numbers = pd.Series(floats[codes])
    else:
        whole, valid = _whole_numbers(floats, texts)
        numbers = pd.Series(pd.arrays.IntegerArray(whole[codes], ~valid[codes]))
    return numbers, int((numbers.isna().to_numpy() & ~missing).sum())


def _whole_numbers(
    floats: np.ndarray[Any, Any], texts: list[str | None]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The numbers that fit an int64, exactly, and which do; beyond 2**53 digits are read from the text, not the float."""
    valid = np.isfinite(floats) & (floats == np.floor(floats)) & (np.abs(floats) <= 2.0**63)
    whole = np.zeros(len(floats), dtype=np.int64)
    small = valid & (np.abs(floats) < 2.0**53)
    whole[small] = floats[small].astype(np.int64)
    for index in np.flatnonzero(valid & ~small):
        exact = int(Decimal(str(texts[index])))
        valid[index] = -(2**63) <= exact < 2**63
        whole[index] = exact if valid[index] else 0
    return whole, valid


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
