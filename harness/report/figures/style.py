"""Figures for papers: the look they share. PNG and SVG, the same bytes from the same numbers, safe for colour-blind readers."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5A5A5A", "#B8A900")
"""Okabe and Ito's palette, the yellow darkened for white paper."""
MARKERS = "osD^vPX*"
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "--", "oo")
LINES = ("-", "--", "-.", ":")
LEVEL_LINES = ("--", ":", "-.")
MOST_SERIES = len(COLOURS)
KEPT = {
    "fd": 0,
    "permutation_aware_llm": 0,
    "random": 1,
    "random_order_llm": 1,
    "fixed_random": 2,
    "tvae": 2,
    "fd_reversed": 3,
    "ctgan": 3,
    "original": 4,
    "gaussian_copula": 4,
    "fd_reference": 5,
    "arf": 5,
    "real": 6,
    "real (held out)": 6,
    "given": 6,
    "information": 7,
    "floor (independent columns)": 7,
    "tabular_argn": 7,
}
"""Places in the palette that names have in every figure, whatever stands beside them: an FD-informed order is blue, a random one red."""
COLUMN = 3.5
"""Width of a paper's column in inches; figures are drawn at one or two of them, so that no text shrinks in print."""
SCREEN_DPI = 150

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
    """Axes to draw on, saved as ``path`` with ``.png`` (200 dpi), ``.svg`` and ``.pdf`` when the block ends without error.

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
        drawn.set_layout_engine("none")  # all files share one layout, computed once
        drawn.savefig(path.with_name(f"{path.name}.svg"), metadata={"Date": None})
        drawn.savefig(path.with_name(f"{path.name}.pdf"), metadata={"CreationDate": None})


def styles(names: Sequence[str]) -> dict[str, int]:
    """The place in :data:`COLOURS`, :data:`MARKERS`, … of each series: its own (:data:`KEPT`), or the first that is left.

    Args:
        names: at most :data:`MOST_SERIES`, each once. ``order fd`` looks like ``fd``.
    """
    wanted = {name: KEPT.get(name.removeprefix("order ")) for name in names}
    given: dict[str, int] = {}
    for name, place in wanted.items():
        if place is not None and place not in given.values():
            given[name] = place
    for name in names:
        if name not in given:
            given[name] = next(place for place in range(MOST_SERIES) if place not in given.values())
    return given


def brief(number: float) -> str:
    """A tick's number, at most four characters: ``850``, ``12k``, ``1.5M``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def columns_of(entries: Sequence[str], inches: float) -> int:
    """How many of these legend entries fit beside each other."""
    return max(1, int(inches / (0.42 + 0.059 * max(map(len, entries))))) if entries else 1


def on_lines(label: str) -> str:
    """An axis label on lines that fit the height of a small figure: what stands in brackets goes below."""
    head, bracket, rest = label.partition(" (")
    return label if len(label) <= 24 or not bracket else f"{on_lines(head)}\n({rest}"


def even(count: int, most: int) -> int:
    """Columns of a legend of ``count`` entries, at most ``most`` beside each other, in rows of about equal length."""
    rows = -(-count // most)
    return -(-count // rows)


def wrapped(text: str, inches: float) -> list[str]:
    """Lines of a title that fit a figure of this width; ``n = 3`` is not parted."""
    whole = re.sub(r"(\bn) = (\S+)", "\\1\u00a0=\u00a0\\2", text)
    return textwrap.wrap(whole.replace("95 %", "95\u00a0%"), max(20, int(inches * 15)))
