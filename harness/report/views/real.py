"""The real tables of a cell, as the store keeps them."""

from __future__ import annotations

from harness.datasets import stored
from harness.datasets.base import Dataset
from harness.errors import TabOrderError
from harness.records.record import Cell
from harness.records.store import ResultStore


def real_tables(store: ResultStore, cell: Cell, problems: list[str]) -> Dataset | None:
    """The dataset of a cell as stored; what stands against it is added to ``problems``."""
    try:
        folder = store.dataset_dir(cell.dataset, cell.dataset_checksum)
        if not (folder / stored.DESCRIPTION).is_file():
            problems.append("The real tables are not in this store, so nothing is laid over the synthetic ones.")
            return None
        if not folder.resolve().is_relative_to(store.root.resolve()):
            raise TabOrderError(f"{folder.name} leads out of the store; not followed.")
        return stored.load(folder)
    except TabOrderError as error:
        problems.append(without_root(error, store))
        return None


def without_root(error: Exception, store: ResultStore) -> str:
    """The message with paths within the store: the page is the same wherever the store lies."""
    return str(error).replace(f"{store.root}/", "")
