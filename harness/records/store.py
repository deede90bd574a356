"""The result store: one folder a cell, Parquet first, then the record by atomic rename."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from harness.errors import TabOrderError
from harness.records.files import _make_folder, safe_name, write_atomic
from harness.records.record import Cell, Record

if TYPE_CHECKING:
    import pandas as pd

FOLDERS = ("runs", "datasets", "anchors", "sweeps", "wandb")


@dataclass(frozen=True)
class Problem:
    """A file of the store that could not be used, and why."""

    path: Path
    reason: str


class ResultStore:
    """Finished cells under ``root/runs/<dataset>/<generator>/<seed>-<key8>/``.

    Each folder holds ``record.json`` (the truth), ``synthetic.parquet`` and ``generation.json`` (when a table was made),
    ``log.txt`` and, after an unfinished attempt, ``work/`` (the generator's checkpoints).
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @property
    def runs(self) -> Path:
        """Where the cells are."""
        return self.root / "runs"

    @property
    def anchors(self) -> Path:
        """Where the evaluator keeps anchor scores, computed once per dataset."""
        return self.inside(self.root / "anchors")

    def dataset_dir(self, name: str, checksum: str) -> Path:
        """Where a dataset's tables, schema, rules and FDs are kept for cells and reports."""
        return self.inside(
            self.root / "datasets" / f"{safe_name(name, 'dataset')}-{safe_name(checksum[:8], 'checksum')}"
        )

    def cell_dir(self, cell: Cell) -> Path:
        """The folder of a cell; its path states the cell's identity.

        Raises:
            TabOrderError: when a name is not folder-safe or the folder would lie outside the store (a symbolic link).
        """
        names = safe_name(cell.dataset, "dataset"), safe_name(cell.generator, "generator")
        place = f"{cell.seed}-{cell.key}"
        safe_name(place.removeprefix("-"), "cell")  # a seed may be negative
        return self.inside(self.runs.joinpath(*names, place))

    def inside(self, path: Path) -> Path:
        """``path``, if no symbolic link leads it out of the store.

        Raises:
            TabOrderError: when one does.
        """
        try:
            if path.resolve().is_relative_to(self.root.resolve()):
                return path
        except (RuntimeError, OSError):  # links in a circle
            pass
        raise TabOrderError(f"{path} leads out of the store: remove the symbolic link.")

    def _check_links(self, folder: Path) -> None:
        """Refuse to work where a link in the store or in the cell's folder would be written through."""
        for place in [*(self.root / name for name in FOLDERS), *folder.iterdir()]:
            if place.is_symlink():
                self.inside(place)

    @contextmanager
    def lock(self, cell: Cell, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the cell while working on it, waiting for another process that does; ``on_wait`` is called once then.

        The lock is the operating system's and dies with its process, so none is ever stale; on a shared file system it holds
        between machines where that passes locks on (NFS 4, or NFS 3 with its lock service; not with the option ``nolock``).

        Raises:
            TabOrderError: when a symbolic link leads out of the store, or its file system has no locks.
        """
        folder = self.cell_dir(cell)
        _make_folder(folder)
        self._check_links(folder)
        guard = FileLock(folder / ".lock")
        try:
            guard.acquire(timeout=0)
        except Timeout:
            on_wait()
            guard.acquire(poll_interval=0.2)
        except NotImplementedError:
            raise TabOrderError(
                f"the file system of {self.root} has no file locks, without which two processes would harm each other's cells: "
                "choose another with store.root=DIR, or mount it with locks."
            ) from None
        try:
            for leftover in folder.glob(".*.tmp"):  # of a process that was killed while writing
                leftover.unlink(missing_ok=True)
            yield
        finally:
            guard.release()

    def read(self, cell: Cell) -> Record | None:
        """The stored record of a cell; ``None`` when there is none or it cannot be used (it will be made again)."""
        path = self.cell_dir(cell) / "record.json"
        try:
            record = Record.from_json(self.inside(path).read_bytes(), str(path))
        except (FileNotFoundError, TabOrderError):
            return None
        return record if replace(record.cell, dataset_params={}) == replace(cell, dataset_params={}) else None

    def write(self, record: Record) -> Path:
        """Store a record, whole or not at all; returns its path. The synthetic table must be in place before."""
        path = self.cell_dir(record.cell) / "record.json"
        write_atomic(path, record.to_json().encode())
        return path

    def synthetic(self, cell: Cell) -> pd.DataFrame:
        """The stored synthetic table, canonical.

        Raises:
            TabOrderError: when it is missing or unreadable.
        """
        import pandas as pd

        path = self.inside(self.cell_dir(cell) / "synthetic.parquet")
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise TabOrderError(f"{path} cannot be read ({error}): run its cell again with cache=overwrite.") from None

    def records(self) -> tuple[list[Record], list[Problem]]:
        """All readable records, ordered by path, and the files that could not be used."""
        found: list[Record] = []
        problems: list[Problem] = []
        with collector_paused():
            for place, linked in self._record_files(problems):
                path = Path(place)
                try:
                    if linked:
                        self.inside(path)
                    record = Record.from_json(path.read_bytes(), place)
                    cell = record.cell
                    if path.parts[-4:-1] != (cell.dataset, cell.generator, f"{cell.seed}-{cell.key}"):
                        raise TabOrderError(
                            f"{place} tells of another cell, {cell.path}: move it to that folder, or delete it."
                        )
                    found.append(record)
                    if os.path.islink(table := f"{place.removesuffix('record.json')}synthetic.parquet"):
                        self.inside(path := Path(table))
                except (TabOrderError, OSError) as error:
                    problems.append(Problem(path, str(error)))
        return found, problems

    def _record_files(self, problems: list[Problem]) -> Iterator[tuple[str, bool]]:
        """Paths of ``record.json`` files in order, and whether a symbolic link (to be looked at) leads there."""

        def folders(place: str) -> list[os.DirEntry[str]]:
            kept = []
            try:
                with os.scandir(place) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                problems.append(Problem(Path(place), f"cannot be listed ({error.strerror})."))
                return []
            for entry in found:
                try:
                    if entry.is_dir():
                        kept.append(entry)
                except OSError as error:
                    problems.append(Problem(Path(entry.path), f"cannot be followed ({error.strerror})."))
            return kept

        for dataset in folders(str(self.runs)) if self.runs.is_dir() else ():
            for generator in folders(dataset.path):
                for cell in folders(generator.path):
                    path = f"{cell.path}/record.json"
                    if os.path.isfile(path):
                        yield path, any(map(os.path.islink, (dataset.path, generator.path, cell.path, path)))
                    elif os.path.islink(path):
                        problems.append(Problem(Path(path), "is a symbolic link that leads to no file."))


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without the cyclic collector, which would walk the growing heap again and again while nothing becomes garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()  # what was made lives on: the first collection need not walk it
            gc.enable()
