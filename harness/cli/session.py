"""One command from its words to its exit code: what Hydra's parts, which Hydra makes, leave for the end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `--help` ends without them
    from omegaconf import DictConfig

    from harness.cli.display import SweepDisplay
    from harness.cli.outcomes import Finished, JobOutcome, Plan
    from harness.execution.cell import CellResult

TOTAL_VARIABLE = "TABORDER_SWEEP_TOTAL"
"""How many cells the sweep has; an environment variable, for its jobs may run in other processes."""


VARIES_VARIABLE = "TABORDER_SWEEP_VARIES"
"""Keys whose values differ within the sweep, comma-separated: they stand in each cell's line."""


@dataclass
class Session:
    """What one command did.

    Attributes:
        words: its words.
        folder: of the sweep, once it has begun.
        config: the sweep's configuration.
        plan: its jobs by experiment, where a grid was swept.
        display: what draws it on a terminal.
        finished: how it ended.
        outcome: how a single cell ended.
        result: its record.
        cell_folder: where that lies.
        mistake: the user's mistake that ended a single cell: raised through Hydra, it would come with a line of Hydra's own.
    """

    words: Sequence[str] = ()
    folder: Path | None = None
    config: DictConfig | None = None
    plan: Plan | None = None
    display: SweepDisplay | None = None
    finished: Finished | None = None
    outcome: JobOutcome | None = None
    result: CellResult | None = None
    cell_folder: Path | None = None
    mistake: Exception | None = None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Be the session that :func:`current` finds."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    def stop_display(self) -> None:
        """Give the terminal back."""
        if self.display is not None:
            display, self.display = self.display, None
            display.stop()


_CURRENT: ContextVar[Session | None] = ContextVar("session", default=None)


def current() -> Session:
    """The session that runs; in a job's process, which has none, a new one that nobody reads."""
    return _CURRENT.get() or Session()


def varying(jobs: Iterable[Sequence[str]]) -> str:
    """The keys that have several values among the overrides of a sweep's jobs, comma-separated."""
    values: dict[str, set[str]] = {}
    for job in jobs:
        for word in job:
            key, _, value = word.partition("=")
            values.setdefault(key.lstrip("+"), set()).add(value)
    return ",".join(key for key, seen in values.items() if len(seen) > 1)


def total_cells() -> int | None:
    """How many cells the running sweep has, once that is known."""
    known = os.environ.get(TOTAL_VARIABLE, "")
    return int(known) if known.isdigit() else None
