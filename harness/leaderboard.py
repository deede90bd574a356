"""The leaderboard: records in, tables out. ``python -m harness.leaderboard store.root=DIR output=DIR``.

Writes ``leaderboard.csv`` (a row per generator), ``leaderboard_by_dataset.csv``, ``leaderboard_pairs.csv``,
``leaderboard.json`` (everything, strict JSON) and ``index.html`` (:mod:`harness.report`), and returns the printable table.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from harness.commands import Command
from harness.comparison import compare
from harness.errors import TabOrderError
from harness.notes import in_short, notes
from harness.record import Record, finite
from harness.standings import Pair, Policy, Row, Standings, collect
from harness.statistics import Estimate
from harness.store import Problem, ResultStore, collector_paused, write_atomic
from harness.texttable import tables, wrapped
from harness.units import FAMILIES

JSON_VERSION = 1

COMMAND = Command(
    "harness.leaderboard",
    "Rebuild the leaderboard from the records of a store.",
    {
        "store.root=DIR": "the store, a folder that holds runs/",
        "output=DIR": """where leaderboard.csv, leaderboard_by_dataset.csv, leaderboard_pairs.csv, leaderboard.json and
            index.html go (default: the store)""",
        "sweep=NAME": "only records of this sweep (default: all)",
        "missing=drop|worst": """drop: a dataset that some generator did not finish is left out for all;
            worst: each failed cell counts 0 (default: drop)""",
        "anchor=NAME": "the generator whose Elo rating is 1000 (default: independent where there is one, else the mean of all)",
        "draws=N": "bootstrap draws (default: 1000)",
        "seed=N": "seed of the bootstrap (default: 0)",
        "rope=X": "differences below this count as practically equal (default: 0.01)",
    },
    required=("store.root",),
    examples=(
        "python -m harness.leaderboard store.root=results",
        "python -m harness.leaderboard store.root=results output=tables sweep=paper missing=worst",
    ),
)
Keep = Callable[[Record], bool] | None


def build(records: Iterable[Record], policy: Policy | None = None) -> Standings:
    """Aggregate records into standings: averages, intervals, ranks, Elo, pairs.

    Raises:
        TabOrderError: when there is no record.
    """
    return compare(collect(records, policy or Policy()))


def write(store: ResultStore, output: Path, policy: Policy | None = None, keep: Keep = None) -> str:
    """Write the leaderboard of a store and return the printable table (at most 120 columns).

    Args:
        store: where records are.
        output: folder of the files.
        policy: how to aggregate.
        keep: which records to look at (default: all).

    Raises:
        TabOrderError: when the store holds no usable record, or ``output`` cannot be written.
    """
    from harness.report import page

    with collector_paused():
        return _write(store, Path(output), load(store, policy, keep), page)


def _write(store: ResultStore, output: Path, loaded: tuple[Standings, list[Problem]], page: Callable[..., str]) -> str:
    board, problems = loaded
    short, said = in_short(board), notes(board, problems)
    files = {
        "leaderboard.csv": to_csv(board.rows),
        "leaderboard_by_dataset.csv": to_csv(board.by_dataset),
        "leaderboard_pairs.csv": pairs_csv(board.pairs),
        "leaderboard.json": to_json(board, problems, [*short, *said]),
        "index.html": page(board, store, problems, short, said),
    }
    try:
        for name, text in files.items():
            write_atomic(output / name, text.encode())
    except OSError as error:
        raise TabOrderError(
            f"cannot write the leaderboard into {output} ({error}): choose another output folder."
        ) from None
    return "\n".join([tables(board), wrapped(said), wrapped([*short, f"Report: {output / 'index.html'}"])])


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
        if scores
        and not os.path.isfile(
            table := f"{store.runs}/{cell.dataset}/{cell.generator}/{cell.seed}-{cell.key}/synthetic.parquet"
        )
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


def safe_cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets a leading apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV: every estimate as ``name, name_low, name_high``; empty where undefined."""
    flat = [_flat(row) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: safe_cell(value) for key, value in row.items()} for row in flat)
    return text.getvalue()


