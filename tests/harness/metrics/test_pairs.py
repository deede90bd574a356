"""Bins of the real table, and distances of pairs of columns, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import TabOrderError
from harness.metrics.base import NotComputable
from harness.metrics.pairs import Bins, PairDistance

from .metric_inputs import inputs, numbers


def binned(real, made, kind, **bins) -> list[int]:
    data = inputs({"x": kind}, {"x": real}, {"x": real}, {"x": made})
    return Bins("test", **bins).of(data, "synthetic", "x").values.tolist()


def test_bins_of_numbers_by_hand() -> None:
    real = [float(v) for v in range(1, 9)]
    # Two bins of four: 1–4 and 5–8 (bins 1 and 2), 0 below, 3 above, 4 missing.
    assert binned(real, [0.5, 1.0, 4.0, 4.5, 8.0, 9.0, None], "float", numbers=2) == [0, 1, 1, 2, 2, 3, 4]


def test_a_value_that_fills_a_bin_has_it_to_itself() -> None:
    real = [0.0] * 8 + [5.0, 9.0]  # five bins: the upper ends are 0, 0, 0, 0, 9, and the lower end of the first is 0
    # Edges 0 and 9: below 0 is bin 0, up to 9 bin 1, above 9 bin 2; 0 itself is bin 3, missing 4.
    assert binned(real, [-3.0, 0.0, 2.0, 9.0, 10.0, None], "float", numbers=5) == [0, 3, 1, 1, 2, 4]


def test_bins_of_categories_by_hand() -> None:
    real = ["a"] * 3 + ["b"] * 2 + ["c", None]
    # a and b are kept (0, 1), c and what real rows lack share 2, missing is 3.
    assert binned(real, ["b", "c", "new", "a", None], "categorical", categories=2) == [1, 2, 2, 0, 3]
    assert binned(real, ["b", "c", "new", "a", None], "categorical") == [1, 2, 3, 0, 4]


def test_columns_without_values_have_bins() -> None:
    assert binned([None, None], [1.0, None], "float") == [1, 2]
    assert binned([None, None], ["a", None], "categorical") == [0, 1]
    assert binned([2.0, 2.0], [1.0, 2.0, 3.0], "float") == [0, 2, 1]


def test_pair_distance_by_hand() -> None:
    kinds = {"c": "categorical", "d": "categorical", "x": "float"}
    real = {"c": list("aabb"), "d": list("ppqq"), "x": [1.0, 1.0, 2.0, 2.0]}
    made = {"c": list("aabb"), "d": list("pqpq"), "x": [1.0, 1.0, 2.0, 99.0]}
    found = numbers(PairDistance(), inputs(kinds, real, real, made))
    # c, d: (a,p) and (b,q) 1/2 each against four pairs of 1/4: 1/2.
    # c, x: (a,1) and (b,2) 1/2 each against 1/2, 1/4 and (b, above) 1/4: 1/4.
    # d, x: (p,1), (q,2) 1/2 each against (p,1), (q,1), (p,2), (q, above) 1/4 each: (1/4 + 1/2 + 3·1/4)/2 = 3/4.
    assert found == {
        "distribution.pair_distance": pytest.approx((1 / 2 + 1 / 4 + 3 / 4) / 3),
        "distribution.pair_distance.c": pytest.approx((1 / 2 + 1 / 4) / 2),
        "distribution.pair_distance.d": pytest.approx((1 / 2 + 3 / 4) / 2),
        "distribution.pair_distance.x": pytest.approx((1 / 4 + 3 / 4) / 2),
    }


def test_missing_cells_that_go_together_are_a_relation() -> None:
    kinds = {"c": "categorical", "d": "categorical"}
    real = {"c": ["a", "a", None, None], "d": ["p", "p", None, None]}
    made = {"c": ["a", "a", None, None], "d": [None, "p", "p", None]}
    # (a,p) and (–,–) 1/2 each against four pairs of 1/4: 1/2, though either column is as it was.
    assert numbers(PairDistance(), inputs(kinds, real, real, made))["distribution.pair_distance"] == pytest.approx(
        1 / 2
    )


def test_a_few_numbers_out_of_range_do_not_hide_what_is_kept() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=2000).round(2)
    side = np.where(x > 0, "up", "down")
    real = {"x": list(x), "side": list(side)}
    wild = {"x": [*x[:-4], 1e6, -1e6, 1e6, -1e6], "side": list(side)}
    loose = {"x": list(generator.permutation(x)), "side": list(side)}
    kinds = {"x": "float", "side": "categorical"}
    found = [
        numbers(PairDistance(), inputs(kinds, real, real, made))["distribution.pair_distance"]
        for made in (real, wild, loose)
    ]
    assert found[0] == 0
    # Four of 2,000 rows left their bins: .002. sdmetrics, with bins over each table's own range, puts them below independence.
    assert found[1] == pytest.approx(0.002)
    assert found[2] > 0.4


def test_without_pairs_it_says_so_and_wrong_bins_are_refused() -> None:
    with pytest.raises(NotComputable, match="one column, so no pairs"):
        PairDistance()(inputs({"x": "float"}, {"x": [1.0]}, {"x": [1.0]}, {"x": [1.0]}))
    with pytest.raises(TabOrderError, match="bins=0"):
        PairDistance(bins=0)
