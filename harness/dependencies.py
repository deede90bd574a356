"""Functional dependencies X→Y: values, mining and the measurement of violations.

Throughout, a missing cell is a value like any other, and a float column is compared at the decimals of the *real* column
(``schema``), so that unrounded synthetic numbers cannot make every left side look new.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from harness.errors import TabOrderError, choices
from harness.table import Column, Schema

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Backend = Literal["numpy", "hyfd"]

DENSE = 4
"""Contingency tables of at most this many cells per row are counted in place; larger ones by sorting."""


@dataclass(frozen=True)
class FunctionalDependency:
    """The rows' values of ``lhs`` determine the value of ``rhs``.

    Attributes:
        lhs: determinant columns, sorted as given.
        rhs: the dependent column.
        g3: the least share of the (training) rows to delete so that the dependency holds; 0 when exact.
    """

    lhs: tuple[str, ...]
    rhs: str
    g3: float = 0.0

    def __post_init__(self) -> None:
        if not self.lhs or self.rhs in self.lhs:
            raise TabOrderError(
                f"a functional dependency needs a left side without its right side, got {list(self.lhs)} → '{self.rhs}'."
            )

    def __str__(self) -> str:
        return f"{','.join(self.lhs)}→{self.rhs}"

    def to_json(self) -> dict[str, Any]:
        """``{lhs: [...], rhs: ..., g3: ...}``."""
        return {"lhs": list(self.lhs), "rhs": self.rhs, "g3": self.g3}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FunctionalDependency:
        """Read ``{lhs: name or [names], rhs: name, g3: share}``, as in a dataset's YAML."""
        lhs: Sequence[str] = [data["lhs"]] if isinstance(data["lhs"], str) else data["lhs"]
        return cls(tuple(lhs), str(data["rhs"]), float(data.get("g3", 0.0)))


@dataclass(frozen=True, eq=False)
class FDViolation:
    """How synthetic rows S treat a dependency X→Y of the real rows R; m(x) is the most frequent y beside x in R.

    All rates are shares in [0, 1], lower is better; ``None`` where the denominator has no rows.

    Attributes:
        rate: #{x seen in R, y ≠ m(x)} / #S, the headline.
        seen_rate: the same numerator / #{x seen in R}.
        unseen_rate: #{x not seen in R} / #S. Read it beside ``rate``: rows with unseen left sides cannot violate.
        g3: the least share of S to delete so that X→Y holds within S.
        mask: the rows that ``rate`` counts, in S's order.
    """

    rate: float | None
    seen_rate: float | None
    unseen_rate: float | None
    g3: float | None
    mask: Mask


@dataclass(frozen=True)
class MiningOptions:
    """What to look for, and what to leave out.

    Attributes:
        max_lhs: most columns on a left side: 1 or 2 for ``numpy``; for ``hyfd`` any bound.
        max_g3: greatest g3 error; 0 finds exact dependencies only. A right side that is constant up to this share is left out.
        max_distinct_share: greatest number of distinct left sides per row; above it the left side is a key or nearly one, and
            determines everything without telling anything. 1 keeps even keys.
        min_support: least number of disagreements that would be expected if the right side were independent of the left:
            (rows − distinct left sides) × (1 − Σ p(y)²). About exp(−20) is the probability that an exact dependency with support
            20 is an accident. 0 keeps all.
        min_gain: least value of 1 − g3 / (g3 after the right side is shuffled): how much of the error left by chance the left side
            removes. A left side of many values has a low g3 with anything; this asks for more. Exact dependencies have gain 1.
        time_limit_seconds: the search ends here, coding of the columns included, with what it has; the result says so. One left
            side is always checked to its end.
        backend: ``numpy``, or ``hyfd`` (complete HyFD from desbordante, exact dependencies only, an optional extra).
    """

    max_lhs: int = 2
    max_g3: float = 0.0
    max_distinct_share: float = 0.9
    min_support: float = 20.0
    min_gain: float = 0.5
    time_limit_seconds: float = 60.0
    backend: Backend = "numpy"

    def __post_init__(self) -> None:
        if self.backend not in get_args(Backend):
            raise TabOrderError(choices(self.backend, get_args(Backend), "mining backend"))
        if self.max_lhs < 1 or (self.backend == "numpy" and self.max_lhs > 2):
            raise TabOrderError(
                f"max_lhs={self.max_lhs} is not possible: the numpy backend takes 1 or 2; more needs backend=hyfd."
            )
        for name in ("max_g3", "max_distinct_share", "min_gain"):
            if not 0 <= getattr(self, name) <= 1:
                raise TabOrderError(f"{name}={getattr(self, name)} is a share: give a number between 0 and 1.")
        if self.min_support < 0 or self.time_limit_seconds <= 0:
            raise TabOrderError(
                f"min_support={self.min_support} must be at least 0 and time_limit_seconds={self.time_limit_seconds} positive."
            )
        if self.backend == "hyfd" and self.max_g3 > 0:
            raise TabOrderError(f"backend=hyfd finds exact dependencies only: set max_g3=0 (it is {self.max_g3}).")

    def changed(self, changes: Mapping[str, Any]) -> MiningOptions:
        """These options with some replaced by name; an unknown name is refused."""
        for name in changes:
            if name not in self.__dataclass_fields__:
                raise TabOrderError(choices(name, self.__dataclass_fields__, "mining option"))
        return replace(self, **changes)


