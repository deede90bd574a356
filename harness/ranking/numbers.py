"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable

from harness.ranking.statistics import Estimate


def number(value: float | None, digits: int = 2) -> str:
    """A number without its leading zero; ``–`` where there is none."""
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def amount(value: float | None, unit: str = "") -> str:
    """Three significant digits, e.g. ``4.21`` or ``1230``."""
    if value is None:
        return "–"
    if value == 0:
        return f"0{unit}"
    text = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return f"{text}{unit}"


def chance(value: float | None) -> str:
    """A posterior probability, which is never certain: ``>.99``, ``<.01`` at the ends; ``–`` where there is none."""
    return number(value) if value is None else ">.99" if value >= 0.995 else "<.01" if value < 0.005 else number(value)


def percent(value: float | None) -> str:
    """A share as percent with three significant digits, e.g. ``0.15 %``."""
    return "–" if value is None else f"{float(f'{value * 100:.3g}'):g}\u202f%"


def estimate(found: Estimate | None, write: Callable[[float], str] = amount) -> str:
    """A value with its interval, ``0.81 [0.75, 0.88]``; the value alone where there is no interval, ``–`` without a value.

    Every interval of terminal, tables and answers is written here.
    """
    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return write(found.value)
    return f"{write(found.value)} [{write(found.low)}, {write(found.high)}]"


def bracket(found: Estimate | None, digits: int = 2) -> str:
    """A share: ``.81 [.75, .88]``."""
    return estimate(found, lambda value: number(value, digits))


def spread(found: Estimate | None, digits: int = 2) -> str:
    """A number that is no share: its leading zero stays."""
    return estimate(found, lambda value: f"{value:.{digits}f}")
