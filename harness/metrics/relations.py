"""Relations that functional dependencies do not state: orders, arithmetic, combinations that never occur.

What all training rows keep is looked for among them, then counted in the synthetic rows. After Long, Xu and Brintrup (arXiv
2502.04055), who ask whether hierarchies, sequences and calculations between columns survive; their hierarchical consistency is
1 − ``fd_violation_rate`` − ``fd_unseen_rate`` for a hierarchy that is a functional dependency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Role, Value, with_mean
from harness.metrics.encoding import Floats, floats
from harness.metrics.pairs import Binned, Bins, joint_counts
from harness.table import Column

SCREEN = 64
"""Rows a relation is tried on before all of them: one breach is enough to drop it."""

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def _numbers(data: EvalInput, role: Role) -> Floats:
    """The number columns by name, shape (columns, rows)."""
    names = sorted(data.schema.numeric)
    return np.array([floats(data, role, name) for name in names]).reshape(len(names), len(data.table(role)))


def _spread_rows(rows: int) -> Any:
    """A few rows, evenly spread: which ones decides only how soon a relation that does not hold is dropped."""
    return np.unique(np.linspace(0, rows - 1, min(rows, SCREEN)).astype(int))


def _rates(name: str, broken: Mapping[str, tuple[Mask, Mask]]) -> list[Value]:
    """The mean, and one value a relation from its (rows that can be judged, rows that break it)."""
    values = []
    for label, (known, breaks) in broken.items():
        rate = float(breaks[known].mean()) if known.any() else None
        error = None if known.any() else "no synthetic row has all cells."
        values.append(Value(f"{name}.{label}", rate, "min", error=error))
    return with_mean(name, values)


@dataclass(frozen=True)
class OrderRelations(Declared):
    """Rows that break an order a ≤ b that all training rows keep between two number columns. Shares; lower is better.

    An order counts only where both columns have values in a common range (else it holds for any rows) and at least ``min_rows``
    training rows have both cells. Values: ``dependencies.order_violation_rate`` (mean) and ``….<a≤b>``; the rate is over synthetic
    rows that have both cells.
    """

    min_rows: int = 50
    name = "dependencies.order_violation_rate"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Find the orders in training rows, count breaches in synthetic rows."""
        names, train, made = sorted(data.schema.numeric), _numbers(data, "train"), _numbers(data, "synthetic")
        broken = {}
        for a, b in self._orders(train):
            known = ~np.isnan(made[a]) & ~np.isnan(made[b])
            broken[f"{names[a]}≤{names[b]}"] = known, made[a] > made[b]
        if not broken:
            raise NotComputable("no two number columns of the training rows are in an order that could be broken.")
        return _rates(self.name, broken)

    def _orders(self, train: Floats) -> Iterator[tuple[int, int]]:
        few = train[:, _spread_rows(train.shape[1])]
        for a in range(len(train)):
            for b in np.flatnonzero(~(few[a] > few).any(axis=1)):
                if a != b and self._holds(train[a], train[b]):
                    yield a, int(b)

    def _holds(self, left: Floats, right: Floats) -> bool:
        both = ~np.isnan(left) & ~np.isnan(right)
        if both.sum() < self.min_rows or (left > right).any():
            return False
        return bool(left[both].max() > right[both].min())


