"""``generator.repair=fd``: any generator, with the dependents of its rows looked up in the training table.

The control that every model of dependencies has to be compared with: keep the determinants as sampled, overwrite what
they determine. (The idea behind HFGF, arXiv 2507.19211, which generates the independent columns alone; here any
generator, unchanged.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from harness.dependencies import (
    Codes,
    Encoder,
    FunctionalDependency,
    IntArray,
    MiningOptions,
    join,
    mine,
    modes,
    violations,
)
from harness.generator import Context, Sample
from harness.table import Schema, conform

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class Repair:
    """What one dependency did to a table.

    Attributes:
        fd: the dependency followed.
        changed: rows whose dependent value is another than sampled.
        nearest: rows whose left side is not in train and was answered for by the nearest one that is.
        most_frequent: rows whose left side is not in train and got the column's most frequent value.
    """

    fd: FunctionalDependency
    changed: int
    nearest: int
    most_frequent: int

    def to_json(self) -> dict[str, Any]:
        """The dependency's fields and the three counts."""
        return {
            **self.fd.to_json(),
            "changed": self.changed,
            "unseen_nearest": self.nearest,
            "unseen_most_frequent": self.most_frequent,
        }


class FdRepair:
    """A generator whose rows follow the dependencies mined on train.

    Determinants stay as sampled; each dependent gets the value most frequent beside its determinants in train, in an
    order in which determinants that are dependents themselves come first (chains, composites). Each column follows at
    most one dependency: of those with fewest columns, the least g3 and the fewest left sides, the first that closes no
    circle (of A↔B, B follows A).

    A left side that train does not have takes the answer of the nearest that it has: equal in its categories, least sum
    of distances of its numbers, each in standard deviations of train; where there is none, the column's most frequent
    value. Both are counted.

    *Missing values* are values, as sampled or looked up; *rare categories*, *numbers outside of range* and *dates* are
    the generator's own, but for repaired columns, which hold values of train. It adds nothing but dependencies.

    Args:
        of: the generator.
        mining: options of the mining, as for the ``fd`` orders; an approximate dependency (``max_g3``) is made exact.

    Attributes:
        version: raised whenever equal configurations give other tables than before.
        search_space: empty; the generator's own space applies.
    """

    version = "1"
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(self, of: Any, *, mining: Mapping[str, Any] | None = None) -> None:
        self.of = of
        self.mining = MiningOptions().changed(mining or {})
        self._notes: list[str] = []
        self._facts: dict[str, Any] = {}

    @property
    def repeatable(self) -> bool:
        """As the generator says."""
        return bool(getattr(self.of, "repeatable", True))

    def bind(self, context: Context) -> None:
        """Pass the context on."""
        if hasattr(self.of, "bind"):
            self.of.bind(context)

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Mine the dependencies and fit the generator."""
        self._train, self._schema = train.copy(), schema
        self._mined = mine(train, schema, self.mining)
        encoder = Encoder(schema, train)
        self._plan = plan(self._mined.fds, schema.names, lambda names: len(np.unique(encoder.codes(names).values)))
        self.of.fit(train, schema, seed=seed)

    def sample(self, n: int, *, seed: int) -> Sample:
        """Sample from the generator and repair what it returns."""
        given = self.of.sample(n, seed=seed)
        sample = given if isinstance(given, Sample) else Sample(given)
        frame, invalid = conform(sample.frame, self._schema)
        frame, repairs = repair(self._plan, self._train, frame, self._schema)
        self._facts, self._notes = self._account(frame, repairs, invalid)
        return Sample(frame, sample.yield_)

    def describe(self) -> Mapping[str, Any]:
        """What the generator tells; ``fd_repair`` (mined, followed with counts, what is still violated) and notes
        beside it."""
        told = dict(self.of.describe()) if hasattr(self.of, "describe") else {}
        found = [fd.to_json() for fd in self._mined.fds]
        return {"fds": found, **told, "fd_repair": self._facts, "notes": [*told.get("notes", ()), *self._notes]}

    def _account(
        self, frame: pd.DataFrame, repairs: Sequence[Repair], invalid: Mapping[str, int]
    ) -> tuple[dict[str, Any], list[str]]:
        """Counts and sentences for the record."""
        encoder = Encoder(self._schema, self._train, frame)
        rates = [violations(fd, self._train, frame, self._schema, encoder=encoder).rate for fd in self._mined.fds]
        left = [{**fd.to_json(), "rate": rate} for fd, rate in zip(self._mined.fds, rates, strict=True) if rate]
        facts = {"mined": len(self._mined.fds), "followed": [one.to_json() for one in repairs], "left": left}
        notes = [f"fd_repair: {note}" for note in self._mined.notes]
        if not repairs:
            return facts, [*notes, "fd_repair: no dependency was found in train, so nothing was repaired."]
        total = len(frame)
        told = [
            f"{one.fd} changed {one.changed} of {total} rows"
            + (f" ({one.nearest} by the nearest left side)" if one.nearest else "")
            + (f" ({one.most_frequent} by the most frequent value)" if one.most_frequent else "")
            for one in repairs
        ]
        notes.append(f"fd_repair looked dependents up in train: {'; '.join(told)}.")
        if left:
            broken = ", ".join(f"{fd} in {rate:.2%}" for fd, rate in zip(self._mined.fds, rates, strict=True) if rate)
            notes.append(f"fd_repair followed one dependency per column; rows still violate {broken}.")
        if invalid:
            notes.append(
                f"fd_repair: cells that were no value of their column were missing before the repair: {dict(invalid)}."
            )
        return facts, notes


def plan(
    fds: Sequence[FunctionalDependency], names: Sequence[str], distinct: Callable[[tuple[str, ...]], int]
) -> list[FunctionalDependency]:
    """The dependencies to follow, one per column and without circles, determinants first.

    Args:
        fds: those mined.
        names: the columns in table order, which settles ties.
        distinct: number of left sides of some columns.
    """
    place = {name: i for i, name in enumerate(names)}
    chosen: dict[str, FunctionalDependency] = {}

    def behind(name: str) -> set[str]:
        """The columns that a column's value is taken from, however far back."""
        left = chosen[name].lhs if name in chosen else ()
        return set(left).union(*map(behind, left))

    def rank(fd: FunctionalDependency) -> tuple[int, float, int, list[int]]:
        return len(fd.lhs), fd.g3, distinct(fd.lhs), [place[name] for name in (*fd.lhs, fd.rhs)]

    for fd in sorted(fds, key=rank):
        if fd.rhs not in chosen and not any(fd.rhs in behind(name) for name in fd.lhs):
            chosen[fd.rhs] = fd
    order = TopologicalSorter({rhs: fd.lhs for rhs, fd in chosen.items()}).static_order()
    return [chosen[name] for name in order if name in chosen]


