"""Columns as integer codes, and what is counted on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.dependencies.values import IntArray
from harness.table import Column, Schema

DENSE = 4
"""Contingency tables of at most this many cells per row are counted in place; larger ones by sorting."""


@dataclass(frozen=True, eq=False)
class Codes:
    """Integers in [0, ``size``) that are equal exactly where the values are equal."""

    values: IntArray
    size: int


class Encoder:
    """Joint codes of several tables of one schema, each column and each left side coded once and kept.

    Single columns are coded in the order of their values (numbers by size, texts by code point, missing last), so nothing
    depends on the order of rows. The frames must not change while the encoder is in use.

    Args:
        schema: of all frames.
        *frames: the tables.
        read: gives a column's codes over all frames where somebody has them already; the order of values is then theirs.
    """

    def __init__(self, schema: Schema, *frames: pd.DataFrame, read: Callable[[str], Codes] | None = None) -> None:
        self.schema = schema
        self._read = read or self._encode
        self.frames = frames
        self.lengths = tuple(len(frame) for frame in frames)
        self._kept: dict[tuple[str, ...], Codes] = {}

    def codes(self, names: Sequence[str]) -> Codes:
        """Codes of the tuples of values in ``names``, over all frames, one after the other."""
        key = tuple(names)
        if key not in self._kept:
            self._kept[key] = self._read(key[0]) if len(key) == 1 else join(self.codes(key[:-1]), self.codes(key[-1:]))
        return self._kept[key]

    def _encode(self, name: str) -> Codes:
        return encode_column(self.schema[name], pd.concat([frame[name] for frame in self.frames], ignore_index=True))


def encode_column(column: Column, cells: pd.Series[Any]) -> Codes:
    """Code canonical cells; floats are rounded to the column's decimals first."""
    values: Any = cells.to_numpy(object)
    if column.kind == "float":
        values = cells.to_numpy(float)
        if column.decimals is not None:
            values = np.round(values, column.decimals) + 0.0  # no negative zero
    elif column.kind == "integer":
        values = cells.array
    codes, unique = pd.factorize(values, sort=True, use_na_sentinel=True)
    missing = codes < 0
    return Codes(np.where(missing, len(unique), codes).astype(np.int64), len(unique) + int(missing.any()))


def join(left: Codes, right: Codes) -> Codes:
    """Codes of pairs of values, without gaps where the full table of pairs would be large."""
    values = left.values * right.size + right.values
    size = left.size * right.size
    if size <= DENSE * len(values):
        return Codes(values, size)
    dense, unique = pd.factorize(values)
    return Codes(dense.astype(np.int64), len(unique))


def count_pairs(x: IntArray, y: IntArray, x_size: int, y_size: int) -> tuple[IntArray, IntArray]:
    """The pairs (x, y) that occur, as ascending numbers x·y_size + y, and how often each does."""
    keys = x * y_size + y
    if x_size * y_size <= DENSE * len(x):
        counts = np.bincount(keys, minlength=1)
        found = np.flatnonzero(counts)
        return found.astype(np.int64), counts[found].astype(np.int64)
    keys = np.sort(keys)
    starts = _starts(keys)
    return keys[starts], np.diff(np.append(starts, len(keys)))


def _starts(ascending: IntArray) -> IntArray:
    """Indices at which a new value begins."""
    return np.flatnonzero(np.append(len(ascending) > 0, ascending[1:] != ascending[:-1])).astype(np.int64)


def g3_error(x: IntArray, y: IntArray, x_size: int, y_size: int) -> float:
    """The least share of rows to delete so that x determines y (Kivinen and Mannila, 1995). No rows: 0."""
    if not len(x):
        return 0.0
    pairs, counts = count_pairs(x, y, x_size, y_size)
    kept = np.maximum.reduceat(counts, _starts(pairs // y_size)).sum()
    return float(1 - kept / len(x))


def modes(x: IntArray, y: IntArray, x_size: int, y_size: int) -> IntArray:
    """For each x its most frequent y, −1 where x does not occur. Ties: the y more frequent overall, then the smaller."""
    found = np.full(x_size, -1, dtype=np.int64)
    if not len(x):
        return found
    by_frequency = np.argsort(-np.bincount(y, minlength=y_size), kind="stable")
    rank = np.empty(y_size, dtype=np.int64)
    rank[by_frequency] = np.arange(y_size)
    pairs, counts = count_pairs(x, rank[y], x_size, y_size)
    starts = _starts(pairs // y_size)
    best = np.maximum.reduceat(counts * y_size + (y_size - 1 - pairs % y_size), starts)
    found[pairs[starts] // y_size] = by_frequency[y_size - 1 - best % y_size]
    return found


def compact(column: Codes) -> Codes:
    """The same codes without unused numbers in between."""
    used = np.bincount(column.values, minlength=column.size) > 0
    if used.all():
        return column
    return Codes((np.cumsum(used) - 1)[column.values].astype(np.int64), int(used.sum()))
