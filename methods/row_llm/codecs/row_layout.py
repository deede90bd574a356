"""What a row looks like, token by token, where all rows are aligned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class RowLayout:
    """What a row looks like, token by token, after the row token.

    Attributes:
        forced: the token of each place, or −1 where it is sampled, shape (length,) for all rows or (rows, length).
        column: the column each place belongs to, same shape.
        offset: its place within the column: 0 the name, 1 the first token of the value, …; same shape.
        closers: tokens after which a value is filled with ``filler``, boolean, shape (vocabulary,).
        filler: the filler token.
        places: where the value tokens of the columns, in schema order, stand, shape (width,) or (rows, width).
        widths: value tokens of each column.
        stop: the token that ends a row early, or ``None``.
    """

    forced: Tensor
    column: Tensor
    offset: Tensor
    closers: Tensor
    filler: int
    places: Tensor
    widths: Sequence[int]
    stop: int | None = None

    @property
    def length(self) -> int:
        """Tokens of a row."""
        return self.forced.shape[-1]
