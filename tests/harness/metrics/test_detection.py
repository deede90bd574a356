"""Detection: what each detector must see, and what it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.base import NotComputable
from harness.metrics.detection import C2ST, SniffTest, TwoSampleTest, TwoSided

from .metric_inputs import inputs, numbers

KINDS = {"x": "float", "y": "float", "c": "categorical"}


def related(rows: int, seed: int, shift: float = 0.0, shuffle: bool = False):
    """y follows x and c says its sign; ``shuffle`` breaks both relations and keeps every column as it is."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=rows)
    y = x + generator.normal(scale=0.1, size=rows) + shift
    c = np.where(x > 0, "up", "down")
    if shuffle:
        y, c = generator.permutation(y), generator.permutation(c)
    return {"x": list(x.round(2)), "y": list(y.round(2)), "c": list(c)}


def measure(metric, synthetic, train=None, test=None):
    data = inputs(KINDS, train or related(500, 0), test or related(200, 1), synthetic)
    return numbers(metric, data)


@pytest.mark.parametrize("metric", [SniffTest(), TwoSampleTest()], ids=lambda m: m.name)
def test_sees_shuffled_columns_and_not_fresh_rows(metric) -> None:
    name = "detection.sniff_accuracy" if isinstance(metric, SniffTest) else "detection.roc_auc"
    fresh = measure(metric, related(500, 2))[name]
    shuffled = measure(metric, related(500, 2, shuffle=True))[name]
    assert fresh == pytest.approx(0.5, abs=0.08)
    assert shuffled > 0.85


def test_two_sample_test_sees_a_shift() -> None:
    aucs = [measure(TwoSampleTest(), related(500, 2, shift=s))["detection.roc_auc"] for s in (0.0, 0.3, 1.0)]
    assert aucs[0] < aucs[1] < aucs[2]


def test_copies_fall_far_below_a_half_and_are_flagged() -> None:
    copies = measure(TwoSampleTest(), related(500, 0))
    assert copies["detection.roc_auc"] < 0.45
    assert copies["detection.roc_auc_copying"] == 1
    fresh = measure(TwoSampleTest(), related(500, 2))
    assert fresh["detection.roc_auc_copying"] == 0


def test_sniff_by_hand() -> None:
    # Real rows are (a, p) and (b, q), half each; resampled ones all four pairs, a quarter each. So the forest takes (a, p) and (b, q)
    # for real and the other two not: all test rows pass, and of the synthetic rows the first half. (1 + 1/2)/2 = 3/4.
    kinds = {"c": "categorical", "d": "categorical"}
    real = {"c": ["a", "b"] * 200, "d": ["p", "q"] * 200}
    made = {"c": ["a"] * 100, "d": ["p"] * 50 + ["q"] * 50}
    found = numbers(SniffTest(), inputs(kinds, real, real, made))
    assert found == {"detection.sniff_accuracy": 0.75, "detection.sniff_real_share": 0.5}


def test_two_sample_test_of_what_is_apart_and_of_what_is_one() -> None:
    kinds = {"c": "categorical"}
    apart = inputs(kinds, {"c": ["a"] * 60}, {"c": ["a"]}, {"c": ["b"] * 60})
    assert numbers(TwoSampleTest(), apart) == {"detection.roc_auc": 1.0, "detection.roc_auc_copying": 0.0}
    one = inputs(kinds, {"c": ["a"] * 60}, {"c": ["a"]}, {"c": ["a"] * 60})
    assert numbers(TwoSampleTest(), one) == {"detection.roc_auc": 0.5, "detection.roc_auc_copying": 0.0}
    nothing = inputs(kinds, {"c": [None] * 9}, {"c": [None]}, {"c": [None] * 9})
    assert numbers(TwoSampleTest(), nothing)["detection.roc_auc"] == 0.5


def test_sniff_accuracy_is_the_mean_of_both_sides() -> None:
    found = measure(SniffTest(), related(500, 0))  # a copy of the training rows
    # The forest knows its training rows: (almost) all synthetic ones pass for real, so the accuracy is half that on test rows.
    assert found["detection.sniff_real_share"] > 0.98
    assert 0.4 < found["detection.sniff_accuracy"] < 0.52


def test_corrupting_more_rows_is_seen_more_clearly() -> None:
    good, bad = related(600, 2), related(600, 2, shuffle=True)
    for metric, name in ((SniffTest(), "detection.sniff_accuracy"), (TwoSampleTest(), "detection.roc_auc")):
        found = []
        for share in (0.0, 0.05, 0.25, 1.0):
            k = int(600 * share)
            found.append(measure(metric, {n: bad[n][:k] + good[n][k:] for n in KINDS})[name])
        assert all(np.diff(found) > 0), (name, found)


def test_ugly_tables() -> None:
    ugly = {"x": [None, 1.0, None], "y": [1.0, 1.0, 1.0], "c": ["new", None, "newer"]}
    assert 0 <= measure(SniffTest(), ugly)["detection.sniff_accuracy"] <= 1
    assert 0 <= measure(TwoSampleTest(), ugly)["detection.roc_auc"] <= 1
    one = {"x": [1.0], "y": [1.0], "c": ["up"]}
    assert 0 <= measure(SniffTest(), one)["detection.sniff_accuracy"] <= 1
    with pytest.raises(NotComputable, match="1 rows, fewer than the 3 folds"):
        measure(TwoSampleTest(), one)


def test_detection_is_two_sided() -> None:
    kinds = {"x": "float"}
    for synthetic in (related(500, 0), related(500, 2), related(500, 2, shuffle=True)):
        data = inputs(KINDS, related(500, 0), related(200, 1), synthetic)
        auc = numbers(TwoSampleTest(), data)["detection.roc_auc"]
        assert numbers(TwoSided(), data)["detection.two_sided"] == pytest.approx(1 - 2 * abs(auc - 0.5), abs=1e-12)
        assert numbers(C2ST(), data)["detection.c2st"] == pytest.approx(min(1.0, 2 - 2 * auc), abs=1e-12)
    apart = inputs(kinds, {"x": [0.0] * 60}, {"x": [0.0] * 60}, {"x": [1.0] * 60})
    assert numbers(TwoSided(), apart)["detection.two_sided"] == 0  # AUC 1
    same = inputs(kinds, {"x": [0.0] * 60}, {"x": [0.0] * 60}, {"x": [0.0] * 60})
    assert numbers(TwoSided(), same)["detection.two_sided"] == 1  # AUC 0.5


def test_where_the_detector_looks() -> None:
    made = related(500, 2)
    made["y"] = [v + 5 for v in made["y"]]
    found = numbers(C2ST(), inputs(KINDS, related(500, 0), related(200, 1), made))
    assert found["detection.c2st_loss.y"] > 0.2
    assert abs(found["detection.c2st_loss.x"]) < 0.05
    assert abs(found["detection.c2st_loss.c"]) < 0.05


def test_the_forest_of_the_sniff_test_is_trained_once_and_knows_train_alone() -> None:
    first = inputs(KINDS, related(200, 0), related(100, 1), related(200, 2, shuffle=True))
    from dataclasses import replace

    other = replace(first, synthetic=first.train, cache={})
    alone = numbers(SniffTest(), replace(other, shared={}))
    assert numbers(SniffTest(), first) != alone
    assert numbers(SniffTest(), other) == alone  # with the forest that the first call trained
    assert other.shared is first.shared
