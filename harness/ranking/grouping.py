"""Records → runs by dataset and generator: who competes, what is missing, which datasets count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import TabOrderError, choices
from harness.ranking.memorisation import findings_by_dataset
from harness.ranking.policy import REFERENCES, Policy
from harness.ranking.runs import Unit, units
from harness.ranking.statistics import Array
from harness.records.record import Record


@dataclass(frozen=True)
class Grouped:
    """Runs by dataset and generator.

    Attributes:
        policy: how they are aggregated.
        units: all records, labelled.
        datasets: all dataset labels.
        kept: those that enter averages and ranks.
        labels: all generator labels.
        ranked: those that compete: all but the references (unless there are no others), those that memorise and, under
            ``missing=drop``, ``empty``.
        empty: generators without any scored cell, which would otherwise have every dataset dropped.
        references: generators that mark ends and traps of the scale.
        missing: (dataset, generator) pairs without any scored cell.
        cells: units by (dataset, generator).
        memory: what speaks for memorised rows, by generator and dataset.
    """

    policy: Policy
    units: Sequence[Unit]
    datasets: Sequence[str]
    kept: Sequence[str]
    labels: Sequence[str]
    ranked: Sequence[str]
    empty: Sequence[str]
    references: Sequence[str]
    missing: Sequence[tuple[str, str]]
    cells: Mapping[tuple[str, str], Sequence[Unit]]
    memory: Mapping[str, Mapping[str, Sequence[str]]]


def group(records: Iterable[Record], policy: Policy) -> Grouped:
    """Group records by dataset and generator.

    Raises:
        TabOrderError: when there is no record, or none has a score that the policy asks for.
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
    return Grouped(
        policy=policy,
        units=found,
        datasets=datasets,
        kept=kept,
        labels=labels,
        ranked=ranked,
        empty=empty,
        references=sorted(references),
        missing=absent,
        cells=dict(cells),
        memory=memory,
    )


def matrix(
    board: Grouped,
    datasets: Sequence[str],
    labels: Sequence[str],
    value: Callable[[Unit], float | None],
    filled: bool = True,
) -> Array:
    """Values as ``(datasets, labels, seeds)``, NaN-padded.

    Where ``filled``, but for ``missing=drop``, a failed or absent cell counts 0 wherever another generator has a value on that dataset.
    """
    lists: dict[tuple[int, int], list[float]] = {}
    for d, dataset in enumerate(datasets):
        defined = False
        for g, label in enumerate(labels):
            group = board.cells.get((dataset, label), ())
            values = [value(unit) for unit in group]
            lists[d, g] = [number for number in values if number is not None]
            defined = defined or bool(lists[d, g])
        if filled and defined and board.policy.missing != "drop":
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
