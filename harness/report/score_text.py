"""Scores of one table as text: Markdown that reads well in a terminal too, so that it can be pasted as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.ranking.families import FAMILIES, family_values, headline, place
from harness.records.record import Score

DETAILS = ("_by_value.", "_by_key.", "_by_column.", "_by_category.")
BARE = ("privacy.",)
"""Scores that anchors do not scale: *real* and *floor* leak nothing, both."""


def headlines(scores: Sequence[Score]) -> list[Score]:
    """Scores without those that detail another one (by column, dependency, rule, category)."""
    names = {score.metric for score in scores}

    def detail(name: str) -> bool:
        parts = name.split(".")
        return any(".".join(parts[:n]) in names for n in range(1, len(parts))) or any(d in name for d in DETAILS)

    return [score for score in scores if not detail(score.metric)]


def family_table(scores: Sequence[Score], sizes: Mapping[str, int]) -> str:
    """One line a family: how far the table is from independent columns (0) to held-out real rows (1), as on the leaderboard.

    A family that cannot be placed says why. ``sizes`` counts the rows of ``train`` and ``test``.
    """
    found, rows = {score.metric: score for score in scores}, []
    values, reasons = family_values(found, sizes)
    for family in FAMILIES:
        made = ", ".join(one.metric for component in family.components if (one := headline(found, component)))
        if family.quality and family.key in values:
            rows.append([family.title, f"{values[family.key]:.2f}", made])
        elif family.quality and family.key in reasons:
            rows.append([family.title, "–", reasons[family.key]])
    return _markdown(["family", "0–1", "made of"], rows, right=(1,)) if rows else ""


def score_table(scores: Sequence[Score], sizes: Mapping[str, int]) -> str:
    """Headline scores, one line each: value, anchors, where the value lies between them, direction."""
    rows = []
    for score in headlines(scores):
        scaled = None if score.metric.startswith(BARE) else place(score, sizes).value
        numbers = [_number(x) for x in (score.value, score.real, score.floor)]
        better = "higher" if score.goal == "max" else "lower"
        rows.append([score.metric, *numbers, "" if scaled is None else f"{scaled:.2f}", better])
    return _markdown(["score", "value", "real", "floor", "0–1", "better"], rows, right=(1, 2, 3, 4))


def reasons(scores: Sequence[Score]) -> list[str]:
    """Why headline scores have no value, one sentence for all that share it."""
    said: dict[str, list[str]] = {}
    for score in headlines(scores):
        if score.value is None:
            said.setdefault(str(score.error), []).append(score.metric)
    return [f"{', '.join(names)}: {error}" for error, names in said.items()]


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.6g}"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (w + 1) + (":" if i in right else "-") for i, w in enumerate(widths))
    return "\n".join([line(heads), f"|{rule}|", *map(line, rows)])
