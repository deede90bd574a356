"""Dependency metrics by hand, and the corruption test: the rate is the share corrupted, exactly."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.base import NotComputable
from harness.metrics.dependencies import FDSet, FDViolations

from .metric_inputs import inputs, numbers, values

KINDS = {"state": "categorical", "bird": "categorical"}
TRAIN = {"state": ["MA", "MA", "AZ", "ME"], "bird": ["tit", "tit", "wren", "tit"]}


def measured(synthetic, fds=((["state"], "bird"),)):
    return numbers(FDViolations(), inputs(KINDS, TRAIN, TRAIN, synthetic, fds=fds))


def test_rates_by_hand() -> None:
    found = measured({"state": ["MA", "MA", "MA", "AZ", "TX"], "bird": ["tit", "tit", "wren", "wren", "dodo"]})
    fd = "state→bird"
    # Of 5 rows, 4 have a seen state, 1 of them (MA, wren) the wrong bird. TX is unseen.
    assert found["dependencies.fd_violation_rate"] == found[f"dependencies.fd_violation_rate.{fd}"] == 1 / 5
    assert found["dependencies.fd_violation_rate_seen"] == 1 / 4
    assert found["dependencies.fd_unseen_rate"] == 1 / 5
    # To make state→bird hold, delete one MA row.
    assert found["dependencies.fd_g3"] == pytest.approx(1 / 5)
    assert found["dependencies.fd_g3_gap"] == pytest.approx(1 / 5)
    # By state: MA 1 of 3 broken, AZ 0 of 1; ME has no synthetic row: (1/3 + 0)/2.
    assert found["dependencies.fd_violation_rate_macro"] == pytest.approx(1 / 6)
    assert found[f"dependencies.fd_violation_rate_by_value.{fd}.MA"] == pytest.approx(1 / 3)
    assert found[f"dependencies.fd_violation_rate_by_value.{fd}.AZ"] == 0
    assert found[f"dependencies.fd_violation_rate_by_value.{fd}.ME"] is None
    assert found["dependencies.fd_any_violation_rate"] == 1 / 5


def test_headline_averages_single_column_left_sides_only() -> None:
    kinds = {"a": "categorical", "b": "categorical", "c": "categorical"}
    real = {"a": ["1", "2", "1"], "b": ["x", "y", "x"], "c": ["p", "q", "p"]}
    made = {"a": ["1", "2"], "b": ["y", "y"], "c": ["p", "p"]}
    fds = ((["a"], "b"), (["a"], "c"), (["a", "b"], "c"))
    found = numbers(FDViolations(), inputs(kinds, real, real, made, fds=fds))
    assert found["dependencies.fd_violation_rate.a→b"] == 1 / 2
    assert found["dependencies.fd_violation_rate.a→c"] == 1 / 2
    # (1, y) was never seen, so of the composite dependency only (2, y) can break: one row of two.
    assert found["dependencies.fd_violation_rate.a,b→c"] == 1 / 2
    assert found["dependencies.fd_unseen_rate.a,b→c"] == 1 / 2
    assert found["dependencies.fd_unseen_rate"] == 0  # a→b and a→c
    assert found["dependencies.fd_any_violation_rate"] == 1


def test_all_left_sides_unseen_cannot_pass_for_no_violations() -> None:
    found = values(
        FDViolations(), inputs(KINDS, TRAIN, TRAIN, {"state": ["TX"], "bird": ["tit"]}, fds=[(["state"], "bird")])
    )
    assert found["dependencies.fd_violation_rate"].value == 0
    assert found["dependencies.fd_unseen_rate"].value == 1
    assert found["dependencies.fd_violation_rate_seen"].value is None
    assert (
        found["dependencies.fd_violation_rate_seen.state→bird"].error
        == "no synthetic row has a left side that real rows have."
    )


def test_numbers_are_compared_at_the_real_decimals() -> None:
    kinds = {"lat": "float", "zone": "categorical"}
    real = {"lat": [30.01, 60.25], "zone": ["low", "high"]}
    made = {"lat": [30.0100001, 60.2499999], "zone": ["low", "low"]}
    found = numbers(FDViolations(), inputs(kinds, real, real, made, fds=[(["lat"], "zone")]))
    assert found["dependencies.fd_unseen_rate"] == 0
    assert found["dependencies.fd_violation_rate"] == 1 / 2


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.25, 1.0])
def test_rate_equals_the_share_of_corrupted_rows_exactly(share: float) -> None:
    states = [f"S{i % 10}" for i in range(400)]
    birds = [f"B{i % 10}" for i in range(400)]
    corrupt = np.random.default_rng(0).choice(400, int(400 * share), replace=False)
    made = list(birds)
    for row in corrupt:
        made[row] = f"B{(row + 1) % 10}"
    real = {"state": states, "bird": birds}
    data = inputs(KINDS, real, real, {"state": states, "bird": made}, fds=[(["state"], "bird")])
    assert numbers(FDViolations(), data)["dependencies.fd_violation_rate"] == share


def test_an_approximate_dependency_is_compared_with_its_real_error() -> None:
    real = {"state": ["MA"] * 10, "bird": ["tit"] * 8 + ["wren"] * 2}  # g3 = 2/10
    made = {"state": ["MA"] * 10, "bird": ["tit"] * 5 + ["wren"] * 5}  # g3 = 5/10
    found = numbers(FDViolations(), inputs(KINDS, real, real, made, fds=[(["state"], "bird")]))
    assert found["dependencies.fd_g3_gap"] == pytest.approx(0.3)
    same = numbers(FDViolations(), inputs(KINDS, real, real, real, fds=[(["state"], "bird")]))
    assert same["dependencies.fd_g3_gap"] == 0
    assert same["dependencies.fd_violation_rate"] == pytest.approx(0.2)


def test_equally_frequent_answers_are_not_chosen_by_name() -> None:
    real = {"state": ["MA", "MA", "AZ", "AZ"], "bird": ["tit", "wren", "tit", "wren"]}
    made = {"state": ["MA"] * 3, "bird": ["tit", "tit", "wren"]}
    for names in ({"tit": "tit", "wren": "wren"}, {"tit": "z", "wren": "a"}):
        cells = [{**table, "bird": [names[bird] for bird in table["bird"]]} for table in (real, real, made)]
        found = numbers(FDViolations(), inputs(KINDS, *cells, fds=[(["state"], "bird")]))
        assert found["dependencies.fd_violation_rate"] == pytest.approx(1 / 3)


def chain(rows: int, break_b: bool = False, extra: bool = False):
    """a→b→c, and d alone (or, with ``extra``, determined by c)."""
    generator = np.random.default_rng(0)
    a = generator.integers(0, 12, rows)
    b, c = a % 6, a % 3
    if break_b:
        b = np.where(np.arange(rows) < 5, (b + 1) % 6, b)
    d = c * 2 if extra else generator.integers(0, 5, rows)
    return {name: [f"{name}{v}" for v in values] for name, values in zip("abcd", (a, b, c, d), strict=True)}


def fd_set(made):
    kinds = dict.fromkeys("abcd", "categorical")
    return numbers(FDSet(), inputs(kinds, chain(600), chain(600), made))


def test_fd_set_recall_and_precision() -> None:
    same = fd_set(chain(600))
    assert same == {"dependencies.fd_set_recall": 1.0, "dependencies.fd_set_precision": 1.0}
    # Real: a→b, a→c, b→c. Breaking b in some rows loses a→b and b→c, keeps a→c.
    broken = fd_set(chain(600, break_b=True))
    assert broken["dependencies.fd_set_recall"] == pytest.approx(1 / 3)
    assert broken["dependencies.fd_set_precision"] == 1.0
    # d = f(c) adds a→d, b→d, c→d and d→c to the three real ones.
    extra = fd_set(chain(600, extra=True))
    assert extra["dependencies.fd_set_recall"] == 1.0
    assert extra["dependencies.fd_set_precision"] == pytest.approx(3 / 7)


def test_without_dependencies_each_metric_says_so() -> None:
    data = inputs(KINDS, TRAIN, TRAIN, TRAIN)
    with pytest.raises(NotComputable, match="'toy' states no functional dependencies"):
        FDViolations()(data)


def test_invented_left_sides_fail_and_those_as_new_as_real_ones_do_not() -> None:
    # Train: a→p, b→q. Of four test rows one has a new left side: 1/4 is usual.
    kinds = {"x": "categorical", "y": "categorical"}
    train, test = {"x": list("ab"), "y": list("pq")}, {"x": list("abac"), "y": list("pqpr")}

    def failing(x: str, y: str) -> float | None:
        data = inputs(kinds, train, test, {"x": list(x), "y": list(y)}, fds=[(["x"], "y")])
        return numbers(FDViolations(), data)["dependencies.fd_failure_rate"]

    assert failing("zzzz", "pppp") == 3 / 4  # all invented, a quarter of which real rows do too
    assert failing("abaz", "pqpp") == 0
    assert failing("azzz", "qppp") == 1 / 4 + (3 / 4 - 1 / 4)
    assert failing("abab", "pqpq") == 0


@pytest.mark.parametrize("seed", range(4))
def test_dependencies_are_measured_as_sdmetrics_adheres_to_constraints(seed: int) -> None:
    """A dependency exact in train: FixedCombinations is what neither breaks it nor is unseen, DenormalizedTable what is consistent."""
    from sdmetrics.multi_table import ConstraintAdherence

    generator = np.random.default_rng(seed)

    def rows(n: int, wrong: float) -> dict[str, list]:
        x = generator.integers(0, 8 if wrong else 6, n)
        y = np.where(generator.random(n) < wrong, generator.integers(0, 3, n), x % 3)
        missing = generator.random(n) < 0.1 * (wrong > 0)
        return {"x": [f"x{v}" for v in x], "y": [None if m else f"y{v}" for v, m in zip(y, missing, strict=True)]}

    kinds = {"x": "categorical", "y": "categorical"}
    data = inputs(kinds, rows(200, 0), rows(50, 0), rows(150, 0.1), fds=[(["x"], "y")])
    found = numbers(FDViolations(), data)
    metadata = {"tables": {"t": {"columns": {name: {"sdtype": "categorical"} for name in kinds}}}}

    def adherence(kind: str, **parameters) -> float:
        constraint = {"class_name": kind, "parameters": {"table_name": "t", **parameters}}
        return ConstraintAdherence.compute({"t": data.train}, {"t": data.synthetic}, metadata, constraint)

    combined = adherence("FixedCombinations", column_names=["x", "y"])
    kept = 1 - found["dependencies.fd_violation_rate"] - found["dependencies.fd_unseen_rate"]
    assert kept == pytest.approx(combined, abs=1e-12)
    consistent = adherence("DenormalizedTable", denormalized_primary_key="x", denormalized_column_names=["y"])
    assert 1 - found["dependencies.fd_inconsistent_rate"] == pytest.approx(consistent, abs=1e-12)
    assert 0 < found["dependencies.fd_g3"] <= found["dependencies.fd_inconsistent_rate"]
