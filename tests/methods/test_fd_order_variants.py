"""Orders made of dependencies beside ``fd``, worked out by hand, and the seed of random orders."""

from __future__ import annotations

from typing import Any

import pytest

from harness.dependencies import FunctionalDependency
from harness.errors import TabOrderError
from methods.column_order import column_order
from methods.fd_order import adjacent_reversed, far, kamino
from methods.in_context import InContextLLM
from methods.row_llm import RowLLM
from methods.sequential_trees import SequentialTrees
from tests.harness.dependencies.tables import categorical, simulated
from tests.methods.test_column_order import states


def edges(text: str) -> list[tuple[str, str]]:
    return [(pair[0], pair[1]) for pair in text.split()]


def fds(text: str) -> list[FunctionalDependency]:
    return [FunctionalDependency(tuple(one[:-1]), one[-1]) for one in text.split()]


@pytest.mark.parametrize(
    ("order", "graph", "expected"),
    [
        ("abc", "", "abc"),  # no dependency: as fd
        ("abc", "ab", "acb"),  # c, in none, stands between
        ("aebdc", "ae bd", "abced"),  # two pairs: both determinants, then c, then both dependents
        ("abcd", "ab bc", "adbc"),  # a chain: only its root is not determined
        ("abcd", "ab ac ad", "abcd"),  # a star has nothing to put between
        ("abc", "ab ba", "acb"),  # each determines the other: the first stays in front
    ],
)
def test_far(order: str, graph: str, expected: str) -> None:
    assert "".join(far(order, edges(graph))) == expected


@pytest.mark.parametrize(
    ("order", "graph", "expected"),
    [
        ("abc", "", "abc"),
        ("abc", "ab", "bac"),
        ("aebdc", "ae bd", "eadbc"),  # the pairs stay in their order, c stays last
        ("abcd", "ab bc", "cbad"),
        ("adecb", "ab cb de", "bcaed"),  # a and c determine b; the pair de between them follows as a whole
    ],
)
def test_adjacent_reversed(order: str, graph: str, expected: str) -> None:
    assert "".join(adjacent_reversed(order, edges(graph))) == expected


@pytest.mark.parametrize(
    ("sizes", "dependencies", "expected", "late"),
    [
        ({"a": 3, "b": 1, "c": 2}, "", "bca", ""),  # by domain alone
        ({"a": 5, "b": 2, "c": 9, "d": 3, "e": 4, "f": 1}, "ae bcd", "bcdaef", ""),  # b's is the smallest left side
        ({"a": 2, "b": 4, "c": 10}, "ba cb", "bac", "cb"),  # a chain c→b→a: b's left side is smaller than c's
        ({"a": 2, "b": 2, "c": 2}, "bc ac", "acb", "bc"),  # equal domains: the table's order
        ({"a": 7, "b": 7}, "ba ab", "ab", "ba"),  # one of two that determine each other must come first
    ],
)
def test_kamino(sizes: dict[str, int], dependencies: str, expected: str, late: str) -> None:
    order, unplaced = kamino(list(sizes), sizes, fds(dependencies))
    assert "".join(order) == expected
    assert unplaced == fds(late)


def test_variants_of_a_table() -> None:
    frame, schema = states()
    names = {
        p: column_order(p, frame, schema, seed=0).names for p in ("fd", "fd_far", "fd_adjacent_reversed", "kamino")
    }
    assert names["fd"] == ("state", "bird", "lat", "zone", "lon")
    assert names["fd_far"] == ("state", "lat", "lon", "bird", "zone")
    assert names["fd_adjacent_reversed"] == ("bird", "state", "zone", "lat", "lon")
    # Mined: state→bird, lat→zone, {lat, bird}→state. bird (11 values) makes the last one first.
    assert names["kamino"] == ("bird", "lat", "state", "zone", "lon")


