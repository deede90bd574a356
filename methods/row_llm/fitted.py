"""A trained row model: how it comes about, samples, and is saved and loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel

from harness.dependencies import FunctionalDependency, MiningOptions, mine
from harness.errors import Incompatible
from harness.generator import Sample, Yield
from harness.seeding import derive_seed, rng
from harness.table import Schema
from methods.column_order import ColumnOrder, column_order
from methods.pretrained import origin
from methods.row_llm.codecs.reasons import VALID, count
from methods.row_llm.codecs.row_codec import RowCodec
from methods.row_llm.codecs.table_codec import TableCodec
from methods.row_llm.codecs.text_codec import TextCodec
from methods.row_llm.config import LLMConfig, RowConfig
from methods.row_llm.model.cache import most_rows
from methods.row_llm.model.language_model import build_model, device_of, load_pretrained, mixed_precision, plain
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.sampling.fd_guide import FDGuide
from methods.row_llm.sampling.row_source import RowSource
from methods.row_llm.training.batches import Batches
from methods.row_llm.training.checkpoint import Progress
from methods.row_llm.training.memory import memory_said
from methods.row_llm.training.trainer import train

Report = Callable[..., None]


@dataclass
class FittedRows:
    """What training leaves.

    Attributes:
        logits_model: in evaluation mode.
        codec: how rows are written as tokens.
        order: of the columns.
        guide: the training rows' exact dependencies, for ``fd_constrained`` decoding.
        info: facts for the record.
    """

    logits_model: LogitsModel
    codec: RowCodec
    order: ColumnOrder
    guide: FDGuide | None
    info: dict[str, Any]

    @classmethod
    def train(
        cls, config: RowConfig, frame: pd.DataFrame, schema: Schema, seed: int, folder: Path | None, report: Report
    ) -> FittedRows:
        """Choose the order, tokenise the rows once and train.

        Args:
            config: model, order and budget.
            frame: canonical training rows; not changed.
            schema: their columns.
            seed: of the order, the initial weights and the shuffles.
            folder: where checkpoints are written and looked for; ``None`` for none.
            report: told the progress.
        """
        order = column_order(
            config.order,
            frame,
            schema,
            seed=seed,
            order_seed=config.order_seed,
            given=config.given_order,
            mining=config.mining,
        )
        model, codec = _prepare(config, frame, schema, seed, report)
        logits_model = LogitsModel(model.to(device_of(config.device)))
        batches = Batches(
            codec.encode(frame),
            positions(order, schema),
            bos_token=codec.bos_token,
            end_token=codec.end_token,
            learn_all=config.decoding.mode == "free",
            batch_size=config.training.batch_size,
            seed=derive_seed(seed, "training"),
            order_seed=config.order_seed,
            rank=int(os.environ.get("RANK", "0")),
            world=int(os.environ.get("WORLD_SIZE", "1")),
        )
        progress = train(logits_model, batches, config.training, folder, report)
        logits_model = LogitsModel(plain(logits_model.model).eval(), logits_model.threads)
        guide = None
        if config.decoding.mode == "fd_constrained":
            mined = mine(frame, schema, MiningOptions(**{**config.mining, "max_g3": 0.0}))
            guide = FDGuide.fit(frame, mined.fds, codec, logits_model.device)
        return cls(logits_model, codec, order, guide, _facts(config, logits_model, codec, order, guide, progress))

    def sample(self, n: int, seed: int, config: RowConfig, report: Report) -> Sample:
        """Sample until ``n`` rows are valid or ``config.max_attempts`` × ``n`` rows were started."""
        source = RowSource(
            self.logits_model,
            self.codec,
            positions(self.order, self.codec.schema),
            config.decoding,
            self._batch(config.sample_batch),
            config.prefix_sharing,
            self.guide if config.decoding.mode == "fd_constrained" else None,
        )
        kept: list[pd.DataFrame] = []
        states: list[np.ndarray[Any, Any]] = []
        attempted = accepted = tokens = turn = 0
        budget = max(n, int(config.max_attempts * n))
        while accepted < n and attempted < budget:
            rate = max(accepted / attempted, 0.05) if attempted else source.expected
            ask = min(int((n - accepted) / rate) + (turn > 0), budget - attempted)

            def tell(done: int, before: int = accepted) -> None:
                report("sample", min(before + done, n), n)

            frame, state, drawn = source.draw(ask, rng(seed, "rows", turn), tell)
            good = np.flatnonzero(state == VALID)[: n - accepted]
            if accepted + len(good) == n:  # rows after the last one needed do not count
                state = state[: good[-1] + 1]
            kept.append(frame.iloc[good])
            states.append(state)
            attempted, accepted, tokens, turn = attempted + len(state), accepted + len(good), tokens + drawn, turn + 1
        rejected = count(np.concatenate(states))
        return Sample(pd.concat(kept, ignore_index=True), Yield(attempted, accepted, rejected, tokens))

    def _batch(self, wanted: int) -> int:
        """Rows decoded at once: ``wanted``, or as many as fit into a GPU's memory, said in the notes."""
        most = most_rows(self.logits_model.model, self.codec.length, self.logits_model.vocabulary_size)
        if most is None or most >= wanted:
            return wanted
        note = f"{most} rows were decoded at once: sample_batch={wanted} does not fit into the GPU's memory."
        self.info["notes"] = [
            *dict.fromkeys([*self.info.get("notes", []), note])
        ]  # a second sample says it no second time
        return most

    def save(self, path: Path) -> None:
        """Save model, tokenizer, layout and order; :meth:`load` reads them."""
        path.mkdir(parents=True, exist_ok=True)
        self.logits_model.model.save_pretrained(path / "model")
        self.codec.tokenizer.save_pretrained(path / "model")
        state = {
            "layout": self.codec.layout,
            "codec": self.codec.to_json(),
            "order": self.order.to_json(),
            "guide": None if self.guide is None else self.guide.to_json(),
            "info": self.info,
        }
        (path / "row_llm.json").write_text(json.dumps(state, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, config: RowConfig) -> FittedRows:
        """Load what :meth:`save` wrote."""
        state = json.loads((path / "row_llm.json").read_text(encoding="utf-8"))
        model, tokenizer = load_pretrained(LLMConfig(pretrained=str(path / "model")), seed=0)
        logits_model = LogitsModel(model.to(device_of(config.device)).eval())
        codec: RowCodec
        if state["layout"] == TextCodec.layout:
            codec = TextCodec.from_json(state["codec"], tokenizer)
        else:
            codec = TableCodec.from_json(state["codec"])
        names = state["order"]["column_order"]
        fds = tuple(FunctionalDependency.from_json(fd) for fd in state["order"]["fds"])
        order = ColumnOrder(state["order"]["policy"], None if names is None else tuple(names), fds=fds)
        guide = state["guide"]
        return cls(
            logits_model,
            codec,
            order,
            None if guide is None else FDGuide.from_json(guide, codec, logits_model.device),
            state["info"],
        )


def positions(order: ColumnOrder, schema: Schema) -> Tensor | None:
    """The order as column positions; ``None`` for a fresh one per row."""
    return None if order.names is None else torch.tensor([schema.names.index(name) for name in order.names])


def _prepare(
    config: RowConfig, frame: pd.DataFrame, schema: Schema, seed: int, report: Report
) -> tuple[PreTrainedModel, RowCodec]:
    """The untrained (or pretrained) model and the codec that fits it."""
    if config.llm.pretrained is None:
        codec = TableCodec.fit(frame, schema, config.digits_per_token)
        model = build_model(config.llm, len(codec.vocabulary), codec.length + 2, codec.bos_token, codec.pad_token, seed)
        return model, codec
    model, tokenizer = load_pretrained(config.llm, seed, report)
    text = TextCodec.fit(frame, schema, tokenizer)
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is not None and text.length + 1 > limit:
        raise Incompatible(
            f"a row of this table can have {text.length + 1} tokens, but {config.llm.pretrained} reads at most "
            f"{limit}: drop the widest columns, or use a model with a longer context."
        )
    print(memory_said(model, text.length, config.training.batch_size), flush=True)
    return model, text


def _facts(
    config: RowConfig,
    logits_model: LogitsModel,
    codec: RowCodec,
    order: ColumnOrder,
    guide: FDGuide | None,
    progress: Progress,
) -> dict[str, Any]:
    """What the record should say."""
    facts = order.to_json()
    budget = config.training.max_seconds
    if budget is not None and progress.seconds >= budget:
        facts["notes"] = [*facts["notes"], f"training ended when max_train_seconds={budget:g} was spent."]
    threads, chosen = torch.get_num_threads(), logits_model.threads
    if threads > 1 and chosen.most == 1 and logits_model.device.type == "cpu":  # too large for a choice
        repeats = f"equal seeds give equal weights with as many CPU threads ({threads})"
        facts["notes"] = [*facts["notes"], f"{repeats}; another number changes their last digits."]
    if chosen.free is False:
        alone = f"one of {threads} CPU threads was used: this model's sums depend on their number on this machine."
        facts["notes"] = [*facts["notes"], alone]
    width = int(getattr(logits_model.model.config, "hidden_size", 0))
    if logits_model.device.type == "cpu" and mixed_precision(logits_model.device, width) == "bf16":
        halved = (
            "training multiplied matrices in bf16, which this CPU does natively: one that does not gives other weights."
        )
        facts["notes"] = [*facts["notes"], halved]
    if progress.resumed:
        steps = ", ".join(map(str, progress.resumed))
        facts["notes"] = [*facts["notes"], f"training was interrupted and resumed from its checkpoint at step {steps}."]
    weights = {} if config.llm.untrained else origin(logits_model.model)
    return {
        **facts,
        "curve": progress.curve,
        "parameters": sum(parameter.numel() for parameter in logits_model.model.parameters()),
        "vocabulary": logits_model.vocabulary_size,
        "row_tokens": codec.length + 1,
        "train_seconds": progress.seconds,
        "train_rows_per_second": progress.rows / progress.seconds if progress.seconds else None,
        "llm": asdict(config.llm),
        **({"weights": weights} if weights else {}),
        "decoding": asdict(config.decoding),
        "fd_constraints": None if guide is None else [fd.to_json() for fd, _ in guide.tables],
        "device": str(logits_model.device),
    }


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Bound torch's CPU threads for a while; ``None`` leaves them."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
