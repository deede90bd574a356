"""Records and stores made by hand for tests: scores with anchors, costs, failures; no run is needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets import stored
from harness.datasets.base import Dataset
from harness.dependencies import FunctionalDependency
from harness.generator import Yield
from harness.records.record import Cell, Cost, Record, Score
from harness.records.store import ResultStore
from harness.table import Column, Schema

FD = "dependencies.fd_violation_rate"
HEADLINES: dict[str, tuple[str, float, float, tuple[float | None, float | None]]] = {
    # metric: goal, real, floor, bounds
    "ml_efficacy.hgb.roc_auc": ("max", 0.9, 0.5, (0.0, 1.0)),
    "distribution.column_shapes": ("max", 1.0, 1.0, (0.0, 1.0)),
    "distribution.pair_trends": ("max", 1.0, 0.8, (0.0, 1.0)),
    "conditional.distance": ("min", 0.05, 0.55, (0.0, 1.0)),
    FD: ("min", 0.0, 0.9, (0.0, 1.0)),
    "rules.violation_rate": ("min", 0.0, 0.8, (0.0, 1.0)),
    "detection.roc_auc": ("min", 0.5, 1.0, (0.0, 1.0)),
    "detection.two_sided": ("max", 1.0, 0.0, (0.0, 1.0)),
    "privacy.dcr_share": ("min", 0.5, 0.5, (0.0, 1.0)),
    "coverage.missing_categories": ("min", 0.0, 0.0, (0.0, 1.0)),
    "coverage.duplicate_rows": ("min", 0.0, 0.0, (0.0, 1.0)),
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
        if metric == "coverage.duplicate_rows":
            continue
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


HOSTILE = "<script>document.title='owned'</script>"
FORMULA = "=HYPERLINK(0)"


def make_dataset(name: str = "toy", *, hostile: bool = False, rows: int = 200) -> Dataset:
    """A table with an FD, a place to draw a map of (``x``, ``y`` in a box by state), missing cells; hostile names on demand."""
    bird, fill = (HOSTILE, FORMULA) if hostile else ("bird", "B1")
    numbers = np.random.default_rng(0)

    def rows_of(count: int) -> pd.DataFrame:
        state = numbers.integers(0, 4, count)
        return pd.DataFrame(
            {
                "state": pd.Series([f"S{i}" for i in state], dtype=object),
                bird: pd.Series([None if i == 3 else ("B0", fill)[i % 2] for i in state], dtype=object),
                "n": pd.array(numbers.integers(0, 9, count), dtype="Int64"),
                "x": np.round(state + numbers.random(count), 3),
                "y": np.round(numbers.random(count), 3),
            }
        )

    schema = Schema(
        (
            Column("state", "categorical"),
            Column(bird, "categorical"),
            Column("n", "integer"),
            Column("x", "float", 3),
            Column("y", "float", 3),
        ),
        bird,
        "classification",
    )
    boxes = {
        axis: {f"S{i}": [float(i), i + 1.0] if axis == "x" else [0.0, 1.0] for i in range(4)} for axis in ("x", "y")
    }
    rules = tuple(
        {"name": f"{axis}_in_state", "type": "range_by_key", "key": "state", "column": axis, "bounds": bounds}
        for axis, bounds in boxes.items()
    )
    fds = (FunctionalDependency(("state",), bird),)
    checksum = hashlib.sha256(name.encode()).hexdigest()
    return Dataset(name, schema, rows_of(rows), rows_of(rows), checksum, rules, fds, "state", notes=(fill,))


def make_full_store(
    root: Path, datasets: Iterable[Dataset], generators: Mapping[str, float], seeds: int = 2, **changes: Any
) -> ResultStore:
    """A store with datasets and tables: a generator of level p gives test rows of which a share 1 − p has shuffled columns."""
    store = ResultStore(root)
    for dataset in datasets:
        stored.save(dataset, store.dataset_dir(dataset.name, dataset.checksum))
        for generator, level in generators.items():
            for seed in range(seeds):
                found = min(1.0, max(0.0, level + 0.02 * seed - 0.01))
                raw = at_level(found)
                scores = {**raw, **{f"{FD}.{fd}": raw[FD] for fd in dataset.fds}}
                scores |= {
                    f"rules.violation_rate.{rule['name']}": raw["rules.violation_rate"] for rule in dataset.rules
                }
                order = {"column_order": dataset.schema.names, "fds": [fd.to_json() for fd in dataset.fds]}
                record = make_record(
                    dataset.name,
                    generator,
                    seed,
                    level=None,
                    scores=scores,
                    cell={"dataset_checksum": dataset.checksum},
                    **{"generator_info": order if "llm" in generator else {}, **changes},
                )
                folder = store.cell_dir(record.cell)
                folder.mkdir(parents=True, exist_ok=True)
                _shuffled(dataset.test, 1 - found, seed).to_parquet(folder / "synthetic.parquet")
                store.write(record)
    return store


def _shuffled(frame: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    numbers, made = np.random.default_rng(seed), frame.copy()
    rows = np.flatnonzero(numbers.random(len(frame)) < share)
    for index in range(frame.shape[1]):
        column = frame.columns[index]
        made.loc[rows, column] = frame[column].to_numpy()[numbers.permutation(rows)]
    return made.astype(frame.dtypes)


def grid(levels: Mapping[str, Mapping[str, list[float]]], **changes: Any) -> list[Record]:
    """Records from ``{dataset: {generator: [level per seed]}}``."""
    return [
        make_record(dataset, generator, seed, level=level, **changes)
        for dataset, row in levels.items()
        for generator, found in row.items()
        for seed, level in enumerate(found)
    ]
