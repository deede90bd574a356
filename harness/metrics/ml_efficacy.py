"""ML efficacy: train a model on the synthetic table, test it on held-out real rows (TSTR; Esteban et al., 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from harness.errors import TabOrderError, choices
from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Role, Value
from harness.metrics.encoding import Floats, Ints, class_codes, codes, floats
from harness.metrics.features import HUGE, Features, features, filled, row_order
from harness.metrics.models import Model, make_model, make_paper_model
from harness.seeding import derive_seed

Recipe = Literal["standard", "paper_compatible"]
Bounds = tuple[float | None, float | None]
CLASSIFICATION: dict[str, tuple[Goal, Bounds]] = {
    "accuracy": ("max", (0.0, 1.0)),
    "macro_f1": ("max", (0.0, 1.0)),
    "roc_auc": ("max", (0.0, 1.0)),
}
REGRESSION: dict[str, tuple[Goal, Bounds]] = {
    "r2": ("max", (None, 1.0)),
    "mae": ("min", (0.0, None)),
    "rmse": ("min", (0.0, None)),
    "mape": ("min", (0.0, None)),
}
MEASURES = CLASSIFICATION | REGRESSION
CHECKED = 4000
"""Training rows, evenly spread, on which a model is asked whether it learnt anything."""
SLACK = 0.05
"""How much worse than a constant answer a model may be on its training rows: a forest's are redrawn for every tree."""


