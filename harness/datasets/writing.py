"""Write canonical tables as CSV that reads back equal."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import TabOrderError
from harness.table import Column, Schema, format_cell


def write_csv(frame: pd.DataFrame, schema: Schema, path: str | Path) -> None:
    """Write a canonical frame as UTF-8 CSV that :func:`read_text` reads back equal; missing cells are empty.

    Floats are written with the column's decimals, at least one (so that they are read as floats), and with 17 significant
    digits where those decimals would change the value.

    Raises:
        TabOrderError: for an empty category, which could not be told from a missing cell.
    """
    columns = []
    for column in schema.columns:
        codes, unique = pd.factorize(frame[column.name], use_na_sentinel=True)
        texts = [_cell(column, value) for value in unique]
        if "" in texts:
            raise TabOrderError(
                f"column '{column.name}' has an empty category, which CSV cannot tell from a missing cell."
            )
        columns.append(np.array([*texts, ""], dtype=object)[codes])
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(schema.names)
        writer.writerows(zip(*columns, strict=True))


def _cell(column: Column, value: Any) -> str:
    text = format_cell(column, value) or ""
    if column.kind == "float":
        if float(text) != float(value):
            return repr(float(value))
        return text if any(mark in text for mark in ".e") else text + ".0"
    return text
