"""Privacy: whether synthetic rows give training rows away. Distances are the mixed one of :mod:`harness.metrics.nearest`.

Read these beside their anchors, not normalised: *real* and *floor* both leak nothing, so they are close together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.metrics.base import EvalInput, NotComputable, RealAnchor, Value, params_of
from harness.metrics.encoding import Floats, Ints, row_ids
from harness.metrics.nearest import Nearest, mixed_rows, nearest, require_pairs
from harness.seeding import rng

MAX_PAIRS = 4_000_000_000


@dataclass(frozen=True)
class ExactCopies:
    """``privacy.exact_copy_share``: synthetic rows that equal some training row in every cell (floats at the real decimals).

    A share, lower is better; the *real* anchor is the share of test rows that happen to do so.
    """

    name = "privacy.exact_copy_share"
    version = 1
    real_anchor: ClassVar[RealAnchor] = "test"

    @property
    def params(self) -> Mapping[str, Any]:
        """None."""
        return params_of(self)

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Look every synthetic row up among training rows."""
        rows = row_ids(data)
        known = np.zeros(rows.size, dtype=bool)
        known[rows.train] = True
        return [Value(self.name, float(known[rows.synthetic].mean()), "min")]


def _to_holdout(data: EvalInput) -> Nearest:
    """From synthetic rows to test rows."""
    make = lambda: nearest(mixed_rows(data, "synthetic"), mixed_rows(data, "test"))  # noqa: E731
    return data.cached("synthetic to test", make)  # type: ignore[no-any-return]


def _to_train(data: EvalInput) -> Nearest:
    """From synthetic rows to training rows, with the number of those closer than the nearest test row."""
    rows, bound = mixed_rows(data, "synthetic"), _to_holdout(data).first
    return data.cached("synthetic to train", lambda: nearest(rows, mixed_rows(data, "train"), within=bound))  # type: ignore[no-any-return]


def _require(data: EvalInput, max_pairs: int) -> None:
    require_pairs(len(data.synthetic) * (len(data.train) + len(data.test)), max_pairs)


@dataclass(frozen=True)
class ClosestRecord:
    """Distance to the closest record (DCR), against a holdout.

    - ``privacy.dcr_share``: how often a synthetic row is closer to training than to held-out rows when both have equally many
      rows, ties counting half. 0.5 when training rows have no influence of their own, 1 for copies; lower is better, in [0, 1].
      Equal numbers are had without sampling: it is the exact mean over all subsets of the larger table that have the smaller
      one's size (hypergeometric), so no row is dropped and no seed is needed.
    - ``privacy.dcr_share_unadjusted``: the same share with the tables as they are (about n_train/(n_train + n_test) by chance).
    - ``privacy.dcr_median``: median distance to the closest training row, in [0, 1], higher is better.

    *Real* anchor: a random half of the test rows, with the other half as holdout.

    Args:
        max_pairs: above this many distances it says so instead of taking hours.
    """

    max_pairs: int = MAX_PAIRS
    name = "privacy.dcr"
    version = 1
    real_anchor: ClassVar[RealAnchor] = "test_half"

    @property
    def params(self) -> Mapping[str, Any]:
        """None: the limit does not change a value."""
        return {}

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare the distances to training and to test rows."""
        _require(data, self.max_pairs)
        near, far = _to_train(data), _to_holdout(data)
        closer = np.where(near.first < far.first, 1.0, np.where(near.first == far.first, 0.5, 0.0))
        train, test = len(data.train), len(data.test)
        if train >= test:
            share = closer_share(near.closer, near.tied, train, test)
        else:
            back = nearest(mixed_rows(data, "synthetic"), mixed_rows(data, "test"), within=near.first)
            share = 1 - closer_share(back.closer, back.tied, test, train)
        return [
            Value("privacy.dcr_share", share, "min"),
            Value("privacy.dcr_share_unadjusted", float(closer.mean()), "min"),
            Value("privacy.dcr_median", float(np.median(near.first)) / mixed_rows(data, "train").columns, "max"),
        ]


def closer_share(closer: Ints, tied: Ints, rows: int, subset: int) -> float:
    """Mean chance that a random ``subset`` of ``rows`` rows holds one closer than a bound; one just at it counts half.

    Args:
        closer: per query, rows closer than its bound.
        tied: per query, rows at its bound.
        rows: how many there are.
        subset: how many are drawn without replacement.
    """
    from scipy.special import gammaln

    def none_of(k: Ints) -> Floats:
        """Chance that k given rows all stay out of the subset: C(rows − k, subset) / C(rows, subset)."""
        left = np.maximum(rows - k, subset).astype(float)
        log = gammaln(left + 1) - gammaln(left - subset + 1) - gammaln(rows + 1.0) + gammaln(rows - subset + 1.0)
        return np.where(rows - k < subset, 0.0, np.exp(np.minimum(log, 0.0)))

    without, neither = none_of(closer), none_of(closer + tied)
    return float(np.mean(1 - without + (without - neither) / 2))


@dataclass(frozen=True)
class NearestNeighbourRatio:
    """``privacy.nndr``: mean ratio of the distances to the nearest and to the second nearest training row, in [0, 1].

    Higher is better: near 0 a synthetic row singles one training row out. Two training rows at distance 0 single none out: 1.
    ``privacy.nndr_p05`` is the 5th percentile.
    """

    max_pairs: int = MAX_PAIRS
    name = "privacy.nndr"
    version = 1
    real_anchor: ClassVar[RealAnchor] = "test_half"

    @property
    def params(self) -> Mapping[str, Any]:
        """None: the limit does not change a value."""
        return {}

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Divide the two distances."""
        _require(data, self.max_pairs)
        if len(data.train) < 2:
            raise NotComputable("there is one training row, so no second nearest.")
        near = _to_train(data)
        ratio = np.divide(near.first, near.second, out=np.ones_like(near.first), where=near.second > 0)
        return [
            Value(self.name, float(ratio.mean()), "max"),
            Value(f"{self.name}_p05", float(np.quantile(ratio, 0.05)), "max"),
        ]


