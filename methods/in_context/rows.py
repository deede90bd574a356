"""Rows ↔ text for a language model used as it is: JSON Lines in the prompt, rows parsed from the answer without loss.

One JSON object a row was chosen over CSV because quotes, commas, line breaks and missing cells are unambiguous, every value stands
beside its column's name (so any column order can be shown), and language models have seen much of it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.table import FLOAT_TEXT, INTEGER_TEXT, Column, Schema, format_cell

Domains = Mapping[str, frozenset[str]]


class Number(str):
    """A number as the model wrote it."""


@dataclass(frozen=True)
class Attempt:
    """One row in an answer: its cells by column, or the reason why it is none."""

    row: Mapping[str, Any] | None
    reason: str | None = None


def domains(train: pd.DataFrame, schema: Schema) -> Domains:
    """The categories of each categorical column."""
    return {name: frozenset(train[name].dropna()) for name in schema.categorical}


def write_row(row: Mapping[str, Any], schema: Schema, order: Sequence[str]) -> str:
    """One canonical row as a JSON object: numbers with the column's decimals, ``null`` where missing."""
    return "{" + ", ".join(f"{quoted(name)}: {_literal(schema[name], row[name])}" for name in order) + "}"


def quoted(text: str) -> str:
    """A JSON string."""
    return json.dumps(text, ensure_ascii=False)


def _literal(column: Column, value: Any) -> str:
    text = format_cell(column, value)
    if text is None:
        return "null"
    return text if column.numeric else quoted(text)


def parse_answer(text: str, schema: Schema, known: Domains, *, cut: bool) -> tuple[list[Attempt], int]:
    """Read the rows of an answer.

    A row starts with ``{``; whatever stands between rows (prose, code fences, brackets and commas of a JSON array) is no row.

    Args:
        text: the answer.
        schema: of the table.
        known: legal categories.
        cut: whether the answer ended for lack of tokens, so that its last row may be incomplete.

    Returns:
        The attempts in order, and the number of lines that were not part of a row and hold a letter or digit.
    """
    attempts: list[Attempt] = []
    outside: list[str] = []
    position = 0
    for start, end, pairs in _objects(text):
        outside.append(text[position:start])
        position = end
        if pairs is None:
            attempts.append(Attempt(None, "cut" if cut and end == len(text) else "unparsable"))
        else:
            attempts.append(_read_row(pairs, schema, known))
    outside.append(text[position:])
    ignored = sum(bool(re.search(r"\w", line)) for part in outside for line in part.splitlines())
    return attempts, ignored


def _objects(text: str) -> Iterator[tuple[int, int, list[tuple[str, Any]] | None]]:
    """Where JSON objects start and end, with their (key, value) pairs, ``None`` where one cannot be read."""
    decoder = json.JSONDecoder(
        object_pairs_hook=list, parse_int=Number, parse_float=Number, parse_constant=Number, strict=True
    )
    start = text.find("{")
    while start >= 0:
        try:
            pairs, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            line_end = text.find("\n", start)
            pairs, end = None, len(text) if line_end < 0 else line_end
            if not text[end:].strip():
                end = len(text)
        yield start, end, pairs
        start = text.find("{", end)


def _read_row(pairs: list[tuple[str, Any]], schema: Schema, known: Domains) -> Attempt:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        return Attempt(None, "duplicate_column")
    row = dict(pairs)
    if set(keys) - set(schema.names):
        return Attempt(None, "unknown_column")
    if len(keys) < len(schema.names):
        return Attempt(None, "missing_column")
    cells: dict[str, Any] = {}
    for column in schema.columns:
        reason, cells[column.name] = _read_cell(column, row[column.name], known)
        if reason:
            return Attempt(None, reason)
    return Attempt(cells)


def _read_cell(column: Column, value: Any, known: Domains) -> tuple[str | None, Any]:
    """``(reason, None)`` or ``(None, canonical cell)``. Quoted numbers count as numbers, and bare numbers as their text."""
    if value is None:
        return None, None
    if not isinstance(value, str):
        return "unparsable_value", None
    if column.kind == "categorical":
        return (None, str(value)) if value in known[column.name] else ("unknown_category", None)
    if re.fullmatch(INTEGER_TEXT if column.kind == "integer" else FLOAT_TEXT, value) is None:
        return "unparsable_value", None
    number = int(value) if column.kind == "integer" else float(value)
    return (None, number) if math.isfinite(number) else ("unparsable_value", None)
