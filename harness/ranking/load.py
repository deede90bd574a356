"""A store's records, read and aggregated."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.errors import TabOrderError
from harness.ranking.averages import rows, rows_by_dataset
from harness.ranking.comparison import compare
from harness.ranking.grouping import group
from harness.ranking.policy import Policy
from harness.ranking.selection import JoinedStores, Selection, refuse_mixtures
from harness.ranking.standings import Standings
from harness.records.archive import MARK
from harness.records.record import Cell, Record
from harness.records.store import Problem, ResultStore, collector_paused

Keep = Callable[[Record], bool] | None


def build(records: Iterable[Record], policy: Policy | None = None) -> Standings:
    """Aggregate records into standings: averages, intervals, ranks, Elo, pairs.

    Raises:
        TabOrderError: when there is no record, or when one score has two definitions.
    """
    records = list(records)
    refuse_mixtures(records)
    grouped = group(records, policy or Policy())
    compared = compare(grouped, rows(grouped))
    return Standings(**{**vars(grouped), **vars(compared)}, by_dataset=rows_by_dataset(grouped))


def load(
    store: ResultStore, policy: Policy | None = None, keep: Keep = None, selection: Selection | None = None
) -> tuple[Standings, list[Problem]]:
    """Read a store's usable records and aggregate them; the rest comes back as problems.

    Args:
        store: one store, or several joined.
        policy: how to aggregate.
        keep: which records to look at (default: all).
        selection: likewise, by names, which are checked.

    Raises:
        TabOrderError: when there is no such folder or no usable record in it.
    """
    if not store.runs.is_dir():
        raise TabOrderError(
            f"there is no result store at {store.root} (no runs/ folder): give store.root=DIR of a finished run."
        )
    records, problems = store.records()
    sweeps = sorted({record.sweep for record in records if record.sweep})
    records = [record for record in records if keep is None or keep(record)]
    if selection is not None:
        selection.check(records)
        records = [record for record in records if selection.keeps(record)]
    asked = keep is not None or (selection is not None and selection.sweep is not None)
    if asked and sweeps and not records:
        raise TabOrderError(
            f"no record of the store at {store.root} was asked for: the sweeps in it are {', '.join(sweeps)}."
        )
    problems += [
        Problem(Path(table), "is missing: its scores are kept, its table is not shown.")
        for cell, scores in ((record.cell, record.scores) for record in records)
        if scores
        and not os.path.isfile(table := f"{_folder(store, cell)}/synthetic.parquet")
        and not os.path.isfile(f"{_folder(store, cell)}/{MARK}")
    ]
    if not records:
        culprits = "".join(f" {problem.path}: {problem.reason}" for problem in problems[:3])
        raise TabOrderError(f"the store at {store.root} holds no usable record: run a sweep into it first.{culprits}")
    with collector_paused():
        standings = build(records, policy)
    return standings, [_inside(problem, store.root) for problem in problems]


def _folder(store: ResultStore, cell: Cell) -> str:
    """A cell's folder; spelt here for one store, for a leaderboard asks for ten thousand of them."""
    if isinstance(store, JoinedStores):
        return str(store.cell_dir(cell))
    return f"{store.runs}/{cell.path}"


def _inside(problem: Problem, root: Path) -> Problem:
    """The problem with paths within the store, so that equal stores give equal files wherever they lie."""
    path = problem.path.relative_to(root) if problem.path.is_relative_to(root) else problem.path
    return Problem(path, problem.reason.replace(f"{root}/", ""))
