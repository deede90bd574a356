"""Charts of the standings: critical difference, quality against cost, intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from harness import statistics as st
from harness.report.svg import clipped, drawing, log_ticks, path, tag, text, ticks
from harness.standings import Row, Standings
from harness.texttable import amount


def critical_difference(board: Standings) -> Markup | None:
    """Mean ranks on a line, best at the left; thick bars join generators that Nemenyi's test at 5 % does not tell apart."""
    rows = [row for row in board.rows if row.mean_rank is not None]
    if board.critical_difference is None or len(rows) < 2:
        return None
    rows.sort(key=lambda row: (row.mean_rank.value, row.label))  # type: ignore[union-attr]
    places = [row.mean_rank.value for row in rows if row.mean_rank is not None]
    count, left, right = len(rows), 190.0, 530.0
    groups = st.cliques(places, board.critical_difference)

    def at(rank: float) -> float:
        return left + (rank - 1) / max(1, count - 1) * (right - left)

    axis = 46.0
    drawn = [tag("path", d=f"M{left} {axis}H{right}", class_="axis")]
    for place in range(1, count + 1):
        drawn += [
            tag("path", d=f"M{at(place):.1f} {axis - 5}v5", class_="axis"),
            text(at(place), axis - 9, place, class_="tiny mid"),
        ]
    width = min(board.critical_difference, count - 1.0) / max(1, count - 1) * (right - left)
    drawn += [
        tag("path", d=f"M{left} 14h{width:.1f}M{left} 10v8M{left + width:.1f} 10v8", class_="axis"),
        text(left, 7, f"critical difference {board.critical_difference:.2f}", class_="tiny"),
    ]
    half = math.ceil(count / 2)
    below = axis + 10 + 7 * len(groups)
    for index, (row, rank) in enumerate(zip(rows, places, strict=True)):
        first = index < half
        y = below + 16 * (index if first else count - 1 - index) + 8
        end = left - 8 if first else right + 8
        drawn += [
            tag("path", d=f"M{at(rank):.1f} {axis}V{y:.1f}H{end}", class_="stem"),
            text(
                end - 4 if first else end + 4,
                y + 4,
                f"{clipped(row.label, 28)} {rank:.2f}",
                class_="tiny end" if first else "tiny",
            ),
        ]
    for index, (low, high) in enumerate(groups):
        y = axis + 8 + 7 * index
        drawn.append(tag("path", d=f"M{at(places[low]) - 4:.1f} {y}H{at(places[high]) + 4:.1f}", class_="clique"))
    label = "critical difference diagram of mean ranks: " + ", ".join(
        f"{row.label} {rank:.2f}" for row, rank in zip(rows, places, strict=True)
    )
    return drawing(720, below + 16 * half + 8, *drawn, label=label)


def _seconds(row: Row) -> float | None:
    cost = row.cost
    if cost.fit_seconds is None or cost.sample_seconds is None:
        return None
    return max(cost.fit_seconds + cost.sample_seconds, 1e-3)


def quality_cost(board: Standings) -> Markup | None:
    """Overall score against seconds (fit + sample, log axis), 95 % intervals; generators on the Pareto front are joined."""
    points = [
        (seconds, row.overall, row)
        for row in board.rows
        if row.overall is not None and (seconds := _seconds(row)) is not None and row.label in board.ranked
    ]
    if len(points) < 2:
        return None
    left, right, top, bottom = 44.0, 700.0, 12.0, 270.0
    low = 10 ** math.floor(math.log10(min(point[0] for point in points)))
    high = 10 ** math.ceil(math.log10(max(point[0] for point in points)) + 1e-9)
    high = high if high > low else low * 10
    floor = min(min(p[1].low if p[1].low is not None else p[1].value for p in points), 0.9)
    least = max(0.0, math.floor(floor * 10 - 0.5) / 10)

    def at(seconds: float, quality: float) -> tuple[float, float]:
        share = math.log10(seconds / low) / math.log10(high / low)
        return left + share * (right - left - 130), bottom - (quality - least) / (1 - least) * (bottom - top)

    drawn = []
    for tick in ticks(least, 1.0):
        y = at(low, tick)[1]
        drawn += [
            tag("path", d=f"M{left} {y:.1f}H{right}", class_="grid"),
            text(left - 5, y + 4, f"{tick:g}", class_="tiny end"),
        ]
    for tick in log_ticks(low, high):
        x = at(tick, 1.0)[0]
        drawn += [
            tag("path", d=f"M{x:.1f} {bottom}v4", class_="axis"),
            text(x, bottom + 16, f"{amount(tick)} s", class_="tiny mid"),
        ]
    front = sorted(at(seconds, found.value) for seconds, found, row in points if row.pareto)
    if len(front) > 1:
        drawn.append(path(front, class_="front"))
    for index, (seconds, found, row) in enumerate(sorted(points, key=lambda point: (point[0], point[2].label))):
        x, y = at(seconds, found.value)
        if found.low is not None and found.high is not None:
            drawn.append(
                tag(
                    "path",
                    d=f"M{x:.1f} {at(low, max(found.low, least))[1]:.1f}V{at(low, found.high)[1]:.1f}",
                    class_="whisker",
                )
            )
        drawn.append(tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=4, class_="dot ok" if row.pareto else "dot"))
        drawn.append(text(x + 7, y + (4 if index % 2 else -4), clipped(row.label, 34), class_="tiny"))
    drawn.append(text(right, bottom + 16, "fit + sample", class_="tiny end"))
    label = "overall score against fit and sample seconds: " + ", ".join(
        f"{row.label} {found.value:.2f} in {amount(seconds)} s" for seconds, found, row in points
    )
    return drawing(720, bottom + 24, *drawn, label=label)


def scale_of(values: Sequence[float]) -> float:
    """The right end of an axis that starts at 0: the least of 0.01, 0.02, 0.05, 0.1, … that holds all values."""
    most = max(values, default=0.0)
    return next((end for end in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if most <= end), most)
