"""Whether processes that tests started are still there."""

import time

import psutil


def runs(pid: int) -> bool:
    """Whether it is alive: the dead are buried by whoever adopted them, in their own time."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def ends(pid: int, within: float = 3.0) -> bool:
    """Whether it ends in that many seconds."""
    end = time.monotonic() + within
    while runs(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not runs(pid)
