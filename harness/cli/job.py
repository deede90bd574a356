"""From a composed configuration to a cell: below this module there are only typed, frozen values."""

from __future__ import annotations

import os
import shlex
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.cli import callback as sweep
from harness.cli.callback import TOTAL_VARIABLE
from harness.cli.display import Relay
from harness.cli.mistakes import explain
from harness.cli.outcomes import JobOutcome, cell_name
from harness.cli.resources import Share, share_of, slot
from harness.errors import TabOrderError
from harness.execution.progress import CellProgress, seconds
from harness.records.files import safe_name
from harness.records.store import ResultStore

SINGLE: list[JobOutcome] = []
"""The outcome of a single run in this process; the command line reads it after Hydra returns."""

MISTAKES: list[Exception] = []
"""The user's mistake that ended a single run."""

_SAID: set[str] = set()
_LOADED: dict[str, Any] = {}
_TRACKERS: dict[str, Any] = {}


def run(config: DictConfig) -> None:
    """Run the cell a configuration describes; in a sweep nothing a cell does ends the sweep."""
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        with closing(CellProgress(_label(config))) as progress:
            try:
                SINGLE.append(_run_one(config, progress))
            except (TabOrderError, OmegaConfBaseException) as error:
                MISTAKES.append(error)  # raised through Hydra, it would come with a line of Hydra's own
        return
    number = int(hydra.job.num)
    total = os.environ.get(TOTAL_VARIABLE, "?")
    share = _share()
    turn = nullcontext() if share.bounded else slot(Path(hydra.sweep.dir) / ".slots", share.workers)
    with closing(CellProgress(f"[{number + 1}/{total}] {_label(config)}", relay=Relay.wanted())) as progress:
        try:
            with turn:
                outcome = _run_one(config, progress)
        except (TabOrderError, OmegaConfBaseException) as error:
            outcome = JobOutcome(_label(config), "invalid", "absent", explain(error))
            progress.say(str(outcome.error))
        except (Exception, SystemExit) as error:
            progress.say(traceback.format_exc())
            outcome = JobOutcome(_label(config), "error", "absent", f"{type(error).__name__}: {error}")
        outcome.save(Path(hydra.sweep.dir), number)


def _label(config: DictConfig) -> str:
    dataset = HydraConfig.get().runtime.choices["dataset"]
    return f"{dataset} · {_generator_name(config)} · seed {config.seed}"


def _generator_name(config: Mapping[Any, Any]) -> str:
    """How results call the generator: as told, or the name of its configuration, with what repairs it."""
    name, repair = str(HydraConfig.get().runtime.choices["generator"]), config["generator"].get("repair")
    return str(config["generator_name"] or (name if repair is None else f"{name}+{repair}_repair"))


def _run_one(config: DictConfig, progress: CellProgress) -> JobOutcome:
    from harness.execution.cell import CellResult, identify, run_cell
    from harness.tracking import under_agent

    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    begin = time.monotonic()
    tracker = tracker_of(plain["tracker"])  # before the cell: a mistake in it must not show hours later
    job = _job(plain)
    _say_decisions(plain["dataset"], job.dataset.notes, progress)
    progress.listener = tracker.watch(identify(job), job.sweep, job.store)
    result: CellResult = run_cell(job, progress)
    cell = result.cell
    if result.record is None:
        progress.say("no result is stored, and cache=only runs nothing")
        return JobOutcome(_label(config), "absent", result.how)
    record = result.record
    hydra = HydraConfig.get()
    pace = f" [{sweep.pace(Path(hydra.sweep.dir))}]" if hydra.mode == RunMode.MULTIRUN else ""
    progress.say(_line(result, time.monotonic() - begin) + pace)
    if result.how != "reused" or under_agent():  # a sweep agent waits for the run it asked for
        note = tracker.publish(record, ResultStore(plain["store"]["root"]), wait=not _goes_on(hydra) or under_agent())
        if note and note not in _SAID:
            _SAID.add(note)
            progress.say(note)
    label = f"{cell.dataset} · {cell.generator} · seed {cell.seed}"
    return JobOutcome(label, record.status, result.how, record.error, cell_name(cell))


def _say_decisions(spec: Mapping[str, Any], notes: Sequence[str], progress: CellProgress) -> None:
    """What reading a user's table decided, once a process; curated and made tables keep it for the record."""
    if str(spec["_target_"]).rpartition(".")[0] in ("harness.datasets.files", "harness.datasets.by_id"):
        for note in notes:
            if note not in _SAID:
                _SAID.add(note)
                progress.say(note)


