"""Tables whose dependencies are known: by hand, by construction, the paper's."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.table import Column, Schema, conform, infer_column


def categorical(**columns: object) -> tuple[pd.DataFrame, Schema]:
    schema = Schema(tuple(Column(name, "categorical") for name in columns))
    return conform(pd.DataFrame(columns, dtype=object), schema)[0], schema


def simulated(base: int, rows: int = 8000) -> tuple[pd.DataFrame, Schema]:
    a = np.arange(rows) % (8 * base)
    b = a % (4 * base)
    c = b % (2 * base)
    return categorical(
        **{name: [f"{name}_{v}" for v in x] for name, x in zip("ABCD", (a, b, c, c % base), strict=True)}
    )


def paper(name: str) -> tuple[pd.DataFrame, Schema]:
    folder = os.environ.get("TABORDER_MIRROR")
    if not folder:
        pytest.skip("TABORDER_MIRROR is not set")
    text = pd.read_csv(Path(folder) / "train" / f"{name}.csv", dtype=str, keep_default_na=False)
    text = text.astype(object).where(text != "", None)
    schema = Schema(tuple(infer_column(column, text[column]) for column in text.columns))
    return conform(text, schema)[0], schema
