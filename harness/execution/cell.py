"""Run one cell: reuse what the store has, make the table, score it, write the record. Failure is a value."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Literal

from harness.datasets import stored
from harness.errors import TabOrderError
from harness.execution.job import Evaluation, Job
from harness.execution.making import make_table, stored_generation
from harness.execution.messages import Generation
from harness.execution.progress import CellProgress
from harness.execution.scoring import score_table
from harness.records import provenance
from harness.records.archive import MARK
from harness.records.record import SCORED, Cell, Cost, Record

How = Literal["computed", "scored", "reused", "absent"]
LEFTOVERS = ("generation.json", "synthetic.parquet", "record.json", "log.txt", MARK)


class Todo(Enum):
    """What is left to do for a cell."""

    NOTHING = "nothing"
    SCORE = "score the stored table by the metrics that its record lacks"
    MAKE = "make the table, and score it"


@dataclass(frozen=True)
class Known:
    """What the store has of a cell, and what that leaves to do.

    Attributes:
        todo: what is left.
        record: the stored record, where it may be used.
        made: how making its table ended, where the table is still there.
        evaluation: the metrics that are left, for ``SCORE``.
    """

    todo: Todo
    record: Record | None = None
    made: Generation | None = None
    evaluation: Evaluation | None = None


@dataclass(frozen=True)
class CellResult:
    """A record and how it came about; ``record`` is ``None`` only for ``absent`` (``cache=only`` found nothing)."""

    cell: Cell
    how: How
    record: Record | None


def run_cell(job: Job, progress: CellProgress | None = None) -> CellResult:
    """Run a cell, or reuse its record.

    Raises:
        TabOrderError: for a user's mistake (nothing is stored then) or a store that cannot be written.
    """
    cell = job.cell
    show = progress or CellProgress(cell.label)
    try:
        if job.cache == "only" and not job.folder.exists():
            return CellResult(cell, "absent", None)
        known = look(job)  # takes no lock, so that a read-only store can be reused
        if known.todo is Todo.NOTHING:
            return CellResult(cell, "reused", known.record)
        with job.store.lock(cell, on_wait=lambda: show.say("another process works on this cell; waiting for it")):
            return _run_locked(job, show)
    except OSError as error:
        raise TabOrderError(
            f"cannot use the store {job.store.root} ({error}): check its permissions and free space, or choose another with store.root=DIR."
        ) from None


def look(job: Job) -> Known:
    """What the store has of the cell, and what is left to do."""
    if job.cache == "overwrite":
        return Known(Todo.MAKE)
    record, made = job.store.read(job.cell), stored_generation(job.folder)
    archived = (job.folder / MARK).is_file()
    if record is None or record.status not in SCORED or (made is None and not archived):
        return Known(Todo.MAKE, record, made)
    if job.cache == "only":
        return Known(Todo.NOTHING, record, made)
    left = job.evaluation.lacking(record.evaluation, job.dataset)
    if made is None and left.metrics:  # of an archive: to be scored anew, its table has to be made again
        return Known(Todo.MAKE)
    return Known(Todo.SCORE if left.metrics else Todo.NOTHING, record, made, left)


def _run_locked(job: Job, show: CellProgress) -> CellResult:
    cell, known = job.cell, look(job)
    if known.todo is Todo.NOTHING:  # whoever held the cell before has done it
        return CellResult(cell, "reused", known.record)
    if job.cache == "only":
        return CellResult(cell, "absent", known.record)
    dataset_dir = stored.save(job.dataset, job.store.dataset_dir(cell.dataset, cell.dataset_checksum))
    if known.todo is Todo.SCORE:
        assert known.record is not None
        assert known.made is not None
        assert known.evaluation is not None
        return CellResult(
            cell, "scored", score_table(job, known.record, known.made, known.evaluation, dataset_dir, show)
        )
    return CellResult(cell, "computed", _compute(job, known.made, dataset_dir, show))


def _compute(job: Job, made: Generation | None, dataset_dir: Path, show: CellProgress) -> Record:
    """Make the table, unless an interrupted attempt has ``made`` it, and score it."""
    work = job.folder / "work"
    record = _begun(job)
    if made is None:
        if job.cache == "overwrite":
            shutil.rmtree(work, ignore_errors=True)
        for name in LEFTOVERS:
            (job.folder / name).unlink(missing_ok=True)
        made = make_table(job, show)
    record = _with_generation(record, made)
    if made.result is None or record.status not in SCORED:
        job.store.write(record)
        return record
    record = score_table(job, record, made, job.evaluation, dataset_dir, show)
    shutil.rmtree(work, ignore_errors=True)
    return record


def _begun(job: Job) -> Record:
    """The record as far as it is known before anything ran."""
    return Record(
        cell=job.cell,
        status="failed",
        schema=job.dataset.schema.to_json(),
        environment={**provenance.describe(), "threads": job.threads, **job.facts},
        notes=(*job.dataset.notes, *job.notes),
        command=None if job.command is None else job.redactor.text(job.command),
        sweep=job.sweep,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        rows=job.dataset.sizes,
    )


def _with_generation(record: Record, made: Generation) -> Record:
    """The record, with how making the table ended."""
    cost = Cost(
        fit_seconds=made.fit_seconds,
        sample_seconds=made.sample_seconds,
        peak_memory_bytes=made.peak_memory_bytes,
        peak_gpu_memory_bytes=made.peak_gpu_memory_bytes,
    )
    record = replace(record, status=made.status, error=made.error, cost=cost)
    if made.status not in SCORED or made.result is None:
        return replace(record, log_tail=tuple(made.log_tail))
    return replace(
        record,
        yield_=made.result.yield_,
        generator_info=made.result.info,
        notes=(*record.notes, *made.result.notes),
    )
