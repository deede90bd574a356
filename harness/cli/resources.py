"""What of a machine one cell may use under each of Hydra's launchers: CPU threads and memory are divided among workers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from harness.records.provenance import available_cpus, available_memory


@dataclass(frozen=True)
class Share:
    """One cell's part of the machine it runs on.

    Attributes:
        workers: cells at the same time on this machine.
        threads: CPU threads for each.
        memory_gib: resident memory for each: nine tenths of the machine's, or of what the scheduler granted.
        bounded: whether the launcher itself starts no more than ``workers`` at once; else :func:`slot` has to.
    """

    workers: int
    threads: int
    memory_gib: float
    bounded: bool = True


def share_of(launcher: Mapping[str, object], multirun: bool = True) -> Share:
    """Divide this machine as the launcher does.

    Args:
        launcher: the node ``hydra.launcher`` of the configuration.
        multirun: whether this is a sweep; a single cell has the machine to itself.
    """
    kind = str(launcher.get("_target_", "")).rpartition(".")[2] if multirun else ""
    cpus, memory = available_cpus(), 0.9 * available_memory() / 2**30
    if kind == "SlurmLauncher":  # one task per cell, on CPUs and memory of its own
        granted = _whole(os.environ.get("SLURM_CPUS_PER_TASK") or launcher.get("cpus_per_task"), 1)
        asked = _number(launcher.get("mem_gb"), memory / 0.9)
        return Share(1, max(1, min(cpus, granted)), min(memory, 0.9 * asked))
    if kind == "JoblibLauncher":  # joblib's meaning: -1 all CPUs, -2 all but one
        count = _whole(launcher.get("n_jobs"), -1)
        workers = count if count > 0 else max(1, cpus + 1 + count)
        return Share(workers, max(1, cpus // workers), memory / workers)
    if kind == "LocalLauncher":
        each = max(1, _whole(launcher.get("cpus_per_task"), 1))
        workers = max(1, cpus // each)
        return Share(workers, min(cpus, each), memory / workers, bounded=False)
    if kind == "RayLauncher":
        ray = _part(launcher, "ray")
        cpus = _whole(_part(ray, "init").get("num_cpus"), cpus)
        one = _number(_part(ray, "remote").get("num_cpus"), 1.0)
        workers = max(1, int(cpus / one))
        return Share(workers, max(1, int(one)), memory / workers)
    return Share(1, cpus, memory)


def _whole(value: object, default: int) -> int:
    return int(value) if isinstance(value, (int, float, str)) and value else default


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, (int, float, str)) and value else default


def _part(node: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = node.get(name)
    return found if isinstance(found, Mapping) else {}


@contextmanager
def slot(folder: Path, count: int) -> Iterator[None]:
    """Hold one of ``count`` places, waiting until one is free. The locks are the operating system's: none is ever stale.

    submitit's local executor starts every job of a sweep at once; with this they take turns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = _take([FileLock(folder / f"{number}.lock") for number in range(count)])
    try:
        yield
    finally:
        place.release()


def _take(places: list[FileLock]) -> FileLock:
    while True:
        for place in places:
            try:
                place.acquire(timeout=0)
            except Timeout:
                continue
            return place
        time.sleep(0.1)
