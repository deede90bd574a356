"""Metrics × anchors → scores. A metric's failure stays its own score's error."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from harness.datasets.base import Dataset
from harness.errors import TabOrderError
from harness.metrics.base import EvalInput, HasFloor, Metric, NotComputable, Value, parameters
from harness.metrics.encoding import require_rows, resample_columns
from harness.metrics.identity import identity
from harness.records.files import write_atomic
from harness.records.record import Score, finite
from harness.seeding import rng

Kind = Literal["value", "real", "floor"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LIBRARIES = ("numpy", "scikit-learn", "scipy", "sdmetrics")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What calling a metric gave: values, or the sentence saying why there are none."""

    values: tuple[Value, ...] = ()
    error: str | None = None
    seconds: float = 0.0
    final: bool = True
    """Whether calling again would give the same (not so after, say, running out of memory)."""


def evaluate(
    dataset: Dataset,
    synthetic: pd.DataFrame,
    *,
    metrics: Mapping[str, Metric] | Sequence[Metric],
    seed: int,
    invalid: Mapping[str, int] | None = None,
    anchors: Path | None = None,
    jobs: int = 1,
) -> tuple[Score, ...]:
    """Judge a synthetic table by every metric, beside its *real* and *floor* anchors.

    Args:
        dataset: the real rows and what is known of them.
        synthetic: canonical table under judgement (:func:`harness.table.conform`); not changed.
        metrics: what to compute, in order (the keys of a mapping are ignored).
        seed: of all randomness inside metrics and anchors; equal seeds give equal scores, whatever ``jobs`` is and whatever the
            dataset is called.
        invalid: invalid cells per column, as :func:`harness.table.conform` counted them.
        anchors: folder in which anchors are kept, so that they are computed once per dataset; ``None``: computed each time.
        jobs: threads; metrics and their anchors run side by side.

    Returns:
        All scores, metric by metric. A value that cannot be computed has ``value=None`` and says why in ``error``.

    Raises:
        TabOrderError: when the table's columns are not the schema's or two metrics share a name.
    """
    chosen = list(metrics.values()) if isinstance(metrics, Mapping) else list(metrics)
    _check(dataset, synthetic, chosen, jobs)
    data = EvalInput(dataset.train, dataset.test, synthetic, dataset.schema, dataset, seed, dict(invalid or {}))
    tables = _Tables(data)
    cache = _AnchorCache(anchors, dataset, seed)
    tasks: list[tuple[Metric, Kind]] = [(metric, kind) for metric in _by_length(chosen) for kind in KINDS]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # libraries warn about every constant column; what matters becomes a score's error
        done = _run([partial(_outcome, metric, kind, tables, cache) for metric, kind in tasks], jobs)
    outcomes = {(metric.name, kind): outcome for (metric, kind), outcome in zip(tasks, done, strict=True)}
    return tuple(score for metric in chosen for score in _scores(metric, *(outcomes[metric.name, k] for k in KINDS)))


def _by_length(metrics: Sequence[Metric]) -> list[Metric]:
    """Those that say they are ``slow`` first, so that none of them is left running alone at the end; else in order."""
    return sorted(metrics, key=lambda metric: not getattr(metric, "slow", False))


def _check(dataset: Dataset, synthetic: pd.DataFrame, metrics: Sequence[Metric], jobs: int) -> None:
    if list(synthetic.columns) != dataset.schema.names:
        raise TabOrderError(
            f"the synthetic table's columns {list(synthetic.columns)} are not the schema's {dataset.schema.names}: "
            "bring it to canonical form with harness.table.conform first."
        )
    names = [metric.name for metric in metrics]
    if len(set(names)) != len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise TabOrderError(f"metrics {repeated} are asked for more than once: keep one of each name.")
    if jobs < 1:
        raise TabOrderError(f"jobs={jobs} is not possible: give 1 or more.")


def _run(tasks: Sequence[Callable[[], Outcome]], jobs: int) -> list[Outcome]:
    """Run tasks on ``jobs`` threads, each on one native thread, so that results never depend on ``jobs``."""
    import sklearn.utils._openmp_helpers  # noqa: F401  # a limit only reaches libraries already loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        if jobs == 1:
            return [task() for task in tasks]
        with ThreadPoolExecutor(jobs, initializer=lambda: threadpool_limits(limits=1) and None) as pool:
            return list(pool.map(lambda task: task(), tasks))


