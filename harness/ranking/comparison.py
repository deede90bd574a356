"""Generators against each other on the kept datasets: ranks, Elo, pairwise probabilities, Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from harness.errors import TabOrderError, choices
from harness.ranking import statistics as st
from harness.ranking.grouping import Grouped, matrix
from harness.ranking.intervals import (
    LEAST_TABLES,
    chances,
    holm,
    jackknife,
    over_tables,
    p_over_tables,
    share_over_tables,
    welch,
)
from harness.ranking.standings import Pair, Row, sum_seconds
from harness.ranking.statistics import Array, Estimate

LEAST_FOR_ELO = 4
"""Datasets below which Elo's intervals cover less than 93 % (simulation)."""

DEFAULT_ANCHOR = "independent"

MOST_PAIRED = 20
"""With more ranked generators than this, pairs are formed with the leader only."""


@dataclass(frozen=True)
class Comparison:
    """What comparing generators adds to their averages.

    Attributes:
        rows: with ranks, ratings and the front, in the leaderboard's order.
        kept: datasets on which all that compete have an overall score.
        pairs: better first.
        critical_difference: of mean ranks.
        cliques: not told apart by it.
        elo_anchor: what is pinned at 1000.
    """

    rows: Sequence[Row]
    kept: Sequence[str]
    pairs: Sequence[Pair] = ()
    critical_difference: float | None = None
    cliques: Sequence[Sequence[str]] = ()
    elo_anchor: str | None = None


def compare(grouped: Grouped, averages: Sequence[Row]) -> Comparison:
    """Rank the generators that compete, best overall first, reference generators last.

    Raises:
        TabOrderError: when the policy's anchor is not among the generators.
    """
    _anchor(grouped)
    ranked = grouped.ranked
    values = matrix(grouped, grouped.kept, ranked, lambda run: run.overall)
    complete = np.asarray(st.present(values).all(axis=1))
    values = values[complete]
    kept = [dataset for dataset, whole in zip(grouped.kept, complete, strict=True) if whole]
    by_label = {row.label: row for row in averages}
    if (
        grouped.kept and len(ranked) > 1
    ):  # averages over different datasets say nothing of one another, nor does one alone
        by_label |= _on_front([by_label[label] for label in ranked])
    if not kept or len(ranked) < 2:
        return Comparison(_ordered(by_label.values()), kept)
    by_label |= _with_ranks(by_label, ranked, values)
    anchor, ratings = _elo(grouped, kept, ranked)
    by_label |= {label: replace(by_label[label], elo=rating) for label, rating in ratings.items()}
    enough = len(kept) >= LEAST_TABLES
    distance = st.critical_difference(len(ranked), len(kept)) if enough else None
    return Comparison(
        rows=_ordered(by_label.values()),
        kept=kept,
        pairs=_pairs(grouped, ranked, values),
        critical_difference=distance,
        cliques=[] if distance is None else _cliques([by_label[label] for label in ranked], distance),
        elo_anchor=anchor,
    )


def _ordered(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.standing, -_quality(row), row.label))


def _on_front(rows: Sequence[Row]) -> dict[str, Row]:
    front = st.pareto(
        [sum_seconds(row) if row.cost.timed else None for row in rows],
        [None if row.overall is None else row.overall.value for row in rows],
    )
    return {row.label: replace(row, pareto=on) for row, on in zip(rows, front, strict=True)}


def by_rank(rows: Sequence[Row]) -> list[tuple[float, Row]]:
    """(mean rank, row) of the ranked rows, best first."""
    known = [(row.mean_rank.value, row) for row in rows if row.mean_rank is not None]
    return sorted(known, key=lambda item: (item[0], item[1].label))


def _cliques(rows: Sequence[Row], distance: float) -> list[list[str]]:
    ordered = by_rank(rows)
    return [
        [row.label for _, row in ordered[first : last + 1]]
        for first, last in st.cliques([rank for rank, _ in ordered], distance)
    ]


def _quality(row: Row) -> float:
    return -1.0 if row.overall is None else row.overall.value


