"""The budget of a training run: time, learning rate and loss curve."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from methods.row_llm.config import TrainingConfig
from methods.row_llm.training.checkpoint import Progress

START_RATE = 0.02
"""The first step's share of the peak learning rate: not 0, so that no step is without effect."""
CURVE_POINTS = 50
"""Points of the loss curve, where the number of steps is known."""
STEPS_PER_POINT = 100
"""Steps behind a point of the loss curve, where only the clock ends training."""
TELL_SECONDS = 1.0
"""Time between two reports of progress."""


class TrainingSchedule:
    """Keeps the time, the learning rate and the loss curve of a training run.

    Args:
        config: budget and rates.
        steps: of all epochs; ``None`` where only the clock ends training.
        progress: where training is; kept up to date.
        report: told ``("fit", step, steps, loss=…, rows_per_second=…, eta_seconds=…)``.
        per_epoch: steps of an epoch.
    """

    def __init__(
        self, config: TrainingConfig, steps: int | None, progress: Progress, report: Callable[..., None], per_epoch: int
    ) -> None:
        self.config = config
        self.steps = steps
        self.progress = progress
        self.report = report
        self.per_epoch = per_epoch
        self.seconds_before = progress.seconds
        self.rows_before = progress.rows
        self.started = self.told = self.saved = time.monotonic()
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
        """The learning rate's share of its peak: up during the warm-up, then down to zero."""
        share, warmup = self.share(), self.config.warmup
        if share < warmup:
            return START_RATE + (1.0 - START_RATE) * share / warmup
        return (1.0 - share) / (1.0 - warmup)

    def count_step(self, loss: Tensor, rows: int) -> None:
        """Count a step.

        Args:
            loss: of the step, a scalar.
            rows: trained on, by all processes.
        """
        self.progress.step += 1
        self.progress.rows += rows
        self.progress.seconds = self.seconds_before + time.monotonic() - self.started
        self.losses.append(loss)
        every = max(1, self.steps // CURVE_POINTS) if self.steps else STEPS_PER_POINT
        if self.progress.step % every == 0:
            self._add_point()
        if time.monotonic() - self.told >= TELL_SECONDS:
            self._tell()

    def checkpoint_due(self) -> bool:
        """Whether it is time to save."""
        due = time.monotonic() - self.saved >= self.config.checkpoint_seconds
        if due:
            self.saved = time.monotonic()
        return due

    def close(self) -> None:
        """Write the last point; a GPU's work counts until it is done."""
        if self.losses:
            torch.stack(self.losses).cpu()
            self.progress.seconds = self.seconds_before + time.monotonic() - self.started
            self._add_point()
        self._tell()

    def _add_point(self) -> None:
        loss = float(torch.stack(self.losses).mean())
        self.losses = []
        epoch = self.progress.step / self.per_epoch
        self.progress.curve.append(
            {"step": self.progress.step, "epoch": epoch, "loss": loss, "seconds": self.progress.seconds}
        )

    def _tell(self) -> None:
        self.told = time.monotonic()
        spent = max(self.progress.seconds - self.seconds_before, 1e-9)
        share = min(self.share(), 1.0)
        eta = self.progress.seconds * (1.0 - share) / share if share else math.nan
        loss = float(self.losses[-1]) if self.losses else (self.progress.curve or [{"loss": math.nan}])[-1]["loss"]
        rate = (self.progress.rows - self.rows_before) / spent
        total = self.steps or round(self.progress.step / share) if share else 0
        self.report("fit", self.progress.step, total, loss=loss, rows_per_second=rate, eta_seconds=eta)
