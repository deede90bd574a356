"""Relations beyond single pairs of distances: mutual information of all pairs, and joint distributions of three columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any, ClassVar

import numpy as np

from harness.errors import TabOrderError
from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Role, Value
from harness.metrics.encoding import Floats
from harness.metrics.pairs import Binned, Bins, joint_counts
from harness.seeding import rng

SIDES: tuple[Role, Role] = ("test", "synthetic")


@dataclass(frozen=True)
class MutualInformation(Declared):
    """``distribution.wnmis``: weighted similarity of normalised mutual information over all pairs; in [0, 1], higher is better.

    NMI is I(x, y) / ((H(x) + H(y))/2), 0 where both are constant, of columns in bins that the test rows decide (:class:`Bins`). The
    value is 1 − Σ w·``|NMI − NMI'|`` / Σ w with w the greater of the real and the synthetic NMI, so that pairs unrelated in both
    tables, which most are, do not make every table look alike. Named after the wNMIS of arXiv 2603.23016, whose bins
    and weights may differ: compare with published figures only after scoring one table both ways.

    Args:
        bins: of a number column.
        categories: kept apart, of a categorical column.
    """

    bins: int = 10
    categories: int = 100
    name = "distribution.wnmis"
    version = 1
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "train"

    def __post_init__(self) -> None:
        Bins("test", self.bins, self.categories)

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare the two matrices of mutual information."""
        if len(data.schema.columns) < 2:
            raise NotComputable("the table has one column, so no pairs.")
        bins = Bins("test", self.bins, self.categories)
        real, made = (_all_pairs([bins.of(data, role, name) for name in data.schema.names]) for role in SIDES)
        weights = np.maximum(real, made)
        if weights.sum() < 1e-12:
            raise NotComputable("no two columns are related, in the test rows or in the synthetic ones.")
        return [Value(self.name, 1 - float(np.sum(weights * np.abs(real - made)) / weights.sum()), "max")]


def _all_pairs(columns: Sequence[Binned]) -> Floats:
    return np.array([normalised_information(a, b) for a, b in combinations(columns, 2)])


def normalised_information(left: Binned, right: Binned) -> float:
    """I(x, y) / ((H(x) + H(y))/2) of two columns in bins, in [0, 1]; 0 where both are constant."""
    joint = joint_counts(left, right).reshape(left.size, right.size) / len(left.values)
    entropies = [_entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0)), _entropy(joint.ravel())]
    whole = entropies[0] + entropies[1]
    return float(np.clip(2 * (whole - entropies[2]) / whole, 0.0, 1.0)) if whole > 0 else 0.0


def _entropy(shares: Floats) -> float:
    present = shares[shares > 0]
    return float(-np.sum(present * np.log(present)))


@dataclass(frozen=True)
class TripleDistance(Declared):
    """``distribution.triple_distance``: total variation distance of the joint distribution of three columns; in [0, 1], lower is better.

    As :class:`PairDistance`, over all triples or ``triples`` of them, drawn by the seed and the columns' names (1 − the trivariate
    accuracy of Platzer and Reutterer, 2021). It sees what pairs cannot: an exclusive or of two columns, a dependency of two left sides.

    Args:
        bins: of a number column.
        categories: kept apart, of a categorical column.
        triples: at most so many are compared.
    """

    bins: int = 5
    categories: int = 20
    triples: int = 500
    name = "distribution.triple_distance"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "train"

    def __post_init__(self) -> None:
        Bins("test", self.bins, self.categories)
        if self.triples < 1:
            raise TabOrderError(f"triples={self.triples} is not possible: give 1 or more.")

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare the contingency tables of the triples."""
        names, bins = sorted(data.schema.names), Bins("test", self.bins, self.categories)
        if len(names) < 3:
            raise NotComputable(f"the table has {len(names)} columns, so no three of them.")
        tables = [{name: bins.of(data, role, name) for name in names} for role in SIDES]
        return [Value(self.name, float(np.mean([_triple(tables, t) for t in self._chosen(names, data.seed)])), "min")]

    def _chosen(self, names: Sequence[str], seed: int) -> list[tuple[str, ...]]:
        if comb(len(names), 3) <= self.triples:
            return list(combinations(names, 3))
        random = rng(seed, self.name)
        chosen: set[tuple[str, ...]] = set()
        while len(chosen) < self.triples:
            chosen.add(tuple(names[i] for i in sorted(random.choice(len(names), 3, replace=False))))
        return sorted(chosen)


def _triple(tables: Sequence[dict[str, Binned]], names: Sequence[str]) -> float:
    shares: list[Any] = []
    for table in tables:
        a, b, c = (table[name] for name in names)
        keys = (a.values.astype(np.intp) * b.size + b.values) * c.size + c.values
        shares.append(np.bincount(keys, minlength=a.size * b.size * c.size) / len(keys))
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
