"""A second table read as the training table was: test rows, or rows that a tool made elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.datasets import cells
from harness.datasets.arrays import TextColumn
from harness.datasets.reading import TextTable
from harness.forms import BooleanForm
from harness.table import FLOAT_TEXT, TRUTH, Column, Schema

MOSTLY_UNSEEN = 0.5
"""Share of rows with values the training table never has from which on a column is named."""
_NUMBER = re.compile(FLOAT_TEXT, re.ASCII)
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0*", re.ASCII)


def reconcile(table: TextTable, train: TextTable, schema: Schema, dropped: Sequence[str] = ()) -> TextTable:
    """The cells of ``table`` in the plain spelling of ``train``'s columns, with a note for each column that was written otherwise.

    Numbers: the column's form, blanks, ``2.0`` in whole numbers, true and false as 1 and 0. Categories that the training table
    does not have: blanks around them, ``2.0`` for ``2``, zeros in front of numbers that all have one width; only where the result
    is a category of the training table. What is none of that stays as it is.
    """
    kept = {name: text for name, text in table.columns.items() if name not in dropped}
    notes = list(table.notes)
    for name, text in kept.items():
        if name not in schema.names or name not in train.columns:
            continue
        texts = [str(value) for value in text.values.to_pylist()]
        read, how = (
            _numbers(schema[name], texts)
            if schema[name].numeric
            else _categories(schema[name], texts, train.columns[name])
        )
        if read != texts:
            kept[name] = text.mapped(read)
        if how:
            changed = int(sum(n for n, a, b in zip(text.counts, texts, read, strict=True) if a != b))
            notes.append(f"{table.source}, column '{name}': {changed:,} cells are {how}.")
    if not kept:
        return replace(table, notes=tuple(notes))
    return replace(table, columns=kept, notes=tuple(notes))


def _numbers(column: Column, texts: Sequence[str]) -> tuple[list[str], str]:
    read = [text.strip() for text in texts]
    if column.form is not None:
        plain = column.form.plain(read)
        return [text if one is None else one for text, one in zip(read, plain, strict=True)], ""
    how = ""
    odd = [i for i, text in enumerate(read) if not _NUMBER.fullmatch(text)]
    truth = [TRUTH.get(read[i].lower()) for i in odd]
    if odd and None not in truth:
        for i, text in zip(odd, truth, strict=True):
            read[i] = str(text)
        how = "truth values where the training table has 1 and 0, and are read as those"
    elif odd and (spelt := cells.number_form([text for text in read if text])) is not None:
        by_text = dict(zip([text for text in read if text], spelt[1], strict=True))
        read = [by_text.get(text, text) for text in read]
        how = f"numbers written otherwise than in the training table ({texts[odd[0]]!r}), and are read as numbers"
    if column.kind == "integer":
        whole = [match[1] if (match := _WHOLE.fullmatch(text)) else text for text in read]
        if whole != read:
            example = next(text for text, one in zip(read, whole, strict=True) if text != one)
            read, how = whole, f"whole numbers written like {example}, and are read as whole numbers"
    return read, how


def _categories(column: Column, texts: Sequence[str], train: TextColumn) -> tuple[list[str], str]:
    known = set(train.values.to_pylist())
    read = list(texts)
    if isinstance(column.form, BooleanForm):
        read = [text if one is None else one for text, one in zip(texts, column.form.plain(texts), strict=True)]
        changed = [text for text, one in zip(texts, read, strict=True) if text != one]
        return (
            read,
            f"truth values in another spelling ({changed[0]!r}), and are read as the training table's"
            if changed
            else "",
        )
    hows: dict[str, str] = {}
    for label, change in _changes(known).items():
        for i, text in enumerate(read):
            if text not in known and (other := change(text)) in known:
                read[i] = str(other)
                hows.setdefault(label, text)
    return read, "; ".join(
        f"{label} ({text!r}), and are read as the training table's categories" for label, text in hows.items()
    )


def _changes(known: set[str]) -> Mapping[str, Callable[[str], str | None]]:
    """Ways in which a category may be another spelling of one that training has."""
    widths = {len(text) for text in known}
    found: dict[str, Callable[[str], str | None]] = {
        "written with blanks around them": str.strip,
        "whole numbers written with a point": lambda text: match[1] if (match := _WHOLE.fullmatch(text)) else None,
    }
    stripped = {text.strip(): text for text in sorted(known)}
    if len(stripped) == len(known) and stripped.keys() != known:
        found["written without the blanks that the training table has around them"] = lambda text: stripped.get(
            text.strip()
        )
    if len(widths) == 1 and all(text.isdecimal() for text in known):
        width = next(iter(widths))
        found["numbers without their leading zeros"] = lambda text: (
            match[1] if (match := _WHOLE.fullmatch(text)) else text
        ).zfill(width)
    return found


def unseen_notes(table: TextTable, train: TextTable, schema: Schema) -> list[str]:
    """A sentence for each column of categories of which most rows of ``table`` hold values that training never has.

    Columns whose training values hardly repeat are left out: there new values are what one expects.
    """
    notes = []
    for name in schema.categorical:
        if name not in table.columns or name not in train.columns:
            continue
        real, text = train.columns[name], table.columns[name]
        if len(real.values) > 0.5 * max(int(real.counts.sum()), 1):
            continue
        known = set(real.values.to_pylist())
        values = [str(value) for value in text.values.to_pylist()]
        new = np.array([value not in known for value in values], dtype=bool)
        total = int(text.counts.sum())
        share = float(text.counts[new].sum()) / total if total and len(new) else 0.0
        if share < MOSTLY_UNSEEN:
            continue
        example = next(value for value, one in zip(values, new, strict=True) if one)
        lowered = {value.strip().lower() for value in known}
        if (
            known
            and np.mean([value.strip().lower() in lowered for value, one in zip(values, new, strict=True) if one]) > 0.5
        ):
            reason = "they differ in capitals or blanks alone: write both tables alike"
        else:
            shown = next(iter(sorted(known)), "nothing")
            reason = f"the training table has values such as {shown!r}: write both tables alike if these mean the same"
        notes.append(
            f"{table.source}, column '{name}': {share:.0%} of the rows hold values that the training table never has ({example!r}); "
            f"{reason}."
        )
    return notes
