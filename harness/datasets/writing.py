"""Write canonical tables as CSV that reads back equal."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import TabOrderError
from harness.table import Column, Schema, factorize, format_cell, write_cell


def write_csv(frame: pd.DataFrame, schema: Schema, path: str | Path) -> None:
    """Write a canonical frame as UTF-8 CSV that :func:`read_text` reads back equal; missing cells are empty.

    Cells are written in the form of the training table. Plain floats have the column's decimals, at least one (so that they
    are read as floats), and 17 significant digits where those decimals would change the value.

    Raises:
        TabOrderError: for an empty category, which could not be told from a missing cell.
    """
    columns = [_texts(column, frame[column.name]) for column in schema.columns]
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")  # with "\n" alone, a cell's "\r" would not be quoted
        writer.writerow(schema.names)
        writer.writerows(zip(*columns, strict=True))


def _texts(column: Column, values: pd.Series[Any]) -> np.ndarray[Any, Any]:
    if column.kind == "float":  # by their bits, because 0.0 and -0.0 are equal but written differently
        codes, bits = pd.factorize(values.to_numpy(np.float64).view(np.int64))
        texts = [_float(column, float(value)) for value in bits.view(np.float64)]
        if column.form is not None:
            texts = [column.form.write(text) if text else text for text in texts]
    else:
        codes, unique = factorize(values)
        texts = [str(write_cell(column, value)) for value in unique]
        if "" in texts:
            raise TabOrderError(
                f"column '{column.name}' has an empty category, which CSV cannot tell from a missing cell."
            )
    return np.asarray(np.array([*texts, ""], dtype=object)[codes], dtype=object)


def _float(column: Column, value: float) -> str:
    text = format_cell(column, value)
    if text is None:
        return ""
    if float(text) != value:
        return repr(value)
    return text if any(mark in text for mark in ".e") else text + ".0"
