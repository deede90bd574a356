"""Rows of a table ↔ ``name is value, name is value`` in the tokens of a pretrained model's own tokenizer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from harness.errors import Incompatible
from harness.table import Column, Schema, format_cell
from methods.row_llm.codecs.chunks import Chunks, ColumnChunks
from methods.row_llm.codecs.distinct import distinct, distinct_rows
from methods.row_llm.codecs.number_grammar import NumberGrammar
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

Array = np.ndarray[Any, Any]
SLACK = 4
"""Tokens by which a value may be longer than training's longest before it counts as cut."""
MISSING = "None"
"""How a missing value is written; a category of that name is written with a backslash before it."""
ESCAPES = {"\\": "\\\\", ",": "\\c", "\n": "\\n", "\r": "\\r"}


def escape(text: str) -> str:
    """Write a value so that it holds no comma and no line break, is not empty and is not :data:`MISSING`."""
    written = re.sub(r"[\\,\n\r]", lambda match: ESCAPES[match.group()], text)
    return f"\\{written}" if written in ("", MISSING) else written


def unescape(text: str) -> str | None:
    """Reverse :func:`escape`; ``None`` for text that it never writes."""
    if text in ("\\", f"\\{MISSING}"):
        return text[1:]
    back = {written[1]: plain for plain, written in ESCAPES.items()}
    if not re.fullmatch(r"(?:[^\\,\n\r]|\\[\\cnr])+", text) or text == MISSING:
        return None
    return re.sub(r"\\(.)", lambda match: back[match.group(1)], text)


def escape_name(name: str) -> str:
    """Write a column name so that the first `` is `` of a phrase ends it."""
    return re.sub(r"[\\,\n\r]", lambda match: ESCAPES[match.group()], name).replace(" is", " \\is")


