"""Rows of a table ↔ token ids of a from-scratch model (one token per name, per category and per group of digits)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from harness.errors import Incompatible
from harness.table import Schema
from methods.row_llm.codecs.automaton import Automaton
from methods.row_llm.codecs.chunks import Chunks, ColumnChunks
from methods.row_llm.codecs.columns import ColumnCodec, codec_from_json, codec_to_json, fit_column
from methods.row_llm.codecs.distinct import distinct
from methods.row_llm.codecs.reasons import (
    CUT,
    DUPLICATE_COLUMN,
    MISSING_COLUMN,
    OUT_OF_VOCABULARY,
    UNPARSABLE,
    VALID,
)
from methods.row_llm.codecs.row_layout import RowLayout
from methods.row_llm.codecs.table_grammar import table_automaton
from methods.row_llm.codecs.word_tokenizer import BOS, PAD, Vocabulary, build_tokenizer, missing_token, name_token

Array = np.ndarray[Any, Any]
MAX_VOCABULARY = 200_000
"""Tokens a from-scratch model can have: beyond, its output layer alone is larger than its blocks many times over."""


class TableCodec:
    """The token layout of a table: ``<row> name value… name value… <row>`` with values of fixed width.

    Args:
        schema: of the table.
        columns: one per column, in schema order.

    Attributes:
        vocabulary: all tokens.
        name_tokens: the name token of each column.
        widths: value tokens of each column.
        length: tokens of a row without the token that begins it.
        bos_token: begins and ends rows.
        end_token: ``None``: values have fixed width, so nothing separates them.
        pad_token: fills the places of short values.
        closing_tokens: after them a value holds only padding.
        tokenizer: the vocabulary as a Hugging Face tokenizer.
    """

    layout: ClassVar[str] = "table"
    end_token: ClassVar[None] = None

    def __init__(self, schema: Schema, columns: tuple[ColumnCodec, ...]) -> None:
        self.schema = schema
        self.columns = columns
        names = [name_token(index, column.name) for index, column in enumerate(schema.columns)]
        values = dict.fromkeys(word for column in columns for word in column.words())
        self.vocabulary = Vocabulary([BOS, PAD, *names, *values])
        self.name_tokens = [self.vocabulary.ids[name] for name in names]
        self.widths = [column.width for column in columns]
        self.length = sum(self.widths) + len(self.name_tokens)
        self.bos_token = self.vocabulary.ids[BOS]
        self.pad_token = self.vocabulary.pad_token
        self.tokenizer = build_tokenizer(self.vocabulary.words, self.length + 2)
        missing = [self.vocabulary.ids[missing_token(column.index)] for column in columns if column.missing]
        self.closing_tokens = [self.pad_token, *missing]

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
                f"more than the {MAX_VOCABULARY:,} tokens a from-scratch model can have: drop that column, "
                "or set llm.pretrained."
            )
        columns = enumerate(schema.columns)
        return cls(schema, tuple(fit_column(i, column, frame[column.name], digits_per_token) for i, column in columns))

    def encode(self, frame: pd.DataFrame) -> Chunks:
        """Tokenise a table once: each distinct value of each column is one chunk."""
        chunks = []
        for index, name in enumerate(self.name_tokens):
            value_of_row, values = self._distinct_values(index, frame[self.schema.names[index]])
            loss_mask = np.ones(values.shape, dtype=bool)  # (distinct values, width)
            # Padding after the first, or after a missing value, is certain: there is nothing to learn.
            loss_mask[:, 1:] = (values[:, 1:] != self.pad_token) | ~np.isin(values[:, :-1], self.closing_tokens)
            tokens, loss_mask = np.insert(values, 0, name, axis=1), np.insert(loss_mask, 0, False, axis=1)
            chunks.append(
                ColumnChunks(
                    tokens=tokens.ravel(),
                    loss_mask=loss_mask.ravel(),
                    lengths=np.full(len(tokens), tokens.shape[1]),
                    codes=value_of_row,
                )
            )
        return Chunks.build(chunks)

    def value_tokens(self, index: int, cells: pd.Series[Any]) -> Tensor:
        """Value tokens of cells of a column, shape (cells, width)."""
        value_of_row, values = self._distinct_values(index, cells)
        return torch.from_numpy(values[value_of_row])

    def _distinct_values(self, index: int, cells: pd.Series[Any]) -> tuple[Array, Array]:
        """The distinct value of each cell, and the tokens of the distinct values, shape (values, width)."""
        column = self.columns[index]
        value_of_row, unique, missing = distinct(cells)
        values = column.encode(unique, self.vocabulary)
        if missing:
            lacking = np.full((1, column.width), self.pad_token)
            lacking[0, 0] = self.vocabulary.ids[missing_token(index)]
            values = np.concatenate([values, lacking])
        return value_of_row, values

    def decode(self, values: Tensor) -> tuple[pd.DataFrame, Array]:
        """Read value tokens without loss.

        Args:
            values: value tokens with the columns in schema order and no names, shape (rows, sum of widths).

        Returns:
            the canonical frame, and what each row is: ``VALID`` or the first column's defect
            (:mod:`methods.row_llm.codecs.reasons`), shape (rows,).
        """
        tokens = values.cpu().numpy().astype(np.int64)
        state = np.full(len(tokens), VALID)
        cells_of: dict[str, Any] = {}
        start = 0
        for codec, column in zip(self.columns, self.schema.columns, strict=True):
            part = tokens[:, start : start + codec.width]  # (rows, width)
            cells, defect = codec.decode(part, self.vocabulary)
            defect = np.where((defect != VALID) & self._foreign(part), OUT_OF_VOCABULARY, defect)
            state = np.where(state == VALID, defect, state)
            cells_of[column.name] = cells
            start += codec.width
        return pd.DataFrame(cells_of, columns=pd.Index(self.schema.names)), state

    def _foreign(self, tokens: Array) -> Array:
        """Rows with a token that belongs to no value at all: a name, the row token, or an id without a word."""
        no_value = (tokens >= len(self.vocabulary)) | (tokens == self.bos_token) | np.isin(tokens, self.name_tokens)
        return np.asarray(no_value.any(1))

    def value_positions(self, order: Tensor) -> Tensor:
        """Where the value tokens of each column, in schema order, stand in rows written in ``order``.

        Args:
            order: column positions, shape (columns,) or (rows, columns).

        Returns:
            positions counted after the row token, shape (sum of widths,) or (rows, sum of widths).
        """
        lengths = torch.tensor(self.widths) + 1  # (columns,)
        placed = lengths[order]  # like order
        starts = placed.cumsum(-1) - placed
        by_column = torch.empty_like(starts).scatter_(-1, order, starts)
        column, offset = self._value_index()
        return by_column[..., column] + offset

    def _value_index(self) -> tuple[Tensor, Tensor]:
        """The column of each value token in schema order, and its place after the name, both (sum of widths,)."""
        column = torch.repeat_interleave(torch.arange(len(self.widths)), torch.tensor(self.widths))
        return column, torch.cat([torch.arange(1, width + 1) for width in self.widths])

    def row_layout(self, order: Tensor, device: torch.device) -> RowLayout:
        """The rows' layout for decoding with names forced.

        Args:
            order: column positions, shape (columns,) or (rows, columns).
            device: where decoding happens.
        """
        lengths = torch.tensor(self.widths)[order] + 1  # like order
        starts = lengths.cumsum(-1) - lengths
        shape = (*order.shape[:-1], self.length)
        forced = torch.full(shape, -1).scatter_(-1, starts, torch.tensor(self.name_tokens)[order])
        begins = torch.zeros(shape, dtype=torch.int64).scatter_(-1, starts, 1)
        slot = begins.cumsum(-1) - 1  # which column of the order each place belongs to, like forced
        closing = torch.zeros(len(self.vocabulary), dtype=torch.bool)
        closing[self.closing_tokens] = True
        return RowLayout(
            forced=forced.to(device),
            column=order.gather(-1, slot).to(device),
            offset=(torch.arange(self.length) - starts.gather(-1, slot)).to(device),
            closing=closing.to(device),
            pad_token=self.pad_token,
            value_positions=self.value_positions(order).to(device),
            widths=self.widths,
        )

    def grammar(self, vocabulary_size: int, device: torch.device) -> Automaton:
        """Which tokens a value may hold; the vocabulary is this codec's own."""
        return table_automaton(self.columns, self.vocabulary, device)

    def free_layout(self, vocabulary_size: int, device: torch.device) -> RowLayout:
        """The layout for decoding without a template: anything until the row token, one token longer than a row."""
        return RowLayout.free(self.length + 1, self.bos_token, vocabulary_size, device)

    def parse(self, tokens: Tensor) -> tuple[pd.DataFrame, Array]:
        """Read rows of any layout, as ``free`` decoding emits them.

        Args:
            tokens: shape (rows, length), the row token where a row ended and after it.

        Returns:
            as :meth:`decode`; rows that are no list of all columns, each once, are ``CUT``, ``DUPLICATE_COLUMN``,
            ``MISSING_COLUMN`` or ``UNPARSABLE``.
        """
        tokens = tokens.cpu()
        ended = tokens == self.bos_token
        length = torch.where(ended.any(1), ended.int().argmax(1), tokens.shape[1])  # (rows,)
        is_name = torch.stack([tokens == name for name in self.name_tokens], 1) & (
            torch.arange(tokens.shape[1]) < length[:, None, None]
        )  # (rows, columns, length)
        times = is_name.sum(2)
        start = is_name.int().argmax(2)  # (rows, columns)
        column, offset = self._value_index()
        positions = (start[:, column] + offset).clamp(max=tokens.shape[1] - 1)
        frame, state = self.decode(tokens.gather(1, positions))
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
        return {"schema": self.schema.to_json(), "columns": [codec_to_json(column) for column in self.columns]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableCodec:
        """Read what :meth:`to_json` wrote."""
        return cls(Schema.from_json(data["schema"]), tuple(codec_from_json(column) for column in data["columns"]))