def repair(
    fds: Sequence[FunctionalDependency], train: pd.DataFrame, frame: pd.DataFrame, schema: Schema
) -> tuple[pd.DataFrame, list[Repair]]:
    """Follow dependencies, in the order given.

    Args:
        fds: one per column at most, determinants first.
        train: where values are looked up, canonical.
        frame: the rows to repair, canonical; not changed.
        schema: of both.

    Returns:
        The repaired table, and what each dependency did.
    """
    made, repairs = frame.copy(), []
    split = len(train)
    for fd in fds:
        encoder = Encoder(schema, train, made)  # anew: an earlier repair may have changed the left side
        left, right = encoder.codes(fd.lhs), encoder.codes((fd.rhs,))
        known = modes(left.values[:split], right.values[:split], left.size, right.size)
        answer = known[left.values[split:]]
        unseen = np.flatnonzero(answer < 0)
        answer[unseen] = _nearest(fd, train, made.iloc[unseen], schema, known[left.values[:split]])
        far = int((answer < 0).sum())
        usual = modes(np.zeros(split, dtype=np.int64), right.values[:split], 1, right.size)
        answer = np.where(answer < 0, usual[0], answer)
        row_of = np.zeros(right.size, dtype=np.int64)
        row_of[right.values[:split][::-1]] = np.arange(split)[::-1]  # the first row of train with each value
        repairs.append(Repair(fd, int((answer != right.values[split:]).sum()), len(unseen) - far, far))
        made[fd.rhs] = train[fd.rhs].iloc[row_of[answer]].set_axis(made.index)
    return made, repairs


def _nearest(
    fd: FunctionalDependency, train: pd.DataFrame, rows: pd.DataFrame, schema: Schema, answers: IntArray
) -> IntArray:
    """The answers beside the nearest left sides of train, −1 where no left side has the row's categories or a number is
    missing."""
    found = np.full(len(rows), -1, dtype=np.int64)
    numeric = [name for name in fd.lhs if schema[name].numeric]
    if not numeric or rows.empty:
        return found
    from scipy.spatial import KDTree

    values = [
        np.column_stack([one[name].to_numpy(float, na_value=np.nan) for name in numeric]) for one in (train, rows)
    ]
    deviation = np.nanstd(values[0], axis=0)
    known, asked = (value / np.where(deviation > 0, deviation, 1.0) for value in values)
    groups = Codes(np.zeros(len(train) + len(rows), dtype=np.int64), 1)
    encoder = Encoder(schema, train, rows)
    for name in fd.lhs:
        if not schema[name].numeric:
            groups = join(groups, encoder.codes((name,)))
    of_train, of_rows = np.split(groups.values, [len(train)])
    complete_train, complete_rows = ~np.isnan(known).any(axis=1), ~np.isnan(asked).any(axis=1)
    for group in np.unique(of_rows[complete_rows]):
        near = np.flatnonzero((of_train == group) & complete_train)
        far = np.flatnonzero((of_rows == group) & complete_rows)
        if len(near):
            found[far] = answers[near[KDTree(known[near]).query(asked[far], p=1)[1]]]
    return found
