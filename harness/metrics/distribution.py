"""Distribution: how close synthetic columns, and pairs of columns, are to held-out real ones (the test rows).

``column_shapes`` and ``pair_trends`` are sdmetrics' definitions, computed for all columns at once; missing cells are left out of all of these but ``missing_gap``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from harness.errors import TabOrderError, choices
from harness.metrics import distances
from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Value, params_of, with_mean
from harness.metrics.encoding import codes, floats
from harness.metrics.pairs import Bins
from harness.metrics.trends import SIDES, pair_trends
from harness.table import Column

Measure = Literal["ks", "tvd", "wasserstein", "js", "missing_gap"]


@dataclass(frozen=True)
class ColumnShapes(Declared):
    """sdmetrics' Column Shapes: the mean over columns of 1 − KS (numbers) or 1 − TVD (categories), in [0, 1], higher is better.

    A column that cannot be scored (say, nothing but missing cells) counts 0, where sdmetrics leaves it out of the mean; it also counts
    each category that real rows lack as a millionth of a real row, which is left out here. Values:
    ``distribution.column_shapes`` and ``distribution.column_shapes.<column>``.
    """

    name = "distribution.column_shapes"
    version = 2
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "train"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare synthetic with test columns."""
        each = [Value(f"{self.name}.{c.name}", self._shape(data, c), "max") for c in data.schema.columns]
        return [Value(self.name, float(np.mean([value.value for value in each])), "max"), *each]

    def _shape(self, data: EvalInput, column: Column) -> float:
        measure: Measure = "ks" if column.numeric else "tvd"
        real, made = present(data, column)
        return 1 - ColumnDistance(measure).distance(data, column) if len(real) and len(made) else 0.0


@dataclass(frozen=True)
class PairTrends(Declared):
    """sdmetrics' Column Pair Trends over all pairs of columns, in [0, 1], higher is better.

    ``1 − |r − r'|/2`` with Pearson's r for two numeric columns, 1 − TVD of the contingency table otherwise (numbers in sdmetrics'
    bins). A pair that cannot be scored (a constant number column) counts 0.

    Args:
        min_correlation: pairs of numbers whose real ``|r|`` is not above this are left out. 0, the definition before sdmetrics 0.27
            and the one in the literature, keeps all; the present QualityReport uses 0.5.
        min_association: likewise for Cramér's V of other pairs; the present QualityReport uses 0.3.
    """

    min_correlation: float = 0.0
    min_association: float = 0.0
    name = "distribution.pair_trends"
    version = 1
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "train"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare synthetic with test pairs."""
        if len(data.schema.columns) < 2:
            raise NotComputable("the table has one column, so no pairs.")
        trends = pair_trends(data, self.min_correlation, self.min_association)
        if not trends.counted.any():
            raise NotComputable("no pair of real columns reaches the thresholds.")
        return [Value(self.name, float(trends.scores[trends.counted].mean()), "max")]


@dataclass(frozen=True)
class ColumnDistance(Declared):
    """A distance between one synthetic and one test column, for each column and on average; lower is better.

    Args:
        measure: ``ks`` (numbers): Kolmogorov–Smirnov statistic, in [0, 1].
            ``wasserstein`` (numbers): 1-Wasserstein distance in standard deviations of the real column, in [0, ∞); a constant real
            column has none, says so, and is left out of the mean.
            ``tvd`` (categories): total variation distance, in [0, 1].
            ``js`` (all): Jensen–Shannon distance (square root of the divergence, base 2), in [0, 1]; numbers in ``bins`` bins
            of equal frequency among test rows and two more for what lies outside (:class:`harness.metrics.pairs.Bins`).
            ``missing_gap`` (all): absolute difference of the shares of missing cells, in [0, 1].
        bins: for ``js``.
    """

    measure: Measure
    bins: int = 20
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "train"

    def __post_init__(self) -> None:
        if self.measure not in get_args(Measure):
            raise TabOrderError(choices(self.measure, get_args(Measure), "measure"))

    @property
    def name(self) -> str:
        """``distribution.<measure>``."""
        return f"distribution.{self.measure}"

    @property
    def version(self) -> int:
        """2 for ``js``: values outside the real range, and single values that fill a bin, have bins of their own; 2 for
        ``wasserstein``: a column without a standard deviation does not take the mean away."""
        return 2 if self.measure in ("js", "wasserstein") else 1

    @property
    def params(self) -> Mapping[str, Any]:
        """The measure, and the bins where they matter."""
        return params_of(self) if self.measure == "js" else {"measure": self.measure}

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """One value a column and their mean."""
        kinds = {"ks": (True,), "wasserstein": (True,), "tvd": (False,)}.get(self.measure, (True, False))
        columns = [column for column in data.schema.columns if column.numeric in kinds]
        if not columns:
            raise NotComputable(f"the table has no {'numeric' if kinds[0] else 'categorical'} column.")
        each = [self._value(data, column) for column in columns]
        if self.measure != "wasserstein":
            return with_mean(self.name, each)
        measured = [v for v, c in zip(each, columns, strict=True) if len(np.unique(present(data, c)[0])) != 1]
        if not measured:
            return [Value(self.name, None, "min", (0.0, None), each[0].error), *each]
        return [with_mean(self.name, measured)[0], *each]

    def _value(self, data: EvalInput, column: Column) -> Value:
        name, bounds = f"{self.name}.{column.name}", (0.0, None if self.measure == "wasserstein" else 1.0)
        try:
            return Value(name, self.distance(data, column), "min", bounds)
        except NotComputable as reason:
            return Value(name, None, "min", bounds, str(reason))

    def distance(self, data: EvalInput, column: Column) -> float:
        """The distance of one column.

        Raises:
            NotComputable: where it has none.
        """
        if self.measure == "missing_gap":
            return float(abs(data.test[column.name].isna().mean() - data.synthetic[column.name].isna().mean()))
        real, made = present(data, column)
        if self.measure == "wasserstein":
            return distances.wasserstein(real, made)
        if (extreme := distances.one_empty(real, made)) is not None:
            return extreme
        if self.measure == "ks":
            return distances.ks(real, made)
        if column.numeric:
            bins = [Bins("test", self.bins).of(data, role, column.name) for role in SIDES]
            return distances.js(*(distances.shares(b.values[b.values < b.size - 1], b.size) for b in bins))
        measure, size = distances.tvd if self.measure == "tvd" else distances.js, codes(data, column.name).size
        return measure(distances.shares(real, size), distances.shares(made, size))


def present(data: EvalInput, column: Column) -> tuple[Any, Any]:
    """The cells of test and synthetic rows that are not missing: numbers, or codes of categories; shapes (cells,)."""
    if column.numeric:
        numbers = [floats(data, role, column.name) for role in SIDES]
        return numbers[0][~np.isnan(numbers[0])], numbers[1][~np.isnan(numbers[1])]
    coded = codes(data, column.name)
    return coded.test[coded.test >= 0], coded.synthetic[coded.synthetic >= 0]
