"""Columns of any type as text: every cell as pandas would write it into a CSV file, so that all containers infer alike."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import TabOrderError

IntArray = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class TextColumn:
    """One column as written: per row a code into ``values`` (distinct cells), -1 where missing.

    Attributes:
        codes: shape (rows,), int32.
        values: arrow array of distinct strings.
    """

    codes: IntArray
    values: Any

    @property
    def counts(self) -> IntArray:
        """How often each of ``values`` occurs."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))

    @property
    def missing(self) -> int:
        """Number of missing cells."""
        return int((self.codes < 0).sum())

    def objects(self) -> np.ndarray[Any, Any]:
        """The cells as an object array of ``str``, ``None`` where missing."""
        cells: np.ndarray[Any, Any] = np.array([*self.values.to_pylist(), None], dtype=object)
        return np.asarray(cells[self.codes], dtype=object)

    def mapped(self, texts: Sequence[str | None]) -> TextColumn:
        """With other texts in the place of ``values`` (``None``: missing); equal ones become one."""
        return text_column(pa.DictionaryArray.from_arrays(pa.array(self.codes, mask=self.codes < 0), _strings(texts)))


def _strings(texts: Sequence[str | None]) -> Any:
    encoded = pa.array(texts, pa.string()).dictionary_encode()
    return pc.take(encoded.dictionary, encoded.indices)


def text_column(column: Any, missing: Sequence[str] = (), where: str = "a column") -> TextColumn:
    """An arrow array or chunked array as text.

    Args:
        column: text, numbers, booleans, dates or times, possibly dictionary-encoded.
        missing: cells that stand for a missing value, compared exactly; nulls and NaN always do.
        where: what error messages call it.

    Raises:
        TabOrderError: for nested or binary values.
    """
    inner = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_nested(inner) or pa.types.is_binary(inner) or pa.types.is_large_binary(inner):
        raise TabOrderError(f"{where} holds {inner} values: only text, numbers, booleans and dates work; leave it out.")
    if pa.types.is_null(inner):
        column = pc.cast(column, pa.string())
    if pa.types.is_float16(inner):  # arrow cannot encode them
        narrow = column.to_numpy().astype(np.float16)
        column = pa.array([None if math.isnan(v) else str(v) for v in narrow], pa.string())
    elif pa.types.is_floating(inner) and not pa.types.is_dictionary(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        array = encoded.unify_dictionaries().combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = (
                pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.string()).dictionary_encode()
            )
    else:
        array = encoded
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return _numbered(codes, _texts(array.dictionary), missing)


def _numbered(codes: IntArray, texts: list[str | None], missing: Sequence[str]) -> TextColumn:
    """Codes of distinct, used texts in order of first use in ``texts``."""
    gone, known = set(missing), dict[str, int]()
    renumbered = np.full(len(texts) + 1, -1, dtype=np.int32)
    used = np.zeros(len(texts) + 1, dtype=bool)
    used[codes] = True
    for position, text in enumerate(texts):
        if text is not None and text not in gone and used[position]:
            renumbered[position] = known.setdefault(text, len(known))
    return TextColumn(renumbered[codes], pa.array(list(known), pa.string()))


def _texts(values: Any) -> list[str | None]:
    """Distinct values as text."""
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return list(values.to_pylist())
    if pa.types.is_floating(kind):
        return [None if math.isnan(number) else str(number) for number in values.to_numpy(zero_copy_only=False)]
    if pa.types.is_timestamp(kind):
        return _moments(pd.Series(values.to_pandas()))
    return [cell_text(value) for value in values.to_pylist()]


def _moments(values: pd.Series[Any]) -> list[str | None]:
    """Timestamps as pandas writes a column of them: dates alone where all are midnights."""
    zoned = getattr(values.dt, "tz", None) is not None
    known = values.dropna()
    bare = not zoned and bool((known == known.dt.normalize()).all())
    return [None if pd.isna(v) else str(v.date()) if bare else str(v) for v in values]


def cell_text(value: Any) -> str | None:
    """One cell of any type as text; ``None`` where missing.

    Raises:
        TabOrderError: for lists, bytes and other things that are no cell.
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return str(value)
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else str(value) if isinstance(value, np.floating) else repr(value)
    if isinstance(value, Decimal):
        return None if value.is_nan() else format(value, "f")
    if isinstance(value, (dt.datetime, dt.date, dt.time, dt.timedelta, np.datetime64, pd.Period)):
        return str(value)
    raise TabOrderError(
        f"a cell holds {value!r} ({type(value).__name__}): only text, numbers, booleans and dates work."
    )


def frame_columns(frame: pd.DataFrame, missing: Sequence[str], source: str) -> dict[str, TextColumn]:
    """The columns of a DataFrame as text, by name."""
    found: dict[str, TextColumn] = {}
    for position, name in enumerate(frame.columns):
        series, where = frame.iloc[:, position], f"{source}, column '{name}'"
        try:
            if series.dtype == object:
                texts = [cell_text(value) for value in series]
                array = pa.array(texts, pa.string())
            else:
                array = pa.array(series, from_pandas=True)
        except TabOrderError as error:
            raise TabOrderError(f"{where}: {error}") from None
        except UnicodeEncodeError as error:
            raise TabOrderError(
                f"{where} holds {error.object!r}, which is no text (half of a character, a lone surrogate): mend the cell."
            ) from None
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise TabOrderError(
                f"{where} holds {series.dtype} values that cannot be read ({error}): leave it out."
            ) from None
        found[str(name)] = text_column(array, missing, where)
    return found
