import numpy as np
import pandas as pd
import pytest

from harness.table import Column, Schema


@pytest.fixture(scope="session")
def schema():
    return Schema(
        (
            Column("a is", "categorical"),
            Column("count", "integer"),
            Column("é,x", "float", 2),
            Column("constant", "categorical"),
            Column("empty", "integer"),
        )
    )


@pytest.fixture
def train():
    """120 rows with missing cells in every kind, a constant and an all-missing column, and commas and ` is ` in text."""
    random = np.random.default_rng(0)
    rows = 120
    return pd.DataFrame(
        {
            "a is": pd.Series(random.choice(np.array(["x is y", "1,5", None], dtype=object), rows), dtype=object),
            "count": pd.array(np.where(random.random(rows) < 0.25, None, random.integers(0, 10, rows)), dtype="Int64"),
            "é,x": np.where(random.random(rows) < 0.25, np.nan, random.normal(size=rows).round(2)),
            "constant": pd.Series(["same"] * rows, dtype=object),
            "empty": pd.array([pd.NA] * rows, dtype="Int64"),
        }
    )
