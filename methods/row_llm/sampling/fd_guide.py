"""Keeps rows consistent with the training rows' exact functional dependencies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from harness.dependencies import FunctionalDependency, violations
from harness.table import Schema, conform, format_cell

MULTIPLIER = 6364136223846793005
"""Of the linear congruential generator in Knuth's MMIX: odd and well mixing, so that other tokens get other keys."""

Known = Callable[[int], tuple[Tensor, Tensor]]
"""Column → value tokens (rows, width) padded with −1, and for which rows the column is already written."""


class ValueCodec(Protocol):
    """What the guide needs of a codec."""

    schema: Schema

    def value_tokens(self, index: int, cells: pd.Series[Any]) -> Tensor:
        """Value tokens of cells, shape (cells, width), padded with −1."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One dependency in tokens.

    Attributes:
        lhs: determinant columns.
        rhs: dependent column.
        keys: hashes of the determinants' tokens seen in training, ascending, shape (known,).
        answers: tokens of the one dependent value of each, padded with −1, shape (known, width).
    """

    lhs: tuple[int, ...]
    rhs: int
    keys: Tensor
    answers: Tensor

    def apply(self, known: Known, writes: Tensor) -> Tensor:
        """The tokens forced on each row, −1 where none; ``writes`` is the column each row is about to write."""
        key = torch.zeros(len(writes), dtype=torch.int64, device=writes.device)
        active = writes == self.rhs
        for column in self.lhs:
            tokens, written = known(column)
            key, active = fold(key, tokens), active & written
        place = torch.searchsorted(self.keys, key).clamp(max=len(self.keys) - 1)
        return torch.where((active & (self.keys[place] == key))[:, None], self.answers[place], -1)


class FDGuide:
    """Forces a dependent value once its determinants are written and were seen in training; knows violations.

    Args:
        tables: each exact dependency with its distinct training rows (determinants and dependent only).
        codec: of the rows.
        device: where decoding happens.
    """

    def __init__(
        self, tables: Iterable[tuple[FunctionalDependency, pd.DataFrame]], codec: ValueCodec, device: torch.device
    ) -> None:
        self.tables = list(tables)
        self.schema = codec.schema
        self.rules = [_rule(fd, table, codec, device) for fd, table in self.tables]
        self.width = max((rule.answers.shape[1] for rule in self.rules), default=1)

    @classmethod
    def fit(
        cls, frame: pd.DataFrame, fds: Iterable[FunctionalDependency], codec: ValueCodec, device: torch.device
    ) -> FDGuide:
        """Remember what each exact dependency maps to what."""
        exact = [fd for fd in fds if fd.g3 == 0]
        return cls([(fd, frame[[*fd.lhs, fd.rhs]].drop_duplicates(ignore_index=True)) for fd in exact], codec, device)

    def force(self, known: Known, writes: Tensor) -> Tensor:
        """The value tokens each row has to write now, −1 where it is free, shape (rows, :attr:`width`)."""
        forced = torch.full((len(writes), self.width), -1, device=writes.device)
        for rule in self.rules:
            answer = rule.apply(known, writes)
            answer = torch.nn.functional.pad(answer, (0, self.width - answer.shape[1]), value=-1)
            forced = torch.where(forced[:, :1] < 0, answer, forced)
        return forced

    def broken(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Rows against any dependency."""
        mask = np.zeros(len(frame), dtype=bool)
        for fd, table in self.tables:
            columns = tuple(self.schema[name] for name in table.columns)
            mask |= violations(fd, table, frame[list(table.columns)], Schema(columns)).mask
        return mask

    def to_json(self) -> list[dict[str, Any]]:
        """A JSON-able form; :meth:`from_json` reverses it."""
        return [
            {
                "fd": fd.to_json(),
                "rows": {
                    name: [format_cell(self.schema[name], cell) for cell in table[name]] for name in table.columns
                },
            }
            for fd, table in self.tables
        ]

    @classmethod
    def from_json(cls, data: Iterable[Mapping[str, Any]], codec: ValueCodec, device: torch.device) -> FDGuide:
        """Read what :meth:`to_json` wrote."""
        tables = []
        for item in data:
            rows = pd.DataFrame(item["rows"], dtype=object)
            columns = tuple(codec.schema[str(name)] for name in rows.columns)
            tables.append((FunctionalDependency.from_json(item["fd"]), conform(rows, Schema(columns))[0]))
        return cls(tables, codec, device)


def fold(key: Tensor, tokens: Tensor) -> Tensor:
    """Extend hashes by tokens, shape (rows, width); −1 is skipped, and each call ends a column."""
    for column in tokens.unbind(1):
        key = torch.where(column < 0, key, (key + column + 1) * MULTIPLIER)
    return (key ^ (key >> 29)) * MULTIPLIER


def _rule(fd: FunctionalDependency, table: pd.DataFrame, codec: ValueCodec, device: torch.device) -> Rule:
    index = {name: place for place, name in enumerate(codec.schema.names)}
    key = torch.zeros(len(table), dtype=torch.int64)
    for name in fd.lhs:
        key = fold(key, codec.value_tokens(index[name], table[name]))
    keys, order = key.sort()
    answers = codec.value_tokens(index[fd.rhs], table[fd.rhs])[order]
    return Rule(tuple(index[name] for name in fd.lhs), index[fd.rhs], keys.to(device), answers.to(device))
