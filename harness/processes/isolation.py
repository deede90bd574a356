"""Run one function in its own killable process group, under a time and a memory limit.

A fork server that has already imported the heavy libraries makes a process in milliseconds. The function runs in a worker
below a guardian (:mod:`harness.processes.guardian`), so that a kill reaches whatever it started and nothing of it outlives the harness;
its output is kept up to a bound (:mod:`harness.processes.captured_log`).
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import queue
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import psutil

from harness.errors import TabOrderError
from harness.processes.captured_log import LogKeeper
from harness.processes.guardian import guarded
from harness.records.redaction import Redactor

PRELOAD = ["harness.execution.preload"]
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


def preload(modules: Iterable[str]) -> None:
    """Have the fork server import these too; of effect until the first function has run."""
    PRELOAD.extend(module for module in modules if module not in PRELOAD)


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Have a process that is started here not run the caller's script again.

    multiprocessing imports ``__main__`` anew in every child, for objects that were pickled by reference to it. Functions are
    named by module here, so that nothing needs it, and a script without ``if __name__ == "__main__"`` would start itself for ever.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class _Inbox(threading.Thread):
    """Reads messages in the background: one that stops half-way must not stop the clock."""

    def __init__(self, source: Connection) -> None:
        super().__init__(daemon=True)
        self._source = source
        self.messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def run(self) -> None:
        """Until every writer has closed its end."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                with contextlib.suppress(ValueError):  # a worker may write whatever it likes
                    message = json.loads(self._source.recv_bytes())
                    if isinstance(message, dict):
                        self.messages.put(message)