@dataclass(frozen=True)
class ArithmeticRelations(Declared):
    """Rows that break a calculation that all training rows keep between number columns. Shares; lower is better.

    Looked for are sums a = b + c (and so differences), products a = b·c, and fixed conversions a = k·b + m; each must hold, up to
    rounding to a's decimals, in every one of at least ``min_rows`` training rows that have the cells, and fail for most rows if
    a were independent of the rest. Constant columns are left out, and sums and products of columns that are converted into each
    other. Unlike a functional dependency {b, c}→a it judges values never seen. Values: ``dependencies.arithmetic_violation_rate``
    (mean) and ``….<a=b+c>``; the rate is over synthetic rows that have the cells.

    Args:
        min_rows: least number of training rows with the cells.
        max_columns: above this many number columns it says so instead of trying all triples.
    """

    min_rows: int = 50
    max_columns: int = 200
    name = "dependencies.arithmetic_violation_rate"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test"

    @property
    def params(self) -> Mapping[str, Any]:
        """``min_rows``: the limit does not change a value."""
        return {"min_rows": self.min_rows}

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Find the calculations in training rows, count breaches in synthetic rows."""
        names, train, made = sorted(data.schema.numeric), _numbers(data, "train"), _numbers(data, "synthetic")
        if len(names) > self.max_columns:
            raise NotComputable(f"there are {len(names)} number columns, more than max_columns={self.max_columns}.")
        units = [_unit(data.schema[name], column) for name, column in zip(names, train, strict=True)]
        broken = {}
        for formula in _formulas(names, train, units):
            if formula.holds(train, self.min_rows):
                gaps = formula.gaps(made)
                broken[formula.label] = ~np.isnan(gaps), gaps > formula.tolerance
        if not broken:
            raise NotComputable("no number column of the training rows is calculated from one or two others.")
        return _rates(self.name, broken)


def _unit(column: Column, values: Floats) -> float:
    """A column's last decimal; what float64 can tell apart where it has none."""
    if column.kind == "integer" or column.decimals is not None:
        return float(10.0 ** -(column.decimals or 0))
    return float(np.nanmax(np.abs(values), initial=1.0)) * 1e-9


@dataclass(frozen=True, eq=False)
class _Formula:
    """``result`` = ``answer`` of other columns; columns are rows of a matrix (columns, rows)."""

    label: str
    result: int
    answer: Callable[[Floats], Floats]
    tolerance: float

    def gaps(self, columns: Floats) -> Floats:
        """How far each row is from the right answer, NaN where a cell is missing."""
        gaps: Floats = np.abs(columns[self.result] - self.answer(columns))
        return gaps

    def holds(self, train: Floats, min_rows: int) -> bool:
        """Whether every row keeps it, and most would not if the result were independent of the other columns."""
        gaps = self.gaps(train)
        known = ~np.isnan(gaps)
        if known.sum() < min_rows or (gaps > self.tolerance).any():
            return False
        results, answers = np.sort(train[self.result][known]), self.answer(train)[known]
        within = np.searchsorted(results, answers + self.tolerance, "right") - np.searchsorted(
            results, answers - self.tolerance
        )
        return bool(within.mean() < len(results) / 2)


def _formulas(names: Sequence[str], train: Floats, units: Sequence[float]) -> Iterator[_Formula]:
    """Calculations that a few rows do not rule out."""
    few = train[:, _spread_rows(train.shape[1])]
    varied = [i for i, column in enumerate(train) if _three_values(column)]
    converted: set[frozenset[int]] = set()
    for pair in combinations(varied, 2):
        for a, b in (pair, pair[::-1]):
            formula = _conversion(names, train, few, a, b, units[a])
            if formula is not None and not (formula.gaps(train) > formula.tolerance).any():
                converted.add(frozenset(pair))
                yield formula
                break
    half = [unit / 2 * (1 + 1e-6) for unit in units]  # the excess forgives the last bit of a float
    for a in varied:
        others = [i for i in varied if i != a and frozenset((a, i)) not in converted]
        for sign, combine in (("+", np.add), ("·", np.multiply)):
            gaps = np.abs(combine(few[others][:, None], few[others]) - few[a])
            for b, c in np.argwhere(np.triu(~(gaps > half[a]).any(axis=2), 1)):
                i, j = others[b], others[c]
                if frozenset((i, j)) not in converted:
                    label = f"{names[a]}={names[i]}{sign}{names[j]}"
                    yield _Formula(label, a, lambda m, i=i, j=j, f=combine: f(m[i], m[j]), half[a])  # type: ignore[misc]


def _three_values(column: Floats) -> bool:
    present = column[~np.isnan(column)]
    return bool(len(present) and ((present > present.min()) & (present < present.max())).any())


