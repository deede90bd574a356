"""Files that are no CSV: Excel, JSON lines, Parquet and Feather, each with notes on what reading it decided."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather as pa_feather
import pyarrow.parquet as pq

from harness.datasets.containers import Content
from harness.datasets.csvfile import check_names
from harness.errors import TabOrderError

UNNAMED = "Unnamed: "
"""How pandas calls a column without a name."""


def index_note(source: str, names: Sequence[str]) -> str:
    """A sentence on index levels that become columns."""
    shown = ", ".join(f"'{name}'" for name in names)
    return f"{source}: the index {shown} is read as a column; drop_columns=[{', '.join(names)}] leaves it out."


def read_excel(content: Content) -> tuple[pd.DataFrame, list[str]]:
    """The first sheet of an Excel file.

    Raises:
        TabOrderError: when openpyxl is not installed, or cannot read the file.
    """
    if importlib.util.find_spec("openpyxl") is None:
        raise TabOrderError(
            f"{content.source} is an Excel file: install openpyxl (python -m pip install openpyxl), or save it as CSV."
        )
    try:
        with pd.ExcelFile(io.BytesIO(content.data), engine="openpyxl") as book:
            sheets = [str(name) for name in book.sheet_names]
            frame = book.parse(sheets[0], dtype=object, keep_default_na=False, na_values=[""])
    except Exception as error:  # openpyxl raises whatever the file's XML provokes
        raise TabOrderError(f"{content.source} is not a readable Excel file ({error}): save it as CSV.") from None
    frame.columns = ["" if str(name).startswith(UNNAMED) else str(name) for name in frame.columns]
    others = f"; the others ({', '.join(sheets[1:])}) are left out" if sheets[1:] else ""
    return frame, [f"{content.source}: Excel sheet '{sheets[0]}' is read{others}."]


def read_json_lines(content: Content) -> tuple[pd.DataFrame, list[str]]:
    """One object a line, or a list of objects; a name that a row lacks is a missing cell.

    Raises:
        TabOrderError: for a line that is not JSON, or no object.
    """
    text, rows = content.data.decode(), []
    if text.lstrip().startswith("["):
        lines = [(1, text)]
    else:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    for number, line in lines:
        try:
            found = json.loads(line)
        except ValueError as error:
            raise TabOrderError(
                f"{content.source}, line {number}: not JSON ({error}): write one object a line."
            ) from None
        rows += found if isinstance(found, list) else [found]
        if not all(isinstance(row, dict) for row in (rows if isinstance(found, list) else rows[-1:])):
            raise TabOrderError(f"{content.source}, line {number}: a row is an object of cells by column name.")
    if not rows:
        raise TabOrderError(f"{content.source} has no rows.")
    names = list(dict.fromkeys(name for row in rows for name in row))
    frame = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names})
    return frame, [f"{content.source}: read as JSON lines."]


def read_arrow(content: Content) -> tuple[Any, list[str]]:
    """A Parquet or Feather file; its named index levels first, an unnamed index left out, as a note says.

    Raises:
        TabOrderError: when it cannot be read.
    """
    source, label = content.source, "Parquet" if content.kind == "parquet" else "Feather"
    try:
        buffer = pa.BufferReader(content.data)
        table = pq.ParquetFile(buffer).read() if content.kind == "parquet" else pa_feather.read_table(buffer)
    except (pa.ArrowInvalid, OSError) as error:
        raise TabOrderError(f"{source} is not a readable {label} file ({str(error).splitlines()[0]}).") from None
    index = [name for name in (table.schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]
    named = [name for name in index if not name.startswith("__index_level_") and name in table.column_names]
    unnamed = [name for name in index if name.startswith("__index_level_") and name in table.column_names]
    rest = [name for name in table.column_names if name not in index]
    notes = [index_note(source, named)] if named else []
    if unnamed and rest:
        notes.append(f"{source}: the unnamed index pandas had stored is left out.")
    else:
        named += unnamed
    check_names([*named, *rest], source, spare=1)
    return table.select([*named, *rest]), notes
