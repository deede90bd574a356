"""Privacy metrics by hand, and nearest neighbours against all pairs written out."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.base import NotComputable
from harness.metrics.nearest import mixed_rows, nearest
from harness.metrics.privacy import ClosestRecord, ExactCopies, MembershipInference, NearestNeighbourRatio, _found

from .metric_inputs import inputs, numbers

KINDS = {"x": "float", "c": "categorical"}
TRAIN = {"x": [0.0, 10.0, 5.0], "c": ["a", "b", "a"]}  # the range of x is 10
TEST = {"x": [2.0, 9.0, 1.0, 7.0], "c": ["a", "a", "b", "b"]}


def test_closest_records_by_hand() -> None:
    data = inputs(KINDS, TRAIN, TEST, {"x": [0.0, 9.0, 8.0], "c": ["a", "a", "b"]})
    # Sums over the two columns, to train (0,a) (10,b) (5,a) and to test (2,a) (9,a) (1,b) (7,b):
    # (0,a): 0, 2, .5  → 0;    .2, .9, 1.1, 1.7 → .2   closer to train
    # (9,a): .9, 1.1, .4 → .4;  .7, 0, 1.8, 1.2 → 0     closer to test
    # (8,b): 1.8, .2, 1.3 → .2; 1.6, 1.1, .7, .1 → .1   closer to test
    found = numbers(ClosestRecord(), data)
    assert found["privacy.dcr_share_unadjusted"] == pytest.approx(1 / 3)
    # (1/3)/3 against (2/3)/4: (1/9)/(1/9 + 1/6) = .4.
    assert found["privacy.dcr_share"] == pytest.approx(0.4)
    assert found["privacy.dcr_median"] == pytest.approx(0.2 / 2)
    # Ratios of nearest to second nearest training row: 0/.5, .4/.9, .2/1.3.
    ratio = numbers(NearestNeighbourRatio(), data)
    assert ratio["privacy.nndr"] == pytest.approx((0 + 0.4 / 0.9 + 0.2 / 1.3) / 3)
    # The 5th percentile of three values lies a tenth of the way from the least, 0, to the middle one, 2/13.
    assert ratio["privacy.nndr_p05"] == pytest.approx(0.1 * 2 / 13)


def test_copies_of_train_have_share_one_and_copies_of_test_zero() -> None:
    assert numbers(ClosestRecord(), inputs(KINDS, TRAIN, TEST, TRAIN))["privacy.dcr_share"] == 1
    assert numbers(ClosestRecord(), inputs(KINDS, TRAIN, TEST, TEST))["privacy.dcr_share"] == 0


def test_ties_count_half() -> None:
    assert numbers(ClosestRecord(), inputs(KINDS, TRAIN, TRAIN, TEST))["privacy.dcr_share"] == 0.5


def test_exact_copies_by_hand() -> None:
    made = {"x": [0.0, 0.001, 0.0, None], "c": ["a", "a", "b", None]}
    # (0, a) is there; 0.001 is 0.00 at the real column's two decimals; (0, b) is not; missing cells equal missing cells only.
    assert numbers(ExactCopies(), inputs(KINDS, TRAIN, TEST, made)) == {"privacy.exact_copy_share": 0.5}
    train = {"x": [None, 1.0], "c": [None, "a"]}
    assert numbers(ExactCopies(), inputs(KINDS, train, TEST, made))["privacy.exact_copy_share"] == 0.25


def test_two_equal_training_rows_single_none_out() -> None:
    train = {"x": [0.0, 0.0, 4.0], "c": ["a", "a", "b"]}
    found = numbers(NearestNeighbourRatio(), inputs(KINDS, train, TEST, {"x": [0.0], "c": ["a"]}))
    assert found["privacy.nndr"] == 1


def test_membership_of_copies_and_of_strangers() -> None:
    generator = np.random.default_rng(0)
    # At the column's two decimals, and so far apart that strangers meet at none of them.
    make = lambda n: {"x": list(generator.normal(0, 1000, size=n).round(2)), "c": list("ab" * (n // 2))}  # noqa: E731
    train, test, other = make(400), make(100), make(400)
    leak = numbers(MembershipInference(), inputs(KINDS, train, test, train))
    none = numbers(MembershipInference(), inputs(KINDS, train, test, other))
    # Every member is at distance 0, no other row is.
    assert leak["privacy.membership_auc"] == 1
    assert leak["privacy.membership_tpr"] == 1
    assert leak["privacy.membership_calibrated_auc"] == 1
    assert none["privacy.membership_auc"] == pytest.approx(0.5, abs=0.07)
    assert none["privacy.membership_calibrated_auc"] == pytest.approx(0.5, abs=0.1)


def test_membership_auc_by_hand() -> None:
    kinds = {"x": "float"}
    # Distances to the synthetic row at 0, in ranges of 10: members 0, 1; others .2, .3, .4, 2.
    data = inputs(kinds, {"x": [0.0, 10.0]}, {"x": [2.0, 3.0, 4.0, 20.0]}, {"x": [0.0]})
    # Pairs where the member is closer: 4 for the first, 1 of 4 for the second (1 < 2, clipped to 1: a tie, half).
    assert numbers(MembershipInference(), data)["privacy.membership_auc"] == pytest.approx((4 + 0.5) / 8)


def test_calibrated_membership_by_hand() -> None:
    # All four test rows lie at 5, so whichever two are the reference, distances to it are: members at 0 and 10: .5 each; others: 0.
    # Distances to the synthetic row at 0: 0 and 1; .5. Shares of both: 0 and 2/3; 1. Either member is closer than the others.
    data = inputs({"x": "float"}, {"x": [0.0, 10.0]}, {"x": [5.0] * 4}, {"x": [0.0]})
    assert numbers(MembershipInference(), data)["privacy.membership_calibrated_auc"] == 1
    # With the synthetic row at 5 it is 1/2 for each member and for the others (0 against 0): ties, so chance.
    data = inputs({"x": "float"}, {"x": [0.0, 10.0]}, {"x": [5.0] * 4}, {"x": [5.0]})
    assert numbers(MembershipInference(), data)["privacy.membership_calibrated_auc"] == 0.5


def test_members_found_at_a_given_share_of_false_accusations() -> None:
    others = np.arange(1, 101) / 100
    # One of 100 others lies at .01 or closer; of the members, half are at 0 and half at 1.
    assert _found(np.array([0.0] * 5 + [1.0] * 5), others, accused=0.01) == 0.5
    # All at one distance: accusing 1 % of them at random finds 1 % of the members.
    assert _found(np.ones(10), np.ones(50), accused=0.01) == pytest.approx(0.01)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("categories", [0, 1, 5])
def test_nearest_agrees_with_all_pairs(categories: int, squared: bool) -> None:
    generator = np.random.default_rng(categories)
    kinds = {f"n{i}": "float" for i in range(3)} | {f"c{i}": "categorical" for i in range(categories)}

    def cells(rows):
        table = {}
        for name, kind in kinds.items():
            column = (
                list(generator.normal(size=rows).round(2))
                if kind == "float"
                else list(generator.choice(list("abcd"), rows))
            )
            table[name] = [None if generator.random() < 0.1 else value for value in column]
        return table

    data = inputs(kinds, cells(80), cells(5), cells(60))
    found = nearest(mixed_rows(data, "synthetic"), mixed_rows(data, "train"), squared=squared)
    total = np.zeros((60, 80))
    for name, kind in kinds.items():
        a, b = data.synthetic[name].to_numpy(object)[:, None], data.train[name].to_numpy(object)[None, :]
        gone = data.synthetic[name].isna().to_numpy()[:, None] != data.train[name].isna().to_numpy()[None, :]
        both = data.synthetic[name].isna().to_numpy()[:, None] & data.train[name].isna().to_numpy()[None, :]
        if kind == "categorical":
            total += np.where(both, 0, a != b)
            continue
        gap = np.abs(a.astype(float) - b.astype(float)) / (data.train[name].max() - data.train[name].min())
        gap = gap**2 if squared else np.minimum(gap, 1)
        total += np.where(both, 0, np.where(gone, 1, gap))
    ordered = np.sort(total, axis=1)
    assert found.first == pytest.approx(ordered[:, 0])
    assert found.second == pytest.approx(ordered[:, 1])
    assert total[np.arange(60), found.index] == pytest.approx(ordered[:, 0])


def test_work_without_end_is_refused_not_sampled() -> None:
    data = inputs(KINDS, TRAIN, TEST, TRAIN)
    for metric in (ClosestRecord(max_pairs=5), NearestNeighbourRatio(max_pairs=5), MembershipInference(max_pairs=5)):
        with pytest.raises(NotComputable, match="more than max_pairs=5"):
            metric(data)
        assert "max_pairs" not in metric.params  # it changes no value


def test_more_copies_are_noticed_by_each_metric() -> None:
    generator = np.random.default_rng(0)
    make = lambda n: {"x": list(generator.normal(size=n).round(2)), "c": list(generator.choice(list("abcdefgh"), n))}  # noqa: E731
    train, test, fresh = make(800), make(800), make(400)
    shares, copies, auc = [], [], []
    for share in (0.0, 0.01, 0.05, 0.25, 1.0):
        k = int(share * 400)
        made = {name: train[name][:k] + fresh[name][k:] for name in KINDS}
        data = inputs(KINDS, train, test, made)
        shares.append(numbers(ClosestRecord(), data)["privacy.dcr_share"])
        copies.append(numbers(ExactCopies(), data)["privacy.exact_copy_share"])
        auc.append(numbers(MembershipInference(), data)["privacy.membership_auc"])
    assert all(np.diff(shares) > 0)
    assert all(np.diff(copies) > 0)
    assert auc[0] < auc[3] < auc[4]
