"""What a user says about a table's columns, and what is decided about one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.datasets.advice import override
from harness.datasets.arrays import TextColumn
from harness.table import Column, Task


@dataclass(frozen=True)
class Asked:
    """What a user says about the columns.

    Attributes:
        columns: kinds by column name: ``categorical``, ``integer``, ``float``, ``datetime``, ``boolean``, or a date format.
        target: label column.
        task: of the target; inferred where it is ``None``.
        keep: columns that are named elsewhere (target, condition, rules, dependencies) and never left out.
        ids: ``drop`` leaves out text that differs in every row, ``keep`` models it as categories.
        drop_text: leave out free text.
        strip: take blanks around text away.
        decimal: the decimal mark of numbers such as ``1,234``; ``None`` tells it from the file.
        prefix: of keys in advice: ``dataset.`` for the command line.
    """

    columns: Mapping[str, str]
    target: str | None = None
    task: Task | None = None
    keep: frozenset[str] = frozenset()
    ids: str = "drop"
    drop_text: bool = False
    strip: bool = False
    decimal: str | None = None
    prefix: str = "dataset."

    def advice(self, key: str, value: Mapping[str, str] | Sequence[str] | str | bool) -> str:
        """An override as a user types it."""
        return override(key, value, self.prefix)


@dataclass(frozen=True, eq=False)
class Decision:
    """One column, its cells in the plain spelling, what is to be said, and whether it is left out."""

    column: Column
    text: TextColumn
    notes: tuple[str, ...] = ()
    drop: bool = False
