"""Cells and column names as text in which commas, line breaks and `` is `` have one meaning."""

from __future__ import annotations

import re
from typing import Any

from harness.table import Column, format_cell

MISSING = "None"
"""How a missing value is written; a category of that name is written with a backslash before it."""
ESCAPES = {"\\": "\\\\", ",": "\\c", "\n": "\\n", "\r": "\\r"}


def escape(text: str) -> str:
    """Write a value so that it holds no comma and no line break, is not empty and is not :data:`MISSING`."""
    written = re.sub(r"[\\,\n\r]", lambda match: ESCAPES[match.group()], text)
    return f"\\{written}" if written in ("", MISSING) else written


def unescape(text: str) -> str | None:
    """Reverse :func:`escape`; ``None`` for text that it never writes."""
    if text in ("\\", f"\\{MISSING}"):
        return text[1:]
    back = {written[1]: plain for plain, written in ESCAPES.items()}
    if not re.fullmatch(r"(?:[^\\,\n\r]|\\[\\cnr])+", text) or text == MISSING:
        return None
    return re.sub(r"\\(.)", lambda match: back[match.group(1)], text)


def escape_name(name: str) -> str:
    """Write a column name so that the first `` is `` of a phrase ends it."""
    return re.sub(r"[\\,\n\r]", lambda match: ESCAPES[match.group()], name).replace(" is", " \\is")


def write_cell(column: Column, cell: Any) -> str:
    """A cell as escaped text."""
    text = format_cell(column, cell)
    return MISSING if text is None else escape(text)
