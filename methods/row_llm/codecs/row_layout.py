"""What a row looks like, token by token, where all rows are aligned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RowLayout:
    """What stands where in a row, after the token that begins it.

    Attributes:
        forced: the token of each place, or −1 where it is sampled, shape (length,) for all rows or (rows, length).
        column: the column each place belongs to, same shape.
        offset: its place within the column: 0 the name, 1 the first token of the value, …; same shape.
        closing: tokens after which a value is filled with ``pad_token``, boolean, shape (vocabulary,).
        pad_token: fills a value that is closed.
        value_positions: where the value tokens of the columns, in schema order, stand, shape (width,) or (rows, width).
        widths: value tokens of each column.
        stop_token: ends a row early, or ``None``.
    """

    forced: Tensor
    column: Tensor
    offset: Tensor
    closing: Tensor
    pad_token: int
    value_positions: Tensor
    widths: Sequence[int]
    stop_token: int | None = None

    @property
    def length(self) -> int:
        """Tokens of a row."""
        return self.forced.shape[-1]

    @classmethod
    def free(cls, length: int, stop_token: int, vocabulary_size: int, device: torch.device) -> RowLayout:
        """Rows of any tokens up to the stop token, of which at most ``length`` are drawn."""
        zeros = torch.zeros(length, dtype=torch.int64, device=device)
        closing = torch.zeros(vocabulary_size, dtype=torch.bool, device=device)
        closing[stop_token] = True
        return cls(
            forced=zeros - 1,
            column=zeros,
            offset=zeros + 2,  # so that the stop token closes the row wherever it comes
            closing=closing,
            pad_token=stop_token,
            value_positions=zeros[:0],
            widths=(),
            stop_token=stop_token,
        )

    def values(self, tokens: Tensor) -> Tensor:
        """The value tokens, columns in schema order, shape (rows, width), of whole rows, shape (rows, length)."""
        positions = self.value_positions.to(tokens.device)
        return tokens[:, positions] if positions.dim() == 1 else tokens.gather(1, positions)
