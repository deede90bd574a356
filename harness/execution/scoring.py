"""Score a cell's stored table in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import TabOrderError
from harness.execution.job import Evaluation, Job
from harness.execution.making import status_of
from harness.execution.messages import Generation, ScoreRequest, ScoreResult
from harness.execution.progress import CellProgress
from harness.processes.isolation import Outcome, run_isolated
from harness.records.record import Record, Score


def score_table(
    job: Job, record: Record, made: Generation, evaluation: Evaluation, dataset_dir: Path, show: CellProgress
) -> Record:
    """Compute the metrics of ``evaluation`` on the stored table and store the record with them merged in.

    Raises:
        TabOrderError: when a metric refuses its arguments (a user's mistake).
    """
    outcome = run_isolated(
        "harness.execution.stages:score",
        _request(job, made, evaluation, dataset_dir).to_json(),
        limits=job.score_limits,
        log=job.folder / "log.txt",
        on_event=show.hear,
        redactor=job.redactor,
    )
    if outcome.exception == "TabOrderError":
        raise TabOrderError(str(outcome.error))
    scored = _failed(record, outcome) if outcome.result is None else _scored(job, record, evaluation, outcome)
    job.store.write(scored)
    return scored


def _request(job: Job, made: Generation, evaluation: Evaluation, dataset_dir: Path) -> ScoreRequest:
    assert made.result is not None
    return ScoreRequest(
        metrics=[dict(spec) for spec in evaluation.metrics],
        dataset_dir=str(dataset_dir.resolve()),
        synthetic=str((job.folder / "synthetic.parquet").resolve()),
        invalid=made.result.invalid,
        seed=evaluation.seed,
        anchors=str(job.store.anchors.resolve()),
        threads=job.threads,
    )


def _failed(record: Record, outcome: Outcome) -> Record:
    status, _ = status_of(outcome, "scoring")
    name = f"{outcome.exception}: " if outcome.exception else ""
    return replace(record, status=status, error=f"scoring: {name}{outcome.error}", log_tail=outcome.log_tail)


def _scored(job: Job, record: Record, evaluation: Evaluation, outcome: Outcome) -> Record:
    result = ScoreResult.from_json(outcome.result or {})
    fresh = tuple(_score(one, job) for one in result.scores)
    names = {score.metric for score in fresh}
    identities = evaluation.identities(job.dataset)
    computed = {identity["name"] for identity in identities}
    return replace(
        record,
        scores=(*(score for score in record.scores if score.metric not in names), *fresh),
        evaluation=(*(one for one in record.evaluation if one["name"] not in computed), *identities),
        cost=replace(record.cost, evaluate_seconds=(record.cost.evaluate_seconds or 0.0) + outcome.seconds),
        rows=job.dataset.sizes,
        notes=(*record.notes, *(note for note in result.notes if note not in record.notes)),
    )


def _score(data: Mapping[str, object], job: Job) -> Score:
    values: dict[str, Any] = dict(data)
    values["bounds"] = tuple(values["bounds"])
    values["error"] = job.redactor.value(values["error"])
    return Score(**values)
