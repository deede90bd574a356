"""A child process spoken to in JSON lines: started, waited for no longer than told, killed when late."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

Event = dict[str, Any]
PROJECT_ROOT = str(Path(__file__).resolve().parents[2])


class Late(Exception):
    """The process did not answer in time."""


class Ended(Late):
    """The process ended without an answer.

    Attributes:
        returncode: its exit code; negative for the number of the signal that killed it.
    """

    def __init__(self, returncode: int) -> None:
        self.returncode = returncode
        how = f"was killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"ended with code {returncode}"
        super().__init__(f"the process {how}")


class LineProcess:
    """A child that reads requests from stdin and writes events to stdout, one JSON object a line.

    Args:
        command: program and arguments; this project is on its ``PYTHONPATH``.
        environment: variables added to ours.
        stderr: where its other output goes; ``None`` means our own.
        own_session: whether it leads a process group of its own, which :meth:`kill` then ends as a whole.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        stderr: IO[bytes] | None = None,
        own_session: bool = False,
    ) -> None:
        path = os.pathsep.join(filter(None, [PROJECT_ROOT, os.environ.get("PYTHONPATH")]))
        self._own_session = own_session
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **environment, "PYTHONPATH": path},
            start_new_session=own_session,
            text=True,
            encoding="utf-8",
        )
        self._events: queue.Queue[Event | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                self._events.put(cast(Event, json.loads(line)))
        self._events.put(None)

    def send(self, request: Mapping[str, Any]) -> None:
        """Pass a request on.

        Raises:
            Ended: when the process is gone.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise Ended(self._process.wait()) from None

    def ready(self) -> bool:
        """Whether a short request (up to 4 KiB) can be sent without waiting for the process to read."""
        assert self._process.stdin is not None
        try:
            return bool(select.select([], [self._process.stdin], [], 0)[1])
        except (OSError, ValueError):
            return False

    def wait(self, deadline: float | None = None) -> Event:
        """The next event.

        Raises:
            Late: when none came by ``deadline`` (:func:`time.monotonic`).
            Ended: when the process ended.
        """
        try:
            event = self._events.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise Late("no answer in time") from None
        if event is None:
            raise Ended(self._process.wait())
        return event

    def close(self) -> None:
        """Let the process finish what it has and end by itself."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End the process now, with its group when that is its own."""
        with contextlib.suppress(ProcessLookupError):
            if self._own_session:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        self.close()
