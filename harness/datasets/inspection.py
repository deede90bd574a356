"""A look at a table before the run: what its columns are taken for, and what about them will matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.base import Dataset
from harness.forms import DateForm
from harness.table import Column, write_cell

WIDE, RARE = 40, 0.01
"""Characters of a value that are shown; share of the rarer class below which a target is called unbalanced."""


@dataclass(frozen=True)
class ColumnFacts:
    """What one column of the training rows is.

    Attributes:
        name: of the column.
        kind: as a reader understands it (dates are ``datetime``).
        missing: share of cells in [0, 1].
        distinct: number of different present values.
        span: least to greatest number, or the most frequent category with its share.
        warnings: what about it will matter.
    """

    name: str
    kind: str
    missing: float
    distinct: int
    span: str
    warnings: tuple[str, ...]


def column_facts(dataset: Dataset) -> list[ColumnFacts]:
    """The facts of every column of a dataset, in table order."""
    leaks = {fd.lhs[0] for fd in dataset.fds if fd.rhs == dataset.schema.target and len(fd.lhs) == 1 and fd.g3 == 0}
    return [_facts(dataset, column, column.name in leaks) for column in dataset.schema.columns]


def _facts(dataset: Dataset, column: Column, leaks: bool) -> ColumnFacts:
    values: pd.Series[Any] = dataset.train[column.name]
    present = values.dropna()
    counts = present.value_counts()
    rows = len(values)
    warnings = []
    if len(counts) == 0:
        warnings.append("all cells are missing")
    elif len(counts) == 1:
        warnings.append("constant")
    if len(counts) >= 0.95 * len(present) and len(present) >= 50 and column.kind != "float":
        warnings.append("nearly every value is different")
    if leaks and column.name != dataset.schema.target:
        warnings.append(f"determines the target ({dataset.schema.target}) exactly: does it know the answer?")
    if column.name == dataset.schema.target:
        warnings += _target_warnings(dataset, counts, rows)
    kind = "datetime" if isinstance(column.form, DateForm) else column.kind
    return ColumnFacts(
        column.name, kind, 1 - len(present) / rows, len(counts), _span(column, present, counts), tuple(warnings)
    )


def _target_warnings(dataset: Dataset, counts: pd.Series[Any], rows: int) -> list[str]:
    if dataset.schema.task != "classification":
        return ["target"]
    if len(counts) < 2:
        return ["target", "one class alone: nothing can be predicted"]
    rarest = float(counts.iloc[-1]) / rows
    return ["target"] + ([f"its rarest class has {counts.iloc[-1]} of {rows} rows"] if rarest < RARE else [])


def _span(column: Column, present: pd.Series[Any], counts: pd.Series[Any]) -> str:
    if not len(present):
        return ""
    if column.numeric:
        numbers = present.to_numpy(np.float64 if column.kind == "float" else np.int64)
        return " … ".join(_short(write_cell(column, value)) for value in (numbers.min(), numbers.max()))
    return f"{_short(counts.index[0])} ({counts.iloc[0] / len(present):.0%})"


def _short(text: Any) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= WIDE else line[: WIDE - 1] + "…"


def inspection(dataset: Dataset) -> str:
    """The text of ``python -m harness.inspect``."""
    facts = column_facts(dataset)
    rows = [
        [
            one.name,
            one.kind,
            f"{one.missing:.1%}" if one.missing else "–",
            f"{one.distinct:,}",
            one.span,
            "; ".join(one.warnings),
        ]
        for one in facts
    ]
    target = f"target {dataset.schema.target} ({dataset.schema.task})" if dataset.schema.target else "no target"
    bytes_ = int(dataset.train.memory_usage(deep=True).sum() + dataset.test.memory_usage(deep=True).sum())
    fds = ", ".join(map(str, dataset.fds)) or "none"
    parts = [
        f"{len(dataset.train):,} training and {len(dataset.test):,} test rows × {len(facts)} columns; {target}; {bytes_ / 2**20:.1f} MiB.",
        _columns(["column", "kind", "missing", "distinct", "range or most frequent", "mind"], rows),
        f"Dependencies that hold in train and test: {fds}.",
        "\n".join(f"- {note}" for note in dataset.notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    table = [[_short(cell) if i < 5 else cell for i, cell in enumerate(row)] for row in rows]
    widths = [max(len(row[i]) for row in [heads, *table]) for i in range(len(heads))]
    lines = [heads, ["─" * width for width in widths[:-1]] + ["────"], *table]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
