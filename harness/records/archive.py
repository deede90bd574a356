"""A store's records in one compact file: columnar, checksummed, the same bytes for the same records.

A Parquet file, a row a cell. ``head`` is the record's JSON without its scores; the scores are a list of structures, whose names and
anchors repeat from cell to cell and take next to nothing. ``raw`` holds a record's whole text where these two would not give it back
byte for byte. The file's metadata hold the SHA-256 over all records' texts. Tables stay away: equal seeds make them again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import TabOrderError
from harness.records.files import write_atomic
from harness.records.record import Record, Score
from harness.records.store import ResultStore

FORMAT = 1
FORMAT_KEY, CHECKSUM_KEY = b"taborder.archive", b"taborder.sha256"
MARK = "archived.json"
"""Stands beside a record that came from an archive: its table is not here, and need not be."""


@dataclass(frozen=True)
class Archived:
    """One cell of an archive.

    Attributes:
        path: below ``runs/`` of a store.
        text: the record, as it was stored.
        table: SHA-256 of its synthetic table; ``None`` where none was made.
    """

    path: str
    text: str
    table: str | None

    @property
    def record(self) -> Record:
        """The record."""
        return Record.from_json(self.text, self.path)


def collect(store: ResultStore, keep: Callable[[Record], bool] = lambda _: True) -> list[Archived]:
    """The cells of a store that an archive would hold, ordered by path.

    Args:
        store: whose records are read.
        keep: which of them.

    Raises:
        TabOrderError: when there is none.
    """
    records, _ = store.records()
    chosen = [record for record in records if keep(record)]
    if not chosen:
        raise TabOrderError(f"the store at {store.root} holds no record that was asked for: nothing to archive.")
    cells = []
    for record in chosen:
        folder = store.cell_dir(record.cell)
        text = (folder / "record.json").read_text(encoding="utf-8")
        cells.append(Archived(record.cell.path, text, _table_checksum(folder)))
    return sorted(cells, key=lambda one: one.path)


def _table_checksum(folder: Path) -> str | None:
    for name, key in ((MARK, "table"), ("generation.json", "result")):
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))[key]
            return str(found["checksum"]) if isinstance(found, dict) else found
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def checksum(cells: Iterable[Archived]) -> str:
    """SHA-256 over paths, records and tables' checksums."""
    digest = hashlib.sha256()
    for one in cells:
        digest.update("\x1f".join([one.path, one.text, one.table or "", ""]).encode())
    return digest.hexdigest()


def write(file: Path, cells: list[Archived]) -> str:
    """Write an archive whole or not at all; returns its checksum. Equal cells give equal bytes.

    Raises:
        TabOrderError: when the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    rows = [_row(one) for one in cells]
    total = checksum(cells)
    schema = _schema().with_metadata({FORMAT_KEY: str(FORMAT).encode(), CHECKSUM_KEY: total.encode()})
    buffer = io.BytesIO()
    table = pa.Table.from_pylist(rows, schema=schema)
    parquet.write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=19,
        row_group_size=len(rows),
        write_page_checksum=True,
        write_statistics=False,
    )
    try:
        write_atomic(file, buffer.getvalue())
    except OSError as error:
        raise TabOrderError(f"{file} cannot be written ({error.strerror}): give another file=.") from None
    return total


def read(file: Path) -> list[Archived]:
    """The cells of an archive.

    Raises:
        TabOrderError: when it is not there, is no archive, of another format, or not as it was written.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(pa.BufferReader(file.read_bytes()), page_checksum_verification=True)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise TabOrderError(
            f"{file} cannot be read as an archive ({error}): give file= what harness.archive export wrote."
        ) from None
    about: Mapping[bytes, bytes] = table.schema.metadata or {}
    if about.get(FORMAT_KEY) != str(FORMAT).encode():
        raise TabOrderError(f"{file} is no archive of format {FORMAT}: give file= what harness.archive export wrote.")
    try:
        cells = [Archived(row["path"], _text(row), row["table"]) for row in table.to_pylist()]
    except (ValueError, KeyError, TypeError) as error:
        raise TabOrderError(f"{file} was changed after it was written ({error}): export it again.") from None
    if checksum(cells).encode() != about.get(CHECKSUM_KEY):
        raise TabOrderError(f"{file} was changed after it was written (its checksum differs): export it again.")
    return cells


def unpack(cells: Iterable[Archived], store: ResultStore) -> tuple[int, int]:
    """Put archived cells into a store; cells that are there already stay as they are.

    Returns:
        How many were put there, and how many were there.
    """
    put = there = 0
    for one in cells:
        folder = store.cell_dir(one.record.cell)
        if (folder / "record.json").exists():
            there += 1
            continue
        write_atomic(folder / MARK, (json.dumps({"table": one.table}) + "\n").encode())
        write_atomic(folder / "record.json", one.text.encode())
        put += 1
    return put, there


def _schema() -> Any:
    import pyarrow as pa

    score = pa.struct(
        [
            ("metric", pa.string()),
            ("version", pa.int32()),
            ("value", pa.float64()),
            ("goal", pa.string()),
            ("low", pa.float64()),
            ("high", pa.float64()),
            ("params", pa.string()),
            ("real", pa.float64()),
            ("floor", pa.float64()),
            ("seconds", pa.float64()),
            ("error", pa.string()),
        ]
    )
    text = pa.string()
    return pa.schema([("path", text), ("head", text), ("scores", pa.list_(score)), ("table", text), ("raw", text)])


def _row(one: Archived) -> dict[str, Any]:
    data = json.loads(one.text)
    scores = [_flat(score) for score in data.pop("scores")]
    data.pop("checksum", None)
    row = {
        "path": one.path,
        "head": json.dumps(data, sort_keys=True, ensure_ascii=False),
        "scores": scores,
        "raw": None,
    }
    if _rebuilt(row) != one.text:
        row |= {"head": None, "scores": None, "raw": one.text}
    return {**row, "table": one.table}


def _flat(score: dict[str, Any]) -> dict[str, Any]:
    low, high = score.pop("bounds")
    return {**score, "low": low, "high": high, "params": json.dumps(score["params"], sort_keys=True)}


def _text(row: Mapping[str, Any]) -> str:
    return row["raw"] if row["raw"] is not None else _rebuilt(row)


def _rebuilt(row: Mapping[str, Any]) -> str:
    """The record's text from its head and scores, as :meth:`Record.to_json` writes it."""
    scores = [_score(dict(one)) for one in row["scores"]]
    head = json.loads(row["head"])
    # Through the record's own reader and writer: what they would refuse or write otherwise is kept as it is.
    bare = json.dumps({**head, "scores": [score._asdict() for score in scores]})
    try:
        return Record.from_json(bare, str(row["path"])).to_json()
    except TabOrderError:
        return ""


def _score(flat: dict[str, Any]) -> Score:
    bounds = flat.pop("low"), flat.pop("high")
    return Score(**{**flat, "bounds": bounds, "params": json.loads(flat["params"])})
