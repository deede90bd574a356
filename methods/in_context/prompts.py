"""What a language model is shown: the columns described, example rows, and what is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.table import Column, format_cell
from methods.in_context.rows import quoted

SHOWN_CATEGORIES = 30
"""Columns of at most so many categories have them listed in the prompt."""


def describe_column(column: Column, train: pd.DataFrame) -> str:
    """One line that says what a column holds."""
    cells = train[column.name].dropna()
    if not len(cells):
        what = "always null"
    elif column.numeric:
        low, high = (format_cell(column, value) for value in (cells.min(), cells.max()))
        kind = "whole number" if column.kind == "integer" else "number"
        decimals = f" with {column.decimals} decimals" if column.decimals else ""
        what = f"{kind}{decimals} from {low} to {high}"
    else:
        values = sorted(cells.unique())
        listed = ": " + ", ".join(map(quoted, values)) if len(values) <= SHOWN_CATEGORIES else ""
        what = f"text, one of {len(values)} categories{listed}"
    null = ", or null" if len(cells) and len(cells) < len(train) else ""
    return f"- {quoted(column.name)}: {what}{null}"


def write_prompt(
    columns: Sequence[str], examples: Sequence[str], rows: int, *, ask: bool = True, form: str = ""
) -> str:
    """The whole prompt. It ends with the example rows, so a model that only continues text goes on with rows.

    Args:
        columns: lines of :func:`describe_column`; none leaves the description out.
        examples: rows as text, one a line.
        rows: how many new rows to ask for.
        ask: whether it says what is wanted, as a chat needs; else it is a text that stops amid its rows.
        form: how a row is to be written; by default as a JSON object.
    """
    form = form or (
        "one JSON object per line, with the keys of the examples in the same order, and null where a value is missing"
    )
    asked = [
        "You write rows of a synthetic table. New rows look as if they came from the same source as the examples below and are "
        "no copies of them.",
        f"Answer with {rows} new rows and nothing else: {form}.",
        "",
    ]
    described = ["The columns:", *columns, ""] if columns else []
    return "\n".join([*(asked if ask else []), *described, "The rows:", *examples, ""])
