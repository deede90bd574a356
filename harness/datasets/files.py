"""The user's own table: a CSV or Parquet file, or two."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.assemble import assemble, drop_missing_target
from harness.datasets.base import Dataset
from harness.datasets.reading import TextTable, canonical, infer_schema, name_list, read_text
from harness.errors import TabOrderError
from harness.seeding import rng
from harness.table import Schema, Task, infer_task


def csv_table(
    train: str | None = None,
    test: str | None = None,
    *,
    name: str | None = None,
    target: str | None = None,
    task: Task | None = None,
    test_share: float = 0.2,
    split_seed: int = 0,
    missing: Sequence[str] | str = ("",),
    delimiter: str = ",",
    columns: Mapping[str, str] | None = None,
    drop_columns: Sequence[str] | str = (),
    drop_unlabelled: bool = False,
    rules: Sequence[Mapping[str, Any]] | None = None,
    fds: Sequence[Mapping[str, Any]] | None = None,
    condition: str | None = None,
    resources: Mapping[str, str] | None = None,
    max_train_rows: int | None = None,
    subsample_seed: int = 0,
) -> Dataset:
    """A table from files. Kinds are inferred on the training file (on the whole file when it is split here).

    Args:
        train: path of the training table.
        test: path of the test table; ``None`` holds out a seeded share of ``train``.
        name: folder-safe; by default ``user_`` and the file's stem.
        target: label column, if any.
        task: of the target; by default inferred (:func:`harness.table.infer_task`).
        test_share: share of rows held out when ``test`` is not given.
        split_seed: decides which.
        missing: cells that stand for a missing value, compared exactly.
        delimiter: between CSV cells.
        columns: kinds that override the inferred ones.
        drop_columns: left out, with a note.
        drop_unlabelled: drop rows whose label is missing, with a note.
        rules: domain rules.
        fds: curated dependencies, ``{lhs, rhs, g3}``.
        condition: conditioning column.
        resources: files that rules need, by name.
        max_train_rows: use at most this many training rows.
        subsample_seed: decides which.

    Raises:
        TabOrderError: for files that cannot be read or do not match, and names that do not exist.
    """
    if not train:
        raise TabOrderError("dataset=csv needs a file: give dataset.train=FILE (and optionally dataset.test=FILE).")
    drop_columns = name_list(drop_columns, "drop_columns")
    text = read_text(train, missing=missing, delimiter=delimiter).drop(drop_columns)
    schema = _with_task(infer_schema(text, columns=columns), text, target, task)
    rows = canonical(text, schema)
    notes = [f"columns left out: {', '.join(drop_columns)}."] if drop_columns else []
    if test:
        held_out = canonical(_test_text(test, missing, delimiter, drop_columns), schema)
    else:
        rows, held_out, note = _split(rows, test_share, split_seed, train)
        notes.append(note)
    if drop_unlabelled and target:
        rows, held_out, more = drop_missing_target(rows, held_out, target)
        notes += more
    return assemble(
        name or default_name(train),
        schema,
        rows,
        held_out,
        rules=rules,
        fds=fds,
        condition=condition,
        resources=resources,
        notes=notes,
        max_train_rows=max_train_rows,
        subsample_seed=subsample_seed,
    )


def default_name(path: str) -> str:
    """``user_`` and the file's stem with every run of other characters than letters, digits, ``.``, ``_``, ``-`` as ``_``."""
    stem = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._-]+", "_", Path(path).stem))
    return f"user_{stem}"[:100]


def _with_task(schema: Schema, text: TextTable, target: str | None, task: Task | None) -> Schema:
    if target is None:
        return Schema(schema.columns, None, task)
    column = schema[target]
    return Schema(schema.columns, target, task or infer_task(column, text.columns[target].values.to_pylist()))


def _test_text(path: str, missing: Sequence[str] | str, delimiter: str, drop_columns: Sequence[str]) -> TextTable:
    text = read_text(path, missing=missing, delimiter=delimiter)
    return text.drop([name for name in drop_columns if name in text.columns])


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
