"""Detection: can a classifier tell synthetic rows from real ones?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Value
from harness.metrics.encoding import Floats, Ints
from harness.metrics.features import Features, features, filled, row_order, train_matrix
from harness.metrics.models import TREE_ROWS
from harness.seeding import derive_seed, rng

SHUFFLED, CELLS = 2000, 60_000
"""Rows held out on which columns are shuffled, at most, and as many times columns; at least 100 rows."""


@dataclass(frozen=True)
class SniffTest(Declared):
    """``detection.sniff_accuracy``: the paper's discriminator.

    A random forest learns real training rows (1) against rows of independently resampled columns (0), and is applied to real
    test rows (right answer 1) and to synthetic rows (right answer 0). The value is the mean of its accuracies on the two, that
    is, its accuracy on equally many of each without drawing any. In [0, 1], lower is better: the least possible is had by rows
    it takes for real as surely as a copy of the training rows, the *real* anchor (below 0.5, as some test rows look unreal to
    it). It never saw synthetic rows, so it finds broken relations between columns, not other flaws.

    ``detection.sniff_real_share`` is the share of synthetic rows taken for real, in [0, 1], higher is better.
    """

    name = "detection.sniff"
    version = 3
    slow: ClassVar[bool] = True
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "train"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Fit the forest on training rows, ask it about test and synthetic rows."""
        known = features(data)
        forest = data.cached(f"forest of {self.name}", lambda: self._forest(data, known), of_train=True)
        taken = [float(forest.predict(train_matrix(data, role, known)).mean()) for role in ("test", "synthetic")]
        return [
            Value(f"{self.name}_accuracy", (taken[0] + 1 - taken[1]) / 2, "min"),
            Value(f"{self.name}_real_share", taken[1], "max"),
        ]

    def _forest(self, data: EvalInput, known: Features) -> Any:
        from sklearn.ensemble import RandomForestClassifier

        real = train_matrix(data, "train", known)
        real = real[row_order(real)]
        generator = rng(data.seed, self.name, "shuffle")
        mixed = np.column_stack([column[generator.integers(0, len(column), len(column))] for column in real.T])
        seed, rows = derive_seed(data.seed, self.name, "forest"), min(2 * len(real), TREE_ROWS)
        forest = RandomForestClassifier(n_estimators=100, max_samples=rows, random_state=seed)
        return forest.fit(np.vstack([real, mixed]), np.repeat([1, 0], len(real)))


@dataclass(frozen=True, eq=False)
class Detector:
    """What the cross-validated detector found.

    Attributes:
        auc: mean ROC-AUC over the folds, in [0, 1].
        lost: per column (by name) the AUC it loses when the column's cells are shuffled among the rows held out.
        rows: real and synthetic rows.
    """

    auc: float
    lost: Mapping[str, float]
    rows: tuple[int, int]


def detect(data: EvalInput, folds: int) -> Detector:
    """Histogram gradient boosting, training rows against synthetic rows, on stratified folds; once per evaluation.

    Raises:
        NotComputable: when a table has fewer rows than folds.
    """
    least = min(len(data.train), len(data.synthetic))
    if least < folds:
        raise NotComputable(f"a table has {least} rows, fewer than the {folds} folds.")
    return data.cached(f"detector of {folds} folds", lambda: _detect(data, folds))  # type: ignore[no-any-return]


def _detect(data: EvalInput, folds: int) -> Detector:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold

    known, roles = features(data), ("train", "synthetic")
    rows = np.vstack([known.matrix(data, role, roles) for role in roles])  # type: ignore[arg-type]
    real = np.repeat([1, 0], [len(data.train), len(data.synthetic)])
    order = row_order(np.column_stack([rows, real]))
    rows, real = rows[order], real[order]
    seed = derive_seed(data.seed, "detection.roc_auc")
    scores, lost = [], []
    for fit, held in StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, real):
        usable = filled(rows[fit])
        if not usable.any():  # nothing but missing cells on either side
            scores.append(0.5)
            lost.append(np.zeros(len(known.names)))
            continue
        model = HistGradientBoostingClassifier(
            categorical_features=known.categorical[usable],
            early_stopping=False,
            random_state=seed,
            learning_rate=0.2,
            max_iter=50,
            l2_regularization=1.0,
        ).fit(rows[fit][:, usable], real[fit])
        scores.append(_ranking(model, rows[held][:, usable], real[held]))
        lost.append(np.zeros(len(known.names)))
        lost[-1][usable] = _losses(model, rows[held][:, usable], real[held], rng(seed, "shuffle"))
    each = dict(zip(known.names, np.mean(lost, axis=0).tolist(), strict=True))
    return Detector(float(np.mean(scores)), each, (len(data.train), len(data.synthetic)))


