"""A table that is learnt in seconds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.table import Column, Schema

SCHEMA = Schema((Column("A", "categorical"), Column("B", "categorical"), Column("z", "integer")))


def table() -> pd.DataFrame:
    """B = A mod 5, z depends on B and is sometimes missing."""
    a = np.arange(1000) % 20
    return pd.DataFrame(
        {
            "A": pd.Series([f"A_{i}" for i in a], dtype=object),
            "B": pd.Series([f"B_{i % 5}" for i in a], dtype=object),
            "z": pd.array([None if i % 7 == 0 else int(i % 5) * 100 + i % 3 for i in a], dtype="Int64"),
        }
    )
