"""What the adapters share: above all, columns without any value are set aside, and put back as missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.errors import Incompatible
from harness.table import Schema

GPU_NOTE = "trained on a GPU: equal seeds need not give equal bytes"


def modelled(train: pd.DataFrame, schema: Schema, what: str) -> tuple[list[str], list[str]]:
    """Names of the columns that have a value, and a note for each that has none.

    Args:
        train: the training table.
        schema: its schema.
        what: the generator's name, for the error.

    Raises:
        Incompatible: when no column has a value.
    """
    names = [name for name in schema.names if train[name].notna().any()]
    if not names:
        raise Incompatible(f"{what} needs at least one column with a value; all are missing throughout.")
    empty = [name for name in schema.names if name not in names]
    return names, [f"column '{name}' has no value in train: not modelled, all missing" for name in empty]


def plain(values: pd.Series[Any]) -> pd.Series[Any]:
    """A column in numpy's own types: ``Int64`` becomes ``int64``, or ``float64`` where values are missing."""
    values = values.reset_index(drop=True)
    if values.dtype != "Int64":
        return values
    return values.astype("float64" if values.hasnans else "int64")


def complete(values: Mapping[str, Any], schema: Schema, rows: int) -> pd.DataFrame:
    """A table of all columns from those in ``values``; the others are missing throughout."""
    missing = pd.Series([None] * rows, dtype=object)
    names: Sequence[str] = schema.names
    return pd.DataFrame({name: values.get(name, missing) for name in names}, columns=pd.Index(names))
