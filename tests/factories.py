"""Records and stores made by hand for tests: scores with anchors, costs, failures; no run is needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.generator import Yield
from harness.record import Cell, Cost, Record, Score
from harness.store import ResultStore

FD = "dependencies.fd_violation_rate"
HEADLINES: dict[str, tuple[str, float, float, tuple[float | None, float | None]]] = {
    # metric: goal, real, floor, bounds
    "ml_efficacy.hgb.roc_auc": ("max", 0.9, 0.5, (0.0, 1.0)),
    "distribution.column_shapes": ("max", 1.0, 1.0, (0.0, 1.0)),
    "distribution.pair_trends": ("max", 1.0, 0.8, (0.0, 1.0)),
    FD: ("min", 0.0, 0.9, (0.0, 1.0)),
    "rules.violation_rate": ("min", 0.0, 0.8, (0.0, 1.0)),
    "detection.roc_auc": ("min", 0.5, 1.0, (0.0, 1.0)),
    "privacy.dcr_share": ("min", 0.5, 0.5, (0.0, 1.0)),
    "coverage.missing_categories": ("min", 0.0, 0.0, (0.0, 1.0)),
}


def make_score(metric: str, value: float | None, **changes: Any) -> Score:
    """A score with the anchors of :data:`HEADLINES` (details share their parent's), or as given."""
    parent = next((name for name in HEADLINES if metric.startswith(name)), FD)
    goal, real, floor, bounds = HEADLINES[parent]
    given: dict[str, Any] = {"goal": goal, "bounds": bounds, "real": real, "floor": floor, "seconds": 0.1}
    if value is None:
        given["error"] = "the metric could not be computed."
    return Score(metric, 1, value, **{**given, **changes})


def at_level(level: float) -> dict[str, float]:
    """Raw values that all normalise to ``level`` (0 like independent columns, 1 like real rows)."""
    values = {}
    for metric, (goal, real, floor, bounds) in HEADLINES.items():
        worst = bounds[0 if goal == "max" else 1]
        low = floor if abs(real - floor) > 0.01 else float(worst or 0.0)
        values[metric] = low + level * (real - low)
    return values


def make_cell(dataset: str = "toy", generator: str = "ctgan", seed: int = 0, **changes: Any) -> Cell:
    """A cell whose key hashes its ingredients as the harness does."""
    params: Mapping[str, Any] = changes.pop("params", {"epochs": 10})
    checksum = changes.pop("dataset_checksum", hashlib.sha256(dataset.encode()).hexdigest())
    given = {"n_rows": 100, "target": f"baselines.{generator}.Generator", "version": "1", **changes}
    text = json.dumps([dataset, generator, seed, params, checksum, sorted(given.items(), key=str)], default=str)
    return Cell(
        dataset=dataset,
        generator=generator,
        seed=seed,
        params=params,
        dataset_checksum=checksum,
        key=hashlib.sha256(text.encode()).hexdigest()[:8],
        **given,
    )


def make_record(
    dataset: str = "toy",
    generator: str = "ctgan",
    seed: int = 0,
    *,
    level: float | None = 0.5,
    scores: Mapping[str, float | None] | None = None,
    status: str = "ok",
    cell: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Record:
    """A record; ``level`` sets all headline scores, ``scores`` overrides or adds some. Failed statuses have no scores."""
    values: dict[str, float | None] = {} if level is None else dict(at_level(level))
    values |= scores or {}
    scored = status in ("ok", "short_yield")
    given: dict[str, Any] = {
        "cost": Cost(10.0, 2.0, 1.0, 2**30) if scored else Cost(),
        "yield_": Yield(110, 100, {"unparsable": 10}) if scored else None,
        "error": None if scored else f"{status}: it went wrong.",
        "log_tail": () if scored else ("last line of the log",),
        "command": f"python -m harness dataset={dataset} generator={generator} seed={seed}",
        "environment": {"scale": "full"},
    }
    return Record(
        cell=make_cell(dataset, generator, seed, **(cell or {})),
        status=status,  # type: ignore[arg-type]
        scores=tuple(make_score(metric, value) for metric, value in values.items()) if scored else (),
        **{**given, **changes},
    )


def make_store(root: Path, records: Iterable[Record], tables: bool = True) -> ResultStore:
    """Write records, and for scored ones a small synthetic table, as the harness does."""
    store = ResultStore(root)
    for record in records:
        folder = store.cell_dir(record.cell)
        folder.mkdir(parents=True, exist_ok=True)
        if tables and record.scores:
            make_table(record.cell.seed).to_parquet(folder / "synthetic.parquet")
        store.write(record)
    return store


def make_table(seed: int = 0, rows: int = 60) -> pd.DataFrame:
    """A canonical table: ``state`` determines ``bird``; ``n`` an integer, ``x`` a float."""
    index = pd.Series(range(rows)) + seed
    return pd.DataFrame(
        {
            "state": pd.Series([f"S{i % 4}" for i in index], dtype=object),
            "bird": pd.Series([f"B{i % 4 % 2}" for i in index], dtype=object),
            "n": pd.array([int(i % 7) for i in index], dtype="Int64"),
            "x": pd.Series([float(i % 11) / 2 for i in index], dtype="float64"),
        }
    )


def grid(levels: Mapping[str, Mapping[str, list[float]]], **changes: Any) -> list[Record]:
    """Records from ``{dataset: {generator: [level per seed]}}``."""
    return [
        make_record(dataset, generator, seed, level=level, **changes)
        for dataset, row in levels.items()
        for generator, found in row.items()
        for seed, level in enumerate(found)
    ]


__all__ = ["FD", "at_level", "grid", "make_cell", "make_record", "make_score", "make_store", "make_table", "replace"]
