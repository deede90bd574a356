"""Every rule type by hand; every ill-formed rule has a sentence."""

from __future__ import annotations

import pandas as pd
import pytest

from harness.datasets.rules import parse_rules
from harness.errors import TabOrderError
from harness.table import Column, Schema, conform

SCHEMA = Schema(
    (
        Column("n", "integer"),
        Column("m", "float", 1),
        Column("state", "categorical"),
        Column("bird", "categorical"),
        Column("zip", "categorical"),
    )
)
FRAME, _ = conform(
    pd.DataFrame(
        {
            "n": [1, 5, 9, None],
            "m": [1.5, 5.0, None, 0.5],
            "state": ["MA", "AZ", "XX", None],
            "bird": ["tit", "tit", "wren", "wren"],
            "zip": ["98033", "9803", "98199", "x98033"],
        }
    ),
    SCHEMA,
)


def broken(**rule):
    (parsed,) = parse_rules([{"name": "r", **rule}], SCHEMA, rule.pop("resources", None))
    return parsed.violations(FRAME).tolist()


def test_range() -> None:
    assert broken(type="range", column="n", min=2, max=9) == [True, False, False, False]
    assert broken(type="range", column="n", max=4) == [False, True, True, False]
    assert broken(type="range", column="m", min=1, when_missing="violate") == [False, False, True, True]


def test_set() -> None:
    assert broken(type="set", column="state", values=["MA", "AZ"]) == [False, False, True, False]
    assert broken(type="set", column="n", values=[1, "5"]) == [False, False, True, False]


def test_regex_matches_the_whole_cell_as_written() -> None:
    assert broken(type="regex", column="zip", pattern="98[01][0-9]{2}") == [False, True, False, True]
    assert broken(type="regex", column="m", pattern="[15]\\.[05]") == [False, False, False, True]


def test_map() -> None:
    assert broken(type="map", columns=["state", "bird"], pairs={"MA": "tit", "AZ": "wren"}) == [
        False,
        True,
        True,
        False,
    ]
    assert broken(type="map", columns=["n", "bird"], pairs={1: "tit", "5": "wren", 9: "wren"}) == [
        False,
        True,
        False,
        False,
    ]


def test_one_to_one_keeps_the_most_frequent_pairs() -> None:
    frame = pd.DataFrame({"a": ["1", "1", "1", "2", "3"], "b": ["x", "x", "y", "z", "z"]}, dtype=object)
    schema = Schema((Column("a", "categorical"), Column("b", "categorical")))
    (rule,) = parse_rules([{"name": "r", "type": "one_to_one", "columns": ["a", "b"]}], schema)
    # a=1 goes with x (twice), so y breaks it. z goes with 2 and 3 once each: the smaller, 2, is kept.
    assert rule.violations(frame).tolist() == [False, False, True, False, True]


def test_compare_with_a_column_or_a_number() -> None:
    assert broken(type="compare", left="n", op="<", right="m") == [False, True, False, False]
    assert broken(type="compare", left="m", op=">=", right=1) == [False, False, False, True]
    assert broken(type="compare", left="state", op="!=", right="bird") == [False, False, False, False]


def test_range_by_key() -> None:
    bounds = {"MA": [0, 2], "AZ": [None, 4]}
    assert broken(type="range_by_key", key="state", column="n", bounds=bounds) == [False, True, True, False]


@pytest.fixture
def squares(tmp_path):
    """A is the square 0..1, B the square 2..3 in two parts."""
    import shapefile

    path = tmp_path / "squares.shp"
    with shapefile.Writer(str(path)) as writer:
        writer.field("KEY", "C", size=5)
        for key, low, high in (("A", 0, 1), ("B", 2, 2.5), ("B", 2.5, 3)):
            top = high - low if key == "A" else 1
            writer.poly([[[low, 0], [low, top], [high, top], [high, 0], [low, 0]]])
            writer.record(key)
    return str(path)


def test_point_in_polygon_by_key_and_fixed(squares) -> None:
    schema = Schema((Column("x", "float"), Column("y", "float"), Column("k", "categorical")))
    frame, _ = conform(
        pd.DataFrame({"x": [0.5, 0.5, 2.2, 2.7, 0.5], "y": [0.5, 1.5, 0.5, 0.5, None], "k": list("ABBBZ")}), schema
    )
    rule = {"name": "in", "type": "point_in_polygon", "x": "x", "y": "y", "resource": "map", "key_field": "KEY"}
    (by_key,) = parse_rules([{**rule, "key": "k"}], schema, {"map": squares})
    assert by_key.violations(frame).tolist() == [False, True, False, False, False]
    assert by_key.key == "k"
    (fixed,) = parse_rules([{**rule, "fixed_key": "A"}], schema, {"map": squares})
    assert fixed.violations(frame).tolist() == [False, True, True, True, False]
    unknown = frame.assign(k=["Q"] * 5, y=0.5)
    assert by_key.violations(unknown).all()


