"""Run one cell: reuse what the store has, make the table, score it, write the record. Failure is a value."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from harness.datasets import Dataset, stored
from harness.errors import TabOrderError, choices
from harness.execution.environments import Environment, EnvironmentFailed, cache_folder, ensure
from harness.execution.progress import CellProgress
from harness.generator import Yield
from harness.processes.isolation import Limits, Outcome, preload, run_isolated
from harness.records import provenance as environment
from harness.records.files import write_atomic
from harness.records.record import SCORED, Cell, Cost, Record, Score, Status, finite
from harness.records.redaction import Redactor
from harness.records.store import ResultStore
from harness.seeding import derive_seed
from harness.targets import build, locate

SEEDING = 2
"""How the seeds of a cell are derived. 2: from its base seed and the training rows' checksum, not from any name, so that two arms of
one class differ in nothing but their parameters; raise it with the derivation, for equal keys promise equal tables."""

CachePolicy = Literal["missing", "overwrite", "only"]
How = Literal["computed", "scored", "reused", "absent"]


@dataclass(frozen=True)
class Evaluation:
    """Which metrics to compute and with which seed.

    Attributes:
        metrics: specs with ``_target_`` and arguments.
        seed: base of the evaluation's randomness; the same for every cell, so that anchors are shared.
    """

    metrics: tuple[Mapping[str, Any], ...]
    seed: int = 0

    def identities(self) -> list[dict[str, Any]]:
        """``{name, version, params, seed}`` of each metric, in order."""
        made = [build(spec) for spec in self.metrics]
        return [finite({"name": m.name, "version": m.version, "params": m.params, "seed": self.seed}) for m in made]


@dataclass(frozen=True, eq=False)
class Job:
    """A cell to run, fully resolved, and how to run it.

    Attributes:
        dataset: loaded tables.
        generator: name, as configured.
        spec: ``_target_`` and arguments of the generator.
        seed: base seed.
        n_rows: synthetic rows; ``None`` means as many as train.
        evaluation: metrics.
        store: where results live.
        cache: ``missing`` (run what has no record), ``overwrite`` (run again), ``only`` (never run).
        generate_limits: bounds on making the table.
        score_limits: bounds on scoring it.
        threads: CPU threads for the cell.
        cache_dir: where generators' own environments are kept; ``None``: :func:`harness.execution.environments.cache_folder`'s default.
        dataset_params: what was asked of the dataset, for the record.
        command: the command line that reproduces this cell.
        sweep: the name under which cells are grouped.
        facts: more JSON-able facts for ``record.environment`` (e.g. ``scale``).
    """

    dataset: Dataset
    generator: str
    spec: Mapping[str, Any]
    seed: int
    evaluation: Evaluation
    store: ResultStore
    n_rows: int | None = None
    cache: CachePolicy = "missing"
    generate_limits: Limits = field(default_factory=Limits)
    score_limits: Limits = field(default_factory=Limits)
    threads: int = 1
    cache_dir: str | None = None
    dataset_params: Mapping[str, Any] = field(default_factory=dict)
    command: str | None = None
    sweep: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.cache not in get_args(CachePolicy):
            raise TabOrderError(choices(self.cache, get_args(CachePolicy), "cache policy"))
        if self.n_rows is not None and self.n_rows < 1:
            raise TabOrderError(f"n_rows={self.n_rows} must be at least 1, or null for as many rows as train.")
        if self.spec.get("environment"):
            Environment.from_config(self.spec["environment"])  # a mistake in it is told before anything is written


@dataclass(frozen=True)
class CellResult:
    """A record and how it came about; ``record`` is ``None`` only for ``absent`` (``cache=only`` found nothing)."""

    cell: Cell
    how: How
    record: Record | None


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


def identify(job: Job) -> Cell:
    """The cell's identity; equal ingredients give an equal key in every process."""
    params = {key: value for key, value in job.spec.items() if key not in ("_target_", "_convert_")}
    params = finite(Redactor.of(job.spec).value(params))  # another key to an endpoint makes no other cell
    target = str(job.spec["_target_"])
    n_rows = job.n_rows if job.n_rows is not None else len(job.dataset.train)
    version = generator_version(target)
    ingredients = [job.dataset.name, job.dataset.checksum, target, params, version, job.seed, n_rows, SEEDING]
    text = json.dumps(ingredients, sort_keys=True, ensure_ascii=False, allow_nan=False)
    key = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Cell(
        dataset=job.dataset.name,
        generator=job.generator,
        seed=job.seed,
        n_rows=n_rows,
        params=params,
        target=target,
        version=version,
        dataset_checksum=job.dataset.checksum,
        key=key,
        dataset_params=finite(job.dataset_params),
    )


