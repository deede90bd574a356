"""What is said beside the numbers."""

from pathlib import Path

from harness.ranking.load import build
from harness.ranking.policy import Policy
from harness.ranking.remarks import in_short, notes, provenance
from harness.records.store import Problem
from tests.factories import FD, grid, make_record

SIX = {name: {"good": [0.8 + i / 100, 0.8], "bad": [0.2, 0.22 + i / 50]} for i, name in enumerate("abcdef")}


def said(board, *problems):
    return " ".join(notes(board, problems))


def test_the_leader_is_named_with_what_is_shown():
    (leader, *_) = in_short(build(grid(SIX)))
    assert leader.startswith("Best overall: good")
    assert "6 datasets × 2 training seeds: better on tables like these (p = " in leader


def test_a_lead_on_one_dataset_says_nothing_of_others():
    (leader, *_) = in_short(build(grid({"a": SIX["a"]})))
    assert "other tables may order them differently" in leader
    assert "One dataset" in said(build(grid({"a": SIX["a"]})))


def test_two_datasets_and_one_seed_are_called_too_few():
    board = build(grid({name: {"g": [0.9], "h": [0.2]} for name in "ab"}))
    assert "too few to say what holds for other tables" in in_short(board)[0]
    assert "2 datasets: no interval, rank or chance" in said(board)
    assert "One training seed" in said(board)


def test_dependencies_name_the_least_and_the_most():
    sentence = next(one for one in in_short(build(grid(SIX))) if one.startswith("Functional dependencies"))
    assert sentence.index("good") < sentence.index("bad")


def test_what_is_missing_failed_or_not_used_is_said():
    records = [*grid({"a": {"g": [0.5], "h": [0.4]}, "b": {"g": [0.5]}}), make_record("a", "h", 1, status="timeout")]
    text = said(build(records, Policy(missing="drop")), Problem(Path("runs/x/record.json"), "is no JSON."))
    assert "Missing pairs, without any scored cell: 1 of 4: h on b." in text
    assert "Not ok: h timeout ×1 (of 4 cells)." in text
    assert "a dataset some generator did not finish is left out for all" in text
    assert "Not used: runs/x/record.json: is no JSON." in text


def test_a_metric_that_only_some_have_is_said():
    records = [make_record("a", "g"), make_record("a", "h", scores={FD: None})]
    assert "Without an overall score, because a metric of the others is missing: h on a." in said(build(records))


def test_small_budgets_are_a_demonstration_and_mixed_ones_are_told():
    records = [
        make_record("a", "g", 0, environment={"scale": "smoke"}),
        make_record("a", "g", 1, environment={"scale": "full"}),
    ]
    text = said(build(records))
    assert "Budgets: full, smoke — a demonstration, not a ranking. Records of different budgets are mixed here." in text
    assert said(build([make_record("a", "g")])).count("Budgets") == 0


def test_provenance_counts_what_it_does_not_name():
    records = [
        make_record("a", "g", seed, environment={"commit": f"{seed}" * 40, "dirty": seed == 0}) for seed in range(5)
    ]
    text = provenance(build(records))
    assert "harness commit 0000000000 with local changes, 1111111111, 2222222222 and 2 more" in text
