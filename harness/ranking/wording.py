"""Words around numbers."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMED = 8
"""Items of a list that are named; the rest are counted."""


def listed(items: Sequence[str]) -> str:
    """``a, b and 3 more``."""
    more = f" and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else ""
    return ", ".join(items[:MOST_NAMED]) + more


def plural(count: int, noun: str) -> str:
    """``1 dataset``, ``3 datasets``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def span(counts: Sequence[int]) -> str:
    """``3``, or ``2–3`` where they differ."""
    if not counts:
        return "0"
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)}–{max(counts)}"


def sample_size(counts: Sequence[int]) -> str:
    """``n = 3 training seeds``, from the number of seeds of each pair of dataset and generator."""
    return f"n = {span(counts)} training seed{'' if max(counts, default=0) == 1 else 's'}"


def shortened(value: object, length: int) -> str:
    """Text of at most ``length`` characters; what is cut is cut out of the middle, for names of runs differ at their ends."""
    line = " ".join(str(value).split()) or repr(str(value))
    if len(line) <= length:
        return line
    end = (length - 1) * 3 // 5
    return f"{line[: length - 1 - end]}…{line[-end:]}"


def clipped(value: object, length: int = 22) -> str:
    """Text of at most ``length`` characters on one line; what is cut is marked by ``…``."""
    line = " ".join(str(value).split()) or repr(str(value))
    return line if len(line) <= length else line[: length - 1] + "…"
