"""Units → rows: averages over datasets, policies for what is missing, costs, frames."""

import numpy as np
import pytest

from harness.errors import TabOrderError
from harness.ranking.grouping import matrix
from harness.ranking.load import build
from harness.ranking.policy import Policy
from harness.records.record import Cost
from tests.factories import grid, make_record


def levels(**rows):
    """Standings of ``{generator: {dataset: [level per seed]}}``."""
    turned = {}
    for generator, found in rows.items():
        for dataset, values in found.items():
            turned.setdefault(dataset, {})[generator] = values
    return grid(turned)


def row(board, label):
    return next(one for one in board.rows if one.label == label)


def test_the_mean_is_over_datasets_not_over_runs():
    board = build(levels(g={"d": [0.2, 0.4], "e": [0.9]}, h={"d": [0.5], "e": [0.5]}), Policy())
    assert row(board, "g").overall.value == pytest.approx((0.3 + 0.9) / 2)
    assert (row(board, "g").n_datasets, row(board, "g").n_seeds, row(board, "g").n_cells) == (2, 2, 3)
    assert {(r.dataset, r.label): r.overall.value for r in board.by_dataset}["d", "g"] == pytest.approx(0.3)


def test_missing_pairs_are_dropped_for_all_or_count_zero():
    records = levels(g={"d": [0.8], "e": [0.6]}, h={"d": [0.4]})
    dropped = build(records, Policy(missing="drop"))
    assert (dropped.kept, list(dropped.missing)) == (["d"], [("e", "h")])
    assert row(dropped, "g").overall.value == pytest.approx(0.8)
    counted = build(records, Policy(missing="worst"))
    assert counted.kept == ["d", "e"]
    assert row(counted, "h").overall.value == pytest.approx(0.2)


def test_a_matrix_is_padded_and_a_failed_seed_is_a_zero_unless_dropped():
    records = [*levels(g={"d": [0.8, 0.6]}, h={"d": [0.4]}), make_record("d", "h", 1, status="failed")]
    overall = {
        missing: matrix(build(records, Policy(missing=missing)), ["d"], ["g", "h"], lambda u: u.overall)
        for missing in ("drop", "worst")
    }
    assert overall["drop"].shape == (1, 2, 2)
    assert overall["drop"][0, 1, 0] == pytest.approx(0.4)
    assert np.isnan(overall["drop"][0, 1, 1])
    assert sorted(overall["worst"][0, 1]) == pytest.approx([0.0, 0.4])
    assert row(build(records, Policy()), "h").failures == {"failed": 1}


def test_costs_are_means_of_seconds_and_the_greatest_memory():
    records = [
        make_record("d", "g", 0, cost=Cost(10.0, 2.0, 1.0, 2**30)),
        make_record("d", "g", 1, cost=Cost(30.0, 4.0, 1.0, 2**31)),
    ]
    cost = row(build(records, Policy()), "g").cost
    assert (cost.fit_seconds, cost.sample_seconds, cost.peak_memory_bytes) == (20.0, 3.0, 2**31)
    assert cost.timed


def test_reference_generators_are_shown_and_not_ranked():
    board = build(levels(g={"d": [0.5]}, copy={"d": [1.0]}, independent={"d": [0.0]}), Policy())
    assert list(board.ranked) == ["g"]
    assert {one.label for one in board.rows if one.reference} == {"copy", "independent"}


def test_frames_have_the_leaderboards_columns():
    board = build(levels(g={"d": [0.5]}, h={"d": [0.25]}), Policy())
    frame = board.to_frame()
    assert frame.loc["h", "overall"] == pytest.approx(0.25)
    assert board.to_frame(by_dataset=True).loc[("d", "g"), "overall"] == pytest.approx(0.5)
    assert "<table" in board._repr_html_()


@pytest.mark.parametrize("wrong", [{"missing": "best"}, {"rope": 1.0}, {"rope": -0.1}])
def test_policies_that_make_no_sense_are_refused(wrong):
    with pytest.raises(TabOrderError):
        Policy(**wrong)


def test_no_record_is_a_sentence():
    with pytest.raises(TabOrderError, match="no records"):
        build([], Policy())
