"""Small tables for the tests of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.datasets import Dataset
from harness.dependencies import FunctionalDependency
from harness.metrics.base import EvalInput, Metric, Value
from harness.table import Column, Kind, Schema, Task, conform

Cells = Mapping[str, Sequence[Any]]


def schema(kinds: Mapping[str, Kind], target: str | None = None, task: Task | None = None) -> Schema:
    """Float columns have two decimals."""
    return Schema(tuple(Column(n, k, 2 if k == "float" else None) for n, k in kinds.items()), target, task)


def frame(cells: Cells, of: Schema) -> pd.DataFrame:
    table, invalid = conform(
        pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in cells.items()}), of
    )
    assert not invalid
    return table


def dataset(train: pd.DataFrame, test: pd.DataFrame, of: Schema, **more: Any) -> Dataset:
    fds = tuple(FunctionalDependency(tuple(lhs), rhs) for lhs, rhs in more.pop("fds", ()))
    return Dataset("toy", of, train, test, checksum="toy", fds=fds, **more)


def inputs(
    kinds: Mapping[str, Kind],
    train: Cells,
    test: Cells,
    synthetic: Cells,
    *,
    target: str | None = None,
    task: Task | None = None,
    seed: int = 0,
    invalid: Mapping[str, int] | None = None,
    **more: Any,
) -> EvalInput:
    of = schema(kinds, target, task)
    tables = [frame(cells, of) for cells in (train, test, synthetic)]
    return EvalInput(*tables, of, dataset(tables[0], tables[1], of, **more), seed, invalid or {})


def values(metric: Metric, data: EvalInput) -> dict[str, Value]:
    found = {value.name: value for value in metric(data)}
    assert all(name.startswith(metric.name) for name in found)
    return found


def numbers(metric: Metric, data: EvalInput) -> dict[str, float | None]:
    return {name: value.value for name, value in values(metric, data).items()}
