"""From a composed configuration to a job: below this module there are only typed, frozen values."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from harness.cli.callback import NAME_VARIABLE
from harness.cli.resources import Share, share_of
from harness.cli.session import VARIES_VARIABLE
from harness.datasets.base import Dataset
from harness.errors import TabOrderError
from harness.execution.job import CachePolicy, Evaluation, Job
from harness.execution.messages import Json
from harness.processes.isolation import Limits
from harness.records.files import safe_name
from harness.records.store import ResultStore
from harness.targets import build, check, with_argument, wrapped
from harness.tracking import NoTracker, Tracker

PLACES = ("_target_", "mirror", "cache_dir", "rules", "fds", "train", "test", "files", "resources", "url_base")
"""Where a table came from is no part of what it is (its checksum says that), and may be private."""

NAMED = ("dataset", "generator", "seed")
"""What every line of a sweep names anyway."""

CLOCK = "max_train_seconds"
"""The argument by which every generator of ours is told when its fit has to end."""

# Kept for the cells that this process still runs.
_datasets: dict[str, Dataset] = {}
_trackers: dict[str, Tracker] = {}


def job_of(config: DictConfig, dataset: Dataset | None = None, plain: Json | None = None) -> Job:
    """The cell that a configuration describes, with its tables loaded.

    Args:
        config: composed.
        dataset: takes the place of the configuration's, for which no command line stands.
        plain: the configuration as :func:`plain_of` gives it, where the caller has that already.

    Raises:
        TabOrderError: for a mistake in any of it; nothing has run then.
    """
    plain = plain_of(config) if plain is None else plain
    choices = HydraConfig.get().runtime.choices
    share, limits = own_share(), _mapping(plain, "limits")
    memory = share.memory_gib if limits["memory_gib"] == "auto" else limits["memory_gib"]
    budget = _seconds(_mapping(plain, "budget")["fit_seconds"], "budget.fit_seconds")
    generator, clock = _clocked(wrapped(_mapping(plain, "generator"), _mapping(plain, "repairs")), budget)
    data = _mapping(plain, "dataset")
    check(generator)
    return Job(
        evaluation=_evaluation(_mapping(plain, "evaluation")),
        threads=_threads(limits["threads"], share),
        dataset=dataset or _dataset(data),
        generator=safe_name(_generator_name(plain), "generator"),
        spec=generator,
        seed=_integer(plain["seed"], "seed"),
        n_rows=None if plain["n_rows"] is None else _integer(plain["n_rows"], "n_rows"),
        store=ResultStore(str(_mapping(plain, "store")["root"])),
        cache=cast(CachePolicy, plain["cache"]),
        generate_limits=Limits(cast(float | None, limits["timeout_seconds"]), cast(float | None, memory)),
        score_limits=Limits(cast(float | None, limits["score_timeout_seconds"]), cast(float | None, memory)),
        cache_dir=str(plain["cache_dir"]) if plain["cache_dir"] else None,
        dataset_params={} if dataset else {key: value for key, value in data.items() if key not in PLACES},
        sources=() if dataset else _sources(data),
        notes=clock,
        command=None if dataset else _command(),
        sweep=str(plain["sweep"] or choices.get("experiment") or _sweep_name() or "") or None,
        facts={"scale": choices.get("scale"), "workers": share.workers, "budget_fit_seconds": budget},
    )


def plain_of(config: DictConfig) -> Json:
    """The configuration as plain values, everything resolved.

    Raises:
        OmegaConfBaseException: when a mandatory value is missing.
    """
    return cast(Json, OmegaConf.to_container(config, resolve=True, throw_on_missing=True))


def label_of(config: DictConfig) -> str:
    """``dataset · generator · seed`` as configured."""
    dataset = str(config.dataset.get("name") or HydraConfig.get().runtime.choices["dataset"])
    return f"{dataset} · {_generator_name(cast(Json, config))} · seed {config.seed}{_told_apart(config)}"


def _told_apart(config: DictConfig) -> str:
    """What else varies in the sweep, e.g. `` [order=fd_reversed]``."""
    keys = [key for key in os.environ.get(VARIES_VARIABLE, "").split(",") if key and key not in NAMED]
    if HydraConfig.get().mode != RunMode.MULTIRUN or not keys:
        return ""
    known = [(key.rpartition(".")[2], OmegaConf.select(config, key)) for key in keys]
    said = ", ".join(
        f"{name}={value}" for name, value in known if value is not None and not isinstance(value, DictConfig)
    )
    return f" [{said}]" if said else ""


def _generator_name(config: Json) -> str:
    """How results call the generator: as told, or the name of its configuration, with what repairs it."""
    name, repair = str(HydraConfig.get().runtime.choices["generator"]), _mapping(config, "generator").get("repair")
    return str(config["generator_name"] or (name if repair is None else f"{name}+{repair}_repair"))


def own_share() -> Share:
    """This cell's part of the machine."""
    hydra = HydraConfig.get()
    return share_of(cast(Mapping[str, object], hydra.launcher), hydra.mode == RunMode.MULTIRUN)


