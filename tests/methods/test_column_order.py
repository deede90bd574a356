"""Column orders: golden orders, the rule behind them, determinism."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from harness.dependencies import FunctionalDependency, MiningOptions, hyfd
from harness.errors import TabOrderError
from harness.table import Column, Schema, conform
from methods.column_order import POLICIES, ColumnOrder, column_order
from methods.fd_order import distil, sort_columns
from tests.harness.dependencies.tables import categorical, paper, simulated


def fd(text: str, g3: float = 0.0) -> FunctionalDependency:
    left, right = text.split("→")
    return FunctionalDependency(tuple(left.split(",")), right, g3)


def order(names: str, *fds: FunctionalDependency) -> str:
    return "".join(sort_columns(list(names), distil(fds))[0])


def states(rows: int = 2000) -> tuple[pd.DataFrame, Schema]:
    """A table like us_location: state → bird, lat → zone, {lat, lon} a near-key that determines the state."""
    generator = np.random.default_rng(0)
    state = generator.integers(0, 30, rows)
    lat = (state * 50 + generator.integers(0, 100, rows)) / 100
    lon = generator.integers(0, 100_000, rows) / 100
    schema = Schema(
        (
            Column("state", "categorical"),
            Column("lat", "float", 2),
            Column("lon", "float", 2),
            Column("bird", "categorical"),
            Column("zone", "categorical"),
        )
    )
    frame = pd.DataFrame({"state": state, "lat": lat, "lon": lon, "bird": state % 11, "zone": lat < 5})
    return conform(frame, schema)[0], schema


def test_single_dependency_points_to_its_right_side_and_composite_away_from_it() -> None:
    assert distil([fd("a→b"), fd("b,c→d", 0.1)]) == [(("a", "b"), 2.0), (("d", "b"), 0.9), (("d", "c"), 0.9)]
    assert distil([fd("a→b", 0.2), fd("b,c→a")]) == [
        (("a", "b"), 1.8),
        (("a", "c"), 1.0),
    ]  # a → b given twice: the stronger


def test_golden_us_location_edges() -> None:
    names = ["state_code", "lat", "lon", "bird", "lat_zone"]
    edges = distil([fd("state_code→bird"), fd("lat→lat_zone"), fd("lat,lon→state_code"), fd("lat,lon→bird")])
    assert sort_columns(names, edges)[0] == ("state_code", "bird", "lon", "lat", "lat_zone")


@pytest.mark.parametrize(
    ("fds", "expected"),
    [
        ((), "abcde"),  # no dependency: the table's order
        ((fd("d→b"),), "dbace"),  # those in none come last
        ((fd("a→e"), fd("b→d")), "aebdc"),  # a dependent follows its determinant at once
        ((fd("e→a"), fd("e→b"), fd("b→c")), "eabcd"),  # a has nothing after it, so b stands next to its c
        ((fd("c,d→e"),), "ecdab"),  # composite: the dependent first
        ((fd("a→b"), fd("b→a")), "abcde"),  # a cycle keeps the table's order
        ((fd("d→b"), fd("b→d", 0.1)), "dbace"),  # unless one edge is stronger
        ((fd("a→b"), fd("b→c"), fd("c→a", 0.01)), "abcde"),
        ((fd("c→b"), fd("b→a"), fd("a→c", 0.01)), "cbade"),
        ((fd("a→b"), fd("b→a"), fd("e→a")), "eabcd"),  # the cycle as a whole comes after what determines it
    ],
)
def test_sorting_rule(fds: tuple[FunctionalDependency, ...], expected: str) -> None:
    assert order("abcde", *fds) == expected


def test_cycles_are_reported() -> None:
    assert sort_columns(list("abc"), distil([fd("c→a"), fd("a→c")]))[1] == (("a", "c"),)


def test_every_acyclic_edge_is_followed_whatever_the_table_order() -> None:
    fds = [fd("a→b"), fd("a→c"), fd("b→d"), fd("c→d"), fd("e→c")]
    for names in permutations("abcdef"):
        placed = sort_columns(names, distil(fds))[0]
        assert sorted(placed) == list("abcdef")
        assert all(placed.index(x) < placed.index(y) for (x, y), _ in distil(fds))
        assert placed[-1] == "f"


def test_policies_on_a_location_table() -> None:
    frame, schema = states()
    orders = {p: column_order(p, frame, schema, seed=3, given=None) for p in POLICIES if p != "given"}
    assert orders["random"].names is None
    assert orders["original"].names == ("state", "lat", "lon", "bird", "zone")
    assert orders["fd"].names == ("state", "bird", "lat", "zone", "lon")
    assert orders["fd_reversed"].names == orders["fd"].names[::-1]
    for found in orders.values():
        assert found.names is None or sorted(found.names) == sorted(schema.names)


def test_fd_reversed_is_fd_from_back_to_front_with_the_same_evidence() -> None:
    frame, schema = simulated(5)
    forward, backward = (column_order(p, frame, schema, seed=0) for p in ("fd", "fd_reversed"))
    assert forward.names == ("A", "B", "C", "D")
    assert backward.names == ("D", "C", "B", "A")
    assert (backward.fds, backward.edges) == (forward.fds, forward.edges)


def test_columns_in_no_dependency_are_kept() -> None:
    frame, schema = simulated(1)  # D is constant
    assert column_order("fd", frame, schema, seed=0).names == ("A", "B", "C", "D")
    assert column_order("fd_reference", frame, schema, seed=0).names == ("A", "B", "C", "D")


def test_no_dependency_keeps_the_table_order_and_says_so() -> None:
    frame, schema = categorical(b=list("0110") * 50, a=list("0011") * 50)
    found = column_order("fd", frame, schema, seed=0)
    assert found.names == ("b", "a")
    assert any("no functional dependency" in note for note in found.notes)


def test_mining_options_reach_the_miner() -> None:
    frame, schema = simulated(5)
    frame.loc[:99, "B"] = "B_0"
    assert "A→B" not in map(str, column_order("fd", frame, schema, seed=0).fds)
    for mining in ({"max_g3": 0.05}, MiningOptions(max_g3=0.05)):
        assert "A→B" in map(str, column_order("fd", frame, schema, seed=0, mining=mining).fds)


def test_fixed_random_depends_on_the_seed_alone() -> None:
    frame, schema = simulated(5)
    orders = [column_order("fixed_random", frame, schema, seed=s).names for s in range(20)]
    assert len(set(orders)) > 5
    assert orders[4] == column_order("fixed_random", frame.iloc[:0], schema, seed=4).names


def test_fd_reference_without_desbordante_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hyfd, "available", lambda: False)
    found = column_order("fd_reference", *simulated(5), seed=0)
    assert found.names == ("A", "B", "C", "D")
    assert any("desbordante is not installed" in note for note in found.notes)


def test_given() -> None:
    frame, schema = simulated(5)
    assert column_order("given", frame, schema, seed=0, given=["D", "A", "C", "B"]).names == ("D", "A", "C", "B")
    for wrong in (["A", "B"], ["A", "B", "C", "C"], ["A", "B", "C", "D", "E"], "ABCD"):
        with pytest.raises(TabOrderError, match="every column exactly once"):
            column_order("given", frame, schema, seed=0, given=wrong)


def test_mistakes_are_named() -> None:
    frame, schema = simulated(5)
    with pytest.raises(TabOrderError, match=r"unknown column order policy 'fds'.*Did you mean 'fd'"):
        column_order("fds", frame, schema, seed=0)
    with pytest.raises(TabOrderError, match=r"unknown mining option 'max_lsh'.*max_lhs"):
        column_order("fd", frame, schema, seed=0, mining={"max_lsh": 1})
    for policy, given in (("given", None), ("fd", ["A", "B", "C", "D"])):
        with pytest.raises(TabOrderError, match="policy 'given'"):
            column_order(policy, frame, schema, seed=0, given=given)


def test_record_form_is_plain_json() -> None:
    data = column_order("fd", *simulated(5), seed=0).to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["column_order"] == ["A", "B", "C", "D"]
    assert data["fds"][0] == {"lhs": ["A"], "rhs": "B", "g3": 0.0}
    assert data["edges"][0] == ["A", "B"]
    assert column_order("random", *simulated(5), seed=0).to_json()["column_order"] is None


def test_records_list_no_more_than_a_thousand_dependencies() -> None:
    names = tuple(f"c{i}" for i in range(40))
    fds = tuple(FunctionalDependency((a,), b) for a, b in permutations(names, 2))
    data = ColumnOrder("fd", names, tuple((fd.lhs[0], fd.rhs) for fd in fds), fds).to_json()
    assert (len(data["edges"]), len(data["fds"])) == (1000, 1000)
    assert data["notes"] == [
        "the first 1000 of 1560 edges are listed.",
        "the first 1000 of 1560 dependencies are listed.",
    ]


def test_frames_are_not_changed() -> None:
    frame, schema = states(200)
    before = frame.copy(deep=True)
    for policy in POLICIES:
        column_order(policy, frame, schema, seed=0, given=schema.names if policy == "given" else None)
    pd.testing.assert_frame_equal(frame, before)


def test_same_order_under_every_hash_seed() -> None:
    code = (
        "from tests.methods.test_column_order import *\n"
        "tables = [states(500), simulated(5)]\n"
        "print([column_order(p, *t, seed=1).to_json() for t in tables for p in POLICIES if p != 'given'])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(outputs) == 1


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("us_location", "state_code bird lon lat lat_zone"),
        ("simulated/simulated_base1", "A B C D"),
        ("simulated/simulated_base5", "A B C D"),
        ("simulated/simulated_base15", "A B C D"),
        ("travel", None),
        ("california_housing", None),  # one component of all columns
    ],
)
def test_golden_orders_of_the_reference(name: str, expected: str | None) -> None:
    if name == "california_housing":
        pytest.importorskip("desbordante", reason="only complete discovery joins all of its columns in one component")
    frame, schema = paper(name)
    found = column_order("fd_reference", frame, schema, seed=0)
    assert found.names == (tuple(expected.split()) if expected else tuple(schema.names))
    if name == "california_housing" and hyfd.available():
        assert found.components == (tuple(schema.names),)


@pytest.mark.mirror
def test_fd_orders_of_the_paper_tables() -> None:
    assert column_order("fd", *paper("us_location"), seed=0).names == ("state_code", "bird", "lat", "lat_zone", "lon")
    adult = column_order("fd", *paper("adult"), seed=0)
    assert adult.names is not None
    assert adult.names[:4] == ("education", "education-num", "age", "workclass")
    assert adult.components == (("education", "education-num"),)
    assert column_order("fd", *paper("travel"), seed=0).names == tuple(paper("travel")[1].names)
