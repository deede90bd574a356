"""Violation against a number (difficulty, model size): one line per order, the gap between orders at each point, and its change."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.experiments.contrasts import (
    Contrast,
    Factor,
    contrast,
    contrast_table,
    gaps,
    gather,
    interval_text,
    renamed,
    together,
    verdict,
)
from harness.experiments.study import FD_RATE, ORDER_PARAMS, RATE_LABEL, Result, Study, order_levels, order_of
from harness.ranking.intervals import over_seeds
from harness.ranking.runs import Run
from harness.ranking.statistics import Estimate
from harness.ranking.wording import span
from harness.report.figures import plots as figures
from harness.report.tables import Entry, Table

Points = dict[str, list[tuple[float, Estimate, int]]]


@dataclass(frozen=True)
class Axis:
    """What violation is drawn against.

    Attributes:
        level: what a run stands at, in words, e.g. ``b = 5``; levels pair runs. ``None``: not on this axis.
        place: where that is on the axis; the mean over runs counts (a model has as many parameters as its table asks for).
        label: of the axis, with its unit.
        panel: units of one panel share a figure part and a block, e.g. the dataset.
        without: parameters that the axis changes.
        log_x: logarithmic axis.
    """

    level: Factor
    place: Callable[[Run], float | None]
    label: str
    panel: Factor
    without: Sequence[str] = ()
    log_x: bool = False


def curves(
    study: Study, folder: Path, result: Result, name: str, title: str, axis: Axis, beside: Contrast | None = None
) -> Contrast | None:
    """Add the table and figure of violation along an axis, the gap fd − random at each level, and sentences on its change.

    Args:
        study: the runs.
        folder: of the figure.
        result: what is added to.
        name: of table and figure.
        title: of both.
        axis: what violation is drawn against.
        beside: a further question of the same output.

    Returns:
        ``beside``, adjusted for being asked together with the gaps and their change.
    """
    runs = [run for run in study.scored if axis.level(run) and axis.panel(run) and order_of(run)]
    panels = {
        panel: _points([run for run in runs if axis.panel(run) == panel], axis)
        for panel in sorted({str(axis.panel(run)) for run in runs}, key=_natural)
    }
    rows: list[list[Entry]] = [
        [panel, order, x, count, rate]
        for panel, lines in panels.items()
        for order, points in lines.items()
        for x, rate, count in points
    ]
    heads = ["table", "order", axis.label, "runs", "FD violation rate"]
    result.tables.append(Table(name, f"{title}; means over training seeds, 95 % intervals", heads, rows))
    found, change = _gaps(runs, axis)
    beside, change, *at_levels = together([beside, change, *found])
    found = [one for one in at_levels if one is not None]
    result.tables.append(
        contrast_table(
            f"{name}_gaps",
            "Violation rate of dependencies, order fd minus order random, at each level and from the first to the last",
            [("all", one) for one in (*found, *([change] if change else []))],
        )
    )
    what = "the violation rate of dependencies"
    result.answer += [verdict(one, what) for one in found]
    result.answer.append(_growth(found, change))
    if panels:
        path, counts = (
            folder / name,
            [n for lines in panels.values() for points in lines.values() for _, _, n in points],
        )
        intervals = "no intervals" if max(counts) == 1 else "95 % intervals over training seeds"
        said = f"{title}; {intervals}, n = {span(counts)} a point"
        drawn = {
            panel: {order: [(x, rate) for x, rate, _ in points] for order, points in lines.items()}
            for panel, lines in panels.items()
        }
        result.figures[name] = partial(figures.panels, path, said, axis.label, RATE_LABEL, drawn, axis.log_x)
    return beside


def _natural(name: str) -> list[tuple[int, str]]:
    """``b = 5`` before ``b = 15``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _points(runs: Sequence[Run], axis: Axis) -> Points:
    numbers: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        value, place, order, level = run.value(FD_RATE), axis.place(run), order_of(run), axis.level(run)
        if value is not None and place is not None and order is not None and level is not None:
            numbers[order][level].append((place, value))
    return {
        order: sorted(
            (
                sum(place for place, _ in found) / len(found),
                over_seeds([value for _, value in found], (0.0, 1.0)),
                len(found),
            )
            for found in numbers[order].values()
        )
        for order in order_levels(list(numbers))
    }


def _gaps(runs: Sequence[Run], axis: Axis) -> tuple[list[Contrast], Contrast | None]:
    """fd − random at each level, lowest place first, and how the last differs from the first, paired by block and seed."""
    places: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        if (level := axis.level(run)) and (place := axis.place(run)) is not None:
            places[level].append(place)
    levels = sorted(places, key=lambda level: (sum(places[level]) / len(places[level]), level))
    without = [*ORDER_PARAMS, *axis.without]
    values = {
        level: gather([u for u in runs if axis.level(u) == level], order_of, FD_RATE, without, axis.panel)
        for level in levels
    }
    found = [
        one
        for level in levels
        if (one := renamed(contrast(values[level], "fd", "random"), f"order fd ({level})", f"order random ({level})"))
    ]
    known: Mapping[str, Mapping[tuple[tuple[str, str], int], float]] = {
        level: found_gaps for level in levels if (found_gaps := gaps(values[level], "fd", "random"))
    }
    if len(known) < 2:
        return found, None
    first, *_, last = known
    change = contrast(known, last, first)
    return found, renamed(change, f"fd − random ({last})", f"fd − random ({first})")


def _growth(found: Sequence[Contrast], change: Contrast | None) -> str:
    if change is None:
        return f"Not shown at this scale: how the gap between the orders changes, because the records hold both orders at {len(found)} level(s)."
    said = f"{change.first} less {change.second}: {interval_text(change.difference)} over {change.runs} pairs of gaps"
    if change.doubt:
        return f"A change of the gap between the orders is not shown at this scale: {said}; {change.doubt}."
    lead = found[0].difference.value, found[-1].difference.value
    wider = abs(lead[1]) > abs(lead[0])
    return f"The gap between the orders {'widens' if wider else 'narrows'}: {said}."
