"""A score's identity: what is stated about a dataset belongs to it, what the dataset is called does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from harness.dependencies import FunctionalDependency
from harness.execution.cell import Evaluation, Job, run_cell
from harness.metrics.conditional import ConditionalDistance
from harness.metrics.coverage import DuplicateRows
from harness.metrics.dependencies import FDViolations
from harness.metrics.evaluate import evaluate
from harness.metrics.external import load_metrics, score_tables
from harness.metrics.identity import identity
from harness.metrics.rules import RuleViolations
from harness.records.store import ResultStore
from harness.targets import build
from tests.factories import make_dataset

TOY = make_dataset()
FD, RULES, CONDITIONAL = FDViolations.name, RuleViolations.name, ConditionalDistance.name
READ_BY = {"fds": {FD, RULES, CONDITIONAL}, "rules": {RULES}, "condition": {CONDITIONAL}, "resources": {RULES}}


@pytest.mark.parametrize("changed", READ_BY)
def test_a_changed_statement_is_another_score_for_those_that_read_it_alone(changed: str, tmp_path: Path) -> None:
    (tmp_path / "a.shp").write_bytes(b"a")
    before = replace(TOY, resources={"map": str(tmp_path / "a.shp")})
    new = {
        "fds": (FunctionalDependency(("n",), "bird"),),
        "rules": TOY.rules[:1],
        "condition": "bird",
        "resources": {"map": str(tmp_path / "b.shp")},
    }
    (tmp_path / "b.shp").write_bytes(b"b")
    after = replace(before, **{changed: new[changed]})
    for metric in load_metrics("default"):
        differs = identity(metric, before, 0) != identity(metric, after, 0)
        assert differs == (metric.name in READ_BY[changed]), metric.name


def test_a_resource_counts_by_its_content(tmp_path: Path) -> None:
    for folder, content in (("one", b"x"), ("two", b"x"), ("three", b"y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.shp").write_bytes(content)
    one, two, three = (
        identity(RuleViolations(), replace(TOY, resources={"map": str(tmp_path / folder / "m.shp")}), 0)
        for folder in ("one", "two", "three")
    )
    assert one == two != three


def test_a_metric_that_declares_nothing_is_described_by_its_constructor_and_reads_everything() -> None:
    class Plain:
        name, version, goal, real_anchor = "own.plain", 1, "max", "test"

        def __init__(self, strength: int = 3) -> None:
            self.strength = strength

        def __call__(self, data):
            return []

    found = identity(Plain(), TOY, 0)  # type: ignore[arg-type]
    assert found["params"] == {"strength": 3}
    assert set(found["reads"]) == {"fds", "rules", "condition", "resources"}


def test_the_name_of_a_dataset_does_not_enter_a_score() -> None:
    metrics = [m for m in load_metrics("default") if m.name.startswith(("privacy", "detection.sniff", "distribution"))]
    made = TOY.train.sample(60, random_state=1).reset_index(drop=True)
    scores = [
        [s._replace(seconds=0.0) for s in evaluate(replace(TOY, name=name), made, metrics=metrics, seed=5)]
        for name in ("toy", "user_customers")
    ]
    assert scores[0] == scores[1]


def test_anchors_of_one_dataset_are_not_those_of_changed_dependencies(tmp_path: Path) -> None:
    changed = replace(TOY, fds=(FunctionalDependency(("n",), "state"),))
    for dataset in (TOY, changed, TOY):
        evaluate(dataset, TOY.test, metrics=[FDViolations(), DuplicateRows()], seed=0, anchors=tmp_path)
    kinds = sorted(path.name.split("-")[0] for path in tmp_path.iterdir())
    assert kinds == ["coverage.duplicate_rows"] * 2 + ["dependencies.fd"] * 4


def test_a_cell_and_the_score_command_give_one_table_the_same_scores(tmp_path: Path) -> None:
    names = (
        "sliced_wasserstein",
        "membership",
        "sniff",
        "ml_random_forest",
        "fd",
        "rules",
        "conditional",
        "closest_record",
    )
    specs = yaml.safe_load((Path("conf") / "evaluation" / "default.yaml").read_text())["metrics"]
    spec = {"_target_": "baselines.resampling.Independent"}
    evaluation = Evaluation(tuple(specs[name] for name in names))
    dataset = replace(TOY, schema=replace(TOY.schema, target="bird", task="classification"))
    result = run_cell(Job(dataset, "independent", spec, 0, evaluation, ResultStore(tmp_path / "store"), n_rows=80))
    assert result.record is not None
    made = pd.read_parquet(ResultStore(tmp_path / "store").cell_dir(result.cell) / "synthetic.parquet")
    said = {"rules": dataset.rules, "fds": [fd.to_json() for fd in dataset.fds], "condition": dataset.condition}
    metrics = [build(specs[name]) for name in names]
    scored = score_tables(dataset.train, dataset.test, made, target="bird", metrics=metrics, **said)
    found = {s.metric: (s.value, s.real, s.floor) for s in scored.scores}
    assert found == {s.metric: (s.value, s.real, s.floor) for s in result.record.scores}
