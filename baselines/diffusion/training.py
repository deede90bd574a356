"""The training loop: any module, any loss; progress, checkpoints, time limit, averaged and best weights.

All that is random in a step is drawn from a generator seeded with the step's number, so a resumed run repeats what an undisturbed
one does, byte for byte on a CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines.diffusion.checkpoint import Progress, State, Weights, resume, save_checkpoint
from baselines.diffusion.plateau import Plateau
from baselines.diffusion.settings import Training
from harness.errors import TabOrderError
from harness.seeding import derive_seed

Report = Callable[..., None]
Loss = Callable[[Tensor, torch.Generator, float], Tensor]
"""Of row numbers (batch,), the step's generator and the share of training done: the mean loss."""

Judge = Callable[[float], Mapping[str, float]]
"""Called after an epoch with its mean loss: the loss that each plateau looks at."""

POINTS = 50
"""Of a loss curve."""


def device_of(name: str) -> torch.device:
    """``auto`` is a GPU where there is one, else the CPU.

    Raises:
        TabOrderError: for ``cuda`` without a GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise TabOrderError("device=cuda, but torch finds no GPU: use device=cpu or device=auto.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Bound torch's CPU threads for a while; one where nothing is said, as sums may depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def generator(device: torch.device | str, seed: int, *purpose: str | int) -> torch.Generator:
    """A generator on a device, seeded for a purpose."""
    return torch.Generator(device).manual_seed(derive_seed(seed, *purpose))


class Trainer:
    """Trains a module in place.

    Args:
        module: what is trained, on its device.
        loss: of a batch.
        rows: training rows.
        training: how.
        seed: of shuffles and noise.
        folder: where checkpoints go; ``None`` for none.
        report: told ``("fit", step, steps, loss=…, rows_per_second=…, eta_seconds=…)`` about once a second.
        plateaus: values lowered after epochs; ``rate`` is the learning rate's under ``schedule="plateau"``.
        judge: what the plateaus look at; by default the epoch's mean loss.
        around: steps of all of the fit's trainings before this one, and in all, for the progress shown.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        rows: int,
        training: Training,
        *,
        seed: int,
        folder: Path | None,
        report: Report,
        plateaus: dict[str, Plateau] | None = None,
        judge: Judge | None = None,
        around: tuple[int, int] | None = None,
    ) -> None:
        self.module, self.loss, self.rows, self.training, self.seed = module, loss, rows, training, seed
        self.folder, self.report = folder, report
        self.device = next(module.parameters()).device
        self.batch = min(training.batch_size, rows)
        self.per_epoch = math.ceil(rows / self.batch)
        self.steps = training.total(self.per_epoch)
        self.before, self.all_steps = around or (0, self.steps)
        self.plateaus = plateaus if plateaus is not None else {}
        if training.schedule == "plateau":
            self.plateaus.setdefault("rate", Plateau(training.learning_rate, *training.plateau))
        self.judge = judge or (lambda loss: dict.fromkeys(self.plateaus, loss))
        optimizer = torch.optim.AdamW(
            module.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
        )
        weights = {name: value.detach() for name, value in module.named_parameters()}
        averaged = {} if training.ema is None else {name: value.clone() for name, value in weights.items()}
        self.state = State(module, optimizer, averaged, {})

    def run(self) -> Progress:
        """Train until the steps, the time or the patience are spent; the weights to sample from are then in the module."""
        progress = Progress() if self.folder is None else resume(self.folder, self.state)
        for name, plateau in self.plateaus.items():
            if name in progress.plateaus:
                vars(plateau).update(progress.plateaus[name])
        self.progress = progress
        clock = Clock(progress)
        sums = torch.tensor([progress.epoch_loss, progress.point_loss], dtype=torch.float64, device=self.device)
        noise = torch.Generator(self.device)
        self.module.train()
        rows, shuffled = torch.empty(0), -1
        while not self._over():
            epoch, place = divmod(progress.step, self.per_epoch)
            if epoch != shuffled:
                source = generator("cpu", self.seed, "rows", epoch)
                rows, shuffled = torch.randperm(self.rows, generator=source).to(self.device), epoch
            chosen = rows[place * self.batch : (place + 1) * self.batch]
            noise.manual_seed(derive_seed(self.seed, "step", progress.step))
            sums += self._step(chosen, noise)
            clock.count(len(chosen))
            if place + 1 == self.per_epoch:
                self._epoch(sums)
            if progress.since_point >= max(1, self.steps // POINTS):
                self._point(sums)
            self._tell(clock, sums)
            if self.folder is not None and clock.due("saved", self.training.checkpoint_seconds):
                self._save(sums)
        self._finish(clock, sums)
        return progress

    def facts(self) -> dict[str, Any]:
        """What a record says about this training, after :meth:`run`."""
        progress = self.progress
        return {
            "steps": progress.step,
            "planned_steps": self.steps,
            "epochs": round(progress.step / self.per_epoch, 3),
            "batch_size": self.batch,
            "rows_per_second": round(progress.rows / max(progress.seconds, 1e-9), 1),
            "resumed": progress.resumed,
        }

    def ending(self, what: str) -> list[str]:
        """A sentence where training ended before its steps; none otherwise."""
        done = f"{what} stopped after {self.progress.step} of {self.steps} steps"
        if self.progress.stopped == "time":
            return [f"{done}: the {self.training.max_seconds:g} s that max_train_seconds leaves it were spent"]
        if self.progress.stopped == "patience":
            return [f"{done}: {self.training.patience} epochs brought no lower loss"]
        return []

    def share(self) -> float:
        """Share of training that is done, by steps or by time, whichever is greater."""
        limit = self.training.max_seconds
        by_time = self.progress.seconds / limit if limit and self.progress.step else 0.0
        return min(max(self.progress.step / self.steps, by_time), 1.0)

    def _over(self) -> bool:
        progress, training = self.progress, self.training
        if progress.step >= self.steps:
            return True
        if progress.stopped is None and self.share() >= 1.0:
            progress.stopped = "time"
        if progress.stopped is None and training.patience is not None and progress.waited >= training.patience:
            progress.stopped = "patience"
        return progress.stopped is not None

    def _step(self, rows: Tensor, noise: torch.Generator) -> Tensor:
        """One step of the optimizer; returns the loss."""
        training, share = self.training, self.share()
        rate = self.plateaus["rate"].value if training.schedule == "plateau" else training.learning_rate * (1 - share)
        for group in self.state.optimizer.param_groups:
            group["lr"] = rate
        loss = self.loss(rows, noise, share)
        loss.backward()  # type: ignore[no-untyped-call]
        self.state.optimizer.step()
        self.state.optimizer.zero_grad(set_to_none=True)
        if training.ema_every == "step":
            self._average()
        return loss.detach().double()

    def _average(self) -> None:
        """Average over a window that grows with the updates made, so that the first weights do not weigh for long."""
        if self.training.ema is not None:
            done = self.progress.step // (self.per_epoch if self.training.ema_every == "epoch" else 1)
            decay = min(self.training.ema, (1 + done) / (10 + done))
            weights = dict(self.module.named_parameters())
            averaged = [self.state.averaged[name] for name in weights]
            torch._foreach_lerp_(averaged, [value.detach() for value in weights.values()], 1 - decay)

    def _epoch(self, sums: Tensor) -> None:
        """What happens after each epoch: averaging, and what its loss decides, which alone has to wait for a GPU."""
        if self.training.ema_every == "epoch":
            self._average()
        if self.plateaus or self.training.keep_best is not None:
            self._judge(float(sums[0]) / self.per_epoch)
        sums[0] = 0.0

    def _judge(self, loss: float) -> None:
        """Plateaus and the best weights."""
        if self.plateaus:
            looked_at = self.judge(loss)
            for name, plateau in self.plateaus.items():
                plateau.update(looked_at[name])
        if self.training.keep_best is None or self.share() < self.training.keep_best:
            return
        if self.progress.best_loss is None or loss < self.progress.best_loss:
            self.progress.best_loss, self.progress.waited = loss, 0
            kept = self.state.averaged or dict(self.module.named_parameters())
            self.state.best = {name: value.detach().clone() for name, value in kept.items()}
        else:
            self.progress.waited += 1

    def _point(self, sums: Tensor) -> None:
        progress = self.progress
        loss = float(sums[1]) / progress.since_point
        sums[1] = 0.0
        if not math.isfinite(loss):
            raise TabOrderError(
                f"the training loss is {loss} at step {progress.step}: give a learning_rate below {self.training.learning_rate:g}."
            )
        epoch, seconds = progress.step / self.per_epoch, round(progress.seconds, 3)
        progress.curve.append({"step": progress.step, "epoch": epoch, "loss": loss, "seconds": seconds})
        progress.since_point = 0

    def _tell(self, clock: Clock, sums: Tensor, *, always: bool = False) -> None:
        progress = self.progress
        if not (always or clock.due("told", 1.0)):
            return
        share = max(self.share(), 1e-9)
        since = progress.since_point
        loss = float(sums[1]) / since if since else (progress.curve or [{"loss": math.nan}])[-1]["loss"]
        self.report(
            "fit",
            self.before + progress.step,
            self.all_steps,
            loss=loss,
            rows_per_second=clock.rate(),
            eta_seconds=progress.seconds * (1 - share) / share,
        )

    def _save(self, sums: Tensor) -> None:
        assert self.folder is not None
        self.progress.epoch_loss, self.progress.point_loss = sums.tolist()
        self.progress.plateaus = {name: asdict(plateau) for name, plateau in self.plateaus.items()}
        save_checkpoint(self.folder, self.state, self.progress)

    def _finish(self, clock: Clock, sums: Tensor) -> None:
        """The last point and checkpoint; then the best or the averaged weights take the place of the last ones."""
        if self.progress.since_point:
            clock.now()
            self._point(sums)
        self._tell(clock, sums, always=True)
        if self.folder is not None:
            self._save(sums)
        chosen: Weights = self.state.best or self.state.averaged
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                if name in chosen:
                    parameter.copy_(chosen[name])
        self.module.eval()


class Clock:
    """Keeps the time of a training run, in its progress."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.before, self.rows_before = progress.seconds, progress.rows
        self.start = time.monotonic()
        self.last: dict[str, float] = {}

    def now(self) -> float:
        """Seconds so far, those of earlier attempts included."""
        self.progress.seconds = self.before + time.monotonic() - self.start
        return self.progress.seconds

    def count(self, rows: int) -> None:
        """Count a step."""
        self.progress.step += 1
        self.progress.since_point += 1
        self.progress.rows += rows
        self.now()

    def due(self, what: str, every: float) -> bool:
        """Whether ``every`` seconds have passed since this was last due."""
        now = time.monotonic()
        due = now - self.last.setdefault(what, self.start) >= every
        if due:
            self.last[what] = now
        return due

    def rate(self) -> float:
        """Rows a second, of this attempt."""
        return (self.progress.rows - self.rows_before) / max(time.monotonic() - self.start, 1e-9)
