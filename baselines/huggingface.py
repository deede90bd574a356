"""What the baselines built on Hugging Face's ``Trainer`` share: one callback for loss curve, progress and time budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Watch:
    """Watches a training run.

    Attributes:
        report: progress callback (:class:`harness.generator.Context`).
        max_train_seconds: budget since this object was made; training stops after the step in which it is spent.
        curve: one point a logged step.
        notes: sentences for the record.
    """

    report: Callable[..., None]
    max_train_seconds: float | None
    curve: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def callback(self) -> Any:
        """A ``transformers.TrainerCallback``."""
        from transformers import TrainerCallback

        watch = self

        class Callback(TrainerCallback):  # type: ignore[misc]
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
                return watch.step(state, control)

            def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> Any:
                watch.log(state, logs or {})
                return control

        return Callback()

    def step(self, state: Any, control: Any) -> Any:
        """Report progress; stop when the budget is spent."""
        self.report("fit", state.global_step, state.max_steps)
        seconds = time.monotonic() - self.started
        if (
            self.max_train_seconds is not None
            and seconds >= self.max_train_seconds
            and not control.should_training_stop
        ):
            control.should_training_stop = True
            if state.global_step < state.max_steps:
                self.notes.append(
                    f"training stopped after {state.global_step} of {state.max_steps} steps: max_train_seconds={self.max_train_seconds:g} was spent"
                )
        return control

    def log(self, state: Any, logs: dict[str, Any]) -> None:
        """Keep a point of the loss curve."""
        if "loss" in logs:
            seconds = round(time.monotonic() - self.started, 3)
            epoch = round(float(state.epoch or 0.0), 4)
            self.curve.append(
                {"step": int(state.global_step), "epoch": epoch, "loss": float(logs["loss"]), "seconds": seconds}
            )
