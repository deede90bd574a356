"""Global utility: can every column be predicted from the others as well as after training on real rows?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.errors import TabOrderError
from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Role, Value
from harness.metrics.encoding import Floats, Ints, class_codes, floats
from harness.metrics.features import HUGE, features, filled, row_order
from harness.metrics.models import SymmetricBoosting
from harness.seeding import derive_seed, rng

LEAST_GAIN = 0.02
"""Columns that real training rows predict no better than a constant by this, or by two standard errors of a share of the test rows (at most
1/√rows), cannot tell tables apart and are left out."""


@dataclass(frozen=True)
class GlobalUtility(Declared):
    """``ml_efficacy.global_utility``: every column as the target, relative to training on real rows (after TabStruct, arXiv 2509.11950).

    For each column a boosted model learns it from all others, once on synthetic and once on training rows, and is asked about test
    rows. Its gain is the accuracy above that of the most frequent training category (the rarer categories in one), or R². The
    column's value is gain / real gain, in [−1, 1]; ``ml_efficacy.global_utility`` is the mean over the columns whose real gain is
    beyond noise (:data:`LEAST_GAIN`) and ``ml_efficacy.global_utility.<column>`` each. 1 is as good as real rows, 0 a constant answer; higher is better.

    Args:
        rows: drawn (evenly, of the rows in the order of their cells) for training, at most.
        classes: kept apart of a categorical target, the most frequent ones of training rows.
        columns: targets at most, drawn by the seed.
    """

    rows: int = 4000
    classes: int = 9
    columns: int = 50
    name = "ml_efficacy.global_utility"
    version = 1
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "train"
    slow: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for key in ("rows", "classes", "columns"):
            if getattr(self, key) < 1:
                raise TabOrderError(f"{key}={getattr(self, key)} is not possible: give 1 or more.")

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Predict column after column."""
        names = sorted(data.schema.names)
        if len(names) < 2:
            raise NotComputable("the table has one column, so nothing to predict it from.")
        if len(names) > self.columns:
            names = sorted(rng(data.seed, self.name).choice(names, self.columns, replace=False).tolist())
        values = []
        for name in names:
            real = self._gain(data, name, "train")
            if real is None or real < max(LEAST_GAIN, len(data.test) ** -0.5):
                continue
            made = self._gain(data, name, "synthetic")
            ratio = 0.0 if made is None else float(np.clip(made / real, -1.0, 1.0))
            values.append(Value(f"{self.name}.{name}", ratio, "max", (-1.0, 1.0)))
        if not values:
            raise NotComputable("no column can be predicted from the others, not even by real training rows.")
        mean = float(np.mean([value.value for value in values]))
        return [Value(self.name, mean, "max", (-1.0, 1.0)), *values]

    def _gain(self, data: EvalInput, target: str, role: Role) -> float | None:
        """Of a model trained on one table, on test rows; ``None`` where a table has no value of the target."""
        known = features(data, without=target)
        rows, questions = (known.matrix(data, which, ("train",)) for which in (role, "test"))
        label, truth, constant = self._labels(data, target, role)
        kept, asked = ~np.isnan(label), ~np.isnan(truth)
        if not kept.any() or not asked.any():
            return None
        rows, label = rows[kept], label[kept]
        order = row_order(np.column_stack([rows, label]))
        some = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), self.rows)).astype(int))]
        rows, label, questions, truth = rows[some], label[some], questions[asked], truth[asked]
        usable = filled(rows)
        if constant is None:
            return _r2(
                truth, self._numbers(data, rows[:, usable], label, questions[:, usable], known.categorical[usable])
            )
        answer = self._classes(data, rows[:, usable], label, questions[:, usable], known.categorical[usable])
        return float(np.mean(answer == truth) - np.mean(truth == constant))

    def _labels(self, data: EvalInput, target: str, role: Role) -> tuple[Floats, Floats, float | None]:
        """Target cells of a table and of the test rows (NaN where missing), and the most frequent class (``None`` for numbers)."""
        if data.schema[target].numeric:
            made, truth = (np.clip(floats(data, which, target), -HUGE, HUGE) for which in (role, "test"))
            return made, truth, None
        coded = class_codes(data, target)
        counts = np.bincount(coded.train[coded.train >= 0], minlength=coded.size)
        place = np.full(coded.size + 1, float(self.classes))
        place[np.argsort(-counts, kind="stable")[: self.classes]] = np.arange(min(self.classes, coded.size))
        place[-1] = np.nan
        common = place[coded.train[coded.train >= 0]]
        return (
            place[coded.of(role)],
            place[coded.test],
            float(np.bincount(common.astype(int)).argmax()) if len(common) else 0.0,
        )

    def _classes(self, data: EvalInput, rows: Floats, label: Floats, questions: Floats, mask: Any) -> Floats:
        whole: Ints = label.astype(np.int64)
        if not rows.shape[1] or (whole == whole[0]).all():
            return np.full(len(questions), float(np.bincount(whole).argmax()))
        model = SymmetricBoosting(mask, derive_seed(data.seed, self.name)).fit(rows, whole)
        return np.asarray(model.classes_[model.predict_proba(questions).argmax(axis=1)], dtype=float)

    def _numbers(self, data: EvalInput, rows: Floats, label: Floats, questions: Floats, mask: Any) -> Floats:
        from harness.metrics.models import make_model

        if not rows.shape[1] or (label == label[0]).all():
            return np.full(len(questions), float(np.median(label)))
        model = make_model("hgb", "regression", len(rows), mask, derive_seed(data.seed, self.name))
        return np.asarray(model.fit(rows, label).predict(questions), dtype=float)


def _r2(truth: Floats, answer: Floats) -> float | None:
    scale = float(np.abs(truth).max()) or 1.0
    spread = float(np.sum((truth / scale - (truth / scale).mean()) ** 2))
    return 1 - float(np.sum(((answer - truth) / scale) ** 2)) / spread if spread > 0 else None
