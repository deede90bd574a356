"""Figures of the method: the dependency graph, its components and order, and the pipeline."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.ranking.wording import clipped, plural
from harness.report.figures.style import COLOURS, COLUMN, figure, wrapped

Edge = tuple[str, str]
FD = tuple[Sequence[str], str]
Places = dict[str, tuple[float, float]]
MOST_EDGES = 60
MOST_LISTED = 14
"""Dependencies written out beside the graph."""
IN_A_LINE = 7
"""Columns of an order in one line."""


def _circle(names: Sequence[str]) -> Places:
    from math import cos, pi, sin

    return {
        name: (cos(pi / 2 - 2 * pi * i / len(names)), sin(pi / 2 - 2 * pi * i / len(names)))
        for i, name in enumerate(names)
    }


def _draw(
    axes: Any, places: Places, edges: Sequence[Edge], colours: Mapping[str, str], dashed: Container[Edge] = ()
) -> None:
    """Names in boxes, and arrows that end at the boxes; dashed ones for edges of composite dependencies."""
    boxes = {
        name: axes.text(
            x,
            y,
            clipped(name, 16),
            ha="center",
            va="center",
            fontsize=7,
            zorder=3,
            bbox={"boxstyle": "round,pad=0.3", "fc": "white", "ec": colours.get(name, "#888888"), "lw": 1.3},
        )
        for name, (x, y) in places.items()
    }
    for a, b in edges[:MOST_EDGES]:
        axes.annotate(
            "",
            places[b],
            places[a],
            arrowprops={
                "arrowstyle": "-|>",
                "color": "#555555",
                "lw": 0.9,
                "linestyle": "--" if (a, b) in dashed else "-",
                "patchA": boxes[a].get_bbox_patch(),
                "patchB": boxes[b].get_bbox_patch(),
                "shrinkA": 0,
                "shrinkB": 1,
                "connectionstyle": "arc3,rad=0.12",
            },
        )
    xs, ys = zip(*places.values(), strict=True)
    axes.set(xlim=(min(xs) - 0.3, max(xs) + 0.3), ylim=(min(ys) - 0.2, max(ys) + 0.2))
    axes.axis("off")


def _joined(names: Sequence[str], edges: Sequence[Edge]) -> tuple[list[str], list[str]]:
    """Columns with an edge, and a sentence on those without, in lines; all columns when none has one."""
    ends = {end for edge in edges for end in edge}
    inside, outside = [name for name in names if name in ends], [name for name in names if name not in ends]
    if not inside or not outside:
        return list(names), []
    return inside, wrapped(f"in no edge: {', '.join(clipped(name, 24) for name in outside)}", COLUMN * 1.3)


def edge_building(
    path: Path, dataset: str, names: Sequence[str], fds: Sequence[FD], edges: Sequence[Edge], dashed: Container[Edge]
) -> None:
    """Left the mined dependencies, right the graph whose edges say what is written first."""
    listed = [f"{', '.join(lhs)} → {rhs}" for lhs, rhs in fds]
    shown = [clipped(fd, 34) for fd in listed[:MOST_LISTED]]
    if len(listed) > MOST_LISTED:
        shown.append(f"and {len(listed) - MOST_LISTED} more")
    inside, outside = _joined(names, edges)
    height = max(1.9, 0.6 + 0.165 * max(len(shown), 1.1 * len(inside))) + 0.13 * len(outside)
    with figure(path, 2 * COLUMN, height, ncols=2, width_ratios=[1, 1.9]) as (drawn, (left, right)):
        drawn.suptitle(dataset, fontsize=8.5, x=0.01, ha="left", weight="bold")
        left.text(0, 1, "\n".join(shown) or "none", va="top", fontsize=7, linespacing=1.6)
        left.axis("off")
        left.set_title(f"{len(fds)} mined dependencies", loc="left")
        _draw(right, _circle(inside), edges, {}, dashed)
        _beneath(right, outside)
        more = f" (the first {MOST_EDGES} of {len(edges)})" if len(edges) > MOST_EDGES else ""
        kinds = "\ndashed: of a composite left side, dependent first" if any(edge in dashed for edge in edges) else ""
        right.set_title(f"edges: written first → written later{more}{kinds}", loc="left")


def graph_search(
    path: Path,
    dataset: str,
    order: Sequence[str],
    edges: Sequence[Edge],
    components: Sequence[Sequence[str]],
    dashed: Container[Edge] = (),
) -> None:
    """Graph with its strongly connected components in colour, and the order that comes out."""
    colours = {name: COLOURS[i % len(COLOURS)] for i, group in enumerate(components) for name in group}
    lines = -(-len(order) // IN_A_LINE)
    inside, outside = _joined(order, edges)
    upper_height = max(1.7, 0.175 * len(inside)) + 0.13 * len(outside)
    with figure(
        path, 2 * COLUMN, upper_height + 0.35 * lines + 0.7, nrows=2, height_ratios=[upper_height, 0.2 + 0.35 * lines]
    ) as (_, (upper, lower)):
        _draw(upper, _circle(inside), edges, colours, dashed)
        _beneath(upper, outside)
        cyclic = f"{plural(len(components), 'cycle')} condensed (in colour)" if components else "no cycle"
        upper.set_title(f"{dataset}: graph of {len(edges)} edges, {cyclic}", loc="left")
        places = {name: (1.25 * (index % IN_A_LINE), -float(index // IN_A_LINE)) for index, name in enumerate(order)}
        steps = [(a, b) for i, (a, b) in enumerate(pairwise(order)) if (i + 1) % IN_A_LINE]
        _draw(lower, places, steps, colours)
        lower.set(xlim=(-0.7, 1.25 * (IN_A_LINE - 1) + 0.7), ylim=(-lines + 0.4, 0.6))
        lower.set_title("the order written for every row" + (", line by line" if lines > 1 else ""), loc="left")


def _beneath(axes: Any, lines: Sequence[str]) -> None:
    if lines:
        axes.annotate(
            "\n".join(lines), (0.5, 0), xycoords="axes fraction", xytext=(0, -3), textcoords="offset points",
            ha="center", va="top", fontsize=7, color="#444444",
        )  # fmt: skip


def overview(path: Path) -> None:
    """The pipeline from a table to a record."""
    steps = [
        ("table", "train / test"),
        ("dependencies", "mined on train"),
        ("column order", "graph, sorted"),
        ("language model", "fit on train"),
        ("synthetic table", "yield, cost"),
        ("evaluator", "real, floor anchors"),
        ("record", "leaderboard"),
    ]
    with figure(path, 2 * COLUMN, 0.75) as (_, axes):
        boxes = []
        for index, (name, detail) in enumerate(steps):
            box = axes.text(
                index, 0, f"{name}\n{detail}", ha="center", va="center", fontsize=6.2, linespacing=1.5, zorder=3,
                bbox={"boxstyle": "round,pad=0.45", "fc": "#f4f6f8", "ec": COLOURS[0], "lw": 1.0},
            )  # fmt: skip
            boxes.append(box.get_bbox_patch())
            if index:
                arrow = {"arrowstyle": "-|>", "color": "#444444", "patchA": boxes[-2], "patchB": boxes[-1], "shrinkA": 0, "shrinkB": 0}  # fmt: skip
                axes.annotate("", (index, 0), (index - 1, 0), arrowprops=arrow)
        axes.set(xlim=(-0.5, len(steps) - 0.5), ylim=(-0.5, 0.5))
        axes.axis("off")
