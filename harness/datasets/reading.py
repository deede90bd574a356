"""Read CSV and Parquet tables as they are written, infer their schema, bring them to canonical form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.datasets.csvfile import check_names, read_csv
from harness.errors import TabOrderError, choices
from harness.table import FLOAT_TEXT, INTEGER_TEXT, Column, Kind, Schema, Task, infer_column, parse_floats


@dataclass(frozen=True, eq=False)
class TextColumn:
    """One column as written: per row a code into ``values`` (distinct cells), -1 where missing.

    Attributes:
        codes: shape (rows,), int32.
        values: arrow array of distinct strings.
        kind: given by the file (a Parquet type), or ``None`` to infer it.
    """

    codes: np.ndarray[Any, Any]
    values: Any
    kind: Kind | None = None


@dataclass(frozen=True, eq=False)
class TextTable:
    """A table as written.

    Attributes:
        source: what error messages call it.
        columns: by name, in file order.
    """

    source: str
    columns: Mapping[str, TextColumn]

    @property
    def rows(self) -> int:
        """Number of data rows."""
        return len(next(iter(self.columns.values())).codes)

    @property
    def names(self) -> list[str]:
        """Column names in file order."""
        return list(self.columns)

    def frame(self) -> pd.DataFrame:
        """Every cell as text, ``None`` where missing; :func:`harness.table.conform` accepts it."""
        return pd.DataFrame({name: _objects(column) for name, column in self.columns.items()}, columns=self.names)

    def drop(self, names: Sequence[str]) -> TextTable:
        """Without some columns.

        Raises:
            TabOrderError: when one is not there, or none would be left.
        """
        for name in names:
            if name not in self.columns:
                raise TabOrderError(f"{self.source}: {choices(name, self.names, 'column')}")
        kept = {name: column for name, column in self.columns.items() if name not in names}
        if not kept:
            raise TabOrderError(f"{self.source}: no column is left after dropping {list(names)}.")
        return TextTable(self.source, kept)


def read_text(path: str | Path, *, missing: Sequence[str] | str = ("",), delimiter: str = ",") -> TextTable:
    """Read a CSV (UTF-8, with or without byte-order mark) or Parquet file without interpreting its cells.

    Quoted cells may hold delimiters, quotes, line ends and NUL. Blank lines are no rows. Parquet floats are written as their
    shortest exact text, other values as pandas would print them.

    Args:
        path: ends in ``.parquet`` or ``.pq`` for Parquet; anything else is read as CSV.
        missing: cells that stand for a missing value, compared exactly; Parquet nulls always do.
        delimiter: one character between CSV cells.

    Raises:
        TabOrderError: when there is no such file, it is a directory, not UTF-8 (the byte offset is named), empty, without data
            rows, ragged, or has unnamed or repeated columns.
    """
    path, missing = Path(path).expanduser(), name_list(missing, "missing")
    if path.is_dir():
        raise TabOrderError(f"{path} is a directory: name a CSV or Parquet file.")
    try:
        table = _read_parquet(path) if path.suffix.lower() in {".parquet", ".pq"} else read_csv(path, delimiter)
    except FileNotFoundError:
        raise TabOrderError(f"{path} does not exist: give the path of a CSV or Parquet file.") from None
    except OSError as error:
        raise TabOrderError(f"{path} cannot be read ({error.strerror or error}).") from None
    if not table.num_rows:
        raise TabOrderError(f"{path} has a header but no data rows.")
    kinds: dict[str, Kind | None] = {}
    for field in table.schema:
        floating, text = pa.types.is_floating(field.type), _is_text(field.type)
        typed = path.suffix.lower() in {".parquet", ".pq"}
        kinds[field.name] = "float" if floating else "categorical" if text and typed else None
    return TextTable(
        str(path),
        {
            name: _text_column(table[name], kinds[name], missing, f"{path}, column '{name}'")
            for name in table.column_names
        },
    )


def _read_parquet(path: Path) -> Any:
    try:
        file = pq.ParquetFile(path)
        pandas = file.schema_arrow.pandas_metadata or {}
        table = file.read()
    except pa.ArrowInvalid as error:
        raise TabOrderError(f"{path} is not a readable Parquet file ({str(error).splitlines()[0]}).") from None
    index = [name for name in pandas.get("index_columns", []) if isinstance(name, str)]
    check_names(table.column_names, str(path))
    return table.drop_columns(index)


def _is_text(kind: Any) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))


def _text_column(column: Any, kind: Kind | None, missing: Sequence[str], where: str) -> TextColumn:
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        raise TabOrderError(f"{where} holds {column.type} values: only text, numbers, booleans and dates work.")
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    array = encoded.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type).dictionary_encode()
    values = array.dictionary
    if not _is_text(values.type):
        values = pa.array([_written(value) for value in values.to_pylist()], pa.string())
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    gone = np.append(np.asarray(pc.is_in(values, pa.array(list(missing), values.type)), dtype=bool), True)
    codes = np.where(gone[codes], np.int32(-1), codes)
    used = np.zeros(len(values) + 1, dtype=bool)
    used[codes] = True
    renumbered = np.append(np.cumsum(used[:-1]) - 1, -1).astype(np.int32)
    return TextColumn(renumbered[codes], values.cast(pa.string()).filter(pa.array(used[:-1])), kind)


def _written(value: Any) -> str | None:
    return None if value is None else repr(value) if isinstance(value, float) else str(value)


def _objects(column: TextColumn) -> np.ndarray[Any, Any]:
    cells: np.ndarray[Any, Any] = np.array([*column.values.to_pylist(), None], dtype=object)
    return np.asarray(cells[column.codes], dtype=object)


def name_list(value: Sequence[str] | str | None, key: str) -> list[str]:
    """A list of texts from a config value: one text is a list of one, ``None`` is an empty list.

    Raises:
        TabOrderError: for anything else.
    """
    items = [value] if isinstance(value, str) else value or []
    if isinstance(items, Mapping) or not all(isinstance(item, str) for item in items):
        raise TabOrderError(f"{key} is {value!r}: give a list of texts, such as {key}: [NA].")
    return list(items)


def infer_schema(
    table: TextTable,
    *,
    columns: Mapping[str, str] | None = None,
    target: str | None = None,
    task: Task | None = None,
) -> Schema:
    """The schema of a table: kinds inferred from the cells (:func:`harness.table.infer_column`) unless given.

    Args:
        table: the training table.
        columns: kinds that override the inferred ones, by column name.
        target: the label column, if any.
        task: of the target; must be given with it.

    Raises:
        TabOrderError: for unknown columns or kinds.
    """
    if not isinstance(columns or {}, Mapping):
        raise TabOrderError(
            f"columns is {columns!r}: give kinds by column name, such as columns: {{zip: categorical}}."
        )
    given = dict(columns or {})
    for name in given:
        if name not in table.columns:
            raise TabOrderError(f"{table.source}: {choices(name, table.names, 'column')}")
    found = []
    for name, column in table.columns.items():
        kind = given.get(name, column.kind)
        found.append(infer_column(name, pd.Series(column.values.to_pylist(), dtype=object), kind))  # type: ignore[arg-type]
    return Schema(tuple(found), target, task)


def canonical(table: TextTable, schema: Schema) -> pd.DataFrame:
    """The table in the schema's canonical form and column order; every present cell must be a value of its column's kind.

    Raises:
        TabOrderError: when columns differ, or a cell is not of its column's kind (column, row and value are named).
    """
    if set(table.names) != set(schema.names):
        lacking = [name for name in schema.names if name not in table.columns]
        extra = [name for name in table.names if name not in schema.names]
        parts = [f"{label} {names}" for label, names in (("missing", lacking), ("unexpected", extra)) if names]
        raise TabOrderError(f"{table.source}: columns differ from the training table's: {'; '.join(parts)}.")
    data = {column.name: _canonical_column(table, column) for column in schema.columns}
    return pd.DataFrame(data, columns=schema.names)


def _canonical_column(table: TextTable, column: Column) -> Any:
    text = table.columns[column.name]
    if not column.numeric:
        return _objects(text)
    pattern = INTEGER_TEXT if column.kind == "integer" else FLOAT_TEXT
    fits = np.asarray(pc.match_substring_regex(text.values, rf"\A(?:{pattern})\z"), dtype=bool)
    numbers = np.zeros(len(text.values) + 1, dtype=np.int64 if column.kind == "integer" else np.float64)
    matching = text.values.filter(pa.array(fits))
    if column.kind == "integer":
        numbers[:-1][fits] = pc.cast(pc.utf8_ltrim(matching, "+"), pa.int64()).to_numpy(zero_copy_only=False)
    else:
        numbers[:-1][fits] = parse_floats(matching)
        numbers[-1] = np.nan
        fits &= np.isfinite(numbers[:-1])
    if not fits.all():
        _refuse_cell(table, column, text, fits)
    if column.kind == "float":
        return numbers[text.codes]
    return pd.arrays.IntegerArray(numbers[text.codes], text.codes < 0)


def _refuse_cell(table: TextTable, column: Column, text: TextColumn, fits: np.ndarray[Any, Any]) -> None:
    row = int(np.flatnonzero(~np.append(fits, True)[text.codes])[0])
    value = text.values[int(text.codes[row])].as_py()
    shown = value if len(value) <= 60 else value[:57] + "..."
    raise TabOrderError(
        f"{table.source}, data row {row + 1}, column '{column.name}': {shown!r} is not {'an' if column.kind == 'integer' else 'a'} "
        f"{column.kind}; mend the cell, list it under 'missing', or give the column another kind "
        f"(columns: {{{column.name}: categorical}})."
    )
