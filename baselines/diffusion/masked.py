"""Masked diffusion of categories (MDLM, arXiv 2406.07524) with a schedule of its own for every column (TabDiff, arXiv 2410.20626).

At time t a cell of column j is masked with probability p_j(t) = (1 − ε_max − ε_min)·t^{k_j} + ε_min. The bound's weight of a masked
cell's −ln p(x_0) is p'_j(t)/p_j(t); its expectation over cells is p'_j(t), which integrates to 1 over t.
"""

from __future__ import annotations

import torch
from torch import Tensor

E_MAX, E_MIN = 1e-3, 1e-5
TEMPERATURE = 0.01
"""Of the relaxed mask; small, so that the drawn mask is hard and its gradient rarely far from 0."""


def masked_share(t: Tensor, power: Tensor | float) -> Tensor:
    """p(t), for t in [0, 1] and powers k ≥ 1 (broadcast)."""
    return (1 - E_MAX - E_MIN) * t**power + E_MIN


def weight(t: Tensor, power: Tensor | float) -> Tensor:
    """p'(t) / p(t)."""
    slope = (1 - E_MAX - E_MIN) * power * t ** (power - 1)
    return slope / masked_share(t, power)


def draw_masks(share: Tensor, source: torch.Generator) -> Tensor:
    """1.0 where a cell is masked, else 0.0 (shape of ``share``), with the gradient of a relaxed draw (binary Gumbel-softmax)."""
    uniform = torch.rand(share.shape, generator=source, device=share.device).clamp(1e-7, 1 - 1e-7)
    logistic = uniform.log() - (1 - uniform).log()
    soft = ((share.log() - (1 - share).log() + logistic) / TEMPERATURE).sigmoid()
    hard = (soft > 0.5).float()
    return hard + (soft - soft.detach())


def half_time(power: Tensor) -> Tensor:
    """The time at which half of a column's cells are masked (leaving the ε out)."""
    return torch.full_like(power, 0.5) ** (1 / power)


def remask(masked: Tensor, share: Tensor, raised: Tensor, source: torch.Generator) -> Tensor:
    """Mask more cells so that a share goes from ``share`` up to ``raised``; True where masked."""
    chance = 1 - (1 - raised) / (1 - share)
    return masked | (torch.rand(masked.shape, generator=source, device=masked.device) < chance)


def unmask(masked: Tensor, share: Tensor, after: Tensor, source: torch.Generator) -> Tensor:
    """Cells still masked when the share falls from ``share`` to ``after``: each with probability after/share."""
    stay = torch.rand(masked.shape, generator=source, device=masked.device) < after / share
    return masked & stay