def test_polygon_file_errors_are_sentences(squares, tmp_path) -> None:
    schema = Schema((Column("x", "float"), Column("y", "float")))
    frame, _ = conform(pd.DataFrame({"x": [0.5], "y": [0.5]}), schema)
    rule = {"name": "in", "type": "point_in_polygon", "x": "x", "y": "y", "fixed_key": "A", "resource": "map"}
    cases = [
        ({**rule, "key_field": "STATE"}, {"map": squares}, "unknown key_field 'STATE': the choices are KEY"),
        ({**rule, "key_field": "KEY"}, {"map": str(tmp_path / "no.shp")}, "cannot be read as a shapefile"),
        ({**rule, "key_field": "KEY"}, {}, "unknown resource 'map'"),
    ]
    for case, resources, sentence in cases:
        (parsed,) = parse_rules([case], schema, resources)
        with pytest.raises(TabOrderError, match=sentence):
            parsed.violations(frame)


def test_floats_are_judged_at_the_real_decimals() -> None:
    frame, _ = conform(FRAME.assign(m=[1.5000001, 5.04, 0.96, 0.94]), SCHEMA)  # one decimal: 1.5, 5.0, 1.0, 0.9
    rules = [
        {"name": "set", "type": "set", "column": "m", "values": [1.5, 5, 1]},
        {"name": "range", "type": "range", "column": "m", "min": 1, "max": 5},
        {"name": "compare", "type": "compare", "left": "m", "op": "==", "right": 5},
        {
            "name": "map",
            "type": "map",
            "columns": ["m", "bird"],
            "pairs": {1.5: "tit", 5: "tit", 1: "wren", 0.9: "tit"},
        },
    ]
    found = {rule.name: rule.violations(frame).tolist() for rule in parse_rules(rules, SCHEMA)}
    assert found == {
        "set": [False, False, False, True],
        "range": [False, False, False, True],
        "compare": [True, False, True, True],
        "map": [False, False, False, True],
    }


def test_rows_are_judged_one_by_one_and_the_frame_is_left_alone() -> None:
    before = FRAME.copy(deep=True)
    rule = {"type": "map", "columns": ["state", "bird"], "pairs": {"MA": "tit", "AZ": "wren"}}
    (parsed,) = parse_rules([{"name": "r", **rule}], SCHEMA)
    whole = parsed.violations(FRAME)
    assert [bool(parsed.violations(FRAME.iloc[[i]])[0]) for i in range(4)] == whole.tolist()
    assert parsed.violations(FRAME.iloc[:0]).shape == (0,)
    pd.testing.assert_frame_equal(FRAME, before)


ILL_FORMED = [
    ("not a mapping", "a rule is a mapping"),
    ({"type": "range", "column": "n", "min": 0}, "rule 1: 'name' is missing"),
    ({"name": "r", "column": "n"}, "unknown rule type 'None': the choices are compare"),
    ({"name": "r", "type": "rnage", "column": "n"}, "Did you mean 'range'"),
    (
        {"name": "r", "type": "range", "column": "k", "min": 0},
        "rule 'r': unknown column 'k': the choices are bird, m, n, state, zip",
    ),
    (
        {"name": "r", "type": "range", "column": "state", "min": 0},
        "'state' is categorical, but this needs a number column",
    ),
    ({"name": "r", "type": "range", "column": "n"}, "give min, max or both"),
    ({"name": "r", "type": "range", "column": "n", "min": 3, "max": 1}, "its least value 3 is above its greatest 1"),
    ({"name": "r", "type": "range", "column": "n", "min": "low"}, "'min' must be a number, got 'low'"),
    ({"name": "r", "type": "range", "column": "n", "minimum": 1}, "unknown key 'minimum'.*Did you mean 'min'"),
    (
        {"name": "r", "type": "range", "min": 1},
        "'column' is missing; a range rule needs column \\(and may have min, max\\)",
    ),
    ({"name": "r", "type": "range", "column": "n", "min": 1, "when_missing": "no"}, "unknown when_missing 'no'"),
    ({"name": "r", "type": "set", "column": "state", "values": []}, "'values' must list at least one value"),
    ({"name": "r", "type": "set", "column": "state", "values": [False]}, "read as yes/no: put it in quotes"),
    ({"name": "r", "type": "set", "column": "n", "values": ["x"]}, "'x' cannot be a value of the number column 'n'"),
    ({"name": "r", "type": "regex", "column": "zip", "pattern": "("}, "is not a regular expression"),
    ({"name": "r", "type": "map", "columns": ["state"], "pairs": {"a": "b"}}, "'columns' must list two columns"),
    ({"name": "r", "type": "map", "columns": ["state", "bird"], "pairs": []}, "'pairs' must be a mapping"),
    ({"name": "r", "type": "compare", "left": "n", "op": "=<", "right": 1}, "unknown op '=<'"),
    ({"name": "r", "type": "compare", "left": "n", "op": "<", "right": "state"}, "cannot be compared"),
    (
        {"name": "r", "type": "range_by_key", "key": "state", "column": "n", "bounds": {"MA": [1]}},
        "must be \\[min, max\\]",
    ),
    (
        {"name": "r", "type": "point_in_polygon", "x": "n", "y": "m", "resource": "a", "key_field": "b"},
        "give either key",
    ),
]


@pytest.mark.parametrize(("rule", "sentence"), ILL_FORMED)
def test_ill_formed_rules_have_a_sentence(rule, sentence) -> None:
    with pytest.raises(TabOrderError, match=sentence):
        parse_rules([rule], SCHEMA)


def test_names_are_unique() -> None:
    rule = {"name": "r", "type": "range", "column": "n", "min": 0}
    with pytest.raises(TabOrderError, match="two rules are named 'r'"):
        parse_rules([rule, rule], SCHEMA)
