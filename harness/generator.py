"""What an author of a generator writes: ``fit`` and ``sample``. Everything else is plumbing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from harness.errors import Incompatible

if TYPE_CHECKING:  # records need this module, and `--help` must not wait for pandas
    import pandas as pd

    from harness.table import Schema

__all__ = ["Context", "ContextAware", "Describes", "Generator", "Incompatible", "Sample", "Yield"]


@dataclass(frozen=True)
class Yield:
    """How many rows were attempted to deliver the table, and why others were rejected.

    Attributes:
        attempted: rows the generator started (accepted + rejected).
        accepted: rows delivered.
        rejected: rows thrown away, by reason, e.g. ``{"unparsable": 3, "unknown_category": 1}``.
        tokens: tokens generated, for language models; ``None`` otherwise.
    """

    attempted: int
    accepted: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    tokens: int | None = None


@dataclass(frozen=True)
class Sample:
    """A synthetic table and how it was obtained. ``yield_`` is ``None`` for generators that cannot say."""

    frame: pd.DataFrame
    yield_: Yield | None = None


@runtime_checkable
class Generator(Protocol):
    """The protocol. A plain class whose ``sample`` returns a bare frame is accepted too.

    An attribute ``repeatable = False`` says that equal seeds need not give equal tables; the record then says so. The global state
    of ``random``, numpy and torch is seeded around both methods, for a library that reads nothing else.
    """

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Learn from ``train`` (canonical dtypes, see :mod:`harness.table`), which must not be changed.

        Raises:
            Incompatible: before any work, when the table cannot be handled.
        """

    def sample(self, n: int, *, seed: int) -> Sample:
        """Return ``n`` rows with the schema's columns; fewer rows are recorded as ``short_yield``."""


@dataclass(frozen=True)
class Context:
    """What a generator may use beside its data.

    Attributes:
        work_dir: a private folder kept between attempts at the same cell: checkpoints go here.
        threads: CPU threads the generator may use.
        report: ``report(stage, done, total, **numbers)`` shows progress, e.g. ``report("fit", 3, 10, loss=0.4, rows_per_second=3e3)``.
    """

    work_dir: Path
    threads: int
    report: Callable[..., None]


@runtime_checkable
class ContextAware(Protocol):
    """A generator that wants a :class:`Context` gets it before ``fit``."""

    def bind(self, context: Context) -> None:
        """Receive the context."""


@runtime_checkable
class Describes(Protocol):
    """A generator that has something to tell the record (column order, mined FDs, loss curve, limits hit)."""

    def describe(self) -> Mapping[str, Any]:
        """JSON-able facts, stored in the record under ``generator_info``; called after ``sample``.

        Conventional keys: ``column_order`` (list of names), ``fds`` (list of {lhs, rhs, g3}), ``curve`` (list of {step, epoch,
        loss, seconds}), ``parameters`` (count), ``notes`` (list of sentences).
        """
