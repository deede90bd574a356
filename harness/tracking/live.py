"""A cell's training, live: events become points of its W&B run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any


class Watch:
    """Turns the events of a training cell into points of its run, at most one every few seconds.

    Args:
        tell: sends a request without waiting.
        identity: what names the run (:func:`harness.tracking.run_description.identify_cell`).
    """

    EVERY = 2.0

    def __init__(self, tell: Callable[[dict[str, Any]], None], identity: Mapping[str, Any]) -> None:
        self._tell, self._identity = tell, identity
        self._begin = time.monotonic()
        self._last: float | None = None

    def event(self, event: Mapping[str, Any]) -> None:
        """Take an event of :mod:`harness.execution.stages`; the first sign of progress opens the run."""
        now = time.monotonic()
        if "progress" not in event or (self._last is not None and now - self._last < self.EVERY):
            return
        run = {"id": self._identity["id"]}
        if self._last is None:
            self._tell({"kind": "watch", "run": {**self._identity, "config": {}}})
        self._last = now
        names = ("loss", "rows_per_second", "epoch", "done", "total", "eta_seconds")
        numbers = {f"live/{name}": event[name] for name in names if isinstance(event.get(name), (int, float))}
        finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
        values = {**finite, "live/stage": str(event["progress"]), "live/seconds": round(now - self._begin, 3)}
        self._tell({"kind": "point", "run": run, "values": values})
