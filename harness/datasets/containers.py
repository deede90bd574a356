"""What is in a file: its container opened, its text as UTF-8, and what had to be done said in a sentence."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.errors import TabOrderError

Kind = Literal["csv", "parquet", "feather", "excel", "json_lines"]
MAX_BYTES = 8 << 30
"""Of an unpacked file: what grows beyond it is refused, whatever the archive promises."""
MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "parquet"), (b"ARROW1", "feather"), (b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"), (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"), (b"%PDF", "a PDF document"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"), (b"7z\xbc\xaf", "a 7-Zip archive"), (b"Rar!", "a RAR archive"),
    (b"\x89HDF", "an HDF5 file"), (b"SQLite format 3\x00", "an SQLite database"), (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"), (b"ORC", "an ORC file"), (b"FEA1", "a Feather file of version 1"),
    (b"Obj\x01", "an Avro file"), (b"\x89PNG", "a picture"), (b"$FL2", "an SPSS file"), (b"RDX", "an R data file"),
    (b"<!DOCTYPE", "a web page"), (b"<!doctype", "a web page"), (b"<html", "a web page"), (b"<?xml", "an XML file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the table itself"),
)  # fmt: skip
"""How files begin. Named kinds are read, the others are refused by name."""
READ = ("CSV", "TSV", "Parquet", "Feather", "Excel (.xlsx)", "JSON lines", "and gzip, bzip2, xz or zip of one of them")


@dataclass(frozen=True)
class Content:
    """An opened file.

    Attributes:
        source: its path, for messages.
        kind: how to read ``data``.
        data: the bytes; UTF-8 text without byte-order mark for ``csv`` and ``json_lines``.
        notes: one sentence for each thing that was done to it.
        tabs: whether the file's name (``.tsv``, ``.tab``) says that cells are divided by tabs.
    """

    source: str
    kind: Kind
    data: bytes
    notes: tuple[str, ...] = ()
    tabs: bool = False


def open_file(path: Path) -> Content:
    """Read a file, unpack it, tell what it is and bring text to UTF-8.

    Raises:
        TabOrderError: when there is no such file, it is a directory, empty, or of a kind that cannot be read.
    """
    if path.is_dir():
        raise TabOrderError(f"{path} is a directory: name a CSV or Parquet file.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise TabOrderError(f"{path} does not exist: give the path of a CSV or Parquet file.") from None
    except OSError as error:
        raise TabOrderError(f"{path} cannot be read ({error.strerror or error}).") from None
    return open_bytes(data, path.name, str(path))


def open_bytes(data: bytes, name: str, source: str) -> Content:
    """The same for bytes that are known under a name."""
    notes: list[str] = []
    for _ in range(3):  # a zip of a gz, no deeper
        archive = _magic(data)
        if archive not in ("gzip", "bzip2", "xz", "zip") or (archive == "zip" and _is_excel(data)):
            break
        data, inner = _unpacked(data, archive, source)
        name = inner or name.rpartition(".")[0]
        notes.append(f"{source}: read from a {archive} archive{f' ({inner})' if inner else ''}.")
    if not data:
        raise TabOrderError(f"{source} is empty: a table needs a header and rows.")
    kind = _kind(data, name, source)
    if kind in ("parquet", "feather", "excel") and name.lower().endswith((".csv", ".tsv", ".txt", ".json")):
        notes.append(f"{source}: its content is {kind.capitalize()} whatever its name says, and is read as that.")
    if kind in ("csv", "json_lines"):
        data, said = _as_utf8(data, source)
        notes += said
    if kind == "csv" and _is_json_lines(data):
        kind = "json_lines"
    return Content(source, kind, data, tuple(notes), name.lower().endswith((".tsv", ".tab")))


def _magic(data: bytes) -> str | None:
    return next((kind for start, kind in MAGIC if data.startswith(start)), None)


def _is_excel(data: bytes) -> bool:
    try:
        return "xl/workbook.xml" in zipfile.ZipFile(io.BytesIO(data)).namelist()
    except zipfile.BadZipFile:
        return False


def _kind(data: bytes, name: str, source: str) -> Kind:
    found, suffix = _magic(data), name.lower().rpartition(".")[2]
    if found == "zip":
        return "excel"
    if found in ("parquet", "feather"):
        return found  # type: ignore[return-value]
    if found is not None:
        raise TabOrderError(f"{source} is {found}: save it as CSV or Parquet (read are {', '.join(READ)}).")
    if suffix in ("parquet", "pq", "feather", "arrow"):
        raise TabOrderError(
            f"{source} is not a readable {'Feather' if suffix in ('feather', 'arrow') else 'Parquet'} file "
            "(it does not begin like one): write it again, or rename it to what it is."
        )
    if suffix in ("xlsx", "xls"):
        raise TabOrderError(f"{source} is not a readable Excel file: save it as .xlsx or CSV.")
    return "json_lines" if suffix in ("jsonl", "ndjson") else "csv"


def _unpacked(data: bytes, archive: str, source: str) -> tuple[bytes, str | None]:
    try:
        if archive == "zip":
            files = [one for one in zipfile.ZipFile(io.BytesIO(data)).infolist() if not one.is_dir()]
            files = [one for one in files if not one.filename.startswith("__MACOSX/")]
            if len(files) != 1:
                names = ", ".join(one.filename for one in files[:5]) or "none"
                raise TabOrderError(f"{source} holds {len(files)} files ({names}): unpack it and name the one to read.")
            with zipfile.ZipFile(io.BytesIO(data)).open(files[0]) as file:
                return _bounded(file, source), files[0].filename.rpartition("/")[2]
        opened: dict[str, Any] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
        with opened[archive](io.BytesIO(data)) as file:
            return _bounded(file, source), None
    except (
        OSError,
        EOFError,
        zlib.error,
        zipfile.BadZipFile,
        lzma.LZMAError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise TabOrderError(f"{source} is a damaged or locked {archive} archive ({error}): pack it again.") from None


def _bounded(file: Any, source: str) -> bytes:
    data: bytes = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TabOrderError(f"{source} unpacks to more than {MAX_BYTES >> 30} GiB: unpack it and name a smaller file.")
    return data


def _as_utf8(data: bytes, source: str) -> tuple[bytes, list[str]]:
    """Text as UTF-8 without byte-order mark, and a sentence where it was something else."""
    if data.startswith(codecs.BOM_UTF8):
        data = data[3:]
    for mark, encoding in ((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16")):
        if data.startswith(mark):
            return _decoded(data, encoding, source), [f"{source}: read as {encoding} text."]
    for start, encoding in ((1, "UTF-16-LE"), (0, "UTF-16-BE")):
        head = data[:400]
        if len(head) > 3 and len(data) % 2 == 0 and set(head[start::2]) == {0} and 0 not in head[1 - start :: 2]:
            return _decoded(data, encoding, source), [f"{source}: read as {encoding} text."]
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _single_byte(data, error, source)
    return data, []


def _decoded(data: bytes, encoding: str, source: str) -> bytes:
    try:
        return data.decode(encoding).encode()
    except UnicodeError as error:
        raise TabOrderError(f"{source} begins as {encoding} text but is broken ({error}): save it as UTF-8.") from None


def _single_byte(data: bytes, error: UnicodeDecodeError, source: str) -> tuple[bytes, list[str]]:
    """Text of one byte a character, as Excel saves it in the west; what holds control characters is no text."""
    where = f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8"
    if error.reason == "unexpected end of data":
        raise TabOrderError(f"{source} is not UTF-8 text: it ends inside a character at offset {error.start}.")
    if sum(data.count(byte) for byte in (*range(9), *range(14, 32))):
        raise TabOrderError(f"{source} is no text ({where}): read are {', '.join(READ)}.")
    try:
        text, encoding = data.decode("cp1252"), "Windows-1252 (Latin-1)"
    except UnicodeDecodeError:
        text, encoding = data.decode("latin-1"), "Latin-1"
    if sum(character.isalpha() for character in text if ord(character) > 127) == 0:
        raise TabOrderError(f"{source} is not UTF-8 text ({where}): save it as UTF-8 (for example with iconv).")
    return text.encode(), [
        f"{source}: {where}, so the text was read as {encoding}; save the file as UTF-8 if letters look wrong."
    ]


def _is_json_lines(data: bytes) -> bool:
    return data.lstrip()[:1] == b"{" or data.lstrip()[:2] in (b"[{", b"[\n", b"[ ")
