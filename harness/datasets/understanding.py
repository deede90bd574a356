"""What the columns of a user's table are: one inference for every container, and one sentence for each decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pandas as pd

from harness.datasets import cells
from harness.datasets.advice import override
from harness.datasets.arrays import TextColumn
from harness.datasets.asked import Asked, Decision
from harness.datasets.reading import TextTable
from harness.datasets.text_columns import MANY_CLASSES, row_numbers, text_decision
from harness.errors import TabOrderError, choices
from harness.table import Column, Kind, Schema, Task, infer_column, infer_task

KINDS = ("categorical", "integer", "float", "datetime", "boolean")
VERSIONS = 100
"""Distinct cells up to which a column whose numbers collide (1.1 and 1.10) is kept as text."""


@dataclass(frozen=True, eq=False)
class Understood:
    """A table that was understood.

    Attributes:
        schema: its columns, target and task.
        table: every cell in the plain spelling.
        notes: one sentence for each decision.
        dropped: columns that were left out.
    """

    schema: Schema
    table: TextTable
    notes: tuple[str, ...]
    dropped: tuple[str, ...]


def kinds_of(given: Any) -> dict[str, str]:
    """Kinds by column name from ``{name: kind}``, or from a list of ``{name: …, kind: …}`` where names need quotes.

    Raises:
        TabOrderError: for another form or an unknown kind.
    """
    if isinstance(given, Sequence) and not isinstance(given, str):
        if not all(isinstance(one, Mapping) and set(one) == {"name", "kind"} for one in given):
            raise TabOrderError(f"columns is {given!r}: give kinds by column name, or a list of {{name: …, kind: …}}.")
        given = {str(one["name"]): one["kind"] for one in given}
    if not isinstance(given or {}, Mapping):
        raise TabOrderError(f"columns is {given!r}: give kinds by column name, such as columns: {{zip: categorical}}.")
    found = {str(name): str(kind) for name, kind in (given or {}).items()}
    for name, kind in found.items():
        if kind not in KINDS and "%" not in kind:
            raise TabOrderError(f"column '{name}': {choices(kind, KINDS, 'kind')} Or a date format such as %d/%m/%Y.")
    return found


def understand(table: TextTable, asked: Asked) -> Understood:
    """Infer kinds, forms and the task of a training table.

    Raises:
        TabOrderError: for unknown columns, and for a target that its task cannot use.
    """
    for name in (*asked.columns, *([asked.target] if asked.target is not None else [])):
        if name not in table.columns:
            raise TabOrderError(f"{table.source}: {choices(name, table.names, 'column')}")
    decisions = {name: _decide(name, text, table, asked) for name, text in table.columns.items()}
    kept = {name: one for name, one in decisions.items() if not one.drop}
    if not kept:
        raise TabOrderError(
            f"{table.source}: every column is an id or free text; {asked.advice('ids', 'keep')} keeps them."
        )
    notes = [note for one in decisions.values() for note in one.notes]
    columns = tuple(one.column for one in kept.values())
    plain = replace(table, columns={name: one.text for name, one in kept.items()})
    schema, said = _with_task(columns, plain, asked)
    return Understood(schema, plain, (*_grouped(notes), *said), tuple(name for name in decisions if name not in kept))


def _grouped(notes: Sequence[str]) -> list[str]:
    """Sentences that differ in the column alone become one, so that a wide table does not say one thing 200 times."""
    names: dict[str, list[str]] = {}
    for note in notes:
        start, _, rest = note.partition("': ")
        names.setdefault(rest, []).append(start.removeprefix("column '"))
    found = []
    for rest, columns in names.items():
        shown = ", ".join(f"'{name}'" for name in columns[:8]) + (
            f" and {len(columns) - 8} more" if len(columns) > 8 else ""
        )
        found.append(f"column{'s' if len(columns) > 1 else ''} {shown}: {rest}")
    return found


def _decide(name: str, text: TextColumn, table: TextTable, asked: Asked) -> Decision:
    kind, texts = asked.columns.get(name), [str(value) for value in text.values.to_pylist()]
    if kind == "categorical":
        return Decision(Column(name, "categorical"), text)
    if kind == "datetime" or "%" in (kind or ""):
        return _date(name, text, texts, asked, kind if kind != "datetime" else None)
    if kind == "boolean":
        found = cells.boolean_form(texts, text.counts.tolist())
        if found is None:
            raise TabOrderError(f"{table.source}, column '{name}': cells such as {texts[0]!r} are no truth values.")
        return Decision(Column(name, "categorical", form=found[0]), text.mapped(found[1]))
    number = _number(name, text, texts, asked, kind, table.delimiter)  # type: ignore[arg-type]
    if number is not None or kind is not None:
        return number or Decision(infer_column(name, pd.Series(texts, dtype=object), kind), text)  # type: ignore[arg-type]
    if not texts:
        return Decision(Column(name, "categorical"), text, (f"column '{name}': all cells are missing.",))
    boolean = cells.boolean_form(texts, text.counts.tolist())
    if boolean is not None:
        extra = len(texts) > 2
        note = f"column '{name}': truth values in {len(texts)} spellings, read as {boolean[0].false} and {boolean[0].true}."
        return Decision(Column(name, "categorical", form=boolean[0]), text.mapped(boolean[1]), (note,) if extra else ())
    if cells.date_form(texts) is not None:
        return _date(name, text, texts, asked, None)
    return text_decision(name, text, texts, asked)


def _date(name: str, text: TextColumn, texts: list[str], asked: Asked, form: str | None) -> Decision:
    found = cells.given_date(texts, form)
    if found is None:
        what = f"in the format {form}" if form else "that is understood; name the format"
        raise TabOrderError(
            f"column '{name}': not every cell is a date {what} (the first is {texts[0] if texts else None!r}): "
            f"{asked.advice('columns', {name: '%d/%m/%Y'})} names one, {asked.advice('columns', {name: 'categorical'})} keeps text."
        )
    read, plain, guess = found
    unit = {"M": "months", "D": "days", "s": "seconds", "us": "microseconds"}[read.unit]
    note = f"column '{name}': dates ({read.format}), modelled as numbers of {unit} and written back in that format"
    if read.utc:
        note += ", all in UTC because their offsets differ"
    if guess and form is None:
        other = guess.partition(" ")[0]
        note += f"; {guess}, {asked.advice('columns', {name: other})} chooses it"
    keep = asked.advice("columns", {name: "categorical"})
    return Decision(Column(name, "integer", form=read), text.mapped(plain), (f"{note}; {keep} keeps them as text.",))


def _number(
    name: str, text: TextColumn, texts: list[str], asked: Asked, kind: Kind | None, delimiter: str | None
) -> Decision | None:
    """The column as numbers, where every cell is one in a common spelling."""
    plain = infer_column(name, pd.Series(texts, dtype=object))
    if plain.numeric:
        return _plain_number(name, text, texts, asked, plain, kind)
    tidy = [cell.strip().removeprefix("+") for cell in texts]
    tidied = infer_column(name, pd.Series(tidy, dtype=object))
    if tidied.numeric and texts:
        odd = [cell for cell, bare in zip(texts, tidy, strict=True) if cell != bare]
        count = int(sum(n for n, cell, bare in zip(text.counts, texts, tidy, strict=True) if cell != bare))
        note = f"column '{name}': {count:,} cells have blanks or a plus sign around a number ({odd[0]!r}) and are read as numbers."
        found = _plain_number(name, text.mapped(tidy), list(dict.fromkeys(tidy)), asked, tidied, kind)
        return replace(found, notes=(note, *found.notes))
    comma = asked.decimal or ("," if delimiter not in (None, ",") else None)
    spelt = cells.number_form(texts, comma) if texts else None
    if spelt is None:
        return None
    form, numbers = spelt
    column = infer_column(name, pd.Series(numbers, dtype=object))
    if not column.numeric:
        return None
    if kind is not None:
        column = infer_column(name, pd.Series(numbers, dtype=object), kind)
    said = [
        f"decimal mark '{form.decimal}'" if form.decimal == "," else "",
        f"thousands apart by {form.thousands!r}" if form.thousands else "",
        f"'{form.prefix.strip()}' before" if form.prefix else "",
        f"'{form.suffix.strip()}' after" if form.suffix else "",
    ]
    example = max(texts[:20], key=len)
    note = (
        f"column '{name}': numbers written like {example!r} ({', '.join(filter(None, said))}), read as "
        f"{form.plain([example])[0]} and written back as they came; {asked.advice('columns', {name: 'categorical'})} keeps text."
    )
    places = {len(number.partition(".")[2]) for number in numbers}
    form = replace(form, digits=next(iter(places)) or None if len(places) == 1 else None)
    return Decision(replace(column, form=form), text.mapped(numbers), (note,))


def _plain_number(
    name: str, text: TextColumn, texts: list[str], asked: Asked, column: Column, kind: Kind | None
) -> Decision:
    """Plain numbers: whole ones written with a point, and what a number would not keep of its text."""
    keep, notes = asked.advice("columns", {name: "categorical"}), list[str]()
    if kind is not None:
        return Decision(infer_column(name, pd.Series(texts, dtype=object), kind), text)
    whole = cells.whole_texts(texts)
    if whole is not None and infer_column(name, pd.Series(whole, dtype=object)).kind == "integer":
        example = next(cell for cell in texts if "." in cell)
        note = f"column '{name}': whole numbers written like {example} (as pandas does beside missing cells), read as whole numbers."
        return Decision(Column(name, "integer"), text.mapped(whole), (note,))
    if column.kind == "integer":
        return Decision(column, text, tuple(row_numbers(name, text, texts, asked)))
    zeros, powers = cells.trailing_zeros(texts), cells.exponents(texts)
    merged = len(texts) - len(set(map(float, texts)))
    if zeros and merged and len(texts) <= VERSIONS:
        twin = next((cell for cell in texts if cell not in zeros and float(cell) in set(map(float, zeros))), zeros[0])
        note = (
            f"column '{name}': '{twin}' and '{next(z for z in zeros if float(z) == float(twin))}' would be one number, so the "
            f"column is kept as text (versions?); {asked.advice('columns', {name: 'float'})} reads numbers."
        )
        return Decision(Column(name, "categorical"), text, (note,))
    if zeros:
        notes.append(
            f"column '{name}': cells such as '{zeros[0]}' are read as numbers ({float(zeros[0])}); {keep} keeps text."
        )
    if powers:
        notes.append(
            f"column '{name}': cells such as '{powers[0]}' are read as numbers ({float(powers[0]):g}); {keep} keeps text."
        )
    if column.decimals is not None and np.any(
        np.round(np.array(texts, dtype=float), column.decimals) != np.array(texts, float)
    ):
        longest = max(len(cell.partition(".")[2]) for cell in texts)
        notes.append(
            f"column '{name}': up to {longest} digits after the point; {column.decimals} tell its values apart (a millionth of "
            "their range), so that scores compare and generators write at those."
        )
    return Decision(column, text, tuple(notes))


def _with_task(columns: tuple[Column, ...], table: TextTable, asked: Asked) -> tuple[Schema, list[str]]:
    if asked.target is None:
        return Schema(columns, None, asked.task), []
    target = Schema(columns)[asked.target]
    text, notes = table.columns[asked.target], list[str]()
    distinct, rows = len(text.values), int(text.counts.sum())
    task = asked.task or infer_task(target, text.values.to_pylist())
    schema = Schema(columns, asked.target, task)
    check_task(schema, asked.prefix)
    if asked.task is None:
        notes.append(
            f"target '{target.name}': {distinct:,} distinct values of kind {target.kind}, so the task is {task}; "
            f"{asked.advice('task', next(one for one in get_args(Task) if one != task))} says otherwise."
            if target.numeric
            else f"target '{target.name}': {distinct:,} classes, so the task is {task}."
        )
    if task == "classification" and distinct > max(20, MANY_CLASSES * rows):
        notes.append(
            f"target '{target.name}': {distinct:,} classes in {rows:,} rows: (nearly) every row is a class of its own, which "
            "nothing can learn; scores of the target will say little. Name another target, or make it a number."
        )
    if distinct < 2:
        notes.append(f"target '{target.name}': only {distinct} value in {rows:,} rows: nothing can be predicted.")
    return schema, notes


def check_task(schema: Schema, prefix: str = "dataset.") -> None:
    """Refuse regression on text.

    Raises:
        TabOrderError: with both ways out.
    """
    if schema.target is not None and schema.task == "regression" and not schema[schema.target].numeric:
        raise TabOrderError(
            f"target '{schema.target}' is text, and task=regression needs numbers: give {prefix}task=classification, or "
            f"{override('columns', {schema.target: 'float'}, prefix)} if its cells are numbers."
        )
