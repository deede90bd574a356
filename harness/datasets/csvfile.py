"""CSV files into arrow tables of text, with errors that say where a file is wrong."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from harness.errors import TabOrderError

BLOCK_BYTES = 1 << 24


def read_csv(path: Path, delimiter: str) -> Any:
    """An arrow table with one dictionary-encoded string column per CSV column; nothing is missing yet.

    Raises:
        TabOrderError: as :func:`harness.datasets.reading.read_text` says.
    """
    if not isinstance(delimiter, str) or len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise TabOrderError(f"delimiter {delimiter!r} is not one ASCII character other than a quote or line end.")
    quotes_pair = _check_utf8(path)
    names = _header(path, delimiter)
    if not names:
        raise TabOrderError(f"{path} is empty: a table needs a header and rows.")
    check_names(names, str(path))
    if not quotes_pair:
        _check_rows(path, delimiter)
    options: dict[str, Any] = {
        "parse_options": pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        "convert_options": pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.dictionary(pa.int32(), pa.string())),
            strings_can_be_null=False,
        ),
    }
    try:
        return pa_csv.read_csv(path, read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES), **options)
    except pa.ArrowInvalid as error:
        _check_rows(path, delimiter)
        if "Empty CSV" in str(error):  # nothing after the header, not even a line end
            return pa.table({name: pa.array([], pa.string()) for name in names})
        if "straddling" in str(error):  # a row longer than a block
            whole = pa_csv.ReadOptions(block_size=max(path.stat().st_size + 1, BLOCK_BYTES))
            return pa_csv.read_csv(path, read_options=whole, **options)
        raise TabOrderError(f"{path} is not a readable CSV file ({str(error).splitlines()[0]}).") from None


def _check_utf8(path: Path) -> bool:
    """Refuse bytes that are not UTF-8; return whether the file's quotes come in pairs."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = quotes = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            start = offset - len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                byte = error.object[error.start]
                raise TabOrderError(
                    f"{path} is not UTF-8 text: byte 0x{byte:02x} at offset {start + error.start} cannot be decoded; "
                    "convert it (for example with iconv) or name a CSV file."
                ) from None
            offset += len(chunk)
            quotes += chunk.count(b'"')
    if decoder.getstate()[0]:
        raise TabOrderError(f"{path} is not UTF-8 text: it ends inside a character at offset {offset}.")
    if not offset:
        raise TabOrderError(f"{path} is empty: a table needs a header and rows.")
    return quotes % 2 == 0


def _header(path: Path, delimiter: str) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            return next((row for row in csv.reader(file, delimiter=delimiter) if row), [])
        except csv.Error as error:
            raise TabOrderError(f"{path} has no readable header ({error}).") from None


def check_names(names: Sequence[str], source: str) -> None:
    """Refuse unnamed and repeated columns."""
    unnamed = [number for number, name in enumerate(names, 1) if not name.strip()]
    if not names:
        raise TabOrderError(f"{source} has no columns.")
    if unnamed:
        raise TabOrderError(f"{source}: column {unnamed} has no name: give every column a name in the header.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TabOrderError(f"{source} has more than one column named {repeated}: make the names unique.")


def _check_rows(path: Path, delimiter: str) -> None:
    """Find the first row of a wrong length or an unclosed quote. Slow, so only used when something is already wrong."""
    width: int | None = None
    limit = csv.field_size_limit(max(path.stat().st_size + 1, 1 << 17))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                width = width or len(row)
                if row and len(row) != width:
                    raise TabOrderError(
                        f"{path}, line {reader.line_num}: {len(row)} cells where the header has {width}: "
                        "mend the row (quote cells that hold the delimiter)."
                    )
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise TabOrderError(f"{path}: a quote opened in the last rows is never closed.") from None
    finally:
        csv.field_size_limit(limit)
