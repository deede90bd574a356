"""Rows of a table ↔ ``name is value, name is value`` in the tokens of a pretrained model's own tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from harness.errors import Incompatible
from harness.table import Column, Schema
from methods.row_llm.codecs.automaton import Automaton
from methods.row_llm.codecs.chunks import Chunks, ColumnChunks
from methods.row_llm.codecs.distinct import distinct, distinct_rows
from methods.row_llm.codecs.escaping import MISSING, escape_name, unescape, write_cell
from methods.row_llm.codecs.number_grammar import NumberGrammar
from methods.row_llm.codecs.pieces import PieceTokenizer
from methods.row_llm.codecs.reasons import (
    CUT,
    DUPLICATE_COLUMN,
    MISSING_COLUMN,
    UNKNOWN_CATEGORY,
    UNPARSABLE,
    VALID,
    parse_number,
)
from methods.row_llm.codecs.row_layout import RowLayout
from methods.row_llm.codecs.text_grammar import text_automaton

Array = np.ndarray[Any, Any]
SLACK = 4
"""Tokens by which a value may be longer than training's longest before it counts as cut."""


class TextCodec:
    """The text of a table's rows, chunk by chunk: a name phrase, a value, and the comma or end that closes it.

    Chunks are tokenised on their own, each with the text before it that the tokenizer needs to see, so that columns can
    be permuted as tokens. The first chunk of a row has no leading space and therefore its own tokens.

    Args:
        schema: of the table.
        tokenizer: the pretrained model's.
        categories: training categories of each column, ``None`` for numbers.
        grammars: of each number column, ``None`` for categories.
        missing: whether each column has missing values.
        longest: tokens of the longest training value of each column.

    Attributes:
        pieces: the tokenizer, piece by piece.
        name_tokens: the name phrase of each column, after another column.
        first_name_tokens: the name phrase of each column as the first of a row.
        bos_token: begins rows.
        end_token: closes the last value of a row.
        separator: closes the other values.
    """

    layout: ClassVar[str] = "text"

    def __init__(
        self,
        schema: Schema,
        tokenizer: PreTrainedTokenizerBase,
        categories: Sequence[Sequence[str] | None],
        grammars: Sequence[NumberGrammar | None],
        missing: Sequence[bool],
        longest: Sequence[int] = (),
    ) -> None:
        self.schema = schema
        self.tokenizer = tokenizer
        self.categories = categories
        self.known_categories = [frozenset(known or ()) for known in categories]
        self.grammars = grammars
        self.missing = missing
        self.longest = list(longest)
        self.pieces = PieceTokenizer(tokenizer)
        self.bos_token, self.end_token = self.pieces.bos_token, self.pieces.end_token
        self.separator = self.pieces.separator
        phrases = [f"{escape_name(name)} is" for name in schema.names]
        self.name_tokens = [self.pieces.piece(",", f" {phrase}") for phrase in phrases]
        self.first_name_tokens = [self.pieces.beginning(phrase) for phrase in phrases]

    @property
    def start(self) -> Sequence[int]:
        """What stands before the first name of a row."""
        return (self.bos_token,)

    @classmethod
    def fit(cls, frame: pd.DataFrame, schema: Schema, tokenizer: PreTrainedTokenizerBase) -> TextCodec:
        """Learn categories, number grammars and lengths of the training rows.

        Raises:
            Incompatible: when the tokenizer cannot write a value without loss.
        """
        columns = schema.columns
        categories = [None if c.numeric else sorted(frame[c.name].dropna().unique()) for c in columns]
        grammars = [NumberGrammar.fit(c, frame[c.name]) if c.numeric else None for c in columns]
        codec = cls(schema, tokenizer, categories, grammars, [bool(frame[c.name].isna().any()) for c in columns])
        codec.longest = [max(map(len, codec._distinct_values(i, frame[c.name])[1])) for i, c in enumerate(columns)]
        return codec

    def encode(self, frame: pd.DataFrame) -> Chunks:
        """Tokenise a table once: each distinct value of a column is one chunk, and another as the first of a row."""
        columns = []
        for index, column in enumerate(self.schema.columns):
            value_of_row, values = self._distinct_values(index, frame[column.name])
            names = (self.name_tokens[index], self.first_name_tokens[index])
            parts = [(name, value) for name in names for value in values]
            chunks = [[*name, *value, self.separator] for name, value in parts]
            predicted = [np.arange(len(chunk)) >= len(name) for chunk, (name, _) in zip(chunks, parts, strict=True)]
            columns.append(
                ColumnChunks(
                    tokens=np.array([token for chunk in chunks for token in chunk]),
                    loss_mask=np.concatenate(predicted),
                    lengths=np.array([len(chunk) for chunk in chunks]),
                    codes=value_of_row,
                    first=len(values),
                )
            )
        return Chunks.build(columns)

    def value_tokens(self, index: int, cells: pd.Series[Any]) -> Tensor:
        """Value tokens of cells of a column, shape (cells, longest), padded with −1."""
        value_of_row, values = self._distinct_values(index, cells)
        padded = np.full((len(values), max(map(len, values))), -1)  # (distinct values, longest)
        for row, value in enumerate(values):
            padded[row, : len(value)] = value
        return torch.from_numpy(padded[value_of_row])

    def _distinct_values(self, index: int, cells: pd.Series[Any]) -> tuple[Array, list[list[int]]]:
        """The distinct value of each cell, and the tokens of the distinct values."""
        column = self.schema.columns[index]
        value_of_row, unique, missing = distinct(cells)
        texts = [write_cell(column, value) for value in unique] + [MISSING] * missing
        values = [self.pieces.value(text) for text in texts]
        for text, back in zip(texts, self.pieces.texts(values), strict=True):
            if text != back:
                raise Incompatible(
                    f"the pretrained model's tokenizer writes {text!r} of column '{column.name}' as {back!r}: "
                    "choose another model."
                )
        return value_of_row, values

    @property
    def length(self) -> int:
        """Tokens of the longest row that may be sampled, with its end, without its beginning."""
        names = sum(max(len(a), len(b)) for a, b in zip(self.name_tokens, self.first_name_tokens, strict=True))
        return names + sum(self.longest) + (1 + SLACK) * len(self.name_tokens)

    def grammar(self, vocabulary_size: int, device: torch.device) -> Automaton:
        """Which tokens a value may hold."""
        return text_automaton(
            self.pieces, self.schema.columns, self.categories, self.grammars, self.missing, vocabulary_size, device
        )

    def free_layout(self, vocabulary_size: int, device: torch.device) -> RowLayout:
        """The layout for decoding without a template: anything until the end token."""
        return RowLayout.free(self.length, self.end_token, vocabulary_size, device)

    def decode(self, values: Sequence[Array], cut: Array) -> tuple[pd.DataFrame, Array]:
        """Read sampled value tokens.

        Args:
            values: per column in schema order, tokens without their end, shape (rows, width), padded with −1.
            cut: rows with a value that did not end, boolean, shape (rows,).

        Returns:
            the canonical frame, and what each row is (:mod:`methods.row_llm.codecs.reasons`), shape (rows,).
        """
        state = np.where(cut, CUT, VALID)
        columns: dict[str, Any] = {}
        for index, (column, tokens) in enumerate(zip(self.schema.columns, values, strict=True)):
            unique, value_of_row = distinct_rows(tokens)
            texts = self.pieces.texts([[int(token) for token in row if token >= 0] for row in unique])
            cells = [self._read(index, text) for text in texts]
            columns[column.name] = _series(column, [value for value, _ in cells], value_of_row)
            defect = np.array([defect for _, defect in cells])[value_of_row]
            state = np.where(state == VALID, defect, state)
        return pd.DataFrame(columns, columns=pd.Index(self.schema.names)), state

    def parse(self, tokens: Tensor) -> tuple[pd.DataFrame, Array]:
        """Read rows of any layout, as ``free`` decoding emits them: shape (rows, length), end tokens after the end."""
        names = {escape_name(name): index for index, name in enumerate(self.schema.names)}
        rows, states = [], []
        for row in tokens.tolist():
            cells, state = self._parse_row(row, names)
            rows.append(cells)
            states.append(state)
        columns = {
            column.name: _series(column, [row.get(index) for row in rows], np.arange(len(rows)))
            for index, column in enumerate(self.schema.columns)
        }
        return pd.DataFrame(columns, columns=pd.Index(self.schema.names)), np.array(states, dtype=np.int64)

    def _parse_row(self, tokens: list[int], names: dict[str, int]) -> tuple[dict[int, Any], int]:
        if self.end_token not in tokens:
            return {}, CUT
        ended = tokens[: tokens.index(self.end_token)]
        text = self.tokenizer.decode(ended, clean_up_tokenization_spaces=False)
        cells: dict[int, Any] = {}
        state = VALID
        for phrase in text.split(", "):
            name, separator, value = phrase.partition(" is ")
            if not separator or name not in names:
                return {}, UNPARSABLE
            if names[name] in cells:
                return {}, DUPLICATE_COLUMN
            cells[names[name]], defect = self._read(names[name], value)
            state = defect if state == VALID else state
        return cells, state if len(cells) == len(names) else MISSING_COLUMN

    def _read(self, index: int, text: str) -> tuple[Any, int]:
        """A cell from its text, and what it is."""
        column = self.schema.columns[index]
        if text == MISSING and self.missing[index]:
            return None, VALID
        plain = unescape(text)
        if column.numeric:
            return parse_number(text, column) if plain is not None else (None, UNPARSABLE)
        return (plain, VALID) if plain in self.known_categories[index] else (None, UNKNOWN_CATEGORY)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form without the tokenizer; :meth:`from_json` reverses it."""
        return {
            "schema": self.schema.to_json(),
            "categories": self.categories,
            "grammars": [None if grammar is None else asdict(grammar) for grammar in self.grammars],
            "missing": self.missing,
            "longest": self.longest,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> TextCodec:
        """Read what :meth:`to_json` wrote."""
        grammars = [None if grammar is None else NumberGrammar(**grammar) for grammar in data["grammars"]]
        schema = Schema.from_json(data["schema"])
        return cls(schema, tokenizer, data["categories"], grammars, data["missing"], data["longest"])


def _series(column: Column, values: Sequence[Any], value_of_row: Array) -> Any:
    """A canonical column from distinct values and the value of each row."""
    if column.kind == "categorical":
        return np.array([*values, None], dtype=object)[value_of_row]
    absent = np.array([value is None for value in values], dtype=bool)[value_of_row]
    if column.kind == "integer":
        present = np.array([value or 0 for value in values], dtype=np.int64)
        return pd.arrays.IntegerArray(present[value_of_row], absent)
    return np.array([np.nan if value is None else value for value in values], dtype=float)[value_of_row]
