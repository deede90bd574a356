"""What holds for every test."""

import os
import signal

import pytest


def pytest_configure() -> None:
    """Shells start background jobs with SIGINT ignored, and programs inherit that: tests of Ctrl-C would wait for ever."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the paper's tables need them."""
    if os.environ.get("TABORDER_MIRROR"):
        return
    skip = pytest.mark.skip(reason="TABORDER_MIRROR names no copy of the paper's tables")
    for item in items:
        if item.get_closest_marker("mirror"):
            item.add_marker(skip)
