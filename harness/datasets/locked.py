"""Files from an address: downloaded once, bounded, pinned by their SHA-256 in a lock file, and then read from the cache."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from harness.errors import TabOrderError
from harness.records.files import write_atomic

AGENT = "taborder (https requests for public tables)"
CHUNK = 1 << 18


@dataclass(frozen=True)
class Cache:
    """Where downloads are kept and pinned.

    Attributes:
        cache_dir: files lie under ``cache_dir/by_address``.
        lock: JSON file of SHA-256 by address; by default ``cache_dir/datasets.lock.json``. Kept beside a project, it makes sure that
            everybody reads the same bytes.
        max_bytes: a longer answer is cut off and refused.
        timeout_seconds: longest wait for a connection or for the next bytes.
        deadline_seconds: longest time for one file, over all attempts.
        attempts: how often a broken transfer is tried.
    """

    cache_dir: str = ".cache"
    lock: str | None = None
    max_bytes: int = 1 << 30
    timeout_seconds: float = 30.0
    deadline_seconds: float = 600.0
    attempts: int = 3

    @property
    def lock_path(self) -> Path:
        """The lock file."""
        return Path(self.lock or f"{self.cache_dir}/datasets.lock.json").expanduser()

    def fetch(self, url: str) -> Path:
        """The file at an address: from the cache where it is the pinned one, else downloaded and pinned.

        Raises:
            TabOrderError: when it cannot be downloaded, is too long, or is not the file that was pinned.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.username:
            shown = f"{parts.scheme}://…{parts.hostname or ''}{parts.path}" if parts.username else url
            raise TabOrderError(
                f"'{shown}' is no address that is read: give one that begins with https://, without a password."
            )
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", parts.path.rpartition("/")[2])[-60:] or "file"
        path = (
            Path(self.cache_dir).expanduser() / "by_address" / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"
        )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.lock_path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock", timeout=self.deadline_seconds):
                return self._pinned(url, path)
        except Timeout:
            raise TabOrderError(
                f"another process has held {path}.lock for {self.deadline_seconds:.0f} s: wait for its download or end it."
            ) from None
        except OSError as error:
            raise TabOrderError(
                f"{path} cannot be written ({error.strerror or error}): set cache_dir to a folder with room."
            ) from None

    def _pinned(self, url: str, path: Path) -> Path:
        pinned = self._pins().get(url)
        if path.is_file():
            found = _sha256(path)
            if pinned is None:
                self._pin(url, found)
            if pinned in (None, found):
                return path
        partial = path.with_name(f"{path.name}.part")
        try:
            self._download(url, partial)
            found = _sha256(partial)
            if pinned not in (None, found):
                raise TabOrderError(
                    f"{url} is not the file that was pinned in {self.lock_path}: its SHA-256 is {found}, pinned was {pinned}; "
                    "delete that line to accept the changed file."
                )
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        if pinned is None:
            self._pin(url, found)
        return path

    def _pins(self) -> dict[str, str]:
        try:
            text = self.lock_path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, Mapping) or not all(isinstance(value, str) for value in found.values()):
            raise TabOrderError(
                f"the lock file {self.lock_path} is not a JSON object of SHA-256 by address: mend or delete it."
            )
        return {str(key): str(value) for key, value in found.items()}

    def _pin(self, url: str, digest: str) -> None:
        with FileLock(f"{self.lock_path}.lock", timeout=60):
            pins = self._pins() | {url: digest}
            write_atomic(self.lock_path, (json.dumps(pins, indent=1, sort_keys=True) + "\n").encode())

    def _download(self, url: str, partial: Path) -> None:
        deadline, reason = time.monotonic() + self.deadline_seconds, "no attempt"
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(min(0.5 * 2**attempt, max(0.0, deadline - time.monotonic())))
            try:
                self._transfer(url, partial, deadline)
                return
            except urllib.error.HTTPError as error:
                reason = f"HTTP status {error.code}"
                if error.code < 500 and error.code not in (408, 425, 429):
                    break
            except urllib.error.URLError as error:
                reason = str(error.reason)
                if isinstance(error.reason, socket.gaierror):
                    reason = "the host name cannot be resolved"
                    break
            except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
                reason = str(error) or type(error).__name__
            if time.monotonic() > deadline:
                break
        raise TabOrderError(
            f"{url} could not be downloaded ({reason}): check the address and the network; once downloaded it is read from the cache."
        )

    def _transfer(self, url: str, partial: Path, deadline: float) -> None:
        request = urllib.request.Request(url, headers={"User-Agent": AGENT})
        with urllib.request.urlopen(request, timeout=self.timeout_seconds) as response, partial.open("wb") as out:
            promised, have = response.headers.get("Content-Length"), 0
            if promised and promised.isdecimal() and int(promised) > self.max_bytes:
                raise self._too_long(url)
            while chunk := response.read(CHUNK):
                have += len(chunk)
                if have > self.max_bytes:
                    raise self._too_long(url)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the deadline of {self.deadline_seconds:.0f} s passed")
                out.write(chunk)
            if promised and promised.isdecimal() and have < int(promised):
                raise ConnectionError(f"the connection ended after {have} of {promised} bytes")

    def _too_long(self, url: str) -> TabOrderError:
        return TabOrderError(f"{url} is longer than max_bytes={self.max_bytes}: raise it if you trust the address.")

    def json(self, url: str) -> Any:
        """The JSON at an address.

        Raises:
            TabOrderError: as :meth:`fetch`, and when it is no JSON.
        """
        path = self.fetch(url)
        try:
            return json.loads(path.read_bytes())
        except ValueError as error:
            path.unlink(missing_ok=True)
            self._forget(url)
            raise TabOrderError(
                f"{url} answers with something else than JSON ({error}): is the address right?"
            ) from None

    def _forget(self, url: str) -> None:
        with FileLock(f"{self.lock_path}.lock", timeout=60):
            pins = self._pins()
            pins.pop(url, None)
            write_atomic(self.lock_path, (json.dumps(pins, indent=1, sort_keys=True) + "\n").encode())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
