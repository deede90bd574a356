"""Our side: the row language model over kept weights, the teacher-forced limit, and the race to a given loss."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from harness.generator import Context, Sample
from harness.seeding import global_seed
from harness.table import Schema, format_cell
from methods.column_order import ColumnOrder
from methods.row_llm import RowLLM
from methods.row_llm.codecs.text_codec import TextCodec
from methods.row_llm.config import LLMConfig
from methods.row_llm.fitted import FittedRows, positions
from methods.row_llm.model.language_model import load_pretrained
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.training.batches import Batches


class OurRows(RowLLM):
    """The row language model; ``sampled_order`` replaces the trained order when sampling.

    Args:
        sampled_order: ``random``, ``original``, or ``None`` for the order of the training.
        options: of :class:`methods.row_llm.RowLLM`.
    """

    def __init__(self, sampled_order: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.sampled_order = sampled_order

    def restore(self, folder: Path, train: pd.DataFrame, schema: Schema) -> None:
        """Load our weights, or a peer's model with its tokenizer."""
        if (folder / "row_llm.json").exists():
            self.load(folder)
        else:
            self._fitted = adopted(folder / "weights", train, schema)
        if self.sampled_order is not None:
            names = None if self.sampled_order == "random" else tuple(schema.names)
            self.fitted.order = ColumnOrder(self.sampled_order, names)


class Beginningless(TextCodec):
    """Text whose rows begin with their first name: be-great teaches its models no token before it."""

    @property
    def start(self) -> Sequence[int]:
        """Nothing."""
        return ()


def adopted(folder: Path, train: pd.DataFrame, schema: Schema) -> FittedRows:
    """A model that another trainer taught rows of text."""
    model, tokenizer = load_pretrained(LLMConfig(pretrained=str(folder)), 0)
    return FittedRows(
        LogitsModel(model.eval()), Beginningless.fit(train, schema, tokenizer), ColumnOrder("random", None), None, {}
    )


class TeacherForced(OurRows):
    """The limit: one plain pass of the same model over the rows' own tokens, in place of sampling."""

    fastest = 0.0

    def restore(self, folder: Path, train: pd.DataFrame, schema: Schema) -> None:
        """Load the weights and prepare the training rows' tokens, in batches of rows of like length."""
        super().restore(folder, train, schema)
        codec = self.fitted.codec
        order = positions(self.fitted.order, schema)
        chunks = codec.encode(train)
        self.passes = [
            list(
                Batches(
                    chunks,
                    order,
                    bos_token=codec.bos_token,
                    end_token=codec.end_token,
                    learn_all=False,
                    batch_size=size,
                    seed=0,
                ).epoch(0)
            )
            for size in (64, 1024)
        ]

    @torch.inference_mode()
    def sample(self, n: int, *, seed: int) -> Sample:
        """Time the pass over about ``n`` rows; the faster of two batch sizes, logits where a value is predicted."""
        self.fastest = 0.0
        rows = 0
        for batches in self.passes:
            done, started = 0, time.perf_counter()
            for inputs, places, _ in batches:
                if done >= n:
                    break
                self.fitted.logits_model.logits(places, input_ids=inputs, use_cache=False)
                done += len(inputs)
            rate = done / (time.perf_counter() - started)
            self.fastest, rows = max(self.fastest, rate), n
        return Sample(pd.DataFrame({"row": range(rows)}))

    def describe(self) -> Mapping[str, Any]:
        """The seconds that ``n`` rows take at the fastest rate are ``n`` over it."""
        return {**super().describe(), "rows_per_second": self.fastest}


def texts_of(frame: pd.DataFrame, schema: Schema, seed: int | None = None) -> list[str]:
    """Rows as ``name is value, …``, columns in the table's order or shuffled for every row."""
    cells = {c.name: [format_cell(c, value) for value in frame[c.name]] for c in schema.columns}
    source = np.random.default_rng(seed)
    names = schema.names
    orders = [names if seed is None else [names[i] for i in source.permutation(len(names))] for _ in range(len(frame))]
    return [", ".join(f"{name} is {cells[name][row]}" for name in order) for row, order in enumerate(orders)]


def base_model(folder: Path, frame: pd.DataFrame, schema: Schema, layers: int, width: int) -> None:
    """Write an untrained GPT-2 and a byte-level BPE tokenizer of the rows' text, as be-great's adapter makes them."""
    from baselines.great import GReaT

    # Room for the 100 tokens that be-great generates by default.
    maker = GReaT(layers=layers, width=width, max_length=128)
    maker.bind(Context(folder, 1, lambda *_, **__: None))
    with global_seed(0):
        maker._from_scratch(texts_of(frame, schema))


def held_out_loss(folder: Path, texts: Sequence[str], first: bool) -> float:
    """Nats per row of text after its first token.

    Args:
        folder: of the model.
        texts: rows.
        first: whether the model was trained with a row token before the text.
    """
    model, tokenizer = load_pretrained(LLMConfig(pretrained=str(folder)), 0)
    head = LogitsModel(model.eval())
    total = 0.0
    with torch.inference_mode():
        for text in texts:
            ids = tokenizer.encode(text, add_special_tokens=False)
            fed = [tokenizer.bos_token_id, *ids] if first else ids
            logits = head.model(torch.tensor([fed])).logits[0]
            start = len(fed) - len(ids)
            total += float(
                torch.nn.functional.cross_entropy(logits[start:-1], torch.tensor(fed[start + 1 :]), reduction="sum")
            )
    return total / len(texts)


class Race(RowLLM):
    """Training until the held-out loss of a rival is reached.

    Args:
        base: folder of the untrained model.
        test: Parquet file of the held-out rows.
        target: loss to reach, in nats per row.
        budgets: seconds of training to try, ascending; the learning rate decays within each.
        batch_size: rows a step, the rival's.
    """

    def __init__(self, base: str, test: str, target: float, budgets: Sequence[float], batch_size: int) -> None:
        super().__init__("random")
        self.base, self.test, self.target, self.budgets, self.batch_size = base, test, target, budgets, batch_size
        self.tried: list[dict[str, float]] = []

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Train anew for each budget until the loss is reached."""
        texts = texts_of(pd.read_parquet(self.test), schema, 0)
        assert self.work_dir is not None
        for budget in self.budgets:
            one = RowLLM(
                "random",
                decoding="free",
                llm={"pretrained": self.base},
                epochs=None,
                max_train_seconds=budget,
                batch_size=self.batch_size,
                device="cpu",
            )
            one.threads = self.threads
            started = time.perf_counter()
            one.fit(train, schema, seed=seed)
            seconds = time.perf_counter() - started
            folder = self.work_dir / "race"
            one.save(folder)
            loss = held_out_loss(folder / "model", texts, True)
            self.tried.append({"seconds": seconds, "loss": loss})
            if loss <= self.target:
                break

    def describe(self) -> Mapping[str, Any]:
        """What was tried, in the place of a loss curve."""
        return {"curve": self.tried}
