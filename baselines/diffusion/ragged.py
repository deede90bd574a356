"""Category columns of different sizes side by side: sums, softmax and draws within each column, without a loop over columns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.diffusion.layers import offsets


class Ragged:
    """Values (rows, total) of which each column owns a stretch.

    Args:
        sizes: categories of each column.
        device: where the values are.
    """

    def __init__(self, sizes: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.sizes = tuple(sizes)
        self.total = sum(sizes)
        self.offsets = offsets(sizes).to(device)
        self.counts = torch.tensor(self.sizes, dtype=torch.long, device=device)
        self.column = torch.repeat_interleave(torch.arange(len(sizes), device=device), self.counts)
        self.owner = torch.nn.functional.one_hot(self.column, len(sizes)).float() if sizes else None

    def one_hot(self, codes: Tensor) -> Tensor:
        """Codes (rows, columns) as ones among zeros (rows, total)."""
        zeros = torch.zeros(len(codes), self.total, device=codes.device)
        return zeros.scatter_(1, codes + self.offsets, 1.0)

    def sum(self, values: Tensor) -> Tensor:
        """Sums within columns (rows, columns)."""
        assert self.owner is not None
        return values @ self.owner

    def spread(self, values: Tensor) -> Tensor:
        """Values of columns (rows, columns) at each of their categories (rows, total)."""
        assert self.owner is not None
        return values @ self.owner.T

    def logsumexp(self, values: Tensor) -> Tensor:
        """Within columns (rows, columns); ``-inf`` is allowed where a column has something finite."""
        rows = len(values)
        top = torch.full((rows, len(self.sizes)), -torch.inf, device=values.device, dtype=values.dtype)
        top.scatter_reduce_(1, self.column.expand(rows, -1), values.detach(), "amax")
        return self.sum((values - self.spread(top)).exp()).log() + top

    def log_softmax(self, values: Tensor) -> Tensor:
        """Log-probabilities within columns (rows, total)."""
        return values - self.spread(self.logsumexp(values))

    def pick(self, values: Tensor, codes: Tensor) -> Tensor:
        """The values at codes (rows, columns)."""
        return values.gather(1, codes + self.offsets)

    def argmax(self, values: Tensor) -> Tensor:
        """The code of each column's greatest value (rows, columns)."""
        return torch.stack([part.argmax(1) for part in torch.split(values, list(self.sizes), 1)], 1)

    def draw(self, log_probabilities: Tensor, source: torch.Generator) -> Tensor:
        """Codes drawn from unnormalised log-probabilities, by the Gumbel trick."""
        uniform = torch.rand(log_probabilities.shape, generator=source, device=log_probabilities.device)
        return self.argmax(log_probabilities - (-uniform.clamp_min(1e-20).log()).clamp_min(1e-20).log())
