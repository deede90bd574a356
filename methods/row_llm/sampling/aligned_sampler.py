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
from methods.row_llm.model.logits_model import Head
from methods.row_llm.sampling.draws import draw, probabilities
from methods.row_llm.sampling.fd_guide import FDGuide
from methods.row_llm.sampling.prefixes import apart, join, loose

Array = np.ndarray[Any, Any]


@dataclass
class Frontier:
    """Unfinished rows: distinct prefixes, how many rows share each, and what the model remembers of them.

    Attributes:
        tokens: shape (prefixes, place).
        counts: shape (prefixes,).
        rows: which row of the plan each prefix follows, when rows have their own plans.
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

    def select(self, rows: Tensor, counts: Array) -> Frontier:
        """The same frontier with other rows."""
        return Frontier(
            self.tokens[rows],
            counts,
            self.rows[rows],
            self.cache.select(rows),
            self.pending[rows],
            self.state[rows],
            self.fixed[rows],
        )


class Sampler:
    """Samples rows along a plan.

    Args:
        head: the model, in evaluation mode.
        plan: the rows' layout.
        config: temperature and truncation.
        first: the token that begins every row.
        batch: greatest number of prefixes computed at once.
        automaton: the grammar of the values; ``None`` for any token.
        guide: forces what functional dependencies imply; ``None`` for nothing.
    """

    def __init__(
        self,
        head: Head,
        plan: RowLayout,
        config: DecodingConfig,
        first: int,
        batch: int,
        automaton: Automaton | None = None,
        guide: FDGuide | None = None,
    ) -> None:
        self.head = head
        self.plan = plan
        self.config = config
        self.first = first
        self.batch = batch
        self.automaton = automaton
        self.guide = guide
        self.generated = 0

    @torch.inference_mode()
    def sample(self, n: int, rng: np.random.Generator, *, share: bool, report: Callable[[int], None]) -> Tensor:
        """Sample ``n`` rows.

        Args:
            n: how many.
            rng: source of all randomness.
            share: compute equal prefixes once; possible when all rows follow one plan.
            report: told the number of finished rows now and then.

        Returns:
            tokens, shape (n, length), rows of a shared plan in no particular order (equal ones stand together), others in
            the plan's. Tokens after the stop token are the stop token.
        """
        parts: list[Tensor] = []
        done = 0
        for counts, rows in self._starts(n, share):
            for tokens, shared in self._finish(self._begin(counts, rows), rng):
                parts.append(torch.repeat_interleave(tokens, torch.from_numpy(shared).to(tokens.device), dim=0).cpu())
                done += int(shared.sum())
                report(done)
        return torch.cat(parts)

    def _starts(self, n: int, share: bool) -> Iterator[tuple[Array, Tensor]]:
        if share:
            yield np.array([n]), torch.zeros(1, dtype=torch.int64)
            return
        for start in range(0, n, self.batch):
            rows = torch.arange(start, min(start + self.batch, n))
            yield np.ones(len(rows), dtype=np.int64), rows

    def _begin(self, counts: Array, rows: Tensor) -> Frontier:
        device = self.head.model.device
        first = torch.full((len(counts), 1), self.first, device=device)
        width = self.guide.width if self.guide else 0
        return Frontier(
            first[:, :0],
            counts,
            rows.to(device),
            BufferCache.empty(self.head.model, self.plan.length + 1),
            first,
            torch.zeros(len(counts), dtype=torch.int64, device=device),
            torch.full((len(counts), width), -1, device=device),
        )

    def _finish(self, frontier: Frontier, rng: np.random.Generator) -> Iterator[tuple[Tensor, Array]]:
        """Advance a frontier to the end, splitting it where it outgrows a batch; depth first, to bound memory."""
        stack = [(frontier, torch.arange(0))]
        while stack:
            frontier, piece = stack.pop()
            if len(piece):
                frontier = frontier.select(piece, frontier.counts[piece.cpu().numpy()])
            while frontier.tokens.shape[1] < self.plan.length:
                if len(frontier.counts) > self.batch:
                    pieces = torch.split(torch.arange(len(frontier.counts), device=frontier.tokens.device), self.batch)
                    stack += [(frontier, rows) for rows in reversed(pieces)]  # copied when their turn comes
                    break
                if loose(frontier.counts):
                    frontier = frontier.select(*apart(frontier.counts, frontier.tokens.device))
                    continue
                if self.plan.stop is not None and frontier.tokens.shape[1]:
                    done = frontier.tokens[:, -1] == self.plan.stop
                    if 8 * int(done.sum()) >= len(
                        done
                    ):  # finished rows leave; not for a few, as leaving copies the rest
                        yield self._ended(frontier, done)
                        if bool(done.all()):
                            break
                        rows = (~done).nonzero().squeeze(1)
                        frontier = frontier.select(rows, frontier.counts[rows.cpu().numpy()])
                frontier = self._step(frontier, rng)
            else:
                yield frontier.tokens, frontier.counts

    def _ended(self, frontier: Frontier, done: Tensor) -> tuple[Tensor, Array]:
        tokens = frontier.tokens[done]
        padding = (0, self.plan.length - tokens.shape[1])
        return torch.nn.functional.pad(tokens, padding, value=self.plan.stop), frontier.counts[done.cpu().numpy()]

    def _step(self, frontier: Frontier, rng: np.random.Generator) -> Frontier:
        """Add one token to every prefix."""
        place = frontier.tokens.shape[1]
        forced, offset = self._at(self.plan.forced, place, frontier), self._at(self.plan.offset, place, frontier)
        if place:
            closed = (offset > 1) & self.plan.closers[frontier.tokens[:, -1]]
            forced = torch.where(closed, self.plan.filler, forced)
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
        return self._advance(frontier, *join(open_rows, draw(probs, counts, rng, legal), forced, frontier.counts))

    def _advance(self, frontier: Frontier, parents: Tensor, tokens: Tensor, counts: Array) -> Frontier:
        if len(parents) != len(frontier.counts):
            frontier = frontier.select(parents, counts)
        frontier.tokens = torch.cat([frontier.tokens, tokens[:, None]], 1)
        frontier.pending = tokens[:, None]
        self._follow(frontier)
        return frontier

    def _enter(self, frontier: Frontier, place: int, offset: Tensor) -> None:
        """Where a value begins: set the grammar's state and ask the guide."""
        begins = offset == 1
        if not (self.automaton or self.guide) or not bool(begins.any()):
            return
        column = self._at(self.plan.column, place, frontier)
        if self.automaton:
            frontier.state = torch.where(begins, self.automaton.begin[column], frontier.state)
        if self.guide:
            fixed = self.guide.force(lambda index: self._known(frontier, index), torch.where(begins, column, -1))
            frontier.fixed = torch.where(begins[:, None], fixed, frontier.fixed)

    def _follow(self, frontier: Frontier) -> None:
        """Advance the grammar by the last token."""
        if self.automaton:
            frontier.state = self.automaton.step(frontier.state, frontier.tokens[:, -1])

    def _known(self, frontier: Frontier, index: int) -> tuple[Tensor, Tensor]:
        """A column's value tokens in each prefix, and whether they are already there."""
        start = sum(self.plan.widths[:index])
        places = self.plan.places[..., start : start + self.plan.widths[index]]
        places = places.expand(len(frontier.counts), -1) if places.dim() == 1 else places[frontier.rows]
        length = frontier.tokens.shape[1]
        tokens = torch.nn.functional.pad(frontier.tokens, (0, 1)).gather(1, places.clamp(max=length))
        return tokens, places[:, -1] < length

    def _probabilities(self, frontier: Frontier, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of the next token of these prefixes, and the tokens they belong to; ``None`` for the whole vocabulary."""
        legal, allowed = (None, None) if self.automaton is None else self.automaton.allowed(frontier.state[rows])
        fed = frontier.pending.shape[1]
        logits = self.head.logits(
            rows * fed + fed - 1, legal, input_ids=frontier.pending, past_key_values=frontier.cache, use_cache=True
        )
        return probabilities(logits, self.config, allowed), legal

    def _at(self, table: Tensor, place: int, frontier: Frontier) -> Tensor:
        """A row of the plan for each prefix."""
        if table.dim() == 1:
            return table[place].expand(len(frontier.counts))
        return table[frontier.rows, place]
