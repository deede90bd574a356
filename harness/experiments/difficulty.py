"""How violation grows with the difficulty of the table: our design, on the simulated chain."""

from __future__ import annotations

from pathlib import Path

from harness.experiments.curves import Axis, curves
from harness.experiments.study import Result, Study, evidence
from harness.ranking.labels import flatten
from harness.ranking.runs import Run


def _number(run: Run, name: str) -> float | None:
    text = flatten(run.record.cell.dataset_params).get(name)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def difficulty_statistic(study: Study, folder: Path) -> Result:
    """Violation against the number of distinct values."""
    result = Result("How does violation grow with the number of values? (our design)")
    axis = Axis(
        level=lambda run: None if (base := _number(run, "base")) is None else f"b = {base:g}",
        place=lambda run: _number(run, "base"),
        label="base b of the chain (8b values of A)",
        panel=lambda run: f"{_number(run, 'context_columns') or 0:g} context columns",
    )
    curves(
        study,
        folder,
        result,
        "rq_statistic_difficulty",
        "Violation by number of values, simulated chain (our design)",
        axis,
    )
    result.answer.append(evidence(study))
    return result


def difficulty_context(study: Study, folder: Path) -> Result:
    """Violation against the number of context columns, at each number of values."""
    result = Result("How does violation grow with added context columns? (our design)")
    axis = Axis(
        level=lambda run: None if (k := _number(run, "context_columns")) is None else f"{k:g} context columns",
        place=lambda run: _number(run, "context_columns"),
        label="added context columns",
        panel=lambda run: None if (base := _number(run, "base")) is None else f"b = {base:g}",
    )
    curves(
        study,
        folder,
        result,
        "rq_context_difficulty",
        "Violation by added context columns, simulated chain (our design)",
        axis,
    )
    result.answer.append(evidence(study))
    return result
