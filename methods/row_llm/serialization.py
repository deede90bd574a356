"""Rows of a table ↔ token ids of a from-scratch model (one token per name, per category and per group of digits)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from harness.errors import Incompatible
from harness.table import Schema
from methods.row_llm.chunks import Chunks
from methods.row_llm.columns import (
    OUT_OF_RANGE,
    OUT_OF_VOCABULARY,
    UNKNOWN_CATEGORY,
    UNPARSABLE,
    VALID,
    ColumnCodec,
    Words,
    codec_from_json,
    codec_to_json,
    distinct,
    fit_column,
)
from methods.row_llm.sampling import Plan
from methods.row_llm.tokenizer import BLANK, ROW, name_token

REASONS = {
    UNKNOWN_CATEGORY: "unknown_category",
    UNPARSABLE: "unparsable",
    OUT_OF_RANGE: "out_of_range",
    OUT_OF_VOCABULARY: "out_of_vocabulary",
}
MAX_VOCABULARY = 200_000


class TableCodec:
    """The token layout of a table: ``<row> name value… name value… <row>`` with values of fixed width.

    Args:
        schema: of the table.
        codecs: one per column, in schema order.

    Attributes:
        words: the vocabulary.
        names: the name token of each column.
        widths: value tokens of each column.
        length: tokens of a row without the row token.
    """

    def __init__(self, schema: Schema, codecs: tuple[ColumnCodec, ...]) -> None:
        self.schema = schema
        self.codecs = codecs
        names = [name_token(index, column.name) for index, column in enumerate(schema.columns)]
        values = dict.fromkeys(word for codec in codecs for word in codec.words())
        self.words = Words([ROW, BLANK, *names, *values])
        self.names = [self.words.ids[name] for name in names]
        self.widths = [codec.width for codec in codecs]
        self.length = sum(self.widths) + len(self.names)
        self.row = self.words.ids[ROW]
        self.blank = self.words.blank

    @classmethod
    def fit(cls, frame: pd.DataFrame, schema: Schema, digits_per_token: int) -> TableCodec:
        """Learn the categories, digits and widths of the training rows.

        Raises:
            Incompatible: when the columns have too many distinct categories for one token each.
        """
        sizes = {column.name: frame[column.name].nunique() for column in schema.columns if not column.numeric}
        if sum(sizes.values()) > MAX_VOCABULARY:
            widest = max(sizes, key=lambda name: sizes[name])
            raise Incompatible(
                f"the categorical columns have {sum(sizes.values()):,} distinct values ('{widest}' {sizes[widest]:,}), "
                f"more than the {MAX_VOCABULARY:,} tokens a from-scratch model can have: drop that column, or set llm.pretrained."
            )
        return cls(
            schema,
            tuple(
                fit_column(index, column, frame[column.name], digits_per_token)
                for index, column in enumerate(schema.columns)
            ),
        )

    def encode(self, frame: pd.DataFrame) -> Chunks:
        """Tokenise a table once: each distinct value of each column is one chunk."""
        tokens, value, codes = [], [], []
        for codec, name, column in zip(self.codecs, self.names, self.schema.columns, strict=True):
            rows, unique, missing = distinct(frame[column.name])
            body = codec.encode(unique, self.words)
            if missing:
                lacking = np.full((1, codec.width), self.blank)
                lacking[0, 0] = self.words.ids[codec.words()[-1]]
                body = np.concatenate([body, lacking])
            learn = np.ones(body.shape, dtype=bool)
            learn[:, 1:] = (body[:, 1:] != self.blank) | (body[:, :-1] != self.blank)
            if missing:
                learn[-1, 1:] = False
            tokens.append(list(np.insert(body, 0, name, axis=1)))
            value.append(list(np.insert(learn, 0, False, axis=1)))
            codes.append(rows)
        return Chunks.build(tokens, value, codes)

    def decode(self, values: Tensor) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
        """Read value tokens without loss.

        Args:
            values: value tokens with the columns in schema order and no names, shape (rows, sum of widths).

        Returns:
            the canonical frame, and what each row is: ``VALID`` or the first column's defect (a key of :data:`REASONS`).
        """
        tokens = values.cpu().numpy().astype(np.int64)
        state = np.full(len(tokens), VALID)
        columns: dict[str, Any] = {}
        place = 0
        for codec, column in zip(self.codecs, self.schema.columns, strict=True):
            part = tokens[:, place : place + codec.width]
            cells, defect = codec.decode(part, self.words)
            defect = np.where((defect != VALID) & self._foreign(part), OUT_OF_VOCABULARY, defect)
            state = np.where(state == VALID, defect, state)
            columns[column.name] = cells
            place += codec.width
        return pd.DataFrame(columns, columns=pd.Index(self.schema.names)), state

    def _foreign(self, tokens: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Rows with a token that belongs to no value at all: a name, the row token, or an id without a word."""
        outside = (tokens >= len(self.words)) | (tokens == self.row) | np.isin(tokens, self.names)
        return np.asarray(outside.any(1))

    def value_places(self, order: Tensor) -> Tensor:
        """Where the value tokens of each column, in schema order, stand in rows written in ``order``.

        Args:
            order: column positions, shape (columns,) or (rows, columns).

        Returns:
            places counted after the row token, shape (sum of widths,) or (rows, sum of widths).
        """
        lengths = torch.tensor(self.widths) + 1
        placed = lengths[order]
        starts = placed.cumsum(-1) - placed
        by_column = torch.empty_like(starts).scatter_(-1, order, starts)
        column = torch.repeat_interleave(torch.arange(len(self.widths)), torch.tensor(self.widths))
        offset = torch.cat([torch.arange(1, width + 1) for width in self.widths])
        return by_column[..., column] + offset

    def plan(self, order: Tensor, device: torch.device) -> Plan:
        """The rows' layout for decoding with names forced.

        Args:
            order: column positions, shape (columns,) or (rows, columns).
            device: where decoding happens.
        """
        names = torch.tensor(self.names)[order]
        lengths = torch.tensor(self.widths)[order] + 1
        starts = lengths.cumsum(-1) - lengths
        shape = (*order.shape[:-1], self.length)
        forced = torch.full(shape, -1).scatter_(-1, starts, names)
        inside = torch.ones(shape, dtype=torch.bool).scatter_(-1, starts, False).scatter_(-1, starts + 1, False)
        closers = torch.zeros(len(self.words), dtype=torch.bool)
        closers[[self.blank, *(self.words.ids[codec.words()[-1]] for codec in self.codecs if codec.missing)]] = True
        filler = torch.tensor(self.blank)
        return Plan(forced.to(device), inside.to(device), closers.to(device), filler.to(device))

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form; :meth:`from_json` reverses it."""
        return {"schema": self.schema.to_json(), "columns": [codec_to_json(codec) for codec in self.codecs]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableCodec:
        """Read what :meth:`to_json` wrote."""
        return cls(Schema.from_json(data["schema"]), tuple(codec_from_json(codec) for codec in data["columns"]))
