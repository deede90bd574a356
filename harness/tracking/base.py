"""The tracker protocol, and the tracker that does nothing."""

from __future__ import annotations

from typing import Protocol

from harness.record import Record
from harness.store import ResultStore


class Tracker(Protocol):
    """Told of every record after it is on disk."""

    def publish(self, record: Record, store: ResultStore) -> str | None:
        """Mirror one record within a bounded time; returns a one-line note for the user, or ``None``. Never raises."""


class NoTracker:
    """Mirrors nothing."""

    def publish(self, record: Record, store: ResultStore) -> str | None:
        """Nothing to do."""
        return None
