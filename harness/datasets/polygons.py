"""Polygons of a shapefile by key, and which points lie inside them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import TabOrderError, choices


@lru_cache(maxsize=8)
def load_polygons(path: str, key_field: str) -> dict[str, Any]:
    """The polygons of a shapefile (``.shp`` beside its ``.dbf``), several of one key united.

    Args:
        path: of the ``.shp`` file.
        key_field: the attribute that names a polygon.

    Returns:
        Shapely geometries by key, in the file's coordinates.

    Raises:
        TabOrderError: when the file cannot be read or lacks the field.
    """
    import shapefile
    import shapely
    from shapely.geometry import shape

    try:
        with shapefile.Reader(path, encoding="utf-8", encodingErrors="replace") as reader:
            fields = [field[0] for field in reader.fields if field[0] != "DeletionFlag"]
            if key_field not in fields:
                raise TabOrderError(f"{path}: {choices(key_field, fields, 'key_field')}")
            parts: dict[str, list[Any]] = {}
            for entry in reader.iterShapeRecords():
                parts.setdefault(str(entry.record[key_field]).strip(), []).append(shape(entry.shape.__geo_interface__))
    except (OSError, shapefile.ShapefileException) as error:
        raise TabOrderError(f"{path} cannot be read as a shapefile ({error}): check the dataset's resources.") from None
    found = {
        key: geometries[0] if len(geometries) == 1 else shapely.union_all(geometries)
        for key, geometries in parts.items()
    }
    for geometry in found.values():
        shapely.prepare(geometry)
    return found


def inside_polygons(
    path: str, key_field: str, keys: np.ndarray[Any, Any], x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each point lies strictly inside the polygon of its key; a key without polygon has no inside. Shape (points,)."""
    import shapely

    polygons = load_polygons(path, key_field)
    codes, unique = pd.factorize(keys)
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(unique)), side="right")
    inside = np.zeros(len(keys), dtype=bool)
    for key, rows in zip(unique, np.split(order, ends[:-1]) if len(unique) else [], strict=True):
        if key in polygons:
            inside[rows] = shapely.contains_xy(polygons[key], x[rows], y[rows])
    return inside
