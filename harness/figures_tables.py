"""Figures of stored tables: points on their areas, and overlaid columns. No sample is picked by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.base import Dataset
from harness.figures import COLOURS, figure
from harness.report.columns import shares
from harness.report.maps import Atlas
from harness.report.svg import clipped

PAPER_STATES = ("NM", "HI", "DE", "WV", "AK")
MOST_POINTS = 1500


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
    """A row per key, a column per table: its rows of that key (at most 1,500, at equal distances), outside ones as crosses."""
    width, height = 1.75 * len(tables) + 0.4, 1.75 * len(keys) + 0.5
    with figure(path, width, height, nrows=len(keys), ncols=len(tables), squeeze=False) as (drawn, grid):
        drawn.suptitle(title, fontsize=9.5, x=0.01, ha="left")
        for axes_row, key in zip(grid, keys, strict=True):
            for axes, (name, table) in zip(axes_row, tables.items(), strict=True):
                _points(axes, plan, key, table)
                if key == keys[0]:
                    axes.set_title(clipped(name, 24), fontsize=8)
            axes_row[0].text(
                -0.05, 0.5, key, transform=axes_row[0].transAxes, ha="right", va="center", fontsize=8.5, weight="bold"
            )


def _points(axes: Any, plan: Atlas, key: str, table: pd.DataFrame) -> None:
    chosen = table if plan.key is None else table[table[plan.key] == key]
    chosen = chosen[chosen[[plan.x, plan.y]].notna().all(axis=1)]
    bad = plan.invalid(chosen) if len(chosen) else np.zeros(0, bool)
    for ring in plan.rings[key]:
        axes.fill(ring[:, 0], ring[:, 1], fc="#f1f3f5", ec="#777777", lw=0.7)
    corners = np.concatenate(list(plan.rings[key]))
    (left, low), (right, high) = corners.min(axis=0), corners.max(axis=0)
    margin = 0.35 * max(right - left, high - low)
    axes.set(xlim=(left - margin, right + margin), ylim=(low - margin, high + margin))
    if plan.geographic:
        axes.set_aspect(1 / max(0.15, float(np.cos(np.radians((low + high) / 2)))))
    rows = np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_POINTS)).astype(int)
    x, y = chosen[plan.x].to_numpy(dtype=float)[rows], chosen[plan.y].to_numpy(dtype=float)[rows]
    wrong = bad[rows]
    axes.scatter(x[~wrong], y[~wrong], s=3, color=COLOURS[0], linewidths=0)
    axes.scatter(x[wrong], y[wrong], s=9, color=COLOURS[1], marker="x", linewidths=0.6)
    share = f"{bad.mean():.0%} outside" if len(chosen) else "no row"
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"n = {len(chosen)}, {share}", fontsize=7)


def overlays(path: Path, dataset: Dataset, tables: Mapping[str, pd.DataFrame], title: str, most: int = 6) -> None:
    """The first columns of a table, real test rows as area, one line per table, on the same bins."""
    columns = dataset.schema.columns[:most]
    count = min(3, len(columns))
    rows = -(-len(columns) // count)
    with figure(path, 2.6 * count, 2.0 * rows + 0.7, nrows=rows, ncols=count, squeeze=False) as (drawn, grid):
        drawn.suptitle(title, fontsize=9.5, x=0.01, ha="left")
        for axes in grid.flat[len(columns) :]:
            axes.axis("off")
        for axes, column in zip(grid.flat, columns, strict=False):
            for index, (name, table) in enumerate(tables.items()):
                first, second, names = shares(column, dataset.test[column.name], table[column.name])
                if index == 0:
                    axes.bar(range(len(first)), first, 1.0, color="#c9ced4", label="real")
                padded = second[: len(first)]
                axes.step(
                    range(len(padded)), padded, where="mid", color=COLOURS[index % len(COLOURS)],
                    linestyle=("-", "--", "-.", ":")[index % 4], linewidth=1.2, label=clipped(name, 30),
                )  # fmt: skip
            axes.set_title(clipped(column.name, 26), fontsize=8, loc="left")
            axes.set_xticks([])
            axes.set_xlabel(f"{clipped(names[0], 12)} … {clipped(names[-1], 12)}" if names else "", fontsize=7)
            axes.tick_params(labelsize=7)
        grid.flat[0].set_ylabel("share of rows", fontsize=7.5)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=7.5)
