"""Figures of stored tables: points on their areas, and overlaid columns. No sample is picked by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.base import Dataset
from harness.ranking.wording import clipped
from harness.report.figures.style import COLOURS, COLUMN, LINES, MARKERS, columns_of, even, figure, styles, wrapped
from harness.report.views.atlas import Atlas
from harness.report.views.shares import OTHER, shares
from harness.table import Column

PAPER_STATES = ("NM", "HI", "DE", "WV", "AK")
MOST_POINTS = 1500
CAPTION = 1.25
"""Inches that a map's caption takes on one line."""
MOST_NAMED = 14
"""Categories whose names are written under an overlay."""


def chosen_keys(plan: Atlas, dataset: Dataset, count: int = 5) -> list[str]:
    """The paper's five states where the table has them all, else the most frequent keys of the training rows."""
    if plan.key is None:
        return sorted(plan.rings)[:count]
    counts = dataset.train[plan.key].value_counts()
    if all(state in counts.index and state in plan.rings for state in PAPER_STATES[:count]):
        return list(PAPER_STATES[:count])
    ordered = sorted(counts.items(), key=lambda item: (-int(item[1]), str(item[0])))
    return [str(name) for name, _ in ordered if name in plan.rings][:count]


def geolocation(path: Path, plan: Atlas, keys: Sequence[str], tables: Mapping[str, pd.DataFrame], title: str) -> None:
    """A row per key, a column per table: its rows of that key (at most 1,500, at equal distances), outside ones as crosses.

    Points beyond a margin around the area are not drawn but counted under the map.
    """
    width = min(2 * COLUMN, 0.35 + 1.3 * len(tables)) if len(tables) > 2 else COLUMN
    side = (width - 0.35) / len(tables)
    heading = wrapped(title, width)
    names = {name: broken(clipped(name, 40), max(10, int(side * 17))) for name in tables}
    head = 0.13 * max(text.count("\n") + 1 for text in names.values())
    part = ", " if side > CAPTION else "\n"
    with figure(
        path,
        width,
        (side + 0.2 + 0.1 * part.count("\n")) * len(keys) + 0.15 * len(heading) + head + 0.15,
        nrows=len(keys),
        ncols=len(tables),
        squeeze=False,
    ) as (drawn, grid):
        drawn.suptitle("\n".join(heading), fontsize=8.5, x=0.01, ha="left")
        for axes_row, key in zip(grid, keys, strict=True):
            view = _view(plan, key)
            for axes, (name, table) in zip(axes_row, tables.items(), strict=True):
                _points(axes, plan, view, key, table, part)
                if key == keys[0]:
                    axes.set_title(names[name], fontsize=7, loc="center")
            axes_row[0].set_ylabel(key, rotation=0, ha="right", va="center", fontsize=8.5, weight="bold", labelpad=4)


def _view(plan: Atlas, key: str) -> tuple[list[np.ndarray[Any, Any]], float]:
    """The outlines of a key and the longitude beyond which its map goes on in the west (Alaska crosses the date line)."""
    rings = list(plan.rings[key])
    reach = np.concatenate(rings)[:, 0]
    turn = 0.0 if plan.geographic and reach.max() - reach.min() > 180 else np.inf
    return [np.column_stack([_turned(ring[:, 0], turn), ring[:, 1]]) for ring in rings], turn


def _turned(x: np.ndarray[Any, Any], turn: float) -> np.ndarray[Any, Any]:
    return np.where(x > turn, x - 360, x)


def _points(
    axes: Any, plan: Atlas, view: tuple[list[np.ndarray[Any, Any]], float], key: str, table: pd.DataFrame, part: str
) -> None:
    rings, turn = view
    chosen = table if plan.key is None else table[table[plan.key] == key]
    chosen = chosen[chosen[[plan.x, plan.y]].notna().all(axis=1)]
    bad = plan.invalid(chosen) if len(chosen) else np.zeros(0, bool)
    for ring in rings:
        axes.fill(ring[:, 0], ring[:, 1], fc="#eef1f4", ec="#777777", lw=0.6)
    corners = np.concatenate(rings)
    (left, low), (right, high) = corners.min(axis=0), corners.max(axis=0)
    stretch = (
        max(0.15, float(np.cos(np.radians((low + high) / 2)))) if plan.geographic else (high - low) / (right - left)
    )
    reach = max((right - left) * stretch, high - low) * 0.75
    middle = (left + right) / 2, (low + high) / 2
    axes.set(
        xlim=(middle[0] - reach / stretch, middle[0] + reach / stretch), ylim=(middle[1] - reach, middle[1] + reach)
    )
    axes.set_box_aspect(1)
    rows = np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_POINTS)).astype(int)
    x = _turned(chosen[plan.x].to_numpy(dtype=float), turn)
    y = chosen[plan.y].to_numpy(dtype=float)
    off = (np.abs(x - middle[0]) * stretch > reach) | (np.abs(y - middle[1]) > reach)
    shown = rows[~off[rows]]
    good, wrong = shown[~bad[shown]], shown[bad[shown]]
    axes.scatter(x[good], y[good], s=3.5, color=COLOURS[0], linewidths=0)
    axes.scatter(x[wrong], y[wrong], s=9, color=COLOURS[1], marker="x", linewidths=0.7)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set(color="#d5d9dd", linewidth=0.6)
    said = "no row" if not len(chosen) else f"n = {len(chosen):,}{part}{bad.mean():.0%} outside"
    beyond = f"\n{off.sum()} off the map" if off.any() else ""
    axes.set_xlabel(said + beyond, fontsize=6.5, labelpad=2)


