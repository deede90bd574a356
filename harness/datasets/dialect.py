"""How a CSV file is written: its delimiter, and whether it has a header; told from its first rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from itertools import pairwise

from harness.errors import TabOrderError

DELIMITERS = (",", ";", "\t", "|")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
SAMPLE_BYTES, SAMPLE_ROWS = 1 << 18, 200
NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)


def as_delimiter(given: str | None) -> str | None:
    r"""One character from what a user gives: itself, ``\t``, or a name such as ``tab``; ``None`` or ``auto`` to sniff it.

    Raises:
        TabOrderError: for anything else.
    """
    if given is None or given == "auto":
        return None
    named = {"\\t": "\t", **{name: mark for mark, name in NAMES.items()}}
    mark = named.get(given, given)
    if not isinstance(mark, str) or len(mark) != 1 or not mark.isascii() or mark in '"\r\n':
        raise TabOrderError(
            f"delimiter {given!r} is not one ASCII character other than a quote or line end: give one (\\t is a tab), "
            f"or its name ({', '.join(NAMES.values())}), or auto."
        )
    return mark


def sniff(data: bytes, tabs: bool = False) -> str:
    """The delimiter that cuts the first rows into equally many cells, of several the one that cuts into most; else a comma.

    Args:
        data: UTF-8 text.
        tabs: whether the file's name says that it has tabs.
    """
    best, widest = "\t" if tabs else ",", 1
    for mark in ("\t", *DELIMITERS) if tabs else DELIMITERS:
        rows = first_rows(data, mark)
        widths = [len(row) for row in rows]
        if not widths or widths[0] < 2:
            continue
        same = sum(width == widths[0] for width in widths) / len(widths)
        # a file cut off or with a few broken rows is still of its kind: reading it names the row
        if widths[0] > widest and (same == 1 or (same >= 0.9 and widths[0] > 2)):
            best, widest = mark, widths[0]
    return best


def first_rows(data: bytes, delimiter: str) -> list[list[str]]:
    """The rows that begin a file, blank lines left out."""
    text = data[:SAMPLE_BYTES].decode("utf-8", errors="ignore")
    if len(data) > SAMPLE_BYTES:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) > SAMPLE_ROWS:
                break
    except csv.Error:
        pass
    return rows[:-1] if len(data) > SAMPLE_BYTES and 1 < len(rows) <= SAMPLE_ROWS else rows


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns.

    It does not where at least a quarter of its cells are numbers that stand above numbers alone, and the others (if any)
    include one that occurs again below itself. Names that are numbers in steps of one (0, 1, 2 of pandas; years) are names.
    """
    if len(rows) < 3 or not rows[0]:
        return True
    head, below = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    numbers = [
        i for i, cell in enumerate(head)
        if NUMBER.fullmatch(cell) and below and all(not row[i].strip() or NUMBER.fullmatch(row[i]) for row in below)
    ]  # fmt: skip
    if not numbers or len(numbers) < len(head) / 4:
        return True
    texts = [i for i in range(len(head)) if i not in numbers and head[i].strip()]
    if texts and not any(row[i] == head[i] for row in below for i in texts):
        return True
    if all(head[i].strip().isdecimal() for i in numbers):
        whole = [int(head[i]) for i in numbers]
        if len(whole) > 1 and all(b - a == 1 for a, b in pairwise(whole)):
            return True
        return len(set(head)) == len(head) and whole == [0]
    return False
