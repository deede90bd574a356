"""Pairs of columns in bins of the real table: how far every two-column table is from the held-out real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.errors import TabOrderError
from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Role, Value
from harness.metrics.encoding import Floats, codes, floats

Small = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True, eq=False)
class Binned:
    """One column of one table in bins.

    Attributes:
        values: shape (rows,), in [0, size); ``size − 1`` where the cell is missing.
        size: number of bins, the same for all tables.
    """

    values: Small
    size: int


@dataclass(frozen=True)
class Bins:
    """How columns are put into bins that real rows alone decide.

    - A number: ``numbers`` bins of about equal frequency, one for values below the real range and one for those above; a value so
      frequent that it fills a bin has one to itself.
    - A category: the ``categories`` most frequent ones, and one bin for the rest.
    - A missing cell has a bin of its own.

    Attributes:
        reference: the real table that decides.
        numbers: bins of a number column.
        categories: categories kept apart.
    """

    reference: Role = "test"
    numbers: int = 10
    categories: int = 100

    def __post_init__(self) -> None:
        if self.numbers < 1 or self.categories < 1:
            raise TabOrderError(
                f"bins={self.numbers}, categories={self.categories} is not possible: give 1 or more of each."
            )

    def of(self, data: EvalInput, role: Role, name: str) -> Binned:
        """A column of one table in bins, once per evaluation."""
        make = self._number if data.schema[name].numeric else self._category
        return data.cached(f"{self} of {role} {name}", lambda: make(data, role, name))  # type: ignore[no-any-return]

    def _number(self, data: EvalInput, role: Role, name: str) -> Binned:
        real, values = floats(data, self.reference, name), floats(data, role, name)
        edges, filling = _edges(real[~np.isnan(real)], self.numbers)
        bins = np.maximum(np.searchsorted(edges, values, side="left"), 1)
        bins[values < edges[0] if len(edges) else slice(0)] = 0
        if len(filling):
            at = np.minimum(np.searchsorted(filling, values, side="left"), len(filling) - 1)
            bins = np.where(filling[at] == values, len(edges) + 1 + at, bins)
        size = max(len(edges), 1) + len(filling) + 2
        return Binned(np.where(np.isnan(values), size - 1, bins).astype(np.int32), size)

    def _category(self, data: EvalInput, role: Role, name: str) -> Binned:
        coded = codes(data, name)
        real = coded.of(self.reference)
        counts = np.bincount(real[real >= 0], minlength=coded.size)
        kept = np.argsort(-counts, kind="stable")[: min(self.categories, np.count_nonzero(counts))]
        bins = np.full(coded.size + 1, len(kept), dtype=np.int32)
        bins[kept] = np.arange(len(kept))
        bins[-1] = len(kept) + 1  # code −1: missing
        return Binned(bins[coded.of(role)], len(kept) + 2)


def _edges(real: Floats, bins: int) -> tuple[Floats, Floats]:
    """The distinct quantiles that bound ``bins`` bins, and those that occur twice: single values that fill a bin."""
    if not len(real):
        return np.empty(0), np.empty(0)
    quantiles = np.quantile(real, np.linspace(0, 1, bins + 1), method="inverted_cdf")
    edges, times = np.unique(quantiles, return_counts=True)
    return edges, edges[times > 1]


def joint_counts(left: Binned, right: Binned) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How many rows have each pair of bins, shape (left.size · right.size,)."""
    return np.bincount(left.values * np.intp(right.size) + right.values, minlength=left.size * right.size)


@dataclass(frozen=True)
class PairDistance(Declared):
    """Total variation distance of the joint distribution of two columns, over all pairs; in [0, 1], lower is better.

    Synthetic against test rows, in bins that the test rows decide (:class:`Bins`), so that numbers out of their range count as
    what they are, and a missing cell as a value. Values: ``distribution.pair_distance``, the mean over all pairs, and
    ``distribution.pair_distance.<column>``, the mean over the pairs of one column. It is 1 − the bivariate accuracy of Platzer and
    Reutterer (2021), who use deciles too.

    Args:
        bins: of a number column.
        categories: kept apart, of a categorical column.
    """

    bins: int = 10
    categories: int = 100
    name = "distribution.pair_distance"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "train"

    def __post_init__(self) -> None:
        Bins("test", self.bins, self.categories)

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare the contingency tables of every pair."""
        names, bins = data.schema.names, Bins("test", self.bins, self.categories)
        if len(names) < 2:
            raise NotComputable("the table has one column, so no pairs.")
        real, made = ([bins.of(data, role, name) for name in names] for role in ("test", "synthetic"))
        table = np.zeros((len(names), len(names)))
        for i in range(len(names)):
            for j in range(i):
                shares = [joint_counts(t[i], t[j]) / len(t[i].values) for t in (real, made)]
                table[i, j] = table[j, i] = np.abs(shares[0] - shares[1]).sum() / 2
        each = table.sum(axis=1) / (len(names) - 1)
        details = [Value(f"{self.name}.{name}", float(x), "min") for name, x in zip(names, each, strict=True)]
        return [Value(self.name, float(each.mean()), "min"), *details]
