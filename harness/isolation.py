"""Run one function in its own killable process group, under a time and a memory limit.

A fork server that has already imported the heavy libraries makes a process in milliseconds. The child leads a session of its
own, so that a kill reaches whatever it started; its output is kept up to a bound; it dies with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import psutil

from harness.errors import TabOrderError

PRELOAD = ["harness.preload"]
HEAD_BYTES = 1 << 20
TAIL_BYTES = 1 << 16
GRACE_SECONDS = 3.0
POLL_SECONDS = 0.05

Ending = Literal["done", "raised", "timeout", "out_of_memory", "crashed"]
Emit = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Limits:
    """Bounds on one isolated stage; ``None`` means unbounded.

    Attributes:
        timeout_seconds: wall clock.
        memory_gib: resident memory of the process and its descendants together.
    """

    timeout_seconds: float | None = None
    memory_gib: float | None = None

    def __post_init__(self) -> None:
        for name in ("timeout_seconds", "memory_gib"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0):
                raise TabOrderError(
                    f"limits.{name}={value!r} is not a positive number: give one, or null for no limit."
                )


@dataclass(frozen=True)
class Outcome:
    """How an isolated call ended.

    Attributes:
        ending: ``done``; ``raised`` (a Python exception); ``timeout`` or ``out_of_memory`` (we stopped it); ``crashed`` (it died).
        result: what the function returned (JSON-able), when done.
        error: one sentence otherwise.
        exception: class name of the exception when raised.
        seconds: wall clock.
        peak_memory_bytes: highest resident memory seen of the process and its descendants.
        log_tail: last lines it printed.
    """

    ending: Ending
    seconds: float
    peak_memory_bytes: int
    result: Mapping[str, Any] | None = None
    error: str | None = None
    exception: str | None = None
    log_tail: tuple[str, ...] = ()


class LogKeeper(threading.Thread):
    """Copies a pipe into a file: the first MiB as it comes, of the rest only the end, so that no output fills the disk."""

    def __init__(self, source: Connection, path: Path) -> None:
        super().__init__(daemon=True)
        self._source, self._path = source, path
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._total = 0

    def run(self) -> None:
        """Drain until every writer has closed its end."""
        with contextlib.suppress(OSError), self._path.open("ab", buffering=0) as file:
            while chunk := os.read(self._source.fileno(), 1 << 16):
                room = HEAD_BYTES - self._total
                if room > 0:
                    with contextlib.suppress(OSError):  # a full disk must not stop the cell
                        file.write(chunk[:room])
                self._total += len(chunk)
                self._tail.append(chunk)
                self._tail_size += len(chunk)
                while self._tail_size - len(self._tail[0]) > TAIL_BYTES:
                    self._tail_size -= len(self._tail.popleft())
            hidden = self._total - HEAD_BYTES
            if hidden > 0:
                end = b"".join(self._tail)[-min(hidden, TAIL_BYTES) :]
                file.write(f"\n[… {hidden - len(end)} bytes of output not kept …]\n".encode() + end)

    def tail(self, lines: int = 30) -> tuple[str, ...]:
        """The last lines, each cut at 500 characters."""
        text = b"".join(list(self._tail)).decode("utf-8", "replace")
        return tuple(line[:500] for line in text.replace("\r", "\n").splitlines() if line.strip())[-lines:]


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def _child(function: str, payload: str, events: Connection, output: Connection) -> None:
    os.setsid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no orphan outlives the fork server
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)

    def emit(event: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):
            events.send_bytes(json.dumps({"event": dict(event)}).encode())

    try:
        module, name = function.split(":")
        result = getattr(importlib.import_module(module), name)(json.loads(payload), emit)
        message: dict[str, Any] = {"result": result}
    except BaseException as error:
        traceback.print_exc()
        kind = type(error)
        message = {"exception": kind.__name__, "error": str(error), "bases": [base.__name__ for base in kind.__mro__]}
    sys.stdout.flush()
    sys.stderr.flush()
    events.send_bytes(json.dumps(message).encode())


def _tree(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _resident(processes: list[psutil.Process]) -> int:
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _signal_all(pid: int, known: set[int], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
    for other in known - {pid}:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(other, number)


class _Watch:
    """Samples the memory of a process tree and remembers every descendant it saw."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.peak = 0
        self.current = 0
        self.started: dict[int, float] = {}
        self._next = 0.0
        with contextlib.suppress(psutil.Error):
            self._root = psutil.Process(pid)

    def look(self) -> None:
        """Measure, at most ten times a second."""
        if time.monotonic() < self._next or not hasattr(self, "_root"):
            return
        self._next = time.monotonic() + 0.1
        processes = _tree(self._root)
        for process in processes:
            with contextlib.suppress(psutil.Error):
                self.started.setdefault(process.pid, process.create_time())
        self.current = _resident(processes)
        self.peak = max(self.peak, self.current)

    def alive(self) -> set[int]:
        """Seen descendants that still run (a recycled process id is not one of them)."""
        living = set()
        for pid, started in self.started.items():
            with contextlib.suppress(psutil.Error):
                if psutil.Process(pid).create_time() == started:
                    living.add(pid)
        return living

    def stop(self) -> None:
        """SIGTERM, a grace period, then SIGKILL, descendants included."""
        _signal_all(self.pid, self.alive(), signal.SIGTERM)
        end = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < end and psutil.pid_exists(self.pid):
            with contextlib.suppress(psutil.Error):
                if psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE:
                    break
            time.sleep(POLL_SECONDS)
        _signal_all(self.pid, self.alive(), signal.SIGKILL)


