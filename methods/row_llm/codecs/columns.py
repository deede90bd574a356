"""One column as tokens of fixed width, and back: categories, numbers as digits, and numbers as they are written.

Every value of a column takes the same number of tokens, so that all rows of a table are aligned. A missing value is a
token of the column, followed by padding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from harness.table import Column, format_cell
from methods.row_llm.codecs.distinct import distinct, distinct_rows
from methods.row_llm.codecs.number_grammar import NUMBER_CHARACTERS, NumberGrammar
from methods.row_llm.codecs.reasons import UNKNOWN_CATEGORY, UNPARSABLE, VALID, parse_number
from methods.row_llm.codecs.word_tokenizer import PAD, Vocabulary, category_token, missing_token, number_token

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class CategoryCodec:
    """A categorical column: one token for each category.

    Attributes:
        index: the column's place in the schema.
        column: the column.
        categories: the training categories, sorted.
        missing: whether the column has missing values.
    """

    kind: ClassVar[str] = "category"
    width: ClassVar[int] = 1
    index: int
    column: Column
    categories: tuple[str, ...]
    missing: bool

    @classmethod
    def fit(cls, index: int, column: Column, values: pd.Series[Any]) -> CategoryCodec:
        """Learn the categories."""
        _, unique, missing = distinct(values)
        return cls(index, column, tuple(unique), missing)

    def words(self) -> list[str]:
        """The tokens the column needs."""
        return [category_token(self.index, category) for category in self.categories] + _missing_words(self)

    def encode(self, values: Array, vocabulary: Vocabulary) -> Array:
        """Distinct present values as tokens, shape (values, 1)."""
        ids = [vocabulary.ids[category_token(self.index, value)] for value in values]
        return np.array(ids, dtype=np.int64).reshape(-1, 1)

    def decode(self, tokens: Array, vocabulary: Vocabulary) -> tuple[Any, Array]:
        """Values and what each cell is (``VALID``, …) from tokens, shape (rows, 1)."""
        code = np.full(len(vocabulary), -1)
        code[[vocabulary.ids[word] for word in self.words()]] = np.arange(len(self.words()))
        picked = code[tokens[:, 0]]
        values = np.array([*self.categories, None], dtype=object)[np.where(picked < 0, -1, picked)]
        return values, np.where(picked < 0, UNKNOWN_CATEGORY, VALID)


@dataclass(frozen=True)
class DigitCodec:
    """An integer column, or a float column with fixed decimals: groups of digits, the leading group with the sign.

    Attributes:
        index: the column's place in the schema.
        column: the column.
        groups: digits of each token, leading first.
        positive: least and greatest of the values ≥ 0 in training, scaled to integers; ``None`` when there are none.
        negative: the same of the magnitudes of the negative values.
        missing: whether the column has missing values.
    """

    kind: ClassVar[str] = "digits"
    index: int
    column: Column
    groups: tuple[int, ...]
    positive: tuple[int, int] | None
    negative: tuple[int, int] | None
    missing: bool

    @property
    def width(self) -> int:
        """Tokens of a value."""
        return len(self.groups)

    @classmethod
    def fit(cls, index: int, column: Column, values: pd.Series[Any], digits_per_token: int) -> DigitCodec:
        """Learn the digits of a column for which :func:`fits_digits` holds."""
        _, unique, missing = distinct(values)
        scaled = _scaled(unique, column)
        largest = int(np.abs(scaled).max()) if len(scaled) else 0
        groups = digit_groups(largest, column.decimals or 0, digits_per_token)
        return cls(index, column, groups, _range(scaled[scaled >= 0]), _range(-scaled[scaled < 0]), missing)

    def words(self) -> list[str]:
        """The tokens the column needs."""
        rest = [number_token(value, size) for size in sorted(set(self.groups[1:])) for value in range(10**size)]
        return self.lead_words() + rest + _missing_words(self)

    def lead_words(self) -> list[str]:
        """The tokens a value may begin with: leading groups within training's range, by sign."""
        place = 10 ** sum(self.groups[1:])
        return [
            number_token(value, self.groups[0], sign)
            for sign, (least, most) in self.bounds()
            for value in range(least // place, most // place + 1)
        ]

    def bounds(self) -> list[tuple[bool, tuple[int, int]]]:
        """For each sign that occurs (``True``: below zero) the least and greatest magnitude."""
        signs = ((False, self.positive), (True, self.negative))
        return [(negative, bounds) for negative, bounds in signs if bounds is not None]

    def encode(self, values: Array, vocabulary: Vocabulary) -> Array:
        """Distinct present values as tokens, shape (values, width)."""
        scaled = _scaled(values, self.column)
        tokens = np.empty((len(values), self.width), dtype=np.int64)
        rest = sum(self.groups)
        for place, size in enumerate(self.groups):
            rest -= size
            part = (np.abs(scaled) // 10**rest) % 10**size
            for sign in (False, True):
                rows = (scaled < 0) == sign if place == 0 else np.full(len(values), not sign)
                parts, inverse = np.unique(part[rows], return_inverse=True)
                ids = [vocabulary.ids[number_token(int(value), size, sign)] for value in parts]
                tokens[rows, place] = np.array(ids, dtype=np.int64)[inverse]
        return tokens

    def decode(self, tokens: Array, vocabulary: Vocabulary) -> tuple[Any, Array]:
        """Values and what each cell is (``VALID``, …) from tokens, shape (rows, width)."""
        missing = _is_missing(self, tokens, vocabulary)
        valid = (vocabulary.size[tokens] == np.array(self.groups)).all(1) & ~vocabulary.negative[tokens[:, 1:]].any(1)
        total = np.zeros(len(tokens), dtype=np.int64)
        for place, size in enumerate(self.groups):
            total = total * 10**size + vocabulary.digits[tokens[:, place]]
        total = np.where(vocabulary.negative[tokens[:, 0]], -total, total)
        state = np.where(valid | missing, VALID, UNPARSABLE)
        if self.column.kind == "integer":
            return pd.arrays.IntegerArray(total, ~valid), state
        return np.where(valid, total / 10.0 ** (self.column.decimals or 0), np.nan), state


@dataclass(frozen=True)
class NumberTextCodec:
    """Numbers that need more digits than a 64-bit float or integer safely scales: the characters of their text.

    Attributes:
        index: the column's place in the schema.
        column: the column.
        grammar: what the texts look like.
        missing: whether the column has missing values.
    """

    kind: ClassVar[str] = "number_text"
    index: int
    column: Column
    grammar: NumberGrammar
    missing: bool

    @property
    def width(self) -> int:
        """Tokens of a value: characters of the longest."""
        return self.grammar.length

    @classmethod
    def fit(cls, index: int, column: Column, values: pd.Series[Any]) -> NumberTextCodec:
        """Learn the grammar."""
        return cls(index, column, NumberGrammar.fit(column, values), bool(values.isna().any()))

    def words(self) -> list[str]:
        """The tokens the column needs."""
        return list(NUMBER_CHARACTERS) + _missing_words(self)

    def encode(self, values: Array, vocabulary: Vocabulary) -> Array:
        """Distinct present values as tokens, shape (values, width)."""
        tokens = np.full((len(values), self.width), vocabulary.pad_token)
        for row, value in enumerate(values):
            text = str(format_cell(self.column, value))
            tokens[row, : len(text)] = [vocabulary.ids[character] for character in text]
        return tokens

    def decode(self, tokens: Array, vocabulary: Vocabulary) -> tuple[Any, Array]:
        """Values and what each cell is (``VALID``, …) from tokens, shape (rows, width)."""
        unique, inverse = distinct_rows(tokens)
        parsed = [self._parse([vocabulary.words[token] for token in row]) for row in unique]
        state = np.array([state for _, state in parsed])[inverse]
        missing = np.array([value is None for value, _ in parsed])[inverse]
        if self.column.kind == "integer":
            values = np.array([value or 0 for value, _ in parsed], dtype=np.int64)[inverse]
            return pd.arrays.IntegerArray(values, missing), state
        values = np.array([np.nan if value is None else value for value, _ in parsed], dtype=float)
        return values[inverse], state

    def _parse(self, row: list[str]) -> tuple[float | int | None, int]:
        end = next((place for place, word in enumerate(row) if word == PAD), len(row))
        text, rest = row[:end], row[end:]
        if set(rest) - {PAD}:
            return None, UNPARSABLE
        if self.missing and text == _missing_words(self):
            return None, VALID
        if not set(text) <= set(NUMBER_CHARACTERS):
            return None, UNPARSABLE
        return parse_number("".join(text), self.column)


ColumnCodec = CategoryCodec | DigitCodec | NumberTextCodec


def fit_column(index: int, column: Column, values: pd.Series[Any], digits_per_token: int) -> ColumnCodec:
    """The codec that writes every value of a column exactly."""
    if not column.numeric:
        return CategoryCodec.fit(index, column, values)
    if fits_digits(column, values):
        return DigitCodec.fit(index, column, values, digits_per_token)
    return NumberTextCodec.fit(index, column, values)


def fits_digits(column: Column, values: pd.Series[Any]) -> bool:
    """Whether all values are exact as integers scaled by the column's decimals (below 2**53 for floats)."""
    present = values.dropna()
    if column.kind == "integer":
        return bool((present.abs() < 10**18).all())
    return column.decimals is not None and bool((present.abs() * 10.0**column.decimals < 2.0**53).all())


def digit_groups(largest: int, decimals: int, digits_per_token: int) -> tuple[int, ...]:
    """Cut the digits of a column into tokens.

    Groups end at the decimal point; the leading group takes up the next one as long as it has at most twice as many
    values as a full group, so that for example 179.13 (longitudes) is two tokens, ``179`` and ``13``.

    Args:
        largest: the greatest magnitude, scaled to an integer.
        decimals: digits after the point.
        digits_per_token: digits of a full group.
    """
    whole = len(str(largest // 10**decimals))
    groups = [whole % digits_per_token] if whole % digits_per_token else []
    groups += [digits_per_token] * (whole // digits_per_token)
    groups += [digits_per_token] * (decimals // digits_per_token)
    groups += [decimals % digits_per_token] if decimals % digits_per_token else []
    while len(groups) > 1 and largest // 10 ** sum(groups[2:]) < 2 * 10**digits_per_token:
        groups[:2] = [groups[0] + groups[1]]
    return tuple(groups)


def codec_to_json(codec: ColumnCodec) -> dict[str, Any]:
    """A JSON-able form; :func:`codec_from_json` reverses it, but for the form of cells, which the schema keeps."""
    column = {"name": codec.column.name, "kind": codec.column.kind, "decimals": codec.column.decimals}
    return {"codec": codec.kind, **asdict(codec), "column": column}


def codec_from_json(data: Mapping[str, Any]) -> ColumnCodec:
    """Read what :func:`codec_to_json` wrote."""
    kinds: dict[str, Any] = {kind.kind: kind for kind in (CategoryCodec, DigitCodec, NumberTextCodec)}
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key != "codec"}
    fields["column"] = Column(**data["column"])
    if "grammar" in fields:
        fields["grammar"] = NumberGrammar(**data["grammar"])
    codec: ColumnCodec = kinds[data["codec"]](**fields)
    return codec


def _scaled(values: Array, column: Column) -> Array:
    """Numbers as integers of the column's last decimal."""
    if column.kind == "integer":
        return np.asarray(values, dtype=np.int64)
    return np.rint(np.asarray(values, dtype=float) * 10.0 ** (column.decimals or 0)).astype(np.int64)


def _range(values: Array) -> tuple[int, int] | None:
    return (int(values.min()), int(values.max())) if len(values) else None


def _missing_words(codec: ColumnCodec) -> list[str]:
    return [missing_token(codec.index)] if codec.missing else []


def _is_missing(codec: ColumnCodec, tokens: Array, vocabulary: Vocabulary) -> Array:
    """Rows that hold the missing token and then only padding."""
    if not codec.missing:
        return np.zeros(len(tokens), dtype=bool)
    closed: Array = (tokens[:, 0] == vocabulary.ids[missing_token(codec.index)]) & (
        tokens[:, 1:] == vocabulary.pad_token
    ).all(1)
    return closed
