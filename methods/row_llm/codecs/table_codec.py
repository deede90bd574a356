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
from methods.row_llm.codecs.chunks import Chunks, ColumnChunks
from methods.row_llm.codecs.columns import ColumnCodec, codec_from_json, codec_to_json, fit_column
from methods.row_llm.codecs.distinct import distinct
from methods.row_llm.codecs.reasons import CUT, DUPLICATE_COLUMN, MISSING_COLUMN, OUT_OF_VOCABULARY, UNPARSABLE, VALID
from methods.row_llm.codecs.row_layout import RowLayout
from methods.row_llm.codecs.tokenizer import BLANK, ROW, Words, build_tokenizer, missing_token, name_token

Array = np.ndarray[Any, Any]
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
        row: the token that begins and ends rows.
        tokenizer: the vocabulary as a Hugging Face tokenizer.
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
        self.end = None  # values have fixed width, so nothing separates them
        self.tokenizer = build_tokenizer(self.words.list, self.length + 2)
        self.closers = [self.blank, *(self.words.ids[missing_token(codec.index)] for codec in codecs if codec.missing)]

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
        columns = []
        for index, name in enumerate(self.names):
            rows, body = self._bodies(index, frame[self.schema.names[index]])
            learn = np.ones(body.shape, dtype=bool)
            # Filler after the first, or after a missing value, is certain: there is nothing to learn.
            learn[:, 1:] = (body[:, 1:] != self.blank) | ~np.isin(body[:, :-1], self.closers)
            tokens, value = np.insert(body, 0, name, axis=1), np.insert(learn, 0, False, axis=1)
            lengths = np.full(len(tokens), tokens.shape[1])
            columns.append(ColumnChunks(tokens.ravel(), value.ravel(), lengths, rows))
        return Chunks.build(columns)

    def value_tokens(self, index: int, cells: pd.Series[Any]) -> Tensor:
        """Value tokens of cells of a column, shape (cells, width)."""
        rows, body = self._bodies(index, cells)
        return torch.from_numpy(body[rows])

    def _bodies(self, index: int, cells: pd.Series[Any]) -> tuple[Array, Array]:
        """The distinct value of each cell, and the tokens of the distinct values."""
        codec = self.codecs[index]
        rows, unique, missing = distinct(cells)
        body = codec.encode(unique, self.words)
        if missing:
            lacking = np.full((1, codec.width), self.blank)
            lacking[0, 0] = self.words.ids[missing_token(index)]
            body = np.concatenate([body, lacking])
        return rows, body

    def decode(self, values: Tensor) -> tuple[pd.DataFrame, Array]:
        """Read value tokens without loss.

        Args:
            values: value tokens with the columns in schema order and no names, shape (rows, sum of widths).

        Returns:
            the canonical frame, and what each row is: ``VALID`` or the first column's defect (:mod:`methods.row_llm.codecs.reasons`).
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

    def _foreign(self, tokens: Array) -> Array:
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

    def plan(self, order: Tensor, device: torch.device) -> RowLayout:
        """The rows' layout for decoding with names forced.

        Args:
            order: column positions, shape (columns,) or (rows, columns).
            device: where decoding happens.
        """
        lengths = torch.tensor(self.widths)[order] + 1
        starts = lengths.cumsum(-1) - lengths
        shape = (*order.shape[:-1], self.length)
        forced = torch.full(shape, -1).scatter_(-1, starts, torch.tensor(self.names)[order])
        begins = torch.zeros(shape, dtype=torch.int64).scatter_(-1, starts, 1)
        column = order.gather(-1, begins.cumsum(-1) - 1)
        offset = torch.arange(self.length) - starts.gather(-1, begins.cumsum(-1) - 1)
        closers = torch.zeros(len(self.words), dtype=torch.bool)
        closers[self.closers] = True
        return RowLayout(
            forced.to(device),
            column.to(device),
            offset.to(device),
            closers.to(device),
            self.blank,
            self.value_places(order).to(device),
            self.widths,
        )

    def free_plan(self, device: torch.device) -> RowLayout:
        """The layout for decoding without a template: anything until the row token, one token longer than a row."""
        places = torch.zeros(self.length + 1, dtype=torch.int64, device=device)
        closers = torch.zeros(len(self.words), dtype=torch.bool, device=device)
        closers[self.row] = True
        return RowLayout(places - 1, places, places + 2, closers, self.row, places[:0], (), stop=self.row)

    def parse(self, tokens: Tensor) -> tuple[pd.DataFrame, Array]:
        """Read rows of any layout, as ``free`` decoding emits them.

        Args:
            tokens: shape (rows, places), the row token where a row ended and after it.

        Returns:
            as :meth:`decode`; rows that are no list of all columns, each once, are ``CUT``, ``DUPLICATE_COLUMN``,
            ``MISSING_COLUMN`` or ``UNPARSABLE``.
        """
        tokens = tokens.cpu()
        ended = tokens == self.row
        length = torch.where(ended.any(1), ended.int().argmax(1), tokens.shape[1])
        is_name = torch.stack([tokens == name for name in self.names], 1) & (
            torch.arange(tokens.shape[1]) < length[:, None, None]
        )
        times = is_name.sum(2)
        start = is_name.int().argmax(2)
        column = torch.repeat_interleave(torch.arange(len(self.widths)), torch.tensor(self.widths))
        offset = torch.cat([torch.arange(1, width + 1) for width in self.widths])
        places = (start[:, column] + offset).clamp(max=tokens.shape[1] - 1)
        frame, state = self.decode(tokens.gather(1, places))
        for defect, rows in (
            (UNPARSABLE, length != self.length),
            (MISSING_COLUMN, (times == 0).any(1)),
            (DUPLICATE_COLUMN, (times > 1).any(1)),
            (CUT, ~ended.any(1)),
        ):
            state = np.where(rows.numpy(), defect, state)
        return frame, state

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form; :meth:`from_json` reverses it."""
        return {"schema": self.schema.to_json(), "columns": [codec_to_json(codec) for codec in self.codecs]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableCodec:
        """Read what :meth:`to_json` wrote."""
        return cls(Schema.from_json(data["schema"]), tuple(codec_from_json(codec) for codec in data["columns"]))
