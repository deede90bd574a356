"""A cell's training, live: events become points of its W&B run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Literal

from harness.execution.messages import Event, Json
from harness.tracking.messages import RunDescription

Kind = Literal["watch", "point"]

SHOWN = ("loss", "rows_per_second", "epoch", "done", "total", "eta_seconds")


class Watch:
    """Turns the events of a training cell into points of its run, at most one every few seconds.

    Args:
        tell: sends a request of a kind, for a run, with values, without waiting.
        identity: what names the run (:func:`harness.tracking.run_description.identify_cell`).
    """

    EVERY = 2.0

    def __init__(self, tell: Callable[[Kind, RunDescription, Json], None], identity: RunDescription) -> None:
        self._tell, self._identity = tell, identity
        self._begin = time.monotonic()
        self._last: float | None = None

    def event(self, event: Event) -> None:
        """Take an event of :mod:`harness.execution.stages`; the first sign of progress opens the run."""
        now = time.monotonic()
        if event.done is None or (self._last is not None and now - self._last < self.EVERY):
            return
        if self._last is None:
            self._tell("watch", self._identity, {})
        self._last = now
        known = {**event.numbers, "done": event.done, "total": event.total}
        numbers = {f"live/{name}": known.get(name) for name in SHOWN}
        finite = {name: value for name, value in numbers.items() if value is not None and math.isfinite(value)}
        values = {**finite, "live/stage": event.stage, "live/seconds": round(now - self._begin, 3)}
        self._tell("point", self._identity, values)