def test_kamino_says_which_left_sides_come_late() -> None:
    found = column_order("kamino", *simulated(5), seed=0)  # A→B→C→D, each with fewer values than the one before
    assert found.names is not None
    assert found.names[:2] == ("C", "D")
    assert any(note.startswith("kamino places ") and "after their right side" in note for note in found.notes)


def test_a_list_of_columns_is_an_order() -> None:
    frame, schema = simulated(5)
    found = column_order(["D", "A", "C", "B"], frame, schema, seed=0)
    assert (found.policy, found.names) == ("given", ("D", "A", "C", "B"))
    for wrong in (["A", "B"], ["A", "B", "C", "C"], ["A", "B", "C", "E"]):
        with pytest.raises(TabOrderError, match="every column exactly once: \\['A', 'B', 'C', 'D'\\]"):
            column_order(wrong, frame, schema, seed=0)
    with pytest.raises(TabOrderError, match="two lists of columns: give one"):
        RowLLM(["a", "b"], given_order=["b", "a"])


def test_a_list_may_write_a_column_named_by_a_number_as_the_number() -> None:
    frame, schema = categorical(**{"1": ["x", "y"], "2": ["u", "u"]})
    assert column_order([2, 1], frame, schema, seed=0).names == ("2", "1")  # type: ignore[list-item]


def test_an_order_seed_fixes_the_order_whatever_the_seed() -> None:
    frame, schema = simulated(5)
    at_one_seed = {column_order("fixed_random", frame, schema, seed=1, order_seed=s).names for s in range(20)}
    at_one_order_seed = {column_order("fixed_random", frame, schema, seed=s, order_seed=1).names for s in range(20)}
    assert len(at_one_seed) > 5
    assert len(at_one_order_seed) == 1
    found = column_order("fixed_random", frame, schema, seed=4, order_seed=7)
    assert found.to_json()["order_seed"] == 7
    assert "order_seed" not in column_order("original", frame, schema, seed=4, order_seed=7).to_json()


@pytest.mark.parametrize("wrong", ["3", 1.5, True])
def test_an_order_seed_is_a_whole_number(wrong: Any) -> None:
    for make in (RowLLM, SequentialTrees, lambda order, **more: InContextLLM(model="m", order=order, **more)):
        with pytest.raises(TabOrderError, match=r"order_seed=.* must be a whole number, or null"):
            make("fixed_random", order_seed=wrong)


@pytest.mark.parametrize("order_seed", [None, 11])
def test_generators_draw_the_same_order_from_a_seed(order_seed: int | None) -> None:
    frame, schema = simulated(5)
    frame = frame.iloc[:40]
    makers: list[Any] = [
        RowLLM("fixed_random", order_seed=order_seed, epochs=1, device="cpu"),
        SequentialTrees("fixed_random", order_seed=order_seed),
        InContextLLM(
            model="m", backend="endpoint", base_url="http://h/v1", order="fixed_random", order_seed=order_seed
        ),
    ]
    expected = column_order("fixed_random", frame, schema, seed=5, order_seed=order_seed)
    for maker in makers:
        maker.fit(frame, schema, seed=5)
        info = maker._order.to_json() if isinstance(maker, InContextLLM) else maker.describe()
        assert tuple(info["column_order"]) == expected.names
        assert info["order_seed"] == expected.seed


def test_an_order_seed_leaves_the_rest_of_training_as_it_is() -> None:
    """Weights and row shuffles come from the seed: with one column there is one order, so nothing changes."""
    one, schema = categorical(a=list("xyz") * 40)
    two, wide = categorical(a=list("xyz") * 40, b=list("uv") * 60)

    def losses(frame: Any, schema: Any, order_seed: int | None) -> list[float]:
        generator = RowLLM("random", order_seed=order_seed, epochs=2, device="cpu")
        generator.fit(frame, schema, seed=0)
        return [point["loss"] for point in generator.describe()["curve"]]

    assert losses(one, schema, None) == losses(one, schema, 3)
    assert losses(two, wide, None) != losses(two, wide, 3) == losses(two, wide, 3)
