"""Rows with next-token targets, assembled from token chunks, batch by batch, in the order the policy asks for."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from harness.seeding import derive_seed
from methods.row_llm.codecs.chunks import Chunks

POOLED_BATCHES = 50
"""Of so many batches rows are sorted by length, where it differs: batches pad little, and rows stay mixed."""
PIECE = 50_000
"""Rows that are written at once, to bound memory."""


class Batches:
    """Batches of rows with next-token targets.

    Args:
        chunks: the training rows.
        order: column positions, shape (columns,), or ``None`` for a fresh random order for every row and epoch.
        bos_token: begins every row.
        end_token: closes the last value in place of a separator; ``None`` for rows without separators.
        learn_all: whether names and the end of the row are learnt too (they are when they will be sampled).
        batch_size: rows of a batch.
        seed: of row and column shuffles.
        order_seed: of the column shuffles alone; ``None`` for ``seed``.
        rank: which part of each batch this process trains on, of ``world``.
        world: number of processes.
    """

    def __init__(
        self,
        chunks: Chunks,
        order: Tensor | None,
        *,
        bos_token: int,
        end_token: int | None,
        learn_all: bool,
        batch_size: int,
        seed: int,
        order_seed: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.chunks = chunks
        self.order = order
        self.bos_token = bos_token
        self.end_token = end_token
        self.learn_all = learn_all
        self.batch_size = batch_size
        self.seed = seed
        self.order_seed = seed if order_seed is None else order_seed
        self.rank, self.world = rank, world
        self.per_epoch = math.ceil(len(chunks) / batch_size)
        self.lengths = chunks.row_lengths()
        self.table = None if order is None else self._write_all(order)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Batches of an epoch.

        Returns:
            inputs, shape (batch, length); the flat positions of the learnt targets (row · length + place in the row),
            shape (targets,); and the targets there, shape (targets,).
        """
        orders = _generator(self.order_seed, "orders", epoch)
        columns = self.chunks.codes.shape[1]
        for rows in self._batches(epoch):
            share = torch.arange(self.rank, math.ceil(len(rows) / self.world) * self.world, self.world) % len(rows)
            if self.table is None:
                order = torch.rand((len(rows), columns), generator=orders).argsort(1)
                tokens, loss_mask, _ = self._write(rows[share], order[share])
            else:
                longest = int(self.table[2][rows].max())
                tokens, loss_mask = (part[rows[share], :longest] for part in self.table[:2])
                tokens = tokens.long()
            target_positions = loss_mask[:, 1:].flatten().nonzero().squeeze(1)
            yield tokens[:, :-1], target_positions, tokens[:, 1:].flatten()[target_positions]

    def _batches(self, epoch: int) -> list[Tensor]:
        """Shuffled rows, cut into batches; where rows differ in length, neighbours are sorted by it first."""
        source = _generator(self.seed, "rows", epoch)
        shuffled = torch.randperm(len(self.chunks), generator=source)
        if bool((self.lengths == self.lengths[0]).all()):
            return list(torch.split(shuffled, self.batch_size))
        pools = torch.split(shuffled, POOLED_BATCHES * self.batch_size)
        sorted_pools = [pool[self.lengths[pool].argsort(stable=True)] for pool in pools]
        batches = [batch for pool in sorted_pools for batch in torch.split(pool, self.batch_size)]
        return [batches[int(place)] for place in torch.randperm(len(batches), generator=source)]

    def _write_all(self, order: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All rows in one order, in compact types: tokens and loss mask, shape (rows, longest), and lengths."""
        pieces = []
        for rows in torch.split(torch.arange(len(self.chunks)), PIECE):
            piece_tokens, piece_mask, piece_lengths = self._write(rows, order)
            pieces.append((piece_tokens.int(), piece_mask, piece_lengths))
        lengths = torch.cat([piece[2] for piece in pieces])
        longest = int(lengths.max())
        tokens = torch.zeros((len(lengths), longest), dtype=torch.int32)
        loss_mask = torch.zeros((len(lengths), longest), dtype=torch.bool)
        start = 0
        for piece_tokens, piece_mask, _ in pieces:
            end, width = start + len(piece_tokens), piece_tokens.shape[1]
            tokens[start:end, :width] = piece_tokens
            loss_mask[start:end, :width] = piece_mask
            start = end
        return tokens, loss_mask, lengths

    def _write(self, rows: Tensor, order: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, the row token before them, and loss mask, shape (rows, longest); lengths, shape (rows,)."""
        tokens, loss_mask, lengths = self.chunks.assemble(rows, order)
        if self.end_token is not None:
            tokens.scatter_(1, lengths[:, None] - 1, self.end_token)
        edge = torch.full((len(rows), 1), self.bos_token)
        if self.learn_all and self.end_token is None:
            tokens = torch.cat([tokens, edge], 1)
            lengths = lengths + 1
        if self.learn_all:
            loss_mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        return torch.cat([edge, tokens], 1), torch.nn.functional.pad(loss_mask, (1, 0)), lengths + 1


def _generator(seed: int, purpose: str, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, purpose, epoch))
