"""What an isolated process prints, kept up to a bound and without secrets."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from multiprocessing.connection import Connection
from pathlib import Path

from harness.records.redaction import Redactor

HEAD_BYTES = 1 << 20
TAIL_BYTES = 1 << 16


class LogKeeper(threading.Thread):
    """Copies a pipe into a file: the first MiB as it comes, of the rest only the end, so that no output fills the disk.

    The pipe is drained whatever becomes of the file (a full disk, a link in its place): a cell never waits for its log.

    Args:
        source: read end of the pipe.
        path: appended to; a symbolic link is not followed.
        redactor: takes secrets out before anything is written.
    """

    def __init__(self, source: Connection, path: Path, redactor: Redactor) -> None:
        super().__init__(daemon=True)
        self._source, self._path, self._redactor = source, path, redactor
        self._file: int | None = None
        self._pending = b""
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._total = 0

    def run(self) -> None:
        """Drain until every writer has closed its end."""
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            self._file = os.open(self._path, flags, 0o666)
        with contextlib.suppress(OSError):
            while chunk := os.read(self._source.fileno(), 1 << 16):
                room = HEAD_BYTES - self._total
                self._total += len(chunk)
                self._remember(chunk)
                if room > 0:
                    self._keep(chunk[:room])
        hidden = self._total - HEAD_BYTES
        if hidden > 0:  # the unfinished line may be half a secret; it is not kept
            end = self._end()[-min(hidden, TAIL_BYTES) :]
            self._write(f"\n[… {max(0, hidden - len(end))} bytes of output not kept …]\n".encode() + end)
        else:
            self._write(self._redactor.data(self._pending))
        if self._file is not None:
            os.close(self._file)

    def _remember(self, chunk: bytes) -> None:
        self._tail.append(chunk)
        self._tail_size += len(chunk)
        while self._tail_size - len(self._tail[0]) > TAIL_BYTES + self._redactor.longest:
            self._tail_size -= len(self._tail.popleft())

    def _keep(self, chunk: bytes) -> None:
        """Write all but the end of the last line, in which a secret may have begun."""
        data = self._pending + chunk
        line = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if len(data) - line > 2 * self._redactor.longest:
            data = self._redactor.data(data)
            line = len(data) - self._redactor.longest
        self._pending = data[line:]
        self._write(self._redactor.data(data[:line]))

    def _write(self, data: bytes) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError):  # a full disk must not stop the cell
            while data:
                data = data[os.write(self._file, data) :]

    def _end(self) -> bytes:
        """The last bytes without secrets, from the beginning of a line where the rest was dropped."""
        data = b"".join(list(self._tail))
        if self._total > len(data):
            line = data.find(b"\n", 0, self._redactor.longest) + 1
            data = data[line or self._redactor.longest :]
        return self._redactor.data(data)

    def tail(self, lines: int = 30) -> tuple[str, ...]:
        """The last lines, each cut at 500 characters."""
        text = self._end().decode("utf-8", "replace")
        return tuple(line[:500] for line in text.replace("\r", "\n").splitlines() if line.strip())[-lines:]