def _goes_on(hydra: Any) -> bool:
    """Whether this very process runs the sweep's next cell and publishes the leaderboard at its end."""
    return hydra.mode == RunMode.MULTIRUN and str(hydra.launcher["_target_"]).endswith(".BasicLauncher")


def _line(result: Any, elapsed: float) -> str:
    record = result.record
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


def tracker_of(spec: Mapping[str, Any] | None) -> Any:
    """The tracker a configuration asks for, one per process: what it learnt about the server holds for the next cells."""
    from harness.targets import build
    from harness.tracking import NoTracker

    key = repr(spec)
    if key not in _TRACKERS:
        _TRACKERS[key] = NoTracker() if spec is None else build(spec)
    return _TRACKERS[key]


def _job(plain: Mapping[str, Any]) -> Any:
    from harness.execution.cell import Evaluation, Job
    from harness.processes.isolation import Limits
    from harness.targets import check, wrapped

    choices = HydraConfig.get().runtime.choices
    spec = wrapped(plain["generator"], plain["repairs"])
    share = _share()
    limits = plain["limits"]
    memory = share.memory_gib if limits["memory_gib"] == "auto" else limits["memory_gib"]
    check(spec)
    evaluation = Evaluation(
        tuple(plain["evaluation"]["metrics"].values()), _integer(plain["evaluation"]["seed"], "evaluation.seed")
    )
    evaluation.build()  # a mistake in a metric must not show after hours of training
    threads = _threads(limits["threads"], share)
    dataset = _dataset(plain["dataset"])
    return Job(
        dataset=dataset,
        generator=safe_name(_generator_name(plain), "generator"),
        spec=spec,
        seed=_integer(plain["seed"], "seed"),
        n_rows=None if plain["n_rows"] is None else _integer(plain["n_rows"], "n_rows"),
        evaluation=evaluation,
        store=ResultStore(plain["store"]["root"]),
        cache=plain["cache"],
        generate_limits=Limits(limits["timeout_seconds"], memory),
        score_limits=Limits(limits["score_timeout_seconds"], memory),
        threads=threads,
        cache_dir=plain["cache_dir"],
        dataset_params={key: value for key, value in plain["dataset"].items() if _is_parameter(key)},
        command=_command(),
        sweep=plain["sweep"] or choices.get("experiment") or _sweep_name(),
        facts={"scale": choices.get("scale"), "workers": share.workers},
    )


def _sweep_name() -> str | None:
    multirun = HydraConfig.get().mode == RunMode.MULTIRUN
    return os.environ.get(sweep.NAME_VARIABLE) if multirun else None


def _integer(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TabOrderError(f"{name}={value!r} is not a whole number.")
    return value


def _is_parameter(key: str) -> bool:
    """Where a table came from is no part of what it is (its checksum says that), and may be private."""
    return key not in (
        "_target_",
        "mirror",
        "cache_dir",
        "rules",
        "fds",
        "train",
        "test",
        "files",
        "resources",
        "url_base",
    )


def _dataset(spec: Mapping[str, Any]) -> Any:
    """Load a dataset, once per process and configuration."""
    from harness.targets import build

    key = repr(sorted(spec.items(), key=lambda item: item[0]))
    if key not in _LOADED:
        _LOADED.clear()  # sweeps visit one dataset after another; two large tables need not be in memory
        _LOADED[key] = build(spec)
    return _LOADED[key]


def _share() -> Share:
    hydra = HydraConfig.get()
    return share_of(hydra.launcher, hydra.mode == RunMode.MULTIRUN)


def _threads(wanted: Any, share: Share) -> int:
    if wanted is None:
        return share.threads
    if _integer(wanted, "limits.threads") < 1:
        raise TabOrderError(
            f"limits.threads={wanted} must be at least 1, or null for the machine's, divided among workers."
        )
    return int(wanted)


def _command() -> str:
    """The command line that runs this one cell again, outside the grids it was part of."""
    hydra = HydraConfig.get()
    alone = ["hydra.mode=RUN"] if hydra.mode == RunMode.MULTIRUN and "grids" in hydra.sweeper else []
    return shlex.join(["python", "-m", "harness", *hydra.overrides.task, *alone])
