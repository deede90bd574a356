"""A sweep on a terminal: finished cells scroll by; below them one line a running cell, and one for the whole sweep.

Cells run in several processes (perhaps on several machines), which must not write over each other. Each leaves its line in a
folder, and the process that started the sweep draws them all.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from harness.execution.progress import bar, seconds

FOLDER_VARIABLE = "TABORDER_PROGRESS"
LINES, NOW = "lines.jsonl", ".now"
REDRAW_SECONDS = 0.2


class Relay:
    """A cell's side: text goes to the folder instead of the terminal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now = folder / f"{os.uname().nodename}-{os.getpid()}{NOW}"
        self._begin = time.time()

    @classmethod
    def wanted(cls) -> Relay | None:
        """The relay of the sweep this process works for, when somebody draws it."""
        folder = os.environ.get(FOLDER_VARIABLE)
        return cls(Path(folder)) if folder and os.path.isdir(folder) else None

    def say(self, text: str) -> None:
        """A whole line, to stay."""
        with contextlib.suppress(OSError), (self._folder / LINES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(text) + "\n")

    def show(self, text: str | None) -> None:
        """The line of the running cell; ``None`` when there is none any more."""
        with contextlib.suppress(OSError):
            if text is None:
                self._now.unlink(missing_ok=True)
            else:
                new = self._now.with_suffix(".new")
                new.write_text(json.dumps([text, self._begin]), encoding="utf-8")
                new.replace(self._now)


class SweepDisplay:
    """The drawing side.

    Args:
        folder: of the sweep; outcomes are counted there, lines are found in its ``progress`` folder.
        total: says how many cells the sweep has, as soon as that is known.
        stream: a terminal.
    """

    def __init__(self, folder: Path, total: Callable[[], int], stream: TextIO | None = None) -> None:
        self._sweep, self._total = folder, total
        self._stream = stream or sys.stderr
        self._folder = folder / "progress"
        self._begin = time.monotonic()
        self._read = 0
        self._height = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Ask cells for their lines and draw until :meth:`stop`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        os.environ[FOLDER_VARIABLE] = str(self._folder.resolve())
        self._thread.start()

    def stop(self) -> None:
        """Leave only the lines that stay."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        os.environ.pop(FOLDER_VARIABLE, None)
        self.draw(last=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self) -> None:
        while not self._ended.wait(REDRAW_SECONDS):
            with contextlib.suppress(OSError, ValueError):  # a full disk or a closed terminal must not end a sweep
                self.draw()

    def draw(self, last: bool = False) -> None:
        """Write what is new above the block, then the block again."""
        width = shutil.get_terminal_size().columns
        block = [] if last else [*self._running(), self._overall()]
        lines = [*self._new(), *(line[: width - 1] for line in block)]
        spare = max(0, self._height - len(lines))
        # Line by line: a terminal may keep what is cleared as a whole in its history.
        text = "".join(f"{line}\x1b[K\n" for line in [*lines, *[""] * spare])
        up = f"\x1b[{self._height}F" if self._height else ""
        back = f"\x1b[{spare}F" if spare else ""
        self._stream.write(f"{up}{text}{back}")
        self._stream.flush()
        self._height = len(block)

    def _new(self) -> list[str]:
        try:
            with (self._folder / LINES).open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def _running(self) -> list[str]:
        found = []
        for path in sorted(self._folder.glob(f"*{NOW}")):
            with contextlib.suppress(OSError, ValueError):
                text, begin = json.loads(path.read_text(encoding="utf-8"))
                found.append(f"{text} · {seconds(max(0.0, time.time() - begin))}")
        return found

    def _overall(self) -> str:
        done = len(list(self._sweep.glob("outcome-*.json")))
        elapsed = time.monotonic() - self._begin
        total = self._total()
        return f"cells {bar(done, total)} {overall(done, total, elapsed)}"


def overall(done: int, total: int, elapsed: float) -> str:
    """``3/24 · 2 min 05 s · ETA 14 min 35 s``: the rest at the pace so far."""
    parts = [f"{done}/{total}", seconds(elapsed)]
    if 0 < done < total:
        parts.append(f"ETA {seconds(elapsed / done * (total - done))}")
    return " · ".join(parts)
