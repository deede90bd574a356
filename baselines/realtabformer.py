"""REaLTabFormer, in an environment of its own: it needs transformers 4.

Solatorio and Dupriez, "REaLTabFormer: Generating Realistic Relational and Tabular Data using Transformers", 2023: a GPT-2
trained from scratch on rows of fixed column order, numbers in digits, only tokens legal at their position generated.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from baselines.columns import GPU_NOTE, complete, modelled, plain
from baselines.huggingface import Watch
from harness.errors import TabOrderError
from harness.generator import Context, Sample, Yield
from harness.seeding import global_seed
from harness.table import Schema, format_cell


class REaLTabFormer:
    """The library's tabular model. Columns go in the table's order.

    Args:
        layers: of the GPT-2; the library's default is 6.
        width: of the GPT-2; the library's default is 768.
        heads: of the GPT-2; the library's default is 12.
        epochs: passes over the training rows; at most, when ``n_critic`` is positive.
        max_train_seconds: wall-clock budget of training.
        batch_size: rows a step; the library accumulates 4 steps.
        learning_rate: AdamW's.
        n_critic: 0 trains for ``epochs``; a positive number is the paper's stopping rule: every so many epochs, samples are
            compared with train, against a threshold from ``num_bootstrap`` resamples.
        num_bootstrap: resamples for the threshold.
        sample_batch: rows generated at once.
        max_attempts: rows started at most, as a multiple of the rows asked for; then fewer are delivered.
        device: ``cpu`` or ``cuda``; equal seeds give equal bytes on ``cpu``, with equally many threads.
    """

    version = "1"

    def __init__(
        self,
        *,
        layers: int = 6,
        width: int = 768,
        heads: int = 12,
        epochs: int = 100,
        max_train_seconds: float | None = None,
        batch_size: int = 8,
        learning_rate: float = 5e-5,
        n_critic: int = 0,
        num_bootstrap: int = 500,
        sample_batch: int = 128,
        max_attempts: float = 5.0,
        device: str = "cpu",
    ) -> None:
        for name, value in {"epochs": epochs, "batch_size": batch_size, "sample_batch": sample_batch}.items():
            if value < 1:
                raise TabOrderError(f"{name} is {value}: give a whole number of at least 1.")
        if width % heads:
            raise TabOrderError(f"width {width} must be a multiple of heads ({heads}).")
        self.layers, self.width, self.heads = layers, width, heads
        self.epochs, self.max_train_seconds, self.batch_size = epochs, max_train_seconds, batch_size
        self.learning_rate, self.n_critic, self.num_bootstrap = learning_rate, n_critic, num_bootstrap
        self.sample_batch, self.max_attempts, self.device = sample_batch, max_attempts, device
        self._report: Callable[..., None] = lambda *_, **__: None
        self._work = Path("realtabformer")

    def bind(self, context: Context) -> None:
        """Take progress callback and folder."""
        self._report, self._work = context.report, context.work_dir

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Train from scratch."""
        self._schema = schema
        self._watch = Watch(self._report, self.max_train_seconds)
        self._modelled, self._watch.notes = modelled(train, schema, "REaLTabFormer")
        table = pd.DataFrame({f"c{i}": plain(train[name]) for i, name in enumerate(self._modelled)})
        from realtabformer import REaLTabFormer as Library
        from transformers.models.gpt2 import GPT2Config

        callback = self._watch.callback()

        class Watched(Library):  # type: ignore[misc]
            def _build_tabular_trainer(self, *given: Any, **named: Any) -> Any:
                trainer = super()._build_tabular_trainer(*given, **named)
                trainer.add_callback(callback)
                return trainer

        with _quiet(seed):
            self._model = Watched(
                model_type="tabular",
                tabular_config=GPT2Config(n_layer=self.layers, n_embd=self.width, n_head=self.heads),
                checkpoints_dir=str(self._work / "checkpoints"),
                samples_save_dir=str(self._work / "samples"),
                full_save_dir=str(self._work / "full"),
                epochs=self.epochs,
                batch_size=self.batch_size,
                random_state=seed % 2**32,
                learning_rate=self.learning_rate,
                seed=seed,
                use_cpu=self.device == "cpu",
                report_to=[],
                logging_strategy="epoch",
                save_strategy="no" if self.n_critic <= 0 else "epoch",
                disable_tqdm=True,
                **self._digits(train),
            )
            self._model.fit(table, device=self.device, n_critic=self.n_critic, num_bootstrap=self.num_bootstrap)
        if self.device != "cpu":
            self._watch.notes.append(GPU_NOTE)

    def sample(self, n: int, *, seed: int) -> Sample:
        """Generate until ``n`` rows are valid, or about ``max_attempts`` times ``n`` were started."""
        from realtabformer.rtf_exceptions import SampleEmptyLimitError
        from realtabformer.rtf_sampler import TabularSampler

        frames: list[pd.DataFrame] = []
        rows = 0
        with _quiet(seed):
            self._model.random_state = seed % 2**32
            sampler = TabularSampler.sampler_from_model(rtf_model=self._model, device=self.device)
            while rows < n and sampler.total_gen_samples < max(self.max_attempts * n, self.sample_batch):
                wanted = min(n - rows, self.sample_batch)
                with contextlib.suppress(SampleEmptyLimitError):
                    frames.append(sampler.sample_tabular(wanted, gen_batch=self.sample_batch, device=self.device))
                    rows += len(frames[-1])
                self._report("sample", rows, n)
        started, invalid = sampler.total_gen_samples, sampler.invalid_gen_samples
        drawn = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        values = {name: drawn[f"c{i}"] for i, name in enumerate(self._modelled) if frames}
        rejected = {"invalid": invalid, "surplus": started - invalid - rows}
        return Sample(
            complete(values, self._schema, rows),
            Yield(started, rows, {k: count for k, count in rejected.items() if count}),
        )

    def describe(self) -> Mapping[str, Any]:
        """Column order, loss curve, parameters, notes."""
        parameters = sum(weight.numel() for weight in self._model.model.parameters())
        order = self._modelled
        return {"column_order": order, "curve": self._watch.curve, "parameters": parameters, "notes": self._watch.notes}

    def _digits(self, train: pd.DataFrame) -> dict[str, int]:
        """Digits that write every number exactly; the library's defaults (4 decimals, 10 characters) would cut some."""
        columns = [self._schema[name] for name in self._modelled if self._schema[name].numeric]
        texts = [
            format_cell(column, value) or "" for column in columns for value in train[column.name].dropna().unique()
        ]
        decimals = max((len(text.partition(".")[2]) for text in texts if "e" not in text), default=0)
        return {"numeric_precision": max(decimals, 1), "numeric_max_len": max(map(len, texts), default=1) + 2}


@contextmanager
def _quiet(seed: int) -> Iterator[None]:
    with global_seed(seed), warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield
