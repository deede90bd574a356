"""One run on its way: what the W&B process says of it, and how long to wait for that."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from harness.processes.json_lines import Late, LineProcess

PATIENCE = 5.0
"""Without a server only a busy machine can be slow: drawing figures and writing an offline run may take this many time-outs each."""


@dataclass(frozen=True)
class Published:
    """What became of one run.

    Attributes:
        how: ``online``; ``uploading`` (accepted, not yet complete); ``offline``; ``skipped`` (this very content is there already);
            ``failed``.
        where: address or folder of the run.
        note: a sentence for the user, or ``None``.
    """

    how: Literal["online", "uploading", "offline", "skipped", "failed"]
    where: str | None = None
    note: str | None = None


class Attempt:
    """A run that was sent to the W&B process.

    Args:
        client: the process.
        run: the run's id.
        online: whether a server is meant to take it.
        start_by: the run must be accepted by then (:func:`time.monotonic`).
        deadline: it should be complete by then. Drawing its figures stops that clock: it needs no server.
        draw_within: seconds the figures may take.
    """

    def __init__(
        self, client: LineProcess, run: str, *, online: bool, start_by: float, deadline: float, draw_within: float
    ) -> None:
        self._client, self._run, self._online = client, run, online
        self._wait_until, self._deadline, self._draw_within = start_by, deadline, draw_within
        self._started: float | None = None

    def follow(self, to_start: bool = False) -> Published:
        """Wait until the run is complete, or only ``to_start`` until it is accepted.

        Raises:
            Late: when it was not accepted or, offline, not written in time, or W&B refused it.
            Ended: when the process is gone.
        """
        while True:
            try:
                event = self._client.wait(self._wait_until)
            except Late:
                if self._started is not None and self._online:
                    return Published("uploading")
                raise
            if event.get("id") != self._run:
                continue  # the end of an earlier run that was still uploading
            if event["event"] == "failed":
                raise Late(event["error"])
            if event["event"] == "done":
                note = f"W&B: {'; '.join(event['problems'])}" if event["problems"] else None
                return Published("online" if self._online else "offline", event["url"] or event["path"], note)
            if event["event"] == "drawn" and self._started is not None:
                self._wait_until = self._deadline + time.monotonic() - self._started
            if event["event"] == "started":
                self._started = time.monotonic()
                self._wait_until = self._started + self._draw_within
                if to_start:
                    return Published("uploading")
