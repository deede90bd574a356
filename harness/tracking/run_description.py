"""What a W&B run says, as a pure function of a stored record (and of the leaderboard's files). No wandb here."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import TabOrderError
from harness.execution.messages import Json
from harness.ranking.families import place
from harness.records.record import SCORED, Cell, Record, finite
from harness.records.store import ResultStore
from harness.tracking.artifacts import artifact_identity, dataset_artifact, record_artifact, synthetic_artifact
from harness.tracking.messages import Artifact, Drawing, RunDescription

SAMPLE_ROWS = 100
TAG_LENGTH = 64  # W&B's limit


def run_id(*parts: object) -> str:
    """The same 16 letters for the same parts, everywhere: publishing twice reaches the same run."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16]


def cell_run_id(cell: Cell) -> str:
    """The run id of a cell."""
    return run_id("cell", cell.dataset, cell.generator, cell.seed, cell.key)


def describe_cell(
    record: Record, store: ResultStore, *, group: str | None, tables: bool, figures: bool = True
) -> RunDescription:
    """The run that mirrors ``record``.

    Args:
        record: as stored.
        store: where its files are.
        group: run group; ``None`` means the record's sweep.
        tables: whether rows may leave this machine: the synthetic table, and the report with a few rows, real ones too.
        figures: whether the cell's figures are wanted as images.
    """
    cell = record.cell
    dataset = dataset_artifact(record)
    outputs = [record_artifact(record, store)]
    shown: dict[str, Mapping[str, Sequence[object]]] = {}
    if tables and record.status in SCORED:
        outputs.append(synthetic_artifact(record, store))
        shown["sample_rows"] = _sample_rows(store, cell)
    return replace(
        identify_cell(cell, group or record.sweep, record.status),
        config=_config(record, dataset),
        summary=_summary(record),
        history=_history(record.generator_info.get("curve") or [], _train_rows(record, store)),
        tables=shown,
        pages={"report": _page(record, store)} if shown else {},
        draw=_to_draw(record, store, tables) if figures and record.status in SCORED else None,
        inputs=[dataset],
        outputs=outputs,
        failed=record.status not in SCORED,
    )


def _to_draw(record: Record, store: ResultStore, tables: bool) -> Drawing:
    path = store.cell_dir(record.cell) / "record.json"
    return Drawing(record=str(path.resolve()), store=str(store.root.resolve()), tables=tables)


def identify_cell(cell: Cell, group: str | None, *tags: str) -> RunDescription:
    """What names a cell's run: the same while it trains and when its record is published."""
    return RunDescription(
        id=cell_run_id(cell),
        name=cell.label,
        group=group,
        job_type="cell",
        tags=sorted({tag[:TAG_LENGTH] for tag in (cell.dataset, cell.generator, *tags)}),
    )


def _page(record: Record, store: ResultStore) -> str:
    """The report of this cell alone: overlaid columns, pair trends, violations, maps, order, sample rows."""
    from harness.report.html.page import cell_page

    return cell_page(record, store)


def _train_rows(record: Record, store: ResultStore) -> int | None:
    """How many rows an epoch has; ``None`` when the store does not hold the real tables."""
    import pyarrow.parquet as parquet

    folder = store.dataset_dir(record.cell.dataset, record.cell.dataset_checksum)
    try:
        return int(parquet.read_metadata(folder / "train.parquet").num_rows)
    except (OSError, ValueError):
        return None


def _config(record: Record, dataset: Artifact) -> Json:
    cell = record.cell
    facts = {
        "dataset": cell.dataset,
        "generator": cell.generator,
        "seed": cell.seed,
        "n_rows": cell.n_rows,
        "params": cell.params,
        "target": cell.target,
        "version": cell.version,
        "dataset_params": cell.dataset_params,
        "dataset_checksum": cell.dataset_checksum,
        "key": cell.key,
        "column_order": record.generator_info.get("column_order"),
        "fds": record.generator_info.get("fds"),
        "environment": record.environment,
        "command": record.command,
        "sweep": record.sweep,
        "started": record.started,
        "schema_version": record.schema_version,
        "inputs": [artifact_identity(dataset)],
    }
    plain: Json = finite({name: value for name, value in facts.items() if value is not None})
    return plain


def _summary(record: Record) -> Json:
    summary: dict[str, object] = {"status": record.status, "error": record.error}
    for score in record.scores:
        summary[score.metric] = score.value
        summary[f"real/{score.metric}"] = score.real
        summary[f"floor/{score.metric}"] = score.floor
        summary[f"normalised/{score.metric}"] = place(score, record.rows).value
    for name in ("fit_seconds", "sample_seconds", "evaluate_seconds", "peak_memory_bytes", "peak_gpu_memory_bytes"):
        summary[f"cost/{name}"] = getattr(record.cost, name)
    if record.yield_ is not None:
        summary["yield/attempted"] = record.yield_.attempted
        summary["yield/accepted"] = record.yield_.accepted
        summary["yield/tokens"] = record.yield_.tokens
        summary.update({f"yield/rejected/{reason}": count for reason, count in record.yield_.rejected.items()})
    if record.notes:
        summary["notes"] = " · ".join(record.notes)
    return {name: value for name, value in summary.items() if value is not None}


