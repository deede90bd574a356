"""The row language model behind the generator protocol: one class, whose configurations differ in the column order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.errors import TabOrderError
from harness.generator import Context, Sample
from harness.table import Schema
from methods.row_llm.config import DecodingConfig, LLMConfig, RowConfig, TrainingConfig

if TYPE_CHECKING:
    from methods.row_llm.fitted import FittedRows


class RowLLM:
    """A causal language model that writes rows column by column, in an order set by policy.

    All orders share the start rule (the first column is generated too), the missing-value rule (missing is a value, no
    row is dropped), the end of a row, budget, decoding and seeds; nothing else depends on the order.

    Args:
        order: policy of :func:`methods.column_order.column_order` (``fd``, ``random``, ``fixed_random``, …), or the
            columns in the order wanted.
        order_seed: what ``fixed_random`` draws its order from, and ``random`` those of training; ``null`` for seeds
            derived from that of ``fit``. One order can so be run at many training seeds, and many orders at one.
        given_order: the columns, for ``order="given"``.
        mining: options of the dependency mining behind ``fd`` orders.
        llm: the model (:class:`methods.row_llm.config.LLMConfig`).
        epochs: passes over the training rows; ``null`` when only ``max_train_seconds`` ends training.
        max_train_seconds: wall-clock budget of training.
        batch_size: rows of a training step.
        learning_rate: peak learning rate.
        warmup: share of training spent warming up.
        weight_decay: of AdamW.
        decoding: ``free``, ``template``, ``constrained`` or ``fd_constrained``.
        temperature: 1 is the model's own distribution.
        top_k: keep the k most probable tokens.
        top_p: keep the most probable tokens that reach this probability.
        digits_per_token: digits of a number in one token (from scratch).
        sample_batch: rows decoded at once.
        prefix_sharing: compute equal prefixes once where all rows share one order (exact).
        max_attempts: rows started at most, as a multiple of the rows asked for.
        checkpoint_seconds: time between training checkpoints.
        device: ``auto``, ``cpu`` or ``cuda``.

    Attributes:
        version: raised whenever equal configurations give other tables than before.
        preload: what takes seconds to import; the process that cells are forked from does it once.
    """

    version = "6"
    preload = ("transformers.models.gpt2.modeling_gpt2",)

    def __init__(
        self,
        order: str | Sequence[str] = "fd",
        *,
        order_seed: int | None = None,
        given_order: Sequence[str] | None = None,
        mining: Mapping[str, Any] | None = None,
        llm: Mapping[str, Any] | None = None,
        epochs: int | None = 20,
        max_train_seconds: float | None = None,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        warmup: float = 0.05,
        weight_decay: float = 0.0,
        decoding: str = "constrained",
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        digits_per_token: int = 1,
        sample_batch: int = 1024,
        prefix_sharing: bool = True,
        max_attempts: float = 5.0,
        checkpoint_seconds: float = 60.0,
        device: str = "auto",
    ) -> None:
        self.config = RowConfig(
            order=order,
            order_seed=order_seed,
            given_order=given_order,
            mining=dict(mining or {}),
            llm=LLMConfig.read(llm or {}),
            training=TrainingConfig(
                epochs=epochs,
                max_seconds=max_train_seconds,
                batch_size=batch_size,
                learning_rate=learning_rate,
                warmup=warmup,
                weight_decay=weight_decay,
                checkpoint_seconds=checkpoint_seconds,
            ),
            decoding=DecodingConfig(
                mode=decoding,  # type: ignore[arg-type]  # checked there
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
            ),
            digits_per_token=digits_per_token,
            sample_batch=sample_batch,
            prefix_sharing=prefix_sharing,
            max_attempts=max_attempts,
            device=device,
        )
        self.work_dir: Path | None = None
        self.threads: int | None = None
        self.report: Callable[..., None] = lambda *_, **__: None
        self._fitted: FittedRows | None = None

    def bind(self, context: Context) -> None:
        """Receive the checkpoint folder, the number of threads and the progress reporter."""
        self.work_dir, self.threads, self.report = context.work_dir, context.threads, context.report

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Choose the order, tokenise the rows once and train.

        Raises:
            Incompatible: when the table has more distinct categories than tokens, or rows too long for the model.
            TabOrderError: for an empty table or an impossible order.
        """
        from methods.row_llm.fitted import FittedRows, torch_threads

        if not len(train):
            raise TabOrderError("the training table has no rows: give at least one.")
        folder = None if self.work_dir is None else self.work_dir / "checkpoint"
        with torch_threads(self.threads):
            self._fitted = FittedRows.train(self.config, train, schema, seed, folder, self.report)

    def sample(self, n: int, *, seed: int) -> Sample:
        """Sample until ``n`` rows are valid or ``max_attempts`` × ``n`` rows were started."""
        from methods.row_llm.fitted import torch_threads

        with torch_threads(self.threads):
            return self.fitted.sample(n, seed, self.config, self.report)

    def describe(self) -> Mapping[str, Any]:
        """Column order, dependencies, loss curve, model size and speed."""
        return self.fitted.info

    def save(self, folder: str | Path) -> None:
        """Save model, tokenizer, layout and order; :meth:`load` reads them."""
        self.fitted.save(Path(folder))

    def load(self, folder: str | Path) -> None:
        """Load what :meth:`save` wrote, to be sampled as this generator is configured."""
        from methods.row_llm.fitted import FittedRows

        self._fitted = FittedRows.load(Path(folder), self.config)

    @property
    def fitted(self) -> FittedRows:
        """What training left.

        Raises:
            TabOrderError: before ``fit`` or ``load``.
        """
        if self._fitted is None:
            raise TabOrderError("this generator has no model yet: call fit or load first.")
        return self._fitted