def overlays(path: Path, dataset: Dataset, tables: Mapping[str, pd.DataFrame], title: str, most: int = 6) -> None:
    """The first columns of a table on common bins: real test rows as bars, each table as a line (numbers) or markers (categories)."""
    columns = dataset.schema.columns[:most]
    count = min(3, len(columns))
    rows = -(-len(columns) // count)
    heading = wrapped(title, 2 * COLUMN)
    height = 1.65 * rows + 0.15 * len(heading) + 0.5
    with figure(path, 2 * COLUMN, height, nrows=rows, ncols=count, squeeze=False) as (drawn, grid):
        drawn.suptitle("\n".join(heading), fontsize=8.5, x=0.01, ha="left")
        for axes in grid.flat[len(columns) :]:
            axes.axis("off")
        for axes, column in zip(grid.flat, columns, strict=False):
            _overlay(
                axes, column, dataset.test[column.name], {name: table[column.name] for name, table in tables.items()}
            )
        for axes in grid[:, 0]:
            axes.set_ylabel("share of rows", fontsize=7)
        handles = _handles(list(tables))
        across = columns_of([handle.get_label() for handle in handles], 2 * COLUMN)
        drawn.legend(handles=handles, loc="outside lower center", ncols=even(len(handles), across), fontsize=7)


def _handles(names: Sequence[str]) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    made = [
        Line2D(
            [], [], color=COLOURS[i], linestyle=LINES[i % len(LINES)], marker=MARKERS[i], markersize=3,
            linewidth=1.1, label=clipped(name, 40),
        )
        for name, i in _looks(names).items()
    ]  # fmt: skip
    return [Patch(color="#c9ced4", label="real (test)"), *made]


def _looks(names: Sequence[str]) -> dict[str, int]:
    """Places in the palette, in the order of ``names``; the real rows have the grey of the bars to themselves."""
    given = styles(["real", *names])
    return {name: given[name] for name in names}


def broken(text: str, most: int) -> str:
    """A name on lines of about ``most`` characters, broken after ``_`` or at blanks."""
    lines = [""]
    for part in re.findall(r"[^_ ]+[_ ]?|[_ ]", text):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > most:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip(" ") for line in lines)


def _rest(known: Mapping[str, float], bins: Sequence[str]) -> str | None:
    """The bin of all rarer categories where it stands so high above the named ones that they could not be told apart."""
    found = next((name for name in bins if name.startswith(OTHER)), None)
    named = [known[name] for name in bins if name != found]
    return found if found is not None and known[found] > 2 * max(named, default=0) else None


def _overlay(axes: Any, column: Column, real: pd.Series[Any], made: Mapping[str, pd.Series[Any]]) -> None:
    known: dict[str, float] = {}
    lines: dict[str, dict[str, float]] = {}
    for name, series in made.items():
        first, second, names = shares(column, real, series)
        if column.numeric:
            ends, gone = names, names[-1:] if names[-1] == "missing" else []
            names = [*map(str, range(len(first) - len(gone))), *gone]
        known |= dict(zip(names, first, strict=True))
        lines[name] = dict(zip(names, second, strict=True))
    last = [name for name in ("unseen", "missing") if name in known]
    bins = [name for name in known if name not in last] + last
    rest = None if column.numeric else _rest(known, bins)
    if rest is not None:
        bins.remove(rest)
        axes.set_xlabel(f"{rest} not drawn: {known[rest]:.0%} of real rows", fontsize=6.5)
    axes.bar(
        range(len(bins)),
        [known[name] for name in bins],
        1.0 if column.numeric else 0.85,
        color="#c9ced4",
        label="real (test)",
    )
    for index, (look, found) in enumerate(zip(_looks(list(made)).values(), lines.values(), strict=True)):
        heights = [found.get(bin_, 0.0) for bin_ in bins]
        colour = COLOURS[look]
        if column.numeric:
            axes.step(
                range(len(bins)), heights, where="mid", color=colour, linestyle=LINES[look % len(LINES)], linewidth=1.1
            )  # fmt: skip
        else:
            aside = (index - (len(lines) - 1) / 2) * 0.8 / len(lines)
            axes.plot(
                [i + aside for i in range(len(bins))], heights, color=colour, marker=MARKERS[look], markersize=2.6,
                linestyle="none",
            )  # fmt: skip
    axes.set_title(clipped(column.name, 26), fontsize=7.5, loc="left")
    if column.numeric and len(bins) > 1:
        axes.set_xticks([0, len(bins) - 1 - len(last)], ends[:2])
        for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
            label.set_horizontalalignment(side)
    elif len(bins) <= MOST_NAMED:
        axes.set_xticks(range(len(bins)), [clipped(name, 13) for name in bins], rotation=90 if len(bins) > 4 else 0)
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(bins)} bins: {clipped(bins[0], 12)} … {clipped(bins[-1], 12)}", fontsize=6.5)
    axes.tick_params(labelsize=6.5)
    axes.set_ylim(0, None)
