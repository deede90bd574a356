"""TabularARGN (mostlyai-engine), in an environment of its own: it needs ``psutil<6`` and no torchvision.

Tiwald et al., "TabularARGN: A Flexible and Efficient Auto-Regressive Framework for Generating High-Fidelity Synthetic Data", 2025:
one small network a column, each given the columns before it, trained over all column orders at once.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from baselines.columns import GPU_NOTE, complete, modelled, plain
from harness.errors import Incompatible, TabOrderError
from harness.generator import Context, Sample, Yield
from harness.seeding import global_seed
from harness.table import Schema

MODELS = ("MOSTLY_AI/Small", "MOSTLY_AI/Medium", "MOSTLY_AI/Large")


class TabularARGN:
    """mostlyai-engine's tabular model; it stops early by its own validation rows (20 % of train).

    Args:
        model: ``MOSTLY_AI/Small``, ``MOSTLY_AI/Medium`` or ``MOSTLY_AI/Large``.
        epochs: passes over the training rows at most.
        max_train_seconds: wall-clock budget of training; the engine counts it in minutes and looks between steps.
        batch_size: rows a step; ``None`` lets the engine choose by the number of rows.
        any_order: train over random column orders (the engine's default) instead of the table's order only.
        value_protection: replace rare categories and extremes for privacy (the engine's default); the replacements count as
            unseen categories here, and nobody else's generator does it, so it is off by default.
        device: ``cpu`` or ``cuda``; equal seeds give equal bytes on ``cpu``, with equally many threads.
    """

    version = "1"

    def __init__(
        self,
        *,
        model: str = "MOSTLY_AI/Medium",
        epochs: float = 100,
        max_train_seconds: float | None = None,
        batch_size: int | None = None,
        any_order: bool = True,
        value_protection: bool = False,
        device: str = "cpu",
    ) -> None:
        if model not in MODELS:
            raise TabOrderError(f"model '{model}' is not one of {', '.join(MODELS)}.")
        if epochs <= 0 or (max_train_seconds is not None and max_train_seconds <= 0):
            raise TabOrderError(f"epochs={epochs} and max_train_seconds={max_train_seconds} must be positive.")
        self.model, self.epochs, self.max_train_seconds, self.batch_size = model, epochs, max_train_seconds, batch_size
        self.any_order, self.value_protection, self.device = any_order, value_protection, device
        self._report: Callable[..., None] = lambda *_, **__: None
        self._work = Path("tabular_argn")
        self._curve: list[dict[str, Any]] = []

    def bind(self, context: Context) -> None:
        """Take progress callback and folder."""
        self._report, self._work = context.report, context.work_dir

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Run the engine's pipeline: split, analyse, encode, train.

        Raises:
            Incompatible: with fewer than 10 rows, of which the engine could not spare any for validation.
        """
        if len(train) < 10:
            raise Incompatible(f"TabularARGN needs at least 10 training rows, got {len(train)}.")
        self._schema = schema
        self._modelled, self._notes = modelled(train, schema, "TabularARGN")
        table = pd.DataFrame({f"c{i}": plain(train[name]) for i, name in enumerate(self._modelled)})
        kinds = ["TABULAR_NUMERIC_AUTO" if schema[name].numeric else "TABULAR_CATEGORICAL" for name in self._modelled]
        if self.device != "cpu":
            self._notes.append(GPU_NOTE)
        shutil.rmtree(self._work / "engine", ignore_errors=True)
        with self._engine(seed) as engine:
            engine.split(
                tgt_data=table,
                tgt_encoding_types={f"c{i}": kind for i, kind in enumerate(kinds)},
                model_type="TABULAR",
                workspace_dir=self._work / "engine",
            )
            engine.analyze(value_protection=self.value_protection, workspace_dir=self._work / "engine")
            engine.encode(workspace_dir=self._work / "engine")
            engine.train(
                model=self.model,
                max_epochs=self.epochs,
                max_training_time=None if self.max_train_seconds is None else self.max_train_seconds / 60,
                batch_size=self.batch_size,
                enable_flexible_generation=self.any_order,
                device=self.device,
                workspace_dir=self._work / "engine",
                update_progress=self._progress(time.monotonic()),
            )
        if self._curve and self._curve[-1]["epoch"] < self.epochs:
            self._notes.append(
                f"training stopped after {self._curve[-1]['epoch']:g} of {self.epochs:g} epochs: by the engine's validation rows, or because max_train_seconds={self.max_train_seconds} was spent"
            )

    def sample(self, n: int, *, seed: int) -> Sample:
        """Draw ``n`` rows; every row drawn is delivered."""
        with self._engine(seed) as engine:
            engine.generate(sample_size=n, device=self.device, workspace_dir=self._work / "engine")
        drawn = pd.read_parquet(self._work / "engine" / "SyntheticData").reset_index(drop=True)
        values = {name: drawn[f"c{i}"] for i, name in enumerate(self._modelled)}
        return Sample(complete(values, self._schema, len(drawn)), Yield(attempted=len(drawn), accepted=len(drawn)))

    def describe(self) -> Mapping[str, Any]:
        """Loss curve (validation loss, as the engine reports it) and notes."""
        return {"curve": self._curve, "notes": self._notes}

    @contextmanager
    def _engine(self, seed: int) -> Iterator[Any]:
        with global_seed(seed), warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            from mostlyai import engine

            engine.set_random_state(seed)  # also for worker processes
            yield engine

    def _progress(self, started: float) -> Callable[..., dict[str, Any]]:
        self._curve = []

        def progress(
            total: int | None = None,
            completed: int | None = None,
            advance: int | None = None,
            message: dict[str, Any] | None = None,
            **_: Any,
        ) -> dict[str, Any]:
            if message and message.get("epoch") is not None and message.get("val_loss") is not None:
                point = {"step": int(message.get("steps") or len(self._curve)), "epoch": float(message["epoch"])}
                loss = float(message["val_loss"])
                self._curve.append({**point, "loss": loss, "seconds": round(time.monotonic() - started, 3)})
                self._report("fit", point["epoch"], self.epochs, loss=loss)
            return {}

        return progress
