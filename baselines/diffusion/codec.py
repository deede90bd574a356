"""A table as normal numbers and category codes, and back.

Numbers pass sklearn's quantile transform to a normal distribution, as in TabDDPM, TabSyn and TabDiff. Where those drop or average
missing numbers, a column with missing cells gets a category beside it that says whether the cell is there; a missing category is
one more category. A column with one value is not modelled, but put back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from baselines.columns import complete, modelled
from harness.table import Column, Schema

Array = np.ndarray[Any, Any]
LARGEST = 2.0**63 - 1024
"""The largest float64 below 2**63."""


@dataclass(frozen=True)
class NumberPart:
    """A number column with at least two values.

    Attributes:
        column: what it is.
        transform: sklearn's fitted quantile transformer.
        low: the least training value.
        high: the greatest.
        values: what a sampled number is set to, the nearest of these; ``None`` where every number in between is possible.
    """

    column: Column
    transform: Any
    low: float | int
    high: float | int
    values: Array | None

    def encode(self, cells: Array) -> Array:
        """Numbers (rows,) to about N(0, 1); missing ones to 0, the median."""
        present = ~np.isnan(cells)
        normal = np.zeros(len(cells))
        normal[present] = self.transform.transform(cells[present, None])[:, 0]
        return normal

    def decode(self, normal: Array) -> Array:
        """Back, to values of the column's kind and decimals within the training range."""
        numbers = np.asarray(normal, dtype=float)
        if len(numbers):  # sklearn refuses none
            numbers = self.transform.inverse_transform(numbers[:, None])[:, 0]
        if self.values is not None:
            middle = (self.values[1:] + self.values[:-1]) / 2
            numbers = self.values[np.searchsorted(middle, numbers)]
        if self.column.kind == "integer":
            whole = np.clip(np.rint(numbers), -LARGEST, LARGEST).astype(np.int64)
            return np.asarray(np.clip(whole, self.low, self.high))
        if self.column.decimals is not None:
            numbers = np.round(numbers, self.column.decimals)
        return np.asarray(np.clip(numbers, self.low, self.high))


@dataclass(frozen=True)
class CategoryPart:
    """A category column, or whether a number is there.

    Attributes:
        name: of the column.
        levels: what the codes stand for; of a flag ``(True, False)``: there, missing.
        flag: whether it tells of a number's presence.
    """

    name: str
    levels: tuple[Any, ...]
    flag: bool = False


