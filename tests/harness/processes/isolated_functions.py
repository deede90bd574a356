"""Functions that ``test_isolation.py`` calls in isolated processes."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np


def add(payload, emit):
    emit({"stage": "adding"})
    return {"sum": payload["a"] + payload["b"]}


def daemonise(path: str, megabytes: int = 0) -> None:
    """A daemon in the classical way: two forks, a session of its own, no open files; it ignores SIGTERM."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 256)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            Path(path).write_text(str(os.getpid()))
            hoard = np.ones(megabytes << 17)
            time.sleep(600)
            del hoard
        os._exit(0)
    while not Path(path).exists() or not Path(path).read_text():
        time.sleep(0.01)


def leave_daemon(payload, emit):
    daemonise(payload["path"])
    return {}


def hang_with_daemon(payload, emit):
    print("hanging now", flush=True)
    daemonise(payload["path"], payload.get("megabytes", 0))
    time.sleep(600)


def end_gracefully(payload, emit):
    def save(*_):
        print("saved what there was", flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, save)
    time.sleep(600)


def print_in_pieces(payload, emit):
    for piece in payload["pieces"]:
        os.write(1, piece.encode())
        time.sleep(0.1)
    return {}


def print_much(payload, emit):
    for _ in range(50):
        print("y" * 9_999)
    return {}


def end_as_told(payload, emit):
    os.kill(os.getpid(), payload["signal"])
    time.sleep(600)
