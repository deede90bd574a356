"""Two real tables of one kind, from files or frames: one way to read them for every command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from harness.datasets.asked import Asked
from harness.datasets.reading import TextTable, canonical, read_text, table_of_frame
from harness.datasets.reconcile import reconcile, unseen_notes
from harness.datasets.understanding import Understood, understand
from harness.errors import TabOrderError, choices

Source = pd.DataFrame | str | Path


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        missing: cells that stand for a missing value, beside the empty one.
        empty_is_missing: whether the empty cell does.
        delimiter: between CSV cells; ``None`` sniffs it.
        header: whether a CSV file's first row has names; ``None`` tells it from the rows.
        drop: columns to leave out, ``""`` for one without a name.
    """

    missing: Sequence[str] = ()
    empty_is_missing: bool = True
    delimiter: str | None = None
    header: bool | None = None
    drop: Sequence[str] = ()

    def read(self, source: Source, label: str) -> TextTable:
        """A file or frame as text; ``label`` is what messages call a frame."""
        missing = [*self.missing, *([""] if self.empty_is_missing else [])]
        if isinstance(source, pd.DataFrame):
            return table_of_frame(source, missing=missing, source=label, drop=self.drop)
        return read_text(source, missing=missing, delimiter=self.delimiter, header=self.header, drop=self.drop)


@dataclass(frozen=True, eq=False)
class Real:
    """The real tables.

    Attributes:
        understood: what the training table's columns are.
        train: canonical rows.
        test: canonical rows; ``None`` where there is no second table.
        notes: one sentence for each decision.
    """

    understood: Understood
    train: pd.DataFrame
    test: pd.DataFrame | None
    notes: tuple[str, ...]


def read_real(
    train: Source, test: Source | None, asked: Asked, reading: Reading, others: Sequence[Source] = ()
) -> Real:
    """Read and understand a training table, and a test table as the training table was.

    ``others`` are tables that may have columns to drop as well.

    Raises:
        TabOrderError: for files that cannot be read or do not match, and columns to drop that neither has.
    """
    text = reading.read(train, "train")
    other = None if test is None else reading.read(test, "test")
    _check_dropped(reading, (train, test, *others), text)
    understood = understand(text, asked)
    notes = [*text.notes, *understood.notes]
    if reading.drop:
        notes.append(f"columns left out: {', '.join(reading.drop)}.")
    rows, held_out = canonical(understood.table, understood.schema, asked.prefix), None
    if other is not None:
        other = reconcile(other, understood.table, understood.schema, understood.dropped)
        held_out = canonical(other, understood.schema, asked.prefix)
        notes += [*other.notes, *unseen_notes(other, understood.table, understood.schema)]
    return Real(understood, rows, held_out, tuple(dict.fromkeys(notes)))


def _check_dropped(reading: Reading, sources: Sequence[Source | None], kept: TextTable) -> None:
    """Names to leave out must stand in one of the tables; an unnamed column may be gone already."""
    names, known = reading.drop, set(kept.names)
    if set(names) <= known:
        return
    all_columns = replace(reading, drop=[""])
    for source in sources:
        if source is not None:
            known |= set(all_columns.read(source, kept.source).names)
    for name in names:
        if name not in known and name.strip():
            raise TabOrderError(f"{kept.source}: {choices(name, known, 'column')}")
    if not kept.columns:
        raise TabOrderError(f"{kept.source}: no column is left after dropping {list(names)}.")