@dataclass(frozen=True)
class TableCodec:
    """How a table's rows are written as numbers and codes.

    Attributes:
        schema: of the table.
        numbers: parts that are numbers, in the schema's order (``first`` first).
        categories: parts that are codes, in the schema's order, a flag where its number stands.
        constants: the value of each column that has one.
        label: the classification target left out of the parts, with its levels; ``None`` where there is none.
        notes: what was set aside, a sentence each.
    """

    schema: Schema
    numbers: tuple[NumberPart, ...]
    categories: tuple[CategoryPart, ...]
    constants: Mapping[str, Any]
    label: CategoryPart | None
    notes: tuple[str, ...]

    @classmethod
    def fit(
        cls, train: pd.DataFrame, schema: Schema, what: str, *, label: str | None = None, snap: int = 0
    ) -> TableCodec:
        """Read quantiles, categories and ranges off the training rows.

        Args:
            train: canonical rows; not changed.
            schema: their columns.
            what: the generator's name, for errors.
            label: a column that conditions the model in place of being modelled; its distinct values are categories.
            snap: integer columns with at most this many values get no others.

        Raises:
            Incompatible: when no column has a value.
        """
        names, notes = modelled(train, schema, what)
        names.sort(key=lambda name: name != schema.target)  # the target first, as the papers' code has it
        numbers: list[NumberPart] = []
        categories: list[CategoryPart] = []
        constants: dict[str, Any] = {}
        held: CategoryPart | None = None
        for name in names:
            column, missing = schema[name], bool(train[name].isna().any())
            if name == label:
                held = CategoryPart(name, _levels(train[name]))
            elif not column.numeric:
                levels = _levels(train[name])
                if len(levels) > 1:
                    categories.append(CategoryPart(name, levels))
                else:
                    constants[name] = levels[0]
            else:
                part = _number_part(train[name], column, snap)
                if isinstance(part, NumberPart):
                    numbers.append(part)
                else:
                    constants[name] = part
                if missing:
                    categories.append(CategoryPart(name, (True, False), flag=True))
        return cls(schema, tuple(numbers), tuple(categories), constants, held, tuple(notes))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of categories of each part that is codes."""
        return tuple(len(part.levels) for part in self.categories)

    @property
    def parts(self) -> int:
        """Number of parts; 0 where every column has one value."""
        return len(self.numbers) + len(self.categories)

    def encode(self, frame: pd.DataFrame) -> tuple[Array, Array]:
        """Rows as float32 (rows, numbers) and int64 codes (rows, categories)."""
        normal = [part.encode(_floats(frame[part.column.name])) for part in self.numbers]
        codes = [_codes(frame[part.name], part) for part in self.categories]
        rows = len(frame)
        return (
            np.column_stack(normal).astype(np.float32) if normal else np.zeros((rows, 0), np.float32),
            np.column_stack(codes) if codes else np.zeros((rows, 0), np.int64),
        )

    def labels(self, frame: pd.DataFrame) -> Array | None:
        """Codes (rows,) of the label; ``None`` without one."""
        return None if self.label is None else _codes(frame[self.label.name], self.label)

    def decode(self, normal: Array, codes: Array, labels: Array | None = None) -> pd.DataFrame:
        """What :meth:`encode` wrote, as rows of the schema."""
        rows = len(normal)
        values: dict[str, Any] = {name: pd.Series([value] * rows) for name, value in self.constants.items()}
        for position, part in enumerate(self.numbers):
            values[part.column.name] = pd.Series(part.decode(normal[:, position]))
        for position, category in enumerate(self.categories):
            if category.flag:
                values[category.name] = values[category.name].astype(object).mask(codes[:, position] == 1, None)
            else:
                values[category.name] = _values(category, codes[:, position])
        if self.label is not None and labels is not None:
            values[self.label.name] = _values(self.label, labels)
        return complete(values, self.schema, rows)


def _number_part(cells: pd.Series[Any], column: Column, snap: int) -> NumberPart | float | int:
    """The part of a number column, or its only value."""
    from sklearn.preprocessing import QuantileTransformer

    present = cells.dropna()
    low, high = present.min(), present.max()
    if low == high:
        return int(low) if column.kind == "integer" else float(low)
    quantiles = min(max(min(len(cells) // 30, 1000), 10), len(present))
    transform = QuantileTransformer(n_quantiles=quantiles, output_distribution="normal", subsample=None)
    floats = present.to_numpy(dtype=float)
    distinct = np.unique(floats)
    few = column.kind == "integer" and len(distinct) <= snap
    return NumberPart(
        column,
        transform.fit(floats[:, None]),
        low=int(low) if column.kind == "integer" else float(low),
        high=int(high) if column.kind == "integer" else float(high),
        values=distinct if few else None,
    )


def _floats(cells: pd.Series[Any]) -> Array:
    return cells.to_numpy(dtype=float, na_value=np.nan)


def _levels(cells: pd.Series[Any]) -> tuple[Any, ...]:
    """Distinct values, sorted; a missing one last, as ``None``."""
    levels: list[Any] = sorted(cells.dropna().unique().tolist())
    return (*levels, None) if cells.isna().any() else tuple(levels)


def _codes(cells: pd.Series[Any], part: CategoryPart) -> Array:
    if part.flag:
        return cells.isna().to_numpy().astype(np.int64)
    code = {level: position for position, level in enumerate(part.levels)}
    missing = code.get(None, -1)
    return np.array([missing if value is None or value is pd.NA else code[value] for value in cells], dtype=np.int64)


def _values(part: CategoryPart, codes: Array) -> pd.Series[Any]:
    levels = np.empty(len(part.levels), dtype=object)
    levels[:] = part.levels
    return pd.Series(levels[codes], dtype=object)
