"""From canonical tables to a checked :class:`~harness.datasets.base.Dataset`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.base import Dataset
from harness.datasets.fds import AUTO, Given, confirmed, parse_fds
from harness.datasets.rules import parse_rules
from harness.errors import TabOrderError
from harness.records.files import safe_name
from harness.seeding import rng
from harness.table import Schema, factorize


def checksum(schema: Schema, train: pd.DataFrame, test: pd.DataFrame) -> str:
    """SHA-256 over the schema and both tables' content, column by column: equal content, equal checksum, in any process."""
    digest = hashlib.sha256(json.dumps(schema.to_json(), sort_keys=True).encode())
    for frame in (train, test):
        digest.update(f"\x1f{len(frame)}\x1f".encode())
        for column in schema.columns:
            missing = frame[column.name].isna().to_numpy(dtype=bool)
            digest.update(np.packbits(missing).tobytes())
            for part in _content(frame[column.name], column.kind, missing):
                digest.update(part)
    return digest.hexdigest()


def _content(values: pd.Series[Any], kind: str, missing: np.ndarray[Any, Any]) -> list[bytes]:
    if kind == "categorical":
        codes, unique = factorize(values)
        encoded = [str(text).encode("utf-8", "surrogatepass") for text in unique]
        lengths = np.array([len(text) for text in encoded], dtype="<i8")
        return [codes.astype("<i8").tobytes(), lengths.tobytes(), b"".join(encoded)]
    if kind == "integer":
        return [values.fillna(0).to_numpy(dtype="<i8").tobytes()]
    return [np.where(missing, 0.0, values.to_numpy(dtype=float)).astype("<f8").tobytes()]


def subsample(frame: pd.DataFrame, rows: int | None, *, seed: int, name: str) -> tuple[pd.DataFrame, list[str]]:
    """At most ``rows`` rows, drawn without replacement and kept in order, and a note when some were left out.

    Raises:
        TabOrderError: when fewer than 2 rows are asked for.
    """
    if rows is None:
        return frame, []
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 2:
        raise TabOrderError(f"max_train_rows={rows!r} of dataset '{name}': give a whole number of at least 2.")
    if rows >= len(frame):
        return frame, []
    kept = np.sort(rng(seed, name, "subsample").choice(len(frame), size=rows, replace=False))
    note = f"{rows} of {len(frame)} training rows used (max_train_rows, subsample_seed={seed})."
    return frame.iloc[kept].reset_index(drop=True), [note]


def drop_missing_target(
    train: pd.DataFrame, test: pd.DataFrame, target: str
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Without rows whose label is missing, and a note with their number."""
    kept = [frame[frame[target].notna()].reset_index(drop=True) for frame in (train, test)]
    gone = [len(frame) - len(left) for frame, left in zip((train, test), kept, strict=True)]
    note = f"{gone[0]} train and {gone[1]} test rows without a label ({target}) were dropped."
    return kept[0], kept[1], [note] if any(gone) else []


def assemble(
    name: str,
    schema: Schema,
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    rules: Sequence[Mapping[str, Any]] | None = None,
    fds: Given = None,
    condition: str | None = None,
    resources: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    max_train_rows: int | None = None,
    subsample_seed: int = 0,
    prefix: str = "dataset.",
) -> Dataset:
    """Check the parts, subsample the training rows and compute the checksum.

    Args:
        name: folder-safe.
        schema: of both tables.
        train: canonical.
        test: canonical.
        rules: as in the dataset's YAML, checked here (:mod:`harness.datasets.rules`).
        fds: ``{lhs, rhs, g3}`` mappings or texts such as ``City->Country``; ``auto`` mines them (:mod:`harness.datasets.fds`).
        condition: a column of the table; ``auto`` for a categorical target.
        resources: files that rules need, by name.
        notes: facts for the record.
        max_train_rows: use at most this many training rows.
        subsample_seed: decides which.
        prefix: of keys in advice.

    Raises:
        TabOrderError: for names that do not exist, ill-formed rules, or fewer than 2 train rows or 1 test row.
    """
    safe_name(name, "dataset")
    if len(train) < 2 or len(test) < 1:
        raise TabOrderError(
            f"dataset '{name}' has {len(train)} train and {len(test)} test rows: at least 2 and 1 are needed."
        )
    parse_rules(tuple(rules or ()), schema, resources)  # a mistake in a rule should not cost hours of training
    train, sampling_notes = subsample(train, max_train_rows, seed=subsample_seed, name=name)
    mined = fds == AUTO
    found, mining_notes = confirmed(schema, train, test, prefix) if mined else (parse_fds(name, schema, fds), [])
    if condition == AUTO:
        condition = schema.target if schema.target is not None and not schema[schema.target].numeric else None
    return Dataset(
        name=name,
        schema=schema,
        train=train,
        test=test,
        checksum=checksum(schema, train, test),
        rules=tuple(rules or ()),
        fds=found,
        condition=None if condition is None else schema[condition].name,
        resources=dict(resources or {}),
        notes=tuple(" ".join(note.split()) for note in (*notes, *sampling_notes, *mining_notes)),
    )
