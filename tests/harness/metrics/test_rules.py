from harness.metrics.overlap import implied_rules
from harness.metrics.rules import RuleViolations
from tests.harness.metrics.metric_inputs import inputs, numbers

KINDS = {"city": "categorical", "state": "categorical", "n": "integer"}
MAP = {"name": "map", "type": "map", "columns": ["city", "state"], "pairs": {"a": "x", "b": "x", "c": "y"}}
RANGE = {"name": "range", "type": "range", "column": "n", "min": 0}
REAL = {"city": ["a", "b", "c"], "state": ["x", "x", "y"], "n": [1, 2, 3]}
MADE = {"city": ["a", "b", "c", "c"], "state": ["y", "x", "y", "y"], "n": [-1, -2, -3, 4]}


def judged(rules, fds):
    return inputs(KINDS, REAL, REAL, MADE, rules=tuple(rules), fds=fds)


def test_a_rule_that_a_dependency_implies_counts_once():
    # map breaks in 1 of 4 rows, range in 3 of 4
    found = numbers(RuleViolations(), judged([MAP, RANGE], [(["city"], "state")]))
    assert found["rules.violation_rate"] == 0.5
    assert found["rules.violation_rate_own"] == 0.75
    alone = numbers(RuleViolations(), judged([MAP, RANGE], []))
    assert alone["rules.violation_rate_own"] == alone["rules.violation_rate"] == 0.5


def test_where_all_rules_follow_from_dependencies_there_is_a_reason():
    data = judged([MAP], [(["city"], "n"), (["n"], "state")])  # city → n → state
    (own,) = [value for value in RuleViolations()(data) if value.name == "rules.violation_rate_own"]
    assert (own.value, own.error) == (
        None,
        "every rule follows from the stated dependencies, which measure it already.",
    )


def test_one_to_one_needs_dependencies_both_ways():
    rule = {"name": "pair", "type": "one_to_one", "columns": ["city", "state"]}
    assert implied_rules(judged([rule], [(["city"], "state")]).dataset) == []
    assert implied_rules(judged([rule], [(["city"], "state"), (["state"], "city")]).dataset) == ["pair"]
