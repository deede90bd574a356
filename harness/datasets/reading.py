"""Read tables as they are written, from any container, infer a plain schema, bring them to canonical form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from harness.datasets.advice import override
from harness.datasets.arrays import TextColumn, frame_columns, text_column
from harness.datasets.containers import open_file
from harness.datasets.csvfile import check_names, read_csv
from harness.datasets.formats import UNNAMED, index_note, read_arrow, read_excel, read_json_lines
from harness.errors import TabOrderError, choices
from harness.table import FLOAT_TEXT, INTEGER_TEXT, Column, Schema, Task, infer_column, parse_floats


@dataclass(frozen=True, eq=False)
class TextTable:
    """A table as written.

    Attributes:
        source: what error messages call it.
        columns: by name, in file order.
        notes: one sentence for each thing that reading had to decide.
        delimiter: between the cells of a CSV file; ``None`` for other containers.
    """

    source: str
    columns: Mapping[str, TextColumn]
    notes: tuple[str, ...] = ()
    delimiter: str | None = None

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
        return pd.DataFrame({name: column.objects() for name, column in self.columns.items()}, columns=self.names)

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
        return replace(self, columns=kept)


def read_text(
    path: str | Path,
    *,
    missing: Sequence[str] | str = ("",),
    delimiter: str | None = None,
    header: bool | None = None,
    drop: Sequence[str] = (),
) -> TextTable:
    """Read a file without interpreting its cells.

    CSV in UTF-8, UTF-16 or Latin-1 with any common delimiter, Parquet, Feather, Excel (where openpyxl is installed), JSON lines,
    and each of them packed by gzip, bzip2, xz or zip; what a file is, its content says. Quoted cells may hold delimiters, quotes
    and line ends. Blank lines are no rows. Other types than text become what pandas would write into a CSV file, floats of 32
    bits by their own shortest decimals. A first column without a name that numbers the rows is left out, with a note.

    Args:
        path: of the file.
        missing: cells that stand for a missing value, compared exactly; nulls always do.
        delimiter: between CSV cells; ``None`` sniffs it.
        header: whether a CSV file's first row has names; ``None`` tells it from the rows.
        drop: columns to leave out where they are there, ``""`` for one without a name.

    Raises:
        TabOrderError: when there is no such file, or it is a directory, of an unreadable kind, empty, without data rows, ragged,
            or has unnamed or repeated columns.
    """
    path, missing = Path(path).expanduser(), name_list(missing, "missing")
    content = open_file(path)
    notes = list(content.notes)
    if content.kind in ("excel", "json_lines"):
        frame, said = read_excel(content) if content.kind == "excel" else read_json_lines(content)
        return table_of_frame(frame, missing=missing, source=content.source, notes=(*notes, *said), drop=drop)
    mark: str | None = None
    if content.kind == "csv":
        table, said, mark = read_csv(content, delimiter, header)
    else:
        table, said = read_arrow(content)
    if not table.num_rows:
        raise TabOrderError(f"{path} has a header but no data rows.")
    columns = {
        name: text_column(table[name], missing, f"{path}, column '{name}'")
        for name in table.column_names
        if _kept(name, drop)
    }
    return _without_index(TextTable(str(path), columns, (*notes, *said), mark))


def _kept(name: str, drop: Sequence[str]) -> bool:
    return name not in drop and not (not name.strip() and "" in drop)


def table_of_frame(
    frame: pd.DataFrame,
    *,
    missing: Sequence[str] | str = ("",),
    source: str = "the table",
    notes: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> TextTable:
    """A DataFrame as if it had been written to a file and read; a named index becomes a column, as ``to_csv`` makes it one.

    Raises:
        TabOrderError: for cells that are no text, numbers, booleans or dates, and for unnamed or repeated columns.
    """
    levels = [str(name) for name in frame.index.names if name is not None]
    if levels:
        frame = frame.reset_index()
        notes = (*notes, index_note(source, levels))
    names = [str(name) for name in frame.columns]
    check_names(names, source, spare=1)
    if not len(frame):
        raise TabOrderError(f"{source} has a header but no data rows.")
    kept = frame.loc[:, [_kept(name, drop) for name in names]]
    columns = frame_columns(kept, name_list(missing, "missing"), source)
    return _without_index(TextTable(source, columns, tuple(notes)))


def _without_index(table: TextTable) -> TextTable:
    """Without a column of no name that numbers the rows or is empty; another one is refused."""
    for name in [name for name in table.columns if not name.strip() or name.startswith(UNNAMED)]:
        column, numbers = table.columns[name], pd.Series(dtype=float)
        label = f"column {table.names.index(name) + 1}, which has no name," if not name.strip() else f"column '{name}'"
        if column.missing < table.rows and _is_integers(column.values):
            numbers = pd.Series(column.values.to_pylist(), dtype=object).astype(float)
        if len(table.columns) > 1 and column.missing == table.rows:
            note = f"{table.source}: {label} is empty and left out."
        elif name == table.names[0] and len(table.columns) > 1 and not column.missing and len(numbers) == table.rows:
            note = f"{table.source}: {label} numbers the rows (an index that pandas wrote) and is left out."
        elif name.strip():
            continue  # pandas named it; it may be anything
        else:
            check_names([*table.columns], table.source)
            continue
        kept = {other: values for other, values in table.columns.items() if other != name}
        table = replace(table, columns=kept, notes=(*table.notes, note))
    return table


def _is_integers(values: Any) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, rf"\A(?:{INTEGER_TEXT})(?:\.0)?\z"), min_count=0).as_py())


def name_list(value: Sequence[str] | str | None, key: str) -> list[str]:
    """A list of texts from a config value: one text is a list of one, ``None`` is an empty list.

    Raises:
        TabOrderError: for anything else.
    """
    items = [value] if isinstance(value, (str, int, float)) else value or []
    if isinstance(items, Mapping) or not all(isinstance(item, (str, int, float)) for item in items):
        raise TabOrderError(f"{key} is {value!r}: give a list of texts, such as {key}: [NA].")
    return [str(item) for item in items]


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
    found = [
        infer_column(name, pd.Series(column.values.to_pylist(), dtype=object), given.get(name))  # type: ignore[arg-type]
        for name, column in table.columns.items()
    ]
    return Schema(tuple(found), target, task)


def canonical(table: TextTable, schema: Schema, prefix: str = "dataset.") -> pd.DataFrame:
    """The table in the schema's canonical form and column order; every present cell must be a value of its column's kind.

    Raises:
        TabOrderError: when columns differ, or a cell is not of its column's kind (column, row and value are named).
    """
    if set(table.names) != set(schema.names):
        lacking = [name for name in schema.names if name not in table.columns]
        extra = [name for name in table.names if name not in schema.names]
        parts = [f"{label} {names}" for label, names in (("missing", lacking), ("unexpected", extra)) if names]
        repair = f" {override('drop_columns', extra, prefix)} leaves the unexpected out." if extra else ""
        raise TabOrderError(f"{table.source}: columns differ from the training table's: {'; '.join(parts)}.{repair}")
    data = {column.name: _canonical_column(table, column, prefix) for column in schema.columns}
    return pd.DataFrame(data, columns=schema.names)


def _canonical_column(table: TextTable, column: Column, prefix: str) -> Any:
    text = table.columns[column.name]
    if not column.numeric:
        return text.objects()
    pattern = INTEGER_TEXT if column.kind == "integer" else FLOAT_TEXT
    fits = np.asarray(pc.match_substring_regex(text.values, rf"\A(?:{pattern})\z"), dtype=bool)
    numbers: np.ndarray[Any, Any] = np.zeros(
        len(text.values) + 1, dtype=np.int64 if column.kind == "integer" else np.float64
    )
    matching = text.values.filter(pa.array(fits))
    if column.kind == "integer":
        numbers[:-1][fits] = pc.cast(pc.utf8_ltrim(matching, "+"), pa.int64()).to_numpy(zero_copy_only=False)
    else:
        numbers[:-1][fits] = parse_floats(matching)
        numbers[-1] = np.nan
        fits &= np.isfinite(numbers[:-1])
    if not fits.all():
        _refuse_cell(table, column, text, fits, prefix)
    if column.kind == "float":
        return numbers[text.codes]
    return pd.arrays.IntegerArray(numbers[text.codes], text.codes < 0)


def _refuse_cell(table: TextTable, column: Column, text: TextColumn, fits: np.ndarray[Any, Any], prefix: str) -> None:
    row = int(np.flatnonzero(~np.append(fits, True)[text.codes])[0])
    value = text.values[int(text.codes[row])].as_py()
    shown = value if len(value) <= 60 else value[:57] + "..."
    raise TabOrderError(
        f"{table.source}, data row {row + 1}, column '{column.name}': {shown!r} is not {'an' if column.kind == 'integer' else 'a'} "
        f"{column.kind}; mend the cell, list it under 'missing', or give the column another kind "
        f"({override('columns', {column.name: 'categorical'}, prefix)})."
    )
