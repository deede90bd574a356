"""From a trained model to table rows: picks the sampler that fits codec and decoding, and reads what it emits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from methods.row_llm.codecs.automaton import Automaton
from methods.row_llm.codecs.constraints import table_automaton, text_automaton
from methods.row_llm.codecs.reasons import FD_VIOLATION, VALID
from methods.row_llm.codecs.table_codec import TableCodec
from methods.row_llm.codecs.text_codec import TextCodec
from methods.row_llm.config import DecodingConfig
from methods.row_llm.model.language_model import precision
from methods.row_llm.model.logits_model import Head
from methods.row_llm.sampling.aligned_sampler import Sampler
from methods.row_llm.sampling.fd_guide import FDGuide
from methods.row_llm.sampling.text_sampler import TextSampler

Array = np.ndarray[Any, Any]
Report = Callable[[int], None]
BLOCK = 100_000
"""Rows that are laid out, and can share prefixes, at once: bounds memory."""


@dataclass
class RowSource:
    """Draws rows from a trained model.

    Attributes:
        head: the model, in evaluation mode.
        codec: how rows are written.
        order: column positions, or ``None`` for a fresh random order per row.
        config: decoding.
        batch: rows decoded at once.
        share: whether equal prefixes are computed once.
        guide: functional dependencies, for ``fd_constrained``.
    """

    head: Head
    codec: TableCodec | TextCodec
    order: Tensor | None
    config: DecodingConfig
    batch: int
    share: bool
    guide: FDGuide | None = None

    def draw(self, n: int, rng: np.random.Generator, report: Report) -> tuple[pd.DataFrame, Array, int]:
        """Sample ``n`` rows, valid or not.

        Returns:
            the rows in random order, what each is (:mod:`methods.row_llm.codecs.reasons`), and the tokens sampled.
        """
        parts = []
        with precision(self.head.model.device):
            for start in range(0, n, BLOCK):

                def tell(done: int, before: int = start) -> None:
                    report(before + done)

                parts.append(self._sample(min(BLOCK, n - start), rng, tell))
        frame = pd.concat([part for part, _, _ in parts], ignore_index=True)
        state = np.concatenate([part for _, part, _ in parts])
        tokens = sum(count for _, _, count in parts)
        if self.guide is not None:
            state = np.where((state == VALID) & self.guide.broken(frame), FD_VIOLATION, state)
        shuffled = rng.permutation(n)
        return frame.iloc[shuffled].reset_index(drop=True), state[shuffled], tokens

    def _sample(self, n: int, rng: np.random.Generator, report: Report) -> tuple[pd.DataFrame, Array, int]:
        if self.config.mode == "free":
            return self._free(n, rng, report)
        order, share = self.order, self.share
        if order is None:
            order, share = torch.from_numpy(rng.random((n, len(self.codec.names)))).argsort(1), False
        if isinstance(self.codec, TextCodec):
            texts = TextSampler(self.head, self.codec, order, self.config, self.batch, self.automaton, self.guide)
            frame, state = self.codec.decode(*texts.sample(n, rng, share=share, report=report))
            return frame, state, texts.generated
        plan = self.codec.plan(order, self.head.model.device)
        sampler = Sampler(self.head, plan, self.config, self.codec.row, self.batch, self.automaton, self.guide)
        tokens = sampler.sample(n, rng, share=share, report=report)
        places = plan.places.cpu()
        frame, state = self.codec.decode(tokens[:, places] if places.dim() == 1 else tokens.gather(1, places))
        return frame, state, sampler.generated

    def _free(self, n: int, rng: np.random.Generator, report: Report) -> tuple[pd.DataFrame, Array, int]:
        device = self.head.model.device
        if isinstance(self.codec, TextCodec):
            plan = self.codec.free_plan(self.head.vocabulary, device)
        else:
            plan = self.codec.free_plan(device)
        sampler = Sampler(self.head, plan, self.config, self.codec.row, self.batch)
        frame, state = self.codec.parse(sampler.sample(n, rng, share=self.share, report=report))
        return frame, state, sampler.generated

    @property
    def expected(self) -> float:
        """The share of rows to count on as valid before any is drawn: a few more rows of shared prefixes cost next to nothing, a
        second turn for a few that are missing costs as many steps as the first."""
        cheap = self.share and self.order is not None and self.config.mode == "template"
        return 0.98 if cheap else 1.0

    @cached_property
    def automaton(self) -> Automaton | None:
        """The grammar of the values, where decoding is constrained."""
        if self.config.mode == "template":
            return None
        if isinstance(self.codec, TextCodec):
            return text_automaton(self.codec, self.head.vocabulary, self.head.model.device)
        return table_automaton(self.codec, self.head.model.device)
