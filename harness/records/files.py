"""Files written whole or not at all, and names that can be folders."""

from __future__ import annotations

import io
import os
import re
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import TabOrderError

if TYPE_CHECKING:
    import pandas as pd


SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def safe_name(name: str, what: str) -> str:
    """Return ``name`` if it can be a folder name, else raise.

    Raises:
        TabOrderError: for separators, leading dots, blanks, or more than 100 characters.
    """
    if not SAFE_NAME.fullmatch(name) or ".." in name:
        raise TabOrderError(
            f"{what} name {name!r} cannot be a folder name: use letters, digits, '.', '_', '+' and '-', starting with a letter or digit."
        )
    return name


@lru_cache(maxsize=1)
def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_atomic(path: Path, data: bytes) -> None:
    """Write a whole file or none of it, durably: temporary file in the same folder, fsync, rename, fsync of the folder.

    After a power cut the old file is there, or the new one; what was written before it (a table, before its record) is there too.
    """
    _make_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's 0600 would hide a shared store from its other readers
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """A frame as Parquet; equal frames give equal bytes."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, engine="pyarrow", compression="zstd")
    return buffer.getvalue()
