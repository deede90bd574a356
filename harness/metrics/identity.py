"""What makes a score the same score: the metric, how it was defined, its seed, and what is stated about the dataset."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.datasets.base import Dataset
from harness.metrics.base import KNOWN, Known, Metric, parameters
from harness.records.record import finite

EVALUATOR = 3
"""Raised when what all scores share changes: how seeds are derived, how anchors are made.

2: the seed is the one that was asked for, whatever a dataset is called. 3: numbers are compared at the real column's decimals.
"""


def statement(dataset: Dataset, known: Known) -> Any:
    """JSON-able content of what is stated about a dataset: its dependencies, rules, condition column or resource files."""
    if known == "fds":
        return [fd.to_json() for fd in dataset.fds]
    if known == "rules":
        return [dict(rule) for rule in dataset.rules]
    if known == "condition":
        return dataset.condition
    return {name: _content(path) for name, path in sorted(dataset.resources.items())}


def _content(path: str) -> str:
    """SHA-256 of a resource's bytes, of its sister files too (a shapefile is several); its path where it cannot be read."""
    try:
        parts = sorted(Path(path).parent.glob(f"{Path(path).stem}.*"))
        stamps = tuple((str(part), part.stat().st_mtime_ns, part.stat().st_size) for part in parts if part.is_file())
        return _sha256(stamps) if stamps else path
    except OSError:
        return path


@lru_cache(maxsize=64)
def _sha256(stamps: tuple[tuple[str, int, int], ...]) -> str:
    found = hashlib.sha256()
    for path, _, size in stamps:
        found.update(f"{Path(path).name} {size} ".encode() + Path(path).read_bytes())
    return found.hexdigest()


def identity(metric: Metric, dataset: Dataset, seed: int) -> dict[str, Any]:
    """What a score depends on beside the three tables; equal identities on equal tables give equal scores.

    Args:
        metric: a metric; one that does not say what it ``reads`` is taken to read everything stated.
        dataset: whose statements count.
        seed: of the evaluation, as asked for.

    Returns:
        ``{"name", "version", "params", "seed", "evaluator", "reads"}``; ``reads`` maps each kind of statement that the metric uses
        to a digest of its content. JSON-able.
    """
    reads = getattr(metric, "reads", KNOWN)
    return finite(  # type: ignore[no-any-return]
        {
            "name": metric.name,
            "version": metric.version,
            "params": parameters(metric),
            "seed": seed,
            "evaluator": EVALUATOR,
            "reads": {known: _digest(statement(dataset, known)) for known in reads},
        }
    )


def _digest(content: Any) -> str:
    text = json.dumps(finite(content), sort_keys=True, ensure_ascii=False, allow_nan=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
