"""The tracker protocol, and the tracker that does nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from harness.execution.messages import Event
from harness.records.record import Cell, Record
from harness.records.store import ResultStore


class Tracker(Protocol):
    """Told of every record after it is on disk, and, if it wants, of training while it runs."""

    def watch(self, cell: Cell, sweep: str | None, store: ResultStore) -> Callable[[Event], None] | None:
        """What to tell the events of a cell that starts now; it must return at once and never raise. ``None``: nothing."""

    def publish(self, record: Record, store: ResultStore, *, wait: bool = True) -> str | None:
        """Mirror one record within a bounded time; returns a one-line note for the user, or ``None``. Never raises.

        With ``wait=False`` the mirror may still be written while the caller goes on.
        """

    def publish_board(self, store: ResultStore, output: Path) -> str | None:
        """Likewise the leaderboard of a store, written to ``output``."""


class NoTracker:
    """Mirrors nothing."""

    def watch(self, cell: Cell, sweep: str | None, store: ResultStore) -> None:
        """Nothing to tell."""

    def publish(self, record: Record, store: ResultStore, *, wait: bool = True) -> str | None:
        """Nothing to do."""
        return None

    def publish_board(self, store: ResultStore, output: Path) -> str | None:
        """Nothing to do."""
        return None
