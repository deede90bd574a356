"""Worlds of which any number of rows can be drawn, and tables that are broken or that cheat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.base import Dataset
from harness.dependencies import FunctionalDependency
from harness.metrics.encoding import resample_columns
from harness.table import Column, Schema, conform

Rng = np.random.Generator
Draw = Callable[[Rng, int], Mapping[str, Any]]


def mixed(rng: Rng, rows: int) -> Mapping[str, Any]:
    """A dependency city → state, a number that depends on the state, a target that depends on both."""
    city = rng.integers(0, 24, rows)
    income = np.round(rng.lognormal(2 + city % 6 * 0.3, 0.4), 2)
    return {
        "city": [f"c{i}" for i in city],
        "state": [f"s{i % 6}" for i in city],
        "income": income,
        "age": np.round(20 + 5 * np.log(income) + rng.normal(0, 3, rows), 2),
        "rich": np.where(income + rng.normal(0, 2, rows) > 15, "yes", "no"),
    }


def counted(rng: Rng, rows: int) -> Mapping[str, Any]:
    """Few categories only: held-out rows repeat training rows all the time."""
    first = rng.integers(0, 4, rows)
    second = np.where(rng.random(rows) < 0.8, first, rng.integers(0, 4, rows))
    flip = rng.random(rows) < 0.7
    return {
        "a": [f"a{i}" for i in first],
        "b": [f"b{i}" for i in second],
        "c": [f"c{i}" for i in rng.integers(0, 5, rows)],
        "rich": np.where(flip == (second > 1), "yes", "no"),
    }


def measured(rng: Rng, rows: int) -> Mapping[str, Any]:
    """Correlated numbers and no category but the target."""
    hidden = rng.normal(size=(rows, 2))
    values = hidden @ np.array([[1, 0.8, 0.1, 0.5], [0, 0.6, 0.9, -0.5]]) + 0.3 * rng.normal(size=(rows, 4))
    return {
        **{f"x{i}": np.round(column, 3) for i, column in enumerate(values.T)},
        "rich": np.where(hidden[:, 0] + 0.3 * rng.normal(size=rows) > 0, "yes", "no"),
    }


def noise(rng: Rng, rows: int) -> Mapping[str, Any]:
    """Columns that have nothing to do with one another: all relations are absent, the target cannot be predicted."""
    return {
        "a": [f"a{i}" for i in rng.integers(0, 5, rows)],
        "b": [f"b{i}" for i in rng.integers(0, 3, rows)],
        "x": np.round(rng.normal(size=rows), 2),
        "rich": rng.choice(["yes", "no"], rows),
    }


WORLDS: tuple[Draw, ...] = (mixed, counted, measured)


def frame(draw: Draw, rng: Rng, rows: int) -> tuple[pd.DataFrame, Schema]:
    """Rows of a world, canonical, and their schema."""
    plain = pd.DataFrame(dict(draw(rng, rows)))
    columns = [
        Column(name, "float", 3) if plain[name].dtype.kind == "f" else Column(name, "categorical") for name in plain
    ]
    schema = Schema(tuple(columns), "rich", "classification")
    return conform(plain, schema)[0], schema


def dataset(draw: Draw, seed: int, train: int = 300, test: int = 150) -> Dataset:
    """Train and test rows of a world, its dependency and a condition where it has them."""
    rng = np.random.default_rng(seed)
    (first, schema), (second, _) = frame(draw, rng, train), frame(draw, rng, test)
    fds = (FunctionalDependency(("city",), "state"),) if draw is mixed else ()
    condition = next((column.name for column in schema.columns if column.kind == "categorical"), None)
    return Dataset(draw.__name__, schema, first, second, f"{draw.__name__}{seed}", (), fds, condition)


def rows_of(frame: pd.DataFrame, chosen: Any) -> pd.DataFrame:
    return frame.iloc[chosen].reset_index(drop=True)


def copied(data: Dataset, rng: Rng) -> pd.DataFrame:
    return data.train.copy()


def bootstrapped(data: Dataset, rng: Rng) -> pd.DataFrame:
    return rows_of(data.train, rng.integers(0, len(data.train), len(data.train)))


def jittered(data: Dataset, rng: Rng) -> pd.DataFrame:
    """Training rows with 1 % noise on every number."""
    made = data.train.copy()
    for name in data.schema.numeric:
        made[name] = np.round(made[name] + 0.01 * made[name].std() * rng.normal(size=len(made)), 3)
    return made


def one_cell_changed(data: Dataset, rng: Rng) -> pd.DataFrame:
    made, others = data.train.copy(), resample_columns(data.train, len(data.train), rng)
    place = rng.integers(0, made.shape[1], len(made))
    for index, name in enumerate(made.columns):
        made[name] = made[name].where(place != index, others[name])
    return made


def typical(data: Dataset, rng: Rng) -> pd.DataFrame:
    """A tenth of the training rows, ten times each."""
    return rows_of(data.train, np.repeat(np.arange(len(data.train) // 10), 10))


def half_copied(data: Dataset, rng: Rng) -> pd.DataFrame:
    """Every other row a copy, the rest columns resampled on their own."""
    made = resample_columns(data.train, len(data.train), rng)
    return pd.concat([data.train.iloc[::2], made.iloc[1::2]], ignore_index=True)


def stolen(data: Dataset, rng: Rng) -> pd.DataFrame:
    """The held-out rows themselves."""
    return rows_of(data.test, rng.integers(0, len(data.test), len(data.train)))


CHEATS = (copied, bootstrapped, jittered, one_cell_changed, typical, half_copied, stolen)


def independent(data: Dataset, rng: Rng) -> pd.DataFrame:
    return resample_columns(data.train, len(data.train), rng)


def constant(data: Dataset, rng: Rng) -> pd.DataFrame:
    """The first training row for ever."""
    return rows_of(data.train, np.zeros(len(data.train), dtype=int))


def shuffled(data: Dataset, rng: Rng) -> pd.DataFrame:
    """Every column in an order of its own."""
    made = {name: data.train[name].array.take(rng.permutation(len(data.train))) for name in data.train}
    return pd.DataFrame(made, columns=data.train.columns)


def sorted_apart(data: Dataset, rng: Rng) -> pd.DataFrame:
    """Every column sorted by itself: all relations wrong, all columns right."""
    made = {name: data.train[name].sort_values(ascending=bool(i % 2)).array for i, name in enumerate(data.train)}
    return pd.DataFrame(made, columns=data.train.columns)


BROKEN = (independent, constant, shuffled, sorted_apart)
