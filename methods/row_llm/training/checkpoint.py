"""Training checkpoints: weights and optimizer state as safetensors, progress as JSON; whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from methods.row_llm.model.logits_model import LogitsModel

STATES = "state-*.safetensors"
"""Weights and optimizer state, named by step; the last one alone is kept."""


@dataclass
class Progress:
    """Where training is; written into checkpoints and, in part, into the record."""

    step: int = 0
    seconds: float = 0.0
    rows: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)  # steps at which a killed run was taken up again


def save_checkpoint(
    folder: Path, logits_model: LogitsModel, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write weights, optimizer state and progress; the progress file, renamed into place last, makes it valid."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model/{name}": tensor for name, tensor in trained(logits_model).items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{key}": value for key, value in state.items()}
    name = f"state-{progress.step}.safetensors"
    for torn in folder.glob(f".{STATES}.tmp"):  # a kill amid the writing of gigabytes
        torn.unlink()
    whole = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    _write(folder / name, lambda path: save_file(whole, path))  # not through memory, which holds them already
    said = json.dumps({"state": name, "progress": vars(progress)})
    _write(folder / "progress.json", lambda path: path.write_text(said, encoding="utf-8"))
    for old in folder.glob(STATES):
        if old.name != name:
            old.unlink()


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a whole file, durably, or none of it."""
    temporary = path.with_name(f".{path.name}.tmp")
    write(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def resume(folder: Path, logits_model: LogitsModel, optimizer: torch.optim.Optimizer) -> Progress:
    """Continue from the checkpoint in ``folder``; from the start without one or, said in a line, a whole one."""
    if not (folder / "progress.json").exists():
        return Progress()
    try:
        progress = load_checkpoint(folder, logits_model, optimizer)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        print(f"the checkpoint in {folder} is damaged ({reason}): training starts over.", flush=True)
        return Progress()
    progress.resumed.append(progress.step)
    print(f"training resumes from its checkpoint at step {progress.step}.", flush=True)
    return progress


def load_checkpoint(folder: Path, logits_model: LogitsModel, optimizer: torch.optim.Optimizer) -> Progress:
    """Restore what :func:`save_checkpoint` wrote, or raise and change nothing."""
    data: dict[str, Any] = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    progress = Progress(**data["progress"])
    tensors = load_file(folder / Path(data["state"]).name)
    own = trained(logits_model)
    for name, parameter in own.items():
        if tensors[f"model/{name}"].shape != parameter.shape:
            raise ValueError(f"{name} has another shape")
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, number, name = key.split("/")
            state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[f"model/{name}"])
    return progress


def trained(logits_model: LogitsModel) -> dict[str, Tensor]:
    """The parameters that training changes, by name (tied ones once)."""
    return {name: parameter for name, parameter in logits_model.model.named_parameters() if parameter.requires_grad}