def _pooled(runs: Array) -> Array:
    """All runs of a generator on one axis, ``(D, L, S) → (L, D·S)``."""
    return np.swapaxes(runs, 0, 1).reshape(runs.shape[1], -1)


def _with_ranks(rows: dict[str, Row], ranked: Sequence[str], values: Array) -> dict[str, Row]:
    """The rows with mean rank and interquartile mean, each with its interval over datasets; without both where these are few."""
    ranks = st.ranks(st.seed_means(values))
    middles = jackknife(lambda some: st.iqm(_pooled(some)), values)
    return {
        label: replace(rows[label], mean_rank=_mean_rank(ranks[:, g], len(ranked)), iqm=middles[g])
        for g, label in enumerate(ranked)
    }


def _mean_rank(ranks: Array, count: int) -> Estimate | None:
    share = share_over_tables(((ranks - 1) / (count - 1)).tolist())
    if share is None or share.low is None or share.high is None:
        return None
    return Estimate(*(1 + (count - 1) * part for part in (share.value, share.low, share.high)))


def _anchor(grouped: Grouped) -> str | None:
    """The label pinned at 1000.

    Raises:
        TabOrderError: when the policy names a generator that is not there.
    """
    names = sorted({(run.generator, run.record.cell.generator) for run in grouped.runs})
    wanted = grouped.policy.anchor
    found = next((label for label, name in names if (wanted or DEFAULT_ANCHOR) in (label, name)), None)
    if found is None and wanted is not None:
        raise TabOrderError(choices(wanted, grouped.labels, "anchor"))
    return found


def _elo(grouped: Grouped, kept: Sequence[str], ranked: Sequence[str]) -> tuple[str, dict[str, Estimate | None]]:
    """Ratings with intervals over datasets, and what was pinned at 1000: the policy's anchor, else the mean of all."""
    anchor = _anchor(grouped)
    players = [*ranked] if anchor is None or anchor in ranked else [*ranked, anchor]
    values = matrix(grouped, kept, players, lambda run: run.overall)
    if anchor is not None and not st.present(values).all():
        anchor, players = None, [*ranked]
        values = matrix(grouped, kept, players, lambda run: run.overall)
    pinned = None if anchor is None else players.index(anchor)
    found: list[Estimate | None] = [None] * len(players)
    if len(kept) >= LEAST_FOR_ELO:
        found = jackknife(lambda some: st.elo(st.wins(st.seed_means(some)), pinned), values)
    if pinned is not None and any(found):
        found[pinned] = Estimate(1000.0)
    return anchor or "the mean of all", dict(zip(players, found, strict=True))


def _pairs(grouped: Grouped, ranked: Sequence[str], values: Array) -> list[Pair]:
    means = st.seed_means(values)
    order = np.argsort(-means.mean(axis=0), kind="stable")
    wanted = list(combinations(order, 2)) if len(ranked) <= MOST_PAIRED else [(order[0], other) for other in order[1:]]
    differences = [_difference(values[:, i], values[:, j]) for i, j in wanted]
    adjusted = holm([p for _, p in differences])
    return [
        Pair(
            first=ranked[i],
            second=ranked[j],
            difference=difference,
            improvement=share_over_tables(st.improvement_by_dataset(values[:, i], values[:, j]).tolist()),
            posterior=chances((means[:, i] - means[:, j]).tolist(), grouped.policy.rope),
            p_value=p,
            p_adjusted=p_adjusted,
        )
        for (i, j), (difference, p), p_adjusted in zip(wanted, differences, adjusted, strict=True)
    ]


def _difference(first: Array, second: Array) -> tuple[Estimate, float | None]:
    """Mean difference of ``(datasets, seeds)`` and its p-value: over datasets, or over the seeds of the only one."""
    if len(first) == 1:
        return welch(*(side[0][~np.isnan(side[0])].tolist() for side in (first, second)))
    by_table = (st.seed_means(first) - st.seed_means(second)).tolist()
    return over_tables(by_table), p_over_tables(by_table)