def _conversion(names: Sequence[str], train: Floats, few: Floats, a: int, b: int, unit: float) -> _Formula | None:
    """a = k·b + m by least squares, if a few rows allow it; right within one unit of a, as k and m are estimates."""
    fitted = _line(few[b], few[a])
    # A line within one unit of all rows is within √rows units of a few rows' best line.
    if fitted is None or np.nanmax(np.abs(few[a] - fitted[0] * few[b] - fitted[1])) > unit * np.sqrt(few.shape[1]):
        return None
    fitted = _line(train[b], train[a])
    if fitted is None or fitted[0] == 0:
        return None
    k, m = fitted
    factor = "" if abs(k - 1) < 1e-9 else f"{k:.6g}·"
    offset = "" if abs(m) < unit / 2 else f"{m:+.6g}"
    return _Formula(f"{names[a]}={factor}{names[b]}{offset}", a, lambda columns: k * columns[b] + m, unit)


def _line(x: Floats, y: Floats) -> tuple[float, float] | None:
    """Slope and intercept by least squares over rows that have both; ``None`` when x does not vary in them."""
    both = ~np.isnan(x) & ~np.isnan(y)
    if not both.any() or np.ptp(x[both]) == 0:
        return None
    x, y = x[both], y[both]
    centred = x - x.mean()
    k = float(np.dot(centred, y - y.mean()) / np.dot(centred, centred))
    return k, float(y.mean() - k * x.mean())


@dataclass(frozen=True)
class ImpossiblePairs(Declared):
    """Rows with a combination of two values that never occurs in training rows, though each value is frequent.

    A combination counts as impossible where ``min_expected`` training rows or more would have it if the two columns were independent,
    and none has: such zeros are structural, not accidents of sampling (Garrido et al., arXiv 1909.07689; the logical dependencies
    of Umesh et al., arXiv 2409.17684). Columns are in bins of the training rows (:class:`harness.metrics.pairs.Bins`, missing is a
    value). It finds broken relations in tables without any functional dependency, and is blind to rare values. Shares of the
    synthetic rows, lower is better:

    - ``dependencies.impossible_pair_rate``: rows with at least one, and ``….<column>``: one that this column is part of.

    Args:
        min_expected: 20 keeps accidents out: independent columns leave such a combination empty with probability e⁻²⁰.
        bins: of a number column.
        categories: kept apart, of a categorical column.
    """

    min_expected: float = 20.0
    bins: int = 10
    categories: int = 100
    name = "dependencies.impossible_pair_rate"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test"

    def __post_init__(self) -> None:
        Bins("train", self.bins, self.categories)

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Find empty combinations in training rows, and synthetic rows that have them."""
        names, bins = data.schema.names, Bins("train", self.bins, self.categories)
        broken = {name: np.zeros(len(data.synthetic), dtype=bool) for name in names}
        found: set[str] = set()
        for pair in combinations(names, 2):
            left, right = (bins.of(data, "train", name) for name in pair)
            impossible = self._impossible(left, right)
            if impossible.any():
                found |= set(pair)
                a, b = (bins.of(data, "synthetic", name).values for name in pair)
                breaks = impossible[a * np.intp(right.size) + b]
                for name in pair:
                    broken[name] |= breaks
        if not found:
            raise NotComputable("no two frequent values of the training rows exclude each other.")
        rate = float(np.logical_or.reduce(list(broken.values())).mean())
        each = [Value(f"{self.name}.{name}", float(broken[name].mean()), "min") for name in names if name in found]
        return [Value(self.name, rate, "min"), *each]

    def _impossible(self, left: Binned, right: Binned) -> Mask:
        """Which pairs of bins are impossible, shape (left.size · right.size,)."""
        margins = [np.bincount(side.values, minlength=side.size) for side in (left, right)]
        expected = np.outer(margins[0], margins[1] / len(left.values)).ravel()
        return np.asarray((expected >= self.min_expected) & (joint_counts(left, right) == 0))