def _ranking(model: Any, rows: Floats, real: Ints) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(real, model.predict_proba(rows)[:, 1]))


def _losses(model: Any, rows: Floats, real: Ints, generator: np.random.Generator) -> list[float]:
    """Permutation importance (Breiman, 2001) on some of the rows held out, evenly spread.

    Several columns are asked about at once: a call costs as much as thousands of rows.
    """
    from sklearn.metrics import roc_auc_score

    columns = rows.shape[1]
    size = min(len(rows), SHUFFLED, max(100, CELLS // columns))
    some = np.unique(np.linspace(0, len(rows) - 1, size).astype(int))
    if len(np.unique(real[some])) < 2:
        return [0.0] * columns
    rows, real = rows[some], real[some]
    whole, found = _ranking(model, rows, real), []
    step = max(1, 20_000 // len(rows))
    for start in range(0, columns, step):
        chosen = range(start, min(start + step, columns))
        turned = np.tile(rows, (len(chosen), 1, 1))
        for place, column in enumerate(chosen):
            turned[place, :, column] = rows[generator.permutation(len(rows)), column]
        chances = model.predict_proba(turned.reshape(-1, columns))[:, 1].reshape(len(chosen), -1)
        found += [whole - float(roc_auc_score(real, one)) for one in chances]
    return found


def _copying(found: Detector) -> bool:
    """Whether the AUC is too far below 0.5 for chance (standard error of the Mann–Whitney statistic without any signal)."""
    ones, zeros = found.rows
    error = float(np.sqrt((ones + zeros + 1) / (12 * ones * zeros)))
    return found.auc < min(0.45, 0.5 - 3 * error)


@dataclass(frozen=True)
class TwoSampleTest(Declared):
    """``detection.roc_auc``: histogram gradient boosting, real training rows against synthetic rows, cross-validated.

    A classifier two-sample test (Lopez-Paz and Oquab, 2017). The mean ROC-AUC over ``folds`` stratified folds, in [0, 1], lower
    is better: 0.5 is indistinguishable, 1 is told apart without fail. Far below 0.5 is no praise but a sign of copying: each copy
    has its original on the other side of the split. ``detection.roc_auc_copying`` is 1 where the AUC is more than three standard
    errors of an uninformed ranking below 0.5 *and* below 0.45, else 0. Judge tables by :class:`TwoSided`.

    Args:
        folds: at least 2.
    """

    folds: int = 3
    name = "detection.roc_auc"
    version = 3
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test"
    slow: ClassVar[bool] = True

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Train on folds of both tables together."""
        found = detect(data, self.folds)
        return [Value(self.name, found.auc, "min"), Value(f"{self.name}_copying", float(_copying(found)), "min")]


@dataclass(frozen=True)
class TwoSided(Declared):
    """``detection.two_sided``: ``1 − 2·|AUC − ½|`` of that detector; in [0, 1], higher is better.

    A table told apart without fail is at 0, and so is one whose rows the detector takes for real *because* they are copies.
    """

    folds: int = 3
    name = "detection.two_sided"
    version = 1
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "test"
    slow: ClassVar[bool] = True

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Fold the AUC at one half."""
        return [Value(self.name, 1 - 2 * abs(detect(data, self.folds).auc - 0.5), "max")]


@dataclass(frozen=True)
class C2ST(Declared):
    """``detection.c2st``: 2·(1 − AUC) of that detector, at most 1, as other papers print it; in [0, 1], higher is better.

    Copies reach 1: it is for comparison with published figures only (these use XGBoost). ``detection.c2st_loss.<column>`` says where
    the detector looks: the AUC it loses when that column's cells are shuffled among the rows held out (permutation importance;
    Breiman, 2001); in [−1, 1], lower is better. Columns that say the same share what they say.
    """

    folds: int = 3
    name = "detection.c2st"
    version = 1
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "test"
    slow: ClassVar[bool] = True

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """The AUC in other words, and column by column."""
        found = detect(data, self.folds)
        each = [Value(f"{self.name}_loss.{name}", found.lost[name], "min", (-1.0, 1.0)) for name in data.schema.names]
        return [Value(self.name, min(1.0, 2 * (1 - found.auc)), "max"), *each]
