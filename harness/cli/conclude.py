"""The end of a sweep: the leaderboard, tables, figures and answers of each experiment in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.outcomes import JobOutcome
from harness.errors import TabOrderError
from harness.experiments import OUTPUTS, draw
from harness.experiments.study import Study
from harness.ranking.load import load
from harness.records.provenance import available_cpus
from harness.records.record import Record
from harness.records.store import ResultStore
from harness.report.leaderboard_files import write

if TYPE_CHECKING:
    from harness.cli.outcomes import Plan


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

    def keep(record: Record) -> bool:
        return record.cell.path in cells

    said = ""
    try:
        said = write(store, folder, keep=keep)
        if name not in OUTPUTS:
            return said, ""
        board, _ = load(store, keep=keep)
        return said, f"{draw(name, Study(board, store), folder)}Written to {folder}\n"
    except TabOrderError as error:
        return said, f"{name}: {error}"
