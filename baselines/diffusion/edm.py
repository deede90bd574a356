"""Continuous diffusion as Karras et al. lay it out (EDM, arXiv 2206.00364): preconditioning, loss weight and Heun's sampler.

A noised row is x = y + σε. The network's raw output F gives the denoised row D(x; σ) = c_skip·x + c_out·F(c_in·x, c_noise).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SIGMA_MIN, SIGMA_MAX, RHO = 0.002, 80.0, 7.0
P_MEAN, P_STD = -1.2, 1.2
"""Mean and deviation of ln σ in training."""

S_CHURN, S_NOISE = 1.0, 1.0
Denoise = Callable[[Tensor, Tensor], Tensor]
"""D(x, σ): rows (rows, columns) and σ (rows, 1) or () to denoised rows."""


@dataclass(frozen=True)
class Preconditioning:
    """Scales that keep the network's input and target at unit variance for data of deviation ``sigma_data``."""

    sigma_data: float

    def skip(self, sigma: Tensor) -> Tensor:
        """c_skip."""
        return self.sigma_data**2 / (sigma**2 + self.sigma_data**2)

    def out(self, sigma: Tensor) -> Tensor:
        """c_out."""
        return sigma * self.sigma_data / (sigma**2 + self.sigma_data**2).sqrt()

    def into(self, sigma: Tensor) -> Tensor:
        """c_in."""
        return 1 / (sigma**2 + self.sigma_data**2).sqrt()

    def weight(self, sigma: Tensor) -> Tensor:
        """Loss weight λ, so that λ·c_out² = 1."""
        return (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2


def noise_label(sigma: Tensor) -> Tensor:
    """c_noise."""
    return sigma.log() / 4


def training_sigma(rows: int, source: torch.Generator, device: torch.device | str = "cpu") -> Tensor:
    """σ (rows, 1), log-normal."""
    return (torch.randn(rows, 1, generator=source, device=device) * P_STD + P_MEAN).exp()


def sigma_at(t: Tensor, rho: Tensor | float = RHO) -> Tensor:
    """σ at time ``t`` from 0 (least) to 1 (most noise), with curvature ``rho`` (broadcast)."""
    low, high = _ends(rho)
    return (low + t * (high - low)) ** rho


def time_of(sigma: Tensor, rho: Tensor | float = RHO) -> Tensor:
    """The inverse of :func:`sigma_at` in ``t``."""
    low, high = _ends(rho)
    return (sigma ** (1 / rho) - low) / (high - low)


def _ends(rho: Tensor | float) -> tuple[Tensor | float, Tensor | float]:
    return SIGMA_MIN ** (1 / rho), SIGMA_MAX ** (1 / rho)


def churn(steps: int) -> float:
    """γ: by which share σ is raised with fresh noise before a step."""
    return min(S_CHURN / steps, math.sqrt(2) - 1)


def heun(
    denoise: Denoise,
    rows: int,
    columns: int,
    steps: int,
    source: torch.Generator,
    *,
    device: torch.device | str = "cpu",
    gamma: float | None = None,
) -> Tensor:
    """Sample rows (rows, columns): from σ_max down to σ_min in ``steps`` points, then to 0.

    Args:
        denoise: the denoiser.
        rows: how many.
        columns: values of a row.
        steps: points of σ, each with a step of Heun's method, the last with one of Euler's.
        source: of the noise.
        device: where to compute.
        gamma: noise added at each step; ``None`` for :func:`churn`'s, 0 for the deterministic flow.
    """
    grid = sigma_at(torch.linspace(1, 0, max(steps, 2), dtype=torch.float64)).tolist()
    gamma = churn(steps) if gamma is None else gamma
    x: Tensor = torch.randn(rows, columns, generator=source, device=device) * grid[0]
    for sigma, after in zip(grid, [*grid[1:], 0.0], strict=True):
        raised = sigma * (1 + gamma)
        if gamma:
            noise = torch.randn(rows, columns, generator=source, device=device)
            x = x + math.sqrt(raised**2 - sigma**2) * S_NOISE * noise
        x = heun_step(denoise, x, torch.tensor(raised, device=device), torch.tensor(after, device=device))
    return x


def heun_step(denoise: Denoise, x: Tensor, sigma: Tensor, after: Tensor) -> Tensor:
    """One step from σ to ``after``; of Euler's method where ``after`` is 0."""
    slope = (x - denoise(x, sigma)) / sigma
    euler = x + (after - sigma) * slope
    if float(after) == 0.0:
        return euler
    again = (euler - denoise(euler, after)) / after
    corrected: Tensor = x + (after - sigma) * (slope + again) / 2
    return corrected
