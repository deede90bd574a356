"""Charts of the standings: critical difference, quality against cost, intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.ranking import statistics as st
from harness.ranking.comparison import by_rank
from harness.ranking.numbers import amount
from harness.ranking.standings import Row, Standings, sum_seconds
from harness.ranking.statistics import Estimate
from harness.ranking.wording import shortened
from harness.report.html.svg import drawing, log_ticks, path, short, tag, text, ticks


def critical_difference(standings: Standings) -> Markup | None:
    """Mean ranks on a line, best at the left; thick bars join generators that Nemenyi's test at 5 % does not tell apart."""
    ordered = by_rank(standings.rows)
    if standings.critical_difference is None or len(ordered) < 2:
        return None
    places, rows = [rank for rank, _ in ordered], [row for _, row in ordered]
    count, left, right = len(rows), 235.0, 485.0
    groups = st.cliques(places, standings.critical_difference)

    def at(rank: float) -> float:
        return left + (rank - 1) / max(1, count - 1) * (right - left)

    axis = 52.0
    drawn = [tag("path", d=f"M{left} {axis}H{right}", class_="axis")]
    for place in range(1, count + 1):
        drawn += [
            tag("path", d=f"M{at(place):.1f} {axis - 5}v5", class_="axis"),
            text(at(place), axis - 9, place, class_="tiny mid"),
        ]
    width = min(standings.critical_difference, count - 1.0) / max(1, count - 1) * (right - left)
    drawn += [
        tag("path", d=f"M{left} 20h{width:.1f}M{left} 16v8M{left + width:.1f} 16v8", class_="axis"),
        text(left, 12, f"critical difference {standings.critical_difference:.2f}", class_="tiny"),
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
                f"{shortened(row.label, 30)} {rank:.2f}",
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


@dataclass(frozen=True)
class Scale:
    """Where seconds (log axis) and scores lie on the chart of :func:`quality_cost`."""

    low: float
    high: float
    least: float
    left: float = 52.0
    right: float = 690.0
    top: float = 14.0
    bottom: float = 270.0

    def x(self, seconds: float) -> float:
        """Pixels of a cost."""
        return self.left + math.log10(seconds / self.low) / math.log10(self.high / self.low) * (self.right - self.left)

    def y(self, quality: float) -> float:
        """Pixels of a score."""
        return self.bottom - (max(quality, self.least) - self.least) / (1 - self.least) * (self.bottom - self.top)


def quality_cost(standings: Standings) -> Markup | None:
    """Overall score against seconds (fit + sample, log axis), 95 % intervals; generators on the Pareto front are joined."""
    points = [
        (max(sum_seconds(row), 1e-3), row.overall, row)
        for row in standings.rows
        if row.overall is not None and row.label in standings.ranked and row.cost.timed
    ]
    if len(points) < 2:
        return None
    points.sort(key=lambda point: (point[0], point[2].label))
    scale = _scale(points)
    at = [(scale.x(seconds), scale.y(found.value)) for seconds, found, _ in points]
    drawn = _axes(scale)
    front = [place for place, (_, _, row) in zip(at, points, strict=True) if row.pareto]
    if len(front) > 1:
        drawn.append(path(front, class_="front"))
    for (x, y), (_, found, row) in zip(at, points, strict=True):
        if found.low is not None and found.high is not None:
            ends = f"M{x:.1f} {scale.y(found.low):.1f}V{scale.y(found.high):.1f}"
            drawn.append(tag("path", d=ends, class_="whisker"))
        mark = f"M{x - 5:.1f} {y:.1f}l5-5l5 5l-5 5z"
        drawn.append(
            tag("path", d=mark, class_="dot ok")
            if row.pareto
            else tag("circle", cx=short(x), cy=short(y), r=4, class_="dot")
        )
    drawn += labelled(at, [shortened(row.label, 34) for _, _, row in points], scale.right)
    label = "overall score against fit and sample seconds: " + ", ".join(
        f"{row.label} {found.value:.2f} in {amount(seconds)} s" for seconds, found, row in points
    )
    return drawing(720, scale.bottom + 40, *drawn, label=label)


def _scale(points: Sequence[tuple[float, Estimate, Row]]) -> Scale:
    low = 10 ** math.floor(math.log10(points[0][0]))
    high = 10 ** math.ceil(math.log10(points[-1][0]) + 1e-9)
    floor = min(min(found.value if found.low is None else found.low for _, found, _ in points), 0.9)
    return Scale(low, high if high > low else low * 10, max(0.0, math.floor(floor * 10 - 0.5) / 10))


def _axes(scale: Scale) -> list[Markup]:
    drawn = []
    for tick in ticks(scale.least, 1.0):
        y = scale.y(tick)
        drawn += [
            tag("path", d=f"M{scale.left} {y:.1f}H{scale.right}", class_="grid"),
            text(scale.left - 5, y + 4, f"{tick:g}", class_="tiny end"),
        ]
    for tick in log_ticks(scale.low, scale.high):
        x = scale.x(tick)
        drawn += [
            tag("path", d=f"M{x:.1f} {scale.bottom}v4", class_="axis"),
            text(x, scale.bottom + 16, amount(tick), class_="tiny mid"),
        ]
    middle = (scale.left + scale.right) / 2
    drawn.append(text(middle, scale.bottom + 33, "seconds per cell, fit + sample (log scale) →", class_="tiny mid"))
    upright = f"translate(14 {(scale.top + scale.bottom) / 2:.0f}) rotate(-90)"
    drawn.append(tag("text", "overall score, higher is better →", transform=upright, class_="tiny mid"))
    return drawn


def labelled(points: Sequence[tuple[float, float]], names: Sequence[str], right: float) -> list[Markup]:
    """Names beside their points, left of ``right``, moved up or down where they would cover a point or another name."""
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    drawn = []
    for (x, y), name in zip(points, names, strict=True):
        width = 5.6 * len(name)
        tries = []
        for shift in (0, -11, 11, -22, 22, -33, 33):
            for start, anchor in ((x + 8, None), (x - 8 - width, "end")):
                if start >= 0 and start + width <= right + 20:
                    tries.append((start, y + 3.5 + shift, anchor))
        free = (one for one in tries if not any(_overlap(_box(one, width), other) for other in taken))
        start, base, anchor = next(free, tries[0] if tries else (x + 8, y + 3.5, None))
        taken.append(_box((start, base, anchor), width))
        drawn.append(
            text(start + width if anchor else start, base, name, class_="tiny halo end" if anchor else "tiny halo")
        )
    return drawn


def _box(place: tuple[float, float, str | None], width: float) -> tuple[float, float, float, float]:
    start, base, _ = place
    return start, base - 8, start + width, base + 2


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def scale_of(values: Sequence[float]) -> float:
    """The right end of an axis that starts at 0: the least of 0.01, 0.02, 0.05, 0.1, … that holds all values."""
    most = max(values, default=0.0)
    return next((end for end in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if most <= end), most)
