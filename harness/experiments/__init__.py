"""Research questions: records in; tables (CSV, LaTeX, Markdown), figures (PNG, SVG) and a generated answer out.

``write("rq2", store, output)`` fills ``output/rq2/``; ``python -m harness.experiments store.root=DIR output=DIR outputs=rq2``
does the same for stored results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.errors import TabOrderError, choices
from harness.experiments import budget, difficulty, orders, pretrained, questions, settings, sizes
from harness.experiments.study import Result, Study
from harness.ranking.load import build
from harness.ranking.policy import Policy
from harness.records.files import write_atomic
from harness.records.record import Record
from harness.records.store import ResultStore

OUTPUTS: Mapping[str, Callable[[Study, Path], Result]] = {
    "rq1": questions.rq1,
    "rq2": questions.rq2,
    "rq3": questions.rq3,
    "rq4": questions.rq4,
    "rq5": sizes.rq5,
    "pretrained": pretrained.pretrained,
    "ablation_order": orders.ablation_order,
    "order_budget": budget.order_budget,
    "ablation_decoding": settings.ablation_decoding,
    "ablation_model_size": sizes.ablation_model_size,
    "difficulty_context": difficulty.difficulty_context,
    "difficulty_statistic": difficulty.difficulty_statistic,
}


def write(
    name: str,
    store: ResultStore,
    output: Path,
    keep: Callable[[Record], bool] | None = None,
    policy: Policy | None = None,
) -> str:
    """Write one output under ``output/name/`` and return its answer.

    Args:
        name: one of :data:`OUTPUTS`.
        store: whose records and tables are read.
        output: parent folder.
        keep: which records belong to the experiment (default: all).
        policy: how to aggregate.

    Raises:
        TabOrderError: for an unknown name, or when no record is left.
    """
    if name not in OUTPUTS:
        raise TabOrderError(choices(name, OUTPUTS, "experiment output"))
    records = [record for record in store.records()[0] if keep is None or keep(record)]
    if not records:
        raise TabOrderError(
            f"the store at {store.root} has no record for the experiment output '{name}': run its sweep first."
        )
    return draw(name, Study(build(records, policy), store), Path(output) / name)


NOT_SHOWN = "ot shown at this scale"


def _answer(name: str, result: Result) -> str:
    """The answer as Markdown: what is shown, a bullet each, then what is not, then the evidence."""
    *sentences, evidence = result.answer
    shown = [sentence for sentence in sentences if sentence and NOT_SHOWN not in sentence]
    rest = [sentence for sentence in sentences if NOT_SHOWN in sentence]
    parts = [f"# {name}: {result.question}"]
    parts += ["\n".join(f"- {sentence}" for sentence in shown)] if shown else []
    parts += ["## Not shown at this scale", "\n".join(f"- {sentence}" for sentence in rest)] if rest else []
    return "\n\n".join([*parts, evidence]) + "\n"


def draw(name: str, study: Study, folder: Path) -> str:
    """Write the files of one output into ``folder`` and return its answer.

    Raises:
        TabOrderError: when they cannot be written.
    """
    result = OUTPUTS[name](study, folder)
    try:
        for table in result.tables:
            for suffix, text in (("csv", table.to_csv()), ("tex", table.to_latex()), ("md", table.to_markdown())):
                write_atomic(folder / f"{table.name}.{suffix}", text.encode())
        for draw in result.figures.values():
            draw()
        answer = _answer(name, result)
        write_atomic(folder / "answer.md", answer.encode())
    except OSError as error:
        raise TabOrderError(f"cannot write into {folder} ({error}): choose another output folder.") from None
    return answer
