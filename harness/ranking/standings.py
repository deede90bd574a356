"""Units → standings: one row per generator with intervals, ranks and cost, and one row per (dataset, generator).

Pure functions of records; :mod:`harness.leaderboard` writes what is built here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from harness.errors import TabOrderError, choices
from harness.ranking import statistics as st
from harness.ranking.families import FAMILIES, headline
from harness.ranking.intervals import Bounds, Chances, over_seeds, over_tables
from harness.ranking.memorisation import findings_by_dataset
from harness.ranking.runs import Unit, units
from harness.ranking.statistics import LEVEL, Array, Estimate
from harness.records.record import Record

if TYPE_CHECKING:
    import pandas as pd

Missing = Literal["floor", "drop", "worst"]

REFERENCES = ("copy", "independent", "bootstrap", "noisy_copy", "smote", "typical_rows", "oracle")
"""Generators that mark the ends and the traps of the scale; shown, not ranked."""

FD_METRIC = "dependencies.fd_violation_rate"
UNSEEN_METRIC = "dependencies.fd_unseen_rate"
ROPE = 0.01


@dataclass(frozen=True)
class Policy:
    """How to aggregate.

    Attributes:
        missing: ``floor`` counts each failed or absent cell as the floor, 0: what a generator cannot do helps it nowhere. ``drop``
            leaves out, for all generators, each dataset on which some generator has no scored cell, and so hides failures.
            ``worst`` counts the worst normalised score there is, 0 as well.
        anchor: generator (name or label) whose Elo rating is 1000; ``None``: ``independent`` where there is one, else the mean.
        rope: differences in the overall score below this count as practically equal.
        families: keys of the families that make the overall score; empty: all that the tables have.
        columns: further scores to show, by name, as they are.
    """

    missing: Missing = "floor"
    anchor: str | None = None
    rope: float = ROPE
    families: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.missing not in get_args(Missing):
            raise TabOrderError(choices(self.missing, get_args(Missing), "missing policy"))
        if not 0 <= self.rope < 1:
            raise TabOrderError(f"rope={self.rope} is not possible: give a number from 0 to below 1, e.g. {ROPE}.")


@dataclass(frozen=True)
class Costs:
    """Mean seconds and tokens per scored cell, greatest memory, and accepted/attempted rows; ``None`` where unknown."""

    fit_seconds: float | None
    sample_seconds: float | None
    peak_memory_bytes: int | None
    peak_gpu_memory_bytes: int | None
    tokens: float | None
    yield_share: float | None

    @property
    def timed(self) -> bool:
        """Whether the seconds of both fit and sample are known."""
        return self.fit_seconds is not None and self.sample_seconds is not None


@dataclass(frozen=True)
class Row:
    """One generator, over all kept datasets (``dataset`` is ``None``) or on one dataset.

    Attributes:
        overall: mean of the quality families' normalised scores (0 like independent columns, 1 like real rows).
        families: normalised score per family key.
        mean_rank: among ranked generators over the kept datasets, 1 is best.
        elo: Bradley–Terry rating; the policy's anchor has 1000.
        fd_violation: raw mean violation rate of the curated FDs (lower is better).
        ml: raw headline ML-efficacy measure, whose names are in ``ml_measures``.
        failures: number of cells per status other than ``ok`` (``short_yield`` included, although it is scored).
        fd_unseen: raw mean share of rows whose left side no training row has.
        memorises: what speaks for memorised training rows, in words, by dataset.
        columns: the scores that the policy asks for, raw.
        pareto: no other ranked generator is both cheaper (fit + sample seconds) and better overall.
    """

    label: str
    reference: bool
    dataset: str | None
    overall: Estimate | None
    families: Mapping[str, Estimate]
    cost: Costs
    n_datasets: int
    n_seeds: int
    n_cells: int
    failures: Mapping[str, int]
    fd_violation: Estimate | None = None
    ml: Estimate | None = None
    ml_measures: tuple[str, ...] = ()
    iqm: Estimate | None = None
    mean_rank: Estimate | None = None
    elo: Estimate | None = None
    pareto: bool = False
    fd_unseen: Estimate | None = None
    memorises: Mapping[str, Sequence[str]] = field(default_factory=dict)
    columns: Mapping[str, Estimate | None] = field(default_factory=dict)

    @property
    def standing(self) -> int:
        """0 for generators that compete, 1 for those that memorise, 2 for references: each stands below a line of its own."""
        return 2 if self.reference else 1 if self.memorises else 0

    def flat(self) -> dict[str, Any]:
        """The row as plain values: every estimate as ``name, name_low, name_high``, ``None`` where undefined."""
        estimates: dict[str, Estimate | None] = {
            "overall": self.overall,
            **{family.key: self.families.get(family.key) for family in FAMILIES},
            "fd_violation_rate": self.fd_violation,
            "fd_unseen_rate": self.fd_unseen,
            "ml_efficacy_raw": self.ml,
            "iqm": self.iqm,
            "mean_rank": self.mean_rank,
            "elo": self.elo,
            **self.columns,
        }
        flat: dict[str, Any] = {"dataset": self.dataset or "all", "generator": self.label, "reference": self.reference}
        for name, found in estimates.items():
            for part, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
                number = None if found is None else getattr(found, part)
                flat[name + suffix] = None if number is None else round(number, 6)
        flat |= {
            "ml_efficacy_measures": " ".join(self.ml_measures),
            **asdict(self.cost),
            "pareto": self.pareto,
            "memorises": "; ".join(f"{dataset}: {', '.join(found)}" for dataset, found in self.memorises.items()),
            "datasets": self.n_datasets,
            "seeds": self.n_seeds,
            "cells": self.n_cells,
            "failures": " ".join(f"{status}={count}" for status, count in self.failures.items()),
        }
        return flat


@dataclass(frozen=True)
class Pair:
    """Two generators compared on the kept datasets.

    Attributes:
        first: the better one on average.
        second: the other.
        difference: of the overall score, first − second.
        improvement: chance that a run of first beats a run of second on one of these datasets; ``None`` below three.
        posterior: after these datasets; ``None`` where they are too few (:func:`harness.ranking.intervals.chances`).
        p_value: two-sided, of no difference; ``None`` where there is no interval.
        p_adjusted: the same by Holm over all pairs.
    """

    first: str
    second: str
    difference: Estimate
    improvement: Estimate | None
    posterior: Chances | None
    p_value: float | None
    p_adjusted: float | None

    @property
    def shown(self) -> bool:
        """Whether the difference counts as shown."""
        return self.p_adjusted is not None and self.p_adjusted <= 1 - LEVEL


@dataclass(frozen=True)
class Standings:
    """Everything the leaderboard, report and figures show.

    Attributes:
        policy: how it was aggregated.
        units: all records, labelled.
        datasets: all dataset labels.
        kept: those that enter averages and ranks.
        labels: all generator labels.
        ranked: those that compete: all but the references (unless there are no others), those that memorise and, under
            ``missing=drop``, ``empty``.
        empty: generators without any scored cell, which would otherwise have every dataset dropped.
        rows: one per generator, best first, references last.
        by_dataset: one per (dataset, generator).
        pairs: comparisons, better first.
        missing: (dataset, generator) pairs without any scored cell.
        critical_difference: Nemenyi's, of mean ranks; ``None`` with fewer than two kept datasets or generators.
        cliques: groups of generators whose mean ranks lie within it, best first.
        elo_anchor: what is pinned at 1000.
        cells: units by (dataset, generator).
        references: generators that mark ends and traps of the scale.
        memory: what speaks for memorised rows, by generator and dataset.
    """

    policy: Policy
    units: Sequence[Unit]
    datasets: Sequence[str]
    kept: Sequence[str]
    labels: Sequence[str]
    ranked: Sequence[str]
    empty: Sequence[str] = ()
    rows: Sequence[Row] = ()
    by_dataset: Sequence[Row] = ()
    pairs: Sequence[Pair] = ()
    missing: Sequence[tuple[str, str]] = ()
    critical_difference: float | None = None
    cliques: Sequence[Sequence[str]] = ()
    elo_anchor: str | None = None
    cells: Mapping[tuple[str, str], Sequence[Unit]] = field(default_factory=dict)
    references: Sequence[str] = ()
    memory: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    def to_frame(self, *, by_dataset: bool = False) -> pd.DataFrame:
        """One row a generator, best first and references last, with the columns of ``leaderboard.csv``.

        Args:
            by_dataset: one row a (dataset, generator) instead, as in ``leaderboard_by_dataset.csv``.
        """
        import pandas as pd

        frame = pd.DataFrame([row.flat() for row in (self.by_dataset if by_dataset else self.rows)])
        return frame.set_index(["dataset", "generator"] if by_dataset else "generator")

    def _repr_html_(self) -> str:
        shown = ["overall", *(family.key for family in FAMILIES), "mean_rank", "cells"]
        return str(self.to_frame()[shown].to_html(na_rep="–", float_format="{:.3f}".format))


def collect(records: Iterable[Record], policy: Policy) -> Standings:
    """Group records into cells and average them; :func:`harness.ranking.comparison.compare` adds ranks.

    Raises:
        TabOrderError: when there is no record.
    """
    found = units(records, policy.families)
    if not found:
        raise TabOrderError("there are no records to aggregate: run a sweep into this store first.")
    for name in policy.columns:
        if not any(name in unit.scores for unit in found):
            raise TabOrderError(choices(name, sorted({metric for unit in found for metric in unit.scores}), "score"))
    cells: dict[tuple[str, str], list[Unit]] = defaultdict(list)
    for unit in found:
        cells[unit.dataset, unit.generator].append(unit)
    datasets = sorted({unit.dataset for unit in found})
    references = {unit.generator for unit in found if unit.record.cell.generator in REFERENCES}
    labels = sorted({unit.generator for unit in found})
    tabled = {unit.generator for unit in found if unit.scored}
    empty = [label for label in labels if label not in tabled and policy.missing == "drop"]
    by_pair = {pair: [unit.record for unit in group if unit.scored] for pair, group in cells.items()}
    memory = {label: findings_by_dataset(by_pair, label) for label in labels}
    ranked = [label for label in labels if label not in references and label not in empty]
    ranked = [label for label in ranked if not memory[label]] if ranked else labels
    empty = [label for label in empty if label not in ranked]
    absent = [(d, g) for d in datasets for g in labels if not any(unit.scored for unit in cells.get((d, g), ()))]
    broken = {d for d, g in absent if g in ranked}
    kept = [d for d in datasets if policy.missing != "drop" or d not in broken]
    board = Standings(
        policy,
        found,
        datasets,
        kept,
        labels,
        ranked,
        empty,
        references=sorted(references),
        missing=absent,
        cells=dict(cells),
        memory=memory,
    )
    columns = _columns(board, kept or datasets)
    rows = [
        _row(board, label, kept or datasets, {name: column[label] for name, column in columns.items()})
        for label in labels
    ]
    by_dataset = [
        replace(
            _row(board, label, [d], _cell_estimates(group, policy)),
            dataset=d,
            memorises={name: said for name, said in memory[label].items() if name == d},
        )
        for (d, label), group in sorted(cells.items())
    ]
    return replace(board, rows=rows, by_dataset=by_dataset)


def matrix(
    board: Standings, datasets: Sequence[str], labels: Sequence[str], value: Callable[[Unit], float | None]
) -> Array:
    """Values as ``(datasets, labels, seeds)``, NaN-padded. But for ``missing=drop`` a failed or absent cell counts 0 wherever
    another generator has a value on that dataset."""
    lists: dict[tuple[int, int], list[float]] = {}
    for d, dataset in enumerate(datasets):
        defined = False
        for g, label in enumerate(labels):
            group = board.cells.get((dataset, label), ())
            values = [value(unit) for unit in group]
            lists[d, g] = [number for number in values if number is not None]
            defined = defined or bool(lists[d, g])
        if defined and board.policy.missing != "drop":
            for g, label in enumerate(labels):
                if label in board.references and label not in board.ranked:
                    continue
                group = board.cells.get((dataset, label), ())
                lists[d, g] += [0.0] * (sum(value(unit) is None for unit in group) if group else 1)
    depth = max((len(values) for values in lists.values()), default=0)
    result = np.full((len(datasets), len(labels), max(depth, 1)), np.nan)
    for (d, g), numbers in lists.items():
        result[d, g, : len(numbers)] = numbers
    return result


def _raw_ml(unit: Unit) -> float | None:
    score = headline(unit.scores, FAMILIES[0].components[0])
    return None if score is None else score.value


COLUMNS: Mapping[str, Callable[[Unit], float | None]] = {
    "overall": lambda unit: unit.overall,
    **{family.key: lambda unit, key=family.key: unit.families.get(key) for family in FAMILIES},  # type: ignore[misc]
    "fd_violation": lambda unit: unit.value(FD_METRIC),
    "fd_unseen": lambda unit: unit.value(UNSEEN_METRIC),
    "ml": _raw_ml,
}
BOUNDS: Mapping[str, Bounds] = {"ml": (None, 1.0)}
"""Of columns that are not shares: the headline ML-efficacy measures, roc_auc and r2, are at most 1."""

RAW = ("fd_violation", "fd_unseen", "ml")
"""Columns in the metric's own unit: no failed cell is counted as 0 there, whatever the policy."""


