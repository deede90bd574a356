"""What decoding changes, and how violation grows with the difficulty of the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from harness import figures
from harness.experiments.study import (
    FD_RATE,
    METRICS,
    Contrast,
    Result,
    Study,
    contrast,
    contrast_table,
    evidence,
    gather,
    interval_text,
    means_by,
    means_table,
    order_of,
    param,
    verdict,
)
from harness.experiments.tables import Entry, Table
from harness.standings import over_seeds
from harness.statistics import Estimate
from harness.units import Unit, flatten

DECODING = ("decoding", "temperature", "top_k", "top_p")


def ablation_decoding(study: Study, folder: Path) -> Result:
    """What do decoding modes and temperatures change, in quality and in yield?"""
    names = [name for name in DECODING if len({param(unit, name) for unit in study.scored if order_of(unit)}) > 1]
    result = Result("What does decoding change: quality, yield, seconds?")

    def mode(unit: Unit) -> str | None:
        if order_of(unit) is None:
            return None
        return ", ".join(f"{name}={param(unit, name)}" for name in names) or "the only decoding"

    levels = sorted({level for unit in study.scored if (level := mode(unit)) is not None})
    result.tables = [_cost_table(study, mode, levels)]
    found: list[Contrast | None] = []
    for metric, lower in METRICS:
        means = means_by(study, mode, metric)
        if means:
            result.tables.append(
                means_table(
                    f"{metric.replace('.', '_')}_by_decoding",
                    f"{metric} by decoding ({'lower' if lower else 'higher'} is better), means over runs",
                    means,
                    levels,
                )
            )
    values = gather(study.scored, mode, FD_RATE, DECODING)
    baseline = next((level for level in levels if "decoding=template" in level), levels[0] if levels else "")
    found = [contrast(values, level, baseline, study.policy) for level in levels if level != baseline]
    result.tables.append(
        contrast_table("contrasts", f"Violation rate of dependencies, paired differences against {baseline}", found)
    )
    result.answer = [verdict(c, "the violation rate of dependencies") for c in found if c] or [
        "Not shown at this scale: the records hold a single decoding."
    ]
    result.answer.append(evidence(study))
    means = means_by(study, mode, FD_RATE)
    if means:
        groups = sorted(means)
        path = folder / "violation_by_decoding"
        series = {level: [means[d].get(level) for d in groups] for level in levels}
        result.figures[path.name] = partial(
            figures.bars,
            path,
            "Violation of curated dependencies by decoding, 95 % intervals",
            "FD violation rate",
            groups,
            series,
        )
    return result


def _cost_table(study: Study, factor: Callable[[Unit], str | None], levels: Sequence[str]) -> Table:
    rows: list[list[str | int | float | Estimate | None]] = []
    for level in levels:
        records = [unit.record for unit in study.scored if factor(unit) == level]
        attempted = sum(r.yield_.attempted for r in records if r.yield_ is not None)
        accepted = sum(r.yield_.accepted for r in records if r.yield_ is not None)
        seconds = [r.cost.sample_seconds for r in records if r.cost.sample_seconds is not None]
        rows.append(
            [level, len(records), accepted / attempted if attempted else None, over_seeds(seconds) if seconds else None]
        )
    return Table(
        "yield_and_cost",
        "Accepted rows of attempted, and seconds of sampling per run",
        ["decoding", "runs", "yield", "sample seconds"],
        rows,
    )


def _difficulty(study: Study, folder: Path, parameter: str, xlabel: str, name: str, question: str) -> Result:
    """Violation against a parameter of the dataset, one line per generator."""
    result = Result(question)
    values: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for unit in study.scored:
        place, value = flatten(unit.record.cell.dataset_params).get(parameter), unit.value(FD_RATE)
        if place is not None and value is not None and unit.generator in study.board.ranked:
            values[f"{order_of(unit)} order" if order_of(unit) else unit.record.cell.generator][float(place)].append(
                value
            )
    series = {
        label: [(x, over_seeds(found, (0.0, 1.0))) for x, found in sorted(points.items())]
        for label, points in sorted(values.items())
    }
    rows: list[list[Entry]] = [[label, x, e] for label, points in series.items() for x, e in points]
    result.tables = [
        Table(
            "violation",
            f"Violation rate of dependencies by {xlabel} (our design), means over runs, 95 % intervals",
            ["generator", xlabel, "FD violation rate"],
            rows,
        )
    ]
    for label, points in series.items():
        (first, start), (last, end) = points[0], points[-1]
        if first == last:
            result.answer.append(f"Not shown at this scale: {label} was run at one value of {xlabel} only.")
            continue
        rise = end.value - start.value
        apart = (
            start.high is not None
            and end.low is not None
            and (end.low > start.high or (end.high or 0) < (start.low or 0))
        )
        result.answer.append(
            f"{label}: from {interval_text(start)} at {first:g} to {interval_text(end)} at {last:g}, a change of {rise:+.3g}; "
            + (
                "the intervals are apart."
                if apart
                else "not shown at this scale: the intervals overlap or are lacking."
            )
        )
    if not series:
        result.answer.append(f"Not shown at this scale: no scored record states the dataset parameter '{parameter}'.")
    result.answer.append(evidence(study))
    if series:
        path = folder / name
        result.figures[path.name] = partial(
            figures.lines, path, f"{question} (our design)", xlabel, "FD violation rate", series
        )
    return result


def difficulty_context(study: Study, folder: Path) -> Result:
    """Violation against the number of context columns."""
    return _difficulty(
        study,
        folder,
        "context_columns",
        "context columns",
        "rq_context_difficulty",
        "How does violation grow with added context columns?",
    )


def difficulty_statistic(study: Study, folder: Path) -> Result:
    """Violation against the number of distinct values."""
    return _difficulty(
        study,
        folder,
        "base",
        "base b of the chain (8b values)",
        "rq_statistic_difficulty",
        "How does violation grow with the number of values?",
    )
