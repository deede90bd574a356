"""Records as the leaderboard sees them: labels, normalised families, the mean that needs all of them."""

import pytest

from harness.ranking.runs import runs
from tests.factories import FD, make_record


def test_a_run_has_its_record_scores_and_normalised_families():
    (run,) = runs([make_record("d", "g", 3, level=0.5)])
    assert (run.dataset, run.generator, run.record.cell.seed, run.scored) == ("d", "g", 3, True)
    assert run.value(FD) == pytest.approx(0.45)  # half-way between real 0 and floor 0.9
    assert run.value("nothing") is None
    assert run.families["dependencies"] == pytest.approx(0.5)
    assert run.overall == pytest.approx(0.5)


def test_a_failed_cell_has_no_family_and_no_overall():
    good, bad = runs([make_record("d", "g"), make_record("d", "h", status="timeout")])
    assert good.scored
    assert (bad.scored, dict(bad.families), bad.overall) == (False, {}, None)


def test_overall_needs_every_family_that_others_have_on_the_dataset():
    whole = make_record("d", "g", level=1.0)
    lacking = make_record("d", "h", level=1.0, scores={FD: None})
    alone = make_record("e", "h", level=None, scores={FD: 0.0})
    found = runs([whole, lacking, alone])
    assert found[0].overall == pytest.approx(1.0)
    assert found[1].overall is None
    assert found[2].overall == pytest.approx(1.0)  # no record of e has another family


def test_one_name_of_two_tables_gets_two_labels_and_equal_ones_stay_one():
    records = [
        make_record("d", "g", 0, cell={"dataset_checksum": "a" * 64}),
        make_record("d", "g", 1, cell={"dataset_checksum": "a" * 64}),
        make_record("d", "g", 0, cell={"dataset_checksum": "b" * 64}),
    ]
    first, second, other = (run.dataset for run in runs(records))
    assert first == second != other
    assert all(name.startswith("d") for name in (first, other))


def test_generators_of_one_name_are_told_apart_by_what_differs():
    records = [
        make_record("d", "g", seed, cell={"params": {"order": order, "epochs": 3}}) for seed, order in enumerate("ab")
    ]
    labels = [run.generator for run in runs(records)]
    assert len(set(labels)) == 2
    assert all("order" in label and "epochs" not in label for label in labels)