@dataclass(frozen=True)
class MiningResult:
    """Minimal dependencies found, and what was left out.

    Attributes:
        fds: by size of the left side, then by the table positions of left and right side.
        rejected: dependencies that hold but were filtered, each with the reason.
        notes: sentences for the record: constants, keys, limits.
        limit_hit: whether the time limit ended the search, so that ``fds`` may lack some.
    """

    fds: tuple[FunctionalDependency, ...]
    rejected: tuple[tuple[FunctionalDependency, str], ...] = ()
    notes: tuple[str, ...] = ()
    limit_hit: bool = False


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


def _modes(x: IntArray, y: IntArray, x_size: int, y_size: int) -> IntArray:
    """For each x its most frequent y, −1 where x does not occur. Ties: the y more frequent overall, then the smaller."""
    modes = np.full(x_size, -1, dtype=np.int64)
    if not len(x):
        return modes
    by_frequency = np.argsort(-np.bincount(y, minlength=y_size), kind="stable")
    rank = np.empty(y_size, dtype=np.int64)
    rank[by_frequency] = np.arange(y_size)
    pairs, counts = count_pairs(x, rank[y], x_size, y_size)
    starts = _starts(pairs // y_size)
    best = np.maximum.reduceat(counts * y_size + (y_size - 1 - pairs % y_size), starts)
    modes[pairs[starts] // y_size] = by_frequency[y_size - 1 - best % y_size]
    return modes


def violations(
    fd: FunctionalDependency,
    train: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    *,
    encoder: Encoder | None = None,
) -> FDViolation:
    """Measure how ``synthetic`` breaks ``fd``, whose right answers come from ``train``.

    Args:
        fd: the dependency; an approximate one is measured against its most frequent answers.
        train: real rows, canonical.
        synthetic: rows under judgement, canonical.
        schema: of both tables; its decimals are the real ones.
        encoder: ``Encoder(schema, train, synthetic)`` when many dependencies are measured: columns are then coded once.
    """
    encoder = encoder or Encoder(schema, train, synthetic)
    if encoder.lengths != (len(train), len(synthetic)):
        raise TabOrderError(
            f"the encoder holds tables of {encoder.lengths} rows, expected ({len(train)}, {len(synthetic)}): make it from these tables."
        )
    left, right = encoder.codes(fd.lhs), encoder.codes((fd.rhs,))
    split, rows = len(train), len(synthetic)
    x, y = left.values[split:], right.values[split:]
    expected = _modes(left.values[:split], right.values[:split], left.size, right.size)[x]
    seen = expected >= 0
    mask = seen & (expected != y)
    broken, known = int(mask.sum()), int(seen.sum())
    return FDViolation(
        rate=broken / rows if rows else None,
        seen_rate=broken / known if known else None,
        unseen_rate=(rows - known) / rows if rows else None,
        g3=g3_error(x, y, left.size, right.size) if rows else None,
        mask=mask,
    )


def any_violation(results: Iterable[FDViolation]) -> Mask:
    """The rows that break at least one of several dependencies (at least one result is needed)."""
    masks = [result.mask for result in results]
    if not masks:
        raise TabOrderError("no functional dependency was given: the rows that break any of none are undefined.")
    result: Mask = np.logical_or.reduce(masks)
    return result


def mine(
    frame: pd.DataFrame,
    schema: Schema,
    options: MiningOptions | None = None,
    *,
    encoder: Encoder | None = None,
    **changes: Any,
) -> MiningResult:
    """Find the minimal functional dependencies of a canonical table.

    Args:
        frame: the rows; not changed.
        schema: its columns.
        options: what to look for; the defaults of :class:`MiningOptions` when ``None``.
        encoder: ``Encoder(schema, frame)`` when there is one already.
        **changes: single options, by name, e.g. ``mine(frame, schema, max_lhs=1, max_g3=0.05)``.

    Raises:
        TabOrderError: on an unknown or impossible option, or when ``backend="hyfd"`` is not installed.
    """
    from harness import fd_mining  # it needs the values above

    began = time.monotonic()
    options = (options or MiningOptions()).changed(changes)
    encoder = encoder or Encoder(schema, frame)
    columns = [encoder.codes((name,)) for name in schema.names]
    return fd_mining.search(schema.names, columns, options, began=began)
