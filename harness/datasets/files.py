"""The user's own table: a CSV or Parquet file, or two."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.asked import Asked
from harness.datasets.assemble import assemble, drop_missing_target
from harness.datasets.base import Dataset
from harness.datasets.fds import ARROW, AUTO, Given
from harness.datasets.reading import name_list
from harness.datasets.tables import Reading, read_real
from harness.datasets.understanding import kinds_of
from harness.errors import TabOrderError, choices
from harness.seeding import rng
from harness.table import Task


def csv_table(
    train: str | None = None,
    test: str | None = None,
    *,
    name: str | None = None,
    target: str | int | None = None,
    task: Task | None = None,
    test_share: float = 0.2,
    split_seed: int = 0,
    missing: Sequence[str] | str | None = (),
    empty_is_missing: bool = True,
    delimiter: str | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    columns: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
    drop_columns: Sequence[str] | str | None = (),
    drop_unlabelled: bool = False,
    ids: str = "drop",
    drop_text: bool = False,
    strip: bool = False,
    rules: Sequence[Mapping[str, Any]] | None = None,
    fds: Given = AUTO,
    condition: str | int | None = AUTO,
    resources: Mapping[str, str] | None = None,
    max_train_rows: int | None = None,
    subsample_seed: int = 0,
) -> Dataset:
    """A table from files. Kinds are inferred on the training file (on the whole file when it is split here).

    Args:
        train: path of the training table.
        test: path of the test table; by default a seeded share of ``train``.
        name: folder-safe; by default ``user_`` and the file's stem.
        target: label column, if any.
        task: of the target; by default inferred (:func:`harness.table.infer_task`).
        test_share: share of rows held out when ``test`` is not given.
        split_seed: decides which.
        missing: cells that stand for a missing value beside the empty one, compared exactly.
        empty_is_missing: whether the empty cell does.
        delimiter: between CSV cells (``\\t`` for tabs); by default sniffed.
        header: whether a CSV file's first row has names; by default told from the rows.
        decimal: the decimal mark where cells such as ``1,234`` leave it open: ``.`` or ``,``.
        columns: kinds that override the inferred ones, ``{name: kind}`` or a list of ``{name: …, kind: …}``; kinds are categorical,
            integer, float, datetime, boolean, or a date format such as ``%d/%m/%Y``.
        drop_columns: left out, with a note; ``""`` is a column without a name.
        drop_unlabelled: drop rows whose label is missing, with a note.
        ids: ``drop`` leaves out text columns that differ in every row, ``keep`` models them as categories.
        drop_text: leave out columns of free text.
        strip: take blanks around text away.
        rules: domain rules.
        fds: dependencies, ``{lhs, rhs, g3}`` or ``City->Country``; ``auto`` mines them, ``[]`` is none.
        condition: conditioning column; ``auto`` is a categorical target.
        resources: files that rules need, by name.
        max_train_rows: use at most this many training rows.
        subsample_seed: decides which.

    Raises:
        TabOrderError: for files that cannot be read or do not match, and names that do not exist.
    """
    if not train:
        raise TabOrderError("dataset=csv needs a file: give dataset.train=FILE (and optionally dataset.test=FILE).")
    label = None if target is None else str(target)
    asked = Asked(
        columns=kinds_of(columns),
        target=label,
        task=task,
        keep=named_columns(label, condition, rules, fds),
        ids=one_of(ids, ("drop", "keep"), "ids"),
        drop_text=drop_text,
        strip=strip,
        decimal=None if decimal in (None, AUTO) else one_of(decimal, (".", ","), "decimal"),
    )
    reading = Reading(
        missing=name_list(missing, "missing"),
        empty_is_missing=empty_is_missing,
        delimiter=delimiter,
        header=header,
        drop=name_list(drop_columns, "drop_columns"),
    )
    real = read_real(train, test or None, asked, reading)
    rows, held_out, notes = real.train, real.test, list(real.notes)
    if held_out is None:
        rows, held_out, note = _split(rows, test_share, split_seed, train)
        notes.append(note)
    if drop_unlabelled and label:
        rows, held_out, more = drop_missing_target(rows, held_out, label)
        notes += more
    return assemble(
        name or default_name(train),
        real.understood.schema,
        rows,
        held_out,
        rules=rules,
        fds=fds,
        condition=None if condition is None else str(condition),
        resources=resources,
        notes=notes,
        max_train_rows=max_train_rows,
        subsample_seed=subsample_seed,
    )


def one_of(given: Any, legal: Sequence[str], key: str) -> str:
    """A choice.

    Raises:
        TabOrderError: when it is none.
    """
    if given not in legal:
        raise TabOrderError(choices(given, legal, key))
    return str(given)


def named_columns(*parts: Any) -> frozenset[str]:
    """Every text in a target, condition, rules and dependencies: the columns among them are never left out as ids."""
    found: set[str] = set()
    for part in parts:
        if isinstance(part, str):
            found |= {part, *(word.strip() for side in ARROW.split(part) for word in side.split(","))}
        elif isinstance(part, Mapping):
            found |= named_columns(*part.values())
        elif isinstance(part, Sequence):
            found |= named_columns(*part)
        elif isinstance(part, int):
            found.add(str(part))
    return frozenset(found)


def default_name(path: str) -> str:
    """``user_`` and the file's stem with every run of other characters than letters, digits, ``.``, ``_``, ``-`` as ``_``."""
    stem = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._-]+", "_", Path(path).stem))
    return f"user_{stem}"[:100]


def _split(rows: pd.DataFrame, share: float, seed: int, source: str) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    if not isinstance(share, (int, float)) or not 0 < share < 1:
        raise TabOrderError(f"test_share is {share!r}: give a share between 0 and 1, or a test file.")
    held_out = max(1, round(share * len(rows)))
    if len(rows) - held_out < 2:
        raise TabOrderError(
            f"{source} has {len(rows)} data rows: too few to hold out {held_out} and train on at least 2."
        )
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[rng(seed, "split").choice(len(rows), size=held_out, replace=False)] = True
    note = f"{held_out} of {len(rows)} rows held out for testing (test_share={share}, split_seed={seed})."
    return rows[~chosen].reset_index(drop=True), rows[chosen].reset_index(drop=True), note
