"""A tree over coded columns, and the training values that lie in its leaves.

Everything is integers: a column is its codes (numbers in order of size, missing last), so trees see ranks, which are
exact in scikit-learn's float32, and a leaf holds codes of training rows, so that nothing but training values can be
drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.dependencies import Codes, IntArray, modes
from harness.seeding import rng

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

PROJECTIONS = 32
"""Outputs that stand for the classes of a target of more than ``max_classes``."""

SCORE_DECIMALS = 9
"""Levels whose scores agree to so many digits count as equal: then their most frequent class decides, not the last bit
of a sum."""


@dataclass(frozen=True, eq=False)
class Target:
    """What a tree is grown for.

    Attributes:
        classes: (rows,) classes 0, 1, …, for a Gini tree; ``None`` where ``outputs`` are given.
        outputs: (rows, outputs) numbers, for a tree of least squares; ``None`` where ``classes`` are given.
        groups: (rows,) the target's codes, which break ties between levels of a predictor.
    """

    classes: IntArray | None
    outputs: FloatArray | None
    groups: IntArray


def number_target(codes: IntArray, values: FloatArray) -> Target:
    """A number: its value in standard deviations, and, where cells are missing, a second output that says which.

    Both outputs have variance 1, so a split that tells missing from present counts as much as one that tells large from
    small, and a leaf holds missing cells in the share they have there.

    Args:
        codes: (rows,) the column's codes.
        values: (rows,) its numbers, NaN where missing.
    """
    missing = np.isnan(values)
    scaled = values / max(1e-300, np.abs(values[~missing]).max(initial=0.0))  # no overflow, whatever the unit
    filled = np.where(missing, scaled[~missing].mean() if not missing.all() else 0.0, scaled)
    columns = [filled, missing.astype(float)] if missing.any() else [filled]
    outputs = np.column_stack([column / (column.std() or 1.0) for column in columns])
    return Target(None, outputs, codes)


def category_target(codes: Codes, max_classes: int, *, seed: int) -> Target:
    """A category: its classes, or random projections of them where there are more than ``max_classes``.

    Gini impurity is the variance of the one-hot vector summed over its components; random projections keep that sum in
    expectation (Joly, Geurts and Wehenkel, 2014), at a cost that does not grow with the number of classes.
    """
    if codes.size <= max_classes:
        return Target(codes.values, None, codes.values)
    signs = rng(seed, "projection").choice(np.array([-1.0, 1.0]), size=(codes.size, PROJECTIONS))
    return Target(None, signs[codes.values], codes.values)


def level_ranks(codes: Codes, target: Target, least: int) -> FloatArray:
    """A categorical predictor as one ordered feature: the rank of each level.

    Levels are ordered by their mean output; for several outputs or classes by the first principal component of the
    means (Coppersmith, Hong and Hosking, 1999), which is the order of P(class 1) for two classes, where the best split
    is among those of that order. Levels with equal means stand together by their most frequent target value. Levels of
    fewer than ``least`` rows share one rank: ordered by their few rows they would be told apart by nothing but the
    answer.

    Args:
        codes: (rows,) the predictor.
        target: of the same rows.
        least: rows a level needs to be ordered on its own.

    Returns:
        (levels,) ranks as float32.
    """
    counts = np.bincount(codes.values, minlength=codes.size)
    rare = counts < least
    pooled = np.where(rare, 0, np.cumsum(~rare))  # 0: all rare levels
    groups = pooled[codes.values]
    size = int(pooled.max(initial=0)) + 1
    weights = np.bincount(groups, minlength=size)
    means = _sums(groups, size, target) / np.maximum(weights, 1)[:, None]
    centred = means - (weights @ means) / max(1, weights.sum())
    axis = np.linalg.eigh((centred * weights[:, None]).T @ centred)[1][:, -1] if means.shape[1] > 1 else np.ones(1)
    scores = np.round(centred @ axis, SCORE_DECIMALS)
    order = np.lexsort(
        (np.arange(size), modes(groups, target.groups, size, int(target.groups.max(initial=0)) + 1), scores)
    )
    ranks = np.empty(size, dtype=np.float32)
    ranks[order] = np.arange(size)
    return ranks[pooled]


def _sums(groups: IntArray, size: int, target: Target) -> FloatArray:
    """(levels, outputs) sums of the outputs, or counts of the classes."""
    if target.classes is not None:
        classes = int(target.classes.max(initial=0)) + 1
        return np.bincount(groups * classes + target.classes, minlength=size * classes).reshape(size, classes) * 1.0
    assert target.outputs is not None
    return np.column_stack([np.bincount(groups, weights=output, minlength=size) for output in target.outputs.T])


@dataclass(frozen=True, eq=False)
class Tree:
    """Nodes as arrays, and the training values in each leaf.

    Attributes:
        feature: (nodes,) the feature a node splits on, −1 for a leaf.
        threshold: (nodes,) rows with at most this value go left.
        left: (nodes,) the left child.
        right: (nodes,) the right child.
        start: (nodes,) where a leaf's values begin in ``values``.
        count: (nodes,) how many they are.
        values: (rows,) codes of the training rows, leaf after leaf.
    """

    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    start: IntArray
    count: IntArray
    values: IntArray

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return int((self.feature < 0).sum())

    def draw(self, table: FloatArray, uniform: FloatArray) -> IntArray:
        """One training value for each row, from the leaf the row falls into.

        Args:
            table: (rows, features) coded predictors.
            uniform: (rows,) random numbers in [0, 1).
        """
        leaf = find_leaves(self.feature, self.threshold, self.left, self.right, table)
        count = self.count[leaf]
        return self.values[self.start[leaf] + np.minimum((uniform * count).astype(np.int64), count - 1)]


def find_leaves(
    feature: IntArray, threshold: FloatArray, left: IntArray, right: IntArray, table: FloatArray
) -> IntArray:
    """The leaf of each row, all rows one level down at a time."""
    node = np.zeros(len(table), dtype=np.int64)
    rows = np.flatnonzero(feature[node] >= 0)
    while len(rows):
        at = node[rows]
        node[rows] = np.where(table[rows, feature[at]] <= threshold[at], left[at], right[at])
        rows = rows[feature[node[rows]] >= 0]
    return node


def single_leaf(values: IntArray) -> Tree:
    """A tree that splits nothing: the column as it is distributed in train."""
    none, zero = np.array([-1]), np.array([0])
    return Tree(none, np.zeros(1), none, none, zero, np.array([len(values)]), values)


def grow(table: FloatArray, target: Target, values: IntArray, *, min_leaf: int, max_rows: int, seed: int) -> Tree:
    """Grow a tree to leaves of at least ``min_leaf`` rows and put every training row into its leaf.

    Args:
        table: (rows, features) coded predictors.
        target: what splits are judged by.
        values: (rows,) what leaves hold.
        min_leaf: of the rows the tree is grown on.
        max_rows: the tree is grown on at most so many rows, drawn once; its leaves hold all.
        seed: of that draw, and of equal splits.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if not table.shape[1] or len(table) < 2 * min_leaf:
        return single_leaf(values)
    rows: Any = slice(None)
    if len(table) > max_rows:
        rows = np.sort(rng(seed, "rows").permutation(len(table))[:max_rows])
    kind = DecisionTreeClassifier if target.classes is not None else DecisionTreeRegressor
    answers = target.classes if target.classes is not None else target.outputs
    assert answers is not None
    grown = kind(min_samples_leaf=min_leaf, random_state=seed).fit(table[rows], answers[rows]).tree_
    feature = np.where(grown.children_left < 0, -1, grown.feature)
    leaf = find_leaves(feature, grown.threshold, grown.children_left, grown.children_right, table)
    order = np.argsort(leaf, kind="stable")
    count = np.bincount(leaf, minlength=grown.node_count)
    return Tree(
        feature=feature,
        threshold=grown.threshold.copy(),
        left=grown.children_left.copy(),
        right=grown.children_right.copy(),
        start=np.cumsum(count) - count,
        count=count,
        values=values[order],
    )