def _columns(board: Standings, datasets: Sequence[str]) -> dict[str, dict[str, Estimate | None]]:
    """Average every column over datasets: those on which every ranked generator has it, if any."""
    ranked = [board.labels.index(label) for label in board.ranked]
    found: dict[str, dict[str, Estimate | None]] = {}
    for name, value in columns_of(board.policy).items():
        policy = replace(board.policy, missing="drop") if name in RAW + board.policy.columns else board.policy
        values = matrix(replace(board, policy=policy), datasets, board.labels, value)
        have = st.present(values)
        whole = have[:, ranked].all(axis=1)
        used = values[whole if whole.any() else have.any(axis=1)]
        bounds = (None, None) if name in board.policy.columns else BOUNDS.get(name, (0.0, 1.0))
        found[name] = {label: _average(used[:, g], bounds) for g, label in enumerate(board.labels)}
    return found


def columns_of(policy: Policy) -> Mapping[str, Callable[[Unit], float | None]]:
    """Every column of a row that is averaged: those of all leaderboards, and the scores the policy asks for."""
    return {**COLUMNS, **{name: lambda unit, name=name: unit.value(name) for name in policy.columns}}  # type: ignore[misc]


def _average(values: Array, bounds: Bounds) -> Estimate | None:
    """Mean of ``(datasets, seeds)``, NaN where absent: over datasets, or over the seeds of the only one."""
    values = values[~np.isnan(values).all(axis=1)]
    if len(values) == 1:
        return over_seeds(values[0][~np.isnan(values[0])].tolist(), bounds)
    return over_tables(st.seed_means(values).tolist(), bounds) if len(values) else None


