"""What a decoded cell or row can be."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from harness.table import FLOAT_TEXT, Column

(
    VALID,
    UNKNOWN_CATEGORY,
    UNPARSABLE,
    OUT_OF_RANGE,
    OUT_OF_VOCABULARY,
    CUT,
    DUPLICATE_COLUMN,
    MISSING_COLUMN,
    FD_VIOLATION,
) = range(9)

REASONS = {
    UNKNOWN_CATEGORY: "unknown_category",
    UNPARSABLE: "unparsable",
    OUT_OF_RANGE: "out_of_range",
    OUT_OF_VOCABULARY: "out_of_vocabulary",
    CUT: "cut",
    DUPLICATE_COLUMN: "duplicate_column",
    MISSING_COLUMN: "missing_column",
    FD_VIOLATION: "fd_violation",
}
"""Why a row is rejected, as counted in the yield.

``unknown_category``: a categorical value that training does not have. ``unparsable``: text that is no number of the
column's kind, or a row that is not ``name is value, …``. ``out_of_range``: an integer beyond 64 bits, or an infinite
float.
``out_of_vocabulary``: a token that belongs to no value. ``cut``: a value or row that did not end within its length.
``duplicate_column``, ``missing_column``: a column named twice or never (``free`` decoding). ``fd_violation``: a row
against a dependency of the training rows (``fd_constrained`` decoding, where no token could have avoided it).
"""


def parse_number(text: str, column: Column) -> tuple[float | int | None, int]:
    """Read a number of the column's kind, and say what it is: ``VALID``, ``UNPARSABLE`` or ``OUT_OF_RANGE``."""
    if column.kind == "integer":
        if not re.fullmatch(r"[+-]?[0-9]{1,100}", text, re.ASCII):
            return None, UNPARSABLE
        value = int(text)
        return (value, VALID) if -(2**63) <= value < 2**63 else (None, OUT_OF_RANGE)
    if not re.fullmatch(FLOAT_TEXT, text, re.ASCII):
        return None, UNPARSABLE
    number = float(text)
    return (number, VALID) if np.isfinite(number) else (None, OUT_OF_RANGE)


def count(states: Iterable[int]) -> dict[str, int]:
    """Rejected rows by reason."""
    codes, numbers = np.unique(np.fromiter(states, dtype=np.int64), return_counts=True)
    return {REASONS[int(code)]: int(number) for code, number in zip(codes, numbers, strict=True) if code != VALID}
