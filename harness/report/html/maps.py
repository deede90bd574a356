"""Maps of points: valid and invalid positions on the polygons or rectangles that the dataset's rules name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from harness.ranking.numbers import percent
from harness.ranking.wording import shortened
from harness.report.html.svg import data, drawing, short, tag, text
from harness.report.views.atlas import Atlas

POINTS = 400
WIDTH = 300
FINENESS = 250
"""Outlines are simplified to about the map's width divided by this."""


@dataclass(frozen=True)
class Frame:
    """The part of the plane a map shows, and its size in pixels."""

    left: float
    right: float
    low: float
    high: float
    height: float

    def place(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Pixel positions of coordinates."""
        return (
            (x - self.left) / (self.right - self.left) * WIDTH,
            (self.high - y) / (self.high - self.low) * self.height,
        )


def frame_of(plan: Atlas, real: pd.DataFrame) -> Frame:
    """A frame that holds nearly all real points (0.1 % at each side may lie outside) with a margin of 3 %."""
    ends = []
    for column in (plan.x, plan.y):
        values = real[column].dropna().to_numpy(dtype=float)
        low, high = np.quantile(values, [0.001, 0.999]) if len(values) else (0.0, 1.0)
        margin = 0.03 * (high - low) or 0.5
        ends += [float(low - margin), float(high + margin)]
    left, right, low, high = ends
    stretch = math.cos(math.radians((low + high) / 2)) if plan.geographic else 1.0
    height = WIDTH * (high - low) / ((right - left) * max(stretch, 0.1)) if plan.geographic else WIDTH * 0.7
    return Frame(left, right, low, high, min(max(height, 120.0), 420.0))


def outlines(plan: Atlas, view: Frame) -> Markup:
    """The areas' outlines, simplified, as one path."""
    import shapely

    tolerance = (view.right - view.left) / FINENESS
    drawn = []
    for rings in plan.rings.values():
        for ring in rings:
            thin = np.asarray(shapely.get_coordinates(shapely.simplify(shapely.LinearRing(ring), tolerance)))
            inside = (
                (thin[:, 0] <= view.right)
                & (thin[:, 0] >= view.left)
                & (thin[:, 1] >= view.low)
                & (thin[:, 1] <= view.high)
            )
            if inside.any():
                x, y = view.place(thin[:, 0], thin[:, 1])
                drawn.append(data(zip(x.tolist(), y.tolist(), strict=True), close=True))
    return tag("path", d="".join(drawn), class_="area")


def point_map(plan: Atlas, view: Frame, outline_id: str, table: pd.DataFrame, title: str) -> Markup:
    """400 rows at equal distances through the table: dots where they belong, crosses where not; none off the frame."""
    bad = plan.invalid(table)
    rate = float(bad.mean()) if len(table) else 0.0
    known = table[[plan.x, plan.y]].notna().all(axis=1).to_numpy()
    rows = np.flatnonzero(known)
    rows = rows[np.linspace(0, len(rows) - 1, POINTS).astype(int)] if len(rows) > POINTS else rows
    x, y = view.place(table[plan.x].iloc[rows].to_numpy(dtype=float), table[plan.y].iloc[rows].to_numpy(dtype=float))
    seen = (x >= 0) & (x <= WIDTH) & (y >= 0) & (y <= view.height)
    dots = "".join(f"M{short(a)} {short(b)}h0" for a, b in zip(x[seen & ~bad[rows]], y[seen & ~bad[rows]], strict=True))
    crosses = "".join(
        f"M{short(a - 2)} {short(b - 2)}l4 4m0-4l-4 4"
        for a, b in zip(x[seen & bad[rows]], y[seen & bad[rows]], strict=True)
    )
    label = f"{title}: {percent(rate)} of {len(table):,} rows lie outside their area"
    return drawing(
        WIDTH,
        view.height + 34,
        tag("title", label),
        text(0, 12, shortened(title, 46), class_="name"),
        text(0, 25, f"{percent(rate)} of {len(table):,} outside", class_="tiny"),
        tag(
            "g",
            tag("use", href=f"#{outline_id}"),
            tag("path", d=dots, class_="valid"),
            tag("path", d=crosses, class_="invalid"),
            transform="translate(0 32)",
        ),
        label=label,
    )
