"""Which records of one or several stores a leaderboard looks at, and whether their scores mean the same."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import TabOrderError, choices
from harness.ranking.wording import listed
from harness.records.record import Cell, Record
from harness.records.store import Problem, ResultStore


@dataclass(frozen=True)
class Selection:
    """What is asked for; empty means all.

    Attributes:
        sweep: records of this sweep.
        dataset: dataset names.
        generator: generator names.
        without: generator names left out.
    """

    sweep: str | None = None
    dataset: tuple[str, ...] = ()
    generator: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def keeps(self, record: Record) -> bool:
        """Whether a record is asked for."""
        cell = record.cell
        return (
            (self.sweep is None or record.sweep == self.sweep)
            and (not self.dataset or cell.dataset in self.dataset)
            and (not self.generator or cell.generator in self.generator)
            and cell.generator not in self.without
        )

    def check(self, records: Sequence[Record]) -> None:
        """Refuse names that no record has.

        Raises:
            TabOrderError: naming the nearest that is there.
        """
        there = {
            "dataset": {record.cell.dataset for record in records},
            "generator": {record.cell.generator for record in records},
        }
        for key, asked in (("dataset", self.dataset), ("generator", self.generator), ("generator", self.without)):
            for name in asked:
                if name not in there[key]:
                    raise TabOrderError(choices(name, sorted(there[key]), key))

    def sentence(self) -> str:
        """What was left out on purpose; empty when nothing was."""
        asked = {
            "sweep": [self.sweep] if self.sweep else [],
            "dataset": self.dataset,
            "generator": self.generator,
            "without": self.without,
        }
        parts = [f"{key}={','.join(names)}" for key, names in asked.items() if names]
        return f"Only what was asked for: {' '.join(parts)}." if parts else ""


class JoinedStores(ResultStore):
    """Several stores read as one: a cell, or a dataset, is taken from the first that has it. Nothing is written through it."""

    def __init__(self, stores: Sequence[ResultStore]) -> None:
        super().__init__(stores[0].root)
        self.stores = stores

    def records(self) -> tuple[list[Record], list[Problem]]:
        """All usable records; one that an earlier store has too comes back as a problem."""
        found: dict[str, Record] = {}
        problems: list[Problem] = []
        for store in self.stores:
            records, more = store.records()
            problems += more
            for record in records:
                place = str(record.cell.path)
                if place in found:
                    path = store.runs / place
                    problems.append(Problem(path, "is in an earlier store too, whose record counts."))
                else:
                    found[place] = record
        return list(found.values()), problems

    def cell_dir(self, cell: Cell) -> Path:
        """The folder of a cell in the first store that has it."""
        folders = [store.cell_dir(cell) for store in self.stores]
        return next((folder for folder in folders if folder.is_dir()), folders[0])

    def dataset_dir(self, name: str, checksum: str) -> Path:
        """Likewise of a dataset."""
        folders = [store.dataset_dir(name, checksum) for store in self.stores]
        return next((folder for folder in folders if folder.is_dir()), folders[0])


def refuse_mixtures(records: Iterable[Record]) -> None:
    """Refuse records in which one score of a dataset has two definitions: another version, other parameters or other stated dependencies.

    Raises:
        TabOrderError: naming the metric, the dataset and the generators on either side.
    """
    found: dict[tuple[str, str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    entries: dict[str, Mapping[str, Any]] = {}
    for record in records:
        for entry in record.evaluation:
            defined = {key: value for key, value in entry.items() if key != "seed"}
            text = json.dumps(defined, sort_keys=True, default=str)
            entries[text] = defined
            cell = record.cell
            found[cell.dataset, cell.dataset_checksum, str(entry.get("name"))][text].add(cell.generator)
    for (dataset, _, metric), by_definition in sorted(found.items()):
        if len(by_definition) > 1:
            first, second, *_ = sorted(by_definition)
            differing = [
                key
                for key in sorted({*entries[first], *entries[second]})
                if entries[first].get(key) != entries[second].get(key)
            ]
            raise TabOrderError(
                f"the scores '{metric}' of dataset '{dataset}' have two definitions here, which differ in {', '.join(differing)}: one for "
                f"{listed(sorted(by_definition[first]))}, one for {listed(sorted(by_definition[second]))}. They cannot stand in one table: run "
                "the sweep again with cache=missing, which scores the stored tables anew and refits nothing, or choose with sweep=, "
                "dataset= or generator=."
            )
