"""How tables are read, in the words of the small commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.datasets.advice import read_value
from harness.errors import TabOrderError

READING = {
    "missing=CELL,CELL": "cells that stand for a missing value, beside the empty cell, e.g. missing=NA,? or missing=[NA,?]",
    "columns={NAME: KIND}": "kinds that override the inferred ones: categorical, integer, float, datetime, boolean, a date format",
    "drop_columns=[NAME]": "columns to leave out",
    "delimiter=MARK": "between CSV cells (default: told from the file), \\t for tabs",
    "decimal=MARK": "the decimal mark where cells such as 1,234 leave it open (default: told from the file)",
    "header=BOOL": "whether CSV files begin with names (default: told from the rows)",
    "fds=[A->B]": "dependencies; fds=[] is none (default: mined on train and kept where they hold on test)",
    "ids=drop|keep": "whether text that differs in every row is left out (default: drop)",
    "drop_text=true": "leave out columns of free text",
    "strip=true": "take blanks around text away",
}
"""How tables are read, as the small commands take it: what each key means, by how it is written."""


def reading_options(given: Mapping[str, str]) -> dict[str, Any]:
    """How the tables are read, with values as ``dataset=csv`` takes them."""
    found: dict[str, Any] = {}
    for key in ("missing", "columns", "drop_columns", "fds"):
        if given.get(key):
            value = read_value(key, given[key])
            found[key] = (
                [cell for cell in value.split(",") if cell] if isinstance(value, str) and key != "fds" else value
            )
    for key in ("delimiter", "decimal", "ids"):
        if given.get(key):
            found[key] = given[key]
    for key in ("header", "drop_text", "strip"):
        if given.get(key):
            if given[key] not in ("true", "false"):
                raise TabOrderError(f"{key}={given[key]} is neither true nor false.")
            found[key] = given[key] == "true"
    return found
