"""Memorisation: does the synthetic table say more about its training rows than about held-out rows of the same kind?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Value
from harness.metrics.encoding import Floats, Ints, codes, row_ids
from harness.metrics.nearest import MixedRows, mixed_rows, nearest, require_pairs
from harness.metrics.privacy import MAX_PAIRS, closest_synthetic
from harness.seeding import rng

LIMIT = 4.0
"""Standard errors that no fresh rows reach: with three signs in 1 of 10,000 splits, and on a split unlucky by 2 in 1 of 15 tables."""


@dataclass(frozen=True)
class Memorised(Declared):
    """Standard errors by which training rows are closer to the synthetic table than held-out rows of the same kind.

    If the table was made without knowledge of *which* real rows are training rows, the labels "train" and "test" could be dealt
    out anew among the real rows and nothing would change. Each sign is a sum over real rows in training, and its mean and variance
    under all such deals are exact (a permutation test with the moments of sampling without replacement), whatever the numbers
    of rows and however many of them are equal:

    - ``privacy.memorised.exact_copies``: synthetic rows that equal a real row, by the share of equal real rows in training;
    - ``privacy.memorised.closest_records``: the same for every synthetic row and the real rows nearest to it (of several unlike rows
      equally near, one drawn by the seed);
    - ``privacy.memorised.membership``: how near each real row's nearest synthetic row is, as a rank (Mann–Whitney);
    - ``privacy.memorised``: the greatest of the three. Over splits and tables of fresh rows each is about normal with mean 0 and
      deviation 1; all tables judged on *one* split share its accidents. Beyond :data:`LIMIT` it is no accident.

    Unbounded; lower is better. Where no synthetic row equals a real one, or all do alike, a sign is 0. Train and test must be a random
    split: if they differ by themselves (by time, say), any table that follows train is nearer to it.

    *Real* anchor: a random half of the test rows, with the other half as holdout.

    Args:
        max_pairs: above this many distances it says so instead of taking hours.
    """

    max_pairs: int = MAX_PAIRS
    name = "privacy.memorised"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test_half"
    slow: ClassVar[bool] = True

    @property
    def params(self) -> dict[str, Any]:
        """None: the limit does not change a value."""
        return {}

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare each sign with what other deals of the labels would give."""
        require_pairs(2 * len(data.synthetic) * (len(data.train) + len(data.test)), self.max_pairs)
        if len(data.test) < 2:
            raise NotComputable("there is one test row; telling training rows from others needs at least 2.")
        train = np.arange(len(data.train) + len(data.test)) < len(data.train)
        members, others = closest_synthetic(data)
        copies, closest = _weights(data)
        signs = {
            "exact_copies": excess(copies, train),
            "closest_records": excess(closest, train),
            "membership": excess(-_midranks(np.concatenate([members, others])), train),
        }
        each = [Value(f"{self.name}.{sign}", number, "min", (None, None)) for sign, number in signs.items()]
        return [Value(self.name, max(signs.values()), "min", (None, None)), *each]


def excess(weights: Floats, train: Any) -> float:
    """How far the training rows' sum of weights is above its mean over all deals of the labels, in standard deviations.

    Args:
        weights: one a real row, shape (rows,).
        train: which rows are training rows, booleans of shape (rows,).

    Returns:
        (Σ_train w − p·Σw) / √(n₁n₂/(N(N−1))·(Σw² − (Σw)²/N)) with p = n₁/N; 0 where no deal would differ.
    """
    rows, inside = len(weights), int(train.sum())
    spread = float(np.sum((weights - weights.mean()) ** 2)) * inside * (rows - inside) / (rows * (rows - 1))
    if spread <= 1e-12 * float(np.sum(weights**2)):
        return 0.0
    return float((weights[train].sum() - weights.sum() * inside / rows) / np.sqrt(spread))


def _midranks(distances: Floats) -> Floats:
    from scipy.stats import rankdata

    return np.asarray(rankdata(distances), dtype=float)


def _weights(data: EvalInput) -> tuple[Floats, Floats]:
    """Per real row the synthetic rows that equal it, and those it is nearest to, shared among equal real rows."""
    ids = row_ids(data)
    real = np.concatenate([ids.train, ids.test])
    distinct = _distinct(data, real)
    both = MixedRows(
        np.concatenate([mixed_rows(data, role).numbers for role in ("train", "test")], axis=1),
        tuple(
            np.concatenate(pair)
            for pair in zip(mixed_rows(data, "train").categories, mixed_rows(data, "test").categories, strict=True)
        ),
        len(real),
    ).take(distinct)
    chosen = real[distinct][nearest(mixed_rows(data, "synthetic"), both).index]
    equal = np.bincount(real, minlength=ids.size)
    near, same = (np.bincount(rows, minlength=ids.size) for rows in (chosen, ids.synthetic))
    return same[real] / equal[real], near[real] / equal[real]


def _distinct(data: EvalInput, real: Ints) -> Ints:
    """One place of each distinct real row, in an order that neither the labels nor the order of rows or columns decides."""
    cells = [
        np.concatenate([codes(data, n).train, codes(data, n).test]) for n in sorted(data.schema.names, reverse=True)
    ]
    order = np.lexsort(cells)
    first = order[np.append(True, real[order][1:] != real[order][:-1])]
    return rng(data.seed, "privacy.memorised").permutation(first).astype(np.int64)
