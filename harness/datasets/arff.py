"""ARFF, the format of older OpenML tables, as a DataFrame of text."""

from __future__ import annotations

import csv
import re

import pandas as pd

from harness.errors import TabOrderError

ATTRIBUTE = re.compile(r"""@attribute\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\S+))\s+(.+)""", re.IGNORECASE)


def read_arff(data: bytes, source: str) -> pd.DataFrame:
    """The rows of a dense ARFF file; ``?`` is a missing cell.

    Raises:
        TabOrderError: when it is no ARFF file, sparse, or a row is of another length than the header.
    """
    names, rows, lines = (
        list[str](),
        list[list[str | None]](),
        iter(enumerate(data.decode("utf-8", "replace").splitlines(), 1)),
    )
    for _, line in lines:
        text = line.strip()
        if found := ATTRIBUTE.match(text):
            name = next(part for part in found.groups()[:3] if part is not None)
            names.append(re.sub(r"\\(.)", r"\1", name))
        elif text.lower().startswith("@data"):
            break
    if not names:
        raise TabOrderError(f"{source} is not an ARFF file: it names no attributes.")
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith("%"):
            continue
        if text.startswith("{"):
            raise TabOrderError(f"{source}, line {number}: sparse ARFF is not read; save the table as CSV or Parquet.")
        cells = _cells(text)
        if len(cells) != len(names):
            raise TabOrderError(f"{source}, line {number}: {len(cells)} cells where the header names {len(names)}.")
        rows.append([None if cell == "?" else cell for cell in cells])
    if not rows:
        raise TabOrderError(f"{source} has no rows.")
    return pd.DataFrame({name: pd.Series([row[i] for row in rows], dtype=object) for i, name in enumerate(names)})


def _cells(text: str) -> list[str]:
    mark = '"' if '"' in text and "'" not in text else "'"
    row = next(csv.reader([text], quotechar=mark, escapechar="\\", skipinitialspace=True))
    return [cell.strip() for cell in row]
