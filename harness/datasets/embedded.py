"""Tables made by code: the paper's simulated tables, and a richer one with known dependencies, regions and mixtures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.assemble import assemble
from harness.datasets.base import Dataset
from harness.errors import TabOrderError
from harness.seeding import rng
from harness.table import Column, Schema

WIDTH, HEIGHT = 20.0, 12.0
ZONE_BOUNDS = (4.0, 8.0)
COLOURS = ("Grey", "Red", "Blue", "Golden", "Black", "White", "Green", "Brown")
BIRDS = ("Heron", "Finch", "Owl", "Wren", "Plover", "Thrush", "Kestrel", "Swift")
METHODS = ("sighting", "call", "ring", "camera")

Rows = Mapping[str, Any]


def _at_least(value: int, least: int, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise TabOrderError(f"{what} is {value!r}: give a whole number of at least {least}.")


def _share(value: float, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise TabOrderError(f"{what} is {value!r}: give a share between 0 and 1.")


def simulated(
    name: str | None,
    base: int,
    *,
    train_rows: int = 8000,
    test_rows: int = 2000,
    context_columns: int = 0,
    context_values: int = 10,
    seed: int = 0,
    rules: Sequence[Rows] | None = None,
    fds: Sequence[Rows] | None = None,
    condition: str | None = None,
    max_train_rows: int | None = None,
    subsample_seed: int = 0,
    rows_seed: int | None = None,
) -> Dataset:
    """The paper's chain A→B→C→D: A ∈ 0..8b−1, B = A mod 4b, C = B mod 2b, D = C mod b, written ``A_17``.

    Over train and test together A's values are as equally frequent as possible (counts differ by at most one); rows are
    shuffled and split, as in the paper's files.

    Args:
        name: folder-safe; ``None`` for ``simulated_base<b>``, with ``_context<k>`` when there are context columns.
        base: b ≥ 1; the table has 8b distinct rows before context columns. With b = 1, D is constant.
        train_rows: number of training rows.
        test_rows: number of test rows.
        context_columns: k further columns X1…Xk after D, drawn uniformly and independently of everything from
            ``context_values`` categories written ``X1_7``; they make rows longer without adding dependencies.
        context_values: categories of each context column.
        seed: of the shuffle and the context columns.
        rules: domain rules.
        fds: curated dependencies; ``None`` for the chain, without C→D when D is constant.
        condition: conditioning column.
        max_train_rows: use at most this many training rows.
        subsample_seed: decides which.
        rows_seed: instead of ``seed``, for other rows of the same world.
    """
    seed = seed if rows_seed is None else rows_seed
    name = name or f"simulated_base{base}" + (f"_context{context_columns}" if context_columns else "")
    for value, least, what in (
        (base, 1, "base"),
        (train_rows, 2, "train_rows"),
        (test_rows, 1, "test_rows"),
        (context_columns, 0, "context_columns"),
        (context_values, 1, "context_values"),
    ):
        _at_least(value, least, f"{what} of dataset '{name}'")
    rows = train_rows + test_rows
    a = rng(seed, "simulated", "rows").permutation(np.arange(rows) % (8 * base))
    if fds is None:
        fds = [{"lhs": x, "rhs": y, "g3": 0.0} for x, y in ("AB", "BC", "CD") if y != "D" or base > 1]
    numbers = {"A": a, "B": a % (4 * base), "C": a % (2 * base), "D": a % base}
    context = rng(seed, "simulated", "context")
    for k in range(1, context_columns + 1):
        numbers[f"X{k}"] = context.integers(0, context_values, rows)
    frame = pd.DataFrame({column: _labels(f"{column}_", values) for column, values in numbers.items()})
    return assemble(
        name,
        Schema(tuple(Column(column, "categorical") for column in numbers)),
        frame.iloc[:train_rows].reset_index(drop=True),
        frame.iloc[train_rows:].reset_index(drop=True),
        rules=rules,
        fds=fds,
        condition=condition,
        notes=(f"made by code: chain A→B→C→D with b={base} and {context_columns} context columns.",),
        max_train_rows=max_train_rows,
        subsample_seed=subsample_seed,
    )


def _labels(prefix: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    names = np.array([f"{prefix}{value}" for value in range(int(values.max()) + 1)], dtype=object)
    return np.asarray(names[values], dtype=object)


@dataclass(frozen=True, eq=False)
class _World:
    """What a key determines. All arrays have one entry (or row) a key."""

    codes: np.ndarray[Any, Any]
    species: np.ndarray[Any, Any]
    share: np.ndarray[Any, Any]
    bounds: np.ndarray[Any, Any]  # (keys, 4): least x, greatest x, least y, greatest y
    shape: np.ndarray[Any, Any]  # (keys, 4): Beta parameters of x and of y
    method: np.ndarray[Any, Any]  # (keys, methods): probabilities
    flock: np.ndarray[Any, Any]  # mean count


def regions(
    name: str,
    *,
    keys: int = 24,
    overlap: float = 0.0,
    label_noise: float = 0.05,
    missing: float = 0.1,
    train_rows: int = 8000,
    test_rows: int = 2000,
    seed: int = 0,
    rules: Sequence[Rows] | None = None,
    fds: Sequence[Rows] | None = None,
    condition: str | None = None,
    max_train_rows: int | None = None,
    subsample_seed: int = 0,
    rows_seed: int | None = None,
) -> Dataset:
    """Bird sightings in regions of a 20 × 12 map: exact dependencies and conditional mixtures, all known.

    Columns: ``region`` (key; unequal frequencies), ``species`` (region→species, several regions share one), ``x`` and ``y``
    (two decimals; inside the region's rectangle, each Beta-distributed with the region's own shape), ``zone`` (y→zone: low
    below 4, middle below 8, else high), ``count`` (integer, 1 + Poisson with the region's mean), ``method`` (categories with
    the region's own probabilities; missing at random), ``breeding`` (label, yes or no: decided by position in the map, zone
    and count, then flipped with probability ``label_noise``).

    Args:
        name: folder-safe.
        keys: number of regions.
        overlap: 0 keeps rectangles apart; at 1 each reaches a whole cell into its neighbours, so position says less.
        label_noise: share of labels flipped.
        missing: share of ``method`` cells missing.
        train_rows: number of training rows.
        test_rows: number of test rows.
        seed: of the map and the rows.
        rules: further domain rules, after the ones the map defines: x and y within the key's rectangle, the region→species
            map, positive counts.
        fds: curated dependencies.
        condition: conditioning column.
        max_train_rows: use at most this many training rows.
        subsample_seed: decides which.
        rows_seed: instead of ``seed``, for other rows of the same map.
    """
    for value, least, what in ((keys, 2, "keys"), (train_rows, 2, "train_rows"), (test_rows, 1, "test_rows")):
        _at_least(value, least, f"{what} of dataset '{name}'")
    for share, what in ((overlap, "overlap"), (label_noise, "label_noise"), (missing, "missing")):
        _share(share, f"{what} of dataset '{name}'")
    world = _world(keys, overlap, seed)
    frame = _sightings(world, train_rows + test_rows, label_noise, missing, seed if rows_seed is None else rows_seed)
    kinds = {"x": Column("x", "float", 2), "y": Column("y", "float", 2), "count": Column("count", "integer")}
    columns = tuple(kinds.get(column, Column(column, "categorical")) for column in map(str, frame))
    schema = Schema(columns, "breeding", "classification")
    return assemble(
        name,
        schema,
        frame.iloc[:train_rows].reset_index(drop=True),
        frame.iloc[train_rows:].reset_index(drop=True),
        rules=[*_map_rules(world), *(rules or ())],
        fds=fds,
        condition=condition,
        notes=(f"made by code: {keys} regions, overlap {overlap}, label noise {label_noise}, missing {missing}.",),
        max_train_rows=max_train_rows,
        subsample_seed=subsample_seed,
    )


def _world(keys: int, overlap: float, seed: int) -> _World:
    random = rng(seed, "regions", "world", keys)
    columns = int(np.ceil(np.sqrt(keys * WIDTH / HEIGHT)))
    lines = int(np.ceil(keys / columns))
    cell = random.permutation(columns * lines)[:keys]
    size = np.array([WIDTH / columns, HEIGHT / lines])
    low = np.stack([cell % columns, cell // columns], axis=1) * size + (0.1 - overlap) * size
    high = low + (0.8 + 2 * overlap) * size
    low, high = np.maximum(low, 0.0), np.minimum(high, [WIDTH, HEIGHT])
    names = [f"{colour} {bird}" for bird in BIRDS for colour in COLOURS]
    species = np.arange(keys) % max(2, round(0.6 * keys))
    texts = [names[k] if k < len(names) else f"{names[k % len(names)]} {k // len(names) + 1}" for k in species]
    share = 1.0 / (3.0 + np.arange(keys))
    return _World(
        codes=np.array([f"R{k:0{len(str(keys - 1))}d}" for k in range(keys)], dtype=object),
        species=np.array(texts, dtype=object),
        share=random.permutation(share / share.sum()),
        bounds=np.round(np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1), 2),
        shape=random.uniform(1.0, 4.0, size=(keys, 4)),
        method=random.dirichlet(np.full(len(METHODS), 0.5), size=keys),
        flock=random.uniform(0.5, 8.0, size=keys),
    )


def _sightings(world: _World, rows: int, label_noise: float, missing: float, seed: int) -> pd.DataFrame:
    random = rng(seed, "regions", "rows", rows)
    key = random.choice(len(world.codes), size=rows, p=world.share)
    low_x, high_x, low_y, high_y = world.bounds[key].T
    shape = world.shape[key]
    x = np.round(low_x + (high_x - low_x) * random.beta(shape[:, 0], shape[:, 1]), 2)
    y = np.round(low_y + (high_y - low_y) * random.beta(shape[:, 2], shape[:, 3]), 2)
    zone = np.digitize(y, ZONE_BOUNDS)
    count = 1 + random.poisson(world.flock[key])
    cumulative = np.cumsum(world.method[key], axis=1)
    drawn = (random.random((rows, 1)) > cumulative[:, :-1]).sum(axis=1)
    method = np.array(METHODS, dtype=object)[drawn]
    method[random.random(rows) < missing] = None
    score = (x - WIDTH / 2) / 5 + 1.5 * (zone == 1) - 1.0 * (zone == 2) + (count - 4) / 4
    breeding = (score > 0) ^ (random.random(rows) < label_noise)
    return pd.DataFrame(
        {
            "region": world.codes[key],
            "species": world.species[key],
            "x": x,
            "y": y,
            "zone": np.array(["low", "middle", "high"], dtype=object)[zone],
            "count": pd.array(count, dtype="Int64"),
            "method": method,
            "breeding": np.array(["no", "yes"], dtype=object)[breeding.astype(int)],
        }
    )


def _map_rules(world: _World) -> list[dict[str, Any]]:
    bounds = {str(code): [float(edge) for edge in edges] for code, edges in zip(world.codes, world.bounds, strict=True)}
    return [
        {
            "name": f"{axis}_in_region",
            "type": "range_by_key",
            "key": "region",
            "column": axis,
            "bounds": {code: edges[2 * index : 2 * index + 2] for code, edges in bounds.items()},
        }
        for index, axis in enumerate(("x", "y"))
    ] + [
        {
            "name": "species_of_region",
            "type": "map",
            "columns": ["region", "species"],
            "pairs": {str(code): str(text) for code, text in zip(world.codes, world.species, strict=True)},
        },
        {"name": "count_positive", "type": "range", "column": "count", "min": 1},
    ]
