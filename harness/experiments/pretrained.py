"""What a pretrained language model adds: as it is, fine-tuned in each order, beside its architecture untrained and a small model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from harness.experiments.contrasts import contrast_table, interval_text, question_rows, verdict
from harness.experiments.study import FD_RATE, Result, Study, evidence, order_questions, param
from harness.ranking.runs import Run
from harness.report.tables import Entry, Table

SCORES = {
    "FD violation": FD_RATE,
    "column shapes": "distribution.column_shapes",
    "pair distance": "distribution.pair_distance",
    "ML ROC-AUC": "ml_efficacy.hgb.roc_auc",
    "ML R²": "ml_efficacy.hgb.r2",
}


def kind_of(run: Run) -> str:
    """What a language model was before it saw the table, and what was done with it."""
    if param(run, "epochs") is None:
        model = Path(param(run, "model") or "?").name
        grammar = ", under the grammar" if param(run, "decoding") == "constrained" else ""
        return f"{model} as it is ({param(run, 'style')}{grammar})"
    name = param(run, "pretrained")
    if name in (None, "null"):
        return "small model from scratch"
    untrained, _, model = Path(str(name)).name.rpartition(":")
    if untrained:
        return f"{model}, random weights"
    rank = param(run, "lora_rank")
    return f"{model} fine-tuned" if rank in (None, "null") else f"{model} fine-tuned (LoRA {rank})"


def pretrained(study: Study, folder: Path) -> Result:
    """What does a pretrained language model add, as it is and fine-tuned, at each order?"""
    result = Result("What does a pretrained language model add, as it is and fine-tuned, at each order?")
    (claim,) = order_questions(study, [FD_RATE])
    result.answer.append("All trained models: " + verdict(claim.overall, "the violation rate of dependencies"))
    result.tables.append(_cells(study))
    title = "Violation rate of dependencies, order fd minus order random"
    result.tables.append(contrast_table("order_contrast", title, question_rows([claim])))
    for dataset, label in sorted(study.standings.by_pair):
        runs = study.standings.by_pair[dataset, label]
        rate = study.cell(dataset, label, FD_RATE)
        said = f"{_name(runs[0])} on {dataset}"
        if rate is not None:
            result.answer.append(f"{said}: violation rate {interval_text(rate)}, {_yield_text(runs)}.")
        else:
            why = next((run.record.error for run in runs if run.record.error), "no rows to score")
            result.answer.append(f"{said}: no score ({why}).")
    result.answer.append(evidence(study))
    return result


def _name(run: Run) -> str:
    order = param(run, "order") if param(run, "epochs") is not None else None
    return kind_of(run) + (f", order {order}" if order else "")


def _yield_text(runs: Sequence[Run]) -> str:
    asked, begun, accepted = _rows(runs)
    return f"{accepted:,} of {asked:,} rows delivered" + (f", {begun:,} begun" if begun != accepted else "")


def _rows(runs: Sequence[Run]) -> tuple[int, int, int]:
    """Rows asked for, begun and accepted, over all runs."""
    told = [run.record.yield_ for run in runs if run.record.yield_ is not None]
    asked = sum(run.record.cell.n_rows for run in runs)
    return asked, sum(one.attempted for one in told), sum(one.accepted for one in told)


def _seconds(runs: Sequence[Run], name: str) -> float | None:
    told = [value for run in runs if (value := getattr(run.record.cost, name)) is not None]
    return mean(told) if told else None


def _cells(study: Study) -> Table:
    """One row a kind of model, order and table."""
    rows: list[list[Entry]] = []
    for dataset, label in sorted(study.standings.by_pair):
        runs = study.standings.by_pair[dataset, label]
        trained = param(runs[0], "epochs") is not None
        asked, begun, accepted = _rows(runs)
        rows.append(
            [
                dataset,
                kind_of(runs[0]),
                param(runs[0], "order") if trained else None,
                param(runs[0], "epochs"),
                sum(run.scored for run in runs),
                accepted / asked if asked else None,
                accepted / begun if begun else None,
                *(study.cell(dataset, label, metric) for metric in SCORES.values()),
                _seconds(runs, "fit_seconds"),
                _seconds(runs, "sample_seconds"),
            ]
        )
    heads = ["dataset", "model", "order", "passes", "scored runs", "delivered", "yield", *SCORES, "fit s", "sample s"]
    return Table("cells", "Scores of each model and order, means over runs", heads, rows)
