"""Verdicts on real tables: broken ones are never half good, cheats are named, and an oracle is let through."""

from functools import lru_cache

import numpy as np
import pytest

from harness.metrics.conditional import ConditionalDistance
from harness.metrics.coverage import DuplicateRows
from harness.metrics.dependencies import FDViolations
from harness.metrics.detection import TwoSided
from harness.metrics.evaluate import evaluate
from harness.metrics.ml_efficacy import MLEfficacy
from harness.metrics.pairs import PairDistance
from harness.metrics.privacy import ClosestRecord, ExactCopies, MembershipInference
from harness.ranking.families import family_values
from harness.ranking.load import build
from harness.ranking.memorisation import findings
from harness.ranking.remarks import in_short, notes
from tests.factories import make_record
from tests.harness.ranking import worlds

PRIVACY = (ExactCopies(), ClosestRecord(), MembershipInference())
QUALITY = (
    PairDistance(),
    ConditionalDistance(),
    FDViolations(),
    TwoSided(),
    DuplicateRows(),
)
"""ML efficacy aside: the AUC of a model trained on columns without relations is luck, anywhere around .5, however many rows there are."""


def record_of(data, table, metrics, generator="x", seed=0):
    scores = evaluate(data, table, metrics=metrics, seed=seed)
    rows = {"train": len(data.train), "test": len(data.test)}
    cell = {"n_rows": len(table), "dataset_checksum": data.checksum}
    made = make_record(data.name, generator, seed, level=None, rows=rows, cell=cell)
    return made.__class__(**{**vars(made), "scores": scores})


@pytest.mark.parametrize("draw", worlds.WORLDS, ids=lambda draw: draw.__name__)
def test_an_oracle_passes_the_gate(draw):
    caught = 0
    for seed in range(100):
        data = worlds.dataset(draw, seed)
        table, _ = worlds.frame(draw, np.random.default_rng(10_000 + seed), len(data.train))
        caught += bool(findings([record_of(data, table, PRIVACY)]))
    assert caught <= 5


@pytest.mark.parametrize("cheat", worlds.CHEATS, ids=lambda cheat: cheat.__name__)
@pytest.mark.parametrize("draw", [worlds.mixed, worlds.measured], ids=lambda draw: draw.__name__)
def test_a_cheat_is_named_with_its_reason(draw, cheat):
    data = worlds.dataset(draw, 1)
    found = findings([record_of(data, cheat(data, np.random.default_rng(0)), PRIVACY)])
    assert found
    if cheat is worlds.stolen:
        assert any("it has seen what it must not see" in sentence for sentence in found)
    elif cheat is not worlds.jittered and cheat is not worlds.one_cell_changed:
        assert "of its rows equal a training row" in found[0]


def test_who_memorises_stands_below_the_line_and_is_never_best():
    data = worlds.dataset(worlds.mixed, 2)
    rng = np.random.default_rng(1)
    oracle, _ = worlds.frame(worlds.mixed, rng, 300)
    tables = {"fair": oracle, "cheat": worlds.bootstrapped(data, rng), "poor": worlds.independent(data, rng)}
    metrics = (*PRIVACY, *QUALITY)
    standings = build([record_of(data, table, metrics, name) for name, table in tables.items()])
    rows = {row.label: row for row in standings.rows}
    assert [row.label for row in standings.rows] == ["fair", "poor", "cheat"]
    assert rows["cheat"].overall.value > rows["fair"].overall.value - 0.15  # by its scores alone it would be up there
    assert "cheat" not in standings.ranked
    assert in_short(standings)[0].startswith("Best overall: fair")
    said = " ".join(notes(standings))
    assert "cheat memorises its training rows, so it stands below the line and is not ranked (on mixed: " in said
    assert "of its rows equal a training row" in said


@lru_cache
def _broken(draw, seed):
    data = worlds.dataset(draw, seed)
    rng = np.random.default_rng(seed)
    rows = {"train": len(data.train), "test": len(data.test)}
    return {
        make.__name__: family_values(
            {score.metric: score for score in evaluate(data, make(data, rng), metrics=QUALITY, seed=seed)}, rows
        )[0]
        for make in worlds.BROKEN
    }


@pytest.mark.parametrize("draw", [*worlds.WORLDS, worlds.noise], ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_broken_table_never_reaches_half_of_any_family(draw, seed):
    for name, families in _broken(draw, seed).items():
        for family, value in families.items():
            assert value < 0.5, (name, family)


@pytest.mark.parametrize("draw", [worlds.mixed, worlds.measured], ids=lambda draw: draw.__name__)
def test_independent_columns_score_0_within_their_noise(draw):
    found = [np.mean([*_broken(draw, seed)["independent"].values()]) for seed in (0, 1)]
    assert max(found) <= 0.1


def test_what_cannot_be_told_has_no_score_but_a_reason():
    data = worlds.dataset(worlds.noise, 0)
    scores = evaluate(data, data.train.copy(), metrics=[MLEfficacy("linear")], seed=0)
    values, reasons = family_values({score.metric: score for score in scores}, {"train": 300, "test": 150})
    assert "ml_efficacy" not in values
    assert "are not better than independent columns" in reasons["ml_efficacy"]
