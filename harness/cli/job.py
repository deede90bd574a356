"""One job of Hydra: the cell that a configuration describes, run and told."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from harness.cli.callback import pace
from harness.cli.display import Relay
from harness.cli.mistakes import explain
from harness.cli.outcomes import JobOutcome
from harness.cli.rehearsal import rehearse
from harness.cli.resources import slot
from harness.cli.session import current, total_cells
from harness.cli.settings import job_of, label_of, own_share, plain_of, tracker_of
from harness.errors import TabOrderError
from harness.execution.cell import CellResult, run_cell
from harness.execution.progress import CellProgress, seconds

_said: set[str] = set()
"""Sentences that were shown already; once a process is enough."""


def run(config: DictConfig) -> None:
    """Run the cell a configuration describes; in a sweep nothing a cell does ends the sweep."""
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        session = current()
        with closing(CellProgress(label_of(config))) as progress:
            try:
                session.outcome = _run_one(config, progress)
            except (TabOrderError, OmegaConfBaseException) as error:
                session.mistake = error
        return
    number = int(hydra.job.num)
    share = own_share()
    turn = nullcontext() if share.bounded else slot(Path(hydra.sweep.dir) / ".slots", share.workers)
    name = f"[{number + 1}/{total_cells() or '?'}] {label_of(config)}"
    with closing(CellProgress(name, relay=Relay.wanted())) as progress:
        try:
            with turn:
                outcome = _run_one(config, progress)
        except (TabOrderError, OmegaConfBaseException) as error:
            outcome = JobOutcome(label_of(config), "invalid", "absent", explain(error))
            progress.say(str(outcome.error))
        except (Exception, SystemExit) as error:
            progress.say(traceback.format_exc())
            outcome = JobOutcome(label_of(config), "error", "absent", f"{type(error).__name__}: {error}")
        outcome.save(Path(hydra.sweep.dir), number)


def _run_one(config: DictConfig, progress: CellProgress) -> JobOutcome:
    from harness.tracking import under_agent

    begin = time.monotonic()
    plain = plain_of(config)
    spec = plain["tracker"]
    tracker = tracker_of(spec if isinstance(spec, dict) else None)  # a mistake in it must not show hours later
    job = job_of(config, plain=plain)
    _say_decisions(plain["dataset"], job.dataset.notes, progress)
    if plain["dry_run"]:
        return rehearse(job, label_of(config))
    progress.listener = tracker.watch(job.cell, job.sweep, job.store)
    result = run_cell(job, progress)
    current().result, current().cell_folder = result, job.folder
    if result.record is None:
        progress.say("no result is stored, and cache=only runs nothing")
        return JobOutcome(label_of(config), "absent", result.how)
    hydra, record = HydraConfig.get(), result.record
    ahead = f" [{pace(Path(hydra.sweep.dir))}]" if hydra.mode == RunMode.MULTIRUN else ""
    progress.say(_line(result, time.monotonic() - begin) + ahead)
    if result.how != "reused" or under_agent():  # a sweep agent waits for the run it asked for
        note = tracker.publish(record, job.store, wait=not _goes_on(hydra) or under_agent())
        if note and note not in _said:
            _said.add(note)
            progress.say(note)
    return JobOutcome(result.cell.label, record.status, result.how, record.error, result.cell.path)


def _say_decisions(spec: object, notes: Sequence[str], progress: CellProgress) -> None:
    """What reading a user's table decided, once a process; curated and made tables keep it for the record."""
    if isinstance(spec, dict) and str(spec["_target_"]).rpartition(".")[0] in (
        "harness.datasets.files",
        "harness.datasets.by_id",
    ):
        for note in notes:
            if note not in _said:
                _said.add(note)
                progress.say(note)


def _goes_on(hydra: HydraConf) -> bool:
    """Whether this very process runs the sweep's next cell and publishes the leaderboard at its end."""
    return hydra.mode == RunMode.MULTIRUN and str(hydra.launcher["_target_"]).endswith(".BasicLauncher")


def _line(result: CellResult, elapsed: float) -> str:
    record = result.record
    assert record is not None
    if result.how == "reused":
        return f"{record.status}, reused (nothing was refitted)"
    if record.error and not record.scores:
        return f"{record.status}: {record.error}"
    cost = record.cost
    spent = f"fit {seconds(cost.fit_seconds)}, sample {seconds(cost.sample_seconds)}, evaluate {seconds(cost.evaluate_seconds)}"
    violation = record.score("dependencies.fd_violation_rate")
    extra = (
        f", FD violation rate {violation.value:.4g}" if violation is not None and violation.value is not None else ""
    )
    return f"{record.status}, {result.how} in {seconds(elapsed)} ({spent}){extra}"
