"""The two stages of a cell as they run inside an isolated process: make a table, score a table."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from harness.datasets import stored
from harness.errors import TabOrderError
from harness.generator import Context, ContextAware, Describes, Sample, Yield
from harness.processes.isolation import Emit
from harness.records.files import parquet_bytes, write_atomic
from harness.records.record import finite
from harness.seeding import global_seed
from harness.table import conform
from harness.targets import arguments_of, build, check


def build_generator(spec: Mapping[str, Any], environment_dir: Path | None) -> Any:
    """The generator of a spec; with an ``environment``, a stand-in that runs it there.

    Args:
        spec: ``_target_``, arguments, and perhaps ``environment``.
        environment_dir: where that environment is ready; ``None``: the stand-in makes it when bound.

    Raises:
        TabOrderError: when it cannot be imported, or does not take these arguments.
    """
    if not spec.get("environment"):
        return build(spec)
    check(spec)
    from harness.execution.remote_generator import RemoteGenerator

    return RemoteGenerator(str(spec["_target_"]), arguments_of(spec), spec["environment"], environment_dir)


def use_threads(count: int) -> None:
    """Bound the CPU threads of this process and of whatever it starts."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[name] = str(count)
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(count)
    with contextlib.suppress(ImportError):
        import threadpoolctl

        threadpoolctl.threadpool_limits(count)


@contextlib.contextmanager
def _stage(name: str, emit: Emit) -> Iterator[None]:
    emit({"stage": name})
    begin = time.perf_counter()
    yield
    emit({"stage": name, "seconds": time.perf_counter() - begin})


def _content(frame: pd.DataFrame) -> str:
    return hashlib.sha256(pd.util.hash_pandas_object(frame, index=True).to_numpy().tobytes()).hexdigest()


def _as_sample(given: Any) -> Sample:
    if isinstance(given, Sample):
        return given
    if isinstance(given, pd.DataFrame):
        return Sample(given)
    raise TabOrderError(f"sample() returned a {type(given).__name__}; it must return a pandas DataFrame or a Sample.")


def _check_rows(frame: pd.DataFrame, n: int) -> None:
    if len(frame) > n:
        raise TabOrderError(f"sample({n}) returned {len(frame)} rows; it must return {n}, or fewer if it cannot.")


def _gpu_peak() -> int | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return int(torch.cuda.max_memory_allocated())


def generate(payload: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """Build the generator, fit it, sample, and store the synthetic table.

    Args:
        payload: ``generator`` (``_target_`` and arguments), ``dataset_dir``, ``out_dir``, ``n_rows``, ``seeds`` (fit, sample),
            ``threads``, ``environment_dir`` (of a generator with an environment of its own, else ``None``).
        emit: receives ``{"stage": name}`` at the start, the same with ``seconds`` at the end, and progress in between.

    Returns:
        ``{"rows", "invalid", "yield", "info", "notes", "checksum", "peak_memory_bytes", "peak_gpu_memory_bytes"}``.
    """
    use_threads(int(payload["threads"]))
    out = Path(payload["out_dir"])
    work = out / "work"
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)  # what a generator writes without saying where must not land in the user's folder
    with _stage("build", emit):
        dataset = stored.load(Path(payload["dataset_dir"]))
        ready = payload["environment_dir"]
        generator = build_generator(payload["generator"], None if ready is None else Path(ready))
        if isinstance(generator, ContextAware):
            generator.bind(Context(work, int(payload["threads"]), _reporter(emit)))
    notes: list[str] = []
    train = dataset.train.copy(deep=True)
    before = _content(train)
    with _stage("fit", emit), global_seed(int(payload["seeds"]["fit"])):  # for one that leaves its seed unused
        generator.fit(train, dataset.schema, seed=int(payload["seeds"]["fit"]))
    if list(train.columns) != dataset.schema.names or _content(train) != before:
        notes.append("the generator changed the training table it was given (a copy: no other number is affected).")
    with _stage("sample", emit), global_seed(int(payload["seeds"]["sample"])):
        sample = _as_sample(generator.sample(int(payload["n_rows"]), seed=int(payload["seeds"]["sample"])))
    notes += _unrepeatable(generator)
    _check_rows(sample.frame, int(payload["n_rows"]))
    frame, invalid = conform(sample.frame, dataset.schema)
    data = parquet_bytes(frame)
    write_atomic(out / "synthetic.parquet", data)
    return {
        "rows": len(frame),
        "invalid": invalid,
        "yield": _yield(sample.yield_, len(frame)),
        "info": finite(dict(generator.describe())) if isinstance(generator, Describes) else {},
        "notes": notes,
        "checksum": hashlib.sha256(data).hexdigest(),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "peak_gpu_memory_bytes": _gpu_peak(),
    }


def _unrepeatable(generator: Any) -> list[str]:
    """Why equal seeds need not give equal tables here."""
    notes = []
    if not getattr(generator, "repeatable", True):
        notes.append(
            "equal seeds need not give equal tables: this generator says that it cannot be seeded (repeatable = False)."
        )
    if _gpu_peak():
        notes.append(
            "equal seeds need not give equal tables: a GPU was used, whose sums depend on the order of its threads."
        )
    return notes


def _yield(given: Yield | None, rows: int) -> dict[str, Any]:
    if given is None:
        given = Yield(attempted=rows, accepted=rows)
    return asdict(Yield(int(given.attempted), int(given.accepted), dict(given.rejected), given.tokens))


def _reporter(emit: Emit) -> Callable[..., None]:
    last = 0.0

    def report(stage: str, done: float, total: float | None = None, **numbers: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.2 or done == total:
            last = now
            emit(
                {
                    "progress": stage,
                    "done": done,
                    "total": total,
                    **{key: float(value) for key, value in numbers.items()},
                }
            )

    return report


def score(payload: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """Score a stored table.

    Args:
        payload: ``metrics`` (specs with ``_target_``), ``dataset_dir``, ``synthetic`` (path), ``invalid``, ``seed``, ``anchors``
            (folder), ``threads``.
        emit: receives the stage.

    Returns:
        ``{"scores": [...]}``: scores as mappings.
    """
    use_threads(int(payload["threads"]))
    from harness.metrics.evaluate import evaluate

    with _stage("evaluate", emit):
        dataset = stored.load(Path(payload["dataset_dir"]))
        synthetic, _ = conform(pd.read_parquet(payload["synthetic"]), dataset.schema)
        scores = evaluate(
            dataset,
            synthetic,
            metrics=[build(spec) for spec in payload["metrics"]],
            seed=int(payload["seed"]),
            invalid=payload["invalid"],
            anchors=Path(payload["anchors"]),
            jobs=int(payload["threads"]),
        )
    return {"scores": [finite(one._asdict()) for one in scores]}
