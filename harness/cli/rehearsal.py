"""``dry_run=true``: what a sweep would do, and how long it may take, from what its store has seen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean

from harness.cli.outcomes import JobOutcome
from harness.execution.cell import Todo, look
from harness.execution.job import Job
from harness.execution.progress import seconds
from harness.records.record import SCORED, Record
from harness.records.store import ResultStore

PLANNED = "planned"
"""The status of a cell that was only looked at."""
WAYS = {Todo.NOTHING: "reused", Todo.SCORE: "to score", Todo.MAKE: "to run"}


def rehearse(job: Job, label: str) -> JobOutcome:
    """What running the job would do; nothing is run or written."""
    return JobOutcome(label, PLANNED, WAYS[look(job).todo], None, job.cell.path)


def forecast(outcomes: Sequence[JobOutcome], store: ResultStore, workers: int) -> list[str]:
    """Sentences: cells, what is there, seconds and disk to come.

    Args:
        outcomes: of the rehearsed cells.
        store: whose finished cells are the measure: those of the same generator on the same dataset, else of the same generator.
        workers: cells that run at once.
    """
    ways = Counter(one.how for one in outcomes)
    counts = ", ".join(f"{ways[way]} {way}" for way in (*WAYS.values(), "absent") if ways[way])
    invalid = [one for one in outcomes if one.status == "invalid"]
    lines = [f"{len(outcomes)} cells: {counts or 'none'}; nothing was run (dry_run=true)."]
    lines += [f"{one.label}: {one.error}" for one in invalid[:5]]
    coming = [one for one in outcomes if one.how == WAYS[Todo.MAKE] and one.cell]
    if not coming:
        return lines
    known, unknown = _known_seconds(coming, store)
    if known:
        lines.append(
            f"About {seconds(sum(known) / workers)} for {len(known)} of the {len(coming)} cells to run, by finished cells of the same "
            f"generators in {store.root} ({workers} at once)."
        )
    if unknown:
        lines.append(f"No finished cell tells how long {', '.join(sorted(set(unknown)))} takes.")
    bytes_a_cell = _mean_bytes(store)
    if bytes_a_cell:
        lines.append(f"About {bytes_a_cell * len(coming) / 2**20:,.1f} MiB of disk.")
    return lines


def _known_seconds(coming: Sequence[JobOutcome], store: ResultStore) -> tuple[list[float], list[str]]:
    """Seconds of the cells that others tell of, and the generators of those that none does."""
    spent: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for record in store.records()[0] if store.runs.is_dir() else []:
        if record.status in SCORED:
            spent[record.cell.dataset, record.cell.generator].append(_seconds(record))
            spent[(record.cell.generator,)].append(_seconds(record))
    known, unknown = [], []
    for one in coming:
        dataset, generator = str(one.cell).split("/")[:2]
        found = spent.get((dataset, generator)) or spent.get((generator,))
        if found:
            known.append(fmean(found))
        else:
            unknown.append(generator)
    return known, unknown


def _seconds(record: Record) -> float:
    cost = record.cost
    return sum(part or 0.0 for part in (cost.fit_seconds, cost.sample_seconds, cost.evaluate_seconds))


def _mean_bytes(store: ResultStore) -> float:
    sizes = [
        sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        for folder in store.runs.glob("*/*/*")
        if folder.is_dir()
    ]
    return fmean(sizes) if sizes else 0.0
