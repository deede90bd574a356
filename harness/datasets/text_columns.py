"""Columns that are no numbers: categories, and a sentence on what they may be instead (ids, free text, dirty numbers)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from harness.datasets import cells
from harness.datasets.arrays import TextColumn
from harness.datasets.asked import Asked, Decision
from harness.table import Column

MOSTLY_NUMBERS = 0.5
"""Share of cells from which on a text column is named as one of numbers with odd cells."""
ID_ROWS, TEXT_LENGTH, MANY_CLASSES = 50, 40, 0.5
"""An id has that many rows at least; free text is so long on average; more classes per row make no class target."""


def row_numbers(name: str, text: TextColumn, texts: list[str], asked: Asked) -> list[str]:
    """A sentence where whole numbers only count the rows, or carry an id's name and never repeat."""
    rows = len(text.codes) - text.missing
    if rows < ID_ROWS or len(texts) < rows or name == asked.target:
        return []
    numbers = [int(cell) for cell in texts]
    counting = max(numbers) - min(numbers) < 1.05 * rows
    if not counting and not re.search(r"(?:^|[^a-z])(?:id|key|uuid|number|nr|no)$", name.lower()):
        return []
    what = "count the rows" if counting else "differ in every row"
    return [
        f"column '{name}': its whole numbers {what}, as an id does; they are modelled as numbers; "
        f"{asked.advice('drop_columns', [name])} leaves them out."
    ]


def text_decision(name: str, text: TextColumn, texts: list[str], asked: Asked) -> Decision:
    """Categories, and a sentence on what they may be instead."""
    if asked.strip:
        text = text.mapped([cell.strip() for cell in texts])
        texts = [str(value) for value in text.values.to_pylist()]
    counts, rows = text.counts, int(text.counts.sum())
    column, notes, drop = Column(name, "categorical"), list[str](), False
    numbers = np.array([cells.is_number(cell) for cell in texts], dtype=bool)
    share = float(counts[numbers].sum()) / rows if rows else 0.0
    unique = len(texts) >= 0.99 * rows and rows >= ID_ROWS
    length = float(np.mean([len(cell) for cell in texts]))
    if numbers.all():
        notes.append(_digits(name, texts))
    elif share >= MOSTLY_NUMBERS and numbers.sum() > 2:
        notes.append(_odd_cells(name, texts, counts, numbers, share, asked))
    elif length >= TEXT_LENGTH and len(texts) > 0.1 * rows:
        drop = asked.drop_text and name not in asked.keep
        what = (
            "left out (drop_text=true)"
            if drop
            else (
                f"modelled as categories, which generators copy word for word; {asked.advice('drop_text', True)} leaves it out"
            )
        )
        notes.append(f"column '{name}': free text ({length:.0f} characters on average), {what}.")
    elif unique:
        drop = asked.ids == "drop" and name not in asked.keep
        what = "uuids" if all(cells.UUID.fullmatch(cell) for cell in texts[:100]) else "different in (nearly) every row"
        how = (
            f"left out; {asked.advice('ids', 'keep')} models them as categories, which generators copy"
            if drop
            else "modelled as categories, which generators copy word for word; "
            f"{asked.advice('drop_columns', [name])} leaves them out"
        )
        notes.append(f"column '{name}': ids ({what}: {len(texts):,} in {rows:,} cells), {how}.")
    elif len(texts) > MANY_CLASSES * rows and rows >= ID_ROWS and name != asked.target:
        notes.append(
            f"column '{name}': {len(texts):,} different texts in {rows:,} cells are modelled as categories, which generators "
            f"copy word for word; {asked.advice('drop_columns', [name])} leaves them out."
        )
    padded = int(counts[[cell != cell.strip() for cell in texts]].sum()) if texts else 0
    if padded:
        notes.append(
            f"column '{name}': {padded:,} cells have blanks around them and differ from those without; "
            f"{asked.advice('strip', True)} takes the blanks away."
        )
    return Decision(column, text, tuple(notes), drop)


def _digits(name: str, texts: list[str]) -> str:
    zero = next((cell for cell in texts if re.match(r"[+-]?0[0-9]", cell.strip())), None)
    if zero is not None:
        return f"column '{name}': numbers with leading zeros ('{zero}') are codes and kept as text."
    longest = max(texts, key=len)
    return f"column '{name}': numbers such as '{longest}' are too long to be exact as numbers and kept as text."


def _odd_cells(
    name: str, texts: list[str], counts: np.ndarray[Any, Any], numbers: np.ndarray[Any, Any], share: float, asked: Asked
) -> str:
    order = sorted(np.flatnonzero(~numbers), key=lambda i: (-counts[i], texts[i]))
    shown = ", ".join(f"{texts[i]!r} {counts[i]:,}" for i in order[:5]) + (", …" if len(order) > 5 else "")
    odd = int(counts[~numbers].sum())
    exact = f"{share:.1%}" if share > 0.99 else f"{share:.0%}"
    repair = asked.advice("missing", [texts[i] for i in order[:5]])
    more = " (and the others)" if len(order) > 5 else ""
    return (
        f"column '{name}': {exact.replace('%', ' %')} of the cells are numbers, {odd:,} are not ({shown}), so the column is read as "
        f"text, a category a number; {repair} reads them{more} as missing."
    )
