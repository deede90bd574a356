"""Conditional: how close columns are to held-out real ones *within* each category of the dataset's condition column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.errors import TabOrderError
from harness.metrics import distances
from harness.metrics.base import Declared, EvalInput, Goal, Known, NotComputable, RealAnchor, Value
from harness.metrics.encoding import Floats, Ints, codes, floats
from harness.metrics.overlap import determined


@dataclass(frozen=True)
class ConditionalDistance(Declared):
    """Distance of each column's distribution given each category c of the condition column; in [0, 1], lower is better.

    Given c, a number column's distance is the Kolmogorov–Smirnov statistic and a categorical one's the total variation distance,
    synthetic against test rows, missing cells left out. Categories with fewer than ``min_support`` test rows are left out; one
    that no synthetic row has is at distance 1.

    - ``conditional.distance``: mean over categories of the mean over columns (macro), but for those that the condition determines by a
      stated dependency (they measure that dependency again), and ``conditional.distance_worst``: the
      greatest of these category means;
    - ``conditional.distance_by_column.<column>``: mean over categories; ``conditional.distance_by_category.<c>``: mean over columns.

    Args:
        column: the condition; by default the dataset's.
        min_support: least number of test rows of a category.
    """

    column: str | None = None
    min_support: int = 20
    name = "conditional.distance"
    version = 2
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "train"
    reads: ClassVar[tuple[Known, ...]] = ("condition", "fds")

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare category by category."""
        condition = self.column or data.dataset.condition
        if condition is None:
            raise NotComputable(f"dataset '{data.dataset.name}' names no condition column (condition).")
        if data.schema[condition].numeric:
            raise TabOrderError(
                f"the condition column '{condition}' holds numbers: choose one of {data.schema.categorical}."
            )
        given, others = codes(data, condition), [name for name in data.schema.names if name != condition]
        support = np.bincount(given.test[given.test >= 0], minlength=given.size)
        kept = np.flatnonzero(support >= self.min_support)
        if not len(kept) or not others:
            raise NotComputable(
                f"no category of '{condition}' has {self.min_support} test rows, or there is no other column."
            )
        groups = [_groups(given.of(role), given.size) for role in ("test", "synthetic")]
        table = np.array([[_distance(data, name, groups[0][c], groups[1][c]) for name in others] for c in kept])
        twice = determined(data.dataset, condition)
        own = table[:, [name not in twice for name in others]]
        said = (
            None if own.size else f"'{condition}' determines every other column: the dependencies measure it already."
        )
        return [
            Value(self.name, float(own.mean()) if own.size else None, "min", error=said),
            Value(f"{self.name}_worst", float(own.mean(axis=1).max()) if own.size else None, "min", error=said),
            *(
                Value(f"{self.name}_by_column.{n}", float(x), "min")
                for n, x in zip(others, table.mean(axis=0), strict=True)
            ),
            *(
                Value(f"{self.name}_by_category.{given.labels[c]}", float(x), "min")
                for c, x in zip(kept, table.mean(axis=1), strict=True)
            ),
        ]


def _groups(values: Ints, size: int) -> list[Ints]:
    """Row numbers of each code in [0, size)."""
    order = np.argsort(values, kind="stable")
    return np.split(order, np.searchsorted(values[order], np.arange(size + 1)))[1:-1]


def _distance(data: EvalInput, name: str, test: Ints, synthetic: Ints) -> float:
    if not len(synthetic):
        return 1.0
    if data.schema[name].numeric:
        numbers: list[Floats] = [floats(data, "test", name)[test], floats(data, "synthetic", name)[synthetic]]
        real, made = (x[~np.isnan(x)] for x in numbers)
        extreme = distances.one_empty(real, made)
        return distances.ks(real, made) if extreme is None else extreme
    coded = codes(data, name)
    kept = [c[c >= 0] for c in (coded.test[test], coded.synthetic[synthetic])]
    extreme = distances.one_empty(*kept)
    return distances.tvd(*(distances.shares(c, coded.size) for c in kept)) if extreme is None else extreme
