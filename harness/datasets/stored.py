"""A dataset written into the result store: what cells read, and what the report shows, long after the source moved."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from harness.datasets.base import Dataset
from harness.dependencies import FunctionalDependency
from harness.errors import TabOrderError
from harness.record import finite
from harness.store import parquet_bytes, write_atomic
from harness.table import Schema

DESCRIPTION = "dataset.json"


def save(dataset: Dataset, folder: Path) -> Path:
    """Write ``train.parquet``, ``test.parquet`` and then ``dataset.json``; a folder that has the last is complete."""
    if (folder / DESCRIPTION).exists():
        return folder
    write_atomic(folder / "train.parquet", parquet_bytes(dataset.train))
    write_atomic(folder / "test.parquet", parquet_bytes(dataset.test))
    description = {
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
    write_atomic(folder / DESCRIPTION, text.encode())
    return folder


def load(folder: Path) -> Dataset:
    """Read what :func:`save` wrote.

    Raises:
        TabOrderError: when a file is missing or unreadable.
    """
    try:
        data = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        train, test = (pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "test"))
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
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TabOrderError(
            f"the stored dataset in {folder} cannot be read ({error}): delete that folder and run again."
        ) from None