@dataclass(frozen=True)
class MembershipInference:
    """How well an attacker who sees only the synthetic table tells training rows from held-out ones.

    The attacks of GAN-Leaks (Chen et al., 2020): a row is called a member the closer its nearest synthetic row is.

    - ``privacy.membership_auc``: ROC-AUC of that attack; 0.5 is no leak, 1 a full one; lower is better, in [0, 1].
    - ``privacy.membership_tpr``: members found when 1 % of the others are accused (Carlini et al., 2022); 0.01 is no leak.
    - ``privacy.membership_calibrated_auc``: the distance minus that to the nearest row of a reference, a random half of the test
      rows (the other half being the non-members), so that rows in dense regions are not accused for that alone.

    Args:
        max_pairs: above this many distances it says so instead of taking hours.
    """

    max_pairs: int = MAX_PAIRS
    name = "privacy.membership"
    version = 1
    real_anchor: ClassVar[RealAnchor] = "test_half"

    @property
    def params(self) -> Mapping[str, Any]:
        """None: the limit does not change a value."""
        return {}

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Attack with the synthetic table."""
        require_pairs((len(data.synthetic) + len(data.test)) * (len(data.train) + len(data.test)), self.max_pairs)
        if len(data.test) < 4:
            raise NotComputable(f"there are {len(data.test)} test rows; telling members from others needs at least 4.")
        synthetic = mixed_rows(data, "synthetic")
        members = nearest(mixed_rows(data, "train"), synthetic).first
        others = nearest(mixed_rows(data, "test"), synthetic).first
        order = rng(data.seed, self.name, "reference").permutation(len(data.test))
        half, rest = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        reference = mixed_rows(data, "test").take(half)
        relative = [
            members - nearest(mixed_rows(data, "train"), reference).first,
            others[rest] - nearest(mixed_rows(data, "test").take(rest), reference).first,
        ]
        return [
            Value(f"{self.name}_auc", _auc(members, others), "min"),
            Value(f"{self.name}_tpr", _found(members, others, accused=0.01), "min"),
            Value(f"{self.name}_calibrated_auc", _auc(*relative), "min"),
        ]


def _auc(members: Floats, others: Floats) -> float:
    """Chance that a member is closer than another row, ties counting half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([members, others]))[: len(members)]
    below = ranks.sum() - len(members) * (len(members) + 1) / 2
    return float(1 - below / (len(members) * len(others)))


def _found(members: Floats, others: Floats, accused: float) -> float:
    """Share of members accused when at most that share of others is, interpolating where distances tie."""
    values, counts = np.unique(others, return_counts=True)
    wrong = np.cumsum(counts) / len(others)
    right = np.searchsorted(np.sort(members), values, side="right") / len(members)
    return float(np.interp(accused, np.append(0.0, wrong), np.append(float(np.mean(members < values[0])), right)))
