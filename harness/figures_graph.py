"""Figures of the method: the dependency graph, its components and order, and the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.figures import COLOURS, figure
from harness.report.svg import clipped

Edge = tuple[str, str]
MOST_EDGES = 60


def _circle(names: Sequence[str]) -> dict[str, tuple[float, float]]:
    from math import cos, pi, sin

    return {
        name: (cos(pi / 2 - 2 * pi * i / len(names)), sin(pi / 2 - 2 * pi * i / len(names)))
        for i, name in enumerate(names)
    }


def _draw(axes: Any, places: dict[str, tuple[float, float]], edges: Sequence[Edge], colours: dict[str, str]) -> None:
    for a, b in edges[:MOST_EDGES]:
        axes.annotate(
            "",
            places[b],
            places[a],
            arrowprops={
                "arrowstyle": "-|>",
                "color": "#555555",
                "lw": 0.9,
                "shrinkA": 16,
                "shrinkB": 16,
                "connectionstyle": "arc3,rad=0.12",
            },
        )
    for name, (x, y) in places.items():
        axes.text(
            x,
            y,
            clipped(name, 16),
            ha="center",
            va="center",
            fontsize=7.5,
            bbox={"boxstyle": "round,pad=0.3", "fc": "white", "ec": colours.get(name, "#888888"), "lw": 1.3},
        )
    xs, ys = zip(*places.values(), strict=True)
    axes.set(xlim=(min(xs) - 0.45, max(xs) + 0.45), ylim=(min(ys) - 0.3, max(ys) + 0.3))
    axes.axis("off")


def edge_building(path: Path, dataset: str, names: Sequence[str], fds: Sequence[str], edges: Sequence[Edge]) -> None:
    """Left the mined dependencies, right the graph whose edges say what is written first."""
    with figure(path, 7.2, 3.6, ncols=2, width_ratios=[1, 1.6]) as (_, (left, right)):
        shown = [clipped(fd, 42) for fd in fds[:14]] + ([f"and {len(fds) - 14} more"] if len(fds) > 14 else [])
        left.text(0, 1, "\n".join(shown) or "no dependency was mined", va="top", fontsize=8, linespacing=1.7)
        left.axis("off")
        left.set_title(f"{dataset}: {len(fds)} mined dependencies", loc="left")
        _draw(right, _circle(names), edges, {})
        right.set_title("edges: what comes first → what follows", loc="left")


def graph_search(
    path: Path, dataset: str, order: Sequence[str], edges: Sequence[Edge], components: Sequence[Sequence[str]]
) -> None:
    """Graph with its strongly connected components in colour, and the order that comes out."""
    colours = {name: COLOURS[i % len(COLOURS)] for i, group in enumerate(components) for name in group}
    with figure(path, 7.2, 3.8, nrows=2, height_ratios=[3.2, 1]) as (_, (upper, lower)):
        _draw(upper, _circle(order), edges, colours)
        cyclic = f"{len(components)} with a cycle (in colour)" if components else "none with a cycle"
        upper.set_title(f"{dataset}: graph of {len(edges)} edges, components of several columns: {cyclic}", loc="left")
        places = {name: (1.25 * index, 0.0) for index, name in enumerate(order)}
        _draw(lower, places, list(pairwise(order)), colours)
        lower.set_ylim(-0.6, 0.6)
        lower.set_title("order written for every row", loc="left")


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
    with figure(path, 8.4, 1.3) as (_, axes):
        for index, (name, detail) in enumerate(steps):
            axes.text(
                index, 0, f"{name}\n{detail}", ha="center", va="center", fontsize=7.5, linespacing=1.6,
                bbox={"boxstyle": "round,pad=0.5", "fc": "#f4f6f8", "ec": COLOURS[0], "lw": 1.0},
            )  # fmt: skip
            if index:
                axes.annotate(
                    "", (index - 0.42, 0), (index - 0.58, 0), arrowprops={"arrowstyle": "-|>", "color": "#444444"}
                )
        axes.set(xlim=(-0.6, len(steps) - 0.4), ylim=(-0.5, 0.5))
        axes.axis("off")
