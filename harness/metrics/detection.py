"""Detection: can a classifier tell synthetic rows from real ones?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.metrics.base import EvalInput, Goal, NotComputable, RealAnchor, Value, params_of
from harness.metrics.features import features, filled, row_order
from harness.seeding import derive_seed, rng


@dataclass(frozen=True)
class SniffTest:
    """``detection.sniff_accuracy``: the paper's discriminator.

    A random forest learns real training rows (1) against rows of independently resampled columns (0), and is applied to real
    test rows (right answer 1) and to synthetic rows (right answer 0). The value is the mean of its accuracies on the two, that
    is, its accuracy on equally many of each without drawing any. In [0, 1], lower is better: the least possible is had by rows
    it takes for real as surely as a copy of the training rows, the *real* anchor (below 0.5, as some test rows look unreal to
    it). It never saw synthetic rows, so it finds broken relations between columns, not other flaws.

    ``detection.sniff_real_share`` is the share of synthetic rows taken for real, in [0, 1], higher is better.
    """

    name = "detection.sniff"
    version = 2
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "train"

    @property
    def params(self) -> Mapping[str, Any]:
        """None."""
        return params_of(self)

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Fit the forest on training rows, ask it about test and synthetic rows."""
        from sklearn.ensemble import RandomForestClassifier

        known = features(data)
        real = known.matrix(data, "train", ("train",))
        real = real[row_order(real)]
        generator = rng(data.seed, self.name, "shuffle")
        mixed = np.column_stack([column[generator.integers(0, len(column), len(column))] for column in real.T])
        forest = RandomForestClassifier(n_estimators=100, random_state=derive_seed(data.seed, self.name, "forest"))
        forest.fit(np.vstack([real, mixed]), np.repeat([1, 0], len(real)))
        taken = [float(forest.predict(known.matrix(data, role, ("train",))).mean()) for role in ("test", "synthetic")]
        return [
            Value(f"{self.name}_accuracy", (taken[0] + 1 - taken[1]) / 2, "min"),
            Value(f"{self.name}_real_share", taken[1], "max"),
        ]


@dataclass(frozen=True)
class TwoSampleTest:
    """``detection.roc_auc``: histogram gradient boosting, real training rows against synthetic rows, cross-validated.

    A classifier two-sample test (Lopez-Paz and Oquab, 2017). The mean ROC-AUC over ``folds`` stratified folds, in [0, 1], lower
    is better: 0.5 is indistinguishable, 1 is told apart without fail. Far below 0.5 is no praise but a sign of copying: each copy
    has its original on the other side of the split. ``detection.roc_auc_copying`` is 1 where the AUC is more than three standard
    errors of an uninformed ranking below 0.5 *and* below 0.45, else 0.

    Args:
        folds: at least 2.
    """

    folds: int = 3
    name = "detection.roc_auc"
    version = 2
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test"

    @property
    def params(self) -> Mapping[str, Any]:
        """``folds``."""
        return params_of(self)

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Train on folds of both tables together."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import StratifiedKFold

        least = min(len(data.train), len(data.synthetic))
        if least < self.folds:
            raise NotComputable(f"a table has {least} rows, fewer than the {self.folds} folds.")
        known, roles = features(data), ("train", "synthetic")
        rows = np.vstack([known.matrix(data, role, roles) for role in roles])  # type: ignore[arg-type]
        real = np.repeat([1, 0], [len(data.train), len(data.synthetic)])
        order = row_order(np.column_stack([rows, real]))
        rows, real = rows[order], real[order]
        seed = derive_seed(data.seed, self.name)
        scores = []
        for fit, held in StratifiedKFold(self.folds, shuffle=True, random_state=seed).split(rows, real):
            usable = filled(rows[fit])
            if not usable.any():  # nothing but missing cells on either side
                scores.append(0.5)
                continue
            model = HistGradientBoostingClassifier(
                categorical_features=known.categorical[usable], early_stopping=False, random_state=seed
            ).fit(rows[fit][:, usable], real[fit])
            scores.append(roc_auc_score(real[held], model.predict_proba(rows[held][:, usable])[:, 1]))
        auc = float(np.mean(scores))
        return [Value(self.name, auc, "min"), Value(f"{self.name}_copying", float(self._copying(auc, real)), "min")]

    def _copying(self, auc: float, real: Any) -> bool:
        """Whether the AUC is too far below 0.5 for chance (standard error of the Mann–Whitney statistic without any signal)."""
        ones, zeros = int(real.sum()), int(len(real) - real.sum())
        error = float(np.sqrt((ones + zeros + 1) / (12 * ones * zeros)))
        return auc < min(0.45, 0.5 - 3 * error)
