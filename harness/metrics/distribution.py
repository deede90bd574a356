"""Distribution: how close synthetic columns, and pairs of columns, are to held-out real ones (the test rows).

``column_shapes`` and ``pair_trends`` are sdmetrics' own; missing cells are left out of all of these but ``missing_gap``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pandas as pd

from harness.errors import TabOrderError, choices
from harness.metrics import distances
from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Role, Value, params_of, with_mean
from harness.metrics.encoding import codes, floats, sdmetrics_metadata
from harness.metrics.pairs import Bins
from harness.table import Column

POOL_ABOVE = 1000
"""sdmetrics' TVComplement takes time quadratic in the distinct values; above this many it gets the column pooled."""

Measure = Literal["ks", "tvd", "wasserstein", "js", "missing_gap"]


def _plain_frames(data: EvalInput) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test and synthetic rows as plain numbers (categories as codes), which sdmetrics scores alike, and faster."""

    def plain(role: Role, column: Column) -> Any:
        if column.numeric:
            return floats(data, role, column.name)
        coded = codes(data, column.name).of(role)
        return np.where(coded < 0, np.nan, coded)

    real = pd.DataFrame({column.name: plain("test", column) for column in data.schema.columns})
    return real, pd.DataFrame({column.name: plain("synthetic", column) for column in data.schema.columns})


def _pool(real: pd.Series[Any], synthetic: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Pool values into two, those rarer in the synthetic column and the rest.

    Total variation is the difference in probability of exactly that set of values, so it stays the same.
    """
    shares = [column.value_counts(normalize=True) for column in (real, synthetic)]
    if len(shares[0].index.union(shares[1].index)) <= POOL_ABOVE:
        return real, synthetic
    rarer = shares[0].sub(shares[1], fill_value=0.0) > 0
    return real.map(rarer).astype(float), synthetic.map(rarer).astype(float)


@dataclass(frozen=True)
class ColumnShapes(Declared):
    """sdmetrics' Column Shapes: the mean over columns of 1 − KS (numbers) or 1 − TVD (categories), in [0, 1], higher is better.

    A column that cannot be scored (say, nothing but missing cells) counts 0, where sdmetrics leaves it out of the mean. Values:
    ``distribution.column_shapes`` and ``distribution.column_shapes.<column>``.
    """

    name = "distribution.column_shapes"
    version = 1
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "train"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare synthetic with test columns."""
        from sdmetrics.reports.single_table._properties import ColumnShapes as Property

        real, synthetic = data.cached("plain frames", lambda: _plain_frames(data))
        pooled = {name: _pool(real[name], synthetic[name]) for name in data.schema.categorical}
        real = real.assign(**{name: pair[0] for name, pair in pooled.items()})
        synthetic = synthetic.assign(**{name: pair[1] for name, pair in pooled.items()})
        details = Property()._generate_details(real, synthetic, sdmetrics_metadata(data.schema))
        scores = details.set_index("Column")["Score"].fillna(0.0)
        each = [Value(f"{self.name}.{name}", float(scores[name]), "max") for name in data.schema.names]
        return [Value(self.name, float(scores.mean()), "max"), *each]


@dataclass(frozen=True)
class PairTrends(Declared):
    """sdmetrics' Column Pair Trends over all pairs of columns, in [0, 1], higher is better.

    1 − |r − r'|/2 with Pearson's r for two numeric columns, 1 − TVD of the contingency table otherwise (numbers in sdmetrics'
    bins). A pair that cannot be scored (a constant number column) counts 0.

    Args:
        min_correlation: pairs of numbers whose real |r| is not above this are left out. 0, the definition before sdmetrics 0.27
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
        from sdmetrics.reports.single_table._properties import ColumnPairTrends

        if len(data.schema.columns) < 2:
            raise NotComputable("the table has one column, so no pairs.")
        real, synthetic = data.cached("plain frames", lambda: _plain_frames(data))
        trends = ColumnPairTrends()
        trends.num_rows_subsample = None  # the default draws 50,000 rows without saying so
        trends.real_correlation_threshold = self.min_correlation
        trends.real_association_threshold = self.min_association
        details = trends._generate_details(real, synthetic, sdmetrics_metadata(data.schema))
        counted = details[details["Meets Threshold?"].fillna(True).astype(bool)]
        if counted.empty:
            raise NotComputable("no pair of real columns reaches the thresholds.")
        return [Value(self.name, float(counted["Score"].fillna(0.0).mean()), "max")]


@dataclass(frozen=True)
class ColumnDistance(Declared):
    """A distance between one synthetic and one test column, for each column and on average; lower is better.

    Args:
        measure: ``ks`` (numbers): Kolmogorov–Smirnov statistic, in [0, 1].
            ``wasserstein`` (numbers): 1-Wasserstein distance in standard deviations of the real column, in [0, ∞).
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
        """2 for ``js``: values outside the real range, and single values that fill a bin, have bins of their own."""
        return 2 if self.measure == "js" else 1

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
        return with_mean(self.name, [self._value(data, column) for column in columns])

    def _value(self, data: EvalInput, column: Column) -> Value:
        name, bounds = f"{self.name}.{column.name}", (0.0, None if self.measure == "wasserstein" else 1.0)
        try:
            return Value(name, self._distance(data, column), "min", bounds)
        except NotComputable as reason:
            return Value(name, None, "min", bounds, str(reason))

    def _distance(self, data: EvalInput, column: Column) -> float:
        if self.measure == "missing_gap":
            return float(abs(data.test[column.name].isna().mean() - data.synthetic[column.name].isna().mean()))
        if column.numeric:
            numbers = [floats(data, role, column.name) for role in ("test", "synthetic")]
            real, synthetic = (x[~np.isnan(x)] for x in numbers)
            if self.measure == "wasserstein":
                return distances.wasserstein(real, synthetic)
            if (extreme := distances.one_empty(real, synthetic)) is not None:
                return extreme
            if self.measure == "ks":
                return distances.ks(real, synthetic)
            bins = [Bins("test", self.bins).of(data, role, column.name) for role in ("test", "synthetic")]
            return distances.js(*(distances.shares(b.values[b.values < b.size - 1], b.size) for b in bins))
        coded = codes(data, column.name)
        kept = [c[c >= 0] for c in (coded.test, coded.synthetic)]
        if (extreme := distances.one_empty(*kept)) is not None:
            return extreme
        measure = distances.tvd if self.measure == "tvd" else distances.js
        return measure(*(distances.shares(c, coded.size) for c in kept))
