"""The downstream models of ML efficacy: fit on one matrix, predict another."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from harness.metrics.features import linear_preprocessor
from harness.table import Task

Model = Literal["hgb", "random_forest", "linear", "mlp"]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
HIDDEN = (150, 100, 50)
TREES = 450
"""Trees that boosting grows for more than two classes, about."""
TREE_ROWS = 5_000
"""Rows drawn for each tree of a forest, at most: more of them cost time and hardly change what a hundred trees say together."""


def make_model(model: Model, task: Task, rows: int, categorical: Mask, seed: int) -> Any:
    """An unfitted scikit-learn estimator with its preprocessing.

    Args:
        model: ``hgb`` (penalised histogram gradient boosting), ``random_forest``, ``linear`` (logistic for classes, least squares for
            numbers) or ``mlp`` (150, 100, 50 hidden units).
        task: classes or numbers.
        rows: how many it will be fitted on.
        categorical: which columns are categories.
        seed: of the model.
    """
    from sklearn import ensemble, linear_model
    from sklearn.preprocessing import FunctionTransformer

    classes = task == "classification"
    if model == "hgb":
        return SymmetricBoosting(categorical, seed) if classes else _boosting(categorical, seed, classes=0)
    if model == "random_forest":
        kind = ensemble.RandomForestClassifier if classes else ensemble.RandomForestRegressor
        return kind(n_estimators=100, max_samples=min(rows, TREE_ROWS), random_state=seed)
    if model == "linear":
        last = linear_model.LogisticRegression(max_iter=500) if classes else linear_model.LinearRegression()
        return _scaled(categorical, classes, last)
    return _scaled(categorical, classes, FunctionTransformer(_single), _mlp(classes, seed, max_iter=_passes(rows)))


def _boosting(categorical: Mask, seed: int, *, classes: int) -> Any:
    """Histogram gradient boosting that cannot diverge.

    Without a penalty a leaf that holds a few rows of a rare class gets a step of hundreds (its hessian is the classes' small
    chances), and a few such steps bury all other scores. Early stopping would need a row of each class on both sides of a split.
    Each of more than two classes has a tree a step; many classes get fewer steps.

    Args:
        categorical: which columns are categories.
        seed: of the model.
        classes: how many; 0 for numbers.
    """
    steps = int(np.clip(TREES // max(classes, 1), 15, 40)) if classes > 2 else 40
    from sklearn import ensemble

    kind = ensemble.HistGradientBoostingClassifier if classes else ensemble.HistGradientBoostingRegressor
    return kind(
        categorical_features=categorical, early_stopping=False, random_state=seed,
        learning_rate=0.2, max_iter=steps, max_leaf_nodes=15, l2_regularization=1.0,
    )  # fmt: skip


class SymmetricBoosting:
    """Boosting whose chances do not depend on how two classes are numbered.

    scikit-learn grows one tree a step for two classes, and its splits of categories are not the same when 0 and 1 change places
    (chances then differ by up to .4). Both codings are fitted and their chances averaged. More classes have a tree each.

    Args:
        categorical: which columns are categories, shape (columns,).
        seed: of both models.
    """

    def __init__(self, categorical: Mask, seed: int) -> None:
        self.categorical, self.seed = categorical, seed

    def fit(self, matrix: Any, labels: Any) -> SymmetricBoosting:
        """Fit on rows of shape (rows, columns) and labels of shape (rows,)."""
        self.classes_, coded = np.unique(labels, return_inverse=True)
        codings = [coded, 1 - coded] if len(self.classes_) == 2 and self.categorical.any() else [coded]
        self._models = [
            _boosting(self.categorical, self.seed, classes=len(self.classes_)).fit(matrix, c) for c in codings
        ]
        return self

    def predict_proba(self, matrix: Any) -> Any:
        """Chances, shape (rows, classes)."""
        first, *turned = [model.predict_proba(matrix) for model in self._models]
        return (first + turned[0][:, ::-1]) / 2 if turned else first


def make_paper_model(model: Model, task: Task, seed: int) -> Any:
    """The paper's recipe: label codes and raw numbers, nothing scaled. Its MLP is near the majority: never a headline."""
    from sklearn import ensemble, linear_model
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    classes = task == "classification"
    if model == "random_forest":
        last = (ensemble.RandomForestClassifier if classes else ensemble.RandomForestRegressor)(random_state=seed)
    elif model == "linear":
        last = linear_model.LogisticRegression() if classes else linear_model.LinearRegression()
    else:
        last = _mlp(classes, seed, max_iter=200)
    return make_pipeline(SimpleImputer(strategy="constant", fill_value=-1), last)


def _mlp(classes: bool, seed: int, max_iter: int) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    return (MLPClassifier if classes else MLPRegressor)(hidden_layer_sizes=HIDDEN, random_state=seed, max_iter=max_iter)


def _passes(rows: int) -> int:
    """Passes over the rows: 800 updates of 200 rows, but at least 8 and at most 200 passes, the same for every generator.

    Not early stopping: scikit-learn's splits by class and fails where a class has one row.
    """
    return int(np.clip(800 * 200 // max(rows, 1), 8, 200))


def _single(matrix: Any) -> Any:
    """Single precision, in which the network is a third faster; numbers are scaled before, so none loses what it says."""
    return matrix.astype(np.float32)


def _scaled(categorical: Mask, classes: bool, *steps: Any) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(linear_preprocessor(categorical), *steps)
    return pipeline if classes else TransformedTargetRegressor(pipeline, transformer=StandardScaler())
