"""Small SVG drawings as markup. Colours come from classes, so that light, dark and print styles apply to them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """An element; attribute values and text children are escaped, ``Markup`` children are not. ``class_`` makes ``class``."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(escape(child) for child in children)
    return (
        Markup(f"<{name}{written}/>") if not children else Markup(f"<{name}{written}>") + inner + Markup(f"</{name}>")
    )


def drawing(width: float, height: float, *children: object, label: str, class_: str = "") -> Markup:
    """An SVG of that size in CSS pixels that shrinks with its box; ``label`` is what a screen reader says."""
    return tag(
        "svg",
        *children,
        viewBox=f"0 0 {short(width)} {short(height)}",
        width=short(width),
        height=short(height),
        class_=class_ or None,
        role="img",
        aria_label=label,
    )


def short(value: float) -> str:
    """A coordinate with at most one decimal."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def text(x: float, y: float, content: object, **attributes: object) -> Markup:
    """Text at a point."""
    return tag("text", content, x=short(x), y=short(y), **attributes)


def path(points: Iterable[tuple[float, float]], close: bool = False, **attributes: object) -> Markup:
    """A polyline through points."""
    return tag("path", d=data(points, close), **attributes)


def data(points: Iterable[tuple[float, float]], close: bool = False) -> str:
    """Path data through points."""
    return "M" + "L".join(f"{short(x)} {short(y)}" for x, y in points) + ("Z" if close else "")


def steps(
    heights: Sequence[float], width: float, base: float, scale: float, left: float = 0.0
) -> list[tuple[float, float]]:
    """The outline of a histogram: bars of equal width from ``left``, on a base line ``base``, ``scale`` pixels per unit."""
    each = width / max(1, len(heights))
    points = [(left, base)]
    for index, height in enumerate(heights):
        y = base - height * scale
        points += [(left + index * each, y), (left + (index + 1) * each, y)]
    return [*points, (left + width, base)]


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers within [low, high], at most ``most`` + 1 of them."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw - 1e-12)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within [low, high] (positive); the ends when there are fewer than two."""
    powers = [
        10.0**power for power in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    ]
    return powers if len(powers) > 1 else [low, high]
