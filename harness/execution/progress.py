"""What a person sees while a cell runs: one line rewritten on a terminal, a line now and then in a log.

In a sweep on a terminal the line goes to :mod:`harness.cli.display`, which draws all of them.
"""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TextIO

from harness.execution.messages import Event, Json

SHOWN = {
    "rows_per_second": "{:,.0f} rows/s",
    "loss": "loss {:.4f}",
    "epoch": "epoch {:.4g}",
    "prompt_tokens": "{:,.0f} prompt tokens read",
    "tokens": "{:,.0f} tokens written",
    "tokens_per_second": "{:,.1f} tokens/s",
    "elapsed": "{:,.0f} s",
}


def seconds(value: float | None) -> str:
    """A duration for people: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if value is None:
        return "–"
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def bar(done: float, total: float, length: int = 12) -> str:
    """A bar of ``length`` characters."""
    from tqdm.std import Bar

    return f"|{Bar(min(1.0, max(0.0, done / total)) if total else 0.0, default_len=length)}|"


class Relay(Protocol):
    """Who draws the lines instead of the cell: :class:`harness.cli.display.Relay`."""

    def say(self, text: str) -> None:
        """Keep a whole line."""

    def show(self, text: str | None) -> None:
        """Replace the line of the running cell."""


class CellProgress:
    """Shows the events of one cell.

    Args:
        label: what runs, e.g. ``adult · ctgan · seed 0``.
        stream: where to write; ``None`` means standard error as it is at that moment.
        every: seconds between lines when the stream is not a terminal.
        relay: draws the lines instead.

    Attributes:
        listener: is told every event as well.
    """

    def __init__(
        self, label: str, stream: TextIO | None = None, every: float = 15.0, relay: Relay | None = None
    ) -> None:
        self.label = label
        self.listener: Callable[[Event], None] | None = None
        self._relay = relay
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._every = every
        self._last = time.monotonic()
        self._stage = ""
        self._begin = time.monotonic()
        self._dirty = False

    def say(self, text: str) -> None:
        """Write a whole line."""
        if self._relay:
            self._relay.say(f"{self.label}: {text}")
            return
        self._clear()
        self._write(f"{self.label}: {text}\n")

    def event(self, event: Event) -> None:
        """Show what the cell's process tells."""
        if self.listener:
            self.listener(event)
        now = time.monotonic()
        if event.begins:
            self._stage, self._begin = event.stage, now
        live = self._terminal or self._relay is not None
        if not live and now - self._last < self._every:
            return
        self._last = now
        text = f"{self.label}: {self._stage} {self._details(event, now, live)}".rstrip()
        if self._relay:
            self._relay.show(text)
            return
        if self._terminal:
            self._write(f"\r\x1b[2K{text[: shutil.get_terminal_size().columns - 1]}")
            self._dirty = True
        else:
            self._write(text + "\n")

    def hear(self, told: Json) -> Event | None:
        """Show what the cell's process told; ``None`` where it is no event, for a worker may write whatever it likes."""
        event = Event.from_json(told)
        if event is not None:
            self.event(event)
        return event

    def close(self) -> None:
        """The cell does not run any more."""
        if self._relay:
            self._relay.show(None)
        self._clear()

    def _details(self, event: Event, now: float, live: bool) -> str:
        done, total, numbers = event.done, event.total, event.numbers
        if done is None:
            return ""
        parts = [f"{done:,.0f}/{total:,.0f}" if total else f"{done:,.0f}"]
        if live and total:
            parts[0] = f"{bar(done, total)} {done / total:.0%}"
        if event.stage != self._stage:  # a step inside a stage, like the unpacking of a model
            parts[0] = f"{event.stage} {parts[0]}"
        parts += [form.format(numbers[name]) for name, form in SHOWN.items() if numbers.get(name) is not None]
        parts += [event.text] if event.text else []
        left = numbers.get("eta_seconds")  # a generator with a time budget knows better than its share of steps tells
        if left is None and total and done:
            left = (now - self._begin) / done * (total - done)
        if left is not None and math.isfinite(left):
            parts.append(f"ETA {seconds(left)}")
        return " · ".join(parts)

    def _clear(self) -> None:
        if self._dirty:
            self._write("\r\x1b[2K")
            self._dirty = False

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a closed terminal or a broken pipe must not end the cell
            self._stream.write(text)
            self._stream.flush()
