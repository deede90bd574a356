"""Figures for papers: matplotlib, PNG and SVG, the same bytes from the same numbers, safe for colour-blind readers."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.report.svg import clipped
from harness.statistics import Estimate

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5A5A5A", "#B8A900")
"""Okabe and Ito's palette, the yellow darkened for white paper."""
MARKERS = "osD^vPX*"
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "--", "oo")
LINES = ("-", "--", "-.", ":")
MOST_SERIES = len(COLOURS)
MOST_PANELS = 3
"""Parts of a figure side by side."""
COLUMN = 3.5
"""Width of a paper's column in inches; figures are drawn at one or two of them, so that no text shrinks in print."""
SCREEN_DPI = 150
MOST_BARRED = 15
"""Groups drawn as bars; more are drawn as points."""

STYLE = {
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "axes.titlesize": 8.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "svg.hashsalt": "taborder",
    "svg.fonttype": "path",
    "text.parse_math": False,
}


@contextmanager
def figure(path: Path, width: float = 6.4, height: float = 3.2, **grid: Any) -> Iterator[tuple[Any, Any]]:
    """Axes to draw on, saved as ``path`` with ``.png`` (200 dpi) and ``.svg`` when the block ends without error.

    Args:
        path: without suffix; its folder is made. With ``.png``: that file alone, for the screen (:data:`SCREEN_DPI`).
        width: inches.
        height: inches.
        grid: ``nrows``, ``ncols`` and other arguments of ``Figure.subplots``.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(width, height))
        FigureCanvasAgg(drawn)
        axes = drawn.subplots(**grid)
        yield drawn, axes
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            drawn.savefig(path, dpi=SCREEN_DPI, metadata={"Software": None})
            return
        drawn.savefig(path.with_name(f"{path.name}.png"), dpi=200, metadata={"Software": None})
        drawn.savefig(path.with_name(f"{path.name}.svg"), metadata={"Date": None})


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
    labels = [clipped(name, 24) for name in groups]
    upright = sum(map(len, labels)) * 0.065 + 0.12 * len(labels) > inches - 0.7
    across = max(1, int(inches / (0.45 + 0.065 * max(len(clipped(name, 40)) for name in kept)))) if kept else 1
    foot = 0.065 * max(map(len, labels), default=0) if upright else 0.1
    height = 1.95 + foot + 0.15 * len(heading) + 0.16 * -(-len(kept) // across)
    with figure(path, inches, height) as (drawn, axes):
        for index, (name, found) in enumerate(kept.items()):
            _bars(axes, clipped(name, 40), index, len(kept), found, many)
        for name, level in (lines or {}).items():
            axes.axhline(level, color="#444444", linestyle="--", linewidth=0.9)
            axes.annotate(
                f"{name} {level:.3g}",
                (1.0, level),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                fontsize=6.5,
            )
        if many:
            for edge in range(1, len(groups)):
                axes.axvline(edge - 0.5, color="#eeeeee", linewidth=0.5, zorder=0)
        axes.set_xticks(range(len(groups)), labels, rotation=90 if upright else 0)
        axes.set_xlim(-0.6, len(groups) - 0.4)
        axes.set_ylabel(ylabel)
        axes.grid(axis="y")
        axes.set_ylim(bottom=0)
        drawn.suptitle("\n".join(heading), fontsize=8.5, x=0.01, ha="left")
        if len(kept) > 1:
            drawn.legend(fontsize=7, ncols=even(len(kept), across), loc="outside lower center")


def _bars(axes: Any, name: str, index: int, count: int, found: Sequence[Estimate | None], many: bool) -> None:
    """One series of :func:`bars`."""
    width = 0.8 / max(1, count)
    places = [group + (index - (count - 1) / 2) * width for group in range(len(found))]
    known = [i for i, e in enumerate(found) if e is not None]
    if many:
        axes.errorbar(
            [places[i] for i in known],
            [e.value for e in found if e is not None],
            yerr=_errors([found[i] for i in known]),
            label=name,
            color=COLOURS[index],
            marker=MARKERS[index],
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
        color=COLOURS[index],
        hatch=HATCHES[index],
        edgecolor="white",
        linewidth=0.4,
        yerr=_errors(found),
        error_kw={"elinewidth": 0.9, "ecolor": "#222222"},
    )
    for place, e in zip(places, found, strict=True):
        if e is None:
            axes.text(place, 0, "n/a", rotation=90, ha="center", va="bottom", fontsize=6)


def heat(
    path: Path,
    title: str,
    unit: str,
    groups: Sequence[str],
    rows: Mapping[str, Sequence[float | None]],
    beside: Mapping[str, Estimate | None],
    top: float = 1.0,
) -> None:
    """A row per series, a cell per group, darker for more (from 0 to ``top``); cells without a value are hatched.

    Args:
        path: without suffix.
        title: of the figure.
        unit: what the colour says.
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
            axes.text(len(groups), y, said, va="center", fontsize=6.5)
        axes.set(xlim=(-0.5, len(groups) - 0.5), ylim=(len(rows) - 0.5, -0.5))
        axes.set_xticks(range(len(groups)), [clipped(name, 18) for name in groups], rotation=90, fontsize=6.5)
        axes.set_yticks(range(len(rows)), [clipped(name, 34) for name in rows], fontsize=7)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        ends = "neither" if top >= 1 else "max"
        bar = drawn.colorbar(shade, ax=axes, location="bottom", shrink=0.3, aspect=30, pad=0.02, extend=ends)
        bar.set_label(unit, fontsize=7)
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

    On a logarithmic vertical axis values of 0 and what of an interval reaches down to 0 cannot be drawn and are cut off.
    """
    names = list(dict.fromkeys(name for part in parts.values() for name in part))[:MOST_SERIES]
    columns = min(MOST_PANELS, len(parts))
    rows = -(-len(parts) // columns)
    width = COLUMN if columns == 1 else min(2 * COLUMN, 1.0 + 2.1 * columns)
    across = max(1, int(width / 1.1))
    height = 0.55 + 2.1 * rows + 0.16 * -(-len(names) // across) + 0.14 * len(wrapped(title, width))
    with figure(path, width, height, nrows=rows, ncols=columns, squeeze=False, sharey=True) as (drawn, grid):
        for place, axes in enumerate(grid.flat):
            if place >= len(parts):
                axes.axis("off")
                continue
            part, series = list(parts.items())[place]
            for name in series:
                if name in names:
                    _line(axes, name, names.index(name), len(names), series[name], log_x)
            for name, level in (levels or {}).items():
                axes.axhline(level, color="#444444", linestyle="--", linewidth=0.9)
                axes.annotate(
                    name, (1.0, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=6.5
                )
            places = sorted({round(x, 6) for name in series for x, _ in series[name]})
            _axis(axes, places, log_x)
            if log_y:
                axes.set_yscale("log", nonpositive="clip")
                axes.yaxis.set_major_formatter(
                    lambda value, _: f"{value:g}"
                )  # text is drawn as it is, without formulas
            else:
                axes.set_ylim(bottom=-0.03 * axes.get_ylim()[1])  # points at 0 stay visible
            axes.set_title(part, loc="left", fontsize=8)
            axes.grid()
            axes.set_xlabel(xlabel)
            if place % columns == 0:
                axes.set_ylabel(ylabel)
        handles: dict[str, Any] = {}
        for axes in grid.flat[: len(parts)]:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        drawn.suptitle("\n".join(wrapped(title, width)), fontsize=8.5, x=0.01, ha="left")
        drawn.legend(
            handles.values(), handles, loc="outside lower center", ncols=even(len(handles), across), fontsize=7
        )


def _line(axes: Any, name: str, index: int, count: int, points: Sequence[tuple[float, Estimate]], log_x: bool) -> None:
    """A series, its points moved aside a little so that intervals of several at one place do not hide each other."""
    found = sorted(points, key=lambda point: point[0])
    reach = max(x for x, _ in found) - min(x for x, _ in found)
    aside = (index - (count - 1) / 2) * 0.012
    axes.errorbar(
        [x * (1 + 2 * aside) if log_x else x + aside * reach for x, _ in found],
        [e.value for _, e in found],
        yerr=_errors([e for _, e in found]),
        label=clipped(name, 40),
        color=COLOURS[index],
        linestyle=LINES[index % len(LINES)],
        marker=MARKERS[index],
        markersize=4,
        capsize=2,
        linewidth=1.2,
        elinewidth=0.8,
    )


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


def brief(number: float) -> str:
    """A tick's number, at most four characters: ``850``, ``12k``, ``1.5M``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def even(count: int, most: int) -> int:
    """Columns of a legend of ``count`` entries, at most ``most`` beside each other, in rows of about equal length."""
    rows = -(-count // most)
    return -(-count // rows)


def wrapped(text: str, inches: float) -> list[str]:
    """Lines of a title that fit a figure of this width."""
    return textwrap.wrap(text, max(20, int(inches * 15)))
