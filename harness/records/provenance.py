"""What a number was computed with: versions, machine, commit."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.version import VERSION

PACKAGES = (
    "hydra-core",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "sdmetrics",
    "sdv",
    "tokenizers",
    "torch",
    "transformers",
    "wandb",
)


def available_cpus() -> int:
    """CPU cores this process may use (not those of the machine)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int:
    """Bytes of memory this process may use: the machine's, or less where a container or scheduler bounds its control group."""
    import psutil

    bounds = [int(psutil.virtual_memory().total)]
    with contextlib.suppress(OSError, ValueError):
        groups = [line.strip().split(":", 2) for line in Path("/proc/self/cgroup").read_text("ascii").splitlines()]
        for _, controllers, path in groups:
            if controllers == "":  # version 2
                bounds += _bounds(Path("/sys/fs/cgroup"), path, "memory.max")
            elif "memory" in controllers.split(","):
                bounds += _bounds(Path("/sys/fs/cgroup/memory"), path, "memory.limit_in_bytes")
    return min(bounds)


def _bounds(root: Path, path: str, name: str) -> list[int]:
    """The bounds set on a control group and on those above it."""
    group = root / path.lstrip("/")
    found = []
    for folder in (group, *group.parents):
        if folder.is_relative_to(root):
            with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
                found.append(int((folder / name).read_text("ascii")))
    return found


def _git(*arguments: str) -> str | None:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def describe() -> dict[str, Any]:
    """JSON-able facts about code, packages and machine. Nothing personal: no host name, user, path or variable."""
    packages: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    status = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "taborder": VERSION,
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if status is None else bool(status),
        "python": platform.python_version(),
        "packages": packages,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cpus": available_cpus(),
    }
