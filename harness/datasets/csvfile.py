"""CSV text into arrow tables of text, with errors that say where a file is wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from harness.datasets.containers import Content
from harness.datasets.dialect import NAMES, as_delimiter, first_rows, has_header, sniff
from harness.errors import TabOrderError

BLOCK_BYTES = 1 << 24


def read_csv(content: Content, delimiter: str | None, header: bool | None) -> tuple[Any, list[str], str]:
    """An arrow table with one dictionary-encoded string column per CSV column (nothing is missing yet), notes, the delimiter.

    Args:
        content: opened as ``csv``.
        delimiter: between cells; ``None`` sniffs it.
        header: whether the first row has names; ``None`` tells it from the rows.

    Raises:
        TabOrderError: as :func:`harness.datasets.reading.read_text` says.
    """
    data, source, notes = content.data, content.source, []
    given = as_delimiter(delimiter)
    mark = given or sniff(data, content.tabs)
    if given is None and mark != ",":
        notes.append(f"{source}: cells are divided by {NAMES[mark]}s; delimiter says otherwise.")
    names = _first_row(content, mark)
    if not names:
        raise TabOrderError(f"{source} is empty: a table needs a header and rows.")
    options: dict[str, Any] = {"block_size": BLOCK_BYTES}
    if header is False or (header is None and not has_header(first_rows(data, mark))):
        names = [f"column_{number}" for number in range(1, len(names) + 1)]
        options["column_names"] = names
        notes.append(
            f"{source}: the first row holds values, no names; columns are called {names[0]} to {names[-1]} "
            "(header=true reads it as names)."
        )
    check_names(names, source, spare=1)
    if data.count(b'"') % 2:
        _check_rows(content, mark)
    return _parsed(content, mark, names, options), notes, mark


def _parsed(content: Content, delimiter: str, names: Sequence[str], options: dict[str, Any]) -> Any:
    def read(**changes: Any) -> Any:
        return pa_csv.read_csv(
            pa.BufferReader(content.data),
            read_options=pa_csv.ReadOptions(**{**options, **changes}),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.dictionary(pa.int32(), pa.string())), strings_can_be_null=False
            ),
        )

    try:
        return read()
    except pa.ArrowInvalid as error:
        _check_rows(content, delimiter)
        if "Empty CSV" in str(error):  # nothing after the header, not even a line end
            return pa.table({name: pa.array([], pa.string()) for name in names})
        if "straddling" in str(error):  # a row longer than a block
            return read(block_size=max(len(content.data) + 1, BLOCK_BYTES))
        raise TabOrderError(f"{content.source} is not a readable CSV file ({str(error).splitlines()[0]}).") from None


def _text(content: Content) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content.data), encoding="utf-8", newline="")


def _first_row(content: Content, delimiter: str) -> list[str]:
    limit = csv.field_size_limit(max(len(content.data) + 1, 1 << 17))
    try:
        return next((row for row in csv.reader(_text(content), delimiter=delimiter) if row), [])
    except csv.Error as error:
        raise TabOrderError(f"{content.source} has no readable header ({error}).") from None
    finally:
        csv.field_size_limit(limit)


def check_names(names: Sequence[str], source: str, spare: int = 0) -> None:
    """Refuse repeated columns, and unnamed ones but for ``spare`` (which may be an index)."""
    unnamed = [number for number, name in enumerate(names, 1) if not name.strip()]
    if not names:
        raise TabOrderError(f"{source} has no columns.")
    if len(unnamed) > spare:
        raise TabOrderError(
            f"{source}: column {unnamed} has no name: give every column a name in the header"
            + (', or leave it out with drop_columns=[""].' if len(unnamed) == 1 else ".")
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TabOrderError(f"{source} has more than one column named {repeated}: make the names unique.")


def _check_rows(content: Content, delimiter: str) -> None:
    """Find the first row of a wrong length or an unclosed quote. Slow, so only used when something is already wrong."""
    width: int | None = None
    limit = csv.field_size_limit(max(len(content.data) + 1, 1 << 17))
    try:
        reader = csv.reader(_text(content), delimiter=delimiter, strict=True)
        for row in reader:
            width = width or len(row)
            if row and len(row) != width:
                raise TabOrderError(
                    f"{content.source}, line {reader.line_num}: {len(row)} cells where the header has {width}: "
                    "mend the row (quote cells that hold the delimiter)."
                )
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise TabOrderError(f"{content.source}: a quote opened in the last rows is never closed.") from None
    finally:
        csv.field_size_limit(limit)