@dataclass(frozen=True)
class MLEfficacy(Declared):
    """Scores on real test rows of one model trained on synthetic rows.

    Classification: ``accuracy``, ``macro_f1`` (over the classes among test rows), ``roc_auc`` (one against the rest, averaged
    over the classes among test rows), all in [0, 1], higher is better. Regression: ``r2`` (at most 1, higher is better),
    ``mae``, ``rmse``, ``mape`` (from 0, lower is better; the target's units, and a ratio). Values are named
    ``ml_efficacy.<model>.<measure>``.

    Anchors: *real* trains on real rows; *floor* always answers the majority class or the median of real training rows.

    Encoders are fitted on the table trained on. Rows whose label is missing are left out; labels that real training rows do not
    have stay, together, as one wrong class. A table with one label gives a constant answer. No answer depends on what classes are
    called or which numbers stand for them. A model whose error on its *own training rows* is, by more than a twentieth, above
    that of the shares of the classes (log-loss) or of the mean (squared error) has failed and gives a reason instead of a value.

    Args:
        model: ``hgb``, ``random_forest``, ``linear`` or ``mlp``.
        recipe: ``standard``, or ``paper_compatible``: label-encoded and unscaled, as in the paper, under the name
            ``ml_efficacy.paper_<model>``. That recipe starves the MLP; it is there for comparison only.
    """

    model: Model
    recipe: Recipe = "standard"
    version = 3
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "train"
    slow: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.model not in get_args(Model):
            raise TabOrderError(choices(self.model, get_args(Model), "model"))
        if self.recipe not in get_args(Recipe):
            raise TabOrderError(choices(self.recipe, get_args(Recipe), "recipe"))
        if self.recipe == "paper_compatible" and self.model == "hgb":
            raise TabOrderError("recipe=paper_compatible has no model 'hgb': choose random_forest, linear or mlp.")

    @property
    def name(self) -> str:
        """``ml_efficacy.<model>``."""
        return f"ml_efficacy.{'paper_' if self.recipe == 'paper_compatible' else ''}{self.model}"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Train on ``data.synthetic``, test on ``data.test``."""
        return self._named(self.measures(data))

    def measures(self, data: EvalInput) -> dict[str, float | str]:
        """The numbers, or why there is none, by measure; once per evaluation, as the headline reads them too.

        Raises:
            NotComputable: without target, labels or features, and when the model failed to learn its own training rows.
        """

        def make() -> dict[str, float | str] | NotComputable:
            try:
                return self._measure(data)
            except NotComputable as reason:
                return reason

        found = data.cached(f"measures of {self.name} {sorted(self.params.items())}", make)
        if isinstance(found, NotComputable):
            raise found
        return found  # type: ignore[no-any-return]

    def _measure(self, data: EvalInput) -> dict[str, float | str]:
        target = _target(data)
        if data.schema.task == "classification":
            labels, tested, classes = _labels(data, target)
            found, chances = self._fit_predict(data, target, labels, labels >= 0, tested >= 0)
            return _classification(tested[tested >= 0], _align(chances, found, classes))
        numbers, truth = np.clip(floats(data, "synthetic", target), -HUGE, HUGE), floats(data, "test", target)
        _, answer = self._fit_predict(data, target, numbers, ~np.isnan(numbers), ~np.isnan(truth))
        return _regression(truth[~np.isnan(truth)], answer)

    def floor(self, data: EvalInput) -> Sequence[Value]:
        """The majority class, or the median, of real training rows for everyone."""
        target = _target(data)
        if data.schema.task == "classification":
            coded = class_codes(data, target)
            train, test = coded.train[coded.train >= 0], coded.test[coded.test >= 0]
            _require(train >= 0, test >= 0)
            chances = np.zeros((len(test), coded.size + 1))
            chances[:, np.bincount(train).argmax()] = 1.0
            return self._named(_classification(test, chances))
        known, truth = floats(data, "train", target), floats(data, "test", target)
        known, truth = known[~np.isnan(known)], truth[~np.isnan(truth)]
        _require(known == known, truth == truth)
        return self._named(_regression(truth, np.full(len(truth), np.median(known))))

    def _fit_predict(self, data: EvalInput, target: str, label: Any, kept: Any, tested: Any) -> tuple[Ints, Floats]:
        """The classes found (empty for regression), and answers for test rows: chances (rows, classes) or numbers (rows,)."""
        _require(kept, tested)
        columns = features(data, without=target)
        if not columns.names:
            raise NotComputable(f"the table has no column but the target '{target}'.")
        matrix, questions = _matrices(data, columns, self.recipe)
        matrix, questions, label = matrix[kept], questions[tested], label[kept]
        order, usable = row_order(np.column_stack([matrix, label])), filled(matrix)
        matrix, questions, label = matrix[order][:, usable], questions[:, usable], label[order]
        classes = data.schema.task == "classification"
        if (label == label[0]).all() or not usable.any():
            found, counts = np.unique(label, return_counts=True)
            shares = np.tile(counts / len(label), (len(questions), 1))
            return found, shares if classes else np.full(len(questions), np.median(label))
        estimator = self._estimator(data, len(matrix), columns.categorical[usable]).fit(matrix, label)
        some = np.unique(np.linspace(0, len(label) - 1, min(len(label), CHECKED)).astype(int))
        if classes:
            require_learnt(self.name, label[some], estimator.predict_proba(matrix[some]), estimator.classes_)
            return estimator.classes_, estimator.predict_proba(questions)
        require_fitted(self.name, label[some], estimator.predict(matrix[some]))
        return np.empty(0, np.int64), estimator.predict(questions)

    def _estimator(self, data: EvalInput, rows: int, categorical: Any) -> Any:
        assert data.schema.task is not None
        seed = derive_seed(data.seed, self.name)
        if self.recipe == "standard":
            return make_model(self.model, data.schema.task, rows, categorical, seed)
        return make_paper_model(self.model, data.schema.task, seed)

    def _named(self, numbers: Mapping[str, float | str]) -> list[Value]:
        return named(self.name, numbers)


def named(name: str, numbers: Mapping[str, float | str]) -> list[Value]:
    """Values of measures; where one is a text, that is why it is missing."""
    values = []
    for measure, number in numbers.items():
        goal, bounds = MEASURES[measure]
        full = f"{name}.{measure}"
        values.append(
            Value(full, None, goal, bounds, number) if isinstance(number, str) else Value(full, number, goal, bounds)
        )
    return values


def _target(data: EvalInput) -> str:
    if data.schema.target is None:
        raise NotComputable(f"dataset '{data.dataset.name}' has no target column to predict.")
    target = data.schema[data.schema.target]
    if data.schema.task == "regression" and not target.numeric:
        raise NotComputable(
            f"the target '{target.name}' is text, which is not predicted as a number: set task=classification."
        )
    return target.name


def _require(present: Any, tested: Any) -> None:
    if not present.any() or not tested.any():
        raise NotComputable(f"no {'row trained on' if tested.any() else 'test row'} has a label.")


def _labels(data: EvalInput, target: str) -> tuple[Ints, Ints, int]:
    """Labels trained on and tested on, and their number; labels real training rows lack become one more class."""
    coded = class_codes(data, target)
    known = np.zeros(coded.size + 1, dtype=bool)
    known[coded.train] = True
    labels = np.where(known[coded.synthetic] | (coded.synthetic < 0), coded.synthetic, coded.size)
    return labels, coded.test, coded.size + 1


def _matrices(data: EvalInput, columns: Features, recipe: Recipe) -> tuple[Floats, Floats]:
    if recipe == "standard":
        return data.cached(  # type: ignore[no-any-return]
            f"features without {set(data.schema.names) - set(columns.names)}",
            lambda: tuple(columns.matrix(data, role, ("synthetic",)) for role in ("synthetic", "test")),
        )

    def raw(role: Any) -> Floats:
        pairs = zip(columns.names, columns.categorical, strict=True)
        return np.column_stack([_alphabetical(data, role, n) if c else floats(data, role, n) for n, c in pairs])

    return raw("synthetic"), raw("test")


def _alphabetical(data: EvalInput, role: Role, name: str) -> Floats:
    """The paper's label codes: categories in the order of their names, −1 where missing."""
    coded = codes(data, name)
    place = np.append(np.argsort(np.argsort(coded.labels)), -1.0)
    return place[coded.of(role)]


