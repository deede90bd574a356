"""Files with a known SHA-256: from a local mirror, from the cache, or downloaded into the cache."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from harness.errors import TabOrderError

MIRROR_VARIABLE = "TABORDER_MIRROR"
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class RemoteFile:
    """A file of the paper's ``data/`` folder.

    Attributes:
        path: relative to that folder, with forward slashes.
        sha256: hexadecimal digest.
        bytes: size; a download that is longer is cut off and refused.
    """

    path: str
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        parts = self.path.split("/")
        if self.path.startswith("/") or "\\" in self.path or {"", ".", ".."} & set(parts):
            raise TabOrderError(f"file path {self.path!r} must be relative, without '..' or empty parts.")

    @classmethod
    def from_config(cls, data: Mapping[str, Any]) -> RemoteFile:
        """Read ``{path, sha256, bytes}``."""
        if not isinstance(data, Mapping) or set(data) != {"path", "sha256", "bytes"}:
            raise TabOrderError(f"file {data!r} needs exactly the keys path, sha256 and bytes.")
        return cls(str(data["path"]), str(data["sha256"]).lower(), int(data["bytes"]))


@dataclass(frozen=True)
class Source:
    """Where files come from, in this order: ``mirror`` (or the environment variable TABORDER_MIRROR), cache, download.

    Attributes:
        url_base: address of the folder; the file's path is appended.
        mirror: local folder laid out like the paper's ``data/`` folder.
        cache_dir: downloads are kept under ``cache_dir/downloads``, which is itself laid out like a mirror.
        timeout_seconds: longest wait for a connection or for the next bytes.
        deadline_seconds: longest time for one file, over all attempts.
        attempts: how often a broken or refused transfer is tried; the next one goes on where the last one stopped.
        back_off_seconds: wait before the second attempt; doubled for each further one.
    """

    url_base: str
    mirror: str | None = None
    cache_dir: str = ".cache"
    timeout_seconds: float = 30.0
    deadline_seconds: float = 600.0
    attempts: int = 4
    back_off_seconds: float = 0.5

    def locate(self, file: RemoteFile) -> Path:
        """The path of a verified copy of ``file``.

        Raises:
            TabOrderError: when it is not in the mirror or cannot be downloaded, or its content is not the expected one.
        """
        mirror = self.mirror or os.environ.get(MIRROR_VARIABLE)
        if mirror:
            return _from_mirror(file, Path(mirror).expanduser())
        target = Path(self.cache_dir).expanduser() / "downloads" / file.path
        if target.is_file() and _sha256(target) == file.sha256:
            return target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{target}.lock", timeout=self.deadline_seconds):
                if not (
                    target.is_file() and _sha256(target) == file.sha256
                ):  # another process may have got it meanwhile
                    _download(file, target, self)
        except Timeout:
            raise TabOrderError(
                f"another process has held {target}.lock for {self.deadline_seconds:.0f} s: wait for its download or end it."
            ) from None
        except OSError as error:
            raise TabOrderError(
                f"{target} cannot be written ({error.strerror or error}): set cache_dir to a folder with room."
            ) from None
        return target


def _from_mirror(file: RemoteFile, mirror: Path) -> Path:
    path = mirror / file.path
    if not path.is_file():
        raise TabOrderError(
            f"the mirror {mirror} has no file {file.path}: lay it out like the paper's data/ folder, or unset mirror "
            f"and {MIRROR_VARIABLE} to download."
        )
    actual = _sha256(path)
    if actual != file.sha256:
        raise TabOrderError(
            f"{path} is not the published file: its SHA-256 is {actual}, expected {file.sha256}; "
            "restore it, or use dataset=csv for a changed table."
        )
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


class _Retry(Exception):
    """A transfer that may succeed when tried again."""


def _download(file: RemoteFile, target: Path, source: Source) -> None:
    """Fetch into ``target`` by atomic rename. The caller holds the lock, so the partial file has one writer."""
    if not source.url_base.startswith(("https://", "http://")):
        raise TabOrderError(f"url_base '{source.url_base}' is not an http(s) address.")
    url = f"{source.url_base.rstrip('/')}/{quote(file.path)}"
    partial = target.with_name(f".{target.name}.partial")
    deadline = time.monotonic() + source.deadline_seconds
    for attempt in range(1, source.attempts + 1):
        try:
            _transfer(url, file, partial, source.timeout_seconds, deadline)
            break
        except _Retry as error:
            wait = source.back_off_seconds * 2 ** (attempt - 1)
            if attempt == source.attempts or time.monotonic() + wait > deadline:
                raise _unreachable(file, url, f"{error}; {attempt} attempts") from None
            time.sleep(wait)
    actual = _sha256(partial)
    if actual != file.sha256:
        partial.unlink()
        raise TabOrderError(
            f"{url} is not the published file: its SHA-256 is {actual}, expected {file.sha256}; nothing was kept. "
            f"Set mirror=DIR (or {MIRROR_VARIABLE}) to a folder laid out like the paper's data/ folder."
        )
    os.replace(partial, target)


def _transfer(url: str, file: RemoteFile, partial: Path, timeout: float, deadline: float) -> None:
    """Append to ``partial`` what is still lacking."""
    have = partial.stat().st_size if partial.exists() else 0
    if have >= file.bytes:  # complete, or left over from something else: begin again unless it is the file
        if have == file.bytes and _sha256(partial) == file.sha256:
            return
        have = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response, partial.open("ab" if have else "wb") as out:
            if have and response.status != 206:  # the server sends the whole file again
                out.truncate(0)
                have = 0
            _copy(response, out, have, file, url, deadline)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            partial.unlink(missing_ok=True)
        if error.code in {408, 416, 425, 429} or error.code >= 500:
            raise _Retry(f"HTTP status {error.code}") from None
        raise _unreachable(file, url, f"HTTP status {error.code}") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, socket.gaierror):
            raise _unreachable(file, url, "the host name cannot be resolved") from None
        raise _Retry(str(error.reason)) from None
    except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise _Retry(str(error) or type(error).__name__) from None


def _copy(response: Any, out: Any, have: int, file: RemoteFile, url: str, deadline: float) -> None:
    while chunk := response.read1(CHUNK_BYTES):
        have += len(chunk)
        if have > file.bytes:
            out.truncate(0)
            raise TabOrderError(f"{url} is longer than the expected {file.bytes} bytes: the download was stopped.")
        out.write(chunk)
        if time.monotonic() > deadline:
            raise _Retry("the deadline passed")
    if have < file.bytes:
        raise _Retry(f"the connection ended after {have} of {file.bytes} bytes")


def _unreachable(file: RemoteFile, url: str, reason: str) -> TabOrderError:
    return TabOrderError(
        f"{file.path} could not be downloaded from {url} ({reason}): check the network, or set mirror=DIR (or the environment "
        f"variable {MIRROR_VARIABLE}) to a folder laid out like the paper's data/ folder."
    )
