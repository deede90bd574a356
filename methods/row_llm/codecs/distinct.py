"""Distinct cells and distinct rows of tokens, so that each is translated once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]


def distinct_rows(tokens: Array) -> tuple[Array, Array]:
    """Distinct rows in the order they come, shape (distinct, width), and which of them each row is, shape (rows,).

    By hashing column after column: linear in the rows, where sorting them costs as much as the model when few rows are
    distinct.
    """
    codes = np.zeros(len(tokens), dtype=np.int64)
    for column in tokens.T:
        least = column.min(initial=0)
        codes, _ = pd.factorize(codes * (int(column.max(initial=0)) - least + 1) + (column - least))
    firsts = np.zeros(codes.max(initial=-1) + 1, dtype=np.int64)
    firsts[codes[::-1]] = np.arange(len(tokens))[::-1]
    return tokens[firsts], codes


def distinct(values: pd.Series[Any]) -> tuple[Array, Array, bool]:
    """Codes of the rows, sorted distinct present values, and whether any is missing (its code is the last)."""
    codes, unique = pd.factorize(values, sort=True, use_na_sentinel=True)
    missing = codes < 0
    return np.where(missing, len(unique), codes).astype(np.int64), np.asarray(unique), bool(missing.any())
