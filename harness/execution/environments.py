"""Virtual environments for generators whose dependencies conflict with ours: made once, kept, shared."""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.errors import TabOrderError, choices
from harness.records.files import safe_name, write_atomic

DEFAULT_CACHE = "~/.cache/taborder"


SHARED_BYTES = 1 << 16


TOLD = ("Collecting", "Downloading", "Building", "Installing", "Successfully", "ERROR")


UNREACHED = ("NewConnectionError", "NameResolutionError", "Max retries exceeded", "ProxyError", "connection broken by")


# The second process image keeps PR_SET_PDEATHSIG (1): a killed harness leaves no pip behind.
MORTAL = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


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
    def from_config(cls, data: Mapping[str, object]) -> Environment:
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
        return cls(str(data["name"]), _texts(data["requirements"]), python, _texts(data.get("remove")))

    @property
    def folder_name(self) -> str:
        """``name-hash``: the hash covers requirements, Python and platform."""
        version = self.python or platform.python_version()
        ingredients = [sorted(self.requirements), sorted(self.remove), version, platform.system(), platform.machine()]
        return f"{self.name}-{hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()[:12]}"


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else ()


def cache_folder(cache_dir: str | Path | None = None) -> Path:
    """Where environments are kept: below ``cache_dir``, else below ``TABORDER_CACHE``, else below ``~/.cache/taborder``."""
    return Path(cache_dir or os.environ.get("TABORDER_CACHE") or DEFAULT_CACHE).expanduser() / "environments"


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


def ensure(environment: Environment, say: Say = print, cache: Path | None = None, detail: Say | None = None) -> Path:
    """The folder of the environment, made if need be.

    Only one process makes it, others wait. It is built aside and renamed when complete, so that a kill at any moment
    leaves nothing half-made in its place; pip's own cache keeps the downloads, which need not be repeated.

    Args:
        environment: what to install.
        say: receives a line when the making begins, ends, or is waited for.
        cache: folder of environments; :func:`cache_folder` by default.
        detail: receives pip's lines in between; ``say`` by default.

    Raises:
        EnvironmentFailed: when Python or a requirement cannot be had, or the folder cannot be written.
    """
    root = cache or cache_folder()
    folder = root / environment.folder_name
    if packages_of(folder):
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(FileLock(root / f"{folder.name}.lock"), environment, say):
            if not packages_of(folder):
                _make(environment, folder, say, detail or say)
    except OSError as error:
        raise EnvironmentFailed(
            f"environment '{environment.name}' could not be made in {root} ({error.strerror or error}): choose a folder with room by cache_dir=DIR or TABORDER_CACHE."
        ) from None
    return folder


@contextmanager
def _alone(guard: FileLock, environment: Environment, say: Say) -> Iterator[None]:
    """Hold the lock, which is the operating system's and dies with its process."""
    try:
        guard.acquire(timeout=0)
    except Timeout:
        say(f"environment '{environment.name}' is being made by another process; waiting for it")
        guard.acquire(poll_interval=0.5)
    try:
        yield
    finally:
        guard.release()


def _make(environment: Environment, folder: Path, say: Say, detail: Say) -> None:
    root, begin = folder.parent, time.monotonic()
    for leftover in root.glob(f".{folder.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    say(f"environment '{environment.name}': making {folder} (once; this can take minutes)")
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=root))
    try:
        pip = _venv(aside, environment, detail)
        _call([*pip, "install", *environment.requirements], environment, detail)
        if environment.remove:
            _call([*pip, "uninstall", "--yes", *environment.remove], environment, detail)
        listed = _call([*pip, "list", "--format", "json"], environment)
        table = next(line for line in listed if line.startswith("[{"))
        packages = {package["name"]: package["version"] for package in json.loads(table)}
        shared = _share(aside, [other for other in root.iterdir() if packages_of(other)])
        write_atomic(aside / "packages.json", (json.dumps(packages, indent=1, sort_keys=True) + "\n").encode())
        aside.chmod(0o755)  # mkdtemp's 0700 would hide it from other users of the cache
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    say(
        f"environment '{environment.name}': ready, {len(packages)} packages, {time.monotonic() - begin:.0f} s, {shared / 2**20:.0f} MiB shared with other environments"
    )


def _venv(aside: Path, environment: Environment, detail: Say) -> list[str]:
    """Make an empty virtual environment; returns the command that is its pip: ours, where we have one, saves installing another."""
    ours = importlib.util.find_spec("pip") is not None
    venv = [_interpreter(environment), "-m", "venv", *(["--without-pip"] if ours else [])]
    _call([*venv, str(aside)], environment, detail)
    python = str(python_of(aside))
    pip = [sys.executable, "-m", "pip", "--python", python] if ours else [python, "-m", "pip"]
    return [*pip, "--disable-pip-version-check", "--no-input"]


def _share(folder: Path, others: Sequence[Path]) -> int:
    """Replace large files that another environment has too by hard links to them; returns the bytes saved.

    Python sources stay copies: their compiled form is bound to the time of their file.
    """
    saved = 0
    for path in folder.glob("lib/python*/site-packages/**/*"):
        size = 0 if path.is_symlink() or not path.is_file() else path.stat().st_size
        if size < SHARED_BYTES or path.suffix in (".py", ".pyc"):
            continue
        for other in others:
            twin = other / path.relative_to(folder)
            if twin.is_file() and filecmp.cmp(path, twin, shallow=False):
                with contextlib.suppress(OSError):  # too many links, or a file system without them: it stays a copy
                    link = path.with_name(f".{path.name}.link")
                    os.link(twin, link)
                    link.replace(path)
                    saved += size
                break
    return saved


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


def _call(command: Sequence[str], environment: Environment, detail: Say = lambda _: None) -> list[str]:
    """Run a command that dies with this process, pass on the lines worth telling, return all of them."""
    lines: list[str] = []
    variables = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    mortal = [sys.executable, "-c", MORTAL, *command] if sys.platform == "linux" else command
    with subprocess.Popen(
        mortal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line.strip())
                if lines[-1].startswith(TOLD):
                    detail(lines[-1][:150])
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise EnvironmentFailed(f"environment '{environment.name}' could not be made: {_reason(lines, environment)}")
    return lines


def _reason(lines: Sequence[str], environment: Environment) -> str:
    """Why pip failed, in a sentence, from what it printed."""
    unreached = next((line for line in lines if any(mark in line for mark in UNREACHED)), None)
    if unreached is not None:
        return f"the package index cannot be reached ({unreached[:300]}): make it beforehand on a network, with python -m harness.environments."
    absent = [line.rpartition(" for ")[2] for line in lines if "No matching distribution found" in line]
    if absent:
        return f"pip finds no {absent[0]} for Python {environment.python or platform.python_version()}: check the pin in the generator's environment.requirements, and PIP_INDEX_URL."
    errors = [line for line in lines if line.lower().startswith("error")] or lines[-3:]
    return f"{' '.join(errors)[:600]} (requirements: {', '.join(environment.requirements)})"


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
