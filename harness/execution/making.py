"""Make a cell's table in a process of its own, which is given the training rows and nothing else."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness.datasets import stored
from harness.errors import TabOrderError
from harness.execution.environments import EnvironmentFailed, cache_folder, ensure
from harness.execution.job import Job
from harness.execution.messages import Event, GenerateRequest, GenerateResult, Generation
from harness.execution.progress import CellProgress
from harness.processes.isolation import Outcome, preload, run_isolated
from harness.records.files import write_atomic
from harness.records.record import SCORED, Status
from harness.records.store import FOLDERS
from harness.seeding import derive_seed
from harness.targets import locate, targets_of


def stored_generation(folder: Path) -> Generation | None:
    """How making the table ended, if the table is still the one that was written then."""
    try:
        made = Generation.from_json(json.loads((folder / "generation.json").read_text(encoding="utf-8")))
        data = (folder / "synthetic.parquet").read_bytes()
    except (OSError, ValueError, TypeError, AttributeError, TabOrderError):
        return None
    return made if made.result and hashlib.sha256(data).hexdigest() == made.result.checksum else None


def make_table(job: Job, show: CellProgress) -> Generation:
    """Make the table; a stage that succeeded is written to ``generation.json`` so that scoring can be resumed alone.

    Raises:
        TabOrderError: when the generator refuses its arguments (a user's mistake).
    """
    folder = job.folder
    try:
        request = _request(job, show)
    except EnvironmentFailed as failure:
        return Generation(status="failed", error=str(failure))
    stages: dict[str, float | None] = {}

    def on_event(told: Mapping[str, object]) -> None:
        event = show.hear(told)
        if event is not None and event.done is None:
            stages[event.stage] = event.seconds

    preload(module for target in targets_of(job.spec) for module in getattr(locate(target), "preload", ()))
    outcome = run_isolated(
        "harness.execution.stages:generate",
        request.to_json(),
        limits=job.generate_limits,
        log=folder / "log.txt",
        on_event=on_event,
        redactor=job.redactor,
    )
    if outcome.exception == "TabOrderError" and stages.get("build", 0.0) is None:
        raise TabOrderError(str(outcome.error))
    made = _generation(job, outcome, stages)
    if made.status in SCORED:
        write_atomic(folder / "generation.json", (json.dumps(made.to_json(), allow_nan=False) + "\n").encode())
    return made


def _request(job: Job, show: CellProgress) -> GenerateRequest:
    """What the process is asked; the training rows are laid into the cell's private folder."""
    cell, private = job.cell, job.folder / "work"
    environment_dir = _environment(job, show)
    stored.save_train(job.dataset, private / "data")
    seeds = {stage: derive_seed(cell.seed, cell.dataset_checksum, stage) for stage in ("fit", "sample")}
    return GenerateRequest(
        generator=dict(job.spec),
        private_dir=str(private.resolve()),
        out_dir=str(job.folder.resolve()),
        hidden=[*(str((job.store.root / name).resolve()) for name in FOLDERS), *job.sources],
        n_rows=cell.n_rows,
        threads=job.threads,
        fit_seed=seeds["fit"],
        sample_seed=seeds["sample"],
        environment_dir=environment_dir,
    )


def _environment(job: Job, show: CellProgress) -> str | None:
    """The folder of the generator's own environment, if it has one. Making it (once) is not in the cell's time limit."""
    if job.environment is None:
        return None
    show.event(Event("environment"))
    lines = itertools.count(1)

    def detail(line: str) -> None:
        show.event(Event("environment", done=next(lines), text=line))

    return str(ensure(job.environment, show.say, cache_folder(job.cache_dir), detail).resolve())


def _generation(job: Job, outcome: Outcome, stages: Mapping[str, float | None]) -> Generation:
    status, error = status_of(outcome, list(stages)[-1] if stages else "start")
    result = None
    if outcome.result is not None:
        result = GenerateResult.from_json(job.redactor.value(dict(outcome.result)))
        shutil.move(job.folder / "work" / "synthetic.parquet", job.folder / "synthetic.parquet")
        if result.rows != job.cell.n_rows:
            status, error = "short_yield", f"{result.rows} of {job.cell.n_rows} rows were delivered"
    return Generation(
        status=status,
        error=error,
        fit_seconds=stages.get("fit"),
        sample_seconds=stages.get("sample"),
        peak_memory_bytes=max(outcome.peak_memory_bytes, result.peak_memory_bytes if result else 0),
        peak_gpu_memory_bytes=result.peak_gpu_memory_bytes if result else None,
        log_tail=list(outcome.log_tail),
        result=result,
    )


def status_of(outcome: Outcome, stage: str) -> tuple[Status, str | None]:
    """A record's status and error for the ending of an isolated call, ``stage`` being where it ended."""
    if outcome.ending == "done":
        return "ok", None
    if outcome.ending != "raised":
        return outcome.ending, f"{outcome.error} (in {stage})"
    if outcome.exception == "RemoteCrash":
        return "crashed", f"{outcome.error} (in {stage})"
    if outcome.exception == "Incompatible":
        return "incompatible", outcome.error
    return "failed", f"{outcome.exception} in {stage}: {outcome.error}"
