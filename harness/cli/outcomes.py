"""How the jobs of a sweep ended: one small file each, read back at its end."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.records.files import write_atomic
from harness.records.record import SCORED
from harness.records.redaction import Redactor


@dataclass(frozen=True)
class JobOutcome:
    """How one job of a sweep ended.

    Attributes:
        label: dataset, generator and seed.
        status: a record's status; ``absent`` (``cache=only``), ``invalid`` (a user's mistake) or ``error`` (a defect of the harness).
        how: ``computed``, ``scored``, ``reused`` or ``absent``.
        error: one sentence, or ``None``.
        cell: its path (:attr:`harness.records.record.Cell.path`), or ``None`` when no cell was reached.
    """

    label: str
    status: str
    how: str
    error: str | None = None
    cell: str | None = None

    def save(self, folder: Path, number: int) -> None:
        """Leave the outcome where the end of the sweep finds it; where it cannot be written, say so and go on."""
        path, text = folder / f"outcome-{number:05d}.json", json.dumps(Redactor().value(asdict(self))) + "\n"
        try:
            write_atomic(path, text.encode())
        except OSError as error:
            print(f"{self.label}: {path} cannot be written ({error.strerror})", file=sys.stderr, flush=True)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A sweep that has ended.

    Attributes:
        outcomes: of its jobs, in order.
        total: how many jobs it had.
        folder: where their outcomes lie.
        store: root of the store.
        output: where leaderboard and tables go.
        outputs: research questions to answer at the end.
        tracker: the tracker's spec, or ``None``.
        dry_run: whether its cells were only looked at.
        workers: cells that run at once on this machine.
    """

    outcomes: tuple[JobOutcome, ...]
    total: int
    folder: Path
    store: Path
    output: Path
    outputs: tuple[str, ...] = ()
    tracker: Mapping[str, object] | None = None
    dry_run: bool = False
    workers: int = 1

    @property
    def failed(self) -> bool:
        """Whether any job has no usable result."""
        return len(self.outcomes) < self.total or any(one.status not in SCORED for one in self.outcomes)


def numbered_outcomes(folder: Path) -> dict[int, JobOutcome]:
    """The outcomes by the number of their job, in order."""
    return {
        int(path.stem.removeprefix("outcome-")): JobOutcome(**json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(folder.glob("outcome-*.json"))
    }


def read_outcomes(folder: Path) -> tuple[JobOutcome, ...]:
    """The outcomes in job order."""
    return tuple(numbered_outcomes(folder).values())


def summary(outcomes: Sequence[JobOutcome], total: int | None = None) -> str:
    """The last line of a sweep, e.g. ``8 cells: 7 ok, 1 timeout (5 computed, 3 reused).``"""
    statuses, ways = Counter(one.status for one in outcomes), Counter(one.how for one in outcomes)
    known = ", ".join(
        f"{count} {status}" for status, count in sorted(statuses.items(), key=lambda item: (item[0] != "ok", item[0]))
    )
    lost = (total or len(outcomes)) - len(outcomes)
    if lost:
        known += f"{', ' if known else ''}{lost} without an outcome"
    how = ", ".join(f"{count} {way}" for way, count in sorted(ways.items()))
    return f"{total or len(outcomes)} cells: {known} ({how or 'none ran'})."


def discard_if_empty(folder: Path) -> None:
    """Remove the folder of a sweep that ended before any job did."""
    if folder.is_dir() and not read_outcomes(folder):
        shutil.rmtree(folder, ignore_errors=True)
        for parent in (folder.parent, folder.parent.parent):
            try:
                parent.rmdir()
            except OSError:
                return


Job = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The jobs of a sweep, and which of them each experiment needs.

    Attributes:
        jobs: overrides of each job, by number.
        parts: numbers of the jobs of each experiment; one entry unless experiments are run together.
    """

    jobs: tuple[Job, ...]
    parts: Mapping[str, frozenset[int]]
