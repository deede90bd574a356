"""The row language model behind the generator protocol: one class, whose configurations differ in the column order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.errors import TabOrderError
from harness.generator import Context, Sample, Yield
from harness.seeding import derive_seed, rng
from harness.table import Schema

if TYPE_CHECKING:
    from torch import Tensor


class RowLLM:
    """A causal language model that writes rows column by column, in an order set by policy.

    All orders share the start rule (the first column is generated too), the missing-value rule (missing is a value, no row is
    dropped), the end of a row, budget, decoding and seeds; nothing else depends on the order.

    Args:
        order: policy of :func:`methods.column_order.column_order`: ``random``, ``fixed_random``, ``original``, ``fd``,
            ``fd_reversed``, ``fd_reference``, ``given`` or ``information``.
        given_order: the columns, for ``order="given"``.
        mining: options of the dependency mining behind ``fd`` orders.
        llm: the model (:class:`methods.row_llm.model.LLMConfig`).
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
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """

    def __init__(
        self,
        order: str = "fd",
        *,
        given_order: Sequence[str] | None = None,
        mining: Mapping[str, Any] | None = None,
        llm: Mapping[str, Any] | None = None,
        epochs: int | None = 20,
        max_train_seconds: float | None = None,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        warmup: float = 0.05,
        weight_decay: float = 0.0,
        decoding: str = "template",
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        digits_per_token: int = 2,
        sample_batch: int = 2048,
        prefix_sharing: bool = True,
        max_attempts: float = 5.0,
        checkpoint_seconds: float = 60.0,
        device: str = "auto",
    ) -> None:
        from methods.row_llm.decoding import DecodingConfig
        from methods.row_llm.model import LLMConfig
        from methods.row_llm.training import TrainingConfig

        self.order = order
        self.given_order = given_order
        self.mining = dict(mining or {})
        self.llm = LLMConfig.read(llm or {})
        self.training = TrainingConfig(
            epochs, max_train_seconds, batch_size, learning_rate, warmup, weight_decay, checkpoint_seconds
        )
        self.decoding = DecodingConfig(decoding, temperature, top_k, top_p)  # type: ignore[arg-type]
        if self.decoding.mode != "template" or self.llm.pretrained:
            raise TabOrderError("this version samples with decoding=template from a model without llm.pretrained.")
        self.digits_per_token = digits_per_token
        self.sample_batch = sample_batch
        self.prefix_sharing = prefix_sharing
        self.max_attempts = max_attempts
        self.device = device
        self.work_dir: Path | None = None
        self.threads: int | None = None
        self.report: Callable[..., None] = lambda *_, **__: None
        self.info: dict[str, Any] = {}

    def bind(self, context: Context) -> None:
        """Receive the checkpoint folder, the number of threads and the progress reporter."""
        self.work_dir, self.threads, self.report = context.work_dir, context.threads, context.report

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Choose the order, tokenise the rows once and train.

        Raises:
            Incompatible: when the table has more distinct categories than tokens.
            TabOrderError: for an empty table or an impossible order.
        """
        import torch

        from methods.column_order import column_order
        from methods.row_llm.model import Head, build_model, device_of
        from methods.row_llm.serialization import TableCodec
        from methods.row_llm.training import Batches
        from methods.row_llm.training import train as run

        if not len(train):
            raise TabOrderError("the training table has no rows: give at least one.")
        if self.threads:
            torch.set_num_threads(self.threads)
        self.codec = TableCodec.fit(train, schema, self.digits_per_token)
        self.column_order = column_order(
            self.order, train, schema, seed=derive_seed(seed, "order"), given=self.given_order, mining=self.mining
        )
        chunks = self.codec.encode(train)
        model = build_model(
            self.llm, len(self.codec.words), self.codec.length + 1, self.codec.row, self.codec.blank, seed
        )
        self.head = Head(model.to(device_of(self.device)))
        batches = Batches(
            chunks,
            self._positions(),
            self.codec.row,
            self.decoding.mode == "free",
            self.training.batch_size,
            derive_seed(seed, "training"),
        )
        folder = None if self.work_dir is None else self.work_dir / "checkpoint"
        progress = run(self.head, batches, self.training, folder, self.report)
        self.info = self._facts(progress.curve, progress.seconds, progress.rows)

    def sample(self, n: int, *, seed: int) -> Sample:
        """Sample until ``n`` rows are valid or ``max_attempts`` × ``n`` rows were started."""
        from methods.row_llm.serialization import REASONS

        kept: list[pd.DataFrame] = []
        rejected: dict[str, int] = {}
        attempted = accepted = 0
        budget = max(n, int(self.max_attempts * n))
        for turn in range(1 + budget):
            if accepted >= n or attempted >= budget:
                break
            rate = max(accepted / attempted, 0.05) if attempted else 1.0
            ask = min(int((n - accepted) / rate) + (turn > 0), budget - attempted)
            frame, state = self._draw(ask, rng(seed, "rows", turn), accepted, n)
            good = np.flatnonzero(state == 0)
            if accepted + len(good) > n:  # started but not needed rows do not count
                good = good[: n - accepted]
                state = state[: good[-1] + 1] if len(good) else state
                frame = frame.iloc[: len(state)]
            attempted += len(state)
            accepted += len(good)
            for code, count in zip(*np.unique(state[state != 0], return_counts=True), strict=True):
                rejected[REASONS[int(code)]] = rejected.get(REASONS[int(code)], 0) + int(count)
            kept.append(frame.iloc[good])
        frame = pd.concat(kept, ignore_index=True) if kept else self.codec.decode(self._no_values())[0]
        tokens = attempted * sum(self.codec.widths)
        return Sample(frame, Yield(attempted, accepted, rejected, tokens))

    def describe(self) -> Mapping[str, Any]:
        """Column order, dependencies, loss curve, model size and speed."""
        return self.info

    def save(self, folder: str | Path) -> None:
        """Save model, tokenizer, layout and order; :meth:`load` reads them."""
        from methods.row_llm.tokenizer import build_tokenizer, save_tokenizer

        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        self.head.model.save_pretrained(path / "model")
        save_tokenizer(build_tokenizer(self.codec.words.list, self.codec.length + 2), path / "model")
        state = {"codec": self.codec.to_json(), "order": self.column_order.to_json(), "info": self.info}
        (path / "row_llm.json").write_text(json.dumps(state, ensure_ascii=False), encoding="utf-8")

    def load(self, folder: str | Path) -> None:
        """Load what :meth:`save` wrote into a generator of the same configuration."""
        from transformers import AutoModelForCausalLM

        from harness.dependencies import FunctionalDependency
        from methods.column_order import ColumnOrder
        from methods.row_llm.model import Head, device_of
        from methods.row_llm.serialization import TableCodec

        path = Path(folder)
        state = json.loads((path / "row_llm.json").read_text(encoding="utf-8"))
        self.codec = TableCodec.from_json(state["codec"])
        order = state["order"]
        names = order["column_order"]
        fds = tuple(FunctionalDependency.from_json(fd) for fd in order["fds"])
        self.column_order = ColumnOrder(order["policy"], None if names is None else tuple(names), fds=fds)
        model = AutoModelForCausalLM.from_pretrained(path / "model", attn_implementation="sdpa")
        self.head = Head(model.to(device_of(self.device)).eval())
        self.info = state["info"]

    def _positions(self) -> Tensor | None:
        """The order as column positions; ``None`` for a fresh one per row."""
        import torch

        if self.column_order.names is None:
            return None
        names = self.codec.schema.names
        return torch.tensor([names.index(name) for name in self.column_order.names])

    def _draw(
        self, n: int, source: np.random.Generator, before: int, total: int
    ) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
        """Sample ``n`` rows, valid or not, in random order."""
        import torch

        from methods.row_llm.sampling import Sampler

        order = self._positions()
        shared = order is not None and self.prefix_sharing
        if order is None:
            order = torch.from_numpy(source.random((n, len(self.codec.names)))).argsort(1)
        plan = self.codec.plan(order, self.head.model.device)
        sampler = Sampler(self.head, plan, self.decoding, self.codec.row, self.sample_batch)
        tokens = sampler.sample(
            n, source, share=shared, report=lambda done: self.report("sample", min(before + done, total), total)
        )
        places = self.codec.value_places(order)
        values = tokens[:, places] if places.dim() == 1 else tokens.gather(1, places)
        return self.codec.decode(values[torch.from_numpy(source.permutation(n))])

    def _no_values(self) -> Tensor:
        import torch

        return torch.empty((0, sum(self.codec.widths)), dtype=torch.int64)

    def _facts(self, curve: list[dict[str, float]], seconds: float, rows: int) -> dict[str, Any]:
        return {
            **self.column_order.to_json(),
            "curve": curve,
            "parameters": sum(parameter.numel() for parameter in self.head.model.parameters()),
            "vocabulary": len(self.codec.words),
            "row_tokens": self.codec.length + 1,
            "train_rows_per_second": rows / seconds if seconds else None,
            "llm": asdict(self.llm),
            "decoding": asdict(self.decoding),
        }
