"""Points in polygons: 1,000,000 points against the polygons of the US states in at most 5 s."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from harness.datasets.polygons import inside_polygons, load_polygons

pytestmark = pytest.mark.bench

SHAPES = Path(os.environ.get("TABORDER_MIRROR", "nowhere")) / "us_states_shapefile" / "States_shapefile.shp"
POINTS = 1_000_000


@pytest.mark.skipif(not SHAPES.is_file(), reason="the shapefile is not in TABORDER_MIRROR")
@pytest.mark.parametrize("spread", ["the whole country", "within each state's box"])
def test_a_million_points_in_states(benchmark, spread):
    polygons = load_polygons(str(SHAPES), "State_Code")
    random, names = np.random.default_rng(0), np.array(sorted(polygons), dtype=object)
    codes = random.integers(0, len(names), POINTS)
    boxes = np.array([polygons[name].bounds for name in names])
    left, low, right, high = boxes[codes].T if spread.startswith("within") else np.array([-170, 18, -66, 72])[:, None]
    x, y = left + (right - left) * random.random(POINTS), low + (high - low) * random.random(POINTS)
    inside = benchmark.pedantic(inside_polygons, (str(SHAPES), "State_Code", names[codes], x, y), rounds=3)
    assert inside.shape == (POINTS,)
    assert 0.0 < inside.mean() < 1.0
    assert benchmark.stats.stats.max <= 5.0