def tracker_of(spec: Json | None) -> Tracker:
    """The tracker a configuration asks for, one per process: what it learnt about the server holds for the next cells."""
    key = repr(spec)
    if key not in _trackers:
        _trackers[key] = NoTracker() if spec is None else build(spec)
    return _trackers[key]


def _mapping(plain: Json, name: str) -> Json:
    found = plain[name]
    if not isinstance(found, (Mapping, DictConfig)):
        raise TabOrderError(f"{name}={found!r} is not a mapping: choose one with {name}=NAME.")
    return cast(Json, found)


def _evaluation(plain: Json) -> Evaluation:
    metrics = plain["metrics"]
    if not isinstance(metrics, Mapping) or not all(isinstance(spec, Mapping) for spec in metrics.values()):
        raise TabOrderError(
            f"evaluation.metrics={metrics!r} is not a mapping of names to metrics: choose a set with evaluation=NAME, "
            "or take one out with ~evaluation.metrics.NAME."
        )
    evaluation = Evaluation(tuple(metrics.values()), _integer(plain["seed"], "evaluation.seed"))
    _ = evaluation.built  # a mistake in a metric must not show after hours of training
    return evaluation


def _clocked(spec: Json, seconds: float | None) -> tuple[Json, tuple[str, ...]]:
    """The spec under the common clock, and a sentence where its class has none."""
    if seconds is None:
        return spec, ()
    clocked = with_argument(spec, CLOCK, seconds)
    if clocked == dict(spec) and spec.get(CLOCK) != seconds:
        target = spec["_target_"]
        return spec, (
            f"budget.fit_seconds={seconds:g} does not stop {target}, which takes no {CLOCK}: its fit ran to its own end.",
        )
    return clocked, ()


def _seconds(value: object, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise TabOrderError(f"{name}={value!r} is not a positive number of seconds: give one, or null for no limit.")
    return float(value)


def _integer(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TabOrderError(f"{name}={value!r} is not a whole number.")
    return value


def _dataset(spec: Json) -> Dataset:
    """Load a dataset, once per process and configuration."""
    key = repr(sorted(spec.items(), key=lambda item: item[0]))
    if key not in _datasets:
        _datasets.clear()  # sweeps visit one dataset after another; two large tables need not be in memory
        _datasets[key] = build(spec)
    return _datasets[key]


def _sources(spec: Json) -> tuple[str, ...]:
    """The files and folders that a dataset's rows are read from, as far as its configuration names them."""
    places = [spec.get("train"), spec.get("test"), spec.get("mirror"), os.environ.get("TABORDER_MIRROR")]
    cache_dir = spec.get("cache_dir")
    if isinstance(cache_dir, str):
        places.append(str(Path(cache_dir).expanduser() / "downloads"))
    named = (Path(place).expanduser() for place in places if isinstance(place, str) and place)
    return tuple(str(path.resolve()) for path in named if path.exists())


def _threads(wanted: object, share: Share) -> int:
    if wanted is None:
        return share.threads
    if _integer(wanted, "limits.threads") < 1:
        raise TabOrderError(
            f"limits.threads={wanted} must be at least 1, or null for the machine's, divided among workers."
        )
    return _integer(wanted, "limits.threads")


def _sweep_name() -> str | None:
    return os.environ.get(NAME_VARIABLE) if HydraConfig.get().mode == RunMode.MULTIRUN else None


def _command() -> str:
    """The command line that runs this one cell again, outside the grids it was part of."""
    hydra = HydraConfig.get()
    alone = ["hydra.mode=RUN"] if hydra.mode == RunMode.MULTIRUN and "grids" in hydra.sweeper else []
    return shlex.join(["python", "-m", "harness", *hydra.overrides.task, *alone])
