"""What a leaderboard holds: one row per generator with intervals, ranks and cost, one row per (dataset, generator), and pairs.

Values alone; :func:`harness.ranking.load.build` fills them, once and whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from harness.ranking.families import FAMILIES
from harness.ranking.grouping import Grouped
from harness.ranking.intervals import Chances
from harness.ranking.statistics import LEVEL, Estimate

if TYPE_CHECKING:
    import pandas as pd


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
class Standings(Grouped):
    """Everything the leaderboard, report and figures show: the grouped runs, and what follows from them.

    Attributes:
        rows: one per generator, best first, then those that memorise, references last.
        by_dataset: one per (dataset, generator).
        pairs: comparisons, better first.
        critical_difference: Nemenyi's, of mean ranks; ``None`` with fewer than three kept datasets or two generators.
        cliques: groups of generators whose mean ranks lie within it, best first.
        elo_anchor: what is pinned at 1000.
    """

    rows: Sequence[Row]
    by_dataset: Sequence[Row]
    pairs: Sequence[Pair]
    critical_difference: float | None
    cliques: Sequence[Sequence[str]]
    elo_anchor: str | None

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


def sum_seconds(row: Row) -> float:
    """Seconds of fit and sample per cell of a row that has both."""
    return (row.cost.fit_seconds or 0.0) + (row.cost.sample_seconds or 0.0)
