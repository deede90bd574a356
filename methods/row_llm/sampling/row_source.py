"""From a trained model to table rows: the sampler that fits the codec, and what became of the rows it draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, singledispatch
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from methods.row_llm.codecs.automaton import Automaton
from methods.row_llm.codecs.reasons import FD_VIOLATION, VALID
from methods.row_llm.codecs.row_codec import RowCodec
from methods.row_llm.codecs.table_codec import TableCodec
from methods.row_llm.codecs.text_codec import TextCodec
from methods.row_llm.config import DecodingConfig
from methods.row_llm.model.language_model import precision
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.sampling.aligned_sampler import AlignedSampler
from methods.row_llm.sampling.fd_guide import FDGuide
from methods.row_llm.sampling.text_sampler import TextSampler

Array = np.ndarray[Any, Any]
Report = Callable[[int], None]
Drawn = tuple[pd.DataFrame, Array, int]
"""Rows, what each is (:mod:`methods.row_llm.codecs.reasons`), and the number of tokens drawn."""
BLOCK = 100_000
"""Rows that are laid out, and can share prefixes, at once: bounds memory."""
SLACK = 2.0
"""Tokens on all threads may take so much longer than on one before one is taken: later tokens take longer anyway."""
MOSTLY_VALID = 0.98
"""Share of rows to count on as valid where a few more rows cost next to nothing and a second turn costs as much as the
first."""


@dataclass
class RowSource:
    """Draws rows from a trained model.

    Attributes:
        logits_model: in evaluation mode.
        codec: how rows are written.
        order: column positions, shape (columns,), or ``None`` for a fresh random order per row.
        config: decoding.
        batch: rows decoded at once.
        share: whether equal prefixes are computed once.
        guide: functional dependencies, for ``fd_constrained``.
    """

    logits_model: LogitsModel
    codec: RowCodec
    order: Tensor | None
    config: DecodingConfig
    batch: int
    share: bool
    guide: FDGuide | None = None

    @property
    def device(self) -> torch.device:
        """Where decoding happens."""
        return self.logits_model.device

    def draw(self, n: int, rng: np.random.Generator, report: Report) -> Drawn:
        """Sample ``n`` rows, valid or not.

        Returns:
            the rows in random order, what each is (:mod:`methods.row_llm.codecs.reasons`), and the tokens sampled.
        """
        parts: list[Drawn] = []
        with precision(self.device), self.logits_model.threads.watch(self.logits_model.model, SLACK):
            for start in range(0, n, BLOCK):

                def report_all(done: int, before: int = start) -> None:
                    report(before + done)

                parts.append(self._draw_block(min(BLOCK, n - start), rng, report_all))
        frame = pd.concat([part for part, _, _ in parts], ignore_index=True)
        state = np.concatenate([part for _, part, _ in parts])
        tokens = sum(count for _, _, count in parts)
        if self.guide is not None:
            state = np.where((state == VALID) & self.guide.broken(frame), FD_VIOLATION, state)
        shuffled = rng.permutation(n)
        return frame.iloc[shuffled].reset_index(drop=True), state[shuffled], tokens

    def _draw_block(self, n: int, rng: np.random.Generator, report: Report) -> Drawn:
        if self.config.mode == "free":
            return self._draw_free(n, rng, report)
        if self.order is not None:
            return draw_template(self.codec, self, self.order, n, rng, self.share, report)
        orders = torch.from_numpy(rng.random((n, len(self.codec.schema.columns)))).argsort(1)  # (n, columns)
        return draw_template(self.codec, self, orders, n, rng, False, report)

    def _draw_free(self, n: int, rng: np.random.Generator, report: Report) -> Drawn:
        layout = self.codec.free_layout(self.logits_model.vocabulary_size, self.device)
        sampler = AlignedSampler(self.logits_model, layout, self.config, self.codec.bos_token, self.batch)
        frame, state = self.codec.parse(sampler.sample(n, rng, share=self.share, report=report))
        return frame, state, sampler.generated

    @property
    def expected(self) -> float:
        """The share of rows to count on as valid before any is drawn."""
        cheap = self.share and self.order is not None and self.config.mode == "template"
        return MOSTLY_VALID if cheap else 1.0

    @cached_property
    def automaton(self) -> Automaton | None:
        """The grammar of the values, where decoding is constrained."""
        if self.config.mode == "template":
            return None
        return self.codec.grammar(self.logits_model.vocabulary_size, self.device)


@singledispatch
def draw_template(
    codec: RowCodec, source: RowSource, order: Tensor, n: int, rng: np.random.Generator, share: bool, report: Report
) -> Drawn:
    """Draw rows with names forced; each class of codecs registers its sampler here.

    Args:
        codec: how rows are written.
        source: model, decoding and batch.
        order: column positions, shape (columns,) for all rows or (n, columns).
        n: how many rows.
        rng: source of all randomness.
        share: compute equal prefixes once; possible when all rows have one order.
        report: told the number of finished rows now and then.
    """
    raise NotImplementedError(f"no sampler is registered for {type(codec).__name__}")


@draw_template.register
def _(
    codec: TableCodec, source: RowSource, order: Tensor, n: int, rng: np.random.Generator, share: bool, report: Report
) -> Drawn:
    layout = codec.row_layout(order, source.device)
    sampler = AlignedSampler(
        source.logits_model, layout, source.config, codec.bos_token, source.batch, source.automaton, source.guide
    )
    frame, state = codec.decode(layout.values(sampler.sample(n, rng, share=share, report=report)))
    return frame, state, sampler.generated


@draw_template.register
def _(
    codec: TextCodec, source: RowSource, order: Tensor, n: int, rng: np.random.Generator, share: bool, report: Report
) -> Drawn:
    sampler = TextSampler(
        source.logits_model, codec, order, source.config, source.batch, source.automaton, source.guide
    )
    frame, state = codec.decode(*sampler.sample(n, rng, share=share, report=report))
    return frame, state, sampler.generated
