"""The inside of an isolated process: a worker that calls the function, and a guardian that lets nothing of it outlive it.

The guardian is the worker's parent and, on Linux, the parent that every orphan below it falls back to: a daemon that forked
twice and left its session is still found. It ends them all when the worker has ended and when the harness is gone, however
the harness went.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
HARNESS_GONE = 97
CLEANING_SECONDS = 5.0


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # Linux only
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def guarded(function: str, payload: str, events: Connection, output: Connection) -> None:
    """Call ``module:function(payload, emit)`` in a worker and stay until it, and all it started, has ended.

    Args:
        function: importable.
        payload: JSON.
        events: receives JSON messages: ``{"begun": true}``; ``{"event": …}`` for each event; ``{"result": …}`` or
            ``{"exception", "error", "bases"}`` at the end; last, from the guardian, ``{"exit": code}``.
        output: standard output and error of the worker.
    """
    os.setsid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # when the fork server dies
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: _abandon())
    guardian = os.getpid()
    worker = os.fork()
    if worker == 0:
        signal.set_wakeup_fd(-1)
        os.close(woken)
        os.close(wake)
        _work(function, payload, events, output, guardian)
    os.dup2(os.open(os.devnull, os.O_RDWR), output.fileno())  # or the log would never end
    watched = select.poll()
    watched.register(events.fileno(), 0)  # an error is reported unasked: nobody reads any more
    watched.register(woken, select.POLLIN)
    while (code := _reap(worker)) is None:
        for descriptor, _ in watched.poll():
            if descriptor == events.fileno():
                _abandon()
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
    end_descendants()
    with contextlib.suppress(OSError):
        events.send_bytes(json.dumps({"exit": code}).encode())
    os._exit(0)


def _reap(worker: int) -> int | None:
    """Bury dead children, adopted ones too; the worker's exit code (negative: its signal) once it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code if code is not None else HARNESS_GONE
        if pid == 0:
            return code
        if pid == worker:
            code = os.waitstatus_to_exitcode(status)


def _abandon() -> NoReturn:
    end_descendants()
    os._exit(HARNESS_GONE)


def end_descendants() -> None:
    """SIGKILL all descendants of this process, those that appear meanwhile too."""
    own, end = psutil.Process(), time.monotonic() + CLEANING_SECONDS
    while (found := own.children(recursive=True)) and time.monotonic() < end:
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.005)


def _work(function: str, payload: str, events: Connection, output: Connection, guardian: int) -> NoReturn:
    os.setsid()
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guardian:
        os._exit(HARNESS_GONE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash leaves no dump of gigabytes
    with contextlib.suppress(OSError):  # where memory runs out, the system ends this process, not the harness
        Path("/proc/self/oom_score_adj").write_text("900")
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    output.close()
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)

    def send(message: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):
            events.send_bytes(json.dumps(message).encode())

    send({"begun": True})
    try:
        module, name = function.split(":")
        called = getattr(importlib.import_module(module), name)
        message = {"result": called(json.loads(payload), lambda event: send({"event": dict(event)}))}
    except BaseException as error:
        traceback.print_exc()
        message = _described(error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    send(message)
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    os._exit(0)


def _described(error: BaseException) -> dict[str, Any]:
    """The exception as a message; one that stands for another process's names that one's class and bases."""
    kind = getattr(error, "kind", type(error).__name__)
    bases = getattr(error, "bases", [base.__name__ for base in type(error).__mro__])
    return {"exception": str(kind), "error": str(error), "bases": list(bases)}
