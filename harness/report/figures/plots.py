"""Figures of numbers with intervals: bars, heat maps, lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.ranking.statistics import Estimate
from harness.ranking.wording import clipped
from harness.report.figures.style import (
    COLOURS,
    COLUMN,
    HATCHES,
    LEVEL_LINES,
    LINES,
    MARKERS,
    MOST_SERIES,
    brief,
    columns_of,
    even,
    figure,
    on_lines,
    styles,
    wrapped,
)

MOST_PANELS = 3
"""Parts of a figure side by side."""
MOST_BARRED = 15
"""Groups drawn as bars; more are drawn as points."""


def _errors(found: Sequence[Estimate | None]) -> list[list[float]]:
    low = [0.0 if e is None or e.low is None else max(e.value - e.low, 0.0) for e in found]
    high = [0.0 if e is None or e.high is None else max(e.high - e.value, 0.0) for e in found]
    return [low, high]


def bars(
    path: Path,
    title: str,
    ylabel: str,
    groups: Sequence[str],
    series: Mapping[str, Sequence[Estimate | None]],
    lines: Mapping[str, float] | None = None,
) -> None:
    """Grouped bars with intervals; an absent value is marked ``n/a``; ``lines`` are dashed levels such as anchors.

    Many groups are drawn as points. Series beyond the eighth are left out and counted in the title.
    """
    many = len(groups) > MOST_BARRED
    kept = dict(list(series.items())[:MOST_SERIES])
    left_out = len(series) - len(kept)
    inches = COLUMN if len(groups) * max(1, len(kept)) <= 16 and not many else 2 * COLUMN
    heading = wrapped(title + (f" ({left_out} more not drawn)" if left_out else ""), inches)
    looks = styles(list(kept))
    labels = [clipped(name, 24) for name in groups]
    upright = sum(map(len, labels)) * 0.065 + 0.12 * len(labels) > inches - 0.7
    entries = [*(clipped(name, 40) for name in kept), *(lines or {})]
    across = columns_of(entries, inches)
    foot = 0.065 * max(map(len, labels), default=0) if upright else 0.1
    height = 1.95 + foot + 0.15 * len(heading) + 0.16 * -(-len(entries) // across)
    with figure(path, inches, height) as (drawn, axes):
        for index, (name, found) in enumerate(kept.items()):
            _bars(axes, clipped(name, 40), (index, len(kept)), looks[name], found, many)
        _levels(axes, lines or {})
        if many:
            for edge in range(1, len(groups)):
                axes.axvline(edge - 0.5, color="#eeeeee", linewidth=0.5, zorder=0)
        axes.set_xticks(range(len(groups)), labels, rotation=90 if upright else 0)
        axes.set_xlim(-0.6, len(groups) - 0.4)
        axes.set_ylabel(on_lines(ylabel))
        axes.grid(axis="y")
        axes.set_ylim(bottom=0)
        drawn.suptitle("\n".join(heading), fontsize=8.5, x=0.01, ha="left")
        if len(entries) > 1:
            drawn.legend(fontsize=7, ncols=even(len(entries), across), loc="outside lower center")


def _levels(axes: Any, levels: Mapping[str, float]) -> None:
    """Horizontal lines, named in the legend: text on the line would lie over bars and points."""
    for index, (name, level) in enumerate(levels.items()):
        axes.axhline(level, color="#222222", linestyle=LEVEL_LINES[index % len(LEVEL_LINES)], linewidth=0.9, label=name)


def _bars(
    axes: Any, name: str, position: tuple[int, int], look: int, found: Sequence[Estimate | None], many: bool
) -> None:
    """One series of :func:`bars`: ``position`` is its place among how many in a group, ``look`` its place in the palette."""
    index, count = position
    width = 0.8 / max(1, count)
    places = [group + (index - (count - 1) / 2) * width for group in range(len(found))]
    known = [i for i, e in enumerate(found) if e is not None]
    if many:
        axes.errorbar(
            [places[i] for i in known],
            [e.value for e in found if e is not None],
            yerr=_errors([found[i] for i in known]),
            label=name,
            color=COLOURS[look],
            marker=MARKERS[look],
            markersize=3,
            linestyle="none",
            elinewidth=0.6,
        )
        return
    axes.bar(
        places,
        [0.0 if e is None else e.value for e in found],
        width * 0.92,
        label=name,
        color=COLOURS[look],
        hatch=HATCHES[look],
        edgecolor="white",
        linewidth=0.4,
        yerr=_errors(found),
        error_kw={"elinewidth": 0.9, "ecolor": "#222222"},
    )
    for place, e in zip(places, found, strict=True):
        if e is None or (e.value == 0 and not e.high):  # a bar of no height looks like one that is missing
            said = "n/a" if e is None else "0"
            axes.text(
                place, 0, said, rotation=90, ha="center", va="bottom", fontsize=6 if len(found) * count < 60 else 4
            )


def heat(
    path: Path,
    title: str,
    run: str,
    groups: Sequence[str],
    rows: Mapping[str, Sequence[float | None]],
    beside: Mapping[str, Estimate | None],
    top: float = 1.0,
) -> None:
    """A row per series, a cell per group, darker for more (from 0 to ``top``); cells without a value are hatched.

    Args:
        path: without suffix.
        title: of the figure.
        run: what the colour says.
        groups: columns.
        rows: values of at least 0 by series.
        beside: a summary of each row with its interval, written at its end.
        top: the value that is darkest, as are greater ones.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    width, heading = 2 * COLUMN, wrapped(title, 2 * COLUMN)
    height = 0.62 + 0.065 * max(map(len, groups), default=0) + 0.19 * len(rows) + 0.15 * len(heading)
    with figure(path, width, height) as (drawn, axes):
        shade = ScalarMappable(Normalize(0, top), "cividis_r")
        for y, values in enumerate(rows.values()):
            for x, value in enumerate(values):
                cell = Rectangle((x - 0.5, y - 0.5), 1, 1, linewidth=0.3, edgecolor="white")
                if value is None:
                    cell.set(facecolor="white", hatch="////", edgecolor="#bbbbbb")
                else:
                    cell.set_facecolor(shade.cmap(min(1.0, float(value) / top)))
                axes.add_patch(cell)
        for y, name in enumerate(rows):
            found = beside.get(name)
            said = "–" if found is None else f"{found.value:.3f}"
            if found is not None and found.low is not None and found.high is not None:
                said += f" [{found.low:.3f}, {found.high:.3f}]"
            axes.annotate(said, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=6.5)
        axes.set(xlim=(-0.5, len(groups) - 0.5), ylim=(len(rows) - 0.5, -0.5))
        axes.set_xticks(range(len(groups)), [clipped(name, 18) for name in groups], rotation=90, fontsize=6.5)
        axes.set_yticks(range(len(rows)), [clipped(name, 34) for name in rows], fontsize=7)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        ends = "neither" if top >= 1 else "max"
        bar = drawn.colorbar(shade, ax=axes, location="bottom", shrink=0.3, aspect=30, pad=0.02, extend=ends)
        bar.set_label(run, fontsize=7)
        drawn.suptitle("\n".join(heading), fontsize=8.5, x=0.01, ha="left")


