"""The information order: the correction for chance, cycles broken by weight, directions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.table import Column, Schema, conform
from methods.information_order import information_order
from tests.harness.dependencies.tables import categorical, paper, simulated


def shares(frame: pd.DataFrame, schema: Schema) -> dict[tuple[str, str], float]:
    return {(a, b): share for a, b, share in information_order(frame, schema)[1]}


def test_exact_dependency_points_from_determinant_to_dependent() -> None:
    x = np.arange(1200) % 12
    for names in (("fine", "rough"), ("rough", "fine")):
        columns = {"fine": x.astype(str), "rough": (x // 4).astype(str)}
        order, edges = information_order(*categorical(**{name: columns[name] for name in names}))
        assert order == ["fine", "rough"]
        assert edges == [("fine", "rough", pytest.approx(1.0))]


def test_share_of_a_noisy_copy() -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 2, 20_000)
    y = np.where(generator.random(20_000) < 0.11, 1 - x, x)
    # A binary symmetric channel with error .11 keeps 1 − H(.11) = 1 − .49992 of one bit.
    assert shares(*categorical(x=x.astype(str), y=y.astype(str)))["x", "y"] == pytest.approx(0.50, abs=0.015)


def test_what_a_key_tells_is_chance() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(0, 4, 2000).astype(str)
    order, edges = information_order(*categorical(key=np.arange(2000).astype(str), y=y))
    assert (order, edges) == (["key", "y"], [])


def test_independent_columns_have_no_edge_beyond_chance() -> None:
    generator = np.random.default_rng(0)
    frame, schema = categorical(**{c: generator.integers(0, 20, 3000).astype(str) for c in "abcd"})
    assert max([0.0, *shares(frame, schema).values()]) < 0.005


def test_the_weakest_edge_of_a_cycle_is_left_out() -> None:
    generator = np.random.default_rng(0)
    a = generator.integers(0, 8, 8000)
    b = np.where(generator.random(8000) < 0.1, generator.integers(0, 8, 8000), a)
    c = np.where(generator.random(8000) < 0.1, generator.integers(0, 8, 8000), b)
    # a–b and b–c are direct; a–c, through both noises, tells least.
    edges = shares(*categorical(a=a.astype(str), c=c.astype(str), b=b.astype(str)))
    assert {frozenset(edge) for edge in edges} == {frozenset("ab"), frozenset("bc")}


def test_simulated_chain_starts_from_its_finest_column() -> None:
    frame, schema = simulated(5)
    order, edges = information_order(frame[["C", "A", "D", "B"]], Schema(tuple(schema[c] for c in "CADB")))
    assert order == ["A", "B", "C", "D"]
    assert all(share == pytest.approx(1) for _, _, share in edges)


def test_numbers_determine_at_full_resolution() -> None:
    generator = np.random.default_rng(0)
    lat = np.round(generator.uniform(0, 10, 5000), 1)
    schema = Schema((Column("parity", "categorical"), Column("lat", "float", 1)))
    frame = conform(pd.DataFrame({"parity": np.round(lat * 10).astype(int) % 2, "lat": lat}), schema)[0]
    # Classes of equal frequency mix even and odd tenths; the values themselves settle the parity.
    assert information_order(frame, schema) == (["lat", "parity"], [("lat", "parity", pytest.approx(1.0))])


def test_a_number_follows_the_category_it_depends_on() -> None:
    generator = np.random.default_rng(0)
    state = generator.integers(0, 6, 6000)
    schema = Schema((Column("height", "float", 3), Column("state", "categorical")))
    frame = conform(
        pd.DataFrame({"height": np.round(state + 0.5 * generator.normal(size=6000), 3), "state": state}), schema
    )[0]
    frame.loc[frame.index[::50], "height"] = np.nan
    order, [(before, after, share)] = information_order(frame, schema)
    assert set(order) == {"state", "height"}
    assert {before, after} == {"state", "height"}
    assert 0.2 < share < 0.9


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_tables_of_hardly_any_rows_keep_their_order(rows: int) -> None:
    frame, schema = simulated(5)
    order, _ = information_order(frame.iloc[:rows].reset_index(drop=True), schema)
    assert sorted(order) == ["A", "B", "C", "D"]


def test_all_missing_and_constant_columns_come_last() -> None:
    x = np.arange(600) % 6
    frame, schema = categorical(none=[None] * 600, one=["1"] * 600, x=x.astype(str), y=(x % 3).astype(str))
    assert information_order(frame, schema)[0] == ["x", "y", "none", "one"]
    numbers = Schema((Column("none", "float", 0), Column("x", "integer")))
    frame = conform(pd.DataFrame({"none": [None] * 600, "x": range(600)}), numbers)[0]
    assert information_order(frame, numbers)[0] == ["none", "x"]


@pytest.mark.mirror
def test_us_location_is_the_references_order() -> None:
    assert information_order(*paper("us_location"))[0] == ["state_code", "bird", "lon", "lat", "lat_zone"]