class TextCodec:
    """The text of a table's rows, chunk by chunk: a name phrase, a value, and the comma or end that closes it.

    Chunks are tokenised on their own, each with the text before it that the tokenizer needs to see, so that columns can be
    permuted as tokens. The first chunk of a row has no leading space and therefore its own tokens.

    Args:
        schema: of the table.
        tokenizer: the pretrained model's.
        categories: training categories of each column, ``None`` for numbers.
        grammars: of each number column, ``None`` for categories.
        missing: whether each column has missing values.
        longest: tokens of the longest training value of each column.
    """

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
        self.known = [frozenset(known or ()) for known in categories]
        self.grammars = grammars
        self.missing = missing
        self.longest = list(longest)
        end = tokenizer.eos_token_id
        if end is None:
            raise Incompatible(
                "the pretrained model's tokenizer has no end-of-text token, which ends a row: choose another model."
            )
        self.end = int(end)
        self.row = self.end if tokenizer.bos_token_id is None else int(tokenizer.bos_token_id)
        comma = self.piece("a", ",")
        if len(comma) != 1:
            raise Incompatible("the pretrained model's tokenizer has no token for a comma: choose another model.")
        self.separator = comma[0]
        names = [escape_name(name) for name in schema.names]
        self.names = [self.piece(",", f" {name} is") for name in names]
        self.first_names = [self.tokenizer.encode(f"{name} is", add_special_tokens=False) for name in names]

    @property
    def start(self) -> Sequence[int]:
        """What stands before the first name of a row."""
        return (self.row,)

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
        codec.longest = [max(map(len, codec._bodies(i, frame[c.name])[1])) for i, c in enumerate(columns)]
        return codec

    def piece(self, before: str, text: str) -> list[int]:
        """The tokens of a text that follows another."""
        anchor: list[int] = self.tokenizer.encode(before, add_special_tokens=False)
        both: list[int] = self.tokenizer.encode(before + text, add_special_tokens=False)
        if both[: len(anchor)] != anchor:
            raise Incompatible(
                f"the pretrained model's tokenizer joins {text!r} with the text before it, so rows cannot be built from columns: choose another model."
            )
        return both[len(anchor) :]

    def write(self, column: Column, cell: Any) -> str:
        """A cell as text, escaped."""
        text = format_cell(column, cell)
        return MISSING if text is None else escape(text)

    def encode(self, frame: pd.DataFrame) -> Chunks:
        """Tokenise a table once: each distinct value of each column is one chunk, and another as the first of a row."""
        columns = []
        for index, column in enumerate(self.schema.columns):
            rows, bodies = self._bodies(index, frame[column.name])
            both = [(name, body) for name in (self.names[index], self.first_names[index]) for body in bodies]
            tokens = [[*name, *body, self.separator] for name, body in both]
            value = [np.arange(len(chunk)) >= len(name) for chunk, (name, _) in zip(tokens, both, strict=True)]
            columns.append(
                ColumnChunks(
                    np.array([token for chunk in tokens for token in chunk]),
                    np.concatenate(value),
                    np.array([len(chunk) for chunk in tokens]),
                    rows,
                    first=len(bodies),
                )
            )
        return Chunks.build(columns)

    def value_tokens(self, index: int, cells: pd.Series[Any]) -> Tensor:
        """Value tokens of cells of a column, shape (cells, longest), padded with −1."""
        rows, bodies = self._bodies(index, cells)
        padded = np.full((len(bodies), max(map(len, bodies))), -1)
        for place, body in enumerate(bodies):
            padded[place, : len(body)] = body
        return torch.from_numpy(padded[rows])

    def _bodies(self, index: int, cells: pd.Series[Any]) -> tuple[Array, list[list[int]]]:
        column = self.schema.columns[index]
        rows, unique, missing = distinct(cells)
        texts = [self.write(column, value) for value in unique] + [MISSING] * missing
        bodies = [self.piece("is", f" {text}") for text in texts]
        for text, back in zip(texts, self.texts(bodies), strict=True):
            if text != back:
                raise Incompatible(
                    f"the pretrained model's tokenizer writes {text!r} of column '{column.name}' as {back!r}: choose another model."
                )
        return rows, bodies

    def texts(self, bodies: Sequence[Sequence[int]]) -> list[str]:
        """The texts of value tokens, without the space before them; where it is lacking, a line break stands before the text."""
        anchor = self.tokenizer.encode("is", add_special_tokens=False)
        options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
        head = self.tokenizer.decode(anchor, **options)
        whole = self.tokenizer.batch_decode([[*anchor, *body] for body in bodies], **options)
        rest = [text.removeprefix(head) for text in whole]
        return [text[1:] if text.startswith(" ") else f"\n{text}" for text in rest]

    def read(self, index: int, text: str) -> tuple[Any, int]:
        """A cell from its text, and what it is (:mod:`methods.row_llm.codecs.reasons`)."""
        column = self.schema.columns[index]
        if text == MISSING and self.missing[index]:
            return None, VALID
        plain = unescape(text)
        if column.numeric:
            return parse_number(text, column) if plain is not None else (None, UNPARSABLE)
        return (plain, VALID) if plain in self.known[index] else (None, UNKNOWN_CATEGORY)

    @property
    def length(self) -> int:
        """Tokens of the longest row that may be sampled, with its end, without its beginning."""
        names = sum(max(len(a), len(b)) for a, b in zip(self.names, self.first_names, strict=True))
        return names + sum(self.longest) + (1 + SLACK) * len(self.names)

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

    def free_plan(self, vocabulary: int, device: torch.device) -> RowLayout:
        """The layout for decoding without a template: anything until the end token."""
        places = torch.zeros(self.length, dtype=torch.int64, device=device)
        closers = torch.zeros(vocabulary, dtype=torch.bool, device=device)
        closers[self.end] = True
        return RowLayout(places - 1, places, places + 2, closers, self.end, places[:0], (), stop=self.end)

    def decode(self, values: Sequence[Array], cut: Array) -> tuple[pd.DataFrame, Array]:
        """Read sampled value tokens.

        Args:
            values: per column in schema order, tokens without their end, shape (rows, width), padded with −1.
            cut: rows with a value that did not end.

        Returns:
            the canonical frame, and what each row is.
        """
        state = np.where(cut, CUT, VALID)
        columns: dict[str, Any] = {}
        for index, (column, tokens) in enumerate(zip(self.schema.columns, values, strict=True)):
            unique, inverse = distinct_rows(tokens)
            texts = self.texts([[int(token) for token in row if token >= 0] for row in unique])
            cells = [self.read(index, text) for text in texts]
            columns[column.name] = series(column, [value for value, _ in cells], inverse)
            defect = np.array([defect for _, defect in cells])[inverse]
            state = np.where(state == VALID, defect, state)
        return pd.DataFrame(columns, columns=pd.Index(self.schema.names)), state

    def parse(self, tokens: Tensor) -> tuple[pd.DataFrame, Array]:
        """Read rows of any layout, as ``free`` decoding emits them: shape (rows, places), end tokens after the end."""
        names = {escape_name(name): index for index, name in enumerate(self.schema.names)}
        rows, states = [], []
        for row in tokens.tolist():
            cells, state = self._row(row, names)
            rows.append(cells)
            states.append(state)
        columns = {
            column.name: series(column, [row.get(index) for row in rows], np.arange(len(rows)))
            for index, column in enumerate(self.schema.columns)
        }
        return pd.DataFrame(columns, columns=pd.Index(self.schema.names)), np.array(states, dtype=np.int64)

    def _row(self, tokens: list[int], names: dict[str, int]) -> tuple[dict[int, Any], int]:
        if self.end not in tokens:
            return {}, CUT
        text = self.tokenizer.decode(tokens[: tokens.index(self.end)], clean_up_tokenization_spaces=False)
        cells: dict[int, Any] = {}
        state = VALID
        for chunk in text.split(", "):
            name, found, value = chunk.partition(" is ")
            if not found or name not in names:
                return {}, UNPARSABLE
            if names[name] in cells:
                return {}, DUPLICATE_COLUMN
            cells[names[name]], defect = self.read(names[name], value)
            state = defect if state == VALID else state
        return cells, state if len(cells) == len(names) else MISSING_COLUMN


def series(column: Column, values: Sequence[Any], rows: Array) -> Any:
    """A canonical column from distinct values and the value of each row."""
    if column.kind == "categorical":
        return np.array([*values, None], dtype=object)[rows]
    absent = np.array([value is None for value in values], dtype=bool)[rows]
    if column.kind == "integer":
        return pd.arrays.IntegerArray(np.array([value or 0 for value in values], dtype=np.int64)[rows], absent)
    return np.array([np.nan if value is None else value for value in values], dtype=float)[rows]
