"""Training checkpoints: weights and optimizer state as safetensors, progress as JSON; whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from methods.row_llm.model import Head


@dataclass
class Progress:
    """Where training is; written into checkpoints and, in part, into the record."""

    step: int = 0
    seconds: float = 0.0
    rows: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


def save_checkpoint(folder: Path, head: Head, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write weights, optimizer state and progress; the progress file, renamed into place last, makes it valid."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model/{name}": tensor for name, tensor in trained(head).items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{key}": value for key, value in state.items()}
    name = f"state-{progress.step}.safetensors"
    _write(folder / name, save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}))
    _write(folder / "progress.json", json.dumps({"state": name, "progress": vars(progress)}).encode())
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_checkpoint(folder: Path, head: Head, optimizer: torch.optim.Optimizer) -> Progress:
    """Restore what :func:`save_checkpoint` wrote."""
    data: dict[str, Any] = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    tensors = load_file(folder / data["state"])
    own = trained(head)
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[f"model/{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, number, name = key.split("/")
            state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return Progress(**data["progress"])


def trained(head: Head) -> dict[str, Tensor]:
    """The parameters that training changes, by name (tied ones once)."""
    return {name: parameter for name, parameter in head.model.named_parameters() if parameter.requires_grad}
