"""Coverage and diversity: what of the training table the synthetic one lacks, adds or repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Value, with_mean
from harness.metrics.encoding import codes, floats, row_ids


def _categorical(data: EvalInput) -> list[str]:
    if not data.schema.categorical:
        raise NotComputable("the table has no categorical column.")
    return data.schema.categorical


@dataclass(frozen=True)
class MissingCategories(Declared):
    """Training categories that no synthetic row has; lower is better.

    - ``coverage.missing_categories``: mean over categorical columns of the share of a column's training categories that are
      missing (1 − sdmetrics' CategoryCoverage), in [0, 1]; ``coverage.missing_categories.<column>`` each (0 where training rows
      have no category);
    - ``coverage.missing_categories_count``: their number over all columns, from 0.
    """

    name = "coverage.missing_categories"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare the sets of categories."""
        values, count = [], 0
        for name in _categorical(data):
            coded = codes(data, name)
            wanted = np.unique(coded.train[coded.train >= 0])
            lacking = len(np.setdiff1d(wanted, coded.synthetic))
            count += lacking
            values.append(Value(f"{self.name}.{name}", lacking / len(wanted) if len(wanted) else 0.0, "min"))
        return [*with_mean(self.name, values), Value(f"{self.name}_count", float(count), "min", (0.0, None))]


@dataclass(frozen=True)
class UnseenCategories(Declared):
    """``coverage.unseen_categories``: present synthetic cells whose category no training row has.

    Mean over categorical columns, and ``coverage.unseen_categories.<column>`` each; shares in [0, 1], lower is better.
    """

    name = "coverage.unseen_categories"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Look every synthetic category up among training ones."""
        values = []
        for name in _categorical(data):
            coded = codes(data, name)
            known = np.zeros(coded.size, dtype=bool)
            known[coded.train[coded.train >= 0]] = True
            present = coded.synthetic[coded.synthetic >= 0]
            values.append(Value(f"{self.name}.{name}", float((~known[present]).mean()) if len(present) else 0.0, "min"))
        return with_mean(self.name, values)


@dataclass(frozen=True)
class RangeCoverage(Declared):
    """``coverage.range``: how much of each number column's training range synthetic values span (sdmetrics' RangeCoverage).

    1 − (gap at the low end + gap at the high end) / range, at least 0; mean over number columns and ``coverage.range.<column>``
    each; in [0, 1], higher is better. No value at all spans 0. A constant training column is covered when its value occurs.
    """

    name = "coverage.range"
    version = 1
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "test"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare the extremes."""
        if not data.schema.numeric:
            raise NotComputable("the table has no number column.")
        return with_mean(self.name, [self._column(data, name) for name in data.schema.numeric])

    def _column(self, data: EvalInput, name: str) -> Value:
        real, made = (x[~np.isnan(x)] for x in (floats(data, "train", name), floats(data, "synthetic", name)))
        if not len(real):
            return Value(f"{self.name}.{name}", None, "max", error="the training column has no present value.")
        if not len(made):
            return Value(f"{self.name}.{name}", 0.0, "max")
        span = float(np.ptp(real))
        if span == 0:
            return Value(f"{self.name}.{name}", float((made == real[0]).any()), "max")
        gaps = max(made.min() - real.min(), 0.0) + max(real.max() - made.max(), 0.0)
        return Value(f"{self.name}.{name}", float(max(1 - gaps / span, 0.0)), "max")


@dataclass(frozen=True)
class DuplicateRows(Declared):
    """``coverage.duplicate_rows``: synthetic rows that repeat an earlier one in every cell.

    A share in [0, 1], lower is better; the *real* anchor is that of the training rows.
    """

    name = "coverage.duplicate_rows"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "train"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Count distinct rows."""
        rows = row_ids(data).synthetic
        return [Value(self.name, 1 - len(np.unique(rows)) / len(rows), "min")]


@dataclass(frozen=True)
class InvalidCells(Declared):
    """``coverage.invalid_cells``: present cells that are no value of their column's kind, before they became missing.

    Text or infinity in a number column, 1.5 in an integer column (:func:`harness.table.conform` counts them). Shares of a
    column's cells, ``coverage.invalid_cells.<column>``, and their mean; in [0, 1], lower is better.
    """

    name = "coverage.invalid_cells"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Divide the counts by the rows."""
        rows = len(data.synthetic)
        return with_mean(
            self.name,
            [Value(f"{self.name}.{name}", data.invalid.get(name, 0) / rows, "min") for name in data.schema.names],
        )
