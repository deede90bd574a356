"""The two ends of the scale as rows of the leaderboard: held-out real rows and independently resampled columns."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean
from typing import Literal

from harness.ranking.averages import FD_METRIC, UNSEEN_METRIC
from harness.ranking.families import FAMILIES, headline
from harness.ranking.runs import Run
from harness.ranking.standings import Costs, Row, Standings
from harness.ranking.statistics import Estimate
from harness.records.record import Score

Anchor = Literal["real", "floor"]
NAMES: dict[Anchor, str] = {"real": "real rows (held out)", "floor": "independent columns"}
NOTHING = Costs(None, None, None, None, None, None)


def anchor_rows(standings: Standings) -> list[Row]:
    """What *real* and *floor* score on the kept datasets: 1 and 0 in every family, and their raw values."""
    return [_row(standings, anchor) for anchor in NAMES]


def _row(standings: Standings, anchor: Anchor) -> Row:
    end = Estimate(1.0 if anchor == "real" else 0.0)
    shown = {key for row in standings.rows for key in row.families}
    quality = {family.key: end for family in FAMILIES if family.quality and family.key in shown}
    return Row(
        label=NAMES[anchor],
        reference=True,
        dataset=None,
        overall=end if quality else None,
        families=quality,
        cost=NOTHING,
        n_datasets=0,
        n_seeds=0,
        n_cells=0,
        failures={},
        fd_violation=_mean(standings, anchor, lambda run: run.scores.get(FD_METRIC)),
        fd_unseen=_mean(standings, anchor, lambda run: run.scores.get(UNSEEN_METRIC)),
        ml=_mean(standings, anchor, lambda run: headline(run.scores, FAMILIES[0].components[0])),
        columns={
            name: _mean(standings, anchor, lambda run, name=name: run.scores.get(name))  # type: ignore[misc]
            for name in standings.policy.columns
        },
    )


def _mean(standings: Standings, anchor: Anchor, of: Callable[[Run], Score | None]) -> Estimate | None:
    """Mean over the kept datasets of an anchor, each dataset's from the runs that have it."""
    by_dataset: dict[str, list[float]] = {}
    for run in standings.runs:
        score = of(run)
        value = None if score is None else getattr(score, anchor)
        if value is not None and run.dataset in (standings.kept or standings.datasets):
            by_dataset.setdefault(run.dataset, []).append(value)
    return Estimate(fmean(map(fmean, by_dataset.values()))) if by_dataset else None
