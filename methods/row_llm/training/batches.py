"""Rows with next-token targets, assembled from token chunks, batch by batch, in the order the policy asks for."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from harness.seeding import derive_seed
from methods.row_llm.codecs.chunks import Chunks


class Batches:
    """Batches of rows with next-token targets.

    Args:
        chunks: the training rows.
        order: column positions (columns,), or ``None`` for a fresh random order for every row and epoch.
        first: the token every row begins with.
        end: the token that closes the last value in place of a separator; ``None`` for rows without separators.
        learn_all: whether names and the end of the row are learnt too (they are when they will be sampled).
        batch_size: rows of a batch.
        seed: of row and column shuffles.
        rank: which part of each batch this process trains on, of ``world``.
        world: number of processes.
    """

    def __init__(
        self,
        chunks: Chunks,
        order: Tensor | None,
        *,
        first: int,
        end: int | None,
        learn_all: bool,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.chunks = chunks
        self.order = order
        self.first = first
        self.end = end
        self.learn_all = learn_all
        self.batch_size = batch_size
        self.seed = seed
        self.rank, self.world = rank, world
        self.per_epoch = math.ceil(len(chunks) / batch_size)
        self.lengths = chunks.row_lengths()
        self.whole = None if order is None else self._table(order)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Inputs (batch, length), flat places of the learnt targets, and the targets there."""
        orders = self._generator("orders", epoch)
        columns = self.chunks.codes.shape[1]
        for rows in self._batches(epoch):
            share = torch.arange(self.rank, math.ceil(len(rows) / self.world) * self.world, self.world) % len(rows)
            if self.whole is None:
                order = torch.rand((len(rows), columns), generator=orders).argsort(1)
                tokens, learn, _ = self._rows(rows[share], order[share])
            else:
                longest = int(self.whole[2][rows].max())
                tokens, learn = (part[rows[share], :longest] for part in self.whole[:2])
                tokens = tokens.long()
            places = learn[:, 1:].flatten().nonzero().squeeze(1)
            yield tokens[:, :-1], places, tokens[:, 1:].flatten()[places]

    def _batches(self, epoch: int) -> list[Tensor]:
        """Shuffled rows, cut into batches; where rows differ in length, neighbours of 50 batches are sorted by it first."""
        source = self._generator("rows", epoch)
        shuffled = torch.randperm(len(self.chunks), generator=source)
        if bool((self.lengths == self.lengths[0]).all()):
            return list(torch.split(shuffled, self.batch_size))
        pools = [pool[self.lengths[pool].argsort(stable=True)] for pool in torch.split(shuffled, 50 * self.batch_size)]
        batches = [batch for pool in pools for batch in torch.split(pool, self.batch_size)]
        return [batches[int(place)] for place in torch.randperm(len(batches), generator=source)]

    def _table(self, order: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All rows in one order, written once, in compact types and in pieces to bound memory."""
        pieces = []
        for rows in torch.split(torch.arange(len(self.chunks)), 50_000):
            part_tokens, part_learn, part_lengths = self._rows(rows, order)
            pieces.append((part_tokens.int(), part_learn, part_lengths))
        lengths = torch.cat([piece[2] for piece in pieces])
        longest = int(lengths.max())
        tokens = torch.zeros((len(lengths), longest), dtype=torch.int32)
        learn = torch.zeros((len(lengths), longest), dtype=torch.bool)
        start = 0
        for part_tokens, part_learn, _ in pieces:
            end = start + len(part_tokens)
            tokens[start:end, : part_tokens.shape[1]], learn[start:end, : part_tokens.shape[1]] = (
                part_tokens,
                part_learn,
            )
            start = end
        return tokens, learn, lengths

    def _rows(self, rows: Tensor, order: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens with the row token before them, which of them are learnt, and lengths."""
        tokens, value, lengths = self.chunks.assemble(rows, order)
        if self.end is not None:
            tokens.scatter_(1, lengths[:, None] - 1, self.end)
        edge = torch.full((len(rows), 1), self.first)
        if self.learn_all and self.end is None:
            tokens = torch.cat([tokens, edge], 1)
            lengths = lengths + 1
        if self.learn_all:
            value = torch.arange(tokens.shape[1]) < lengths[:, None]
        return torch.cat([edge, tokens], 1), torch.nn.functional.pad(value, (1, 0)), lengths + 1

    def _generator(self, purpose: str, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.seed, purpose, epoch))
