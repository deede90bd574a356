"""Virtual environments for generators whose dependencies conflict with ours: made once, kept, shared.

A generator's YAML asks for one::

    _target_: baselines.arf.ARF
    environment:
      name: arf
      requirements: [arfpy==0.1.1, numpy==2.3.5, pandas==2.3.3, pyarrow==23.0.0]

It lives under ``<cache_dir>/environments/<name>-<hash>``; ``python -m harness.environments NAME …`` makes those of
``conf/generator/NAME.yaml`` beforehand, for machines that have no network later.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.commands import Command, say
from harness.errors import TabOrderError, choices
from harness.store import safe_name, write_atomic

DEFAULT_CACHE = "~/.cache/taborder"
TOLD = ("Collecting", "Downloading", "Building", "Installing", "Successfully", "ERROR")

COMMAND = Command(
    "harness.environments",
    "List the environments of generators that need one of their own; with generators' names: make theirs now, for later runs.",
    {},
    examples=("python -m harness.environments", "python -m harness.environments tabular_argn arf"),
    names="[GENERATOR …]",
)

Say = Callable[[str], None]


class EnvironmentFailed(Exception):
    """A virtual environment could not be made; the cell that needs it is tried again by the next run."""


@dataclass(frozen=True)
class Environment:
    """What a generator needs installed. Equal requirements share one folder.

    Attributes:
        name: folder-safe name.
        requirements: pinned pip requirements; pandas and pyarrow (for the tables that cross) must be among them.
        python: e.g. ``"3.12"``; ``None`` means the Python that runs the harness.
        remove: packages to uninstall afterwards: declared by a requirement, but broken or not wanted.
    """

    name: str
    requirements: tuple[str, ...]
    python: str | None = None
    remove: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        safe_name(self.name, "environment")
        loose = [r for r in self.requirements if "==" not in r and "@" not in r]
        if loose or not self.requirements:
            raise TabOrderError(
                f"environment '{self.name}': requirements {loose or 'missing'} must be pinned, as in 'pandas==2.3.3'."
            )

    @classmethod
    def from_config(cls, data: Mapping[str, Any]) -> Environment:
        """Read the mapping of a generator's YAML.

        Raises:
            TabOrderError: for unknown or missing keys, or a ``python`` that YAML took for a number.
        """
        legal = ("name", "requirements", "python", "remove")
        for key in data:
            if key not in legal:
                raise TabOrderError(choices(key, legal, "key of environment"))
        if "name" not in data or "requirements" not in data:
            raise TabOrderError("an environment needs a name and a list of requirements.")
        python = data.get("python")
        if python is not None and not isinstance(python, str):
            raise TabOrderError(f"environment '{data['name']}': write python in quotes, as in '3.10', not {python!r}.")
        return cls(str(data["name"]), tuple(data["requirements"]), python, tuple(data.get("remove") or ()))

    @property
    def folder_name(self) -> str:
        """``name-hash``: the hash covers requirements, Python and platform."""
        version = self.python or platform.python_version()
        ingredients = [sorted(self.requirements), sorted(self.remove), version, platform.system(), platform.machine()]
        return f"{self.name}-{hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()[:12]}"


def cache_folder() -> Path:
    """Where environments are kept: below ``TABORDER_CACHE`` (which the command line sets from ``cache_dir``)."""
    return Path(os.environ.get("TABORDER_CACHE") or DEFAULT_CACHE).expanduser() / "environments"


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python"


def packages_of(folder: Path) -> dict[str, str]:
    """What is installed in a finished environment: name → version; empty when it is not finished."""
    try:
        found: dict[str, str] = json.loads((folder / "packages.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def ensure(environment: Environment, say: Say = print, cache: Path | None = None) -> Path:
    """The folder of the environment, made if need be.

    Only one process makes it, others wait. It is built aside and renamed when complete, so that a kill at any moment
    leaves nothing half-made in its place; downloads are kept and need not be repeated.

    Args:
        environment: what to install.
        say: receives lines of progress.
        cache: folder of environments; :func:`cache_folder` by default.

    Raises:
        EnvironmentFailed: when Python or a requirement cannot be had.
    """
    root = cache or cache_folder()
    folder = root / environment.folder_name
    if packages_of(folder):
        return folder
    root.mkdir(parents=True, exist_ok=True)
    guard = FileLock(root / f"{folder.name}.lock")
    try:
        guard.acquire(timeout=0)
    except Timeout:
        say(f"environment '{environment.name}' is being made by another process; waiting for it")
        guard.acquire(poll_interval=0.5)
    try:
        if not packages_of(folder):
            _make(environment, folder, say)
    finally:
        guard.release()
    return folder


def _make(environment: Environment, folder: Path, say: Say) -> None:
    root = folder.parent
    for leftover in root.glob(f".{folder.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    say(f"environment '{environment.name}': making {folder} (once; this can take minutes)")
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=root))
    try:
        _run([_interpreter(environment), "-m", "venv", str(aside)], environment, say)
        pip = [str(python_of(aside)), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        install = [*pip, "--cache-dir", str(root / "downloads"), "install", *environment.requirements]
        _run(install, environment, say)
        if environment.remove:
            _run([*pip, "uninstall", "--yes", *environment.remove], environment, say)
        listed = subprocess.run([*pip, "list", "--format", "json"], capture_output=True, text=True, check=True)
        packages = {package["name"]: package["version"] for package in json.loads(listed.stdout)}
        write_atomic(aside / "packages.json", (json.dumps(packages, indent=1, sort_keys=True) + "\n").encode())
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    say(f"environment '{environment.name}': ready, {len(packages)} packages")


def _interpreter(environment: Environment) -> str:
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if environment.python in (None, running):
        return sys.executable
    found = shutil.which(f"python{environment.python}")
    if found is None:
        raise EnvironmentFailed(
            f"environment '{environment.name}' needs Python {environment.python}, which is not on the PATH: install it, or set environment.python=null."
        )
    return found


def _run(command: Sequence[str], environment: Environment, say: Say) -> None:
    """Run a command, passing on the lines worth telling."""
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.strip())
            if lines[-1].startswith(TOLD):
                say(f"environment '{environment.name}': {lines[-1][:150]}")
    if process.returncode:
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-3:]
        raise EnvironmentFailed(
            f"environment '{environment.name}' could not be made: {' '.join(errors)[:600]} (check the network; requirements: {', '.join(environment.requirements)})"
        )


def configured() -> dict[str, Environment]:
    """Environments asked for in ``conf/generator/*.yaml``, by generator."""
    from importlib.resources import files

    from omegaconf import OmegaConf

    found = {}
    for path in sorted(Path(str(files("conf") / "generator")).glob("*.yaml")):
        data = OmegaConf.load(path)
        if "environment" in data:
            asked: Any = OmegaConf.to_container(data)
            found[path.stem] = Environment.from_config(asked["environment"])
    return found


def _act(words: Sequence[str]) -> int:
    known = configured()
    for word in words:
        if word not in known:
            raise TabOrderError(choices(word, known, "generator with an environment of its own"))
    try:
        for word in words:
            print(ensure(known[word], lambda line: print(line, flush=True)))
    except EnvironmentFailed as error:
        return say(str(error), 1)
    if not words:
        for name, environment in known.items():
            folder = cache_folder() / environment.folder_name
            print(f"{name}: {'ready' if packages_of(folder) else 'not made'} ({folder})")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """``python -m harness.environments``: list the environments; with generators' names: make theirs."""
    return COMMAND.run(_act, words)


if __name__ == "__main__":
    raise SystemExit(main())
