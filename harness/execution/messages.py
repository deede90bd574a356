"""What a cell's process is asked and what it answers: frozen, versioned, written as JSON.

The harness and the process that makes or scores a table share no object. A request crosses as JSON, so does the answer; both carry
:data:`VERSION`, and one of another version is refused rather than misread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, TypeAlias

from harness.errors import TabOrderError
from harness.generator import Yield
from harness.records.record import Status, finite

VERSION = 1

Json: TypeAlias = Mapping[str, object]
"""An object of JSON: text, numbers, null, and lists and objects of them."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A value that crosses between processes.

    Attributes:
        version: of the agreement between both sides.
    """

    version: int = VERSION

    def to_json(self) -> Json:
        """As plain values, finite numbers only."""
        plain: Json = finite(asdict(self))
        return plain

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            TabOrderError: for another version, or keys that are not this message's.
        """
        if data.get("version") != VERSION:
            raise TabOrderError(
                f"a {cls.__name__} of version {data.get('version')!r} cannot be read here: it has to be {VERSION}."
            )
        known = {one.name for one in fields(cls)}
        if data.keys() - known:
            raise TabOrderError(f"a {cls.__name__} has no {', '.join(sorted(data.keys() - known))}.")
        values: dict[str, Any] = dict(data)
        try:
            return cls(**values)
        except TypeError as error:
            raise TabOrderError(f"a {cls.__name__} is incomplete ({error}).") from None


@dataclass(frozen=True)
class Event:
    """What a cell's process tells while it works.

    Attributes:
        stage: ``environment``, ``build``, ``fit``, ``sample`` or ``evaluate``.
        seconds: how long the stage took, at its end.
        done: how far it is, in its own units; ``None`` at its begin and end.
        total: of ``done``; ``None``: unknown.
        numbers: what else is known, e.g. ``loss``, ``rows_per_second``, ``eta_seconds``.
        text: a line to show, e.g. of pip.
    """

    stage: str
    seconds: float | None = None
    done: float | None = None
    total: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    text: str | None = None

    @property
    def begins(self) -> bool:
        """Whether the stage starts with this."""
        return self.seconds is None and self.done is None

    def to_json(self) -> Json:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Json) -> Self | None:
        """Read what :meth:`to_json` wrote; ``None`` for anything else, for a worker may write whatever it likes."""
        known = {one.name for one in fields(cls)}
        values: dict[str, Any] = dict(data)
        if (
            not isinstance(values.get("stage"), str)
            or data.keys() - known
            or not isinstance(values.get("numbers"), dict)
        ):
            return None
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class GenerateRequest(Message):
    """Make a synthetic table.

    Attributes:
        generator: ``_target_`` and arguments, and perhaps ``environment``.
        private_dir: the only folder the generator needs: the training table lies in it, and checkpoints go there.
        out_dir: where ``synthetic.parquet`` goes; out of the generator's sight while it works.
        hidden: files and folders that hold test rows or other cells; taken out of the process's sight where the system allows it.
        n_rows: rows to make.
        threads: CPU threads.
        fit_seed: seed of ``fit``.
        sample_seed: seed of ``sample``.
        fit_seconds: the common clock, ``budget.fit_seconds``; ``None``: none.
        environment_dir: the generator's own environment, ready; ``None`` where it has none.
    """

    generator: Json
    private_dir: str
    out_dir: str
    hidden: list[str]
    n_rows: int
    threads: int
    fit_seed: int
    sample_seed: int
    fit_seconds: float | None = None
    environment_dir: str | None = None


@dataclass(frozen=True, kw_only=True)
class GenerateResult(Message):
    """The table that was made.

    Attributes:
        rows: its rows.
        invalid: invalid cells by column.
        yield_: how many rows were attempted, and why others were rejected.
        info: what the generator says of itself.
        notes: sentences for the record.
        checksum: SHA-256 of ``synthetic.parquet``.
        peak_memory_bytes: highest resident memory of the process.
        peak_gpu_memory_bytes: highest GPU memory torch saw; ``None`` without a GPU.
    """

    rows: int
    invalid: Mapping[str, int]
    yield_: Yield
    info: Json
    notes: list[str]
    checksum: str
    peak_memory_bytes: int
    peak_gpu_memory_bytes: int | None = None

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Likewise, with the yield read as well."""
        inner = data.get("yield_")
        return super().from_json({**data, "yield_": Yield(**inner) if isinstance(inner, Mapping) else None})


@dataclass(frozen=True, kw_only=True)
class ScoreRequest(Message):
    """Score a stored table.

    Attributes:
        metrics: specs with ``_target_``.
        dataset_dir: the stored dataset.
        synthetic: path of the table.
        invalid: invalid cells by column, counted when it was made.
        seed: of the evaluation.
        anchors: folder of anchor scores.
        threads: CPU threads.
    """

    metrics: list[Json]
    dataset_dir: str
    synthetic: str
    invalid: Mapping[str, int]
    seed: int
    anchors: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class ScoreResult(Message):
    """Scores as mappings (:class:`harness.records.record.Score`), and sentences on what they measure."""

    scores: list[Json]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Generation(Message):
    """How making a table ended: ``generation.json``, so that scoring can be resumed alone.

    Attributes:
        status: of the record to come.
        error: one sentence, or ``None``.
        fit_seconds: of ``fit``.
        sample_seconds: of ``sample``.
        peak_memory_bytes: of the process and all it started.
        peak_gpu_memory_bytes: of the GPU.
        log_tail: last lines printed.
        result: the table, where one was made.
    """

    status: Status
    error: str | None = None
    fit_seconds: float | None = None
    sample_seconds: float | None = None
    peak_memory_bytes: int | None = None
    peak_gpu_memory_bytes: int | None = None
    log_tail: list[str] = field(default_factory=list)
    result: GenerateResult | None = None

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Likewise, with the result read as well."""
        inner = data.get("result")
        made = GenerateResult.from_json(inner) if isinstance(inner, Mapping) else None
        return super().from_json({**data, "result": made})