def _cell_estimates(group: Sequence[Unit], policy: Policy) -> dict[str, Estimate | None]:
    found = {name: [v for v in map(value, group) if v is not None] for name, value in columns_of(policy).items()}
    bounds = {**BOUNDS, **dict.fromkeys(policy.columns, (None, None))}
    return {
        name: over_seeds(values, bounds.get(name, (0.0, 1.0))) if values else None for name, values in found.items()
    }


def _row(board: Standings, label: str, datasets: Sequence[str], found: Mapping[str, Estimate | None]) -> Row:
    group = [unit for dataset in datasets for unit in board.cells.get((dataset, label), ())]
    everywhere = [unit for dataset in board.datasets for unit in board.cells.get((dataset, label), ())]
    counted = group if len(datasets) == 1 else everywhere
    scored = [unit for unit in group if unit.scored]
    measured = [headline(unit.scores, FAMILIES[0].components[0]) for unit in scored]
    return Row(
        label=label,
        reference=label in board.references and label not in board.ranked,
        dataset=None,
        overall=found["overall"],
        families={f.key: estimate for f in FAMILIES if (estimate := found[f.key]) is not None},
        cost=costs(scored),
        n_datasets=len({unit.dataset for unit in scored}),
        n_seeds=len({unit.record.cell.seed for unit in scored}),
        n_cells=len(counted),
        failures=dict(sorted(Counter(u.record.status for u in counted if u.record.status != "ok").items())),
        fd_violation=found["fd_violation"],
        fd_unseen=found["fd_unseen"],
        memorises=board.memory[label],
        columns={name: found[name] for name in board.policy.columns},
        ml=found["ml"],
        ml_measures=tuple(sorted({score.metric for score in measured if score is not None})),
    )


def costs(scored: Sequence[Unit]) -> Costs:
    """Cost of the cells that ended with a table."""
    records = [unit.record for unit in scored]
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


def sum_seconds(row: Row) -> float:
    """Seconds of fit and sample per cell of a row that has both."""
    return (row.cost.fit_seconds or 0.0) + (row.cost.sample_seconds or 0.0)
