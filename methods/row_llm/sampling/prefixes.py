"""Prefixes that several rows share: computed once, split where rows part, told apart when hardly any are shared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from methods.row_llm.model.logits_model import LogitsModel

Array = np.ndarray[Any, Any]
LEAST_SHARED = 2.0
"""Rows per prefix below which sharing costs more (every split copies what the model remembers) than it saves."""


class Frontier(Protocol):
    """Unfinished rows: distinct prefixes, and what is known of each.

    Attributes:
        counts: rows that share each prefix, shape (prefixes,).
    """

    counts: Array

    def select(self, rows: Tensor, counts: Array) -> Any:
        """A copy with these prefixes, in this order, and these counts; a prefix may come more than once."""


F = TypeVar("F", bound=Frontier)
R = TypeVar("R")


class PrefixSampler(ABC, Generic[F, R]):
    """Advances frontiers of type ``F``, token by token, to finished rows of type ``R``.

    Args:
        logits_model: in evaluation mode.
        batch: greatest number of prefixes computed at once.

    Attributes:
        device: where decoding happens.
        generated: tokens drawn so far, counted once for each row that shares them.
    """

    def __init__(self, logits_model: LogitsModel, batch: int) -> None:
        self.logits_model = logits_model
        self.device = logits_model.device
        self.batch = batch
        self.generated = 0

    @abstractmethod
    def step(self, frontier: F, rng: np.random.Generator) -> F:
        """Add one token to every prefix that needs one."""

    @abstractmethod
    def complete(self, frontier: F) -> bool:
        """Whether all rows have ended."""

    @abstractmethod
    def rows(self, frontier: F) -> R:
        """What a complete frontier's rows are."""

    def release(self, frontier: F) -> tuple[R | None, F | None]:
        """Rows that may leave before the others, and the frontier without them; ``None`` where there are none."""
        return None, frontier

    def advance(self, frontier: F, rng: np.random.Generator) -> Iterator[R]:
        """Finish a frontier, splitting it where it outgrows a batch; depth first, to bound memory."""
        # A split frontier's pieces are copied only when their turn comes.
        stack: list[tuple[F, Tensor | None]] = [(frontier, None)]
        while stack:
            whole, piece = stack.pop()
            current: F | None = whole if piece is None else whole.select(piece, whole.counts[piece.cpu().numpy()])
            del whole  # the last piece does not keep the others
            while current is not None and not self.complete(current):
                if len(current.counts) > self.batch:
                    pieces = torch.split(torch.arange(len(current.counts), device=self.device), self.batch)
                    stack += [(current, rows) for rows in reversed(pieces)]
                    current = None
                elif barely_shared(current.counts):
                    current = current.select(*unshare(current.counts, self.device))
                else:
                    released, current = self.release(current)
                    if released is not None:
                        yield released
                    if current is not None:
                        self.logits_model.threads.settle(
                            len(current.counts), partial(self._one_token, len(current.counts))
                        )
                        current = self.step(current, rng)
            if current is not None:
                yield self.rows(current)

    def _one_token(self, rows: int) -> list[Tensor]:
        """Logits after one token of as many rows."""
        rows = min(rows, self.batch)
        tokens = torch.zeros((rows, 1), dtype=torch.int64, device=self.device)
        return [self.logits_model.logits(torch.arange(rows, device=self.device), input_ids=tokens, use_cache=False)]


def barely_shared(counts: Array) -> bool:
    """Whether few prefixes are still shared, by few rows."""
    return bool(len(counts) < counts.sum() <= LEAST_SHARED * len(counts))


def unshare(counts: Array, device: torch.device) -> tuple[Tensor, Array]:
    """Every row a prefix of its own: the prefix of each row, and counts of 1, both of shape (rows,)."""
    rows = np.repeat(np.arange(len(counts)), counts)
    return torch.from_numpy(rows).to(device), np.ones(len(rows), dtype=np.int64)


def merge_forced(
    open_rows: Tensor, drawn: tuple[Tensor, Tensor, Array], forced: Tensor, counts: Array
) -> tuple[Tensor, Tensor, Array]:
    """Put the prefixes whose token was forced back among those that drew theirs.

    Args:
        open_rows: the prefixes that drew, shape (open,).
        drawn: parents among ``open_rows``, tokens and counts (:func:`methods.row_llm.sampling.draws.draw`).
        forced: the forced token of each prefix, −1 for open ones, shape (prefixes,).
        counts: rows that share each prefix, shape (prefixes,).

    Returns:
        parents among all prefixes in ascending order, tokens and counts.
    """
    parents, tokens, shared = open_rows[drawn[0]], drawn[1], drawn[2]
    if len(open_rows) == len(forced):
        return parents, tokens, shared
    closed = (forced >= 0).nonzero().squeeze(1)
    parents, order = torch.cat([parents, closed]).sort(stable=True)
    tokens = torch.cat([tokens, forced[closed]])[order]
    return parents, tokens, np.concatenate([shared, counts[closed.cpu().numpy()]])[order.cpu().numpy()]