def require_learnt(name: str, labels: Ints, chances: Floats, classes: Ints) -> None:
    """Refuse a classifier that gives its own training rows less likely labels than the shares of the classes do.

    Log-loss, not accuracy: a diverging model can answer more rows than the majority would and still have lost most classes.

    Args:
        name: for the reason.
        labels: of training rows, shape (rows,).
        chances: of these rows, shape (rows, classes).
        classes: the label of each column of ``chances``.
    """
    own = chances[np.arange(len(labels)), np.searchsorted(classes, labels)]
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    loss, least = (float(-np.log(np.clip(p, 1e-15, 1.0)).mean()) for p in (own, counts[inverse] / len(labels)))
    if loss > (1 + SLACK) * least + SLACK / 10:
        raise NotComputable(
            f"{name} did not learn: on its own training rows its log-loss is {loss:.3g}, that of the classes' shares {least:.3g}."
        )


def require_fitted(name: str, truth: Floats, answer: Floats) -> None:
    """Refuse a regressor that is further from its own training rows (squared error) than their mean is; shapes (rows,)."""
    scale = float(np.abs(truth).max()) or 1.0  # squares of numbers up to 1e30 stay finite
    error, spread = np.mean(((answer - truth) / scale) ** 2), np.var(truth / scale)
    if not error <= (1 + SLACK) * spread + 1e-12:
        raise NotComputable(
            f"{name} did not learn: on its own training rows its R² is {1 - error / spread if spread else -np.inf:.3g}, below 0."
        )


def _align(chances: Floats, found: Ints, classes: int) -> Floats:
    """Chances of the classes a model found, in a matrix of all classes."""
    full = np.zeros((len(chances), classes))
    full[:, found] = chances
    return full


def _classification(labels: Ints, chances: Floats) -> dict[str, float | str]:
    from sklearn.metrics import f1_score, roc_auc_score

    answers, classes = chances.argmax(axis=1), np.unique(labels)
    auc: float | str = "all test rows have the same label, so there is no ROC curve."
    if len(classes) > 1:
        auc = float(np.mean([roc_auc_score(labels == one, chances[:, one]) for one in classes]))
    return {
        "accuracy": float(np.mean(answers == labels)),
        "macro_f1": float(f1_score(labels, answers, labels=classes, average="macro", zero_division=0.0)),
        "roc_auc": auc,
    }


def _regression(truth: Floats, answer: Floats) -> dict[str, float | str]:
    error = answer - truth
    spread = float(np.sum((truth - truth.mean()) ** 2))
    zeros = int(np.sum(truth == 0))
    return {
        "r2": 1 - float(np.sum(error**2)) / spread if spread > 0 else "all test rows have the same target value.",
        "mae": float(np.mean(np.abs(error))),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mape": f"{zeros} test rows have target 0." if zeros else float(np.mean(np.abs(error) / np.abs(truth))),
    }