def run_cell(job: Job, progress: CellProgress | None = None) -> CellResult:
    """Run a cell, or reuse its record.

    Raises:
        TabOrderError: for a user's mistake (nothing is stored then) or a store that cannot be written.
    """
    cell = identify(job)
    folder = job.store.cell_dir(cell)
    show = progress or CellProgress(f"{cell.dataset} · {cell.generator} · seed {cell.seed}")
    try:
        if job.cache == "only" and not folder.exists():
            return CellResult(cell, "absent", None)
        known = _reusable(job, cell, folder)
        if known is not None:
            return CellResult(cell, "reused", known)
        with job.store.lock(cell, on_wait=lambda: show.say("another process works on this cell; waiting for it")):
            return _run_locked(job, cell, folder, show)
    except OSError as error:
        raise TabOrderError(
            f"cannot use the store {job.store.root} ({error}): check its permissions and free space, or choose another with store.root=DIR."
        ) from None


def _run_locked(job: Job, cell: Cell, folder: Path, show: CellProgress) -> CellResult:
    record, made = _stored(job, cell, folder)
    left = _left(job, record, made)
    if record is not None and left == []:  # whoever held the cell before has done it
        return CellResult(cell, "reused", record)
    if job.cache == "only":
        return CellResult(cell, "absent", record)
    dataset_dir = stored.save(job.dataset, job.store.dataset_dir(cell.dataset, cell.dataset_checksum))
    if record is not None and made is not None and left:
        return CellResult(cell, "scored", _rescore(job, record, made, dataset_dir, left, show))
    return CellResult(cell, "computed", _compute(job, cell, made, dataset_dir, show))


def _stored(job: Job, cell: Cell, folder: Path) -> tuple[Record | None, dict[str, Any] | None]:
    """The cell's record and what making its table left, where they may be used and can be."""
    return (None, None) if job.cache == "overwrite" else (job.store.read(cell), _generation(folder))


def _left(job: Job, record: Record | None, made: Mapping[str, Any] | None) -> list[Mapping[str, Any]] | None:
    """The metrics to compute on the stored table that its record does not have; ``None`` where there is nothing to score."""
    if record is None or record.status not in SCORED or made is None:
        return None
    if job.cache == "only":
        return []
    asked = zip(job.evaluation.metrics, job.evaluation.identities(), strict=True)
    return [spec for spec, identity in asked if identity not in record.evaluation]


def _reusable(job: Job, cell: Cell, folder: Path) -> Record | None:
    """The record, if nothing is left to do. Looking takes no lock, so that a read-only store can be reused."""
    record, made = _stored(job, cell, folder)
    return record if _left(job, record, made) == [] else None


