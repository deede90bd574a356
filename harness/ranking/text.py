"""The leaderboard as text of at most 120 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from harness.ranking.anchor_rows import anchor_rows
from harness.ranking.families import FAMILIES
from harness.ranking.numbers import amount, bracket, chance, estimate, number, spread
from harness.ranking.standings import Row, Standings

WIDTH = 120
LABEL = 26
LEFT_OUT = ("ML raw", "FD new", "GiB", "IQM", "tokens")
"""Columns left out, in this order, while the generators' names have too little room; leaderboard.csv has all."""
MOST_AGAINST = 8


def tables(standings: Standings) -> str:
    """What is printed: scores, then standing and cost, then the leader against each of the others."""
    return "\n".join(
        [scores(standings), standing(standings), *([against_leader(standings)] if standings.pairs else [])]
    )


def scores(standings: Standings) -> str:
    """A heading that names the families used, then one line per generator: overall [interval], families, raw FD violation, share of
    unseen left sides and ML efficacy, n, cells that failed; last the two ends of the scale."""
    rows = [*standings.rows, *anchor_rows(standings)]
    shown = [family for family in FAMILIES if any(family.key in row.families for row in standings.rows)]
    extra = list(standings.policy.columns)
    heads = ["overall", *(f.short for f in shown), "FD viol", "FD new", "ML raw", *extra, "n", "not ok"]
    lines = [
        [
            bracket(row.overall),
            *(number(None if (found := row.families.get(f.key)) is None else found.value) for f in shown),
            number(None if row.fd_violation is None else row.fd_violation.value, 4),
            number(None if row.fd_unseen is None else row.fd_unseen.value, 4),
            number(None if row.ml is None else row.ml.value, 3),
            *(estimate(row.columns.get(name)) for name in extra),
            f"{row.n_datasets}×{row.n_seeds}" if row.n_cells else "",
            f"{sum(row.failures.values())}/{row.n_cells}" if row.failures else "0" if row.n_cells else "",
        ]
        for row in rows
    ]
    used = ", ".join(f"{family.title} ({family.short})" for family in shown if family.quality)
    heading = wrapped([f"overall = mean of {used}"]) if used else ""
    return heading + _grid(rows, heads, lines)


def standing(standings: Standings) -> str:
    """One line per generator: mean rank, IQM and Elo with intervals, cost per cell, and ◆ on the Pareto front."""
    heads = ["rank", "IQM", "Elo", "fit s", "sample s", "GiB", "tokens", "yield", "front"]
    lines = [
        [
            spread(row.mean_rank, 1),
            bracket(row.iqm),
            spread(row.elo, 0),
            amount(row.cost.fit_seconds),
            amount(row.cost.sample_seconds),
            amount(None if row.cost.peak_memory_bytes is None else row.cost.peak_memory_bytes / 2**30),
            amount(row.cost.tokens),
            number(row.cost.yield_share),
            "◆" if row.pareto else "",
        ]
        for row in standings.rows
    ]
    return _grid(standings.rows, heads, lines)


def against_leader(standings: Standings) -> str:
    """The leader against each of the others (the next eight at most): difference, whether it is shown, P(improvement), posterior."""
    first = standings.pairs[0].first
    found = [pair for pair in standings.pairs if pair.first == first][:MOST_AGAINST]
    heads = ["difference", "p (Holm)", "P(improvement)", "P(better)", "P(equal)", "P(worse)"]
    lines = [
        [
            bracket(pair.difference),
            number(pair.p_adjusted, 3),
            bracket(pair.improvement),
            *(chance(getattr(pair.posterior, part, None)) for part in ("first", "equal", "second")),
        ]
        for pair in found
    ]
    by_label = {row.label: row for row in standings.rows}
    return f"{first} against\n" + _grid([by_label[pair.second] for pair in found], heads, lines)


def _grid(rows: Sequence[Row], heads: list[str], lines: list[list[str]]) -> str:
    """Right-aligned columns beside wrapped generator names, references below a line, within :data:`WIDTH`."""
    wanted = min(max(len(row.label) for row in rows) + 1, LABEL)
    for name in (*LEFT_OUT, ""):
        widths = [max(len(line[i]) for line in [heads, *lines]) for i in range(len(heads))]
        room = WIDTH - sum(widths) - len(widths)
        if room >= wanted or not name:
            break
        if name in heads:
            at = heads.index(name)
            heads, lines = [*heads[:at], *heads[at + 1 :]], [[*line[:at], *line[at + 1 :]] for line in lines]
    room = min(room, max(9, *(len(row.label) for row in rows)) + 1)
    text = [_line("generator".ljust(room), heads, widths)]
    text.append("─" * len(text[0]))
    standing = rows[0].standing if rows else 0
    for row, cells in zip(rows, lines, strict=True):
        if row.standing != standing:
            standing = row.standing
            text.append("─" * len(text[0]))
        first, *rest = textwrap.wrap(
            f"{row.label} memorises" if row.memorises and not row.reference else row.label, room, break_on_hyphens=False
        ) or [""]
        text.append(_line(first.ljust(room), cells, widths).rstrip())
        text += [f"  {part}" for part in rest]
    return "\n".join(text) + "\n"


def _line(label: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    return " ".join([label, *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))])


def wrapped(sentences: Sequence[str]) -> str:
    """Sentences as lines of at most 120 columns; continuation lines are indented."""
    lines = [textwrap.fill(sentence, WIDTH, subsequent_indent="  ", break_long_words=False) for sentence in sentences]
    return "\n".join(lines) + "\n"
