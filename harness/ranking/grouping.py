"""Records → runs by dataset and generator: who competes, what is missing, which datasets count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import TabOrderError, choices
from harness.ranking.memorisation import findings_by_dataset
from harness.ranking.policy import REFERENCES, Policy
from harness.ranking.runs import Run, runs
from harness.ranking.statistics import Array
from harness.records.record import Record


@dataclass(frozen=True)
class Grouped:
    """Runs by dataset and generator.

    Attributes:
        policy: how they are aggregated.
        runs: all records, labelled.
        datasets: all dataset labels.
        kept: those that enter averages and ranks.
        labels: all generator labels.
        ranked: those that compete: all but the references (unless there are no others), those that memorise and, under
            ``missing=drop``, ``empty``.
        empty: generators without any scored cell, which would otherwise have every dataset dropped.
        references: generators that mark ends and traps of the scale.
        missing: (dataset, generator) pairs without any scored cell.
        by_pair: runs by (dataset, generator).
        memory: what speaks for memorised rows, by generator and dataset.
    """

    policy: Policy
    runs: Sequence[Run]
    datasets: Sequence[str]
    kept: Sequence[str]
    labels: Sequence[str]
    ranked: Sequence[str]
    empty: Sequence[str]
    references: Sequence[str]
    missing: Sequence[tuple[str, str]]
    by_pair: Mapping[tuple[str, str], Sequence[Run]]
    memory: Mapping[str, Mapping[str, Sequence[str]]]


def group(records: Iterable[Record], policy: Policy) -> Grouped:
    """Group records by dataset and generator.

    Raises:
        TabOrderError: when there is no record, or none has a score that the policy asks for.
    """
    found = runs(records, policy.families)
    if not found:
        raise TabOrderError("there are no records to aggregate: run a sweep into this store first.")
    for name in policy.columns:
        if not any(name in run.scores for run in found):
            raise TabOrderError(choices(name, sorted({metric for run in found for metric in run.scores}), "score"))
    cells: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in found:
        cells[run.dataset, run.generator].append(run)
    datasets = sorted({run.dataset for run in found})
    references = {run.generator for run in found if run.record.cell.generator in REFERENCES}
    labels = sorted({run.generator for run in found})
    tabled = {run.generator for run in found if run.scored}
    empty = [label for label in labels if label not in tabled and policy.missing == "drop"]
    by_pair = {pair: [run.record for run in group if run.scored] for pair, group in cells.items()}
    memory = {label: findings_by_dataset(by_pair, label) for label in labels}
    ranked = [label for label in labels if label not in references and label not in empty]
    ranked = [label for label in ranked if not memory[label]] if ranked else labels
    empty = [label for label in empty if label not in ranked]
    absent = [(d, g) for d in datasets for g in labels if not any(run.scored for run in cells.get((d, g), ()))]
    broken = {d for d, g in absent if g in ranked}
    kept = [d for d in datasets if policy.missing != "drop" or d not in broken]
    return Grouped(
        policy=policy,
        runs=found,
        datasets=datasets,
        kept=kept,
        labels=labels,
        ranked=ranked,
        empty=empty,
        references=sorted(references),
        missing=absent,
        by_pair=dict(cells),
        memory=memory,
    )


def matrix(
    grouped: Grouped,
    datasets: Sequence[str],
    labels: Sequence[str],
    value: Callable[[Run], float | None],
    filled: bool = True,
) -> Array:
    """Values as ``(datasets, labels, seeds)``, NaN-padded.

    Where ``filled``, but for ``missing=drop``, a failed or absent cell counts 0 wherever another generator has a value on that dataset.
    """
    lists: dict[tuple[int, int], list[float]] = {}
    for d, dataset in enumerate(datasets):
        defined = False
        for g, label in enumerate(labels):
            group = grouped.by_pair.get((dataset, label), ())
            values = [value(run) for run in group]
            lists[d, g] = [number for number in values if number is not None]
            defined = defined or bool(lists[d, g])
        if filled and defined and grouped.policy.missing != "drop":
            for g, label in enumerate(labels):
                if label in grouped.references and label not in grouped.ranked:
                    continue
                group = grouped.by_pair.get((dataset, label), ())
                lists[d, g] += [0.0] * (sum(value(run) is None for run in group) if group else 1)
    depth = max((len(values) for values in lists.values()), default=0)
    result = np.full((len(datasets), len(labels), max(depth, 1)), np.nan)
    for (d, g), numbers in lists.items():
        result[d, g, : len(numbers)] = numbers
    return result
