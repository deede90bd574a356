"""rq5 and the model-size ablation: violation against model size at each order, and models used as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.experiments.contrasts import contrast_table, interval_text, question_rows, verdict
from harness.experiments.curves import Axis, curves
from harness.experiments.study import (
    FD_RATE,
    Result,
    Study,
    evidence,
    order_of,
    order_questions,
    param,
    size_of,
)
from harness.ranking.labels import flatten
from harness.ranking.runs import Run
from harness.report.tables import Entry, Table


def model_of(run: Run) -> str | None:
    """A language model's setting in words: the pretrained name, or layers × width.

    The same setting has different numbers of parameters on different tables, because the vocabulary is part of the model.
    """
    flat = {
        key.removeprefix("llm."): text
        for key, text in flatten(run.record.cell.params).items()
        if key.startswith("llm.")
    }
    if size_of(run) is None or order_of(run) is None:
        return None
    if flat.get("pretrained", "null") != "null":
        return Path(flat["pretrained"]).name
    layers = flat.get("layers", "?")
    return f"{layers} layer{'' if layers == '1' else 's'} × {flat.get('width', '?')}"


SIZE = Axis(
    level=model_of,
    place=lambda run: None if (size := size_of(run)) is None else float(size),
    label="parameters (log axis)",
    panel=lambda run: run.dataset,
    without=("llm", "learning_rate", "batch_size", "epochs"),
    log_x=True,
)
"""Learning rate, batch and epochs go with the kind of model: pretrained ones take the paper's."""


def rq5(study: Study, folder: Path) -> Result:
    """Do larger or newer language models make the order unnecessary?"""
    result = Result("Do larger or newer language models make the order unnecessary?")
    what = "the violation rate of dependencies"
    (claim,) = order_questions(study, [FD_RATE])
    title = "Violation by model size and order"
    claim = replace(claim, overall=curves(study, folder, result, "violation_by_size", title, SIZE, claim.overall))
    result.answer.insert(0, "All sizes: " + verdict(claim.overall, what))
    title = "Violation rate of dependencies, order fd minus order random"
    result.tables.append(contrast_table("order_contrast", title, question_rows([claim])))
    result.answer += _as_is(study, result)
    result.answer.append(evidence(study))
    return result


def _as_is(study: Study, result: Result) -> list[str]:
    """The language models that were not trained on the table, as a table and sentences."""
    runs = [run for run in study.standings.runs if run.record.cell.target.endswith(".InContextLLM")]
    if not runs:
        return ["The language model used as it is was not run at this scale."]
    said = []
    rows: list[list[Entry]] = []
    for dataset, label in sorted({(run.dataset, run.generator) for run in runs}):
        rate = study.cell(dataset, label, FD_RATE)
        here = [run for run in runs if (run.dataset, run.generator) == (dataset, label)]
        model = Path(param(here[0], "model") or "?").name
        rows.append([dataset, model, sum(run.scored for run in here), rate])
        if rate is None:
            reason = next((run.record.error for run in here if run.record.error), "no score")
            said.append(f"{model} used as it is gave no table on {dataset} ({reason}).")
        else:
            said.append(f"{model} used as it is breaks dependencies on {dataset} at a rate of {interval_text(rate)}.")
    heads = ["dataset", "model", "runs", "FD violation rate"]
    result.tables.append(
        Table("as_is", "Violation rate of dependencies of language models used as they are", heads, rows)
    )
    return said


def ablation_model_size(study: Study, folder: Path) -> Result:
    """How does violation change with model size, at each order?"""
    result = Result("How does violation change with the size of the model?")
    curves(study, folder, result, "ablation_model_size", "Violation by model size and order", SIZE)
    result.answer.append(evidence(study))
    return result
