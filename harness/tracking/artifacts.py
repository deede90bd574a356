"""The versioned artifacts of a store, and how they hang together: dataset → synthetic table and record → leaderboard.

Equal content is one version, whichever run names it.
"""

from __future__ import annotations

import json
import re

from harness.records.record import Record, finite
from harness.records.store import ResultStore
from harness.tracking.messages import Artifact


def dataset_artifact(record: Record) -> Artifact:
    """The dataset's identity, not its rows: real data does not leave the machine."""
    cell = record.cell
    facts = {"name": cell.dataset, "checksum": cell.dataset_checksum, "schema": record.schema}
    return Artifact(
        name=artifact_name("dataset", cell.dataset),
        type="dataset",
        metadata={"checksum": cell.dataset_checksum},
        texts={"dataset.json": json.dumps(finite(facts), ensure_ascii=False, indent=1, sort_keys=True)},
    )


def record_artifact(record: Record, store: ResultStore) -> Artifact:
    """The record as stored."""
    cell = record.cell
    return Artifact(
        name=artifact_name("record", cell.dataset, cell.generator, cell.seed, cell.key),
        type="record",
        metadata={"status": record.status, "key": cell.key},
        files={"record.json": str((store.cell_dir(cell) / "record.json").resolve())},
    )


def synthetic_artifact(record: Record, store: ResultStore) -> Artifact:
    """The synthetic table of a scored record."""
    cell = record.cell
    return Artifact(
        name=artifact_name("synthetic", cell.dataset, cell.generator, cell.seed, cell.key),
        type="synthetic",
        metadata={"rows": cell.n_rows, "key": cell.key, "inputs": [artifact_identity(dataset_artifact(record))]},
        files={"synthetic.parquet": str((store.cell_dir(cell) / "synthetic.parquet").resolve())},
    )


def artifact_name(kind: str, *parts: object) -> str:
    """A legal artifact name (letters, digits, ``-_.``; W&B's limit is 128 characters)."""
    return "-".join([kind, *(re.sub(r"[^A-Za-z0-9_.-]", "_", str(part))[:45] for part in parts)])


def artifact_identity(artifact: Artifact) -> str:
    """``name:checksum`` for runs that cannot be linked to their inputs (offline): the name W&B knows, and which content."""
    return f"{artifact.name}:{artifact.metadata.get('checksum') or artifact.metadata.get('key')}"
