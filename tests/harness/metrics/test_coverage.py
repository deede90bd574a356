"""Coverage, conditional and rule metrics by hand."""

from __future__ import annotations

import pytest

from harness.errors import TabOrderError
from harness.metrics.base import NotComputable
from harness.metrics.conditional import ConditionalDistance
from harness.metrics.coverage import DuplicateRows, InvalidCells, MissingCategories, RangeCoverage, UnseenCategories
from harness.metrics.rules import RuleViolations

from .metric_inputs import inputs, numbers, values

KINDS = {"x": "float", "c": "categorical", "d": "categorical"}
TRAIN = {"x": [0.0, 10.0, 5.0, 5.0], "c": ["a", "b", "c", "d"], "d": ["p", "p", "q", None]}
MADE = {"x": [2.0, 12.0, 2.0, 2.0], "c": ["a", "z", "a", "a"], "d": ["p", "q", "p", "p"]}


def toy(synthetic=MADE, **more):
    return inputs(KINDS, TRAIN, TRAIN, synthetic, **more)


def test_missing_categories_by_hand() -> None:
    assert numbers(MissingCategories(), toy()) == {
        "coverage.missing_categories.c": 3 / 4,  # b, c, d
        "coverage.missing_categories.d": 0,
        "coverage.missing_categories": 3 / 8,
        "coverage.missing_categories_count": 3,
    }


def test_unseen_categories_by_hand() -> None:
    found = numbers(UnseenCategories(), toy())
    assert found == {
        "coverage.unseen_categories": 1 / 8,
        "coverage.unseen_categories.c": 1 / 4,
        "coverage.unseen_categories.d": 0,
    }


def test_range_coverage_by_hand() -> None:
    # 2..12 of 0..10 leaves 0..2 uncovered: 1 − 2/10.
    assert numbers(RangeCoverage(), toy())["coverage.range.x"] == pytest.approx(0.8)
    assert numbers(RangeCoverage(), toy({**MADE, "x": [None] * 4}))["coverage.range"] == 0
    constant = inputs({"x": "float"}, {"x": [3.0, 3.0]}, {"x": [3.0]}, {"x": [3.0, 9.0]})
    assert numbers(RangeCoverage(), constant)["coverage.range"] == 1


def test_duplicate_rows_by_hand() -> None:
    assert numbers(DuplicateRows(), toy()) == {"coverage.duplicate_rows": 1 / 2}  # two repeats of (2, a, p)


def test_invalid_cells_by_hand() -> None:
    found = numbers(InvalidCells(), toy(invalid={"x": 2}))
    assert found["coverage.invalid_cells.x"] == 1 / 2
    assert found["coverage.invalid_cells"] == pytest.approx(1 / 6)


def test_tables_without_such_columns_say_so() -> None:
    only = inputs({"x": "float"}, {"x": [1.0]}, {"x": [1.0]}, {"x": [1.0]})
    for metric in (MissingCategories(), UnseenCategories()):
        with pytest.raises(NotComputable, match="no categorical column"):
            metric(only)
    text = inputs({"c": "categorical"}, {"c": ["a"]}, {"c": ["a"]}, {"c": ["a"]})
    with pytest.raises(NotComputable, match="no number column"):
        RangeCoverage()(text)


def test_conditional_distance_by_hand() -> None:
    kinds = {"s": "categorical", "x": "integer", "c": "categorical"}
    real = {"s": ["A"] * 2 + ["B"] * 2 + ["C"], "x": [0, 1, 0, 1, 7], "c": ["p", "q", "p", "p", "p"]}
    made = {"s": ["A", "A", "B", "D"], "x": [0, 1, 9, 0], "c": ["p", "p", "q", "p"]}
    data = inputs(kinds, real, real, made, condition="s")
    # C has one test row, fewer than min_support. Given A: x equal (0), c {p,q} against {p,p} (1/2): mean 1/4.
    # Given B: x {0,1} against {9} (1), c {p,p} against {q} (1): mean 1.
    assert numbers(ConditionalDistance(min_support=2), data) == {
        "conditional.distance": 5 / 8,
        "conditional.distance_worst": 1,
        "conditional.distance_by_column.x": 1 / 2,
        "conditional.distance_by_column.c": 3 / 4,
        "conditional.distance_by_category.A": 1 / 4,
        "conditional.distance_by_category.B": 1,
    }


def test_a_lost_category_is_at_distance_one() -> None:
    kinds = {"s": "categorical", "x": "integer"}
    real = {"s": ["A", "B"], "x": [0, 1]}
    data = inputs(kinds, real, real, {"s": ["A"], "x": [0]})
    found = numbers(ConditionalDistance("s", min_support=1), data)
    assert (found["conditional.distance"], found["conditional.distance_worst"]) == (0.5, 1)


def test_conditional_without_condition_or_support_says_so() -> None:
    with pytest.raises(NotComputable, match="names no condition column"):
        ConditionalDistance()(toy())
    with pytest.raises(NotComputable, match="no category of 'c' has 20 test rows"):
        ConditionalDistance("c")(toy())
    with pytest.raises(TabOrderError, match="'x' holds numbers: choose one of"):
        ConditionalDistance("x")(toy())


RULES = (
    {"name": "size", "type": "range", "column": "x", "min": 0, "max": 10},
    {"name": "kind", "type": "map", "columns": ["c", "d"], "pairs": {"a": "p", "z": "p"}},
)


def test_rule_rates_by_hand() -> None:
    found = numbers(RuleViolations(), toy(rules=RULES))
    assert found == {
        "rules.violation_rate": 1 / 4,
        "rules.violation_rate.size": 1 / 4,  # 12
        "rules.violation_rate.kind": 1 / 4,  # (z, q)
        "rules.violation_rate_own": 1 / 4,  # no dependency implies either
        "rules.violation_rate_any": 1 / 4,  # both in the second row
        # Of the training keys a, b, c, d only a occurs (three rows, none broken); z is no training key.
        "rules.violation_rate_macro.kind": 0,
        "rules.violation_rate_by_key.kind.a": 0,
        "rules.violation_rate_by_key.kind.b": None,
        "rules.violation_rate_by_key.kind.c": None,
        "rules.violation_rate_by_key.kind.d": None,
    }


def test_a_rule_that_cannot_be_applied_leaves_the_others_alone() -> None:
    lost = {
        "name": "inside",
        "type": "point_in_polygon",
        "x": "x",
        "y": "x",
        "fixed_key": "A",
        "resource": "map",
        "key_field": "K",
    }
    found = values(RuleViolations(), toy(rules=(*RULES, lost)))
    assert found["rules.violation_rate.size"].value == 1 / 4
    assert "unknown resource 'map'" in str(found["rules.violation_rate.inside"].error)
    assert found["rules.violation_rate"].error == "no mean, because some have no value: inside."
    assert found["rules.violation_rate_any"].error == "these rules could not be applied: inside."


def test_no_rules_say_so() -> None:
    with pytest.raises(NotComputable, match="states no domain rules"):
        RuleViolations()(toy())
