"""The leaderboard's files: CSV, JSON and the page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple
from pathlib import Path

from harness.errors import TabOrderError
from harness.ranking.anchor_rows import anchor_rows
from harness.ranking.families import FAMILIES, place
from harness.ranking.load import Keep, load
from harness.ranking.policy import Policy
from harness.ranking.remarks import in_short, notes
from harness.ranking.runs import Run
from harness.ranking.selection import Selection
from harness.ranking.standings import Pair, Row, Standings
from harness.ranking.text import tables, wrapped
from harness.ranking.wording import plural
from harness.records.files import write_atomic
from harness.records.record import finite
from harness.records.store import Problem, ResultStore, collector_paused
from harness.report.score_text import BARE, headlines
from harness.report.tables import Entry, Table, safe_cell

JSON_VERSION = 1


def write(
    store: ResultStore,
    output: Path,
    policy: Policy | None = None,
    keep: Keep = None,
    selection: Selection | None = None,
) -> str:
    """Write the leaderboard of a store and return the printable table (at most 120 columns).

    Args:
        store: where records are.
        output: folder of the files.
        policy: how to aggregate.
        keep: which records to look at (default: all).
        selection: likewise, by names.

    Raises:
        TabOrderError: when the store holds no usable record, or ``output`` cannot be written.
    """
    from harness.report.html.page import page

    with collector_paused():
        return _write(store, Path(output), load(store, policy, keep, selection), page, selection)


def _write(
    store: ResultStore,
    output: Path,
    loaded: tuple[Standings, list[Problem]],
    page: Callable[..., str],
    selection: Selection | None,
) -> str:
    standings, problems = loaded
    short, said = in_short(standings), notes(standings, problems)
    if selection is not None and selection.sentence():
        said.append(selection.sentence())
    files = {
        "leaderboard.csv": to_csv(standings.rows),
        "leaderboard_by_dataset.csv": to_csv(standings.by_dataset),
        "leaderboard_pairs.csv": pairs_csv(standings.pairs),
        "leaderboard.tex": latex(standings),
        "scores.csv": scores_csv(standings.runs),
        "leaderboard.json": to_json(standings, problems, [*short, *said]),
        "index.html": page(standings, store, problems, short, said),
    }
    try:
        for name, text in files.items():
            write_atomic(output / name, text.encode())
    except OSError as error:
        raise TabOrderError(
            f"cannot write the leaderboard into {output} ({error}): choose another output folder."
        ) from None
    return "\n".join([tables(standings), wrapped(said), wrapped([*short, f"Report: {output / 'index.html'}"])])


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV: every estimate as ``name, name_low, name_high``; empty where undefined."""
    flat = [row.flat() for row in rows]
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
    writer.writerow(
        ["first", "second", *names, "p_first_better", "p_equal", "p_second_better", "p_value", "p_adjusted"]
    )
    for pair in pairs:
        numbers = [
            part
            for found in (pair.difference, pair.improvement, pair.posterior)
            for part in (astuple(found) if found else [None] * 3)
        ]
        rounded = [None if value is None else round(value, 6) for value in (*numbers, pair.p_value, pair.p_adjusted)]
        writer.writerow([safe_cell(pair.first), safe_cell(pair.second), *rounded])
    return text.getvalue()


def latex(standings: Standings) -> str:
    """The leaderboard as a LaTeX table: overall with its interval, families, raw rates; references and ends of the scale last."""
    rows = [*standings.rows, *anchor_rows(standings)]
    families = [family for family in FAMILIES if any(family.key in row.families for row in rows)]
    over = plural(len(standings.kept or standings.datasets), "dataset")
    body: list[list[Entry]] = [
        [
            f"{row.label} (memorises)" if row.memorises and not row.reference else row.label,
            row.overall,
            *(None if (found := row.families.get(family.key)) is None else found.value for family in families),
            None if row.fd_violation is None else row.fd_violation.value,
            None if row.ml is None else row.ml.value,
        ]
        for row in rows
    ]
    title = (
        f"Leaderboard over {over}. 0 is as bad as independent columns, 1 as good as held-out real rows; overall with its 95 % interval; "
        "FD violation and downstream score as measured."
    )
    heads = ["generator", "overall", *(family.title for family in families), "FD violation", "downstream"]
    return Table("leaderboard", title, heads, body).to_latex()


MOST_DETAILED = 200_000
"""Scores above which ``scores.csv`` holds those without details (by column, dependency, rule, category) alone."""


def scores_csv(runs: Sequence[Run]) -> str:
    """Every score of every cell, one a line: value, anchors, and where the value lies between them (empty where undefined)."""
    short = sum(len(run.scores) for run in runs) > MOST_DETAILED
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["metric", "value", "real", "floor", "normalised", "goal", "error"]
    writer.writerow(["dataset", "generator", "seed", "key", "status", *names])
    for run in runs:
        cell = run.record.cell
        own = [safe_cell(run.dataset), safe_cell(run.generator), cell.seed, cell.key, run.record.status]
        scores = list(run.record.scores)
        for score in headlines(scores) if short else scores:
            placed = None if score.metric.startswith(BARE) else place(score, run.record.rows).value
            numbers = [score.value, score.real, score.floor, placed]
            writer.writerow([*own, safe_cell(score.metric), *numbers, score.goal, safe_cell(score.error)])
    return text.getvalue()


def to_json(standings: Standings, problems: Sequence[Problem], said: Sequence[str]) -> str:
    """All numbers as strict JSON."""
    data = {
        "leaderboard_version": JSON_VERSION,
        "policy": asdict(standings.policy),
        "families": [asdict(family) for family in FAMILIES],
        "datasets": standings.datasets,
        "kept_datasets": standings.kept,
        "generators": [asdict(row) for row in standings.rows],
        "anchors": [asdict(row) for row in anchor_rows(standings)],
        "by_dataset": [asdict(row) for row in standings.by_dataset],
        "pairs": [asdict(pair) for pair in standings.pairs],
        "critical_difference": standings.critical_difference,
        "not_told_apart": standings.cliques,
        "elo_anchor": standings.elo_anchor,
        "missing": [{"dataset": dataset, "generator": generator} for dataset, generator in standings.missing],
        "failures": [
            {
                "dataset": run.dataset,
                "generator": run.generator,
                "seed": run.record.cell.seed,
                "status": run.record.status,
                "error": run.record.error,
            }
            for run in standings.runs
            if run.record.status != "ok"
        ],
        "problems": [{"path": str(problem.path), "reason": problem.reason} for problem in problems],
        "notes": said,
    }
    return json.dumps(finite(data), allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
