"""Replay a store into Weights & Biases: ``python -m harness.sync store.root=DIR [tracker.mode=online]``; ``--help`` lists the keys."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cli.display import overall
from harness.commands import Command
from harness.errors import TabOrderError
from harness.records.store import ResultStore
from harness.tracking import WandbTracker
from harness.tracking.publication import Published

COMMAND = Command(
    "harness.sync",
    "Replay a store into Weights & Biases: every record and the leaderboard. Doing it again pushes nothing twice.",
    {
        "store.root=DIR": "the store, a folder that holds runs/",
        "output=DIR": "where the leaderboard is written and read (default: the store)",
        "tracker.mode=auto|online|offline": "auto: online when logged in, else offline (default: auto)",
        "tracker.project=NAME": "W&B project (default: taborder)",
        "tracker.entity=NAME": "user or team (default: that of whoever is logged in)",
        "tracker.group=NAME": "run group (default: each record's sweep)",
        "tracker.dir=DIR": "where the folder wandb/ goes (default: the store)",
        "tracker.timeout=SECONDS": "for one run (default: 60)",
        "tracker.tables=true|false": "whether synthetic rows may leave this machine (default: true)",
        "tracker.figures=true|leaderboard|false": "whether figures are drawn as images: of cells too, of the leaderboard alone, none (default: true)",
    },
    required=("store.root",),
    examples=(
        "python -m harness.sync store.root=results",
        "python -m harness.sync store.root=results tracker.mode=online tracker.project=paper",
    ),
)
TRACKER_OPTIONS = ("project", "entity", "mode", "group", "dir", "timeout", "tables", "figures")
DEFAULT_TIMEOUT = 60.0  # nobody waits for a cell here


@dataclass
class Outcome:
    """How many runs ended how (:class:`harness.tracking.wandb_tracker.Published`), and what there is to say."""

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, published: Published) -> None:
        """Count one run."""
        self.counts[published.how] += 1
        if published.note:
            self.notes.append(published.note)

    def sentence(self) -> str:
        """The last line of the command."""
        pushed = sum(self.counts[how] for how in ("online", "uploading", "offline"))
        where = ", ".join(f"{self.counts[how]} {how}" for how in ("online", "uploading", "offline") if self.counts[how])
        detail = f" ({where})" if where else ""
        return (
            f"{pushed} pushed{detail}, {self.counts['skipped']} skipped (already there), {self.counts['failed']} failed"
        )


def sync(store: ResultStore, tracker: WandbTracker, output: Path) -> Outcome:
    """Publish every readable record, then the leaderboard.

    Raises:
        TabOrderError: when the store holds no record.
    """
    records, problems = store.records()
    outcome = Outcome(notes=[f"{problem.path}: {problem.reason}" for problem in problems])
    if not records:
        raise TabOrderError(
            f"there is no record under {store.runs}: give the folder a sweep wrote to as store.root=DIR."
        )
    begin = time.monotonic()
    for number, record in enumerate(records, start=1):
        cell = record.cell
        try:
            published = tracker.publish_cell(record, store)
        except TabOrderError as error:
            published = Published("failed", note=str(error))
        outcome.add(published)
        where = f" {published.where}" if published.where else ""
        pace = overall(number, len(records), time.monotonic() - begin)
        print(f"[{pace}] {cell.dataset} {cell.generator} seed {cell.seed}: {published.how}{where}", flush=True)
    from harness.report.leaderboard_files import write

    write(store, output)
    published = tracker.publish_leaderboard(records, store, output)
    outcome.add(published)
    print(f"leaderboard: {published.how}{f' {published.where}' if published.where else ''}", flush=True)
    tracker.close()
    return outcome


def parse(words: Sequence[str]) -> tuple[ResultStore, WandbTracker, Path]:
    """Read ``key=value`` words.

    Raises:
        TabOrderError: for a word that is not ``key=value``, an unknown key or an illegal value.
    """
    given = COMMAND.parse(words)
    root = Path(given["store.root"])
    if not root.is_dir():
        raise TabOrderError(f"store.root={root} is not a folder: give the folder a sweep wrote to.")
    options: dict[str, Any] = {"timeout": DEFAULT_TIMEOUT, **_tracker_options(given)}
    return ResultStore(root), WandbTracker(**options), Path(given.get("output") or root)


def _tracker_options(given: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name in TRACKER_OPTIONS:
        value = given.get(f"tracker.{name}")
        if value is None or (value in ("", "null") and name in ("entity", "group", "dir")):
            continue
        options[name] = value
    if "timeout" in options:
        try:
            options["timeout"] = float(options["timeout"])
        except ValueError:
            raise TabOrderError(f"tracker.timeout={options['timeout']} is not a number of seconds.") from None
    for name in ("tables", "figures"):  # other words are refused by the tracker
        if options.get(name) in ("true", "false"):
            options[name] = options[name] == "true"
    return options


def _act(words: Sequence[str]) -> int:
    store, tracker, output = parse(words)
    outcome = sync(store, tracker, output)
    for note in dict.fromkeys(outcome.notes):
        print(note, file=sys.stderr)
    print(outcome.sentence())
    missed = tracker.mode == "online" and outcome.counts["offline"]
    return 1 if outcome.counts["failed"] or missed else 0


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code: 1 when a run could not be published as asked."""
    return COMMAND.run(_act, words)


if __name__ == "__main__":
    raise SystemExit(main())
