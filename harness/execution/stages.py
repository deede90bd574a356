"""The two stages of a cell as they run inside an isolated process: make a table, score a table."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from harness.datasets import stored
from harness.errors import TabOrderError
from harness.execution.messages import Event, GenerateRequest, GenerateResult, Json, ScoreRequest, ScoreResult
from harness.execution.seclusion import hide
from harness.generator import Context, ContextAware, Describes, Generator, Sample, Yield
from harness.processes.isolation import Emit
from harness.records.files import parquet_bytes, write_atomic
from harness.seeding import global_seed
from harness.table import conform
from harness.targets import arguments_of, build, check

LEAST_SECONDS = 0.2
"""Between two lines of progress."""


def build_generator(spec: Json, environment_dir: Path | None) -> Generator:
    """The generator of a spec; with an ``environment``, a stand-in that runs it there.

    Args:
        spec: ``_target_``, arguments, and perhaps ``environment``.
        environment_dir: where that environment is ready; ``None``: the stand-in makes it when bound.

    Raises:
        TabOrderError: when it cannot be imported, or does not take these arguments.
    """
    if not spec.get("environment"):
        made: Generator = build(spec)
        return made
    check(spec)
    from harness.execution.remote_generator import RemoteGenerator

    environment = spec["environment"]
    assert isinstance(environment, Mapping)
    return RemoteGenerator(str(spec["_target_"]), arguments_of(spec), environment, environment_dir)


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
    emit(Event(name).to_json())
    begin = time.perf_counter()
    yield
    emit(Event(name, seconds=time.perf_counter() - begin).to_json())


def _content(frame: pd.DataFrame) -> str:
    return hashlib.sha256(pd.util.hash_pandas_object(frame, index=True).to_numpy().tobytes()).hexdigest()


def _as_sample(given: object) -> Sample:
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


def generate(payload: Json, emit: Emit) -> Json:
    """Build the generator, fit it, sample, and leave the synthetic table in the private folder.

    Args:
        payload: a :class:`GenerateRequest`.
        emit: receives an :class:`Event` at the begin and end of each stage, and progress in between.

    Returns:
        A :class:`GenerateResult`.
    """
    request = GenerateRequest.from_json(payload)
    use_threads(request.threads)
    private = Path(request.private_dir)
    visible = hide(request.hidden, Path(request.out_dir))
    os.chdir(private)  # what a generator writes without saying where must not land in the user's folder
    with _stage("build", emit):
        train, schema = stored.load_train(private / "data")
        ready = request.environment_dir
        generator = build_generator(request.generator, None if ready is None else Path(ready))
        if isinstance(generator, ContextAware):
            generator.bind(Context(private, request.threads, _reporter(emit)))
    notes: list[str] = [] if visible is None else [visible]
    before = _content(train)
    with _stage("fit", emit), global_seed(request.fit_seed):  # for one that leaves its seed unused
        generator.fit(train, schema, seed=request.fit_seed)
    if list(train.columns) != schema.names or _content(train) != before:
        notes.append("the generator changed the training table it was given (a copy: no other number is affected).")
    with _stage("sample", emit), global_seed(request.sample_seed):
        sample = _as_sample(generator.sample(request.n_rows, seed=request.sample_seed))
    notes += _unrepeatable(generator)
    _check_rows(sample.frame, request.n_rows)
    frame, invalid = conform(sample.frame, schema)
    data = parquet_bytes(frame)
    write_atomic(private / "synthetic.parquet", data)
    return GenerateResult(
        rows=len(frame),
        invalid=invalid,
        yield_=_yield(sample.yield_, len(frame)),
        info=dict(generator.describe()) if isinstance(generator, Describes) else {},
        notes=notes,
        checksum=hashlib.sha256(data).hexdigest(),
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        peak_gpu_memory_bytes=_gpu_peak(),
    ).to_json()


def _unrepeatable(generator: Generator) -> list[str]:
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


def _yield(given: Yield | None, rows: int) -> Yield:
    if given is None:
        given = Yield(attempted=rows, accepted=rows)
    return Yield(int(given.attempted), int(given.accepted), dict(given.rejected), given.tokens)


def _reporter(emit: Emit) -> Callable[..., None]:
    last = 0.0

    def report(stage: str, done: float, total: float | None = None, **numbers: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LEAST_SECONDS or done == total:
            last = now
            known = {key: float(value) for key, value in numbers.items()}
            emit(Event(stage, done=done, total=total, numbers=known).to_json())

    return report


def score(payload: Json, emit: Emit) -> Json:
    """Score a stored table.

    Args:
        payload: a :class:`ScoreRequest`.
        emit: receives the stage.

    Returns:
        A :class:`ScoreResult`.
    """
    request = ScoreRequest.from_json(payload)
    use_threads(request.threads)
    from harness.metrics.evaluate import evaluate
    from harness.metrics.overlap import overlaps

    with _stage("evaluate", emit):
        dataset = stored.load(Path(request.dataset_dir))
        synthetic, _ = conform(pd.read_parquet(request.synthetic), dataset.schema)
        scores = evaluate(
            dataset,
            synthetic,
            metrics=[build(spec) for spec in request.metrics],
            seed=request.seed,
            invalid=request.invalid,
            anchors=Path(request.anchors),
            jobs=request.threads,
        )
    return ScoreResult(scores=[one._asdict() for one in scores], notes=overlaps(dataset)).to_json()
