"""Pair trends: how much of the joint distribution of two columns a synthetic table keeps."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from harness.ranking.numbers import number
from harness.ranking.wording import clipped
from harness.report.html.svg import drawing, tag, text
from harness.report.views.pairs import Matrix

CELL = 13
LEVELS = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Upper ends of the heat map's classes of distance; the last class is open."""


def heat_map(names: list[str], found: Matrix) -> Markup:
    """A heat map of distances, darker is worse, one path per class."""
    left, top, count = 92, 6, len(names)
    classes = np.digitize(found, LEVELS)
    squares = []
    for level in range(len(LEVELS) + 1):
        cells = np.argwhere(classes == level)
        if len(cells):
            d = "".join(f"M{left + j * CELL} {top + i * CELL}h12v12h-12z" for i, j in cells)
            squares.append(tag("path", d=d, class_=f"heat{level}"))
    labels = [text(left - 4, top + i * CELL + 10, clipped(name, 15), class_="tiny end") for i, name in enumerate(names)]
    below = [
        tag(
            "text",
            clipped(name, 12),
            transform=f"translate({left + j * CELL + 9} {top + count * CELL + 4}) rotate(-90)",
            class_="tiny end",
        )
        for j, name in enumerate(names)
    ]
    upper = found[np.triu_indices(count, 1)]
    mean = number(float(upper.mean()), 3) if len(upper) else "–"
    return drawing(
        left + count * CELL + 6,
        top + count * CELL + 76,
        *squares,
        *labels,
        *below,
        text(left - 4, top + count * CELL + 14, f"mean {mean}", class_="tiny end"),
        label=f"pair trends of {count} columns, mean distance {mean}",
    )
