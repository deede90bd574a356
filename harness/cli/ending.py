"""What the command line says at its end: after a sweep, everything one wants to know next."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.mistakes import explain
from harness.cli.session import Session, total_cells
from harness.commands import MISTAKE, say
from harness.errors import TabOrderError
from harness.records.redaction import Redactor

if TYPE_CHECKING:  # `--help` ends without them
    from harness.cli.outcomes import Finished, JobOutcome
    from harness.records.store import ResultStore

MOST_NAMED = 20
"""Failed cells named one by one; the rest are counted."""


def conclude_session(session: Session) -> int:
    """Say how it ended; the exit code."""
    if session.mistake is not None:
        return say(explain(session.mistake), MISTAKE)
    if session.finished is not None:
        return _finish(session, session.finished)
    if session.outcome is not None:
        return _finish_one(session, session.outcome)
    return 0


def discard_empty(session: Session) -> None:
    """Remove the folder of a sweep that ended before any job did."""
    if session.folder is not None:
        from harness.cli.outcomes import discard_if_empty

        discard_if_empty(session.folder)


def interrupted(session: Session, number: int) -> int:
    """Say how far a sweep came and how it goes on; the exit code is 128 + the signal."""
    counts = ""
    if session.folder is not None:
        from harness.cli.outcomes import read_outcomes

        counts = f" after {len(read_outcomes(session.folder))} of {total_cells() or '?'} cells"
        discard_empty(session)
    again = Redactor().text(f"python -m harness {shlex.join(session.words)}".strip())
    sentence = (
        f"interrupted by {signal.Signals(number).name}{counts}; finished cells are kept, "
        f"and the same command goes on from there: {again}"
    )
    return say(sentence, 128 + number)


def _finish_one(session: Session, outcome: JobOutcome) -> int:
    """A single cell: its families and headline scores beside their anchors, where its record is, and what to do next."""
    from harness.cli.rehearsal import PLANNED
    from harness.records.record import SCORED

    if outcome.status == PLANNED:
        print(f"{outcome.label}: {outcome.how}; nothing was run (dry_run=true).")
        return 0
    result = session.result
    if result is not None and result.record is not None:
        from harness.report.score_text import family_table, reasons, score_table

        record, folder = result.record, session.cell_folder
        if record.scores:
            print(
                "\n\n".join(
                    filter(None, [family_table(record.scores, record.rows), score_table(record.scores, record.rows)])
                )
            )
            print("\n".join(reasons(record.scores)), end="\n" if reasons(record.scores) else "")
        if folder is not None:
            root = folder.parents[3]
            print(f"\nrecord   {folder / 'record.json'}")
            print(
                f"Leaderboard of everything in this store: python -m harness.leaderboard store.root={root}", flush=True
            )
    return 0 if outcome.status in SCORED else 1


def _finish(session: Session, done: Finished) -> int:
    from harness.cli.outcomes import summary
    from harness.records.store import ResultStore

    invalid = [one for one in done.outcomes if one.status == "invalid"]
    if invalid and len(invalid) == len(done.outcomes):
        return say(f"no cell could run: {invalid[0].error}", MISTAKE)
    store = ResultStore(done.store)
    if done.dry_run:
        from harness.cli.rehearsal import forecast

        print("\n".join(forecast(done.outcomes, store, done.workers)), flush=True)
        return 0
    if done.outcomes and all(one.how == "absent" for one in done.outcomes):
        return say(
            f"nothing is stored in {store.root} of the {done.total} cells this command asks for, and cache=only runs none: "
            "leave cache=only out, or give the store.root=DIR that holds them.",
            1,
        )
    code = max(int(done.failed), _written(session, done, store))
    parts = session.plan.parts if session.plan else {}
    folders = [done.output] if len(parts) < 2 else [done.output / name for name in parts]
    for folder in folders:
        _track(done, store, folder)
    print("\n".join([*failures(done.outcomes, store), *files(store, folders)]))
    if done.failed:
        print(f"Run the cells without a result again (finished ones are reused):\n  {again(session.words)}")
    print(summary(done.outcomes, done.total), flush=True)
    return code


def _written(session: Session, done: Finished, store: ResultStore) -> int:
    """Write and print leaderboard, tables and answers; 1 where something could not be."""
    from harness import experiments
    from harness.cli.conclude import conclude
    from harness.cli.outcomes import numbered_outcomes
    from harness.report.leaderboard_files import write

    try:
        if session.plan is not None:
            for said in conclude(session.plan, numbered_outcomes(done.folder), store, done.output):
                print(said, flush=True)
        else:
            print(write(store, done.output), flush=True)
        for name in done.outputs:
            print(f"{name}: {experiments.write(name, store, done.output)}", flush=True)
    except TabOrderError as error:
        return say(str(error), 1)
    return 0


def _track(done: Finished, store: ResultStore, folder: Path) -> None:
    """Mirror a leaderboard where its cells went."""
    from harness.cli.settings import tracker_of

    if not (folder / "leaderboard.csv").is_file() or all(one.how == "reused" for one in done.outcomes):
        return  # as with cells: nothing is new
    note = tracker_of(done.tracker).publish_board(store, folder)
    if note:
        print(note, file=sys.stderr)


def failures(outcomes: Sequence[JobOutcome], store: ResultStore) -> list[str]:
    """Each cell without a result: why, and where its log is."""
    from harness.records.record import SCORED

    lines = []
    lost = [one for one in outcomes if one.status not in SCORED]
    for one in lost[:MOST_NAMED]:
        lines.append(f"{one.label}: {one.status}: {one.error}")
        log = store.runs / one.cell / "log.txt" if one.cell else None
        lines += [f"  log: {log}"] if log and log.is_file() else []
    if len(lost) > MOST_NAMED:
        lines.append(f"and {len(lost) - MOST_NAMED} more without a result: see the report.")
    return lines


def files(store: ResultStore, folders: Sequence[Path]) -> list[str]:
    """Where everything is."""
    found = [
        *(("report", folder / "index.html") for folder in folders),
        *(("tables", folder / "leaderboard.csv") for folder in folders),
        ("records", store.runs),
        ("W&B", store.root / "wandb"),
    ]
    return [f"{name.ljust(8)} {path}" for name, path in found if path.exists()]


def again(words: Sequence[str]) -> str:
    """The command that runs what is missing: the same one, without the wish to redo what is there."""
    kept = [word for word in words if word.partition("=")[0] != "cache"]
    return Redactor().text(f"python -m harness {shlex.join(kept)}".rstrip())
