"""Mutual information, triples, global utility, attribute inference; by hand, and where each must and must not move."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import TabOrderError
from harness.metrics.attributes import AttributeInference
from harness.metrics.base import NotComputable
from harness.metrics.global_utility import GlobalUtility
from harness.metrics.information import MutualInformation, TripleDistance, normalised_information
from harness.metrics.pairs import Binned, PairDistance

from .metric_inputs import inputs, numbers

PAIR = {"c": "categorical", "d": "categorical"}
THREE = {"a": "categorical", "b": "categorical", "c": "categorical"}


def binned(*values: int, size: int = 2) -> Binned:
    return Binned(np.array(values, dtype=np.int32), size)


def test_normalised_information_by_hand_and_as_scikit_learn() -> None:
    from sklearn.metrics import normalized_mutual_info_score

    assert normalised_information(binned(0, 1, 0, 1), binned(1, 0, 1, 0)) == pytest.approx(1.0)
    assert normalised_information(binned(0, 0, 1, 1), binned(0, 1, 0, 1)) == pytest.approx(0.0, abs=1e-12)
    assert normalised_information(binned(0, 0), binned(1, 1)) == 0
    generator = np.random.default_rng(0)
    x = generator.integers(0, 4, 200)
    y = (x + generator.integers(0, 2, 200)) % 5
    found = normalised_information(binned(*x, size=4), binned(*y, size=5))
    assert found == pytest.approx(normalized_mutual_info_score(x, y), abs=1e-12)


def test_wnmis_weighs_what_is_related_somewhere() -> None:
    real = {"c": ["a", "b"] * 20, "d": ["p", "q"] * 20}
    apart = {"c": ["a", "b"] * 20, "d": ["p", "p", "q", "q"] * 10}
    found = [
        numbers(MutualInformation(), inputs(PAIR, real, real, made))["distribution.wnmis"] for made in (real, apart)
    ]
    assert found == [pytest.approx(1.0), pytest.approx(0.0, abs=1e-9)]  # one pair: NMI 1 against 0
    # A third column that nothing is related to has weight 0 and moves nothing.
    kinds = {**PAIR, "e": "categorical"}
    more = [{**t, "e": ["x"] * 40} for t in (real, apart)]
    assert numbers(MutualInformation(), inputs(kinds, more[0], more[0], more[1]))["distribution.wnmis"] < 1e-9
    with pytest.raises(NotComputable, match="no two columns are related"):
        MutualInformation()(inputs(PAIR, apart, apart, apart))


def exclusive(rows: int, seed: int, broken: bool = False) -> dict[str, list[str]]:
    generator = np.random.default_rng(seed)
    a, b = generator.integers(0, 2, rows), generator.integers(0, 2, rows)
    c = generator.integers(0, 2, rows) if broken else a ^ b
    return {"a": [f"a{v}" for v in a], "b": [f"b{v}" for v in b], "c": [f"c{v}" for v in c]}


def test_triples_see_an_exclusive_or_that_pairs_do_not() -> None:
    real = exclusive(4000, 0)
    fine, broken = (inputs(THREE, real, real, exclusive(4000, 1, broken=b)) for b in (False, True))
    assert numbers(TripleDistance(), fine)["distribution.triple_distance"] < 0.05
    # Half of the eight cells are empty in real rows: distance 1/2.
    assert numbers(TripleDistance(), broken)["distribution.triple_distance"] == pytest.approx(0.5, abs=0.05)
    assert numbers(PairDistance(), broken)["distribution.pair_distance"] < 0.05


def test_triples_are_drawn_by_names_and_seed_where_there_are_many() -> None:
    metric = TripleDistance(triples=5)
    names = [f"n{i}" for i in range(12)]
    chosen = metric._chosen(names, 0)
    assert len(set(chosen)) == 5
    assert chosen == metric._chosen(names, 0) != metric._chosen(names, 1)
    assert len(metric._chosen(names[:4], 0)) == 4
    with pytest.raises(TabOrderError, match="triples=0"):
        TripleDistance(triples=0)
    with pytest.raises(NotComputable, match="no three of them"):
        TripleDistance()(inputs(PAIR, *[{"c": ["a"], "d": ["b"]}] * 3))


MIXED = {"x": "float", "y": "float", "c": "categorical", "noise": "categorical"}


def related(rows: int, seed: int, shuffle: bool = False) -> dict[str, list]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=rows)
    y, c = 2 * x + generator.normal(scale=0.1, size=rows), np.where(x > 0, "up", "down")
    if shuffle:
        y, c = generator.permutation(y), generator.permutation(c)
    noise = [f"k{v}" for v in generator.integers(0, 3, rows)]
    return {"x": list(x.round(2)), "y": list(y.round(2)), "c": list(c), "noise": noise}


def test_global_utility_is_one_for_real_rows_and_nothing_for_independent_columns() -> None:
    train, test = related(400, 0), related(200, 1)
    same = numbers(GlobalUtility(), inputs(MIXED, train, test, train))
    assert same == dict.fromkeys(same, 1.0)
    assert "ml_efficacy.global_utility.noise" not in same  # nothing predicts it, in real rows either
    fresh = numbers(GlobalUtility(), inputs(MIXED, train, test, related(400, 2)))
    lost = numbers(GlobalUtility(), inputs(MIXED, train, test, related(400, 2, shuffle=True)))
    assert fresh["ml_efficacy.global_utility"] > 0.9
    assert lost["ml_efficacy.global_utility"] < 0.2
    with pytest.raises(NotComputable, match="no column can be predicted"):
        GlobalUtility()(inputs(PAIR, *[{"c": ["a", "b"] * 40, "d": ["p", "p", "q", "q"] * 20}] * 3))


def test_attribute_inference_by_hand() -> None:
    # Each key has its own secret. Synthetic rows hold those of the training rows: guessed rightly for all of them, for no test row.
    keys = [f"k{i}" for i in range(6)]
    train, test = {"c": keys[:3], "d": list("pqr")}, {"c": keys[:3], "d": list("qrp")}
    found = numbers(AttributeInference(), inputs(PAIR, train, test, train))
    assert found == dict.fromkeys(
        ("privacy.attribute_inference", *(f"privacy.attribute_inference.{n}" for n in "cd")), 1.0
    )
    # What everyone can infer is no leak.
    law = {"c": ["a", "b"] * 5, "d": ["p", "q"] * 5}
    with pytest.raises(NotComputable, match="nothing is left to leak"):
        AttributeInference()(inputs(PAIR, law, law, law))


def test_attribute_inference_sees_copies_and_not_fresh_rows() -> None:
    train, test = related(400, 0), related(400, 1)
    copied = numbers(AttributeInference(), inputs(MIXED, train, test, train))
    fresh = numbers(AttributeInference(), inputs(MIXED, train, test, related(400, 2)))
    assert copied["privacy.attribute_inference"] > 0.5
    assert abs(fresh["privacy.attribute_inference"]) < 0.1
    with pytest.raises(TabOrderError, match="near=2"):
        AttributeInference(near=2)