class _Tables:
    """The inputs of a metric: the table itself, and the real tables that play it."""

    def __init__(self, data: EvalInput) -> None:
        self.data = data

    def of(self, metric: Metric, kind: Kind) -> EvalInput:
        if kind == "value":
            return self.data
        role: str = metric.real_anchor
        if kind == "floor":
            role = "train" if isinstance(metric, HasFloor) else "floor"
        return self.data.cached(f"input with {role} as synthetic", lambda: self._anchor(role))  # type: ignore[no-any-return]

    def _anchor(self, role: str) -> EvalInput:
        data, test = self.data, self.data.test
        if role == "floor":
            rows = resample_columns(data.train, len(data.synthetic), rng(data.seed, "floor"))
            return replace(data, synthetic=rows, invalid={}, cache={})
        if role == "test_half":
            order = rng(data.seed, "test_half").permutation(len(test))
            half, rest = np.sort(order[: len(test) // 2]), np.sort(order[len(test) // 2 :])
            first, second = (test.iloc[rows].reset_index(drop=True) for rows in (half, rest))
            return replace(data, synthetic=first, test=second, invalid={}, cache={})
        return replace(data, synthetic=data.train if role == "train" else test, invalid={}, cache={})


def _outcome(metric: Metric, kind: Kind, tables: _Tables, cache: _AnchorCache) -> Outcome:
    if kind == "value":
        return _call(metric, metric, tables.data)
    key = cache.key(metric, kind, len(tables.data.synthetic))
    known = cache.read(key)
    if known is not None:
        return known
    call = metric.floor if kind == "floor" and isinstance(metric, HasFloor) else metric
    outcome = _call(metric, call, tables.of(metric, kind))
    if outcome.final:
        cache.write(key, outcome)
    return outcome


def _call(metric: Metric, call: Callable[[EvalInput], Sequence[Value]], data: EvalInput) -> Outcome:
    start = time.perf_counter()
    try:
        require_rows(data)
        values = tuple(_sound(value) for value in call(data))
        return Outcome(values, None if values else "the metric gave no value.", time.perf_counter() - start)
    except NotComputable as reason:
        log.info("%s: %s", metric.name, reason)
        return Outcome(error=str(reason), seconds=time.perf_counter() - start)
    except Exception as error:  # any failure of one metric must stay its own
        log.warning("metric %s failed", metric.name, exc_info=True)
        said = " ".join(str(error).split()) or "no message"
        sentence = f"{metric.name} failed unexpectedly ({type(error).__name__}: {said}): the log has the traceback."
        return Outcome(error=sentence, seconds=time.perf_counter() - start, final=False)


def _sound(value: Value) -> Value:
    """A value that is not a finite number becomes a missing one that says so."""
    if value.value is None:
        return value if value.error else replace(value, error="the metric gave no value and no reason.")
    if not np.isfinite(value.value):
        return replace(value, value=None, error=f"the result is not a finite number ({value.value}).")
    return replace(value, value=float(value.value))


def _scores(metric: Metric, value: Outcome, real: Outcome, floor: Outcome) -> list[Score]:
    """One score per name; a metric that failed still shows the names its anchors know, or its own."""
    found = {v.name: v for outcome in (floor, real, value) for v in outcome.values}
    own = {v.name: v for v in value.values}
    ordered = [*own, *(name for name in found if name not in own)] or [metric.name]
    anchors = [{v.name: v.value for v in outcome.values} for outcome in (real, floor)]
    scores = []
    for name in ordered:
        like = found.get(name, Value(name, None, getattr(metric, "goal", "max"), (None, None)))
        mine = own.get(name)
        error = mine.error if mine else value.error or "the synthetic table has nothing of this kind to measure."
        scores.append(
            Score(
                metric=name,
                version=metric.version,
                params=finite(parameters(metric)),
                goal=like.goal,
                bounds=like.bounds,
                value=mine.value if mine else None,
                real=anchors[0].get(name),
                floor=anchors[1].get(name),
                seconds=value.seconds,
                error=error,
            )
        )
    return scores


class _AnchorCache:
    """Anchors of one dataset and seed as small JSON files. Writers replace whole files; an unreadable one is made again."""

    def __init__(self, folder: Path | None, dataset: Dataset, seed: int) -> None:
        self.folder = folder
        self.dataset, self.seed = dataset, seed
        self.tables = {
            "dataset": dataset.checksum,
            "target": dataset.schema.target,
            "task": dataset.schema.task,
            "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        }

    def key(self, metric: Metric, kind: Kind, rows: int) -> dict[str, Any]:
        """What an anchor depends on; only a resampled floor depends on the number of synthetic rows."""
        sized = kind == "floor" and not isinstance(metric, HasFloor)
        own = identity(metric, self.dataset, self.seed)
        return {**self.tables, **own, "metric": own.pop("name"), "kind": kind, "rows": rows if sized else None}

    def _path(self, key: Mapping[str, Any]) -> Path | None:
        if self.folder is None:
            return None
        digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
        return self.folder / f"{key['metric']}-{key['kind']}-{digest[:16]}.json"

    def read(self, key: Mapping[str, Any]) -> Outcome | None:
        path = self._path(key)
        try:
            stored = json.loads(path.read_text(encoding="utf-8")) if path else None
            if stored is None or stored["key"] != json.loads(json.dumps(key, default=str)):
                return None
            values = tuple(Value(**{**value, "bounds": tuple(value["bounds"])}) for value in stored["values"])
            return Outcome(values, stored["error"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, key: Mapping[str, Any], outcome: Outcome) -> None:
        path = self._path(key)
        if path:
            values = [value.__dict__ | {"bounds": list(value.bounds)} for value in outcome.values]
            body = {"key": key, "values": finite(values), "error": outcome.error}
            write_atomic(path, json.dumps(body, sort_keys=True, allow_nan=False, indent=1, default=str).encode())
