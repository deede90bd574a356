"""A table as token chunks, tokenised once: a chunk for each distinct value of a column, rows as lists of chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class ColumnChunks:
    """The chunks of one column.

    Attributes:
        tokens: the tokens of all its chunks, one after the other, shape (total,).
        loss_mask: which of them are to be predicted, shape (total,).
        lengths: tokens of each chunk, shape (chunks,).
        codes: the chunk of each row, shape (rows,).
        first: what to add to a chunk's index to get the one that begins a row; 0 where it is the same.
    """

    tokens: Array
    loss_mask: Array
    lengths: Array
    codes: Array
    first: int = 0


@dataclass(frozen=True, eq=False)
class Chunks:
    """Token chunks ``name phrase + value`` and which of them make up each row.

    Attributes:
        tokens: the tokens of all chunks, one after the other, shape (total,).
        loss_mask: which of them belong to a value and are to be predicted (not names, not padding), shape (total,).
        starts: where each chunk begins, shape (chunks,).
        lengths: its number of tokens, shape (chunks,).
        codes: the chunk of each row and column, in schema order, shape (rows, columns).
        first: what to add to a column's chunk to get the one that begins a row, shape (columns,); 0 where they are the
            same.
    """

    tokens: Tensor
    loss_mask: Tensor
    starts: Tensor
    lengths: Tensor
    codes: Tensor
    first: Tensor

    @classmethod
    def build(cls, columns: Sequence[ColumnChunks]) -> Chunks:
        """Join the columns' chunks."""
        lengths = np.concatenate([column.lengths for column in columns])
        bases = np.cumsum([0, *(len(column.lengths) for column in columns)])[:-1]
        return cls(
            torch.from_numpy(np.concatenate([column.tokens for column in columns])),
            torch.from_numpy(np.concatenate([column.loss_mask for column in columns])),
            torch.from_numpy(np.cumsum(lengths) - lengths),
            torch.from_numpy(lengths),
            torch.from_numpy(
                np.stack([base + column.codes for base, column in zip(bases, columns, strict=True)], axis=1)
            ),
            torch.tensor([column.first for column in columns]),
        )

    def __len__(self) -> int:
        return len(self.codes)

    def row_lengths(self) -> Tensor:
        """Tokens of every row, up to the few by which a column's first chunk differs."""
        return self.lengths[self.codes].sum(1)

    def assemble(self, rows: Tensor, order: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Write rows with their columns in a given order.

        Args:
            rows: row numbers, shape (batch,).
            order: column positions, shape (columns,) for all rows or (batch, columns) for each.

        Returns:
            tokens and loss mask, shape (batch, longest), padded on the right with 0 and ``False``, and lengths
            (batch,).
        """
        codes = self.codes[rows]  # (batch, columns)
        codes = codes[:, order] if order.dim() == 1 else codes.gather(1, order)
        codes[:, 0] += self.first[order[..., 0]]
        lengths = self.lengths[codes]  # (batch, columns)
        flat = lengths.flatten()
        total = lengths.sum(1)  # (batch,)
        ends = flat.cumsum(0)
        source = torch.repeat_interleave(self.starts[codes].flatten() - ends + flat, flat)
        source = source + torch.arange(int(ends[-1]))  # (tokens of all rows,)
        longest = int(total.max())
        if bool((total == longest).all()):
            shape = (len(rows), longest)
            return self.tokens[source].view(shape), self.loss_mask[source].view(shape), total
        filled = torch.arange(longest)[None, :] < total[:, None]  # (batch, longest)
        tokens = torch.zeros(filled.shape, dtype=torch.int64)
        loss_mask = torch.zeros(filled.shape, dtype=torch.bool)
        tokens[filled] = self.tokens[source]
        loss_mask[filled] = self.loss_mask[source]
        return tokens, loss_mask, total