def _history(curve: Sequence[Json], rows: int | None) -> list[dict[str, float]]:
    """One mapping a point, all under ``train/``; ``train/rows_per_second`` is since the point before (``rows`` an epoch)."""
    points: list[dict[str, float]] = []
    before = (0.0, 0.0)
    for position, point in enumerate(curve):
        known = {"step": position, **finite(dict(point))}
        numbers = {f"train/{name}": value for name, value in known.items() if isinstance(value, (int, float))}
        if rows and "train/epoch" in numbers and "train/seconds" in numbers:
            now = (numbers["train/epoch"], numbers["train/seconds"])
            if now[1] > before[1]:
                numbers["train/rows_per_second"] = (now[0] - before[0]) * rows / (now[1] - before[1])
            before = now
        points.append(numbers)
    return points


def _sample_rows(store: ResultStore, cell: Cell) -> Mapping[str, Sequence[object]]:
    import pyarrow.parquet as parquet

    path = store.cell_dir(cell) / "synthetic.parquet"
    try:
        file = parquet.ParquetFile(path)
        batches = list(zip(range(1), file.iter_batches(batch_size=SAMPLE_ROWS), strict=False))
        names = list(file.schema_arrow.names)
    except (OSError, ValueError) as error:
        raise TabOrderError(f"{path} cannot be read ({error}): run its cell again with cache=overwrite.") from None
    columns = batches[0][1].to_pydict() if batches else {name: [] for name in names}
    # As text: a W&B table column holds one type, and text is exact for big integers and missing cells alike.
    rows = [[None if value is None else str(value) for value in row] for row in zip(*columns.values(), strict=True)]
    return {"columns": names, "rows": rows}


def _figures(output: Path) -> list[Path]:
    """What research questions drew beside the leaderboard."""
    from harness.experiments import OUTPUTS

    return sorted(path for name in OUTPUTS for path in (output / name).glob("*.png"))


def _typed(rows: Sequence[Sequence[str]]) -> list[list[float | str | None]]:
    """Cells of a CSV file; a column whose every cell is a number or empty becomes numbers and ``None``."""
    columns: list[list[float | str | None]] = []
    for cells in zip(*rows, strict=True):
        try:
            columns.append([float(cell) if cell else None for cell in cells])
        except ValueError:
            columns.append(list(cells))
    return [list(row) for row in zip(*columns, strict=True)]


def describe_leaderboard(
    records: Sequence[Record],
    store: ResultStore,
    output: Path,
    *,
    group: str | None,
    tables: bool,
    figures: bool = True,
) -> RunDescription:
    """The run that mirrors the leaderboard written to ``output``; its inputs are the synthetic tables it compares.

    Args:
        records: the store's records.
        store: where they are.
        output: folder with ``leaderboard.csv`` and, when made, ``leaderboard.json``, ``index.html`` and folders of experiments.
        group: run group.
        tables: whether rows may leave this machine: the report and the experiments' figures show some, real ones too.
        figures: whether figures are wanted as images: the leaderboard's, and those of experiments.

    Raises:
        TabOrderError: when ``leaderboard.csv`` is not there.
    """
    try:
        with (output / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except OSError as error:
        raise TabOrderError(
            f"{output / 'leaderboard.csv'} cannot be read ({error}): run python -m harness.leaderboard first."
        ) from None
    scored = [record for record in records if record.status in SCORED]
    names = [
        "leaderboard.csv",
        "leaderboard_by_dataset.csv",
        "leaderboard_pairs.csv",
        "leaderboard.json",
        *(["index.html"] if tables else []),
    ]
    files = {name: str((output / name).resolve()) for name in names if (output / name).is_file()}
    drawn = (
        {f"{path.parent.name}/{path.stem}": str(path.resolve()) for path in _figures(output)}
        if tables and figures
        else {}
    )
    digest = hashlib.sha256((output / "leaderboard.csv").read_bytes()).hexdigest()
    inputs = [synthetic_artifact(record, store) if tables else record_artifact(record, store) for record in scored]
    sweeps = sorted({record.sweep for record in records if record.sweep})
    made_from = [artifact_identity(artifact) for artifact in inputs]
    return RunDescription(
        id=run_id("leaderboard", digest, *(cell_run_id(record.cell) for record in records)),
        name="leaderboard",
        group=group or (sweeps[0] if len(sweeps) == 1 else None),
        job_type="leaderboard",
        tags=["leaderboard"],
        config={
            "datasets": sorted({record.cell.dataset for record in records}),
            "generators": sorted({record.cell.generator for record in records}),
            "cells": len(records),
            "sweeps": sweeps,
            "inputs": made_from,
        },
        summary={"cells": len(records), "scored": len(scored)},
        tables={"leaderboard": {"columns": header, "rows": _typed(rows)}},
        html={"report": files["index.html"]} if "index.html" in files else {},
        images=drawn,
        draw=Drawing(board=files["leaderboard.json"]) if figures and "leaderboard.json" in files else None,
        inputs=inputs,
        outputs=[
            Artifact(
                name="leaderboard",
                type="leaderboard",
                metadata={"checksum": digest, "inputs": made_from},
                files=files | {f"{name}.png": path for name, path in drawn.items()},
            )
        ],
    )
