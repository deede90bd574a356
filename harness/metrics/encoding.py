"""Encodings of the three tables, made once per evaluation and shared by all metrics."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.dependencies.codes import Codes, Encoder, encode_column
from harness.metrics.base import EvalInput, NotComputable, Role
from harness.table import Schema

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
ROLES: tuple[Role, ...] = ("train", "test", "synthetic")


@dataclass(frozen=True, eq=False)
class ColumnCodes:
    """One column of all three tables as integers: equal exactly where the values are equal, −1 where missing.

    Codes of numbers follow their size, codes of categories how often these occur (see :func:`_canonical`), so neither the order of
    rows nor what categories are called matters.

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
    coded = _by_value(data, name)
    return coded if data.schema[name].numeric else _renumber(coded, _canonical(data, name, coded))


def class_codes(data: EvalInput, name: str) -> ColumnCodes:
    """Codes of a column of classes, numbers too: no code depends on what a class is called or which number stands for it."""
    if not data.schema[name].numeric:
        return codes(data, name)

    def make() -> ColumnCodes:
        coded = _by_value(data, name)
        return _renumber(coded, _canonical(data, name, coded))

    return data.cached(f"class codes of {name}", make)  # type: ignore[no-any-return]


def _by_value(data: EvalInput, name: str) -> ColumnCodes:
    """Codes in the order of the values (numbers by size, texts by code point)."""
    if data.schema[name].numeric:
        return _read(data, name)
    return data.cached(f"codes by value of {name}", lambda: _read(data, name))  # type: ignore[no-any-return]


def _read(data: EvalInput, name: str) -> ColumnCodes:
    cells = pd.concat([data.table(role)[name] for role in ROLES], ignore_index=True)
    coded = encode_column(data.schema[name], cells)
    missing = cells.isna().to_numpy()
    size = coded.size - int(missing.any())
    values = coded.values
    values[missing] = -1
    labels = np.empty(size, dtype=object)
    labels[values[~missing][::-1]] = cells.to_numpy(object)[~missing][
        ::-1
    ]  # where several are one value, the first cell's
    first, second = len(data.train), len(data.train) + len(data.test)
    return ColumnCodes(values[:first], values[first:second], values[second:], labels)


def _renumber(coded: ColumnCodes, order: Ints) -> ColumnCodes:
    """The same column with its codes in another order."""
    new = np.full(coded.size + 1, -1, dtype=np.int64)  # the last entry stands for code −1
    new[order] = np.arange(coded.size)
    return ColumnCodes(new[coded.train], new[coded.test], new[coded.synthetic], coded.labels[order])


def _counts(coded: ColumnCodes) -> list[Ints]:
    """How often each code occurs, table by table."""
    return [np.bincount(coded.of(role) + 1, minlength=coded.size + 1)[1:] for role in ROLES]


def _canonical(data: EvalInput, name: str, coded: ColumnCodes) -> Ints:
    """An order of a column's categories that their names do not decide.

    By frequency in train, then test; among equals by a fingerprint of the real rows that hold them, then by the synthetic ones. Only
    categories that all this does not tell apart, which are then (but for accidents) interchangeable, follow their names.
    """
    train, test, synthetic = (-count for count in _counts(coded))
    keys: list[Ints | Floats] = [train, test]
    if len(np.unique(train * (len(data.test) + 1) + test)) < coded.size:
        own = name if data.schema[name].numeric else None  # a number that stands for a class must not order the classes
        prints = [_by_category(coded.of(role), _fingerprints(data, role, own), coded.size) for role in ROLES]
        keys += [*prints[:2], synthetic, prints[2]]
    return np.lexsort([np.arange(coded.size), *keys[::-1]]).astype(np.int64)


def _by_category(values: Ints, prints: Floats, size: int) -> Floats:
    """Sums over the rows of each code."""
    present = values >= 0
    return np.asarray(np.bincount(values[present], weights=prints[present], minlength=size), dtype=float)


def _fingerprints(data: EvalInput, role: Role, without: str | None) -> Floats:
    """A number of each row in [0, 2²⁴) made from its numbers (but for one column's) and from how frequent its categories are."""
    return data.cached(f"fingerprints of {role} without {without}", lambda: _hash_rows(data, role, without))  # type: ignore[no-any-return]


def _hash_rows(data: EvalInput, role: Role, without: str | None) -> Floats:
    total = np.zeros(len(data.table(role)), dtype=np.uint64)
    for column in data.schema.columns:
        if column.name == without:
            continue
        if column.numeric:
            values = floats(data, role, column.name)
            hashed = np.where(np.isnan(values), 0.0, values + 0.0).view(np.uint64)
        else:
            coded = _by_value(data, column.name)
            counts = (_mix(count.astype(np.uint64) + np.uint64(place)) for place, count in enumerate(_counts(coded)))
            hashed = np.append(np.bitwise_xor.reduce(list(counts)), np.uint64(0))[coded.of(role)]
        total += _mix(hashed ^ np.uint64(zlib.crc32(column.name.encode())))
    return (_mix(total) >> np.uint64(40)).astype(float)  # sums of 2²⁹ such numbers are exact


def _mix(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Scatter 64-bit integers (the finalizer of SplitMix64; Steele, Lea and Flood, 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def encoder(data: EvalInput, *roles: Role) -> Encoder:
    """Some of the tables, one after the other, as dependencies are measured on them: with the shared codes."""

    def read(name: str) -> Codes:
        coded = codes(data, name)
        values = np.concatenate([coded.of(role) for role in roles])
        return Codes(np.where(values < 0, coded.size, values), coded.size + 1)

    return Encoder(data.schema, *(data.table(role) for role in roles), read=read)


def floats(data: EvalInput, role: Role, name: str) -> Floats:
    """A numeric column as float64, NaN where missing, at the decimals of the real column; shape (rows,).

    What lies below the real decimals (the noise of a float32, say) is no property of the data, so no metric sees it.
    """

    def make() -> Floats:
        values = data.table(role)[name].to_numpy(dtype=float, na_value=np.nan)
        decimals = data.schema[name].decimals
        return values if decimals is None else np.round(values, decimals) + 0.0  # no negative zero

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
