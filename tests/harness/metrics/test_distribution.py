"""Distribution metrics on columns small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import TabOrderError
from harness.metrics.distribution import ColumnDistance, ColumnShapes, PairTrends
from harness.metrics.joint import SlicedWasserstein, SupportOverlap

from .metric_inputs import inputs, numbers, values

KINDS = {"x": "float", "c": "categorical"}
REAL = {"x": [0.0, 1.0, 2.0, 3.0], "c": ["a", "a", "b", "b"]}


def toy(synthetic, **more):
    return inputs(KINDS, REAL, REAL, synthetic, **more)


MADE = {"x": [2.0, 3.0, 4.0, 5.0], "c": ["a", "a", "a", "z"]}


def test_each_distance_by_hand() -> None:
    data = toy(MADE)
    # x: below 2 lie 2 of 4 real and 0 of 4 synthetic values, the widest gap: KS = 1/2.
    assert numbers(ColumnDistance("ks"), data) == {"distribution.ks": 0.5, "distribution.ks.x": 0.5}
    # c: shares (1/2, 1/2, 0) against (3/4, 0, 1/4): TVD = (1/4 + 1/2 + 1/4)/2 = 1/2.
    assert numbers(ColumnDistance("tvd"), data) == {"distribution.tvd": 0.5, "distribution.tvd.c": 0.5}
    # Every value moved by 2; the standard deviation of 0..3 is √(5/4).
    assert numbers(ColumnDistance("wasserstein"), data)["distribution.wasserstein.x"] == pytest.approx(
        2 / np.sqrt(1.25)
    )
    # Jensen–Shannon of c, from the definition: H((p+q)/2) − (H(p) + H(q))/2, with entropies in bits.
    entropy = lambda *p: -sum(x * np.log2(x) for x in p if x)  # noqa: E731
    divergence = entropy(5 / 8, 1 / 4, 1 / 8) - (entropy(1 / 2, 1 / 2) + entropy(3 / 4, 1 / 4)) / 2
    found = numbers(ColumnDistance("js", bins=2), data)
    assert found["distribution.js.c"] == pytest.approx(np.sqrt(divergence))
    # Bins of real x: {0, 1}, {2, 3} and, for 4 and 5, above: (1/2, 1/2, 0) against (0, 1/2, 1/2), mean (1/4, 1/2, 1/4):
    # 3/2 − (1 + 1)/2 = 1/2 bit.
    assert found["distribution.js.x"] == pytest.approx(np.sqrt(1 / 2))
    assert found["distribution.js"] == pytest.approx((found["distribution.js.c"] + found["distribution.js.x"]) / 2)


def test_missing_cells_count_in_missing_gap_only() -> None:
    data = toy({"x": [0.0, 1.0, 2.0, 3.0, None, None, None, None], "c": ["a", "b"] * 4})
    assert numbers(ColumnDistance("ks"), data)["distribution.ks.x"] == 0
    assert numbers(ColumnDistance("missing_gap"), data) == {
        "distribution.missing_gap": 0.25,  # (1/2 + 0)/2
        "distribution.missing_gap.x": 0.5,
        "distribution.missing_gap.c": 0.0,
    }


def test_column_shapes_is_one_minus_the_distances_on_average() -> None:
    found = numbers(ColumnShapes(), toy(MADE))
    assert found["distribution.column_shapes.x"] == pytest.approx(0.5)
    assert found["distribution.column_shapes.c"] == pytest.approx(0.5, abs=1e-6)
    assert found["distribution.column_shapes"] == pytest.approx(0.5, abs=1e-6)


def test_a_column_that_cannot_be_scored_counts_zero() -> None:
    data = toy({"x": [None] * 4, "c": ["a", "a", "b", "b"]})
    found = numbers(ColumnShapes(), data)
    assert found == {
        "distribution.column_shapes": 0.5,
        "distribution.column_shapes.x": 0.0,
        "distribution.column_shapes.c": 1.0,
    }
    assert numbers(ColumnDistance("ks"), data)["distribution.ks.x"] == 1.0
    lost = values(ColumnDistance("wasserstein"), data)
    assert lost["distribution.wasserstein.x"].error == "the synthetic column has no present value."
    assert lost["distribution.wasserstein"].error == "no mean, because some have no value: x."


def test_pair_trends_by_hand() -> None:
    kinds = {"c": "categorical", "d": "categorical"}
    real = {"c": ["a", "a", "b", "b"], "d": ["p", "p", "q", "q"]}
    made = {"c": ["a", "a", "b", "b"], "d": ["p", "q", "p", "q"]}
    # Pairs (a,p) 1/2, (b,q) 1/2 against four pairs of 1/4: TVD = (1/4·2 + 1/4·2)/2 = 1/2.
    assert numbers(PairTrends(), inputs(kinds, real, real, made)) == {"distribution.pair_trends": 0.5}


def test_pair_trends_of_numbers_compare_correlations_and_count_constants_zero() -> None:
    kinds = {"x": "float", "y": "float"}
    real = {"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]}
    made = {"x": [1.0, 2.0, 3.0], "y": [3.0, 2.0, 1.0]}
    # Correlation 1 against −1: 1 − 2/2 = 0.
    assert numbers(PairTrends(), inputs(kinds, real, real, made))["distribution.pair_trends"] == pytest.approx(0)
    assert numbers(PairTrends(), inputs(kinds, real, real, real))["distribution.pair_trends"] == pytest.approx(1)
    constant = {"x": [1.0, 2.0, 3.0], "y": [2.0, 2.0, 2.0]}
    assert numbers(PairTrends(), inputs(kinds, real, real, constant))["distribution.pair_trends"] == 0


def test_pooling_of_many_categories_leaves_total_variation_as_it_is() -> None:
    generator = np.random.default_rng(0)
    real, made = ([f"v{i}" for i in generator.integers(low, low + 3000, 4000)] for low in (0, 1000))
    data = inputs({"c": "categorical"}, {"c": real}, {"c": real}, {"c": made})
    shapes = numbers(ColumnShapes(), data)["distribution.column_shapes.c"]
    assert shapes == pytest.approx(1 - numbers(ColumnDistance("tvd"), data)["distribution.tvd.c"], abs=1e-12)


def test_sliced_wasserstein_of_a_shift_is_the_shift_seen_along_the_directions() -> None:
    # One number column of range 3: a shift by 3 is 1 along a direction of weight 1, so the mean is E|weight| of the 4,000
    # normal weights, √(2/π) = .798 within ±.03.
    data = inputs({"x": "float"}, {"x": REAL["x"]}, {"x": REAL["x"]}, {"x": [3.0, 4.0, 5.0, 6.0]})
    found = numbers(SlicedWasserstein(directions=4000), data)["distribution.sliced_wasserstein"]
    assert found == pytest.approx(np.sqrt(2 / np.pi), abs=0.03)
    same = numbers(SlicedWasserstein(), toy(REAL))["distribution.sliced_wasserstein"]
    assert same == pytest.approx(0, abs=1e-12)


def test_alpha_precision_and_beta_recall_by_hand() -> None:
    # Levels are k/29 for k = 0…29; their sum is 15.
    # α: all test rows lie at distance 1 from their centre 0, so every ball holds what lies within 1: half of the synthetic rows.
    # 1 − Σ|1/2 − k/29|/15 = 1 − (15 − 210/29)/15 = 14/29.
    real = {"x": [-1.0, 1.0, -1.0, 1.0]}
    data = inputs({"x": "float"}, real, real, {"x": [0.5, 3.0]})
    assert numbers(SupportOverlap("alpha_precision"), data)["distribution.alpha_precision"] == pytest.approx(14 / 29)
    # β: every test row is 10 from the nearest other one. Of 0, 10, 20, 30 the last is 20 from the nearest synthetic row, so 3/4 are
    # covered; both synthetic rows are 5 from their centre, so no level leaves one out. 1 − Σ|3/4 − k/29|/15 = 21/58.
    real = {"x": [0.0, 10.0, 20.0, 30.0]}
    data = inputs({"x": "float"}, real, real, {"x": [0.0, 10.0]})
    assert numbers(SupportOverlap("beta_recall"), data)["distribution.beta_recall"] == pytest.approx(21 / 58)


def test_alpha_precision_is_lost_by_rows_that_are_all_too_typical() -> None:
    generator = np.random.default_rng(0)
    real = {"x": list(generator.normal(size=500)), "c": ["a"] * 500}
    central = {"x": [float(np.mean(real["x"]))] * 500, "c": ["a"] * 500}
    metric = SupportOverlap("alpha_precision")
    same = numbers(metric, inputs(KINDS, real, real, real))["distribution.alpha_precision"]
    # All synthetic rows lie at the centre, inside every ball but the smallest: P(α) ≈ 1, and 1 − Σ(1 − α)/Σα = 0.
    mode = numbers(metric, inputs(KINDS, real, real, central))["distribution.alpha_precision"]
    assert same == pytest.approx(1, abs=0.01)
    assert mode == pytest.approx(0, abs=0.05)


def test_beta_recall_is_lost_by_rows_that_cover_one_spot() -> None:
    generator = np.random.default_rng(0)
    real = {"x": list(generator.normal(size=500)), "c": ["a"] * 500}
    metric = SupportOverlap("beta_recall")
    spot = {"x": [0.0] * 500, "c": ["a"] * 500}
    assert numbers(metric, inputs(KINDS, real, real, real))["distribution.beta_recall"] > 0.95
    assert numbers(metric, inputs(KINDS, real, real, spot))["distribution.beta_recall"] < 0.1


def test_equally_near_rows_may_come_in_any_order() -> None:
    generator = np.random.default_rng(0)
    kinds = dict.fromkeys("abcd", "categorical")
    draw = lambda n: {name: list(generator.choice(list("pqr"), n, p=[0.6, 0.3, 0.1])) for name in kinds}  # noqa: E731
    real, made = draw(60), draw(40)
    orders = [np.arange(40), np.arange(40)[::-1], generator.permutation(40)]
    tables = [{name: [cells[i] for i in order] for name, cells in made.items()} for order in orders]
    found = {
        numbers(SupportOverlap("beta_recall"), inputs(kinds, real, real, t))["distribution.beta_recall"] for t in tables
    }
    assert len(found) == 1


def test_beta_recall_refuses_what_would_take_hours() -> None:
    from harness.metrics.base import NotComputable

    with pytest.raises(NotComputable, match="more than max_pairs=10"):
        SupportOverlap("beta_recall", max_pairs=10)(toy(REAL))


def test_unknown_measures_list_the_choices() -> None:
    with pytest.raises(TabOrderError, match="js, ks, missing_gap, tvd, wasserstein"):
        ColumnDistance("kss")  # type: ignore[arg-type]
    with pytest.raises(TabOrderError, match="alpha_precision, beta_recall"):
        SupportOverlap("alpha")  # type: ignore[arg-type]


def test_a_constant_real_column_has_no_wasserstein_scale() -> None:
    data = inputs({"x": "float"}, {"x": [1.0, 1.0]}, {"x": [1.0, 1.0]}, {"x": [2.0]})
    assert "constant" in values(ColumnDistance("wasserstein"), data)["distribution.wasserstein.x"].error


def test_a_constant_column_does_not_take_the_mean_wasserstein_away() -> None:
    kinds = {"x": "float", "k": "float"}
    real = {"x": [0.0, 1.0, 2.0, 3.0], "k": [5.0] * 4}
    found = values(
        ColumnDistance("wasserstein"), inputs(kinds, real, real, {"x": [2.0, 3.0, 4.0, 5.0], "k": [5.0] * 4})
    )
    assert found["distribution.wasserstein"].value == found["distribution.wasserstein.x"].value
    assert found["distribution.wasserstein.k"].error == (
        "the real column is constant, so it has no standard deviation to measure in."
    )
    alone = inputs({"k": "float"}, {"k": [5.0] * 4}, {"k": [5.0] * 4}, {"k": [5.0] * 4})
    assert "constant" in str(values(ColumnDistance("wasserstein"), alone)["distribution.wasserstein"].error)