def _generation(folder: Path) -> dict[str, Any] | None:
    """What the generate stage left, if its table is still the one it wrote."""
    try:
        facts: dict[str, Any] = json.loads((folder / "generation.json").read_text(encoding="utf-8"))
        data = (folder / "synthetic.parquet").read_bytes()
        return facts if hashlib.sha256(data).hexdigest() == facts["result"]["checksum"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _compute(job: Job, cell: Cell, made: dict[str, Any] | None, dataset_dir: Path, show: CellProgress) -> Record:
    """Make the table, unless an interrupted attempt has ``made`` it, and score it."""
    folder = job.store.cell_dir(cell)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    base = Record(
        cell=cell,
        status="failed",
        schema=job.dataset.schema.to_json(),
        environment={**environment.describe(), "threads": job.threads, **job.facts},
        notes=job.dataset.notes,
        command=None if job.command is None else Redactor.of(job.spec).text(job.command),
        sweep=job.sweep,
        started=started,
    )
    facts = made
    if facts is None:
        if job.cache == "overwrite":
            shutil.rmtree(folder / "work", ignore_errors=True)
        for name in ("generation.json", "synthetic.parquet", "record.json", "log.txt"):
            (folder / name).unlink(missing_ok=True)
        facts = _generate(job, cell, folder, dataset_dir, show)
    if facts["status"] not in SCORED:
        record = replace(
            base, status=facts["status"], error=facts["error"], cost=_cost(facts), log_tail=tuple(facts["log_tail"])
        )
        job.store.write(record)
        return record
    record = replace(
        base,
        status=facts["status"],
        error=facts["error"],
        cost=_cost(facts),
        yield_=Yield(**facts["result"]["yield"]),
        generator_info=facts["result"]["info"],
        notes=(*base.notes, *facts["result"]["notes"]),
    )
    record = _rescore(job, record, facts, dataset_dir, list(job.evaluation.metrics), show)
    shutil.rmtree(folder / "work", ignore_errors=True)
    return record


def _generate(job: Job, cell: Cell, folder: Path, dataset_dir: Path, show: CellProgress) -> dict[str, Any]:
    """Make the table; a finished stage is written to ``generation.json`` so that scoring can be resumed alone."""
    try:
        environment_dir = _environment(job, show)
    except EnvironmentFailed as failure:
        lacking = dict.fromkeys(("fit_seconds", "sample_seconds", "peak_memory_bytes", "peak_gpu_memory_bytes"))
        return {"status": "failed", "error": str(failure), "log_tail": [], **lacking}
    payload = {
        "generator": dict(job.spec),
        "dataset_dir": str(dataset_dir.resolve()),
        "out_dir": str(folder.resolve()),
        "n_rows": cell.n_rows,
        "threads": job.threads,
        "environment_dir": environment_dir,
        "seeds": {stage: derive_seed(cell.seed, cell.dataset_checksum, stage) for stage in ("fit", "sample")},
    }
    stages: dict[str, float | None] = {}

    def on_event(event: Mapping[str, Any]) -> None:
        if "stage" in event:
            stages[str(event["stage"])] = event.get("seconds")
        show.event(event)

    preload(getattr(locate(cell.target), "preload", ()))
    outcome = run_isolated(
        "harness.execution.stages:generate",
        payload,
        limits=job.generate_limits,
        log=folder / "log.txt",
        on_event=on_event,
        redactor=Redactor.of(job.spec),
    )
    if outcome.exception == "TabOrderError" and stages.get("build", 0.0) is None:
        raise TabOrderError(str(outcome.error))
    status, error = _status(outcome, cell.n_rows, list(stages)[-1] if stages else "start")
    result = Redactor.of(job.spec).value(dict(outcome.result)) if outcome.result else {}
    facts = {
        "status": status,
        "error": error,
        "fit_seconds": stages.get("fit"),
        "sample_seconds": stages.get("sample"),
        "peak_memory_bytes": max(outcome.peak_memory_bytes, result.get("peak_memory_bytes", 0)),
        "peak_gpu_memory_bytes": result.get("peak_gpu_memory_bytes"),
        "log_tail": list(outcome.log_tail),
        "result": result,
    }
    if status in SCORED:
        write_atomic(folder / "generation.json", (json.dumps(finite(facts), allow_nan=False) + "\n").encode())
    return facts


def _environment(job: Job, show: CellProgress) -> str | None:
    """The folder of the generator's own environment, if it has one. Making it (once) is not in the cell's time limit."""
    if not job.spec.get("environment"):
        return None
    show.event({"stage": "environment"})
    lines = itertools.count(1)

    def detail(line: str) -> None:
        show.event({"progress": "environment", "done": next(lines), "text": line})

    asked = Environment.from_config(job.spec["environment"])
    return str(ensure(asked, show.say, cache_folder(job.cache_dir), detail).resolve())


def _status(outcome: Outcome, n_rows: int, stage: str) -> tuple[Status, str | None]:
    if outcome.ending == "done":
        assert outcome.result is not None
        rows = int(outcome.result["rows"])
        return ("ok", None) if rows == n_rows else ("short_yield", f"{rows} of {n_rows} rows were delivered")
    if outcome.ending != "raised":
        return outcome.ending, f"{outcome.error} (in {stage})"
    if outcome.exception == "RemoteCrash":
        return "crashed", f"{outcome.error} (in {stage})"
    if outcome.exception == "Incompatible":
        return "incompatible", outcome.error
    return "failed", f"{outcome.exception} in {stage}: {outcome.error}"


def _cost(facts: Mapping[str, Any]) -> Cost:
    names = ("fit_seconds", "sample_seconds", "peak_memory_bytes", "peak_gpu_memory_bytes")
    return Cost(**{name: facts[name] for name in names})


def _rescore(
    job: Job,
    record: Record,
    facts: Mapping[str, Any],
    dataset_dir: Path,
    specs: list[Mapping[str, Any]],
    show: CellProgress,
) -> Record:
    """Compute ``specs`` on the stored table and store the record with them merged in."""
    folder = job.store.cell_dir(record.cell)
    payload = {
        "metrics": [dict(spec) for spec in specs],
        "dataset_dir": str(dataset_dir.resolve()),
        "synthetic": str((folder / "synthetic.parquet").resolve()),
        "invalid": facts["result"]["invalid"],
        "seed": derive_seed(job.evaluation.seed, job.dataset.name, "evaluate"),
        "anchors": str(job.store.anchors.resolve()),
        "threads": job.threads,
    }
    redactor = Redactor.of(job.spec)
    outcome = run_isolated(
        "harness.execution.stages:score",
        payload,
        limits=job.score_limits,
        log=folder / "log.txt",
        on_event=show.event,
        redactor=redactor,
    )
    if outcome.exception == "TabOrderError":
        raise TabOrderError(str(outcome.error))
    if outcome.result is None:
        status, _ = _status(outcome, 0, "scoring")
        name = f"{outcome.exception}: " if outcome.exception else ""
        failed = replace(record, status=status, error=f"scoring: {name}{outcome.error}", log_tail=outcome.log_tail)
        job.store.write(failed)
        return failed
    fresh = tuple(
        Score(**{**one, "bounds": tuple(one["bounds"]), "error": redactor.value(one["error"])})
        for one in outcome.result["scores"]
    )
    identities = replace(job.evaluation, metrics=tuple(specs)).identities()
    names = {score.metric for score in fresh}
    scored = replace(
        record,
        scores=(*(score for score in record.scores if score.metric not in names), *fresh),
        evaluation=(*(e for e in record.evaluation if e["name"] not in {i["name"] for i in identities}), *identities),
        cost=replace(record.cost, evaluate_seconds=(record.cost.evaluate_seconds or 0.0) + outcome.seconds),
    )
    job.store.write(scored)
    return scored