def lines(
    path: Path,
    title: str,
    xlabel: str,
    ylabel: str,
    series: Mapping[str, Sequence[tuple[float, Estimate]]],
    levels: Mapping[str, float] | None = None,
    log_x: bool = False,
    log_y: bool = False,
) -> None:
    """One line per series through (x, value) with intervals; ``levels`` are dashed horizontal lines. See :func:`panels`."""
    panels(path, title, xlabel, ylabel, {"": series}, log_x, log_y, levels)


def panels(
    path: Path,
    title: str,
    xlabel: str,
    ylabel: str,
    parts: Mapping[str, Mapping[str, Sequence[tuple[float, Estimate]]]],
    log_x: bool = False,
    log_y: bool = False,
    levels: Mapping[str, float] | None = None,
) -> None:
    """Parts side by side with one vertical axis, each with a line per series through (x, value); a series looks the same in all.

    On a logarithmic vertical axis values of 0 are drawn hollow, below all others; what of an interval reaches down to 0 is cut off.
    """
    names = list(dict.fromkeys(name for part in parts.values() for name in part))[:MOST_SERIES]
    columns = min(MOST_PANELS, len(parts))
    rows = -(-len(parts) // columns)
    width = COLUMN if columns == 1 else min(2 * COLUMN, 1.0 + 2.1 * columns)
    entries, looks = [*(clipped(name, 40) for name in names), *(levels or {})], styles(names)
    across = columns_of(entries, width)
    height = 0.55 + 2.1 * rows + 0.16 * -(-len(entries) // across) + 0.14 * len(wrapped(title, width))
    values = [e.value for part in parts.values() for points in part.values() for _, e in points if e.value > 0]
    floor = min(values, default=1.0) / 3
    with figure(path, width, height, nrows=rows, ncols=columns, squeeze=False, sharey=True) as (drawn, grid):
        for place, axes in enumerate(grid.flat):
            if place >= len(parts):
                axes.axis("off")
                continue
            part, series = list(parts.items())[place]
            places = sorted({round(x, 6) for name in series for x, _ in series[name]})
            reach = (places[-1] / places[0] if log_x else places[-1] - places[0]) if places else 0.0
            for name in series:
                if name in names:
                    aside = (names.index(name) - (len(names) - 1) / 2) * 0.012
                    _line(axes, name, looks[name], _moved(series[name], aside, reach, log_x), floor if log_y else None)
            _levels(axes, levels or {})
            _axis(axes, places, log_x)
            if log_y:
                _log_scale(axes)
            else:
                axes.set_ylim(bottom=-0.03 * axes.get_ylim()[1])  # points at 0 stay visible
            axes.set_title(part, loc="left", fontsize=8)
            axes.grid()
            axes.set_xlabel(xlabel)
            if place % columns == 0:
                axes.set_ylabel(on_lines(ylabel))
        handles: dict[str, Any] = {}
        for axes in grid.flat[: len(parts)]:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        drawn.suptitle("\n".join(wrapped(title, width)), fontsize=8.5, x=0.01, ha="left")
        drawn.legend(
            handles.values(), handles, loc="outside lower center", ncols=even(len(handles), across), fontsize=7
        )


def _moved(
    points: Sequence[tuple[float, Estimate]], aside: float, reach: float, log_x: bool
) -> list[tuple[float, Estimate]]:
    """Points moved aside by a share of the axis, so that intervals of several series at one place do not hide each other."""
    found = sorted(points, key=lambda point: point[0])
    return [(x * max(reach, 1.2) ** aside if log_x else x + aside * reach, e) for x, e in found]


def _line(axes: Any, name: str, look: int, points: Sequence[tuple[float, Estimate]], floor: float | None) -> None:
    """A series; points without a value above 0 are drawn hollow at ``floor`` where there is one."""
    at, found = [x for x, _ in points], [e for _, e in points]
    axes.errorbar(
        at,
        [e.value if floor is None or e.value > 0 else floor for e in found],
        yerr=_errors(found),
        label=clipped(name, 40),
        color=COLOURS[look],
        linestyle=LINES[look % len(LINES)],
        marker=MARKERS[look],
        markersize=4,
        capsize=2,
        linewidth=1.2,
        elinewidth=0.8,
    )
    none = [x for x, e in zip(at, found, strict=True) if e.value <= 0]
    if floor is not None and none:
        axes.plot(
            none, [floor] * len(none), color=COLOURS[look], marker=MARKERS[look], markersize=4,
            markerfacecolor="white", linestyle="none", zorder=3,
        )  # fmt: skip


def _log_scale(axes: Any) -> None:
    """A logarithmic vertical axis with numbers as people write them, at 1, 2 and 5 where powers of ten would be too few."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_yscale("log", nonpositive="clip")
    low, high = axes.get_ylim()
    if math.log10(high / low) < 2:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # text is drawn as it is, without formulas
    axes.yaxis.set_minor_formatter(NullFormatter())


def _axis(axes: Any, places: Sequence[float], log_x: bool) -> None:
    """Ticks at the places that were run, thinned where their numbers would collide."""
    from matplotlib.ticker import NullFormatter, NullLocator

    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    if not places:
        return
    spot = [math.log(x) for x in places] if log_x else list(places)
    least = (max(spot) - min(spot)) / 7
    kept: list[int] = []
    for i in range(len(spot)):
        if not kept or spot[i] - spot[kept[-1]] >= least:
            kept.append(i)
    axes.set_xticks([places[i] for i in kept], [brief(places[i]) for i in kept])
