"""The leaderboard as text of at most 120 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from harness.standings import Row, Standings
from harness.statistics import Estimate
from harness.units import FAMILIES

WIDTH = 120
LABEL = 26
LEFT_OUT = ("GiB", "smp s", "yield", "ML raw")
"""Columns left out, in this order, while the generators' names have too little room; leaderboard.csv has all."""


def number(value: float | None, digits: int = 2) -> str:
    """A number without its leading zero; ``–`` where there is none."""
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def amount(value: float | None, unit: str = "") -> str:
    """Three significant digits, e.g. ``4.21`` or ``1230``."""
    if value is None:
        return "–"
    if value == 0:
        return f"0{unit}"
    text = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return f"{text}{unit}"


def bracket(found: Estimate | None, digits: int = 2) -> str:
    """``.81 [.75, .88]``."""
    if found is None:
        return "–"
    if found.low is None:
        return number(found.value, digits)
    return f"{number(found.value, digits)} [{number(found.low, digits)},{number(found.high, digits)}]"


def _cells(row: Row, families: Sequence[str]) -> list[str]:
    gib = None if row.cost.peak_memory_bytes is None else row.cost.peak_memory_bytes / 2**30
    return [
        bracket(row.overall),
        *(number(None if (found := row.families.get(key)) is None else found.value) for key in families),
        "–" if row.mean_rank is None else f"{row.mean_rank.value:.1f}",
        number(None if row.fd_violation is None else row.fd_violation.value, 4),
        number(None if row.ml is None else row.ml.value, 3),
        amount(row.cost.fit_seconds),
        amount(row.cost.sample_seconds),
        amount(gib),
        number(row.cost.yield_share),
        f"{row.n_datasets}×{row.n_seeds}",
    ]


def table(board: Standings) -> str:
    """One line per generator: overall [interval], families, mean rank, raw FD violation and ML efficacy, cost, n."""
    shown = [family for family in FAMILIES if any(family.key in row.families for row in board.rows)]
    heads = ["overall", *(f.short for f in shown), "rank", "FD viol", "ML raw", "fit s", "smp s", "GiB", "yield", "n"]
    lines = [_cells(row, [family.key for family in shown]) for row in board.rows]
    wanted = min(max(len(row.label) for row in board.rows) + 1, LABEL)
    for name in (*LEFT_OUT, ""):
        widths = [max(len(line[i]) for line in [heads, *lines]) for i in range(len(heads))]
        room = WIDTH - sum(widths) - len(widths)
        if room >= wanted or name not in heads:
            break
        at = heads.index(name)
        heads, lines = [*heads[:at], *heads[at + 1 :]], [[*line[:at], *line[at + 1 :]] for line in lines]
    room = min(room, max(len(row.label) for row in board.rows) + 1)
    text = [_line("generator".ljust(room), heads, widths)]
    text.append("─" * len(text[0]))
    divided = False
    for row, cells in zip(board.rows, lines, strict=True):
        if row.reference and not divided:
            divided = True
            text.append("─" * len(text[0]))
        first, *rest = textwrap.wrap(row.label, room, break_on_hyphens=False) or [""]
        text.append(_line(first.ljust(room), cells, widths))
        text += [f"  {part}" for part in rest]
    return "\n".join(text) + "\n"


def _line(label: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    return " ".join([label, *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))])


def wrapped(sentences: Sequence[str]) -> str:
    """Sentences as lines of at most 120 columns; continuation lines are indented."""
    lines = [textwrap.fill(sentence, WIDTH, subsequent_indent="  ", break_long_words=False) for sentence in sentences]
    return "\n".join(lines) + "\n"
