"""Nothing is measured twice: rules and conditional columns that follow from dependencies are named and left out."""

from __future__ import annotations

from dataclasses import replace

from harness.dependencies import FunctionalDependency
from harness.metrics.conditional import ConditionalDistance
from harness.metrics.overlap import determined, implied_rules, overlaps
from tests.factories import make_dataset

from .metric_inputs import inputs, values

TOY = make_dataset()  # state→bird; rules on x and y by state


def test_the_closure_follows_chains_and_composites() -> None:
    fds = [FunctionalDependency(("a",), "b"), FunctionalDependency(("b",), "c"), FunctionalDependency(("a", "d"), "e")]
    dataset = replace(TOY, fds=tuple(fds))
    assert determined(dataset, "a") == {"a", "b", "c"}
    assert determined(dataset, "c") == {"c"}


def test_each_overlap_is_a_sentence() -> None:
    rule = {"name": "bird_of_state", "type": "map", "columns": ["state", "bird"], "pairs": {}}
    twice = replace(TOY, rules=(*TOY.rules, rule))
    assert implied_rules(twice) == ["bird_of_state"]
    assert overlaps(twice) == [
        "rule bird_of_state follows from the dependencies: left out of rules.violation_rate_own, the family's headline.",
        "the condition column 'state' determines bird: left out of conditional.distance.",
        "the target 'bird' follows from state→bird: ML efficacy rewards keeping that dependency too.",
    ]
    assert overlaps(replace(TOY, fds=())) == []
    assert implied_rules(replace(twice, rules=({**rule, "type": "one_to_one"},))) == []  # birds do not give states


def test_a_determined_column_is_left_out_of_the_conditional_mean() -> None:
    # Given c, d is always wrong (distance 1) and x always right (0).
    kinds = {"c": "categorical", "d": "categorical", "x": "categorical"}
    real = {"c": ["a", "b"] * 30, "d": ["p", "q"] * 30, "x": ["k"] * 60}
    made = {**real, "d": ["q", "p"] * 30}
    free = values(ConditionalDistance(), inputs(kinds, real, real, made, condition="c"))
    assert free["conditional.distance"].value == 0.5
    stated = values(ConditionalDistance(), inputs(kinds, real, real, made, condition="c", fds=[(["c"], "d")]))
    assert stated["conditional.distance"].value == 0
    assert stated["conditional.distance_by_column.d"].value == 1
    everything = [(["c"], "d"), (["c"], "x")]
    none = values(ConditionalDistance(), inputs(kinds, real, real, made, condition="c", fds=everything))
    assert "'c' determines every other column" in str(none["conditional.distance"].error)
