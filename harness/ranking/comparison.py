"""Generators against each other on the kept datasets: ranks, Elo, pairwise probabilities, Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from harness.errors import TabOrderError, choices
from harness.ranking import statistics as st
from harness.ranking.standings import Pair, Policy, Row, Standings, matrix, sum_seconds
from harness.ranking.statistics import Array, Estimate
from harness.seeding import rng

FEW_DRAWS = 300
"""Bootstrap draws behind Elo intervals, each an iterative fit, and behind those over single runs when these are many."""

MOST_RUNS = 5_000_000
"""Resampled runs beyond which only :data:`FEW_DRAWS` draws of them are kept."""

DEFAULT_ANCHOR = "independent"

MOST_PAIRED = 20
"""With more ranked generators than this, pairs are formed with the leader only."""


def compare(board: Standings) -> Standings:
    """Return the standings with rows ranked and ordered: best overall first, reference generators last.

    Raises:
        TabOrderError: when the policy's anchor is not among the generators.
    """
    _anchor(board)
    ranked = board.ranked
    values = matrix(board, board.kept, ranked, lambda unit: unit.overall)
    complete = np.asarray(st.present(values).all(axis=1))
    values = values[complete]
    kept = [dataset for dataset, whole in zip(board.kept, complete, strict=True) if whole]
    by_label = {row.label: row for row in board.rows}
    pairs: list[Pair] = []
    distance, anchor = None, None
    groups: list[list[str]] = []
    if kept and len(ranked) > 1:
        samples, runs = _resampled(board.policy, values)
        by_label |= _with_ranks(by_label, ranked, values, samples, runs)
        if len(kept) > 1:
            distance = st.critical_difference(len(ranked), len(kept))
            groups = _cliques([by_label[label] for label in ranked], distance)
        anchor, ratings = _elo(board, kept, ranked)
        by_label |= {label: replace(by_label[label], elo=rating) for label, rating in ratings.items()}
        pairs = _pairs(board, ranked, values, samples, runs)
    front = st.pareto(
        [sum_seconds(row) if (row := by_label[label]).cost.timed else None for label in ranked],
        [None if (found := by_label[label].overall) is None else found.value for label in ranked],
    )
    if board.kept:  # averages over different datasets say nothing of one another
        by_label |= {label: replace(by_label[label], pareto=on) for label, on in zip(ranked, front, strict=True)}
    ordered = sorted(by_label.values(), key=lambda row: (row.reference, -_quality(row), row.label))
    return replace(
        board,
        rows=ordered,
        kept=kept,
        pairs=pairs,
        critical_difference=distance,
        cliques=groups,
        elo_anchor=anchor,
    )


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


def _resampled(policy: Policy, values: Array) -> tuple[Array, Array]:
    """Bootstrap seed means ``(draws, D, L)`` and the runs behind the first of them ``(draws, D, L, S)``."""
    kept = policy.draws if values.size * policy.draws <= MOST_RUNS else min(policy.draws, FEW_DRAWS)
    means, runs, count = [], [], 0
    for block in st.resampled_runs(values, policy.draws, rng(policy.seed, "leaderboard", "ranks")):
        means.append(st.seed_means(block))
        if count < kept:
            runs.append(block[: kept - count])
        count += len(block)
    return np.concatenate(means), np.concatenate(runs)


def _pooled(runs: Array) -> Array:
    """All runs of a generator on one axis, ``(…, D, L, S) → (…, L, D·S)``."""
    moved = np.swapaxes(runs, -3, -2)
    return moved.reshape(*moved.shape[:-2], -1)


def _with_ranks(
    rows: dict[str, Row], ranked: Sequence[str], values: Array, samples: Array, runs: Array
) -> dict[str, Row]:
    mean_ranks = st.ranks(st.seed_means(values)).mean(axis=0)
    drawn = st.ranks(samples).mean(axis=1)
    middle, middles = st.iqm(_pooled(values)), st.iqm(_pooled(runs))
    return {
        label: replace(
            rows[label],
            mean_rank=st.estimate(float(mean_ranks[g]), drawn[:, g]),
            iqm=st.estimate(float(middle[g]), middles[:, g]),
        )
        for g, label in enumerate(ranked)
    }


def _anchor(board: Standings) -> str | None:
    """The label pinned at 1000.

    Raises:
        TabOrderError: when the policy names a generator that is not there.
    """
    names = sorted({(unit.generator, unit.record.cell.generator) for unit in board.units})
    wanted = board.policy.anchor
    found = next((label for label, name in names if (wanted or DEFAULT_ANCHOR) in (label, name)), None)
    if found is None and wanted is not None:
        raise TabOrderError(choices(wanted, board.labels, "anchor"))
    return found


def _elo(board: Standings, kept: Sequence[str], ranked: Sequence[str]) -> tuple[str, dict[str, Estimate]]:
    """Ratings with bootstrap intervals, and what was pinned at 1000: the policy's anchor, else the mean of all."""
    anchor = _anchor(board)
    players = [*ranked] if anchor is None or anchor in ranked else [*ranked, anchor]
    values = matrix(board, kept, players, lambda unit: unit.overall)
    if anchor is not None and not st.present(values).all():
        anchor, players = None, [*ranked]
        values = matrix(board, kept, players, lambda unit: unit.overall)
    draws = min(board.policy.draws, FEW_DRAWS)
    samples = st.hierarchical_bootstrap(values, draws, rng(board.policy.seed, "leaderboard", "elo"))
    pinned = None if anchor is None else players.index(anchor)
    won = np.concatenate(
        [st.wins(block) for block in np.array_split(samples, max(1, samples.size * len(players) // 5_000_000))]
    )
    drawn, value = st.elo(won, pinned), st.elo(st.wins(st.seed_means(values)), pinned)
    return anchor or "the mean of all", {
        label: st.estimate(float(value[g]), drawn[:, g]) for g, label in enumerate(players)
    }


def _pairs(board: Standings, ranked: Sequence[str], values: Array, samples: Array, runs: Array) -> list[Pair]:
    means = st.seed_means(values)
    order = np.argsort(-means.mean(axis=0), kind="stable")
    wanted = list(combinations(order, 2)) if len(ranked) <= MOST_PAIRED else [(order[0], other) for other in order[1:]]
    weights = st.posterior_weights(len(means), rng(board.policy.seed, "leaderboard", "signed rank"))
    result = []
    for i, j in wanted:
        difference = means[:, i] - means[:, j]
        better = st.improvement_by_dataset(values[:, i], values[:, j]).mean()
        redrawn = st.improvement_by_dataset(runs[:, :, i], runs[:, :, j]).mean(axis=1)
        result.append(
            Pair(
                ranked[i],
                ranked[j],
                st.estimate(float(difference.mean()), (samples[:, :, i] - samples[:, :, j]).mean(axis=1)),
                st.estimate(float(better), redrawn),
                st.bayesian_signed_rank(difference, board.policy.rope, weights),
            )
        )
    return result
