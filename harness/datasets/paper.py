"""The paper's public tables: downloaded with a checksum, or taken from a local mirror."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.datasets.assemble import assemble, drop_missing_target
from harness.datasets.base import Dataset
from harness.datasets.fetch import RemoteFile, Source
from harness.datasets.reading import canonical, infer_schema, name_list, read_text
from harness.errors import TabOrderError
from harness.table import Task


def paper_table(
    name: str,
    *,
    train: Mapping[str, Any],
    test: Mapping[str, Any],
    url_base: str,
    target: str,
    task: Task,
    licence: str,
    mirror: str | None = None,
    cache_dir: str = ".cache",
    missing: Sequence[str] | str = ("",),
    columns: Mapping[str, str] | None = None,
    drop_columns: Sequence[str] | str = (),
    drop_unlabelled: bool = False,
    rules: Sequence[Mapping[str, Any]] | None = None,
    fds: Sequence[Mapping[str, Any]] | None = None,
    condition: str | None = None,
    resources: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    max_train_rows: int | None = None,
    subsample_seed: int = 0,
) -> Dataset:
    """One of the paper's tables, with its published split.

    Args:
        name: folder-safe.
        train: ``{path, sha256, bytes}`` of the training table, relative to the paper's ``data/`` folder.
        test: the same of the test table.
        url_base: public address of that folder.
        target: label column.
        task: ``classification`` or ``regression``.
        licence: one sentence on where the table comes from; becomes a note of the record.
        mirror: local copy of the folder (default: the environment variable TABORDER_MIRROR, else download).
        cache_dir: where downloads are kept.
        missing: cells that stand for a missing value.
        columns: kinds that override the inferred ones.
        drop_columns: left out, with a note.
        drop_unlabelled: drop rows whose label is missing, with a note.
        rules: domain rules.
        fds: curated dependencies.
        condition: conditioning column.
        resources: by name, the files of a resource (``{path, sha256, bytes}`` each); the first is the one to open.
        max_train_rows: use at most this many training rows.
        subsample_seed: decides which.

    Raises:
        TabOrderError: when a file is in neither mirror nor cache and cannot be downloaded, or is not the published one.
    """
    drop_columns = name_list(drop_columns, "drop_columns")
    source = Source(url_base, mirror, cache_dir)
    paths = [source.locate(RemoteFile.from_config(file)) for file in (train, test)]
    texts = [read_text(path, missing=missing).drop(drop_columns) for path in paths]
    schema = infer_schema(texts[0], columns=columns, target=target, task=task)
    rows, held_out = (canonical(text, schema) for text in texts)
    notes = [licence]
    if drop_columns:
        notes.append(f"columns left out: {', '.join(drop_columns)}.")
    if drop_unlabelled:
        rows, held_out, more = drop_missing_target(rows, held_out, target)
        notes += more
    return assemble(
        name,
        schema,
        rows,
        held_out,
        rules=rules,
        fds=fds,
        condition=condition,
        resources={key: _resource(source, key, files) for key, files in (resources or {}).items()},
        notes=notes,
        max_train_rows=max_train_rows,
        subsample_seed=subsample_seed,
    )


def _resource(source: Source, name: str, files: Sequence[Mapping[str, Any]]) -> str:
    if not files:
        raise TabOrderError(f"resource '{name}' has no files: list at least one with path, sha256 and bytes.")
    opened, *_ = [source.locate(RemoteFile.from_config(file)) for file in files]
    return str(opened)
