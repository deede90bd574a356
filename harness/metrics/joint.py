"""Joint distances: all columns at once, synthetic against held-out real rows (the test rows).

Rows are points: a number divided by its training range, a category as a one-hot vector of length 1/√2 (so that two categories are
1 apart), a missing cell as a category of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import TabOrderError, choices
from harness.metrics.base import Declared, EvalInput, Goal, RealAnchor, Value
from harness.metrics.encoding import Floats, Ints, codes, floats
from harness.metrics.nearest import EXACT, mixed_rows, nearest, require_pairs
from harness.seeding import rng

Side = Literal["test", "synthetic"]
SIDES: tuple[Side, Side] = ("test", "synthetic")
STEPS = 30


@dataclass(frozen=True)
class SlicedWasserstein(Declared):
    """``distribution.sliced_wasserstein``: mean 1-Wasserstein distance along random directions (Bonneel et al., 2015).

    Directions are drawn from a normal distribution of variance 1/columns in every dimension. From 0, lower is better. Missing
    numbers lie at the training mean.

    Args:
        directions: how many.
    """

    directions: int = 50
    name = "distribution.sliced_wasserstein"
    version = 2
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "train"

    def __post_init__(self) -> None:
        if self.directions < 1:
            raise TabOrderError(f"directions={self.directions} is not possible: give 1 or more.")

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Project both tables and compare along each direction."""
        from scipy.stats import wasserstein_distance

        gaps = [wasserstein_distance(*self.project(data, direction)) for direction in range(self.directions)]
        return [Value(self.name, float(np.mean(gaps)), "min", (0.0, None))]

    def project(self, data: EvalInput, direction: int) -> tuple[Floats, Floats]:
        """Test and synthetic rows along one direction, shapes (rows,).

        Weights belong to a column's name and a category's rank by frequency, so neither the order of columns nor what the
        categories are called matters.
        """
        test, synthetic = np.zeros(len(data.test)), np.zeros(len(data.synthetic))
        for name in data.schema.names:
            random = rng(data.seed, self.name, name, direction)
            if data.schema[name].numeric:
                weight, sides = random.standard_normal(), _numbers(data, name)
                test += weight * sides[0]
                synthetic += weight * sides[1]
            else:
                ranks = _ranked(data, name)
                weights = random.standard_normal(codes(data, name).size + 1) / np.sqrt(2)
                test += weights[ranks[0]]
                synthetic += weights[ranks[1]]
        scale = np.sqrt(len(data.schema.names))
        return test / scale, synthetic / scale


def _numbers(data: EvalInput, name: str) -> tuple[Floats, Floats]:
    """Test and synthetic numbers, centred at the training mean (0 where missing) and divided by the training range."""

    def make() -> tuple[Floats, Floats]:
        train = floats(data, "train", name)
        present = train[~np.isnan(train)]
        centre, spread = (present.mean(), np.ptp(present)) if len(present) else (0.0, 0.0)
        test, synthetic = (np.nan_to_num((floats(data, r, name) - centre) / (spread or 1.0)) for r in SIDES)
        return test, synthetic

    return data.cached(f"centred {name}", make)  # type: ignore[no-any-return]


def _ranked(data: EvalInput, name: str) -> tuple[Ints, Ints]:
    """Test and synthetic categories as ranks by frequency in training rows; a missing cell is a category."""

    def make() -> tuple[Ints, Ints]:
        coded = codes(data, name)
        counts = np.bincount(coded.train + 1, minlength=coded.size + 1)
        rank = np.empty(len(counts), dtype=np.int64)
        rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
        return rank[coded.test + 1], rank[coded.synthetic + 1]

    return data.cached(f"ranked {name}", make)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class SupportOverlap(Declared):
    """α-precision or β-recall (Alaa et al., 2022), without their learned embedding; in [0, 1], higher is better.

    - ``distribution.alpha_precision``: let P(α) be the share of synthetic rows inside the ball around the centre of the test rows
      that holds a share α of them. Realistic rows give P(α) = α; the value is 1 − Σ|P(α) − α| / Σα.
    - ``distribution.beta_recall``: let R(β) be the share of test rows whose nearest synthetic row is no further than their nearest
      other test row, and lies among the share β of such rows nearest to the synthetic centre. The value is 1 − Σ|R(β) − β| / Σβ.

    Distances are Euclidean; for those to a centre, missing numbers lie at the training mean. Of several nearest synthetic rows the
    one whose cells come first counts, so that their order in the table does not.

    Args:
        measure: ``alpha_precision`` or ``beta_recall``.
        max_pairs: above this many distances (β-recall) it says so instead of taking hours.
    """

    measure: Literal["alpha_precision", "beta_recall"]
    max_pairs: int = 4_000_000_000
    version = 2
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "train"

    def __post_init__(self) -> None:
        if self.measure not in ("alpha_precision", "beta_recall"):
            raise TabOrderError(choices(self.measure, ("alpha_precision", "beta_recall"), "measure"))

    @property
    def name(self) -> str:
        """``distribution.<measure>``."""
        return f"distribution.{self.measure}"

    @property
    def params(self) -> Mapping[str, Any]:
        """The measure: the limit does not change a value."""
        return {"measure": self.measure}

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare the supports."""
        levels = np.linspace(0, 1, STEPS)
        if self.measure == "alpha_precision":
            radii = np.quantile(to_centre(data, "test", "test"), levels)
            inside = to_centre(data, "synthetic", "test")
            curve = np.array([np.mean(inside <= radius) for radius in radii])
        else:
            require_pairs(len(data.test) * (len(data.test) + len(data.synthetic)), self.max_pairs)
            test = mixed_rows(data, "test")
            order = _by_cells(data)
            near = nearest(test, mixed_rows(data, "synthetic").take(order), squared=True)
            covered = near.first <= nearest(test, test, squared=True).second
            depth = to_centre(data, "synthetic", "synthetic")[order][near.index]
            curve = np.array([np.mean(covered & (depth <= radius)) for radius in np.quantile(depth, levels)])
        return [Value(self.name, float(1 - np.abs(curve - levels).sum() / levels.sum()), "max")]


def to_centre(data: EvalInput, role: Side, of: Side) -> Floats:
    """Distances of one table's rows to the mean of another's (or its own), shape (rows,)."""
    total = np.zeros(len(data.table(role)))
    for name in data.schema.names:
        if data.schema[name].numeric:
            sides = dict(zip(SIDES, _numbers(data, name), strict=True))
            total += (sides[role] - sides[of].mean()) ** 2
        else:
            coded = codes(data, name)
            share = np.bincount(coded.of(of) + 1, minlength=coded.size + 1) / len(data.table(of))
            total += (1 - 2 * share[coded.of(role) + 1] + np.sum(share**2)) / 2
    return np.asarray(np.sqrt(np.maximum(np.round(total, EXACT), 0.0)))


def _by_cells(data: EvalInput) -> Ints:
    """An order of the synthetic rows that their cells alone decide."""
    names = sorted(data.schema.names, reverse=True)
    return np.lexsort([codes(data, name).synthetic for name in names]).astype(np.int64)
