"""Which columns are coordinates, and the outlines they should lie in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.base import Dataset
from harness.datasets.polygons import load_polygons
from harness.datasets.rules import Rule, parse_rules


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
