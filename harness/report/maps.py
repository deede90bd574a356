"""Maps of points: valid and invalid positions on the polygons or rectangles that the dataset's rules name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from harness.datasets.base import Dataset
from harness.polygons import load_polygons
from harness.report.svg import data, drawing, short, shortened, tag, text
from harness.rules import Rule, parse_rules
from harness.texttable import percent

POINTS = 400
WIDTH = 300
FINENESS = 250
"""Outlines are simplified to about the map's width divided by this."""


@dataclass(frozen=True, eq=False)
class Atlas:
    """Where a dataset's points may lie.

    Attributes:
        x: column on the horizontal axis.
        y: column on the vertical axis.
        key: column naming the area a point must lie in; ``None`` when there is one area for all.
        rings: outlines, each ``(points, 2)``, by key.
        rules: a point is invalid when its row breaks one of these.
        geographic: x and y are degrees, so the map is stretched by the cosine of the latitude.
    """

    x: str
    y: str
    key: str | None
    rings: Mapping[str, Sequence[np.ndarray[Any, Any]]]
    rules: Sequence[Rule]
    geographic: bool

    def invalid(self, frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Rows whose point is not inside its area, shape (rows,)."""
        return np.asarray(np.logical_or.reduce([rule.violations(frame) for rule in self.rules]))


def atlas(dataset: Dataset) -> Atlas | None:
    """The map of a dataset with a ``point_in_polygon`` rule, or with two ``range_by_key`` rules of one key; else ``None``.

    Raises:
        TabOrderError: when the shapefile cannot be read.
    """
    rules = {rule.name: rule for rule in parse_rules(dataset.rules, dataset.schema, dataset.resources)}
    for spec in dataset.rules:
        if spec.get("type") == "point_in_polygon":
            found = load_polygons(str(dataset.resources[spec["resource"]]), str(spec["key_field"]))
            key = spec.get("key")
            keys = set(dataset.train[key].dropna()) if key else {str(spec["fixed_key"])}
            rings = {name: _rings(found[name]) for name in sorted(keys & set(found))}
            return Atlas(spec["x"], spec["y"], key, rings, [rules[spec["name"]]], geographic=True)
    boxes = [spec for spec in dataset.rules if spec.get("type") == "range_by_key"]
    for first in boxes:
        for second in boxes:
            if first["key"] == second["key"] and first["column"] < second["column"]:
                return _rectangles(first, second, [rules[first["name"]], rules[second["name"]]])
    return None


def _rectangles(first: Mapping[str, Any], second: Mapping[str, Any], rules: Sequence[Rule]) -> Atlas:
    rings = {}
    for key in sorted(set(first["bounds"]) & set(second["bounds"])):
        (left, right), (low, high) = first["bounds"][key], second["bounds"][key]
        if None not in (left, right, low, high):
            rings[str(key)] = [np.array([(left, low), (right, low), (right, high), (left, high)], dtype=float)]
    return Atlas(first["column"], second["column"], str(first["key"]), rings, rules, geographic=False)


def _rings(geometry: Any) -> list[np.ndarray[Any, Any]]:
    parts = getattr(geometry, "geoms", [geometry])
    return [np.asarray(part.exterior.coords)[:, :2] for part in parts]


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
