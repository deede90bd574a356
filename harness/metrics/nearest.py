"""Exact nearest neighbours of mixed rows, by brute force that looks at numbers only where categories allow.

Two distances, both per row pair a sum over columns with 1 for categories that differ (missing is a category):

- *mixed* (Gower, 1971): ``|a − b| / range``, at most 1, for numbers, divided by the number of columns; 0 for two missing cells, 1
  for one; in [0, 1]. The range is the training column's; a number column that is constant there counts as a category.
- *squared*: ((a − b) / range)² for numbers, unclipped and not divided: the squared Euclidean distance when categories are
  one-hot vectors of length 1/√2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.metrics.base import EvalInput, NotComputable, Role
from harness.metrics.encoding import Floats, Ints, codes, floats

TILE = 1 << 18
"""Pairs held at a time."""
EXACT = 12
"""Decimals kept of sums over columns, so that equal distances are equal whatever the order of the columns was."""
FAR = 1e9
"""Stands for a missing number: at distance 0 from itself and, clipped, at 1 from everything else."""


@dataclass(frozen=True, eq=False)
class MixedRows:
    """Rows ready for distances.

    Attributes:
        numbers: number columns divided by their training range, shape (number columns, rows).
        categories: code arrays of shape (rows,), one a column, in the smallest dtype.
        rows: how many.
    """

    numbers: Floats
    categories: tuple[np.ndarray[Any, Any], ...]
    rows: int

    @property
    def columns(self) -> int:
        """How many, of both kinds."""
        return len(self.numbers) + len(self.categories)

    def take(self, rows: Ints) -> MixedRows:
        """Some of the rows."""
        return MixedRows(self.numbers[:, rows], tuple(c[rows] for c in self.categories), len(rows))


def mixed_rows(data: EvalInput, role: Role) -> MixedRows:
    """The rows of one table, scaled by the training table; made once per evaluation."""
    return data.cached(f"mixed rows of {role}", lambda: _mixed_rows(data, role))  # type: ignore[no-any-return]


def _mixed_rows(data: EvalInput, role: Role) -> MixedRows:
    numbers, categories = [], []
    for column in data.schema.columns:
        spread = _spread(floats(data, "train", column.name)) if column.numeric else 0.0
        if spread > 0:
            scaled = floats(data, role, column.name) / spread
            numbers.append(np.where(np.isnan(scaled), FAR, scaled))
        else:
            coded = codes(data, column.name)
            categories.append((coded.of(role) + 1).astype(np.min_scalar_type(coded.size + 1)))
    rows = len(data.table(role))
    return MixedRows(np.array(numbers).reshape(len(numbers), rows), tuple(categories), rows)


def _spread(values: Floats) -> float:
    present = values[~np.isnan(values)]
    return float(np.ptp(present)) if len(present) else 0.0


@dataclass(frozen=True, eq=False)
class Nearest:
    """Per query row: distances to the nearest and second nearest reference row (infinite where there is none), and the nearest
    row (the first of several)."""

    first: Floats
    second: Floats
    index: Ints


def require_pairs(pairs: int, limit: int) -> None:
    """Refuse work that would not end soon, with a sentence, rather than take a sample."""
    if pairs > limit:
        raise NotComputable(
            f"it needs {pairs:.2g} distances, more than max_pairs={limit:.2g}: raise max_pairs (about 5 s per 1e9 and core)."
        )


def nearest(queries: MixedRows, references: MixedRows, *, squared: bool = False) -> Nearest:
    """Search all pairs exactly. Distances are sums over columns: the mixed one is not yet divided by their number.

    Args:
        queries: rows to find neighbours for.
        references: rows to find them in.
        squared: the squared distance instead of the mixed one.
    """
    pairs = zip(queries.numbers, references.numbers, strict=True)
    wide = [max(a.max(), b.max()) - min(a.min(), b.min()) > 1 for a, b in pairs]
    step = max(1, TILE // max(references.rows, 1))
    parts = []
    for start in range(0, queries.rows, step):
        tile = _Tile(queries.take(np.arange(start, min(start + step, queries.rows))), references, wide, squared)
        parts.append(tile.search())
    first, second, index = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Nearest(np.round(first, EXACT), np.round(second, EXACT), index)


class _Tile:
    """A few query rows against all references, by increasing number of differing categories: the numbers only add to it.

    ``wide`` says which number columns hold missing cells or values more than a range apart.
    """

    def __init__(self, queries: MixedRows, references: MixedRows, wide: list[bool], squared: bool) -> None:
        self.queries, self.references, self.wide, self.squared = queries, references, wide, squared
        self.different = self._count_different()

    def _count_different(self) -> np.ndarray[Any, Any]:
        shape = (self.queries.rows, self.references.rows)
        total = np.zeros(shape, dtype=np.min_scalar_type(len(self.references.categories)))
        differs = np.empty(shape, dtype=bool)
        for a, b in zip(self.queries.categories, self.references.categories, strict=True):
            np.not_equal(a[:, None], b[None, :], out=differs)
            total += differs
        return total

    def search(self) -> tuple[Floats, Floats, Ints]:
        """First, second and index of the first, one entry per query row."""
        if 8 * np.count_nonzero(self.different == 0) > self.different.size:
            return self._search_all()
        rows = self.queries.rows
        first, second, index = np.full(rows, np.inf), np.full(rows, np.inf), np.zeros(rows, dtype=np.int64)
        open_rows = np.arange(rows)
        for level in range(len(self.references.categories) + 1):
            at = np.flatnonzero(self.different[open_rows] == level)  # twice as fast as nonzero in two dimensions
            query, reference = open_rows[at // self.references.rows], at % self.references.rows
            _merge(first, second, index, query, reference, level + self._numbers(query, reference))
            open_rows = open_rows[second[open_rows] > level + 1]
            if not len(open_rows):
                break
        return first, second, index

    def _search_all(self) -> tuple[Floats, Floats, Ints]:
        """The same where categories rule out too little: all pairs at once."""
        everyone = np.arange(self.queries.rows)[:, None], np.arange(self.references.rows)[None, :]
        distance = self.different + self._numbers(*everyone)
        index, rows = distance.argmin(axis=1), np.arange(len(distance))
        first = distance[rows, index]
        distance[rows, index] = np.inf
        return first, distance.min(axis=1), index

    def _numbers(self, query: Ints, reference: Ints) -> Floats:
        """What number columns add to the distance of pairs: row numbers of shapes that broadcast."""
        shape = np.broadcast_shapes(query.shape, reference.shape)
        total, gap = np.zeros(shape), np.empty(shape)
        for a, b, wide in zip(self.queries.numbers, self.references.numbers, self.wide, strict=True):
            left, right = a[query], b[reference]
            np.abs(np.subtract(left, right, out=gap), out=gap)
            if self.squared:
                if wide:
                    gap[(left == FAR) != (right == FAR)] = 1.0
                gap *= gap
            elif wide:
                np.minimum(gap, 1.0, out=gap)
            total += gap
        return total


def _merge(first: Floats, second: Floats, index: Ints, query: Ints, reference: Ints, distance: Floats) -> None:
    """Fold new pairs, ordered by query row, into the two smallest distances of each row, in place."""
    if not len(query):
        return
    starts = np.flatnonzero(np.append(True, query[1:] != query[:-1]))
    rows = query[starts]
    least = np.minimum.reduceat(distance, starts)
    at_least = np.flatnonzero(distance == np.repeat(least, np.diff(np.append(starts, len(query)))))
    chosen = at_least[np.append(True, query[at_least[1:]] != query[at_least[:-1]])]  # the first of several
    rest = distance.copy()
    rest[chosen] = np.inf
    runner_up = np.minimum.reduceat(rest, starts)
    better = least < first[rows]
    index[rows[better]] = reference[chosen[better]]
    second[rows] = np.minimum(np.maximum(first[rows], least), np.minimum(second[rows], runner_up))
    first[rows] = np.minimum(first[rows], least)
