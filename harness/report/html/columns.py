"""Overlaid columns: the distribution of one real and one synthetic column on the same bins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from harness.ranking.wording import clipped
from harness.report.html.svg import drawing, path, steps, tag, text
from harness.report.views.shares import shares
from harness.table import Column

WIDTH, HEIGHT, TOP, FOOT = 168, 92, 16, 14


def overlay(column: Column, real: pd.Series[Any], synthetic: pd.Series[Any]) -> Markup:
    """The real column as a grey area, the synthetic one as a line (numbers) or as ticks on the bars (categories)."""
    first, second, names = shares(column, real, synthetic)
    top = max(float(first.max(initial=0)), float(second.max(initial=0)), 1e-9)
    base, scale = HEIGHT - FOOT, (HEIGHT - FOOT - TOP) / top
    area = path(steps(first.tolist(), WIDTH, base, scale), close=True, class_="real")
    if column.numeric:
        made = path(steps(second.tolist(), WIDTH, base, scale), class_="made")
        below = [text(0, HEIGHT - 3, names[0], class_="tiny"), text(WIDTH, HEIGHT - 3, names[1], class_="tiny end")]
    else:
        each = WIDTH / len(second)
        marks = (
            f"M{index * each + 1:.1f} {base - share * scale:.1f}h{max(each - 2, 1):.1f}"
            for index, share in enumerate(second)
        )
        made = tag("path", d="".join(marks), class_="made tick")
        below = [text(0, HEIGHT - 3, clipped(names[0], 14), class_="tiny")]
        if len(names) > 1:
            below.append(text(WIDTH, HEIGHT - 3, clipped(names[-1], 14), class_="tiny end"))
    distance = 0.5 * float(np.abs(first - second).sum())
    label = f"column {column.name}: {distance:.1%} of the rows would have to move between bins to match"
    return drawing(
        WIDTH,
        HEIGHT,
        tag("title", label),
        text(0, 10, clipped(column.name, 20), class_="name"),
        text(WIDTH, 10, f"{distance:.2f}", class_="tiny end"),
        area,
        made,
        *below,
        label=label,
    )
