"""Privacy: whether synthetic rows give training rows away. Distances are the mixed one of :mod:`harness.metrics.nearest`.

Read these beside their anchors, not normalised: *real* and *floor* both leak nothing, so they are close together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Value
from harness.metrics.encoding import Floats, row_ids
from harness.metrics.nearest import Nearest, mixed_rows, nearest, require_pairs
from harness.seeding import rng

MAX_PAIRS = 4_000_000_000


@dataclass(frozen=True)
class ExactCopies(Declared):
    """``privacy.exact_copy_share``: synthetic rows that equal some training row in every cell (floats at the real decimals).

    A share, lower is better; the *real* anchor is the share of test rows that happen to do so.
    """

    name = "privacy.exact_copy_share"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Look every synthetic row up among training rows."""
        rows = row_ids(data)
        known = np.zeros(rows.size, dtype=bool)
        known[rows.train] = True
        return [Value(self.name, float(known[rows.synthetic].mean()), "min")]


def _closest(data: EvalInput, role: Literal["train", "test"]) -> Nearest:
    """From synthetic rows to those of a real table, once per evaluation."""
    make = lambda: nearest(mixed_rows(data, "synthetic"), mixed_rows(data, role))  # noqa: E731
    return data.cached(f"synthetic to {role}", make)  # type: ignore[no-any-return]


def closest_synthetic(data: EvalInput) -> tuple[Floats, Floats]:
    """Distance of each train and each test row to its nearest synthetic row, shapes (rows,), once per evaluation."""

    def make() -> tuple[Floats, Floats]:
        synthetic = mixed_rows(data, "synthetic")
        train, test = (nearest(mixed_rows(data, role), synthetic).first for role in ("train", "test"))
        return train, test

    return data.cached("real to synthetic", make)  # type: ignore[no-any-return]


def _require(data: EvalInput, max_pairs: int) -> None:
    require_pairs(len(data.synthetic) * (len(data.train) + len(data.test)), max_pairs)


@dataclass(frozen=True)
class ClosestRecord(Declared):
    """Distance to the closest record (DCR), against a holdout.

    - ``privacy.dcr_share``: the share of synthetic rows closer to training than to held-out rows, had both tables equally many:
      (T/n_train) / (T/n_train + H/n_test), with T and H the rows closer to either, ties counting half. 0.5 when training rows
      have no influence of their own, 1 for copies; lower is better, in [0, 1]. Weighting, unlike drawing equally many rows,
      uses them all and needs no seed.
    - ``privacy.dcr_share_unadjusted``: T / (T + H), which is about n_train/(n_train + n_test) without any influence.
    - ``privacy.dcr_median``: median distance to the closest training row, in [0, 1], higher is better.

    *Real* anchor: a random half of the test rows, with the other half as holdout.

    Args:
        max_pairs: above this many distances it says so instead of taking hours.
    """

    max_pairs: int = MAX_PAIRS
    name = "privacy.dcr"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test_half"
    slow: ClassVar[bool] = True

    @property
    def params(self) -> Mapping[str, Any]:
        """None: the limit does not change a value."""
        return {}

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Compare the distances to training and to test rows."""
        _require(data, self.max_pairs)
        near, far = _closest(data, "train").first, _closest(data, "test").first
        closer = float(np.mean((near < far) + (near == far) / 2))
        train, test = closer / len(data.train), (1 - closer) / len(data.test)
        return [
            Value("privacy.dcr_share", train / (train + test), "min"),
            Value("privacy.dcr_share_unadjusted", closer, "min"),
            Value("privacy.dcr_median", float(np.median(near)) / mixed_rows(data, "train").columns, "max"),
        ]


@dataclass(frozen=True)
class NearestNeighbourRatio(Declared):
    """``privacy.nndr``: mean ratio of the distances to the nearest and to the second nearest training row, in [0, 1].

    Higher is better: near 0 a synthetic row singles one training row out. Two training rows at distance 0 single none out: 1.
    ``privacy.nndr_p05`` is the 5th percentile.
    """

    max_pairs: int = MAX_PAIRS
    name = "privacy.nndr"
    version = 1
    goal: ClassVar[Goal] = "max"
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
        near = _closest(data, "train")
        ratio = np.divide(near.first, near.second, out=np.ones_like(near.first), where=near.second > 0)
        return [
            Value(self.name, float(ratio.mean()), "max"),
            Value(f"{self.name}_p05", float(np.quantile(ratio, 0.05)), "max"),
        ]


@dataclass(frozen=True)
class MembershipInference(Declared):
    """How well an attacker who sees only the synthetic table tells training rows from held-out ones.

    - ``privacy.membership_auc``: ROC-AUC of calling a row a member the closer its nearest synthetic row is (GAN-Leaks; Chen et al.,
      2020); 0.5 is no leak, 1 a full one; lower is better, in [0, 1].
    - ``privacy.membership_tpr``: members found when 1 % of the others are accused (Carlini et al., 2022); 0.01 is no leak.
    - ``privacy.membership_calibrated_auc``: the same AUC for that distance relative to the one to the nearest row of a reference, a
      random half of the test rows, the other half being the non-members. Rows where data are dense are then not accused for that
      alone. It is the density ratio of DOMIAS (van Breugel et al., 2023) with nearest-neighbour densities.

    Args:
        max_pairs: above this many distances it says so instead of taking hours.
    """

    max_pairs: int = MAX_PAIRS
    name = "privacy.membership"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test_half"
    slow: ClassVar[bool] = True

    @property
    def params(self) -> Mapping[str, Any]:
        """None: the limit does not change a value."""
        return {}

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Attack with the synthetic table."""
        require_pairs((len(data.synthetic) + len(data.test)) * (len(data.train) + len(data.test)), self.max_pairs)
        if len(data.test) < 4:
            raise NotComputable(f"there are {len(data.test)} test rows; telling members from others needs at least 4.")
        members, others = closest_synthetic(data)
        order = rng(data.seed, self.name, "reference").permutation(len(data.test))
        half, rest = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        reference = mixed_rows(data, "test").take(half)
        known = [
            nearest(rows, reference).first for rows in (mixed_rows(data, "train"), mixed_rows(data, "test").take(rest))
        ]
        relative = [_share(members, known[0]), _share(others[rest], known[1])]
        return [
            Value(f"{self.name}_auc", _auc(members, others), "min"),
            Value(f"{self.name}_tpr", _found(members, others, accused=0.01), "min"),
            Value(f"{self.name}_calibrated_auc", _auc(*relative), "min"),
        ]


def _share(distance: Floats, reference: Floats) -> Floats:
    """The first distance as a share of both; a half where both are 0."""
    return np.divide(distance, distance + reference, out=np.full_like(distance, 0.5), where=distance + reference > 0)


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
