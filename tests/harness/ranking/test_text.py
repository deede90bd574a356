"""The printed leaderboard: what stands in it, and that it fits 120 columns."""

import pytest

from harness.ranking.load import build
from harness.ranking.text import WIDTH, scores, standing, tables, wrapped
from tests.factories import grid, make_record

BOARD = {name: {"good": [0.9, 0.8], "bad": [0.2, 0.3], "copy": [1.0]} for name in "abc"}


def test_a_line_a_generator_the_best_first_references_below_a_rule():
    lines = scores(build(grid(BOARD))).splitlines()
    places = [next(i for i, line in enumerate(lines) if line.startswith(name)) for name in ("good", "bad", "copy")]
    assert places == sorted(places)
    assert any(set(line) == {"─"} for line in lines[places[1] : places[2]])
    assert "0.85" in lines[places[0]] or ".85" in lines[places[0]]
    assert "3×2" in lines[places[0]]


def test_failed_cells_are_counted_beside_all():
    board = build([*grid({"a": {"g": [0.5]}}), make_record("a", "g", 1, status="crashed")])
    assert next(line for line in scores(board).splitlines() if line.startswith("g ")).rstrip().endswith("1/2")


@pytest.mark.parametrize("name", ["g", "a_generator_with_a_name_of_some_length (order=fd, epochs=3)", "x" * 100])
def test_every_line_fits_whatever_generators_are_called(name):
    text = tables(build(grid({dataset: {name: [0.5, 0.6], "other": [0.4, 0.5]} for dataset in "abcd"})))
    assert max(map(len, text.splitlines())) <= WIDTH


def test_costs_stand_in_the_second_table():
    text = standing(build(grid(BOARD)))
    assert text.splitlines()[0].split()[-6:] == ["fit", "s", "sample", "s", "yield", "front"] or "fit s" in text


def test_sentences_are_wrapped_with_continuations_indented():
    lines = wrapped(["word " * 60]).splitlines()
    assert len(lines) > 1
    assert all(len(line) <= WIDTH for line in lines)
    assert all(line.startswith("  ") for line in lines[1:])
