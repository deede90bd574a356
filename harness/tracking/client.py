"""Our side of the process that talks to W&B: started when first needed, waited for no longer than told, killed when late."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

Event = dict[str, Any]


class Late(Exception):
    """The process did not answer in time, or died."""


class Client:
    """One W&B process and the line to it.

    Args:
        log: file that receives what the process prints.
    """

    def __init__(self, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.tracking.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                # Offline runs refer to copies of their artifacts' files: these must stay with the runs, not in the home folder.
                env={"WANDB_DATA_DIR": str(log.parent.resolve() / "data"), **os.environ, "PYTHONPATH": path},
                start_new_session=True,
                text=True,
                encoding="utf-8",
            )
        self._events: queue.Queue[Event | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                self._events.put(cast(Event, json.loads(line)))
        self._events.put(None)

    def send(self, request: Mapping[str, Any]) -> None:
        """Pass a request on.

        Raises:
            Late: when the process is gone.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Late(f"the W&B process ended ({error})") from None

    def wait(self, deadline: float) -> Event:
        """The next event.

        Raises:
            Late: when none came by ``deadline`` (:func:`time.monotonic`), or the process ended.
        """
        try:
            event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise Late("no answer in time") from None
        if event is None:
            raise Late("the W&B process ended unexpectedly")
        return event

    def close(self) -> None:
        """Let the process finish what it has and end by itself."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End the process and everything it started, now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.close()
