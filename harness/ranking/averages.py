"""Averages over datasets and seeds: the leaderboard's rows, before generators are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from harness.ranking import statistics as st
from harness.ranking.families import FAMILIES, headline
from harness.ranking.grouping import Grouped, matrix
from harness.ranking.intervals import Bounds, over_seeds, over_tables
from harness.ranking.policy import Policy
from harness.ranking.runs import Run
from harness.ranking.standings import Costs, Row
from harness.ranking.statistics import Array, Estimate

FD_METRIC = "dependencies.fd_violation_rate"
UNSEEN_METRIC = "dependencies.fd_unseen_rate"


def rows(grouped: Grouped) -> list[Row]:
    """One row per generator, over the kept datasets (over all where none is kept)."""
    over = grouped.kept or grouped.datasets
    columns = _columns(grouped, over)
    return [
        _row(grouped, label, over, {name: column[label] for name, column in columns.items()})
        for label in grouped.labels
    ]


def rows_by_dataset(grouped: Grouped) -> list[Row]:
    """One row per (dataset, generator)."""
    return [
        replace(
            _row(grouped, label, [d], _cell_estimates(group, grouped.policy)),
            dataset=d,
            memorises={name: said for name, said in grouped.memory[label].items() if name == d},
        )
        for (d, label), group in sorted(grouped.by_pair.items())
    ]


def _raw_ml(run: Run) -> float | None:
    score = headline(run.scores, FAMILIES[0].components[0])
    return None if score is None else score.value


COLUMNS: Mapping[str, Callable[[Run], float | None]] = {
    "overall": lambda run: run.overall,
    **{family.key: lambda run, key=family.key: run.families.get(key) for family in FAMILIES},  # type: ignore[misc]
    "fd_violation": lambda run: run.value(FD_METRIC),
    "fd_unseen": lambda run: run.value(UNSEEN_METRIC),
    "ml": _raw_ml,
}
BOUNDS: Mapping[str, Bounds] = {"ml": (None, 1.0)}
"""Of columns that are not shares: the headline ML-efficacy measures, roc_auc and r2, are at most 1."""

RAW = ("fd_violation", "fd_unseen", "ml")
"""Columns in the metric's own unit: no failed cell is counted as 0 there, whatever the policy."""


def _columns(grouped: Grouped, datasets: Sequence[str]) -> dict[str, dict[str, Estimate | None]]:
    """Average every column over datasets: those on which every ranked generator has it, if any."""
    ranked = [grouped.labels.index(label) for label in grouped.ranked]
    found: dict[str, dict[str, Estimate | None]] = {}
    for name, value in columns_of(grouped.policy).items():
        values = matrix(grouped, datasets, grouped.labels, value, filled=name not in RAW + grouped.policy.columns)
        have = st.present(values)
        whole = have[:, ranked].all(axis=1)
        used = values[whole if whole.any() else have.any(axis=1)]
        bounds = (None, None) if name in grouped.policy.columns else BOUNDS.get(name, (0.0, 1.0))
        found[name] = {label: _average(used[:, g], bounds) for g, label in enumerate(grouped.labels)}
    return found


def columns_of(policy: Policy) -> Mapping[str, Callable[[Run], float | None]]:
    """Every column of a row that is averaged: those of all leaderboards, and the scores the policy asks for."""
    return {**COLUMNS, **{name: lambda run, name=name: run.value(name) for name in policy.columns}}  # type: ignore[misc]


def _average(values: Array, bounds: Bounds) -> Estimate | None:
    """Mean of ``(datasets, seeds)``, NaN where absent: over datasets, or over the seeds of the only one."""
    values = values[~np.isnan(values).all(axis=1)]
    if len(values) == 1:
        return over_seeds(values[0][~np.isnan(values[0])].tolist(), bounds)
    return over_tables(st.seed_means(values).tolist(), bounds) if len(values) else None


def _cell_estimates(group: Sequence[Run], policy: Policy) -> dict[str, Estimate | None]:
    found = {name: [v for v in map(value, group) if v is not None] for name, value in columns_of(policy).items()}
    bounds = {**BOUNDS, **dict.fromkeys(policy.columns, (None, None))}
    return {
        name: over_seeds(values, bounds.get(name, (0.0, 1.0))) if values else None for name, values in found.items()
    }


def _row(grouped: Grouped, label: str, datasets: Sequence[str], found: Mapping[str, Estimate | None]) -> Row:
    group = [run for dataset in datasets for run in grouped.by_pair.get((dataset, label), ())]
    everywhere = [run for dataset in grouped.datasets for run in grouped.by_pair.get((dataset, label), ())]
    counted = group if len(datasets) == 1 else everywhere
    scored = [run for run in group if run.scored]
    measured = [headline(run.scores, FAMILIES[0].components[0]) for run in scored]
    return Row(
        label=label,
        reference=label in grouped.references and label not in grouped.ranked,
        dataset=None,
        overall=found["overall"],
        families={f.key: estimate for f in FAMILIES if (estimate := found[f.key]) is not None},
        cost=costs(scored),
        n_datasets=len({run.dataset for run in scored}),
        n_seeds=len({run.record.cell.seed for run in scored}),
        n_cells=len(counted),
        failures=dict(sorted(Counter(u.record.status for u in counted if u.record.status != "ok").items())),
        fd_violation=found["fd_violation"],
        fd_unseen=found["fd_unseen"],
        memorises=grouped.memory[label],
        columns={name: found[name] for name in grouped.policy.columns},
        ml=found["ml"],
        ml_measures=tuple(sorted({score.metric for score in measured if score is not None})),
    )


def costs(scored: Sequence[Run]) -> Costs:
    """Cost of the cells that ended with a table."""
    records = [run.record for run in scored]
    fit = [r.cost.fit_seconds for r in records if r.cost.fit_seconds is not None]
    sample = [r.cost.sample_seconds for r in records if r.cost.sample_seconds is not None]
    memory = [r.cost.peak_memory_bytes for r in records if r.cost.peak_memory_bytes is not None]
    on_gpu = [r.cost.peak_gpu_memory_bytes for r in records if r.cost.peak_gpu_memory_bytes is not None]
    rows = [r.yield_ for r in records if r.yield_ is not None]
    tokens = [y.tokens for y in rows if y.tokens is not None]
    attempted = sum(y.attempted for y in rows)
    return Costs(
        fit_seconds=fmean(fit) if fit else None,
        sample_seconds=fmean(sample) if sample else None,
        peak_memory_bytes=max(memory) if memory else None,
        peak_gpu_memory_bytes=max(on_gpu) if on_gpu else None,
        tokens=fmean(tokens) if tokens else None,
        yield_share=sum(y.accepted for y in rows) / attempted if attempted else None,
    )
