"""What decoding changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from harness.experiments.contrasts import Factor, contrast, contrast_table, gather, renamed, together, verdict
from harness.experiments.study import (
    FD_RATE,
    METRICS,
    ORDER_PARAMS,
    RATE_LABEL,
    Result,
    Study,
    evidence,
    means_by,
    means_table,
    order_levels,
    order_of,
    param,
)
from harness.ranking.intervals import over_seeds
from harness.ranking.runs import Run
from harness.ranking.statistics import Estimate
from harness.report.figures import plots as figures
from harness.report.tables import Table, file_name

DECODING = ("decoding", "temperature", "top_k", "top_p")


def ablation_decoding(study: Study, folder: Path) -> Result:
    """What do decoding modes and temperatures change, in quality and in yield?"""
    names = [name for name in DECODING if len({param(run, name) for run in study.scored if order_of(run)}) > 1]
    result = Result("What does decoding change: quality, yield, seconds?")

    def mode(run: Run) -> str | None:
        if order_of(run) is None:
            return None
        return ", ".join(f"{name}={param(run, name)}" for name in names) or "the only decoding"

    levels = sorted({level for run in study.scored if (level := mode(run)) is not None}, key=_rank)
    result.tables = [_cost_table(study, mode, levels)]
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
    baseline = next((level for level in levels if _is_baseline(level)), levels[0] if levels else "")
    orders = order_levels(sorted({order for run in study.scored if (order := order_of(run)) is not None}))
    found = []
    for order in orders:
        values = gather([run for run in study.scored if order_of(run) == order], mode, FD_RATE, DECODING)
        for level in levels:
            one = contrast(values, level, baseline) if level != baseline else None
            found.append((order, renamed(one, level, f"{baseline} (order {order})")))
    by_level = {
        level: contrast(
            gather([u for u in study.scored if mode(u) == level], order_of, FD_RATE, ORDER_PARAMS), "fd", "random"
        )
        for level in levels
    }
    adjusted = together([*(one for _, one in found), *by_level.values()])
    found = [(order, one) for (order, _), one in zip(found, adjusted, strict=False)]
    by_level = dict(zip(by_level, adjusted[len(found) :], strict=True))
    title = "Violation rate of dependencies, paired differences between decodings at each order"
    result.tables.append(contrast_table("contrasts", title, found))
    result.answer = [verdict(one, "the violation rate of dependencies") for _, one in found if one] or [
        "Not shown at this scale: the records hold a single decoding."
    ]
    result.answer += [
        f"With {level}: " + verdict(renamed(one, "order fd", "order random"), "the violation rate of dependencies")
        for level, one in by_level.items()
        if one is not None
    ]
    result.answer.append(evidence(study))
    _figure(study, folder, result, mode, levels, orders)
    return result


def _figure(
    study: Study, folder: Path, result: Result, mode: Factor, levels: Sequence[str], orders: Sequence[str]
) -> None:
    """Bars by table and decoding, one colour an order."""
    values: dict[str, dict[str, dict[str, Estimate]]] = {}
    for order in orders:
        means = means_by(study, lambda run, order=order: mode(run) if order_of(run) == order else None, FD_RATE)  # type: ignore[misc]
        for dataset, found in means.items():
            values.setdefault(dataset, {})[order] = found
    for dataset, by_order in sorted(values.items()):
        path = folder / file_name("violation_by_decoding", dataset)
        series = {
            f"order {order}": [by_order[order].get(level) for level in levels] for order in orders if order in by_order
        }
        short = [level.replace("decoding=", "").replace("temperature=", "T ") for level in levels]
        title = f"{dataset}: violation of curated dependencies by decoding; {study.means(dataset)}"
        result.figures[path.name] = partial(figures.bars, path, title, RATE_LABEL, short, series)


def _rank(level: str) -> tuple[int, str]:
    """Decodings from free to most constrained, then by temperature."""
    modes = ("free", "template", "constrained", "fd_constrained")
    named = next((i for i, mode in enumerate(modes) if f"decoding={mode}" in level.split(", ")), len(modes))
    return named, level


def _is_baseline(level: str) -> bool:
    """Template decoding at the model's own temperature."""
    parts = dict(part.split("=", 1) for part in level.split(", ") if "=" in part)
    return parts.get("decoding", "template") == "template" and float(parts.get("temperature", 1.0)) == 1.0


def _cost_table(study: Study, factor: Callable[[Run], str | None], levels: Sequence[str]) -> Table:
    rows: list[list[str | int | float | Estimate | None]] = []
    for level in levels:
        records = [run.record for run in study.scored if factor(run) == level]
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