class _Watch:
    """Samples the memory of what runs below the guardian and remembers every process it saw."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self.current = 0
        self._seen: dict[int, psutil.Process] = {}
        self._next = 0.0
        self._guardian: psutil.Process | None = None
        with contextlib.suppress(psutil.Error):
            self._guardian = psutil.Process(pid)

    def look(self) -> bool:
        """Measure, at most ten times a second; whether it was time to."""
        if time.monotonic() < self._next or self._guardian is None:
            return False
        self._next = time.monotonic() + 0.1
        self.current = 0
        for process in self._find():
            with contextlib.suppress(psutil.Error):
                self.current += process.memory_info().rss
        self.peak = max(self.peak, self.current)
        return True

    def _find(self) -> list[psutil.Process]:
        if self._guardian is None:
            return []
        try:
            found: list[psutil.Process] = self._guardian.children(recursive=True)
        except psutil.Error:
            return []
        for process in found:
            self._seen.setdefault(process.pid, process)
        return found

    def exceeds(self, bound: float) -> bool:
        """Whether more than ``bound`` bytes are resident, pages that processes share counted once."""
        if self.current <= bound:
            return False
        total = 0
        for process in self._find():
            with contextlib.suppress(psutil.Error, AttributeError):
                total += process.memory_full_info().pss
        return total > bound

    def alive(self) -> list[psutil.Process]:
        """Seen descendants that still run (a recycled process id is not one of them)."""
        self._find()
        return [process for process in self._seen.values() if _runs(process)]

    def stop(self) -> None:
        """SIGTERM, a grace period, then SIGKILL, to all below the guardian; it ends by itself then."""
        for process in self.alive():
            with contextlib.suppress(psutil.Error):
                process.terminate()
        end = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < end and self.alive():
            time.sleep(POLL_SECONDS)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to all below the guardian."""
        for process in self.alive():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def bury(self, guardian: BaseProcess) -> None:
        """Wait for the guardian, which ends when all below it have; it is killed when it does not."""
        guardian.join(GRACE_SECONDS + 2)
        end = time.monotonic() + GRACE_SECONDS  # where the fork server died, joining does not wait
        while self._guardian is not None and _runs(self._guardian) and time.monotonic() < end:
            time.sleep(POLL_SECONDS / 5)
        if self._guardian is not None and _runs(self._guardian):
            with contextlib.suppress(psutil.Error):
                self._guardian.kill()
        self.kill()


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def system_kills() -> int | None:
    """How many processes this machine's kernel has ended for want of memory since it started."""
    try:
        counters = dict(line.split() for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines())
        return int(counters["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None


@dataclass
class _Ended:
    """What was seen of a call: why we stopped it, its last message, its exit code."""

    stopped: Ending | None = None
    final: dict[str, Any] | None = None
    exitcode: int | None = None
    starved: bool = False


def run_isolated(
    function: str,
    payload: Mapping[str, Any],
    *,
    limits: Limits,
    log: Path,
    on_event: Callable[[Mapping[str, Any]], object],
    redactor: Redactor | None = None,
) -> Outcome:
    """Call ``module:function(payload, emit)`` in its own process group.

    Args:
        function: importable in the child; it returns something JSON-able.
        payload: JSON-able arguments.
        limits: time (from the call's begin, not from the start of the fork server) and memory bounds.
        log: file its standard output and error are appended to (bounded).
        on_event: receives what the function emits, in this process.
        redactor: takes secrets out of log and error.

    Returns:
        How it ended; this never raises for anything the child does.
    """
    redactor = redactor or Redactor()
    context = _context()
    events, events_child = context.Pipe(duplex=False)
    output, output_child = context.Pipe(duplex=False)
    process = context.Process(target=guarded, args=(function, json.dumps(payload), events_child, output_child))
    starved = system_kills()
    with _without_main():
        process.start()
    for end in (events_child, output_child):
        end.close()
    keeper, inbox = LogKeeper(output, log, redactor), _Inbox(events)
    keeper.start()
    inbox.start()
    assert process.pid is not None
    watch = _Watch(process.pid)
    ended, begin = _follow(process, inbox, watch, limits, on_event)
    ended.starved = starved is not None and (system_kills() or 0) > starved
    seconds = time.monotonic() - begin
    for thread, end in ((keeper, output), (inbox, events)):
        thread.join(2.0)
        if not thread.is_alive():
            end.close()
    return _outcome(ended, limits, seconds, watch.peak, redactor, keeper.tail())


def _follow(
    process: BaseProcess,
    inbox: _Inbox,
    watch: _Watch,
    limits: Limits,
    on_event: Callable[[Mapping[str, Any]], object],
) -> tuple[_Ended, float]:
    """Until the call has ended or was stopped, and nothing of it is left; also the moment it began."""
    ended, begin = _Ended(), time.monotonic()

    def read(patience: float) -> None:
        nonlocal begin
        with contextlib.suppress(queue.Empty):
            while message := inbox.messages.get(timeout=patience):
                patience = 0.0
                if "event" in message:
                    on_event(message["event"])
                elif "begun" in message:
                    begin = time.monotonic()
                elif "exit" in message:
                    ended.exitcode = message["exit"]
                else:
                    ended.final = message

    try:
        while ended.final is None and ended.exitcode is None and process.is_alive() and not ended.stopped:
            read(POLL_SECONDS)
            measured = watch.look()
            if limits.timeout_seconds is not None and time.monotonic() - begin > limits.timeout_seconds:
                ended.stopped = "timeout"
            elif measured and limits.memory_gib is not None and watch.exceeds(limits.memory_gib * 2**30):
                ended.stopped = "out_of_memory"
    finally:
        end = time.monotonic() + GRACE_SECONDS
        while ended.final is not None and not ended.stopped and process.is_alive() and time.monotonic() < end:
            process.join(POLL_SECONDS / 5)
        if process.is_alive():
            watch.stop()
        watch.bury(process)
    inbox.join(1.0)
    read(0.0)
    return ended, begin


def _outcome(
    ended: _Ended, limits: Limits, seconds: float, peak: int, redactor: Redactor, tail: tuple[str, ...]
) -> Outcome:
    final = ended.final
    if ended.stopped is None and final is not None and "result" in final:
        return Outcome("done", seconds, peak, result=final["result"], log_tail=tail)
    exception = None
    if ended.stopped == "timeout":
        ending: Ending = "timeout"
        error = f"stopped after limits.timeout_seconds={limits.timeout_seconds:g} s"
    elif ended.stopped == "out_of_memory":
        ending = "out_of_memory"
        error = f"stopped at {peak / 2**30:.2f} GiB of resident memory, above limits.memory_gib={limits.memory_gib:g}"
    elif final is not None:
        ending, exception, error = "raised", str(final["exception"]), str(final["error"])
        if {"MemoryError", "OutOfMemoryError"} & set(final["bases"]):
            ending, error = "out_of_memory", f"{exception}: {error}"
    elif ended.exitcode is not None and ended.exitcode < 0:
        ending, error = _killed(-ended.exitcode, ended.starved)
    else:
        ending = "crashed"
        how = "was ended with its fork server" if ended.exitcode is None else f"left with exit code {ended.exitcode}"
        error = f"the process {how} without a result"
    return Outcome(ending, seconds, peak, error=redactor.text(error), exception=exception, log_tail=tail)


def _killed(number: int, starved: bool) -> tuple[Ending, str]:
    try:
        name = signal.Signals(number).name
    except ValueError:  # a real-time signal
        name = f"signal {number}"
    if number == signal.SIGKILL and starved:
        return "out_of_memory", "the process was ended by the system, which ran out of memory: lower limits.memory_gib"
    hint = " (not sent by the harness)" if number == signal.SIGKILL else ""
    return "crashed", f"the process was ended by {name}{hint}"