def _messages(events: Connection) -> Iterator[dict[str, Any]]:
    try:
        while events.poll(0):
            yield json.loads(events.recv_bytes())
    except (EOFError, OSError, ValueError):
        return


def run_isolated(
    function: str,
    payload: Mapping[str, Any],
    *,
    limits: Limits,
    log: Path,
    on_event: Callable[[Mapping[str, Any]], None],
) -> Outcome:
    """Call ``module:function(payload, emit)`` in its own process group.

    Args:
        function: importable in the child; it returns something JSON-able.
        payload: JSON-able arguments.
        limits: time and memory bounds.
        log: file its standard output and error are appended to (bounded).
        on_event: receives what the function emits, in this process.

    Returns:
        How it ended; this never raises for anything the child does.
    """
    context = _context()
    events, events_child = context.Pipe(duplex=False)
    output, output_child = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(function, json.dumps(payload), events_child, output_child))
    begin = time.monotonic()
    process.start()
    events_child.close()
    output_child.close()
    keeper = LogKeeper(output, log)
    keeper.start()
    assert process.pid is not None
    watch = _Watch(process.pid)
    stopped: Ending | None = None
    final: dict[str, Any] | None = None

    def read() -> None:
        nonlocal final
        for message in _messages(events):
            if "event" in message:
                on_event(message["event"])
            else:
                final = message

    try:
        while final is None and process.is_alive():
            events.poll(POLL_SECONDS)
            read()
            watch.look()
            if limits.timeout_seconds is not None and time.monotonic() - begin > limits.timeout_seconds:
                stopped = "timeout"
            elif limits.memory_gib is not None and watch.current > limits.memory_gib * 2**30:
                stopped = "out_of_memory"
            if stopped:
                break
    finally:
        if stopped or final is None:
            if process.is_alive():
                watch.stop()
        else:
            process.join(GRACE_SECONDS)
        _signal_all(process.pid, watch.alive(), signal.SIGKILL)
        process.join(GRACE_SECONDS)
    read()
    seconds = time.monotonic() - begin
    keeper.join(2.0)
    output.close() if not keeper.is_alive() else None
    events.close()
    return _outcome(stopped, final, process.exitcode, limits, seconds, watch.peak, keeper.tail())


def _outcome(
    stopped: Ending | None,
    final: dict[str, Any] | None,
    exitcode: int | None,
    limits: Limits,
    seconds: float,
    peak: int,
    tail: tuple[str, ...],
) -> Outcome:
    if stopped == "timeout":
        error = f"stopped after limits.timeout_seconds={limits.timeout_seconds:g} s"
        return Outcome("timeout", seconds, peak, error=error, log_tail=tail)
    if stopped == "out_of_memory":
        error = f"stopped at {peak / 2**30:.2f} GiB of resident memory, above limits.memory_gib={limits.memory_gib:g}"
        return Outcome("out_of_memory", seconds, peak, error=error, log_tail=tail)
    if final is not None and "result" in final:
        return Outcome("done", seconds, peak, result=final["result"], log_tail=tail)
    if final is not None:
        if "MemoryError" in final["bases"] or "OutOfMemoryError" in final["bases"]:
            return Outcome(
                "out_of_memory", seconds, peak, error=f"{final['exception']}: {final['error']}", log_tail=tail
            )
        return Outcome("raised", seconds, peak, error=final["error"], exception=final["exception"], log_tail=tail)
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (not sent by the harness; perhaps the system ran out of memory)" if name == "SIGKILL" else ""
        return Outcome("crashed", seconds, peak, error=f"the process was ended by {name}{hint}", log_tail=tail)
    return Outcome(
        "crashed", seconds, peak, error=f"the process left with exit code {exitcode} without a result", log_tail=tail
    )
