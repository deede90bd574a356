"""Numbers as people read them."""

from __future__ import annotations

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


def chance(value: float) -> str:
    """A posterior probability, which is never certain: ``>.99``, ``<.01`` at the ends."""
    return ">.99" if value >= 0.995 else "<.01" if value < 0.005 else number(value)


def percent(value: float | None) -> str:
    """A share as percent with three significant digits, e.g. ``0.15 %``."""
    return "–" if value is None else f"{float(f'{value * 100:.3g}'):g}\u202f%"


def bracket(found: Estimate | None, digits: int = 2) -> str:
    """``.81 [.75, .88]``."""
    if found is None:
        return "–"
    if found.low is None:
        return number(found.value, digits)
    return f"{number(found.value, digits)} [{number(found.low, digits)},{number(found.high, digits)}]"


def spread(found: Estimate | None, digits: int = 2) -> str:
    """:func:`bracket` of numbers that are no shares: the leading zero stays."""
    if found is None or found.low is None or found.high is None:
        return "–" if found is None else f"{found.value:.{digits}f}"
    return f"{found.value:.{digits}f} [{found.low:.{digits}f},{found.high:.{digits}f}]"
