"""Batched decoding of rows that are aligned token by token, with exact prefix sharing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from methods.row_llm.cache import BufferCache
from methods.row_llm.decoding import DecodingConfig, draw, probabilities
from methods.row_llm.model import Head


@dataclass(frozen=True)
class Plan:
    """What a row looks like, token by token, after the row token.

    Attributes:
        forced: the token of each place, or −1 where it is sampled, shape (length,) for all rows or (rows, length).
        inside: places that continue a value, same shape; after a closing token they are filled with ``filler``.
        closers: tokens that close a value early (missing, filler), boolean, shape (vocabulary,).
        filler: the filler token, a scalar.
    """

    forced: Tensor
    inside: Tensor
    closers: Tensor
    filler: Tensor

    @property
    def length(self) -> int:
        """Tokens of a row."""
        return self.forced.shape[-1]


@dataclass
class Frontier:
    """Unfinished rows: distinct prefixes, how many rows share each, and what the model remembers of them.

    Attributes:
        tokens: shape (prefixes, place).
        counts: shape (prefixes,).
        rows: which row of the plan each prefix follows, when rows have their own plans.
        cache: keys and values of all tokens but ``pending``.
        pending: tokens to feed next, shape (prefixes, k).
    """

    tokens: Tensor
    counts: np.ndarray
    rows: Tensor
    cache: BufferCache
    pending: Tensor

    def select(self, rows: Tensor, counts: np.ndarray) -> Frontier:
        """The same frontier with other rows."""
        return Frontier(self.tokens[rows], counts, self.rows[rows], self.cache.select(rows), self.pending[rows])


class Sampler:
    """Samples rows along a plan.

    Args:
        head: the model, in evaluation mode.
        plan: the rows' layout.
        config: temperature and truncation.
        first: the token that begins every row.
        batch: greatest number of prefixes computed at once.
        allowed: tokens allowed at each place, boolean, shape (length, vocabulary); ``None`` for all.
    """

    def __init__(
        self,
        head: Head,
        plan: Plan,
        config: DecodingConfig,
        first: int,
        batch: int,
        allowed: Tensor | None = None,
    ) -> None:
        self.head = head
        self.plan = plan
        self.config = config
        self.first = first
        self.batch = batch
        self.allowed = allowed
        self.passes = 0

    @torch.inference_mode()
    def sample(self, n: int, rng: np.random.Generator, *, share: bool, report: Callable[[int], None]) -> Tensor:
        """Sample ``n`` rows.

        Args:
            n: how many.
            rng: source of all randomness.
            share: compute equal prefixes once; possible when all rows follow one plan.
            report: told the number of finished rows now and then.

        Returns:
            tokens, shape (n, length); equal rows stand together, so shuffle them.
        """
        parts: list[Tensor] = []
        done = 0
        for counts, rows in self._starts(n, share):
            for tokens, shared in self._finish(self._begin(counts, rows), rng):
                parts.append(torch.repeat_interleave(tokens, torch.from_numpy(shared).to(tokens.device), dim=0).cpu())
                done += int(shared.sum())
                report(done)
        return torch.cat(parts)

    def _starts(self, n: int, share: bool) -> Iterator[tuple[np.ndarray, Tensor]]:
        if share:
            yield np.array([n]), torch.zeros(1, dtype=torch.int64)
            return
        for start in range(0, n, self.batch):
            rows = torch.arange(start, min(start + self.batch, n))
            yield np.ones(len(rows), dtype=np.int64), rows

    def _begin(self, counts: np.ndarray, rows: Tensor) -> Frontier:
        device = self.head.model.device
        rows = rows.to(device)
        first = torch.full((len(counts), 1), self.first, device=device)
        cache = BufferCache.empty(self.head.model, self.plan.length + 1)
        return Frontier(first[:, :0], counts, rows, cache, first)

    def _finish(self, frontier: Frontier, rng: np.random.Generator) -> Iterator[tuple[Tensor, np.ndarray]]:
        """Advance a frontier to the end, splitting it where it outgrows a batch; depth first, to bound memory."""
        stack = [frontier]
        while stack:
            frontier = stack.pop()
            while frontier.tokens.shape[1] < self.plan.length:
                if len(frontier.counts) > self.batch:
                    pieces = torch.split(torch.arange(len(frontier.counts), device=frontier.tokens.device), self.batch)
                    stack += [frontier.select(rows, frontier.counts[rows.cpu().numpy()]) for rows in reversed(pieces)]
                    break
                frontier = self._step(frontier, rng)
            else:
                yield frontier.tokens, frontier.counts

    def _step(self, frontier: Frontier, rng: np.random.Generator) -> Frontier:
        """Add one token to every prefix."""
        place = frontier.tokens.shape[1]
        forced = self._column(self.plan.forced, place, frontier)
        if bool((forced >= 0).all()):
            frontier.tokens = torch.cat([frontier.tokens, forced[:, None]], 1)
            frontier.pending = torch.cat([frontier.pending, forced[:, None]], 1)
            return frontier
        open_rows = (forced < 0).nonzero().squeeze(1)
        probs = probabilities(
            self._logits(frontier, open_rows), self.config, None if self.allowed is None else self.allowed[place]
        )
        if place:
            closed = self._column(self.plan.inside, place, frontier) & self.plan.closers[frontier.tokens[:, -1]]
            probs[closed[open_rows]] = torch.nn.functional.one_hot(self.plan.filler, probs.shape[1]).to(probs.dtype)
        if len(open_rows) == len(forced):
            parents, tokens, counts = draw(probs, frontier.counts, rng)
        else:
            parents, counts = torch.arange(len(forced), device=forced.device), frontier.counts
            tokens = forced.scatter(0, open_rows, draw(probs, counts[open_rows.cpu().numpy()], rng)[1])
        if len(parents) != len(frontier.counts) or counts is not frontier.counts:
            frontier = frontier.select(parents, counts)
        frontier.tokens = torch.cat([frontier.tokens, tokens[:, None]], 1)
        frontier.pending = tokens[:, None]
        return frontier

    def _logits(self, frontier: Frontier, rows: Tensor) -> Tensor:
        self.passes += 1
        fed = frontier.pending.shape[1]
        return self.head.logits(
            rows * fed + fed - 1, input_ids=frontier.pending, past_key_values=frontier.cache, use_cache=True
        )

    def _column(self, table: Tensor, place: int, frontier: Frontier) -> Tensor:
        if table.dim() == 1:
            return table[place].expand(len(frontier.counts))
        return table[frontier.rows, place]