def pairs_csv(pairs: Sequence[Pair]) -> str:
    """Pairs as CSV, the better generator first; a header alone when nothing is compared."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [name + suffix for name in ("difference", "p_improvement") for suffix in ("", "_low", "_high")]
    writer.writerow(["first", "second", *names, "p_first_better", "p_equal", "p_second_better"])
    for pair in pairs:
        numbers = [part for found in (pair.difference, pair.improvement) for part in astuple(found)]
        rounded = [None if value is None else round(value, 6) for value in (*numbers, *astuple(pair.posterior))]
        writer.writerow([safe_cell(pair.first), safe_cell(pair.second), *rounded])
    return text.getvalue()


def _flat(row: Row) -> dict[str, Any]:
    estimates: dict[str, Estimate | None] = {
        "overall": row.overall,
        **{family.key: row.families.get(family.key) for family in FAMILIES},
        "fd_violation_rate": row.fd_violation,
        "ml_efficacy_raw": row.ml,
        "iqm": row.iqm,
        "mean_rank": row.mean_rank,
        "elo": row.elo,
    }
    flat: dict[str, Any] = {"dataset": row.dataset or "all", "generator": row.label, "reference": row.reference}
    for name, found in estimates.items():
        for part, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            number = None if found is None else getattr(found, part)
            flat[name + suffix] = None if number is None else round(number, 6)
    flat |= {
        "ml_efficacy_measures": " ".join(row.ml_measures),
        **asdict(row.cost),
        "pareto": row.pareto,
        "datasets": row.n_datasets,
        "seeds": row.n_seeds,
        "cells": row.n_cells,
        "failures": " ".join(f"{status}={count}" for status, count in row.failures.items()),
    }
    return flat


def to_json(board: Standings, problems: Sequence[Problem], said: Sequence[str]) -> str:
    """All numbers as strict JSON."""
    data = {
        "leaderboard_version": JSON_VERSION,
        "policy": asdict(board.policy),
        "families": [asdict(family) for family in FAMILIES],
        "datasets": board.datasets,
        "kept_datasets": board.kept,
        "generators": [asdict(row) for row in board.rows],
        "by_dataset": [asdict(row) for row in board.by_dataset],
        "pairs": [asdict(pair) for pair in board.pairs],
        "critical_difference": board.critical_difference,
        "not_told_apart": board.cliques,
        "elo_anchor": board.elo_anchor,
        "missing": [{"dataset": dataset, "generator": generator} for dataset, generator in board.missing],
        "failures": [
            {
                "dataset": unit.dataset,
                "generator": unit.generator,
                "seed": unit.record.cell.seed,
                "status": unit.record.status,
                "error": unit.record.error,
            }
            for unit in board.units
            if unit.record.status != "ok"
        ],
        "problems": [{"path": str(problem.path), "reason": problem.reason} for problem in problems],
        "notes": said,
    }
    return json.dumps(finite(data), allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _policy(given: dict[str, str]) -> Policy:
    numbers: dict[str, Any] = {}
    for key, kind in (("draws", int), ("seed", int), ("rope", float)):
        if key in given:
            try:
                numbers[key] = kind(given[key])
            except ValueError:
                raise TabOrderError(
                    f"{key}={given[key]} is not a number: write e.g. {key}={getattr(Policy, key)}."
                ) from None
    words: dict[str, Any] = {key: given[key] for key in ("missing", "anchor") if key in given}
    return Policy(**words, **numbers)


def _act(words: Sequence[str]) -> int:
    given = COMMAND.parse(words)
    sweep, output = given.get("sweep"), Path(given.get("output") or given["store.root"])
    keep = (lambda record: record.sweep == sweep) if sweep else None
    print(write(ResultStore(given["store.root"]), output, _policy(given), keep), end="")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return COMMAND.run(_act, words)


if __name__ == "__main__":
    sys.exit(main())
