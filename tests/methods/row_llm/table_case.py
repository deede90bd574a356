"""A table and what the table layout allows in every place, told from the texts of its values."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.table import Column, Schema
from methods.row_llm import RowLLM

SCHEMA = Schema((Column("a", "categorical"), Column("n", "integer"), Column("b", "categorical")))


def table() -> pd.DataFrame:
    """b follows from a; n is −9..39 in two tokens (one digit each), sometimes missing, and depends on a."""
    source = np.random.default_rng(0)
    a = source.choice(["x", "y", "z"], 600, p=[0.6, 0.3, 0.1])
    n = [{"x": 5, "y": 12, "z": 30}[v] + int(source.integers(0, 3)) * 7 - 14 * int(source.random() < 0.2) for v in a]
    return pd.DataFrame(
        {
            "a": pd.Series(a, dtype=object),
            "n": pd.array([None if source.random() < 0.2 else v for v in n], dtype="Int64"),
            "b": pd.Series([{"x": "u", "y": None, "z": "w"}[v] for v in a], dtype=object),
        }
    )


def legal(generator: RowLLM):
    """What each column allows: its categories, the numbers from the least to the greatest of either sign, missing."""
    words = generator.fitted.codec.vocabulary.words
    ids = generator.fitted.codec.vocabulary.ids
    blank = ids["<blank>"]
    numbers = table()["n"].dropna()
    inside = {f"{n:02d}" for n in range(numbers[numbers >= 0].min(), numbers.max() + 1)}
    inside |= {f"-{-n:02d}" for n in range(numbers.min(), numbers[numbers < 0].max() + 1)}

    def allowed(column: int, value: tuple[int, ...]) -> set[int]:
        if column != 1:
            return {i for i, word in enumerate(words) if word == f"[{column}]" or word.startswith(f"[{column}] ")}
        if value:
            rest = [text[-1] for text in inside if text[:-1] == words[value[0]]]
            return {blank} if words[value[0]] == "[1]" else {ids[digit] for digit in rest}
        return {ids["[1]"]} | {ids[text[:-1]] for text in inside}

    return allowed
