"""Research questions: records in; tables (CSV, LaTeX, Markdown), figures (PNG, SVG) and a generated answer out.

``write("rq2", store, output)`` fills ``output/rq2/``; ``python -m harness.experiments store.root=DIR output=DIR outputs=rq2``
does the same for stored results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness import leaderboard
from harness.environment import available_cpus
from harness.errors import TabOrderError, choices
from harness.experiments import budget, difficulty, orders, questions, settings, sizes
from harness.experiments.study import Result, Study
from harness.leaderboard import build
from harness.record import Record
from harness.standings import Policy
from harness.store import ResultStore, write_atomic

if TYPE_CHECKING:  # Hydra is not needed to draw from records
    from harness.grids import Plan
    from harness.sweep import JobOutcome

OUTPUTS: Mapping[str, Callable[[Study, Path], Result]] = {
    "rq1": questions.rq1,
    "rq2": questions.rq2,
    "rq3": questions.rq3,
    "rq4": questions.rq4,
    "rq5": sizes.rq5,
    "ablation_order": orders.ablation_order,
    "order_budget": budget.order_budget,
    "ablation_decoding": settings.ablation_decoding,
    "ablation_model_size": sizes.ablation_model_size,
    "difficulty_context": difficulty.difficulty_context,
    "difficulty_statistic": difficulty.difficulty_statistic,
}


MOST_WORKERS = 4
"""Processes that draw the experiments of one sweep."""


def conclude(plan: Plan, outcomes: Mapping[int, JobOutcome], store: ResultStore, output: Path) -> Iterator[str]:
    """Write leaderboard, report, tables, figures and answer of each experiment of a sweep from exactly the cells it asked for.

    They go into ``output``, or ``output/<experiment>/`` when several were run together.

    Args:
        plan: which job belongs to which experiment.
        outcomes: how the jobs ended, by number.
        store: where their cells are, perhaps among others.
        output: the folder.

    Yields:
        What to print: the leaderboard (of an experiment run alone) and the answer.
    """
    cells = {
        name: frozenset(outcomes[number].cell for number in numbers if number in outcomes)
        for name, numbers in plan.parts.items()
    }
    if len(cells) == 1:
        for name, own in cells.items():
            said, answer = _conclude(name, own, store, output)
            yield from filter(None, (said, answer))
        return
    from joblib import Parallel, delayed  # the launcher's processes are still there and have imported what this needs

    workers = min(len(cells), MOST_WORKERS, available_cpus())
    made = Parallel(n_jobs=workers, return_as="generator")(
        delayed(_conclude)(name, own, store, output / name) for name, own in cells.items()
    )
    yield from filter(None, (answer for _, answer in made))


def _conclude(name: str, cells: frozenset[str | None], store: ResultStore, folder: Path) -> tuple[str, str]:
    """One experiment's files; returns its leaderboard and its answer as text, or why there is none."""
    from harness.sweep import cell_name

    def keep(record: Record) -> bool:
        return cell_name(record.cell) in cells

    said = ""
    try:
        said = leaderboard.write(store, folder, keep=keep)
        if name not in OUTPUTS:
            return said, ""
        board, _ = leaderboard.load(store, keep=keep)
        return said, f"{_draw(name, Study(board, store), folder)}Written to {folder}\n"
    except TabOrderError as error:
        return said, f"{name}: {error}"


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
        policy: bootstrap draws and seed.

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
    return _draw(name, Study(build(records, policy), store), Path(output) / name)


def _draw(name: str, study: Study, folder: Path) -> str:
    result = OUTPUTS[name](study, folder)
    try:
        for table in result.tables:
            for suffix, text in (("csv", table.to_csv()), ("tex", table.to_latex()), ("md", table.to_markdown())):
                write_atomic(folder / f"{table.name}.{suffix}", text.encode())
        for draw in result.figures.values():
            draw()
        answer = f"# {name}: {result.question}\n\n{' '.join(result.answer[:-1])}\n\n{result.answer[-1]}\n"
        write_atomic(folder / "answer.md", answer.encode())
    except OSError as error:
        raise TabOrderError(f"cannot write into {folder} ({error}): choose another output folder.") from None
    return answer
