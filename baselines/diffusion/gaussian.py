"""Gaussian diffusion in discrete time with ε-prediction (DDPM, Ho et al., arXiv 2006.11239), on the cosine schedule."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosine_betas(steps: int) -> Tensor:
    """β_1 … β_T (float64) of Nichol and Dhariwal's cosine schedule (arXiv 2102.09672), at most .999."""

    def kept(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - kept((step + 1) / steps) / kept(step / steps), 0.999) for step in range(steps)]
    return torch.tensor(betas, dtype=torch.float64)


class GaussianDiffusion:
    """q(x_t | x_0) = N(√ᾱ_t x_0, 1 − ᾱ_t); times count from 0 (one step of noise) to T − 1.

    Args:
        steps: T.
        device: where rows are.
    """

    def __init__(self, steps: int, device: torch.device | str = "cpu") -> None:
        beta = cosine_betas(steps)
        kept = (1 - beta).cumprod(0)
        before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
        posterior = beta * (1 - before) / (1 - kept)
        # The least noisy step has a posterior variance of 0; it gets its successor's (Ho et al.'s larger choice elsewhere).
        variance = torch.cat([posterior[1:2] if steps > 1 else beta[:1], beta[1:]])
        tables = {
            "kept": kept.sqrt(),
            "noise": (1 - kept).sqrt(),
            "deviation": variance.sqrt(),
            "from_clean": beta * before.sqrt() / (1 - kept),
            "from_noised": (1 - before) * (1 - beta).sqrt() / (1 - kept),
        }
        self.tables = {name: table.float().to(device) for name, table in tables.items()}

    def noised(self, clean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t of rows (rows, columns) at times (rows,)."""
        return self._at("kept", t) * clean + self._at("noise", t) * noise

    def clean(self, noised: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_0 that predicted noise implies."""
        return (noised - self._at("noise", t) * noise) / self._at("kept", t)

    def posterior_mean(self, clean: Tensor, noised: Tensor, t: Tensor) -> Tensor:
        """Mean of q(x_{t−1} | x_t, x_0)."""
        return self._at("from_clean", t) * clean + self._at("from_noised", t) * noised

    def back(
        self, noised: Tensor, t: Tensor, predicted: Tensor, noise: Tensor, bounds: tuple[Tensor, Tensor]
    ) -> Tensor:
        """A draw of x_{t−1} given the predicted noise; no noise is added at the last step (t = 0).

        The clean row that the prediction implies is clipped to ``bounds``, each (columns,): at the noisiest step of the cosine
        schedule an error of the prediction is multiplied by 1/√.001.
        """
        clean = self.clean(noised, t, predicted).clamp(*bounds)
        mean = self.posterior_mean(clean, noised, t)
        return mean + torch.where(t[:, None] > 0, self._at("deviation", t) * noise, torch.zeros_like(noise))

    def _at(self, name: str, t: Tensor) -> Tensor:
        return self.tables[name][t][:, None]
