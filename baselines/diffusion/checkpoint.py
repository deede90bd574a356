"""Training checkpoints: tensors as safetensors, progress as JSON; whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from harness.records.files import write_atomic

Weights = dict[str, Tensor]


@dataclass
class Progress:
    """Where training is.

    Attributes:
        step: steps done.
        seconds: spent so far, over all attempts.
        rows: seen, with repetition.
        epoch_loss: sum of this epoch's losses.
        point_loss: sum of the losses since the curve's last point.
        since_point: how many these are.
        best_loss: the least mean loss of an epoch.
        waited: epochs since.
        stopped: ``time`` or ``patience`` when training ended before its steps.
        plateaus: the state of each :class:`baselines.diffusion.plateau.Plateau`.
        curve: points of the loss.
        resumed: steps at which a killed run was taken up again.
    """

    step: int = 0
    seconds: float = 0.0
    rows: int = 0
    epoch_loss: float = 0.0
    point_loss: float = 0.0
    since_point: int = 0
    best_loss: float | None = None
    waited: int = 0
    stopped: str | None = None
    plateaus: dict[str, dict[str, Any]] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)


@dataclass
class State:
    """What a checkpoint restores: the trained module, its optimizer, and the averaged and the best weights (empty for none)."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    averaged: Weights
    best: Weights

    def tensors(self) -> Weights:
        """Everything, by name."""
        named: Weights = {f"model/{name}": tensor for name, tensor in self.module.named_parameters()}
        named |= {f"averaged/{name}": tensor for name, tensor in self.averaged.items()}
        named |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            named |= {f"optimizer/{number}/{key}": value for key, value in state.items()}
        return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in named.items()}

    def restore(self, tensors: Weights) -> None:
        """Take over what :meth:`tensors` gave, or raise and change nothing."""
        own = dict(self.module.named_parameters())
        for name, parameter in own.items():
            if tensors[f"model/{name}"].shape != parameter.shape:
                raise ValueError(f"{name} has another shape")
        moments: dict[int, dict[str, Tensor]] = {}
        kept: dict[str, Weights] = {"averaged": {}, "best": {}}
        for name, tensor in tensors.items():
            group, _, rest = name.partition("/")
            if group == "optimizer":
                number, _, key = rest.partition("/")
                moments.setdefault(int(number), {})[key] = tensor
            elif group in kept:
                kept[group][rest] = tensor.to(own[rest].device)
        if sorted(kept["averaged"]) != sorted(self.averaged):
            raise ValueError("other weights are averaged")
        self.optimizer.load_state_dict({"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.averaged, self.best = kept["averaged"], kept["best"]
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(tensors[f"model/{name}"])


def save_checkpoint(folder: Path, state: State, progress: Progress) -> None:
    """Write both; the progress file, renamed into place last, makes the checkpoint valid."""
    name = f"state-{progress.step}.safetensors"
    write_atomic(folder / name, save(state.tensors()))
    write_atomic(folder / "progress.json", json.dumps({"state": name, "progress": vars(progress)}).encode())
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def resume(folder: Path, state: State) -> Progress:
    """Continue from the checkpoint in ``folder``; from the start when there is none or, said in one line, none that is whole."""
    if not (folder / "progress.json").exists():
        return Progress()
    try:
        data = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        progress = Progress(**data["progress"])
        state.restore(load_file(folder / Path(data["state"]).name))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        print(f"the checkpoint in {folder} is damaged ({reason}): training starts over.", flush=True)
        return Progress()
    progress.resumed.append(progress.step)
    print(f"training resumes from its checkpoint at step {progress.step}.", flush=True)
    return progress
