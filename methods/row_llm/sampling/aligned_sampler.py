"""Batched decoding of rows that are aligned token by token, with exact prefix sharing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from methods.row_llm.codecs.automaton import Automaton
from methods.row_llm.codecs.row_layout import RowLayout
from methods.row_llm.config import DecodingConfig
from methods.row_llm.model.cache import BufferCache
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.sampling.draws import draw, probabilities
from methods.row_llm.sampling.fd_guide import FDGuide
from methods.row_llm.sampling.prefixes import PrefixSampler, merge_forced

Array = np.ndarray[Any, Any]
RELEASED_SHARE = 8
"""Finished rows leave once they are one of so many prefixes: leaving copies all others."""


@dataclass
class AlignedFrontier:
    """Unfinished rows: distinct prefixes, how many rows share each, and what the model remembers of them.

    Attributes:
        tokens: drawn and forced so far, shape (prefixes, tokens so far).
        counts: rows that share each prefix, shape (prefixes,).
        rows: which row of the layout each prefix follows, when rows have layouts of their own, shape (prefixes,).
        cache: keys and values of all tokens but ``pending``.
        pending: tokens to feed next, shape (prefixes, k).
        state: of the grammar, shape (prefixes,).
        fixed: tokens of the value being written that a dependency forces, −1 where none, shape (prefixes, width).
    """

    tokens: Tensor
    counts: Array
    rows: Tensor
    cache: BufferCache
    pending: Tensor
    state: Tensor
    fixed: Tensor

    def select(self, rows: Tensor, counts: Array) -> AlignedFrontier:
        """The same frontier with other prefixes."""
        return AlignedFrontier(
            tokens=self.tokens[rows],
            counts=counts,
            rows=self.rows[rows],
            cache=self.cache.select(rows),
            pending=self.pending[rows],
            state=self.state[rows],
            fixed=self.fixed[rows],
        )


class AlignedSampler(PrefixSampler[AlignedFrontier, tuple[Tensor, Array]]):
    """Samples rows along a layout.

    Args:
        logits_model: in evaluation mode.
        layout: of the rows.
        config: temperature and truncation.
        bos_token: begins every row.
        batch: greatest number of prefixes computed at once.
        automaton: the grammar of the values; ``None`` for any token.
        guide: forces what functional dependencies imply; ``None`` for nothing.
    """

    def __init__(
        self,
        logits_model: LogitsModel,
        layout: RowLayout,
        config: DecodingConfig,
        bos_token: int,
        batch: int,
        automaton: Automaton | None = None,
        guide: FDGuide | None = None,
    ) -> None:
        super().__init__(logits_model, batch)
        self.layout = layout
        self.config = config
        self.bos_token = bos_token
        self.automaton = automaton
        self.guide = guide

    @torch.inference_mode()
    def sample(self, n: int, rng: np.random.Generator, *, share: bool, report: Callable[[int], None]) -> Tensor:
        """Sample ``n`` rows.

        Args:
            n: how many.
            rng: source of all randomness.
            share: compute equal prefixes once; possible when all rows follow one layout.
            report: told the number of finished rows now and then.

        Returns:
            tokens, shape (n, length), rows of a shared layout in no particular order (equal ones stand together),
            others in the layout's. Tokens after the stop token are the stop token.
        """
        parts: list[Tensor] = []
        done = 0
        for counts, rows in self._starts(n, share):
            for tokens, shared in self.advance(self._begin(counts, rows), rng):
                parts.append(torch.repeat_interleave(tokens, torch.from_numpy(shared).to(tokens.device), dim=0).cpu())
                done += int(shared.sum())
                report(done)
        return torch.cat(parts)

    def _starts(self, n: int, share: bool) -> Iterator[tuple[Array, Tensor]]:
        """Counts and layout rows of each first frontier."""
        if share:
            yield np.array([n]), torch.zeros(1, dtype=torch.int64)
            return
        for start in range(0, n, self.batch):
            rows = torch.arange(start, min(start + self.batch, n))
            yield np.ones(len(rows), dtype=np.int64), rows

    def _begin(self, counts: Array, rows: Tensor) -> AlignedFrontier:
        bos = torch.full((len(counts), 1), self.bos_token, device=self.device)
        width = self.guide.width if self.guide else 0
        return AlignedFrontier(
            tokens=bos[:, :0],
            counts=counts,
            rows=rows.to(self.device),
            cache=BufferCache.empty(self.logits_model.model, self.layout.length + 1),
            pending=bos,
            state=torch.zeros(len(counts), dtype=torch.int64, device=self.device),
            fixed=torch.full((len(counts), width), -1, device=self.device),
        )

    def complete(self, frontier: AlignedFrontier) -> bool:
        """Whether the rows have all their tokens."""
        return frontier.tokens.shape[1] >= self.layout.length

    def rows(self, frontier: AlignedFrontier) -> tuple[Tensor, Array]:
        """Tokens, shape (prefixes, length), and the rows that share each."""
        return frontier.tokens, frontier.counts

    def release(self, frontier: AlignedFrontier) -> tuple[tuple[Tensor, Array] | None, AlignedFrontier | None]:
        """Rows at their stop token leave, unless they are few."""
        stop_token = self.layout.stop_token
        if stop_token is None or not frontier.tokens.shape[1]:
            return None, frontier
        ended = frontier.tokens[:, -1] == stop_token  # (prefixes,)
        if RELEASED_SHARE * int(ended.sum()) < len(ended):
            return None, frontier
        tokens = frontier.tokens[ended]
        padding = (0, self.layout.length - tokens.shape[1])
        tokens = torch.nn.functional.pad(tokens, padding, value=stop_token)
        released = tokens, frontier.counts[ended.cpu().numpy()]
        if bool(ended.all()):
            return released, None
        rows = (~ended).nonzero().squeeze(1)
        return released, frontier.select(rows, frontier.counts[rows.cpu().numpy()])

    def step(self, frontier: AlignedFrontier, rng: np.random.Generator) -> AlignedFrontier:
        """Add one token to every prefix."""
        place = frontier.tokens.shape[1]
        forced = self._at(self.layout.forced, place, frontier)  # (prefixes,)
        offset = self._at(self.layout.offset, place, frontier)  # (prefixes,)
        if place:
            closed = (offset > 1) & self.layout.closing[frontier.tokens[:, -1]]
            forced = torch.where(closed, self.layout.pad_token, forced)
        self._enter(frontier, place, offset)
        if self.guide:
            value = frontier.fixed.gather(1, (offset - 1).clamp(0, self.guide.width - 1)[:, None]).squeeze(1)
            forced = torch.where((offset > 0) & (forced < 0), value, forced)
        open_rows = (forced < 0).nonzero().squeeze(1)
        if not len(open_rows):
            frontier.tokens = torch.cat([frontier.tokens, forced[:, None]], 1)
            frontier.pending = torch.cat([frontier.pending, forced[:, None]], 1)
            self._follow(frontier)
            return frontier
        probs, legal = self._probabilities(frontier, open_rows)
        counts = frontier.counts[open_rows.cpu().numpy()]
        self.generated += int(counts.sum())
        drawn = draw(probs, counts, rng, legal)
        return self._append(frontier, *merge_forced(open_rows, drawn, forced, frontier.counts))

    def _append(self, frontier: AlignedFrontier, parents: Tensor, tokens: Tensor, counts: Array) -> AlignedFrontier:
        if len(parents) != len(frontier.counts):
            frontier = frontier.select(parents, counts)
        frontier.tokens = torch.cat([frontier.tokens, tokens[:, None]], 1)
        frontier.pending = tokens[:, None]
        self._follow(frontier)
        return frontier

    def _enter(self, frontier: AlignedFrontier, place: int, offset: Tensor) -> None:
        """Where a value begins: set the grammar's state and ask the guide."""
        begins = offset == 1
        if not (self.automaton or self.guide) or not bool(begins.any()):
            return
        column = self._at(self.layout.column, place, frontier)
        if self.automaton:
            frontier.state = torch.where(begins, self.automaton.begin[column], frontier.state)
        if self.guide:
            fixed = self.guide.force(lambda index: self._written(frontier, index), torch.where(begins, column, -1))
            frontier.fixed = torch.where(begins[:, None], fixed, frontier.fixed)

    def _follow(self, frontier: AlignedFrontier) -> None:
        """Advance the grammar by the last token."""
        if self.automaton:
            frontier.state = self.automaton.step(frontier.state, frontier.tokens[:, -1])

    def _written(self, frontier: AlignedFrontier, index: int) -> tuple[Tensor, Tensor]:
        """A column's value tokens in each prefix, shape (prefixes, width), and whether they are already there."""
        start = sum(self.layout.widths[:index])
        positions = self.layout.value_positions[..., start : start + self.layout.widths[index]]
        positions = positions.expand(len(frontier.counts), -1) if positions.dim() == 1 else positions[frontier.rows]
        length = frontier.tokens.shape[1]
        tokens = torch.nn.functional.pad(frontier.tokens, (0, 1)).gather(1, positions.clamp(max=length))
        return tokens, positions[:, -1] < length

    def _probabilities(self, frontier: AlignedFrontier, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of the next token of these prefixes, and the tokens they belong to; ``None`` for the whole vocabulary."""
        legal, allowed = (None, None) if self.automaton is None else self.automaton.allowed(frontier.state[rows])
        fed = frontier.pending.shape[1]
        logits = self.logits_model.logits(
            rows * fed + fed - 1, legal, input_ids=frontier.pending, past_key_values=frontier.cache, use_cache=True
        )
        return probabilities(logits, self.config, allowed), legal

    def _at(self, table: Tensor, place: int, frontier: AlignedFrontier) -> Tensor:
        """An entry of the layout for each prefix, shape (prefixes,)."""
        if table.dim() == 1:
            return table[place].expand(len(frontier.counts))
        return table[frontier.rows, place]
