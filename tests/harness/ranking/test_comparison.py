"""Rows → ranks, pairs, Elo, the Pareto front."""

import pytest

from harness.errors import TabOrderError
from harness.ranking.comparison import by_rank
from harness.ranking.load import build
from harness.ranking.policy import Policy
from harness.records.record import Cost
from tests.factories import grid, make_record


def standings(rows, policy=None, **changes):
    return build(grid(rows, **changes), policy)


# Levels that differ from dataset to dataset: without any spread there is no interval and no p-value.
THREE = {
    name: {"good": [0.8 + i / 100, 0.78], "middle": [0.6, 0.58 + i / 90], "bad": [0.2 + i / 50, 0.22]}
    for i, name in enumerate("abcdef")
}
EVEN = {**THREE, "g": {"good": [0.1], "middle": [0.5], "bad": [0.9]}}
"""On one dataset the order is the other way round: an odd without end has no rating."""


def test_the_best_is_first_and_ranks_say_so():
    board = standings(THREE)
    assert [row.label for row in board.rows] == ["good", "middle", "bad"]
    assert [(rank, row.label) for rank, row in by_rank(board.rows)] == [(1.0, "good"), (2.0, "middle"), (3.0, "bad")]
    assert [row.mean_rank.value for row in board.rows] == [1.0, 2.0, 3.0]


def test_pairs_put_the_better_one_first_with_its_lead():
    pairs = {(pair.first, pair.second): pair for pair in standings(THREE).pairs}
    assert set(pairs) == {("good", "middle"), ("good", "bad"), ("middle", "bad")}
    assert pairs["good", "bad"].difference.value == pytest.approx(
        sum(0.79 + i / 200 - 0.21 - i / 100 for i in range(6)) / 6
    )
    assert pairs["good", "bad"].shown
    assert pairs["good", "bad"].p_adjusted >= pairs["good", "bad"].p_value  # Holm


def test_equal_generators_are_told_apart_by_nothing():
    board = standings({name: {"g": [0.5, 0.6], "h": [0.6, 0.5]} for name in "abcdef"})
    (pair,) = board.pairs
    assert pair.difference.value == pytest.approx(0.0)
    assert not pair.shown
    assert any({"g", "h"} <= set(group) for group in board.cliques)


def test_two_datasets_are_too_few_for_ranks():
    board = standings({name: THREE[name] for name in "ab"})
    assert all(row.mean_rank is None for row in board.rows)
    assert board.critical_difference is None


def test_elo_is_pinned_where_the_policy_says():
    board = standings(EVEN, Policy(anchor="bad"))
    elo = {row.label: row.elo.value for row in board.rows}
    assert (board.elo_anchor, elo["bad"]) == ("bad", 1000.0)
    assert elo["good"] > elo["middle"] > 1000
    with pytest.raises(TabOrderError, match="unknown anchor 'best'"):
        standings(THREE, Policy(anchor="best"))


def test_the_front_holds_who_is_neither_worse_nor_dearer_than_another():
    records = [
        make_record("d", name, level=level, cost=Cost(seconds, 0.0, 1.0, 1))
        for name, level, seconds in (("cheap", 0.4, 1.0), ("best", 0.9, 50.0), ("dear", 0.8, 90.0))
    ]
    board = build(records)
    assert {row.label for row in board.rows if row.pareto} == {"cheap", "best"}
