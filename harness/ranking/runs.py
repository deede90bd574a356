"""Records → runs: one (dataset, generator label, training seed) each, with normalised scores per metric family.

Reads records only: the runner, torch and sdv are never imported here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from harness.ranking.families import FAMILIES, family_values
from harness.ranking.labels import _dataset_identity, _generator_identity, labels
from harness.records.record import SCORED, Record, Score


@dataclass(frozen=True)
class Run:
    """One record seen by the leaderboard.

    Attributes:
        dataset: dataset label (the name, with what distinguishes it when one name holds several tables).
        generator: generator label.
        record: the record itself.
        scores: its scores by name.
        families: normalised headline score in [0, 1] per family, where it is defined; higher is better.
        reasons: why a family has no normalised score, by family, where a headline score exists.
        overall: mean of the quality families that any run of its dataset has; ``None`` when this one lacks some or all.
    """

    dataset: str
    generator: str
    record: Record
    scores: Mapping[str, Score]
    families: Mapping[str, float]
    reasons: Mapping[str, str]
    overall: float | None

    @property
    def scored(self) -> bool:
        """Whether the cell delivered a table and scores."""
        return self.record.status in SCORED

    def value(self, metric: str) -> float | None:
        """The raw value of a score, or ``None``."""
        score = self.scores.get(metric)
        return None if score is None else score.value


def runs(records: Iterable[Record], only: Sequence[str] = ()) -> list[Run]:
    """Turn records into runs, in the records' order. See :func:`labels` for how they are named.

    Args:
        records: of any cells.
        only: keys of the families to look at; empty: all.
    """
    records = list(records)
    datasets = labels(
        [(r.cell.dataset, r.cell.dataset_checksum, "", r) for r in records],
        _dataset_identity,
    )
    generators = labels(
        [
            (c.generator, f"{c.target} {c.version} {c.n_rows} {c.params}", c.dataset_checksum, record)
            for record in records
            for c in (record.cell,)
        ],
        _generator_identity,
    )
    scores = [{score.metric: score for score in record.scores} for record in records]
    placed = [
        family_values(found, record.rows, only) if record.status in SCORED else ({}, {})
        for record, found in zip(records, scores, strict=True)
    ]
    families = [found for found, _ in placed]
    quality: dict[str, set[str]] = defaultdict(set)
    for dataset, found in zip(datasets, families, strict=True):
        quality[dataset] |= {family.key for family in FAMILIES if family.quality and family.key in found}
    return [
        Run(dataset, generator, record, score, found, reasons, _overall(found, quality[dataset]))
        for record, dataset, generator, score, (found, reasons) in zip(
            records, datasets, generators, scores, placed, strict=True
        )
    ]


def _overall(families: Mapping[str, float], expected: set[str]) -> float | None:
    """Mean over the dataset's quality families; ``None`` when one is lacking, for the mean of others is another quantity."""
    return fmean(families[key] for key in sorted(expected)) if expected and expected <= set(families) else None
