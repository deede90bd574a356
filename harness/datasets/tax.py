"""The FD literature's tax table, made by code: composite dependencies, a chain of places, and rates that rise with salaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.assemble import assemble
from harness.datasets.base import Dataset
from harness.datasets.fds import Given
from harness.errors import TabOrderError
from harness.seeding import rng
from harness.table import Column, Schema

STATES = (
    "AZ", "CA", "CO", "FL", "GA", "IL", "IN", "MA", "MD", "MI", "MN", "MO", "NC", "NJ", "NY", "OH", "PA", "TX", "VA", "WA",
)  # fmt: skip
STEP, STEPS = 5_000, 30
"""Salaries are multiples of STEP up to STEP · STEPS, so that {State, Salary} recurs."""
AREAS, CITIES, ZIPS = 3, 5, 12
"""Of a state."""
FDS: tuple[Mapping[str, Any], ...] = (
    {"lhs": "AreaCode", "rhs": "State"},
    {"lhs": "Zip", "rhs": "City"},
    {"lhs": "City", "rhs": "State"},
    {"lhs": ["State", "MaritalStatus"], "rhs": "SingleExemp"},
    {"lhs": ["State", "HasChild"], "rhs": "ChildExemp"},
    {"lhs": ["State", "Salary"], "rhs": "Rate"},
)


def tax(
    name: str = "tax",
    *,
    train_rows: int = 8000,
    test_rows: int = 2000,
    seed: int = 0,
    rules: Sequence[Mapping[str, Any]] | None = None,
    fds: Given | str = "known",
    condition: str | None = None,
    max_train_rows: int | None = None,
    subsample_seed: int = 0,
) -> Dataset:
    """Taxpayers of 20 states; what a state decides follows from the columns beside it.

    Dependencies: AreaCode→State, Zip→City→State, {State, MaritalStatus}→SingleExemp, {State, HasChild}→ChildExemp,
    {State, Salary}→Rate; the rate never falls with the salary within a state, and states without income tax have rate 0. A state's
    salaries shape its rows, so that Rate is worth predicting.

    Args:
        name: folder-safe.
        train_rows: number of training rows.
        test_rows: number of test rows.
        seed: of the states' laws and of the rows.
        rules: further domain rules, after the ones the laws define: exemptions that are not negative, rates between 0 and 13.
        fds: ``known`` for those above, else as for every dataset.
        condition: conditioning column.
        max_train_rows: use at most this many training rows.
        subsample_seed: decides which.

    Raises:
        TabOrderError: for numbers of rows that make no table.
    """
    for value, least, what in ((train_rows, 2, "train_rows"), (test_rows, 1, "test_rows")):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise TabOrderError(f"{what} of dataset '{name}' is {value!r}: give a whole number of at least {least}.")
    frame = _rows(train_rows + test_rows, seed)
    numbers = {"Salary": None, "SingleExemp": None, "ChildExemp": None, "Rate": 2}
    columns = tuple(
        Column(column, "categorical") if column not in numbers
        else Column(column, "float", 2) if numbers[column] is not None else Column(column, "integer")
        for column in map(str, frame)
    )  # fmt: skip
    laws = [
        {"name": "rate_range", "type": "range", "column": "Rate", "min": 0, "max": 13},
        {"name": "exemption_not_negative", "type": "range", "column": "SingleExemp", "min": 0},
        {"name": "child_exemption_not_negative", "type": "range", "column": "ChildExemp", "min": 0},
    ]
    return assemble(
        name,
        Schema(columns, "Rate", "regression"),
        frame.iloc[:train_rows].reset_index(drop=True),
        frame.iloc[train_rows:].reset_index(drop=True),
        rules=[*laws, *(rules or ())],
        fds=list(FDS) if fds == "known" else fds,
        condition=condition,
        notes=(f"made by code after the tax tables of the FD literature: {len(STATES)} states, seed={seed}.",),
        max_train_rows=max_train_rows,
        subsample_seed=subsample_seed,
    )


def _rows(rows: int, seed: int) -> pd.DataFrame:
    random = rng(seed, "tax", rows)
    states = len(STATES)
    share = 1.0 / (2.0 + np.arange(states))
    state = random.choice(states, size=rows, p=random.permutation(share / share.sum()))
    zips = random.integers(0, ZIPS, rows)
    married, child = random.random(rows) < 0.5, random.random(rows) < 0.4
    typical = random.uniform(6.0, 18.0, states)  # a state's usual salary, in steps
    step = np.clip(np.round(random.gamma(4.0, typical[state] / 4.0) + 3.0 * married), 1, STEPS).astype(int)
    laws = _laws(random)
    first_area, first_zip = random.permutation(800)[: states * AREAS] + 201, random.permutation(89_999)[: states * ZIPS]
    words = ("Ash", "Brook", "Cedar", "Dale", "Elm", "Fair", "Glen", "Hill", "Iron", "Lake")
    ends = ("burg", "field", "ford", "ham", "mont", "port", "ton", "view", "ville", "wood")
    names = [f"{a}{b}" for a in words for b in ends]
    city_of = [names[i] for i in random.permutation(len(names))[: states * CITIES]]
    return pd.DataFrame(
        {
            "Gender": np.array(["F", "M"], dtype=object)[random.integers(0, 2, rows)],
            "AreaCode": _text(first_area[state * AREAS + random.integers(0, AREAS, rows)]),
            "City": np.array(city_of, dtype=object)[state * CITIES + zips % CITIES],
            "State": np.array(STATES, dtype=object)[state],
            "Zip": _text(first_zip[state * ZIPS + zips] + 10_000),
            "MaritalStatus": np.array(["S", "M"], dtype=object)[married.astype(int)],
            "HasChild": np.array(["N", "Y"], dtype=object)[child.astype(int)],
            "Salary": pd.array(step * STEP, dtype="Int64"),
            "Rate": laws["rate"][state, step],
            "SingleExemp": pd.array(np.where(married, 0, laws["single"][state]), dtype="Int64"),
            "ChildExemp": pd.array(np.where(child, laws["child"][state], 0), dtype="Int64"),
        }
    )


def _laws(random: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
    """What each state decides: exemptions (states,), and rates (states, STEPS + 1) that never fall with the salary."""
    states = len(STATES)
    brackets = np.sort(random.integers(1, STEPS, (states, 4)), axis=1)
    rates = np.sort(np.round(random.uniform(1.0, 12.0, (states, 5)), 2), axis=1)
    rates[random.permutation(states)[:4]] = 0.0  # no income tax
    position = (np.arange(STEPS + 1)[None, :, None] >= brackets[:, None, :]).sum(axis=2)
    return {
        "rate": np.take_along_axis(rates, position, axis=1),
        "single": 100 * random.integers(5, 60, states),
        "child": 100 * random.integers(3, 30, states),
    }


def _text(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.array([str(number) for number in numbers], dtype=object)
