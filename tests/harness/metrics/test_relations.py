"""Orders, calculations and impossible combinations by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.base import NotComputable
from harness.metrics.relations import ArithmeticRelations, ImpossiblePairs, OrderRelations

from .metric_inputs import inputs, numbers, values


def test_order_relations_by_hand() -> None:
    kinds = {"low": "integer", "high": "integer", "far": "integer"}
    real = {"low": list(range(60)), "high": [i + 5 for i in range(60)], "far": [1000] * 60}
    made = {"low": [1, 9, 3, None], "high": [2, 8, 1, 5], "far": [0, 0, 0, 0]}
    # low ≤ far and high ≤ far hold for any rows of these ranges, so only low ≤ high counts: 2 of 3 complete rows break it.
    found = numbers(OrderRelations(), inputs(kinds, real, real, made))
    assert found == {
        "dependencies.order_violation_rate": pytest.approx(2 / 3),
        "dependencies.order_violation_rate.low≤high": pytest.approx(2 / 3),
    }


def test_without_orders_it_says_so() -> None:
    with pytest.raises(NotComputable, match="no two number columns"):
        OrderRelations()(inputs({"c": "categorical"}, {"c": ["a"]}, {"c": ["a"]}, {"c": ["a"]}))


def invoices(rows: int, seed: int = 0):
    generator = np.random.default_rng(seed)
    price, pieces = generator.integers(100, 9999, rows) / 100, generator.integers(1, 20, rows)
    net = (price * pieces).round(2)
    tax = (net * generator.choice([0.07, 0.19], rows)).round(2)
    celsius = generator.normal(15, 8, rows).round(2)
    columns = {"price": price, "pieces": pieces, "net": net, "tax": tax, "total": (net + tax).round(2)}
    columns |= {
        "celsius": celsius,
        "kelvin": (celsius + 273.15).round(2),
        "noise": generator.normal(size=rows).round(2),
    }
    return {name: column.tolist() for name, column in columns.items()}


KINDS = dict.fromkeys(invoices(1), "float") | {"pieces": "integer"}


def test_calculations_are_found_and_their_breaches_counted() -> None:
    real, made = invoices(300), invoices(8, 1)
    made["total"][0] += 1  # breaks the sum
    made["net"][1] += 1  # breaks the sum and the product
    made["kelvin"][2] = made["celsius"][2]
    made["tax"][3] = None  # cannot be judged by the sum
    found = numbers(ArithmeticRelations(), inputs(KINDS, real, real, made))
    name = "dependencies.arithmetic_violation_rate"
    assert found == {
        name: pytest.approx((2 / 7 + 1 / 8 + 1 / 8) / 3),
        f"{name}.total=net+tax": pytest.approx(2 / 7),
        f"{name}.net=pieces·price": pytest.approx(1 / 8),
        f"{name}.celsius=kelvin-273.15": pytest.approx(1 / 8),
    }


def test_a_conversion_with_a_factor_is_found_through_rounding() -> None:
    celsius = np.linspace(-10, 30, 200).round(1)
    real = {"celsius": celsius.tolist(), "fahrenheit": (celsius * 1.8 + 32).round(0).tolist()}
    made = {"celsius": [0.0, 10.0], "fahrenheit": [32.0, 60.0]}  # 10 °C are 50 °F
    found = numbers(ArithmeticRelations(), inputs({"celsius": "float", "fahrenheit": "integer"}, real, real, made))
    (detail,) = [n for n in found if "=" in n]
    assert detail.startswith("dependencies.arithmetic_violation_rate.fahrenheit=1.8")
    assert found[detail] == 1 / 2


def test_what_holds_for_most_rows_or_for_any_rows_is_no_calculation() -> None:
    real = invoices(300)
    real["total"][17] += 1  # one exception, and the sum is none
    real["kelvin"][3] += 1
    real["net"] = [0.0] * 299 + [5.0]  # nearly always 0, whatever pieces and price are
    with pytest.raises(NotComputable, match="no number column"):
        ArithmeticRelations()(inputs(KINDS, real, real, real))
    with pytest.raises(NotComputable, match="no number column"):
        ArithmeticRelations()(inputs({"c": "categorical"}, {"c": ["a"]}, {"c": ["a"]}, {"c": ["a"]}))
    with pytest.raises(NotComputable, match="8 number columns, more than max_columns=2"):
        ArithmeticRelations(max_columns=2)(inputs(KINDS, real, real, real))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.25, 1.0])
def test_broken_calculations_are_the_share_corrupted_exactly(share: float) -> None:
    real, made = invoices(300), invoices(400, 2)
    for row in range(int(400 * share)):
        made["total"][row] += 0.02
    found = numbers(ArithmeticRelations(), inputs(KINDS, real, real, made))
    assert found["dependencies.arithmetic_violation_rate.total=net+tax"] == share


def people(rows: int, seed: int = 0):
    """Nobody under 20 is widowed; who has no work has no employer."""
    generator = np.random.default_rng(seed)
    age = generator.integers(10, 60, rows)
    state = np.where(age < 20, "single", generator.choice(["single", "widowed"], rows))
    job = generator.choice(["smith", "clerk", None], rows)
    employer = [None if j is None else e for j, e in zip(job, generator.choice(list("AB"), rows), strict=True)]
    return {"age": age.tolist(), "state": list(state), "job": list(job), "employer": employer}


PEOPLE = {"age": "integer", "state": "categorical", "job": "categorical", "employer": "categorical"}


def test_impossible_pairs_by_hand() -> None:
    real = people(2000)
    made = {
        "age": [15, 15, 40, 40, 40],
        "state": ["single", "widowed", "widowed", "single", None],  # the second cannot be
        "job": ["smith", "clerk", None, None, "smith"],
        "employer": ["A", "B", None, "A", "B"],  # the fourth has an employer without work
    }
    found = numbers(ImpossiblePairs(), inputs(PEOPLE, real, real, made))
    assert found == {
        "dependencies.impossible_pair_rate": 2 / 5,
        "dependencies.impossible_pair_rate.age": 1 / 5,
        "dependencies.impossible_pair_rate.state": 1 / 5,
        "dependencies.impossible_pair_rate.job": 1 / 5,
        "dependencies.impossible_pair_rate.employer": 1 / 5,
    }
    fresh = numbers(ImpossiblePairs(), inputs(PEOPLE, real, real, people(2000, 1)))
    assert set(fresh.values()) == {0.0}


def test_rare_values_exclude_nothing() -> None:
    real = people(60)  # too few rows to expect 20 of any combination that does not occur
    with pytest.raises(NotComputable, match="no two frequent values"):
        ImpossiblePairs()(inputs(PEOPLE, real, real, real))


def test_relations_that_no_synthetic_row_can_be_judged_by_say_so() -> None:
    real, made = invoices(100), {name: [None] * 3 for name in KINDS}
    found = values(ArithmeticRelations(), inputs(KINDS, real, real, made))
    assert found["dependencies.arithmetic_violation_rate.total=net+tax"].error == "no synthetic row has all cells."
    assert found["dependencies.arithmetic_violation_rate"].error.startswith("no mean, because some have no value: ")
