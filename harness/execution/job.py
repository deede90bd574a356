"""A cell to run: what it is, how it is judged, and how it may be run."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from harness.datasets import Dataset
from harness.errors import TabOrderError, choices
from harness.execution.environments import Environment
from harness.execution.messages import Json
from harness.metrics.base import Metric
from harness.metrics.identity import identity
from harness.processes.isolation import Limits
from harness.records.record import Cell, finite
from harness.records.redaction import Redactor
from harness.records.store import ResultStore
from harness.targets import arguments_of, build, locate, targets_of

SEEDING = 2
"""How the seeds of a cell are derived. 2: from its base seed and the dataset's checksum, not from any name, so that two arms of one
class differ in nothing but their parameters; raise it with the derivation, for equal keys promise equal tables."""

CachePolicy = Literal["missing", "overwrite", "only"]


@dataclass(frozen=True)
class Evaluation:
    """Which metrics to compute and with which seed.

    Attributes:
        metrics: specs with ``_target_`` and arguments.
        seed: base of the evaluation's randomness; the same for every cell, so that anchors are shared.
    """

    metrics: tuple[Json, ...]
    seed: int = 0

    @cached_property
    def built(self) -> tuple[Metric, ...]:
        """The metrics themselves, in order, built once."""
        return tuple(build(spec) for spec in self.metrics)

    def identities(self, dataset: Dataset) -> tuple[Mapping[str, object], ...]:
        """:func:`harness.metrics.identity.identity` of each metric on a dataset, in order."""
        return tuple(identity(metric, dataset, self.seed) for metric in self.built)

    def lacking(self, known: Sequence[Mapping[str, object]], dataset: Dataset) -> Evaluation:
        """The part of it that is not among the ``known`` identities."""
        pairs = zip(self.metrics, self.identities(dataset), strict=True)
        return Evaluation(tuple(spec for spec, own in pairs if own not in known), self.seed)


@dataclass(frozen=True, eq=False)
class Job:
    """A cell to run, fully resolved, and how to run it.

    Attributes:
        dataset: loaded tables.
        generator: name, as configured.
        spec: ``_target_`` and arguments of the generator.
        seed: base seed.
        evaluation: metrics.
        store: where results live.
        n_rows: synthetic rows; ``None`` means as many as train.
        cache: ``missing`` (run what has no record), ``overwrite`` (run again), ``only`` (never run).
        generate_limits: bounds on making the table.
        score_limits: bounds on scoring it.
        threads: CPU threads for the cell.
        cache_dir: where generators' own environments are kept; ``None``: the default of
            :func:`harness.execution.environments.cache_folder`.
        dataset_params: what was asked of the dataset, for the record.
        sources: files and folders that hold the real tables; the generator's process does not see them.
        notes: sentences for the record, about how the cell was asked for.
        command: the command line that reproduces this cell.
        sweep: the name under which cells are grouped.
        facts: more JSON-able facts for ``record.environment`` (e.g. ``scale``).
    """

    dataset: Dataset
    generator: str
    spec: Json
    seed: int
    evaluation: Evaluation
    store: ResultStore
    n_rows: int | None = None
    cache: CachePolicy = "missing"
    generate_limits: Limits = field(default_factory=Limits)
    score_limits: Limits = field(default_factory=Limits)
    threads: int = 1
    cache_dir: str | None = None
    dataset_params: Json = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    command: str | None = None
    sweep: str | None = None
    facts: Json = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.cache not in get_args(CachePolicy):
            raise TabOrderError(choices(self.cache, get_args(CachePolicy), "cache policy"))
        if self.n_rows is not None and self.n_rows < 1:
            raise TabOrderError(f"n_rows={self.n_rows} must be at least 1, or null for as many rows as train.")
        _ = self.environment  # a mistake in it is told before anything is written

    @cached_property
    def environment(self) -> Environment | None:
        """The environment that the generator asks for."""
        asked = self.spec.get("environment")
        if not asked:
            return None
        if not isinstance(asked, Mapping):
            raise TabOrderError(f"generator.environment={asked!r} is not a mapping with a name and requirements.")
        return Environment.from_config(asked)

    @cached_property
    def redactor(self) -> Redactor:
        """Knows the secrets among the generator's arguments."""
        return Redactor.of(self.spec)

    @cached_property
    def cell(self) -> Cell:
        """The cell's identity; equal ingredients give an equal key in every process."""
        own = {"environment": self.spec["environment"]} if "environment" in self.spec else {}
        params = {**arguments_of(self.spec), **own}
        params = finite(self.redactor.value(params))  # another key to an endpoint makes no other cell
        target = str(self.spec["_target_"])
        n_rows = self.n_rows if self.n_rows is not None else len(self.dataset.train)
        version = "+".join(map(generator_version, targets_of(self.spec)))
        data = self.dataset
        ingredients = [data.name, data.checksum, target, params, version, self.seed, n_rows, SEEDING]
        text = json.dumps(ingredients, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return Cell(
            dataset=data.name,
            generator=self.generator,
            seed=self.seed,
            n_rows=n_rows,
            params=params,
            target=target,
            version=version,
            dataset_checksum=data.checksum,
            key=hashlib.sha256(text.encode()).hexdigest()[:8],
            dataset_params=finite(self.dataset_params),
        )

    @property
    def folder(self) -> Path:
        """Where the cell's files are."""
        return self.store.cell_dir(self.cell)


def generator_version(target: str) -> str:
    """``version`` of the class, or a hash of its source file, so that an edited plug-in is not taken for the old one."""
    made = locate(target)
    declared = getattr(made, "version", None)
    if declared is not None:
        return str(declared)
    try:
        source = Path(inspect.getsourcefile(made) or "").read_bytes()
    except (OSError, TypeError):
        return "unknown"
    return f"source-{hashlib.sha256(source).hexdigest()[:12]}"
