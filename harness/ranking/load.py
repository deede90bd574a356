"""A store's records, read and aggregated."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.errors import TabOrderError
from harness.ranking.comparison import compare
from harness.ranking.standings import Policy, Standings, collect
from harness.records.record import Record
from harness.records.store import Problem, ResultStore, collector_paused

Keep = Callable[[Record], bool] | None


def build(records: Iterable[Record], policy: Policy | None = None) -> Standings:
    """Aggregate records into standings: averages, intervals, ranks, Elo, pairs.

    Raises:
        TabOrderError: when there is no record.
    """
    return compare(collect(records, policy or Policy()))


def load(store: ResultStore, policy: Policy | None = None, keep: Keep = None) -> tuple[Standings, list[Problem]]:
    """Read a store's usable records and aggregate them; the rest comes back as problems.

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
    if keep is not None and sweeps and not records:
        raise TabOrderError(
            f"no record of the store at {store.root} was asked for: the sweeps in it are {', '.join(sweeps)}."
        )
    problems += [
        Problem(Path(table), "is missing: its scores are kept, its table is not shown.")
        for cell, scores in ((record.cell, record.scores) for record in records)
        if scores and not os.path.isfile(table := f"{store.runs}/{cell.path}/synthetic.parquet")
    ]
    if not records:
        culprits = "".join(f" {problem.path}: {problem.reason}" for problem in problems[:3])
        raise TabOrderError(f"the store at {store.root} holds no usable record: run a sweep into it first.{culprits}")
    with collector_paused():
        board = build(records, policy)
    return board, [_inside(problem, store.root) for problem in problems]


def _inside(problem: Problem, root: Path) -> Problem:
    """The problem with paths within the store, so that equal stores give equal files wherever they lie."""
    path = problem.path.relative_to(root) if problem.path.is_relative_to(root) else problem.path
    return Problem(path, problem.reason.replace(f"{root}/", ""))
