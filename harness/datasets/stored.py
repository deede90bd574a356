"""A dataset written into the result store: what cells read, and what the report shows, long after the source moved."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import pandas as pd

from harness.datasets.base import Dataset
from harness.dependencies.values import FunctionalDependency
from harness.errors import TabOrderError
from harness.records.files import parquet_bytes, write_atomic
from harness.records.record import finite
from harness.table import Schema

DESCRIPTION = "dataset.json"
PARTS = ("train", "test")


def save(dataset: Dataset, folder: Path) -> Path:
    """Write ``train.parquet``, ``test.parquet`` and then ``dataset.json``, which holds their checksums.

    What is there already is kept if it is whole; a damaged or missing file is written again.
    """
    known = _described(folder)
    for part, frame in (("train", dataset.train), ("test", dataset.test)):
        path = folder / f"{part}.parquet"
        if part not in known or _digest(path) != known[part]:
            write_atomic(path, parquet_bytes(frame))
    description = {
        "tables": {part: _digest(folder / f"{part}.parquet") for part in PARTS},
        "name": dataset.name,
        "schema": dataset.schema.to_json(),
        "checksum": dataset.checksum,
        "rules": list(dataset.rules),
        "fds": [fd.to_json() for fd in dataset.fds],
        "condition": dataset.condition,
        "resources": dict(dataset.resources),
        "notes": list(dataset.notes),
    }
    text = json.dumps(finite(description), allow_nan=False, ensure_ascii=False, indent=1) + "\n"
    if not (folder / DESCRIPTION).is_file() or (folder / DESCRIPTION).read_bytes() != text.encode():
        write_atomic(folder / DESCRIPTION, text.encode())
    return folder


def _described(folder: Path) -> Mapping[str, str]:
    """The tables' checksums as ``dataset.json`` has them; empty when it cannot be read."""
    try:
        found: Mapping[str, str] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["tables"]
        return dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _digest(path: Path) -> str | None:
    """SHA-256 of a file, remembered while it does not change; ``None`` when there is none, or a link in its place."""
    try:
        found = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return _sha256(path, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=64)
def _sha256(path: Path, *_: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_train(dataset: Dataset, folder: Path) -> None:
    """Write what a generator may see: ``train.parquet`` and ``schema.json``."""
    write_atomic(folder / "train.parquet", parquet_bytes(dataset.train))
    text = json.dumps(dataset.schema.to_json(), allow_nan=False, ensure_ascii=False)
    write_atomic(folder / "schema.json", text.encode())


def load_train(folder: Path) -> tuple[pd.DataFrame, Schema]:
    """Read what :func:`save_train` wrote: the training rows and their schema."""
    schema = Schema.from_json(json.loads((folder / "schema.json").read_text(encoding="utf-8")))
    return pd.read_parquet(folder / "train.parquet"), schema


def load(folder: Path) -> Dataset:
    """Read what :func:`save` wrote.

    Raises:
        TabOrderError: when a file is missing or unreadable.
    """
    try:
        data = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        links = [name for name in (DESCRIPTION, *(f"{part}.parquet" for part in PARTS)) if (folder / name).is_symlink()]
        if links:
            raise ValueError(f"{links[0]} is a symbolic link; not followed")
        train, test = (pd.read_parquet(folder / f"{part}.parquet") for part in PARTS)
        return Dataset(
            name=data["name"],
            schema=Schema.from_json(data["schema"]),
            train=train,
            test=test,
            checksum=data["checksum"],
            rules=tuple(data["rules"]),
            fds=tuple(FunctionalDependency.from_json(fd) for fd in data["fds"]),
            condition=data["condition"],
            resources=data["resources"],
            notes=tuple(data["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TabOrderError(
            f"the stored dataset in {folder} cannot be read ({error}): delete that folder and run again."
        ) from None
