"""Portable results: ``python -m harness.archive export|import|verify|diff``."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.commands import Command
from harness.errors import TabOrderError, choices
from harness.records import archive
from harness.records.archive import Archived
from harness.records.record import SCORED, Record
from harness.records.store import ResultStore
from harness.seeding import rng

VERBS = ("export", "import", "verify", "diff")
SAME = 1e-12
"""Scores that differ by no more are equal: sums of floats may be ordered otherwise on another machine."""
MOST_NAMED = 20

COMMAND = Command(
    "harness.archive",
    """A store's records in one file: export it, import it into a store (its cells then count as done), make some of its cells again
to verify them, or compare two stores or archives.""",
    {
        "store.root=DIR": "the store to export, or to import into (default: results)",
        "file=FILE": "the archive",
        "dataset=NAME,NAME": "only these datasets (default: all)",
        "generator=NAME,NAME": "only these generators (default: all)",
        "without=NAME,NAME": "all but these generators",
        "sweep=NAME": "only records of this sweep",
        "cells=N": "verify: how many cells are made again (default: 3)",
        "seed=N": "verify: which (default: 0)",
        "one=PLACE": "diff: a store's folder or an archive",
        "other=PLACE": "diff: another one",
    },
    examples=(
        "python -m harness.archive export store.root=results file=results.archive",
        "python -m harness.archive import file=results.archive store.root=elsewhere",
        "python -m harness.archive verify file=results.archive cells=3",
        "python -m harness.archive diff one=results.archive other=elsewhere",
    ),
    names="export|import|verify|diff",
)


def export_store(store: ResultStore, file: Path, given: dict[str, str]) -> str:
    """Write the archive; returns what to print."""
    names = {key: set(filter(None, given.get(key, "").split(","))) for key in ("dataset", "generator", "without")}

    def keep(record: Record) -> bool:
        cell = record.cell
        return (
            (not names["dataset"] or cell.dataset in names["dataset"])
            and (not names["generator"] or cell.generator in names["generator"])
            and cell.generator not in names["without"]
            and given.get("sweep") in (None, "", record.sweep)
        )

    cells = archive.collect(store, keep)
    total = archive.write(file, cells)
    return f"{file}: {len(cells)} cells, {file.stat().st_size / 2**20:.2f} MiB, SHA-256 of its records {total}"


def verify(file: Path, count: int, seed: int) -> tuple[list[str], bool]:
    """Make some of its cells again, by the commands in their records, and compare tables and scores.

    Returns:
        A sentence a cell, and whether all came out the same.
    """
    cells = [one for one in archive.read(file) if (record := one.record).status in SCORED and record.command]
    if not cells:
        raise TabOrderError(f"{file} holds no cell with scores and the command that made it: nothing to verify.")
    order = rng(seed, "verify").permutation(len(cells))[:count]
    lines, all_same = [], True
    with tempfile.TemporaryDirectory(prefix="taborder-verify-") as folder:
        for one in (cells[i] for i in sorted(order)):
            said, same = _made_again(one, ResultStore(folder))
            lines.append(f"{one.path}: {said}")
            all_same &= same
    return lines, all_same


def _made_again(one: Archived, store: ResultStore) -> tuple[str, bool]:
    import shlex

    from harness.cli.composition import composed
    from harness.cli.settings import job_of
    from harness.execution.cell import run_cell

    words = [word for word in shlex.split(str(one.record.command))[3:] if not word.startswith(("store.root=", "hydra"))]
    with composed([*words, f"store.root={store.root}", "tracker=none"]) as config:
        job = job_of(config)
    if job.cell.path != one.path:
        return f"its command makes another cell here, {job.cell.path}: code or data differ", False
    record = run_cell(job).record
    assert record is not None
    if record.status not in SCORED:
        return f"ended {record.status} ({record.error})", False
    data = (job.folder / "synthetic.parquet").read_bytes()
    table = "the same table" if hashlib.sha256(data).hexdigest() == one.table else "another table"
    different = differing_scores(one.record, record)
    scores = f"{len(different)} of {len(one.record.scores)} scores differ" if different else "the same scores"
    return f"{table}, {scores}", not different


def differing_scores(one: Record, other: Record) -> list[str]:
    """Names of the scores of ``one`` that ``other`` has with another value."""
    values = {score.metric: score.value for score in other.scores}
    return [s.metric for s in one.scores if s.metric in values and not _equal(s.value, values[s.metric])]


def _equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= SAME * max(1.0, abs(one))


def diff(one: Path, other: Path) -> tuple[list[str], bool]:
    """Cells that one place has and the other lacks, and scores that differ; also whether there are none of either."""
    first, second = (_cells(place) for place in (one, other))
    lines = []
    for place, own, theirs in ((one, first, second), (other, second, first)):
        only = sorted(own.keys() - theirs.keys())
        lines += [f"only in {place}: {path}" for path in only[:MOST_NAMED]]
        lines += [f"and {len(only) - MOST_NAMED} more only in {place}"] if len(only) > MOST_NAMED else []
    for path in sorted(first.keys() & second.keys()):
        if first[path].status != second[path].status:
            lines.append(f"{path}: {first[path].status}, there {second[path].status}")
        different = differing_scores(first[path], second[path])
        if different:
            lines.append(f"{path}: {len(different)} scores differ, e.g. {different[0]}")
    return lines or [f"the same {len(first)} cells, statuses and scores"], not lines


def _cells(place: Path) -> dict[str, Record]:
    if place.is_file():
        return {one.path: one.record for one in archive.read(place)}
    if not (place / "runs").is_dir():
        raise TabOrderError(f"{place} is neither an archive nor a store (no runs/ folder): give one of them.")
    return {record.cell.path: record for record in ResultStore(place).records()[0]}


def _act(words: Sequence[str]) -> int:
    verb, *rest = words or [""]
    if verb not in VERBS:
        raise TabOrderError(
            choices(verb, VERBS, "action") + " Write it first, as in: harness.archive export file=FILE."
        )
    given = COMMAND.parse(rest)
    needed = {"diff": ("one", "other")}.get(verb, ("file",))
    for key in needed:
        if not given.get(key):
            raise TabOrderError(f"harness.archive {verb} needs {COMMAND.legal()[key]}.")
    store, file = ResultStore(given.get("store.root") or "results"), Path(given.get("file", ""))
    if verb == "export":
        print(export_store(store, file, given))
        return 0
    if verb == "import":
        put, there = archive.unpack(archive.read(file), store)
        print(
            f"{put} cells imported into {store.root}, {there} were there already; cache=missing runs what is missing."
        )
        return 0
    if verb == "verify":
        lines, same = verify(file, _whole(given, "cells", 3), _whole(given, "seed", 0))
    else:
        lines, same = diff(Path(given["one"]), Path(given["other"]))
    print("\n".join(lines))
    return 0 if same else 1


def _whole(given: dict[str, str], key: str, default: int) -> int:
    text = given.get(key) or str(default)
    if not text.isdigit():
        raise TabOrderError(f"{key}={text} is not a whole number.")
    return int(text)


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return COMMAND.run(_act, words)


if __name__ == "__main__":
    sys.exit(main())
