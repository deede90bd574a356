"""Training: rows are assembled from token chunks, batch by batch, in the order the policy asks for."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from harness.errors import TabOrderError
from harness.seeding import derive_seed
from methods.row_llm.chunks import Chunks
from methods.row_llm.model import Head


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast to train.

    Attributes:
        epochs: passes over the rows; ``None`` when only ``max_seconds`` ends training.
        max_seconds: wall-clock budget; the learning rate then follows the time spent, and the run is not reproducible.
        batch_size: rows of a step.
        learning_rate: peak of AdamW's rate, after a linear warm-up and before a linear decay to zero.
        warmup: share of training spent warming up.
        weight_decay: of AdamW.
        checkpoint_seconds: time between checkpoints.
    """

    epochs: int | None
    max_seconds: float | None
    batch_size: int
    learning_rate: float
    warmup: float
    weight_decay: float
    checkpoint_seconds: float

    def __post_init__(self) -> None:
        if self.epochs is None and self.max_seconds is None:
            raise TabOrderError("training needs a budget: set epochs or max_train_seconds.")
        for name in ("epochs", "max_seconds", "batch_size", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise TabOrderError(f"{name}={value} must be greater than 0.")


@dataclass
class Progress:
    """Where training is; written into checkpoints and, in part, into the record."""

    step: int = 0
    seconds: float = 0.0
    rows: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


class Batches:
    """Batches of rows with next-token targets.

    Args:
        chunks: the training rows.
        order: column positions (columns,), or ``None`` for a fresh random order for every row and epoch.
        first: the token every row begins with.
        learn_all: whether names and the end of the row are learnt too (they are when they will be sampled).
        batch_size: rows of a batch.
        seed: of row and column shuffles.
    """

    def __init__(
        self, chunks: Chunks, order: Tensor | None, first: int, learn_all: bool, batch_size: int, seed: int
    ) -> None:
        self.chunks = chunks
        self.order = order
        self.first = first
        self.learn_all = learn_all
        self.batch_size = batch_size
        self.seed = seed
        self.per_epoch = math.ceil(len(chunks) / batch_size)
        self.whole = self._rows(torch.arange(len(chunks)), order) if order is not None else None

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Inputs (batch, length), flat places of the learnt targets, and the targets there."""
        shuffled = torch.randperm(len(self.chunks), generator=self._generator("rows", epoch))
        orders = self._generator("orders", epoch)
        columns = self.chunks.codes.shape[1]
        for start in range(0, len(shuffled), self.batch_size):
            rows = shuffled[start : start + self.batch_size]
            if self.whole is None:
                order = torch.rand((len(rows), columns), generator=orders).argsort(1)
                tokens, learn = self._rows(rows, order)
            else:
                tokens, learn = self.whole[0][rows], self.whole[1][rows]
            places = learn[:, 1:].flatten().nonzero().squeeze(1)
            yield tokens[:, :-1], places, tokens[:, 1:].flatten()[places]

    def _rows(self, rows: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
        tokens, value, _ = self.chunks.assemble(rows, order)
        edge = torch.full((len(rows), 1), self.first)
        if not self.learn_all:
            return torch.cat([edge, tokens], 1), torch.nn.functional.pad(value, (1, 0))
        whole = torch.cat([edge, tokens, edge], 1)
        return whole, torch.ones_like(whole, dtype=torch.bool)

    def _generator(self, purpose: str, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.seed, purpose, epoch))


def train(
    head: Head,
    batches: Batches,
    config: TrainingConfig,
    folder: Path | None,
    report: Callable[..., None],
) -> Progress:
    """Train in place; continues from the checkpoint in ``folder`` when there is one.

    Args:
        head: the model.
        batches: what to train on.
        config: budget and rates.
        folder: where checkpoints go; ``None`` for none.
        report: told ``("fit", step, steps, loss=…, rows_per_second=…, eta_seconds=…)`` about once a second.
    """
    from accelerate import Accelerator

    device = head.model.device
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if device.type == "cuda" else "no")
    optimizer = torch.optim.AdamW(
        [parameter for parameter in head.model.parameters() if parameter.requires_grad],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    steps = None if config.epochs is None else config.epochs * batches.per_epoch
    progress = Progress()
    if folder is not None and (folder / "progress.json").exists():
        progress = load_checkpoint(folder, head, optimizer)
    head.model.train()
    loop = Loop(config, steps, progress, report, batches.per_epoch)
    while not loop.spent():
        epoch = progress.step // batches.per_epoch
        for number, (inputs, places, targets) in enumerate(batches.epoch(epoch)):
            if number < progress.step - epoch * batches.per_epoch:
                continue
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * loop.rate()
            with accelerator.autocast():
                logits = head.logits(places.to(device), input_ids=inputs.to(device), use_cache=False)
                loss = torch.nn.functional.cross_entropy(logits.float(), targets.to(device))
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loop.done(loss.detach(), len(inputs))
            if folder is not None and loop.checkpoint_due():
                save_checkpoint(folder, head, optimizer, progress)
            if loop.spent():
                break
    loop.close()
    head.model.eval()
    return progress


class Loop:
    """Keeps the time, the learning rate and the loss curve of a training run."""

    def __init__(
        self, config: TrainingConfig, steps: int | None, progress: Progress, report: Callable[..., None], per_epoch: int
    ) -> None:
        self.config = config
        self.steps = steps
        self.progress = progress
        self.report = report
        self.per_epoch = per_epoch
        self.before = progress.seconds
        self.start = self.told = self.saved = time.monotonic()
        self.rows_before = progress.rows
        self.losses: list[Tensor] = []

    def share(self) -> float:
        """Share of the budget that is spent, by steps or by time, whichever is greater."""
        by_steps = self.progress.step / self.steps if self.steps else 0.0
        by_time = self.progress.seconds / self.config.max_seconds if self.config.max_seconds else 0.0
        return max(by_steps, by_time)

    def spent(self) -> bool:
        """Whether training is over."""
        return self.share() >= 1.0

    def rate(self) -> float:
        """The learning rate's share of its peak."""
        share, warmup = self.share(), self.config.warmup
        if share < warmup:
            return 0.02 + 0.98 * share / warmup
        return (1.0 - share) / (1.0 - warmup)

    def done(self, loss: Tensor, rows: int) -> None:
        """Count a step."""
        self.progress.step += 1
        self.progress.rows += rows
        self.progress.seconds = self.before + time.monotonic() - self.start
        self.losses.append(loss)
        every = max(1, self.steps // 50) if self.steps else 100
        if self.progress.step % every == 0:
            self._point()
        if time.monotonic() - self.told >= 1.0:
            self._tell()

    def checkpoint_due(self) -> bool:
        """Whether it is time to save."""
        due = time.monotonic() - self.saved >= self.config.checkpoint_seconds
        if due:
            self.saved = time.monotonic()
        return due

    def close(self) -> None:
        """Write the last point."""
        if self.losses:
            self._point()
        self._tell()

    def _point(self) -> None:
        loss = float(torch.stack(self.losses).mean())
        self.losses = []
        epoch = self.progress.step / self.per_epoch
        self.progress.curve.append(
            {"step": self.progress.step, "epoch": epoch, "loss": loss, "seconds": self.progress.seconds}
        )

    def _tell(self) -> None:
        self.told = time.monotonic()
        spent = max(self.progress.seconds - self.before, 1e-9)
        share = min(self.share(), 1.0)
        eta = self.progress.seconds * (1.0 - share) / share if share else math.nan
        loss = float(self.losses[-1]) if self.losses else (self.progress.curve or [{"loss": math.nan}])[-1]["loss"]
        rate = (self.progress.rows - self.rows_before) / spent
        total = self.steps or round(self.progress.step / share) if share else 0
        self.report("fit", self.progress.step, total, loss=loss, rows_per_second=rate, eta_seconds=eta)


def save_checkpoint(folder: Path, head: Head, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write weights, optimizer state and progress; the progress file, renamed into place last, makes it valid."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model/{name}": tensor for name, tensor in trained(head).items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{key}": value for key, value in state.items()}
    name = f"state-{progress.step}.safetensors"
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, folder / name)
    text = json.dumps({"state": name, "progress": vars(progress)})
    temporary = folder / ".progress.json.tmp"
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, folder / "progress.json")
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


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
